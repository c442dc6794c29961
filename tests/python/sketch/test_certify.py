"""Certificates from sketches: within a cell of the exact ones, never on the wrong side."""

from copy import deepcopy

import numpy as np
import pytest
from forks import run_code
from hypothesis import assume, given
from hypothesis import strategies as st
from sketches import filled, sketched

import smoothbound as sb
from smoothbound import ScoreSketch
from smoothbound.analysis.reading import of_certificate
from smoothbound.backends import reference
from smoothbound.bounds._band import local_level
from smoothbound.bounds._method import Method
from smoothbound.noise._kinds import CAVEAT
from smoothbound.noise._record import NoiseRecord

ALPHA = 0.05
RADII = np.array([0.0, 0.3, 1.0, 3.0, 9.0])


@given(sketched(), st.floats(0, 12), st.sampled_from(["dkw", "ell"]))
def test_agrees_with_the_reference(backend, case, r, band):
    edges, scores = case
    sketch = ScoreSketch(edges=edges)
    sketch.update(scores[None, :], backend=backend)
    assume(band == "dkw" or sketch.edges.size < 40)  # the reference is slow
    options = {"sigma": 1.0, "radii": [r], "alpha": ALPHA, "band": band, "backend": backend}
    level = local_level(scores.size, alpha=ALPHA) if band == "ell" else None
    lower = reference.lower_edges(scores, sketch.edges, r, ALPHA, level)
    assert lower - 1e-12 <= sketch.certify(**options).lower[0, 0] <= lower + 1e-15
    upper = reference.upper_edges(scores, sketch.edges, r, ALPHA, level)
    found = sketch.certify(sides="upper", **options).upper[0, 0]
    assert upper - 1e-15 <= found <= upper + 1e-12


@given(sketched(), st.sampled_from(["lower", "upper"]))
def test_loss_against_the_exact_bound_is_as_reported(backend, case, side):
    edges, scores = case
    sketch = ScoreSketch(edges=edges)
    sketch.update(scores[None, :], backend=backend)
    options = {"sigma": 1.0, "radii": RADII, "alpha": ALPHA, "sides": side, "backend": backend}
    exact = getattr(sb.certify_scores(scores[None, :], bound="cdf", **options), side)
    cert = sketch.certify(**options)
    loss = exact - cert.lower if side == "lower" else cert.upper - exact
    assert (loss >= -1e-12).all()
    assert (loss <= cert.loss[:, None]).all()
    assert cert.loss[0] <= np.diff(sketch.edges).max() + 1e-12


@pytest.mark.parametrize("distribution", ["beta", "saturated", "margin"])
def test_loss_of_many_draws(backend, distribution):
    rng = np.random.default_rng(0)
    a = -1.0 if distribution == "margin" else 0.0
    scores = {
        "beta": rng.beta(20, 1, (3, 20_000)),
        "saturated": np.where(rng.random((3, 20_000)) < 0.01, 0.25, 1.0),
        "margin": rng.uniform(-1, 1, (3, 20_000)),
    }[distribution].astype("f4")
    sketch = ScoreSketch(3, score_range=(a, 1.0))
    sketch.update(scores, backend=backend)
    options = {"sigma": 0.5, "radii": RADII, "thresholds": [-0.9 if a else 0.1], "sides": "both"}
    options["backend"] = backend
    exact = sb.certify_scores(scores, score_range=(a, 1.0), bound="cdf", **options)
    cert = sketch.certify(**options)
    width = 0.0 if distribution == "saturated" else (1 - a) / 4096
    np.testing.assert_allclose(cert.loss, width, rtol=0, atol=1e-12)
    for loss in (exact.lower - cert.lower, cert.upper - exact.upper):
        assert (loss >= -1e-12).all()
        assert (loss <= cert.loss[:, None]).all()
    assert (cert.radius <= exact.radius + 1e-12).all()
    np.testing.assert_allclose(cert.radius, exact.radius, atol=0.01)


@given(sketched())
def test_every_score_an_edge_loses_nothing(backend, case):
    _, scores = case
    edges = np.unique(np.concatenate([[0.0, 1.0], scores.astype(np.float64)]))
    sketch = ScoreSketch(edges=edges)
    sketch.update(scores[None, :], backend=backend)
    options = {"sigma": 1.0, "radii": RADII, "alpha": ALPHA, "sides": "both", "backend": backend}
    exact = sb.certify_scores(scores[None, :], bound="cdf", **options)
    cert = sketch.certify(**options)
    assert cert.loss[0] <= 1e-12
    np.testing.assert_allclose(cert.lower, exact.lower, rtol=0, atol=1e-12)
    np.testing.assert_allclose(cert.upper, exact.upper, rtol=0, atol=1e-12)


@given(sketched())
def test_reflecting_the_scores_swaps_the_sides_bit_for_bit(backend, case):
    edges, scores = case
    plain = ScoreSketch(edges=edges)
    plain.update(scores[None, :], backend=backend)
    mirror = ScoreSketch(edges=-plain.edges[::-1], score_range=(-1, 0))
    mirror.update(-scores[None, :], backend=backend)
    np.testing.assert_array_equal(mirror.counts, plain.counts[:, ::-1])
    options = {"sigma": 1.0, "radii": RADII, "alpha": ALPHA, "sides": "both", "backend": backend}
    np.testing.assert_array_equal(mirror.certify(**options).upper, -plain.certify(**options).lower)
    np.testing.assert_array_equal(mirror.certify(**options).lower, -plain.certify(**options).upper)


@given(sketched(), st.floats(0.05, 0.9))
def test_radius_is_where_the_bound_meets_the_threshold(backend, case, share):
    edges, scores = case
    sketch = ScoreSketch(edges=edges)
    sketch.update(scores[None, :], backend=backend)
    options = {"sigma": 0.5, "alpha": ALPHA, "backend": backend}
    threshold = sketch.certify(**options).lower[0, 0] * share
    assume(1e-6 < threshold < 0.28)  # 6 draws cannot reach higher
    radius = sketch.certify(thresholds=[threshold], **options).radius[0, 0]
    assert sketch.certify(radii=[radius], **options).lower[0, 0] >= threshold - 1e-14
    beyond = sketch.certify(radii=[radius * (1 + 1e-9) + 1e-9], **options).lower[0, 0]
    assert beyond <= threshold + 1e-11


def test_inputs_may_have_different_numbers_of_draws(backend):
    scores = np.random.default_rng(0).beta(9, 1, (3, 6000))
    sketch = ScoreSketch(3)
    for i, n in enumerate([6000, 900, 6000]):
        sketch.update(scores[i : i + 1, :n], index=[i], backend=backend)
    options = {"sigma": 1.0, "radii": RADII, "thresholds": [0.5], "backend": backend}
    cert = sketch.certify(**options)
    assert cert.n_draws.tolist() == [6000, 900, 6000]
    assert cert.settings.n == 900
    for i, n in enumerate([6000, 900, 6000]):
        alone = ScoreSketch()
        alone.update(scores[i : i + 1, :n])
        np.testing.assert_array_equal(alone.certify(**options).lower[0], cert.lower[i])
        np.testing.assert_array_equal(alone.certify(**options).radius[0], cert.radius[i])


PRINT_BITS = """
import hashlib, numpy as np, smoothbound as sb
for kind in ("f2", "f4", "f8"):
    for edges in (4096, 1000, np.linspace(0, 1, 200) ** 2):
        sketch = sb.ScoreSketch(2, edges=edges)
        sketch.update(np.random.default_rng(0).beta(9, 1, (2, 9000)).astype(kind), backend="cpp")
        cert = sketch.certify(sigma=1, radii=[0, 0.3, 2], thresholds=[0.5], sides="both")
        found = (sketch.counts, cert.lower, cert.upper, cert.radius)
        print(hashlib.sha256(b"".join(a.tobytes() for a in found)).hexdigest())
"""


@pytest.mark.parametrize("tier", ["baseline", "avx2"])
def test_every_tier_gives_the_same_bits(tier):
    if not sb.build_info()["extension"]:
        pytest.skip("no C++ core")
    assert run_code(PRINT_BITS, SMOOTHBOUND_TIER=tier) == run_code(PRINT_BITS)


def test_certificates_say_what_they_are_of():
    sketch = filled(n=100, selected=[4, 6], sigma=0.25)
    cert = sketch.certify(radii=[0, 0.1], thresholds=[0.2], sides="both")
    assert cert.settings.method == Method("cdf", "ell")
    assert (cert.settings.sigma, cert.settings.measure, cert.settings.n_edges) == (
        0.25,
        "score",
        4097,
    )
    assert cert.settings.alpha_lower == cert.settings.alpha_upper == 5e-4
    table = cert.to_arrow()
    assert table.column_names[:4] == ["index", "selected", "n_draws", "loss"]
    assert table.column("index").to_pylist() == [1, 5]
    with pytest.warns(DeprecationWarning, match="inputs is now called index"):
        assert cert.inputs is cert.index
    with pytest.warns(DeprecationWarning, match="predicted is now called selected"):
        assert cert.predicted is cert.selected
    assert cert.to_pandas()["n_draws"].tolist() == [100, 100]


@pytest.mark.parametrize(
    ("sketch", "arguments", "message"),
    [
        (ScoreSketch(), {"sigma": 1}, "input 0 has no draws"),
        (filled(n=100), {}, "sigma must be given"),
        (filled(n=100, sigma=0.5), {"sigma": 0.25}, "that of the draws, 0.5, got 0.25"),
        (filled(n=100), {"sigma": 0}, "sigma must be positive"),
        (filled(n=5), {"sigma": 1, "thresholds": [0.5]}, "n = 5 draws are too few"),
        (filled(n=100), {"sigma": 1, "thresholds": [1.0]}, "thresholds must lie strictly inside"),
        (filled(n=100), {"sigma": 1, "sides": "none"}, "sides must be"),
        (filled(n=100), {"sigma": 1, "band": "none"}, "band must be"),
    ],
)
def test_questions_are_checked(sketch, arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        sketch.certify(**arguments)


def test_gaussian_noise_is_no_proof_and_every_form_of_a_certificate_says_so(tmp_path):
    sketch = filled(n=500, sigma=0.25, noise="gaussian")
    sketch.save(tmp_path / "sketch.parquet")
    caveat = "floating-point noise, so no proof"
    for one in (
        ScoreSketch.load(tmp_path / "sketch.parquet"),
        sketch + filled(first=500, n=500, sigma=0.25, noise="gaussian"),
        sketch.select([5]),
        sketch.coarsen([0, 2048, 4096]),
    ):
        cert = one.certify(radii=[0.0])
        cert.save(tmp_path / "cert.parquet")
        assert sb.Certificate.load(tmp_path / "cert.parquet") == cert
        assert cert.settings.noise == NoiseRecord(kind="gaussian", caveat=CAVEAT)
        assert caveat in repr(cert)
        assert caveat in cert._repr_html_()
        assert any("**Floating-point noise**" in note for note in of_certificate(cert, "it").notes)
    for other in ("lattice", None):
        cert = filled(n=500, sigma=0.25, noise=other).certify()
        assert cert.settings.noise == NoiseRecord(kind=other)
        assert caveat not in repr(cert) + cert._repr_html_()


def test_the_displacement_of_the_draws_is_paid_by_every_certificate(tmp_path):
    d = 0.004
    scores = np.random.default_rng(1).beta(8, 1, (2, 3000))
    plain, displaced = ScoreSketch(2, sigma=0.25), ScoreSketch(2, sigma=0.25, displacement=d)
    for sketch in (plain, displaced):
        sketch.update(scores)
    displaced.save(tmp_path / "sketch.parquet")
    kept = ScoreSketch.load(tmp_path / "sketch.parquet").select([0, 1])
    asked = {"thresholds": [0.5, 0.88], "alpha": 0.01, "sides": "both"}
    cert = kept.certify(radii=[0.0, 0.25], **asked)
    wider = plain.certify(radii=[2 * d, 0.25 + 2 * d], **asked)
    assert cert.settings.radii == (0.0, 0.25)
    assert cert.settings.displacement == d
    assert (cert.lower <= wider.lower).all()
    assert (cert.upper >= wider.upper).all()
    np.testing.assert_allclose(cert.lower, wider.lower, atol=1e-12)
    left = wider.radius - 2 * d
    np.testing.assert_allclose(cert.radius, np.where(left < 0, np.nan, left), atol=1e-12)
    with pytest.raises(ValueError, match=r"displacements differ: 0\.0 and 0\.004"):
        plain + displaced


@pytest.mark.parametrize("sides", ["lower", "upper", "both"])
def test_draws_counted_later_change_no_certificate_and_no_other_sketch(sides):
    rng = np.random.default_rng(0)
    sketch = ScoreSketch(3, edges=16)
    sketch.update(rng.random((3, 500)))
    live, before = sketch.counts, sketch.counts.copy()
    made = [
        sketch.select([0, 1, 2]),
        sketch.coarsen(range(0, 17, 2)),
        sketch + ScoreSketch([9], edges=16),
    ]
    certificate = sketch.certify(sigma=1.0, radii=RADII, thresholds=[0.2], sides=sides)
    kept = deepcopy(certificate)
    counted = [other.counts.copy() for other in made]
    sketch.update(rng.random((3, 500)))
    assert (live == sketch.counts).all()
    assert (live != before).any()  # it is the view that the documentation says it is
    assert certificate == kept
    for other, counts in zip(made, counted, strict=True):
        assert (other.counts == counts).all()
