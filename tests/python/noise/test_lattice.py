"""The rounded Gaussian: thresholds against 50 digits, grids, and what is refused."""

from __future__ import annotations

from fractions import Fraction

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smoothbound.noise import _lattice
from smoothbound.noise._lattice import (
    FINE_BITS,
    MAX_NUMBER,
    THRESHOLD_BITS,
    Lattice,
    fine_lattice,
    fine_thresholds,
    lattice,
    thresholds,
)

WHOLE = 2**THRESHOLD_BITS


def values(grid: Lattice) -> list[int]:
    """The thresholds as whole numbers."""
    return [int(high) << 64 | int(low) for high, low in zip(grid.high, grid.low, strict=True)]


def inside(k: int, steps: Fraction) -> mp.mpf:
    """P(|delta| <= k + 1/2) for delta of standard deviation `steps`."""
    return mp.erf((k + mp.mpf(1) / 2) * steps.denominator / steps.numerator / mp.sqrt(2))


@pytest.mark.parametrize(
    ("sigma", "levels"), [(0.25, 255), (0.12, 255), (1.0, 255), (0.25, 16), (1e-3, 1), (8.0, 255)]
)
def test_thresholds_are_the_nearest_whole_numbers(sigma: float, levels: int) -> None:
    grid = lattice(sigma, levels)
    steps = Fraction(sigma) * grid.denominator
    found = values(grid)
    stride = 1 if grid.largest < 3000 else 97  # the large one in part
    with mp.workdps(60):
        for k in [*range(0, grid.largest, stride), grid.largest - 1]:
            assert abs(found[k] - WHOLE * inside(k, steps)) <= mp.mpf(1) / 2 + mp.mpf(2) ** -90
        assert WHOLE * (1 - inside(grid.largest, steps)) <= mp.mpf(1) / 2  # and no more of them
    assert found == sorted(found)
    assert found[-1] < WHOLE


@settings(max_examples=30)
@given(st.floats(1.0, 300.0), st.data())
def test_thresholds_of_any_sigma(steps: float, data: st.DataObject) -> None:
    exact = Fraction(steps)
    found = thresholds(exact)
    k = data.draw(st.integers(0, len(found) - 1))
    with mp.workdps(60):
        assert abs(found[k] - WHOLE * inside(k, exact)) <= mp.mpf(1) / 2 + mp.mpf(2) ** -90


def test_the_distance_from_the_rounded_gaussian_is_as_stated() -> None:
    # Half the sum of |P(K = k) - its true value| over all k, exactly: below (m + 1) 2^-80.
    grid = lattice(0.25, 255)
    steps = Fraction(0.25) * 255
    with mp.workdps(60):
        reached = [mp.mpf(0), *(mp.mpf(value) / WHOLE for value in values(grid)), mp.mpf(1)]
        true = [mp.mpf(0), *(inside(k, steps) for k in range(grid.largest + 40)), mp.mpf(1)]
        sizes = np.diff(np.array(reached, dtype=object))
        wanted = np.diff(np.array(true, dtype=object))
        sizes = np.concatenate([sizes, [mp.mpf(0)] * (len(wanted) - len(sizes))])
        distance = sum(abs(a - b) for a, b in zip(sizes, wanted, strict=True)) / 2
        assert mp.mpf(2) ** -90 < distance <= (grid.largest + 1) * mp.mpf(2) ** -80


def test_the_variance_is_that_of_the_rounded_gaussian() -> None:
    grid = lattice(0.25, 255)
    steps = 0.25 * 255
    tails = 1.0 - np.array(values(grid), dtype=np.float64) / WHOLE
    variance = 1.0 - float(values(grid)[0]) / WHOLE  # E K^2 = sum (2k + 1) P(|K| > k)
    variance += sum((2 * k + 1) * tail for k, tail in enumerate(tails) if k > 0)
    assert variance == pytest.approx(steps**2 + 1 / 12, rel=1e-12)


@settings(max_examples=100)
@given(st.floats(1e-4, 100.0), st.sampled_from([1, 2, 16, 255, 256, 1023, 65535]))
def test_sigma_is_between_32_and_64_steps_unless_the_grid_is_finer(
    sigma: float, levels: int
) -> None:
    if sigma * levels > 2048 or 32 / sigma > MAX_NUMBER / 2:
        return
    with pytest.MonkeyPatch.context() as patch:
        # Without its thresholds, which take nearly all the time.
        patch.setattr(_lattice, "_build", lambda _, *parts: Lattice(*parts, *_lattice._words([1])))
        grid = lattice(sigma, levels)
    assert grid.denominator == levels * 2**grid.refine <= MAX_NUMBER
    assert sigma * grid.denominator >= 32
    assert grid.refine == 0 or sigma * grid.denominator < 64


def test_a_grid_is_made_once_and_cannot_be_changed() -> None:
    grid = lattice(0.25, 255)
    assert lattice(0.25, 255) is grid
    with pytest.raises(ValueError, match="read-only"):
        grid.low[0] = 0


@pytest.mark.parametrize(
    ("sigma", "levels", "error", "message"),
    [
        (0.0, 255, ValueError, "sigma must be positive"),
        (0.25, 0, ValueError, "levels must be at least 1"),
        (0.25, 255.0, TypeError, "levels must be a whole number"),
        (0.25, 65535, ValueError, r"sigma must be from 1.91e-6 to 0.0312 .*1/65535, got 0.25"),
        (1e-7, 255, ValueError, r"sigma must be from 1.92e-6 to 8.03 .*1/255, got 1e-07"),
    ],
)
def test_lattice_refuses(sigma, levels, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        lattice(sigma, levels)


@pytest.mark.parametrize("sigma", [1.92e-6, 8.03])
def test_the_sigmas_that_an_error_names_are_taken(sigma: float) -> None:
    assert lattice(sigma, 255).levels == 255


# --- the fine lattice, for inputs on no grid ---------------------------------------------------


@pytest.mark.parametrize("bits", [12, FINE_BITS])
def test_fine_thresholds_are_the_nearest_whole_numbers(bits: int) -> None:
    found, steps = fine_thresholds(bits), Fraction(2**bits)
    with mp.workdps(60):
        for k in [*range(0, len(found), 211), len(found) - 1]:
            assert abs(found[k] - WHOLE * inside(k, steps)) <= mp.mpf(1) / 2 + mp.mpf(2) ** -30
        assert WHOLE * (1 - inside(len(found), steps)) <= mp.mpf(1) / 2  # and no more of them
    assert found == sorted(found)


@given(st.floats(2.0**-100, 2.0**100))
def test_the_fine_lattice_has_the_same_thresholds_for_every_sigma(sigma: float) -> None:
    grid = fine_lattice(sigma)
    assert grid.high is fine_lattice(1.0).high
    assert grid.low is fine_lattice(1.0).low
    assert grid.denominator == pytest.approx(2**FINE_BITS / sigma, rel=1e-15)
    assert 0 < np.float32(grid.denominator) < np.inf


@pytest.mark.parametrize("sigma", [1e-31, 1e31, 0.0, np.nan])
def test_the_fine_lattice_refuses(sigma: float) -> None:
    with pytest.raises(ValueError, match="sigma must"):
        fine_lattice(sigma)
