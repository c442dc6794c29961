"""What the methods share: properties of the sets, and what is refused with which words."""

import pickle
from itertools import pairwise

import numpy as np
import pytest

from smoothbound import ClassSketch, conformal, curves
from smoothbound.conformal import CAS, RCP1, BinCP
from smoothbound.conformal._draws import ScoreDraws

METHODS = [
    pytest.param(lambda **given: BinCP(**given), 50, id="bincp"),
    pytest.param(lambda **given: BinCP(perturbations="each", **given), 50, id="bincp-each"),
    pytest.param(lambda **given: RCP1(**given), 1, id="rcp1"),
    pytest.param(lambda **given: CAS(**given), 50, id="cas"),
]


def draws(seed, n=200, m=50, n_classes=5, gap=3.0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, n_classes, n)
    logits = rng.normal(size=(n, m, n_classes)) + rng.normal(size=(n, 1, n_classes))
    odds = np.exp(logits + gap * np.eye(n_classes)[labels][:, None])
    return odds / odds.sum(axis=2, keepdims=True), labels


@pytest.mark.parametrize(("make", "m"), METHODS)
def test_the_clean_points_are_covered(make, m):
    (scores, labels), (tests, truth) = draws(0, m=m), draws(1, m=m)
    for kind in ("lac", "aps"):
        robust = make(radius=0.1, sigma=1.0, conformity_score=kind).calibrate(scores, labels)
        sets = robust.predict_set(tests)
        assert conformal.coverage(sets, truth) > 0.85
        assert conformal.mean_set_size(sets) < 5
    assert robust.threshold.n_points == 200
    assert robust.threshold.beta_points + robust.threshold.beta_draws <= 0.1 + 0.01


@pytest.mark.parametrize(("make", "m"), METHODS)
def test_sets_grow_with_the_radius_and_with_the_level(make, m):
    (scores, labels), (tests, _) = draws(2, m=m), draws(3, m=m)

    def sets(radius, level):
        robust = make(radius=radius, sigma=1.0, confidence_level=level)
        return robust.calibrate(scores, labels).predict_set(tests)

    nested = [sets(0.0, 0.8), sets(0.1, 0.8), sets(0.2, 0.8)]
    assert all((smaller <= larger).all() for smaller, larger in pairwise(nested))
    assert (sets(0.1, 0.7) <= nested[1]).mean() > 0.99


@pytest.mark.parametrize(("make", "m"), METHODS)
def test_the_order_of_the_points_and_of_the_draws_changes_nothing(make, m):
    (scores, labels), (tests, _) = draws(4, m=m), draws(5, m=m)
    order, positions = np.random.default_rng(0).permutation(200), np.arange(m)[::-1]
    one = make(radius=0.1, sigma=1.0).calibrate(scores, labels)
    other = make(radius=0.1, sigma=1.0).calibrate(scores[order][:, positions], labels[order])
    assert one.threshold == other.threshold
    differ = one.predict_set(tests) != other.predict_set(tests[:, positions])
    assert differ.mean() < 0.02  # betting permutes the positions of a row
    if not isinstance(one, CAS):
        assert not differ.any()


def test_each_perturbation_alone_takes_smaller_sets_than_all_at_once():
    (scores, labels), (tests, _) = draws(6, gap=1.5), draws(7, gap=1.5)
    found = [
        BinCP(radius=0.5, sigma=1.0, perturbations=which).calibrate(scores, labels)
        for which in ("each", "all")
    ]
    each, everywhere = (robust.predict_set(tests) for robust in found)
    assert (each <= everywhere).all()
    assert each.sum() < everywhere.sum()


def test_one_draw_of_bincp_is_a_rule_of_rcp1():
    """With one draw, and a rank that both allow, the sets are the same."""
    (scores, labels), (tests, _) = draws(8, m=1), draws(9, m=1)
    single = RCP1(radius=0.0, sigma=1.0).calibrate(scores, labels)
    binary = BinCP(radius=0.0, sigma=1.0, perturbations="each").calibrate(scores, labels)
    assert binary.threshold.votes == single.threshold.votes == (1, 1)
    assert binary.threshold.rank <= single.threshold.rank == 20
    assert (single.predict_set(tests) <= binary.predict_set(tests)).all()


def test_other_noises():
    (scores, labels), (tests, _) = draws(10), draws(11)
    for curve, radius, sigma in (("l1-laplace", 0.1, 1.0), ("ablation-2-of-100", 1, None)):
        robust = BinCP(radius=radius, sigma=sigma, curve=curve).calibrate(scores, labels)
        assert robust.curve == curves.curve(curve)
        assert 0 < robust.threshold.votes[1] < robust.threshold.votes[0]
        assert conformal.mean_set_size(robust.predict_set(tests)) < 5
        mean = CAS(radius=radius, sigma=sigma, curve=curve).calibrate(scores, labels)
        assert conformal.mean_set_size(mean.predict_set(tests)) < 5
        counted = ClassSketch.from_scores(scores, sigma=sigma)
        assert CAS(radius=radius, sigma=sigma, curve=curve).calibrate(
            counted, labels
        ).threshold.score == pytest.approx(mean.threshold.score, abs=2e-3)
    one = RCP1(radius=1, curve="ablation-2-of-100").calibrate(scores[:, :1], labels)
    assert one.threshold.rank == 16  # psi(1 - j/201) = 1 - j/201 - 0.02


def test_any_real_score_will_do_for_binary_methods():
    (scores, labels), (tests, _) = draws(12), draws(13)
    logits = [np.log(array) for array in (scores, tests)]
    plain = make().calibrate(scores, labels).predict_set(tests)
    logarithmic = make().calibrate(logits[0], labels).predict_set(logits[1])
    np.testing.assert_array_equal(plain, logarithmic)


def test_torch_tensors_are_read():
    torch = pytest.importorskip("torch")
    scores, labels = draws(14)
    robust = make().calibrate(torch.from_numpy(scores), labels)
    assert robust.threshold == make().calibrate(scores, labels).threshold


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("score", [0.1, 0.3, 0.7, 1e5, -1e5, 1e-9, 0.5])
def test_a_threshold_is_compared_exactly_with_scores_of_any_type(dtype, score):
    near = np.array([score], np.float64)
    with np.errstate(over="ignore"):
        at = near.astype(dtype)
    values = np.array([np.nextafter(at, dtype(-np.inf)), at, np.nextafter(at, dtype(np.inf))])
    values = values[np.isfinite(values)].reshape(1, -1, 1).repeat(2, axis=2)
    if values.size:
        found = ScoreDraws(values, "lac").at_least(score)
        assert (found == (values.astype(np.float64) >= score).sum(axis=1)).all()


def test_a_calibrated_object_can_be_pickled():
    robust = calibrated()
    again = pickle.loads(pickle.dumps(robust))
    assert (
        repr(again)
        == repr(robust)
        == ("BinCP(radius=0.1, sigma=1.0, confidence_level=0.9, calibrated with 200 points)")
    )
    np.testing.assert_array_equal(again.predict_set(OTHERS), robust.predict_set(OTHERS))
    with pytest.raises(ValueError, match="are the draws of calibration point 0"):
        again.predict_set(SCORES)
    assert repr(make(radius=0.25)).endswith("confidence_level=0.9, not calibrated)")


# refused ----------------------------------------------------------------------------------------


class SmoothedCertificateLike:
    def class_sketch(self): ...


SCORES, LABELS = draws(20)
OTHERS, _ = draws(21)


def make(**given):
    return BinCP(**({"radius": 0.1, "sigma": 1.0} | given))


def calibrated(**given):
    return make(**given).calibrate(SCORES, LABELS)


def changed(at, value):
    copy = SCORES.copy()
    copy[at] = value
    return copy


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: BinCP(radius=0.1), "sigma must be given: gaussian noise has a scale"),
        (
            lambda: BinCP(radius=0.1, sigma=[0.5, 1.0]),
            r"sigma must be a number, got \[0.5, 1.0\]; draw all points at one noise level",
        ),
        (lambda: BinCP(radius=-1.0, sigma=1.0), "radius must be at least 0"),
        (lambda: BinCP(radius=1, sigma=2.0, curve="ablation-1-of-9"), "sigma must be left out"),
        (lambda: make(confidence_level=0.1), "confidence_level must be at"),
        (lambda: make(probability=1.0), "probability must lie strictly"),
        (
            lambda: make(perturbations="some"),
            "perturbations must be one of",
        ),
        (
            lambda: make(conformity_score="x"),
            "conformity_score must be one",
        ),
        (
            lambda: CAS(radius=0.1, sigma=1.0).calibrate(SCORES * 2, LABELS),
            r"scores must lie within score_range = \(0.0, 1.0\), got scores.* of a softmax",
        ),
        (
            lambda: make().calibrate(SmoothedCertificateLike(), LABELS),
            r"got SmoothedCertificateLike; pass its class_sketch\(\)",
        ),
        (lambda: CAS(radius=0.1, sigma=1.0, band="x"), "band must be one of 'ell'|'dkw'"),
        (lambda: make().threshold, "BinCP must be calibrated first"),
        (lambda: RCP1(radius=0.1, sigma=1.0).predict_set(OTHERS), "RCP1 must be calibrated first"),
        (lambda: calibrated().calibrate(OTHERS, LABELS), "calibrate can be called once"),
        (lambda: calibrated(confidence_level=0.999), "at least 1111 calibration points for conf"),
        (lambda: calibrated(radius=3.0), "n_draws = 50 for radius = 3, .* 800 would do"),
        (lambda: calibrated(radius=50.0), "1048576 would not do either"),
        (
            lambda: RCP1(radius=50.0, sigma=1.0).calibrate(SCORES[:, :1], LABELS),
            "radius must be smaller .* got 50: no number of calibration points would do",
        ),
        (lambda: calibrated().predict_set(np.swapaxes(OTHERS, 1, 2)), "last two axes are swapped"),
        (lambda: calibrated().predict_set(OTHERS[:, :40]), "n_draws = 50, as in the .* got 40"),
        (lambda: calibrated().predict_set(OTHERS[:, :, :4]), "n_classes = 5, as in the .* got 4"),
        (lambda: calibrated().predict_set(SCORES[7:8]), "scores.0. are the draws of .* point 7"),
        (lambda: calibrated().predict_set(OTHERS[0]), "scores must have the shape .* got .50, 5."),
        (lambda: calibrated().predict_set(OTHERS > 0), "scores must be float16"),
    ],
)
def test_what_is_refused(call, words):
    with pytest.raises((ValueError, TypeError), match=words):
        call()


LOGS = np.log(np.maximum(SCORES, 1e-30))  # log-probabilities, one of which is that of 0
LOGS[3, 4, 1] = -np.inf


@pytest.mark.parametrize(
    ("scores", "labels", "words"),
    [
        (changed((3, 4, 1), np.nan), LABELS, r"scores must be finite, got scores\[3, 4, 1\] = nan"),
        (changed((3, 4, 1), np.inf), LABELS, "got scores.* = inf; the model or the data"),
        (LOGS, LABELS, r"= -inf; if these are log-probabilities, pass np.exp\(scores\)"),
        (changed(3, SCORES[9]), LABELS, r"scores\[9\] are the same draws as scores\[3\]"),
        (SCORES, LABELS[:-1], "labels must hold one class for each of 200 inputs, got 199"),
        (SCORES, LABELS + 1, r"labels must lie between 0 and 4, .* got labels\[\d+\] = 5"),
        (SCORES, LABELS * 1.0, "labels must be whole numbers"),
        (SCORES[:5], LABELS[:5], "at least 11 calibration points .* got 5"),
        (SCORES[:, :, :1], LABELS * 0, "with two classes or more"),
    ],
)
def test_what_is_refused_at_calibration(scores, labels, words):
    robust = make()
    with pytest.raises((ValueError, TypeError), match=words):
        robust.calibrate(scores, labels)
    robust.calibrate(SCORES, LABELS)  # nothing was kept


def test_rcp1_says_how_many_points_would_do():
    with pytest.raises(ValueError, match=r"at least 88 calibration points .* got 87"):
        RCP1(radius=1.0, sigma=1.0).calibrate(SCORES[:87, :1], LABELS[:87])
    RCP1(radius=1.0, sigma=1.0).calibrate(SCORES[:88, :1], LABELS[:88])
    with pytest.raises(ValueError, match="one draw of each input, got n_draws = 50"):
        RCP1(radius=0.1, sigma=1.0).calibrate(SCORES, LABELS)
    table = curves.Tabulated(radii=[1.0], p=[0.0, 0.4, 0.5, 1.0], values=[0.0, 0.3, 0.3, 0.9])
    with pytest.raises(ValueError, match="curve must be convex for RCP1"):
        RCP1(radius=1.0, curve=table)


@pytest.mark.parametrize("setting", ["confidence_level", "conformity_score", "radius", "sigma"])
@pytest.mark.parametrize("robust", [BinCP(radius=0.1, sigma=1.0), RCP1(radius=0.1, sigma=1.0)])
def test_settings_cannot_be_changed(robust, setting):
    """The threshold and the sets of an object are made with the same settings."""
    with pytest.raises(AttributeError):
        setattr(robust, setting, 0.5)


def test_settings_of_bincp_cannot_be_changed():
    robust = make(probability=0.7)
    assert (robust.perturbations, robust.probability) == ("all", 0.7)
    for setting in ("perturbations", "probability"):
        with pytest.raises(AttributeError):
            setattr(robust, setting, "each")


def test_adaptive_scores_need_probabilities():
    with pytest.raises(ValueError, match="scores must be probabilities of the classes for conf"):
        calibrated(conformity_score="aps").predict_set(OTHERS * 2)


def test_equal_votes_are_no_repetition():
    """Different points may well have equal draws if these have few values."""
    votes = np.eye(5)[LABELS][:, None].repeat(50, axis=1)
    robust = make().calibrate(votes, LABELS)
    assert conformal.coverage(robust.predict_set(votes), LABELS) == 1.0


@pytest.mark.parametrize(
    ("sets", "labels", "words"),
    [
        ([[1, 0]], [0], "sets must be booleans"),
        ([True], [0], "sets must have the shape"),
        ([[True, False]], [2], r"labels must lie between 0 and 1, .* got labels\[0\] = 2"),
        ([[True, False]], [0, 1], "labels must hold one class for each of 1 inputs"),
    ],
)
def test_numbers_about_sets_refuse(sets, labels, words):
    with pytest.raises((ValueError, TypeError), match=words):
        conformal.coverage(sets, labels)
