"""The change of radii between an input and the lattice point that represents it.

The scores are those of the lattice point x^ next to the input x, at a distance of at most d. A
perturbed input x' within R of x is rounded to the lattice too. Its lattice point is at most d from
x', and thus at most R + 2 d from x^. A certificate for R + 2 d at x^ therefore holds for R at x
(docs/noise.md).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["inward", "outward"]


def outward(radii: ArrayLike, displacement: float) -> NDArray[np.float64]:
    """Return the radii to certify at the lattice point: R + 2 d, rounded up.

    Parameters
    ----------
    radii : array_like of float
        Radii R >= 0 around the input.
    displacement : float
        d >= 0, in the same units; 0 changes nothing.

    Examples
    --------
    >>> outward([0.0, 0.5], 0.0).tolist(), bool(outward([0.5], 0.001)[0] > 0.502)
    ([0.0, 0.5], True)
    """
    radii = np.asarray(radii, np.float64)
    return radii if displacement == 0.0 else np.nextafter(radii + 2.0 * displacement, np.inf)


def inward(radii: ArrayLike, displacement: float) -> NDArray[np.float64]:
    """Return the radii that hold for the input: R - 2 d, rounded down; NaN if that is negative.

    Parameters
    ----------
    radii : array_like of float
        Radii certified at the lattice point; NaN if there is none.
    displacement : float
        d >= 0, in the same units; 0 changes nothing.

    Examples
    --------
    >>> inward([0.5, 0.001, np.nan], 0.001).round(3).tolist()
    [0.498, nan, nan]
    """
    radii = np.asarray(radii, np.float64)
    if displacement == 0.0:
        return radii
    left = np.nextafter(radii - 2.0 * displacement, -np.inf)
    return np.where(left >= 0.0, left, np.nan)
