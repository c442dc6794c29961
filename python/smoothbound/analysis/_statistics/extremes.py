"""The least and greatest Brier score and calibration error that intervals of confidence allow.

A confidence c lies between `lower`, in both cases, and `wrong` if its class is wrong, or `right` if
it is the label; -inf means that this case is impossible. docs/calibration.md has the proofs.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

__all__ = ["brier_range", "ece_range", "ece_range_of_predicted"]

Floats = NDArray[np.float64]

_PLUS, _MINUS = 0, 1
_CHUNK = 2**18  # numbers in the largest temporary array


def brier_range(lower: Floats, wrong: Floats, right: Floats) -> tuple[float, float]:
    """Return the smallest and largest Brier score, at the ends because (c - a)^2 is convex in c."""
    worst = np.maximum(wrong, np.where(right >= 0.0, 1.0 - lower, 0.0))
    least = np.minimum(1.0 - right, np.where(wrong >= 0.0, lower, np.inf))
    return _outward(float(np.mean(least**2)), float(np.mean(worst**2)), len(lower))


def ece_range(lower: Floats, wrong: Floats, right: Floats, n_bins: int) -> tuple[float, float]:
    """Bound the calibration error, which lies between -F(s) / n, for any s, and max F / n."""
    every = _support(lower, wrong, right, [(_PLUS, _MINUS)] * n_bins)
    n = len(lower)
    return _outward(-float(every.min()) / n, float(every.max()) / n, n)


def ece_range_of_predicted(
    lower: Floats, wrong: Floats, right: Floats, n_bins: int
) -> tuple[float, float]:
    """Bound the calibration error where each input with `lower` up to 1/2 may be right there.

    F is then largest with a plus in all bins up to 1/2, so only the other signs are tried.
    """
    low = n_bins // 2
    high = [(_PLUS, _MINUS)] * (n_bins - low)
    least = -_support(lower, wrong, right, [*[(_MINUS,)] * low, *high]).min()
    most = _support(lower, wrong, right, [*[(_PLUS,)] * low, *high]).max()
    return _outward(float(least) / len(lower), float(most) / len(lower), len(lower))


def _outward(low: float, high: float, n: int) -> tuple[float, float]:
    """Widen bounds on the mean of `n` terms by its rounding error, within [0, 1].

    A term is computed from floats in [0, 1] by at most four roundings: 1 - lower, a difference, a
    square (which doubles earlier errors) and the edge of a bin. Its error is therefore at most 4 *
    2^-53. The error of a sum of `n` terms of size up to 1, in any order, is at most n * 2^-53 of
    the sum of their sizes, to first order. The error of the mean is therefore at most n * 2^-53,
    and that of its division by `n` is 2^-53. Twice (n + 5) * 2^-53 is more than the total with the
    higher orders.
    """
    margin = (n + 5) * 2.0**-52
    return max(low - margin, 0.0), min(high + margin, 1.0)


def _support(
    lower: Floats, wrong: Floats, right: Floats, signs: Sequence[tuple[int, ...]]
) -> Floats:
    """Return F(s), the largest value of s_1 S_1 + ... + s_M S_M, for all s of the given signs.

    S_b is the sum of (a - c) over the inputs in bin b. Inputs that can reach the same bins form a
    group, because their part of F depends only on the signs of those bins.

    Returns
    -------
    ndarray, shape (number of s,)
        The sign of the first bin changes last.
    """
    edges = np.arange(len(signs) + 1) / len(signs)
    # Bins are closed and wider by a rounding, so a confidence on an edge counts in either bin.
    starts, ends = np.nextafter(edges[:-1], -1.0), np.nextafter(edges[1:], 2.0)
    first = np.searchsorted(ends, lower, side="left")
    last = np.searchsorted(starts, np.maximum(wrong, right), side="right") - 1
    total = np.zeros(prod(map(len, signs)))
    for span in np.unique(first * len(signs) + last).tolist():
        b, e = divmod(span, len(signs))
        bins = list(zip(starts.tolist(), ends.tolist(), signs, strict=True))[b : e + 1]
        view = total.reshape(prod(map(len, signs[:b])), prod(map(len, signs[b : e + 1])), -1)
        rows = np.flatnonzero((first == b) & (last == e))
        size = max(_CHUNK // view.shape[1], 1)
        for at in (rows[i : i + size] for i in range(0, len(rows), size)):
            view += _group_support(lower[at], wrong[at], right[at], bins)[:, None]
    return total


def _group_support(
    lower: Floats,
    wrong: Floats,
    right: Floats,
    bins: Sequence[tuple[float, float, tuple[int, ...]]],
) -> Floats:
    """Return F of inputs that can reach all `bins` (start, end, signs), over their signs."""
    best = np.full((1, len(lower)), -np.inf)
    for start, end, signs in bins:
        gains = _gains(lower, wrong, right, start, end)
        longer = np.empty((len(best), len(signs), len(lower)))
        for i, sign in enumerate(signs):
            np.maximum(best, gains[sign], out=longer[:, i])
        best = longer.reshape(-1, len(lower))
    sums: Floats = best.sum(axis=1)
    return sums


def _gains(
    lower: Floats, wrong: Floats, right: Floats, start: float, end: float
) -> tuple[Floats, Floats]:
    """Return the largest a - c (_PLUS) and the largest c - a (_MINUS) with c in [start, end]."""
    rise = np.where(right >= start, 1.0, 0.0) - np.maximum(lower, start)
    fall = np.where(wrong >= start, np.minimum(wrong, end), np.minimum(right, end) - 1.0)
    return rise, fall
