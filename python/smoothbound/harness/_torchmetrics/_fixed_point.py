"""Sums of bounds in whole units, which do not depend on the order or the number of processes."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["UNITS", "float32_below", "mean_of_rows", "whole_units"]

UNITS = 2**32
"""Units in 1. The sum of 2^30 numbers below 2 fits into int64."""


def whole_units(values: ArrayLike) -> NDArray[np.int64]:
    """Return finite numbers in units, rounded down.

    Examples
    --------
    >>> whole_units([1.0, -0.5, 2.0**-33]).tolist()
    [4294967296, -2147483648, 0]
    """
    return np.floor(np.asarray(values, np.float64) * UNITS).astype(np.int64)  # exact but for floor


def mean_of_rows(sums: NDArray[np.int64], counts: NDArray[np.int64]) -> list[Fraction] | None:
    """Return the mean over the rows of the mean of each row, exactly.

    Parameters
    ----------
    sums : ndarray of int64, shape (n_rows, n_values)
        Sums in units.
    counts : ndarray of int64, shape (n_rows,)
        Number of terms in each sum; a row of 0 terms is left out.

    Returns
    -------
    list of Fraction or None
        One mean for each value; None if there is no row.

    Examples
    --------
    >>> mean_of_rows(np.array([[UNITS], [UNITS], [0]]), np.array([1, 3, 0]))
    [Fraction(2, 3)]
    """
    found, n_rows = [Fraction(0)] * sums.shape[1], int((counts > 0).sum())
    if not n_rows:
        return None
    for count in np.unique(counts[counts > 0]).tolist():
        for j, total in enumerate(sums[counts == count].sum(axis=0).tolist()):
            found[j] += Fraction(total, count * n_rows * UNITS)
    return found


def float32_below(value: Fraction) -> np.float32:
    """Return the largest number of float32 that is not above `value`.

    Examples
    --------
    >>> bool(float32_below(Fraction(1, 10)) < 0.1), float(float32_below(Fraction(3, 4)))
    (True, 0.75)
    """
    near = np.float32(float(value))
    below: np.float32 = np.nextafter(near, np.float32(-np.inf))
    return below if Fraction(float(near)) > value else near
