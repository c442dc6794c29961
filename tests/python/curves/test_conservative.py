"""Bounds and radii with other curves are on the safe side of exact arithmetic, at 50 digits."""

import mpmath as mp
import numpy as np
import pytest
from exact import RANGES
from exact_curves import exact_psi

import smoothbound as sb
from smoothbound import build_info, curves
from smoothbound.backends import _select as backends

NAMES = ["l1-uniform", "l1-laplace", "ablation-45-of-784"]
TOLERANCE = 2e-12

pytestmark = pytest.mark.usefixtures("fifty_digits")


def exact_lower(name, scores, r, alpha, a):
    """Theorem 2 with every draw a knot and the band dkw."""
    m, total, previous = len(scores), mp.mpf(a), mp.mpf(a)
    deviation = mp.sqrt(mp.log(1 / mp.mpf(alpha)) / (2 * m))
    for i, score in enumerate(mp.mpf(float(s)) for s in np.sort(scores)):
        p = mp.mpf(m - i) / m - deviation
        if score > previous and p > 0:
            total += (score - previous) * exact_psi(name, p, r)
        previous = score
    return total


@pytest.mark.parametrize("name", NAMES)
def test_bounds_and_radii_are_on_the_safe_side(backend, name):
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(150 if backend == "cpp" else 50):
        a, b = RANGES[rng.integers(len(RANGES))]
        m = int(rng.choice([2, 7, 20]))
        shares = [rng.uniform(size=m), np.ones(m), 1 - 10.0 ** rng.uniform(-17, 0, m)]
        scores = np.clip(a + (b - a) * shares[rng.integers(3)], a, b)
        r = float([0.0, rng.uniform(0, 1), rng.uniform(0, 30)][rng.integers(3)])
        alpha = float(rng.choice([0.2, 0.9, 1 - 1e-12]))
        sigma = None if name.startswith("ablation") else 1.0
        options = {"sigma": sigma, "curve": name, "alpha": alpha, "score_range": (a, b)}
        options |= {"backend": backend, "band": "dkw"}
        lower = sb.certify_scores(scores[None], radii=[r], **options).lower[0, 0]
        upper = sb.certify_scores(scores[None], radii=[r], sides="upper", **options).upper[0, 0]
        exact = exact_lower(name, scores, r, alpha, a)
        mirrored = -exact_lower(name, -scores, r, alpha, -b)
        assert lower <= exact <= lower + TOLERANCE * (b - a) + 2 * np.spacing(abs(a))
        assert upper >= mirrored >= upper - TOLERANCE * (b - a) - 2 * np.spacing(abs(b))
        threshold = a + 0.1 * (b - a)
        if not a < threshold < float(exact_lower(name, scores, 0.0, alpha, a)):
            continue
        cert = sb.certify_scores(scores[None], thresholds=[threshold], **options)
        if not np.isnan(cert.radius[0, 0]):
            found += 1
            assert exact_lower(name, scores, cert.radius[0, 0], alpha, a) > threshold
    assert found > 10


@pytest.mark.skipif(not build_info()["extension"], reason="it is about the C++ core")
@pytest.mark.parametrize("name", ["gaussian", *NAMES])
def test_the_curves_of_the_core_are_rounded_to_the_safe_side(name):
    rng = np.random.default_rng(3)
    core = backends.load("cpp").Curve(**curves.curve(name).for_core())
    tails = 10.0 ** rng.uniform(-16, -1, 100)
    for p in [*rng.uniform(size=200), *tails, *(1 - tails), 0.0, 0.5, 1.0]:
        r = float(rng.choice([0.0, rng.uniform(0, 3), rng.uniform(0, 40)]))
        q = np.nextafter(1 - p, 2)
        exact = exact_psi(name, p, r)
        assert core.lower(p, q, r) <= exact <= core.lower(p, q, r) + TOLERANCE
        assert core.lower(p, q, r) == pytest.approx(curves.curve(name).lower(p, r), abs=TOLERANCE)
