"""Certificates with other curves: the fast backends against the slow reference."""

import numpy as np
import pytest
from exact_curves import plain_psi
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import smoothbound as sb
from smoothbound import curves
from smoothbound.backends import reference
from smoothbound.bounds._band import local_level

TOLERANCE = 2e-12
ALPHA = 0.05
NAMES = ["l1-uniform", "l1-laplace", "ablation-2-of-9"]
GRID = np.linspace(0, 1, 64)

rows = st.one_of(
    hnp.arrays(np.float64, st.integers(6, 200), elements=st.floats(0, 1)),
    hnp.arrays(np.float32, st.integers(6, 200), elements=st.floats(0, 1, width=32)),
    hnp.arrays(np.float64, st.integers(6, 200), elements=st.sampled_from([0.0, 0.25, 0.5, 1.0])),
)
bins = st.one_of(st.none(), st.integers(1, 300))
methods = st.sampled_from([("mean", None), ("cdf", "dkw"), ("cdf", "ell")])


def scale_of(name):
    return None if name.startswith("ablation") else 1.0


def table():
    """A table that is not convex."""
    values = [np.floor(4 * np.maximum(GRID - loss, 0)) / 4 for loss in (0.1, 0.3)]
    return curves.Tabulated([0.5, 1.0], GRID, values)


def psi_of_table(p, r):
    if r == 0:
        return p
    point = max((i for i, at in enumerate(GRID) if at <= p), default=None)
    return 0.0 if point is None else table().values[0 if r <= 0.5 else 1][point]


def options_of(bound, band, n_bins):
    return {"bound": bound} if band is None else {"bound": bound, "band": band, "n_bins": n_bins}


def level_of(scores, band, n_bins):
    return local_level(len(scores), alpha=ALPHA, n_bins=n_bins) if band == "ell" else None


@pytest.mark.parametrize("name", NAMES)
@given(rows, bins, st.floats(0, 7), methods)
@example(np.array([1.0, 1e-47, 0.0, 0.0, 0.0, 0.0]), 2, 0.0, ("cdf", "dkw"))
def test_both_sides_agree_with_the_reference(backend, name, scores, n_bins, r, method):
    bound, band = method
    level, psi = level_of(scores, band, n_bins), plain_psi(name)
    cert = sb.certify_scores(
        scores[None],
        sigma=scale_of(name),
        curve=name,
        radii=[r],
        alpha=2 * ALPHA,
        sides="both",
        backend=backend,
        **options_of(bound, band, n_bins),
    )
    if bound == "mean":
        lower = reference.lower_mean(scores, r, ALPHA, psi=psi)
    else:
        lower = reference.lower_cdf(scores, r, ALPHA, n_bins=n_bins, level=level, psi=psi)
    assert lower - TOLERANCE <= cert.lower[0, 0] <= lower + 1e-15
    seen = 1.0 - (1.0 - scores.astype(np.float64))  # distances from 1 round, and may then tie
    upper = reference.upper_bound(bound, seen, r, ALPHA, n_bins=n_bins, level=level, psi=psi)
    assert upper - 1e-15 <= cert.upper[0, 0] <= upper + TOLERANCE


@given(rows, st.sampled_from([0.0, 0.2, 0.5, 0.7, 1.0]), st.sampled_from(["dkw", "ell"]))
def test_a_table_agrees_with_the_reference(backend, scores, r, band):
    cert = sb.certify_scores(
        scores[None], curve=table(), radii=[r], alpha=ALPHA, band=band, backend=backend
    )
    level = level_of(scores, band, None)
    # A probability at a point of the grid may fall on either side of it.
    low, high = (
        reference.lower_cdf(
            scores, r, ALPHA, level=level, psi=lambda p, r, e=e: psi_of_table(max(p + e, 0.0), r)
        )
        for e in (-1e-12, 1e-12)
    )
    assert low - TOLERANCE <= cert.lower[0, 0] <= high + 1e-15


@pytest.mark.parametrize("name", ["l1-uniform", "l1-laplace"])
@given(rows, st.floats(0.01, 0.99), methods)
def test_radius_agrees_with_the_reference(backend, name, scores, share, method):
    bound, band = method
    level, psi = level_of(scores, band, None), plain_psi(name)
    options = {"level": level, "psi": psi} if bound == "cdf" else {"psi": psi}
    lower = reference.lower_cdf if bound == "cdf" else reference.lower_mean
    threshold = lower(scores, 0.0, ALPHA, **options) * share
    if not 1e-9 < threshold < 0.28:  # 6 draws cannot reach higher
        return
    cert = sb.certify_scores(
        scores[None],
        sigma=0.5,
        curve=name,
        thresholds=[threshold],
        alpha=ALPHA,
        backend=backend,
        **options_of(bound, band, None),
    )
    radius = cert.radius[0, 0] / 0.5
    assert lower(scores, radius, ALPHA, **options) >= threshold - 1e-14
    assert lower(scores, radius + 1e-6, ALPHA, **options) < threshold


@pytest.mark.parametrize("curve", ["ablation-2-of-9", "ablation-3-of-200", table()], ids=str)
@given(rows, st.floats(0.05, 0.7))
def test_a_radius_among_a_few_is_the_last_that_passes(backend, curve, scores, threshold):
    try:
        cert = sb.certify_scores(
            scores[None], curve=curve, thresholds=[threshold], alpha=ALPHA, backend=backend
        )
    except ValueError as error:
        assert "too few to certify" in str(error)  # noqa: PT017
        return
    radii = [0.0, 0.5, 1.0] if isinstance(curve, curves.Curve) else np.arange(201.0)
    lower = sb.certify_scores(
        scores[None], curve=curve, radii=radii, alpha=ALPHA, backend=backend
    ).lower[0]
    passing = np.array(radii)[lower > threshold]
    radius = cert.radius[0, 0]
    assert np.isnan(radius) if not len(passing) else abs(passing[-1] - radius) <= 0


@pytest.mark.parametrize("curve", ["l1-uniform", "l1-laplace", "ablation-2-of-9", table()], ids=str)
@pytest.mark.parametrize("band", ["dkw", "ell"])
def test_a_sketch_agrees_with_the_reference(backend, curve, band):
    scores = np.random.default_rng(0).beta(3, 1, size=(3, 400)).round(2)
    edges = np.linspace(0, 1, 17)
    sketch = sb.ScoreSketch(3, edges=edges)
    sketch.update(scores)
    psi = plain_psi(curve) if isinstance(curve, str) else psi_of_table
    sigma = None if not isinstance(curve, str) else scale_of(curve)
    radii = [0.0, 0.4, 1.0]
    cert = sketch.certify(
        sigma=sigma, curve=curve, radii=radii, thresholds=[0.2], alpha=ALPHA, band=band,
        backend=backend,
    )  # fmt: skip
    level = level_of(scores[0], band, None)
    for row, lower, radius in zip(scores, cert.lower, cert.radius, strict=True):
        exact = [reference.lower_edges(row, edges, r, ALPHA, level, psi) for r in radii]
        assert lower == pytest.approx(exact, abs=TOLERANCE)
        assert (lower <= np.array(exact) + 1e-15).all()
        assert reference.lower_edges(row, edges, radius[0], ALPHA, level, psi) >= 0.2 - 1e-14


@pytest.mark.parametrize("curve", [*NAMES, table()], ids=str)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_backends_and_threads_agree(curve, dtype):
    scores = np.random.default_rng(1).beta(4, 1, size=(5, 3000)).astype(dtype)
    sigma = scale_of(curve) if isinstance(curve, str) else None
    options = {"curve": curve, "sigma": sigma, "radii": [0, 0.5, 1], "thresholds": [0.3, 0.6]}
    for bins in (None, 100):
        one, many, other = (
            sb.certify_scores(scores, n_bins=bins, backend=backend, threads=threads, **options)
            for backend, threads in (("cpp", 1), ("cpp", 3), ("numba", 1))
        )
        assert one == many
        assert one.lower == pytest.approx(other.lower, abs=TOLERANCE)
        assert one.radius == pytest.approx(other.radius, abs=1e-10, nan_ok=True)


def test_a_fine_table_of_the_gaussian_comes_near_it(backend):
    scores = np.random.default_rng(2).beta(6, 1, size=(2, 1000))
    grid = np.linspace(0, 1, 20_001)
    gaussian = curves.curve("gaussian")
    fine = curves.Tabulated([0.25, 0.5], grid, [gaussian.lower(grid, r, 0.5) for r in (0.25, 0.5)])
    options = {"radii": [0, 0.25, 0.5], "bound": "cdf", "backend": backend}
    known = sb.certify_scores(scores, sigma=0.5, **options)
    found = sb.certify_scores(scores, curve=fine, **options)
    assert (found.lower <= known.lower + 1e-12).all()
    assert (found.lower >= known.lower - 1e-3).all()


@pytest.mark.parametrize("curve", ["l1-laplace", "ablation-2-of-9", table()], ids=str)
def test_settings_say_which_curve(curve, tmp_path):
    sigma = scale_of(curve) if isinstance(curve, str) else None
    cert = sb.certify_scores(np.full((2, 500), 0.9), sigma=sigma, curve=curve, radii=[0.5])
    assert cert.settings.curve == curves.curve(curve)
    cert.save(tmp_path / "cert.parquet")
    assert sb.Certificate.load(tmp_path / "cert.parquet") == cert


@pytest.mark.parametrize(
    ("curve", "axis"),
    [("l1-laplace", "ℓ₁ radius R (units of the input)"), ("ablation-2-of-9", "changed pixels R")],
)
def test_a_figure_says_what_the_radius_is(curve, axis, tmp_path):
    from matplotlib.figure import Figure

    from smoothbound.analysis import reading

    scores = np.full((2, 500), 0.9)
    cert = sb.certify_scores(scores, sigma=scale_of(curve), curve=curve, radii=[0, 1])
    assert cert.plot(Figure().subplots()).get_xlabel() == axis
    cert.save(tmp_path / "cert.parquet")
    (evaluation,) = reading.read([tmp_path / "cert.parquet"])
    assert evaluation.curve == curves.curve(curve)
    assert any(f"2 inputs, noise {curve}" in note for note in evaluation.notes)
    assert (evaluation.sigma is None) == (scale_of(curve) is None)
    sb.certify_scores(scores, sigma=[0.25, 0.5]).save(tmp_path / "cert.parquet")
    (evaluation,) = reading.read([tmp_path / "cert.parquet"])
    assert evaluation.sigma is None
    assert any("σ from 0.25 to 0.5" in note for note in evaluation.notes)


def test_older_settings_are_of_the_gaussian():
    import json

    cert = sb.certify_scores(np.full((1, 500), 0.9), sigma=1)
    values = json.loads(cert.settings.to_json())
    assert values.pop("curve") == "gaussian"
    assert type(cert.settings).from_json(json.dumps(values)) == cert.settings


@pytest.mark.parametrize(
    ("options", "error", "need"),
    [
        ({"sigma": 1, "curve": "l1-laplace", "bound": "tangent"}, ValueError, "bound='tangent'"),
        ({"curve": "l1-laplace"}, TypeError, "needs the scale of the noise"),
        ({}, TypeError, "sigma must be given"),
        ({"sigma": 1, "curve": "ablation-2-of-9"}, ValueError, "sigma must be left out"),
        ({"sigma": 1, "curve": "laplace"}, ValueError, "curve must be one of"),
        ({"curve": table(), "bound": "mean"}, ValueError, "curve must be convex"),
        ({"curve": table(), "radii": [0.5, 2.0]}, ValueError, r"radii\[1\] must be at most 1\.0"),
    ],
)
def test_refuses(options, error, need):
    with pytest.raises(error, match=need):
        sb.certify_scores(np.full((1, 500), 0.9), **options)


def test_a_sketch_of_known_noise_refuses_another():
    sketch = sb.ScoreSketch(1, noise="gaussian")
    sketch.update(np.full((1, 500), 0.9))
    with pytest.raises(ValueError, match="curve must be that of the noise of the draws"):
        sketch.certify(sigma=1, curve="l1-laplace")
    displaced = sb.ScoreSketch(1, displacement=0.01)
    displaced.update(np.full((1, 500), 0.9))
    with pytest.raises(ValueError, match="displacement"):
        displaced.certify(sigma=1, curve="l1-laplace")
