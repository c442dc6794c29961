"""Certified probabilities and quantiles with other curves than the Gaussian's."""

import numpy as np
import pytest
from exact_curves import plain_psi
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

import smoothbound as sb
from levels import false_share, noises
from smoothbound import curves
from smoothbound.backends import reference

ALPHA = 0.05
N = 25
GRID = np.linspace(0, 1, 64)
# Of the table, each step is a quarter: it is neither convex nor continuous.
TABLE = curves.Tabulated(
    [0.5, 1.0], GRID, [np.floor(4 * np.maximum(GRID - loss, 0)) / 4 for loss in (0.05, 0.15)]
)
CURVES = ["l1-uniform", "l1-laplace", "ablation-2-of-29", TABLE]
RADII = [0.0, 0.5, 1.0]

every_curve = pytest.mark.parametrize(
    "curve", CURVES, ids=lambda curve: curve if isinstance(curve, str) else "table"
)
rows = st.lists(
    st.sampled_from([-np.inf, 0.0, -0.0, 0.5, np.inf]) | st.floats(-10, 10, width=16),
    min_size=N,
    max_size=N,
)


def sigma_of(curve):
    return 0.5 if curves.curve(curve).has_scale else None


def plain(curve):
    """Return psi as a function of p and R."""
    if curve is not TABLE:
        scale = sigma_of(curve) or 1.0
        return lambda p, r: plain_psi(curve)(p, r / scale)

    def psi(p, r):
        if r == 0:
            return p
        below = [i for i, at in enumerate(GRID) if at <= p]
        return TABLE.values[0 if r <= 0.5 else 1][below[-1]]

    return psi


def certify(scores, curve, statistic, levels, **options):
    options = {"radii": RADII, "sides": "both", "alpha": 2 * ALPHA} | options
    return sb.certify_scores(
        scores, sigma=sigma_of(curve), curve=curve, statistic=statistic, levels=levels, **options
    )


@every_curve
@settings(max_examples=20)
@given(rows, st.sampled_from([0.0, 0.5]) | st.floats(-10, 10, width=16))
def test_probabilities_equal_the_reference(backend, curve, row, level):
    made = certify(np.array([row]), curve, "probability", [level], backend=backend)
    psi, mirrored = plain(curve), -np.array(row)
    below = -np.nextafter(level, -np.inf)  # h < t is -h >= the next number after -t
    for m, r in enumerate(RADII):
        lower = reference.lower_probability(row, level, r, ALPHA, psi)
        upper = 1 - reference.lower_probability(mirrored, below, r, ALPHA, psi)
        assert lower - 1e-10 <= made.lower[0, 0, m] <= lower + 1e-15
        assert upper - 1e-15 <= made.upper[0, 0, m] <= upper + 1e-10


@every_curve
@settings(max_examples=20)
@given(rows, st.floats(0.3, 0.7))
def test_quantiles_equal_the_reference(backend, curve, row, q):
    made = certify(np.array([row]), curve, "quantile", [q], backend=backend)
    psi, mirrored = plain(curve), -np.array(row)
    for m, r in enumerate(RADII):
        lower = reference.lower_quantile(row, q, r, ALPHA, psi)
        assert made.lower[0, 0, m] == lower
        assert made.upper[0, 0, m] == -reference.lower_quantile(mirrored, 1 - q, r, ALPHA, psi)


@every_curve
@settings(max_examples=20)
@given(st.integers(0, N), st.floats(0.05, 0.8))
def test_a_radius_is_the_largest_that_passes(backend, curve, reached, threshold):
    scores = (np.arange(N)[None] >= N - reached).astype(float)
    options = {"backend": backend, "sides": "lower", "alpha": ALPHA}
    made = certify(scores, curve, "probability", [0.5], thresholds=[threshold], **options)
    psi, p = plain(curve), reference.clopper_pearson(reached, N, ALPHA)
    radius = float(made.radius[0, 0, 0])
    if not p > threshold:
        assert np.isnan(radius)
        return
    assert psi(p, radius) > threshold - 1e-14
    steps = {"ablation-2-of-29": np.arange(28), TABLE: np.array([0.0, 0.5, 1.0])}
    if curve in steps:
        farther = steps[curve][steps[curve] > radius]
        assert radius in steps[curve]
    else:
        farther = np.array([radius + 1e-9])
    assert not any(psi(p, r) > threshold + 1e-9 for r in farther[:1].tolist())
    # The radius within which every q-quantile is at least 0.5 is that of the probability.
    options |= {"thresholds": [0.5], "radii": []}
    same = certify(scores, curve, "quantile", [1 - threshold], **options).radius[0, 0, 0]
    assert same == pytest.approx(radius, abs=1e-9)


@every_curve
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize(
    ("statistic", "levels"), [("probability", [0.25, 0.5]), ("quantile", [0.3, 0.5, 0.9])]
)
def test_backends_threads_and_counts_agree(curve, dtype, statistic, levels):
    scores = np.random.default_rng(1).integers(0, 17, size=(5, 3000)).astype(dtype) / 16
    sketch = sb.ScoreSketch(5, edges=np.linspace(0, 1, 17))
    sketch.update(scores)
    options = {"statistic": statistic, "levels": levels, "radii": RADII, "sides": "both"}
    options |= {"thresholds": [0.25, 0.5], "curve": curve, "sigma": sigma_of(curve)}
    exact = sb.certify_scores(scores, score_range=(0, 1), backend="cpp", threads=1, **options)
    others = [
        sb.certify_scores(scores, score_range=(0, 1), backend="cpp", threads=3, **options),
        sb.certify_scores(scores, score_range=(0, 1), backend="numba", **options),
        sketch.certify(backend="cpp", **options),
        sketch.certify(backend="numba", **options),
    ]
    assert exact == others[0]
    for other in others:
        for part in ("lower", "upper", "radius"):
            found, known = getattr(other, part), getattr(exact, part)
            np.testing.assert_allclose(found, known, rtol=1e-10, atol=1e-12)


def test_a_table_of_the_gaussian_gives_what_the_gaussian_gives(backend):
    scores = np.random.default_rng(2).normal(size=(3, 2000))
    grid, gaussian = np.linspace(0, 1, 2**15 + 1), curves.curve("gaussian")
    fine = curves.Tabulated([0.25, 0.5], grid, [gaussian.lower(grid, r) for r in (0.25, 0.5)])
    for statistic, levels in (("probability", [-1.0, 0.0]), ("quantile", [0.1, 0.5])):
        options = {"statistic": statistic, "levels": levels, "radii": [0, 0.25, 0.5]}
        options |= {"sides": "both", "backend": backend}
        known = sb.certify_scores(scores, sigma=1.0, **options)
        found = sb.certify_scores(scores, curve=fine, **options)
        assert (found.lower <= known.lower + 1e-12).all()
        assert (found.upper >= known.upper - 1e-12).all()
        assert found.lower == pytest.approx(known.lower, abs=1e-3 if "prob" in statistic else 0.02)


@every_curve
def test_the_certificate_says_which_noise(curve, tmp_path):
    scores = np.random.default_rng(3).uniform(size=(2, 300))
    made = certify(scores, curve, "quantile", [0.5], thresholds=[0.1])
    assert made.settings.curve == curves.curve(curve)
    made.save(tmp_path / "made.parquet")
    assert sb.LevelCertificate.load(tmp_path / "made.parquet") == made
    from matplotlib.figure import Figure

    assert made.plot(Figure().subplots()).get_xlabel() == curves.curve(curve).axis


@every_curve
@pytest.mark.parametrize("statistic", ["probability", "quantile"])
@pytest.mark.parametrize("sides", ["lower", "upper"])
def test_too_few_draws_name_the_number_that_is_enough(backend, curve, statistic, sides):
    options = {"sides": sides, "backend": backend, "alpha": 1e-3, "radii": [0.5]}
    levels = [0.55 if sides == "lower" else 0.45]
    if statistic == "probability":
        levels, options["sides"], options["thresholds"] = [0.0], "lower", [0.9]

    def certified(n):
        made = certify(np.ones((1, n)), curve, statistic, levels, **options)
        return made.radius if statistic == "probability" else getattr(made, sides)

    with pytest.raises(ValueError, match=r"at least n = (\d+) are needed") as failed:
        certified(2)
    enough = int(str(failed.value).split("at least n = ")[1].split()[0])
    assert np.isfinite(certified(enough)).all()
    with pytest.raises(ValueError, match=f"n = {enough - 1} draws are too few"):
        certified(enough - 1)


@pytest.mark.parametrize(
    ("options", "error", "need"),
    [
        ({"curve": "l1-uniform", "sigma": None}, TypeError, "sigma must be given"),
        ({"curve": "ablation-2-of-9", "sigma": 1.0}, ValueError, "sigma must be left out"),
        ({"curve": TABLE, "sigma": None, "radii": [2.0]}, ValueError, "at most 1.0, the largest"),
        ({"curve": {}, "sigma": None}, ValueError, "curve must be.*must have the keys"),
        (
            {"curve": "l1-uniform", "sigma": 1.0, "radii": [1.5]},
            ValueError,
            r"no number of draws below 2\^32 is enough",
        ),
    ],
)
def test_refuses(options, error, need):
    with pytest.raises(error, match=need):
        sb.certify_scores(np.ones((1, 500)), statistic="quantile", levels=[0.5], **options)


def test_a_sketch_of_known_noise_refuses_another():
    sketch = sb.ScoreSketch(1, noise="gaussian")
    sketch.update(np.full((1, 500), 0.9))
    with pytest.raises(ValueError, match="curve must be that of the noise of the draws"):
        sketch.certify(sigma=1, curve="l1-laplace", statistic="quantile", levels=[0.5])


@pytest.mark.parametrize("case", noises(), ids=str)
def test_no_more_certificates_are_false_than_alpha(case):
    repeats, alpha = 3000, 0.05
    most = binom.ppf(1 - 1e-4, repeats, alpha) / repeats
    rates = []
    for statistic in ("probability", "quantile"):
        for level in case.levels[statistic]:
            for side in ("lower", "upper"):
                rng = np.random.default_rng(7)
                rates.append(false_share(statistic, level, side, rng, case, repeats))
    assert max(rates) <= most, rates
    assert max(rates) > 0.5 * alpha  # the bounds are attained


def test_a_curve_that_promises_too_much_is_found_out():
    case = noises()[1]._replace(radius=0.25)  # certified for half the shift that is made
    false = false_share("probability", 0.0, "lower", np.random.default_rng(7), case, 3000, far=2)
    assert false > 0.2
