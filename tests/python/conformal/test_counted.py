"""Sets from counts: those of scores that are rounded down to the edges, and nothing smaller."""

import numpy as np
import pytest

from smoothbound import ClassSketch
from smoothbound.conformal import CAS, RCP1, BinCP

METHODS = [
    pytest.param(lambda **given: BinCP(**given), 60, id="bincp"),
    pytest.param(lambda **given: BinCP(perturbations="each", **given), 60, id="bincp-each"),
    pytest.param(lambda **given: RCP1(**given), 1, id="rcp1"),
]


def draws(seed, n=150, m=60, n_classes=4):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, n_classes, n)
    logits = rng.normal(size=(n, m, n_classes)) + rng.normal(size=(n, 1, n_classes))
    odds = np.exp(logits + 2 * np.eye(n_classes)[labels][:, None])
    return odds / odds.sum(axis=2, keepdims=True), labels


def counted(scores, edges=32, **given):
    return ClassSketch.from_scores(scores, **{"edges": edges, "sigma": 0.5} | given)


@pytest.mark.parametrize(("make", "m"), METHODS)
def test_binary_methods_see_scores_rounded_down_to_the_edges(make, m):
    (scores, labels), (tests, _) = draws(0, m=m), draws(1, m=m)
    of_counts = make(radius=0.1, sigma=0.5).calibrate(counted(scores), labels)
    rounded = np.floor(scores * 32) / 32
    of_scores = make(radius=0.1, sigma=0.5).calibrate(rounded, labels)
    assert of_counts.threshold == of_scores.threshold
    sets = of_counts.predict_set(counted(tests))
    np.testing.assert_array_equal(sets, of_scores.predict_set(np.floor(tests * 32) / 32))
    np.testing.assert_array_equal(sets, of_counts.predict_set(tests))


@pytest.mark.parametrize("perturbations", ["all", "each"])
def test_other_edges_make_sets_larger(perturbations):
    (scores, labels), (tests, _) = draws(2), draws(3)
    robust = BinCP(radius=0.1, sigma=0.5, perturbations=perturbations).calibrate(scores, labels)
    exact, coarse = robust.predict_set(tests), robust.predict_set(counted(tests))
    assert (exact <= coarse).all()
    assert coarse.sum() > exact.sum()


def test_cas_of_counts_is_hardly_wider_than_that_of_scores_with_a_band():
    (scores, labels), (tests, _) = draws(4, m=400), draws(5, m=400)
    of_scores = CAS(radius=0.1, sigma=0.5).calibrate(scores, labels)
    of_counts = CAS(radius=0.1, sigma=0.5).calibrate(counted(scores, 256), labels)
    assert of_scores.threshold.score - 1 / 256 <= of_counts.threshold.score
    assert of_counts.threshold.score <= of_scores.threshold.score
    sets = of_counts.predict_set(counted(tests, 256))
    assert sets.mean() < 0.8
    assert (of_scores.predict_set(tests) <= sets).mean() > 0.99


def test_points_beside_the_inputs_are_allowed_for():
    (scores, labels), (tests, _) = draws(6), draws(7)

    def at(radius, displacement, array=scores):
        sketch = counted(array)
        moved = ClassSketch.__new__(ClassSketch)
        vars(moved).update(vars(sketch) | {"displacement": displacement})
        return BinCP(radius=radius, sigma=0.5).calibrate(moved, labels), moved

    near, _ = at(0.1, 0.0)
    far, sketch = at(0.1, 0.05)
    farther, _ = at(0.2, 0.0)
    assert far.threshold.votes == farther.threshold.votes != near.threshold.votes
    far.predict_set(counted(tests))
    with pytest.raises(ValueError, match=r"drawn around points up to 0.05 from the inputs"):
        near.predict_set(sketch)


@pytest.mark.parametrize(
    ("sketch", "given", "words"),
    [
        (lambda s: counted(s, classes=[0, 1]), {}, "a sketch of all classes in their order"),
        (lambda s: counted(s, classes=[1, 0, 2, 3]), {}, "a sketch of all classes in their order"),
        (lambda s: counted(s), {"sigma": 0.25}, "scores must be draws at sigma = 0.25, got 0.5"),
        (
            lambda s: counted(s, sigma=[0.5] * 60 + [0.25] * 90),
            {},
            "at sigma = 0.5, got 0.25 for input 60; .* a look at the calibration labels",
        ),
        (lambda s: counted(s, constant_within=0.2), {}, "a sketch without constant_within"),
        (lambda s: counted(s), {"conformity_score": "aps"}, "arrays for conformity_score='aps'"),
        (
            lambda s: counted(s) + counted(s[:5], first_draw=60),
            {},
            "the same number of draws of each input, got 60 to 120",
        ),
    ],
)
def test_sketches_that_are_refused(sketch, given, words):
    scores, labels = draws(8)
    with pytest.raises(ValueError, match=words):
        BinCP(**({"radius": 0.1, "sigma": 0.5} | given)).calibrate(sketch(scores), labels)


def test_equal_counts_of_a_sure_model_are_no_repetition():
    """Counts of ten classes have ten cells or more, which says nothing if each class has one."""
    labels = np.arange(120) % 10
    scores = np.random.default_rng(10).uniform(0, 1e-3, (120, 60, 10))
    scores[np.arange(120), :, labels] = 1 - 1e-3
    robust = BinCP(radius=0.1, sigma=0.5).calibrate(counted(scores), labels)
    sets = robust.predict_set(counted(scores))
    np.testing.assert_array_equal(sets, np.eye(10, dtype=bool)[labels])


def test_cas_refuses_another_range_and_points_seen_before():
    scores, labels = draws(9)
    with pytest.raises(ValueError, match=r"score_range must be \(0.0, 1.0\), that of the sketch"):
        CAS(radius=0.1, sigma=0.5, score_range=(-1, 1)).calibrate(counted(scores), labels)
    robust = BinCP(radius=0.1, sigma=0.5).calibrate(counted(scores), labels)
    with pytest.raises(ValueError, match=r"scores\[0\] are the draws of calibration point 0"):
        robust.predict_set(counted(scores))


def test_equal_levels_of_each_input_are_one_level():
    scores, labels = draws(8)
    one = BinCP(radius=0.1, sigma=0.5).calibrate(counted(scores), labels)
    each = BinCP(radius=0.1, sigma=0.5).calibrate(counted(scores, sigma=[0.5] * 150), labels)
    assert one.threshold == each.threshold


def test_counts_of_a_classifier_at_several_levels_are_refused():
    torch = pytest.importorskip("torch")
    from smoothbound import SmoothedClassifier

    smoothed = SmoothedClassifier(lambda x: torch.cat([x, -x], dim=1), sigma=0.5)
    x, labels = torch.linspace(-1, 1, 40)[:, None], np.arange(40) // 20
    options = {"n": 60, "n0": 1, "alpha": 0.1, "classes": "all"}
    sketch = smoothed.certify(x, sigma=[0.5, 0.25] * 20, **options).class_sketch()
    robust = BinCP(radius=0.1, sigma=0.5)
    with pytest.raises(ValueError, match=r"got 0\.25 for input 1; draw all points at one noise"):
        robust.calibrate(sketch, labels)
    held = smoothed.certify(x, constant_within=0.2, **options).class_sketch()
    with pytest.raises(ValueError, match="must be a sketch without constant_within"):
        robust.calibrate(held, labels)
