"""Phi and its inverse: the stated errors, over the whole double range, against mpmath."""

import mpmath as mp
import numpy as np
import pytest

from smoothbound import build_info
from smoothbound.backends import gaussian

pytestmark = pytest.mark.skipif(
    not build_info()["extension"], reason="the stated errors are those of the C++ core"
)

SMALLEST_NORMAL = np.finfo(np.float64).tiny
STEP = 2.0**-1074


@pytest.fixture(autouse=True)
def _fifty_digits():
    with mp.workdps(50):
        yield


def exact_cdf(z):
    return mp.erfc(-mp.mpf(float(z)) / mp.sqrt(2)) / 2


def relative_error_of_quantile(p, z):
    """Newton's step (second order) from z to the exact quantile of p, relative to z."""
    p, z = mp.mpf(float(p)), mp.mpf(float(z))
    tail = exact_cdf(z) - p if p < 0.5 else (1 - p) - exact_cdf(-z)
    step = tail / mp.npdf(z)
    return abs(step / (1 + z * step / 2) / z)


@pytest.mark.parametrize(
    ("low", "high", "n"), [(-37.5, 0, 4000), (-3, 3, 2000), (-1e-3, 1e-3, 300), (0, 9, 500)]
)
def test_cdf_relative_error(low, high, n):
    z = np.random.default_rng(0).uniform(low, high, n)
    errors = [
        abs((mp.mpf(y) - exact_cdf(x)) / exact_cdf(x))
        for x, y in zip(z, gaussian.cdf(z).tolist(), strict=True)
    ]
    assert max(errors) <= 2e-15


def test_cdf_is_right_to_a_step_among_the_subnormals():
    z = np.random.default_rng(1).uniform(-38.6, -37.5, 1500)
    exact = [exact_cdf(x) for x in z]
    errors = [
        abs(mp.mpf(y) - e) / (STEP + 2e-15 * e)
        for y, e in zip(gaussian.cdf(z).tolist(), exact, strict=True)
        if e < SMALLEST_NORMAL
    ]
    assert len(errors) > 1000
    assert max(errors) <= 1


def test_cdf_special_values():
    z = np.array([-np.inf, -1e300, -40.0, 0.0, -0.0, 40.0, 1e300, np.inf, np.nan])
    expected = [0, 0, 0, 0.5, 0.5, 1, 1, 1, np.nan]
    np.testing.assert_array_equal(gaussian.cdf(z), expected)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33])
def test_vector_and_scalar_give_the_same_bits(n):
    z = np.random.default_rng(n).normal(size=n) * 5
    one_by_one = [float(gaussian.cdf(x)) for x in z]
    np.testing.assert_array_equal(gaussian.cdf(z), one_by_one)


def test_any_shape_and_layout():
    z = np.arange(-6.0, 6.0).reshape(3, 4)
    np.testing.assert_array_equal(gaussian.cdf(z.T), gaussian.cdf(z).T)
    assert gaussian.quantile(np.full((2, 0, 3), 0.5)).shape == (2, 0, 3)


def test_quantile_relative_error():
    rng = np.random.default_rng(2)
    p = np.concatenate(
        [
            10.0 ** rng.uniform(-323, 0, 2000),
            rng.uniform(0, 1, 2000),
            1 - 10.0 ** rng.uniform(-16, -1, 500),
            0.5 + rng.normal(size=500) * 1e-6,
            [5e-324, SMALLEST_NORMAL, np.nextafter(1.0, 0.0), 0.075, 0.925],
            np.nextafter([0.075, 0.925, 0.5], 1.0),
        ]
    )
    p = p[(p > 0) & (p < 1) & (p != 0.5)]
    errors = [
        relative_error_of_quantile(x, y)
        for x, y in zip(p, gaussian.quantile(p).tolist(), strict=True)
    ]
    assert max(errors) <= 2e-15


def test_quantile_special_values():
    p = np.array([0.0, 0.5, 1.0, -1e-9, 1 + 1e-9, np.nan, np.inf])
    np.testing.assert_array_equal(
        gaussian.quantile(p), [-np.inf, 0, np.inf, np.nan, np.nan, np.nan, np.nan]
    )
