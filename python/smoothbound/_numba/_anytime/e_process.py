"""The wealth of a question over the draws of one input, where the C++ core is missing.

The structure is that of the core (cpp/src/anytime.cpp), and so is the choice of the bets; NumPy and
SciPy do the arithmetic, a pass over the knots at a time.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from smoothbound._numba._anytime.draw_record import DrawRecord
from smoothbound._numba._anytime.knots import KNOTS, MASS
from smoothbound._numba._means.mean import SUM_ERROR, UNIT
from smoothbound._numba._means.tangent import Z_LIMIT, tangent_lines
from smoothbound._numba.jit import jit
from smoothbound._numba.order import permuted
from smoothbound.backends._names import Order, Side

__all__ = ["EProcess", "estimate_functional", "test_rows"]

Vector = NDArray[np.float64]

_LENGTHS = np.diff(KNOTS)
_PRIOR_WEIGHT = 0.5
_FIRST_STEPS, _LATER_STEPS, _KEPT = 5, 1, 0.3
_SETTLED_STEP, _LONGEST_STEP, _MOST_ROOT_STEPS = 2.0**-8, 2.0, 40
_LEAST_LOG_STAKE, _GREATEST_LOG_STAKE = -30.0, 40.0


@jit
def _growth_slope(masses: Vector, v: Vector, m: float, stake: float) -> tuple[float, float]:
    """Return sum p (v - m) / (1 + stake v), and its decrease by the stake."""
    slope = 0.0
    decrease = 0.0
    for k in range(v.size):
        odds = 1.0 / (1.0 + stake * v[k])
        term = masses[k] * (v[k] - m) * odds
        slope += term
        decrease += term * v[k] * odds
    return slope, decrease


@jit
def _best_stake(masses: Vector, v: Vector, m: float, guess: float) -> float:
    """Find the stake that grows the wealth most, by Newton's method; 0 where every stake loses."""
    if not (m < 1.0 and _growth_slope(masses, v, m, 0.0)[0] > 0.0):
        return 0.0
    low, high = _LEAST_LOG_STAKE, _GREATEST_LOG_STAKE
    x = min(max(math.log(guess), low), high)
    for _ in range(_MOST_ROOT_STEPS):
        stake = math.exp(x)
        slope, decrease = _growth_slope(masses, v, m, stake)
        if slope > 0.0:
            low = x
        else:
            high = x
        if decrease > 0.0:
            step = min(max(slope / (stake * decrease), -_LONGEST_STEP), _LONGEST_STEP)
            if low < x + step < high:
                x += step
                if abs(step) < _SETTLED_STEP:
                    break
                continue
        x = 0.5 * (low + high)
    return math.exp(x)


def _evidence(alpha: float) -> float:
    return -math.log(alpha) * (1 + 10 * UNIT)


class _Tangents:
    """Tangents that touch at the survival function of a distribution on the knots."""

    def __init__(self, masses: Vector, r: float) -> None:
        before, beyond = np.cumsum(masses)[:-1], np.cumsum(masses[::-1])[-2::-1]
        z = np.where(beyond < 0.5, ndtri(np.minimum(beyond, 0.5)), -ndtri(np.minimum(before, 0.5)))
        self.z: Vector = np.clip(z, -Z_LIMIT, Z_LIMIT)
        self.weights, constants = tangent_lines(self.z, r)
        phi = np.concatenate([[0.0], np.cumsum(_LENGTHS * self.weights)])
        self.greatest = float(phi[-1])
        self.values: Vector = phi / self.greatest
        self.constant = float(_LENGTHS @ constants) * (1 - SUM_ERROR)

    def null_mean(self, target: float) -> float:
        """Bound E v from above where the functional is at most the target."""
        spare = math.nextafter(self.constant - target, -math.inf)
        error = -2 * SUM_ERROR if spare > 0.0 else 2 * SUM_ERROR
        return math.nextafter(1.0 - spare / self.greatest * (1.0 + error), math.inf)


class EProcess:
    """The wealth of one question; arguments and results are those of the core's class."""

    def __init__(self, target: float, r: float, first: int = 0) -> None:
        self._target, self._r, self._first = target, r, first
        self._look = self._n_draws = self._refresh_at = 0
        self.log_wealth = self.highest = self.growth = self.stake = 0.0
        self.null_mean = 1.0
        self._counts: Vector = np.zeros(len(KNOTS))
        self._seen = 0  # draws, with those of the guess
        self._worst = np.full(len(KNOTS), 1 / len(KNOTS))
        self._tangents = _Tangents(self._worst, r)

    @property
    def z(self) -> Vector:
        return self._tangents.z

    @property
    def weights(self) -> Vector:
        return self._tangents.weights

    def advance(self, record: DrawRecord, alpha: float) -> int:
        """Take the draws up to the last look, or to the first with a wealth of 1 / alpha.

        Returns
        -------
        int
            The number of draws at that look, 0 if there is none yet.
        """
        enough = _evidence(alpha)
        if self._look == 0:
            self._counts, self._seen = record.guessed / MASS, record.n_guess
        if self._is_shown(enough):
            return self._n_draws
        for n_draws, block in record.blocks_from(self._look):
            self._take(block / MASS, n_draws - self._n_draws)
            self._n_draws = n_draws
            self._look += 1
            if self._is_shown(enough):
                return n_draws
        return 0

    def _is_shown(self, enough: float) -> bool:
        """Return whether the claim is shown; if not, choose the next bet when it is time."""
        if self._look < self._first:
            return False
        if self.log_wealth >= enough:
            return True
        if self._n_draws >= self._refresh_at:
            self._choose_bet()
            self._refresh_at = self._n_draws + 2 + self._n_draws // 4
        return False

    def _choose_bet(self) -> None:
        masses = (self._counts + _PRIOR_WEIGHT / len(KNOTS)) / (self._seen + _PRIOR_WEIGHT)
        self._approach_projection(masses)
        self._logs = np.log1p(self.stake * self._tangents.values)
        self._log_null = math.log1p(self.stake * self.null_mean)
        self.growth = max(float(masses @ self._logs) - self._log_null, 0.0)

    def _approach_projection(self, masses: Vector) -> None:
        steps = _LATER_STEPS
        if self.stake == 0.0:
            self._worst, self.stake, steps = masses, 1.0, _FIRST_STEPS
            self._tangents = _Tangents(self._worst, self._r)
        self._choose_stake(masses)
        for _ in range(steps):
            if self.stake == 0.0:
                return
            odds = (1.0 + self.stake * self.null_mean) / (1.0 + self.stake * self._tangents.values)
            self._worst = _KEPT * self._worst + (1.0 - _KEPT) * masses * odds
            self._tangents = _Tangents(self._worst, self._r)
            self._choose_stake(masses)

    def _choose_stake(self, masses: Vector) -> None:
        self.null_mean = self._tangents.null_mean(self._target)
        self.stake = _best_stake(masses, self._tangents.values, self.null_mean, self.stake)

    def _take(self, block: Vector, n_draws: int) -> None:
        """Take the draws between two looks.

        The sum of logarithms is of positive numbers. Its relative error, and the absolute one of
        each logarithm that v causes, are below SUM_ERROR; so are those of the null mean.
        """
        self._counts = self._counts + block
        self._seen += n_draws
        if self._look < self._first or self.stake == 0.0:
            return
        errors = n_draws * 2 * SUM_ERROR * (1.0 + float(self._logs[-1]))
        gain = float(block @ self._logs) - n_draws * self._log_null - errors
        self.log_wealth = math.nextafter(self.log_wealth + gain, -math.inf)
        self.highest = max(self.highest, self.log_wealth)


def estimate_functional(record: DrawRecord, r: float) -> tuple[float, float]:
    """Return Theorem 2's functional of the draws so far, and the deviation of its tangent there."""
    counts = record.guessed + record.between_looks.sum(axis=0)
    if not counts.any():
        return math.nan, math.nan
    masses = counts / counts.sum()
    tangents = _Tangents(masses, r)
    mean = float(masses @ tangents.values)
    square = float(masses @ tangents.values**2)
    value = tangents.constant - tangents.greatest * (1.0 - mean)
    return value, tangents.greatest * math.sqrt(max(0.0, square - mean**2))


def test_rows(
    scores: NDArray[np.floating],
    *,
    targets: Vector,
    r: Vector,
    chained: NDArray[np.bool_],
    alpha: float,
    a: float,
    b: float,
    side: Side,
    n_guess: int,
    order: Order,
    seed: int,
    first_row: int,
    threads: int,
) -> tuple[NDArray[np.uint64], int]:
    """Test every row; arguments and results are those of the core's function."""

    def test_row(i: int) -> bool:
        row = scores[i]
        if order == "unknown":
            row = permuted(row, len(row), seed, first_row + i)
        record = DrawRecord(a, b, side)
        if record.guess(row[None, :n_guess]) >= 0 or record.add(row[None, n_guess:]) >= 0:
            return False
        for j, (target, at) in enumerate(zip(targets.tolist(), r.tolist(), strict=True)):
            if not chained[j] or shown[i, j - 1]:
                shown[i, j] = EProcess(target, at).advance(record, alpha)
        return True

    shown = np.zeros((len(scores), len(targets)), np.uint64)
    with ThreadPoolExecutor(threads) as pool:
        valid = list(pool.map(test_row, range(len(scores))))
    return shown, -1 if all(valid) else valid.index(False)
