"""The tangent and the joint bound, which have a pilot: the same in each backend and thread."""

import numpy as np
import pytest
from forks import run_code
from some_scores import DRAWS

import smoothbound as sb

ALPHA = 0.05
RADII = np.array([0.0, 0.1, 1.0, 4.0, 9.0, 60.0])
METHODS = {
    "tangent": {"bound": "tangent"},
    "tangent, Bernstein": {"bound": "tangent", "mean": "bernstein"},
    "joint": {"bound": "joint"},
}


@pytest.fixture(params=METHODS)
def certify(request):
    def certified(scores, **options):
        options = {"sigma": 1.0, "alpha": ALPHA, **METHODS[request.param], **options}
        return sb.certify_scores(np.atleast_2d(scores), **options)

    return certified


def test_subnormal_scores_and_a_wide_range(backend, certify):
    scores = np.tile([5e-324, 1e-310, 0.0, 1.0], (1, 50))
    cert = certify(scores, radii=RADII, thresholds=[1e-9], backend=backend)
    assert (cert.lower <= 0.25).all()
    assert np.isfinite(cert.radius).all()
    wide = certify(scores * 1e300, score_range=(0, 1e300), radii=RADII, backend=backend)
    np.testing.assert_allclose(wide.lower, cert.lower * 1e300, rtol=1e-9, atol=1e285)


@pytest.mark.parametrize("threads", [2, 5])
def test_threads_do_not_change_a_bit(backend, certify, threads):
    scores = np.random.default_rng(0).beta(5, 1, size=(7, 500))
    options = {"radii": [0, 1, 2], "thresholds": [0.5], "backend": backend}
    one, many = (certify(scores, threads=t, **options) for t in (1, threads))
    np.testing.assert_array_equal(one.lower, many.lower)
    np.testing.assert_array_equal(one.radius, many.radius)


@pytest.mark.parametrize("draws", DRAWS)
def test_backends_agree(certify, draws):
    if not sb.build_info()["extension"]:
        pytest.skip("no C++ core")
    scores = DRAWS[draws](np.random.default_rng(1), (2, 1500))
    cpp, numba = (
        certify(scores, radii=[0, 0.5, 2], sides="both", backend=backend)
        for backend in ("cpp", "numba")
    )
    np.testing.assert_allclose(cpp.lower, numba.lower, rtol=0, atol=1e-5)
    np.testing.assert_allclose(cpp.upper, numba.upper, rtol=0, atol=1e-5)


@pytest.mark.parametrize("bound", ["tangent", "joint"])
@pytest.mark.parametrize("tier", ["baseline", "avx2"])
def test_every_tier_gives_the_same_bits(tier, bound):
    if not sb.build_info()["extension"]:
        pytest.skip("no C++ core")
    code = (
        "import numpy as np, smoothbound as sb\n"
        "scores = np.random.default_rng(0).beta(8, 1, (3, 2000))\n"
        f"cert = sb.certify_scores(scores, sigma=1.0, bound={bound!r}, radii=[0, 0.3, 1, 5],\n"
        "                         thresholds=[0.5, 0.8], sides='both')\n"
        "print(*(x.tobytes().hex() for x in (cert.lower, cert.upper, cert.radius)))\n"
    )
    assert run_code(code) == run_code(code, SMOOTHBOUND_TIER=tier)
