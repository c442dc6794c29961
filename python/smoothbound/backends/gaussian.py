"""The standard normal distribution function and its inverse, as the bounds use them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from smoothbound._utils import checks
from smoothbound.backends import _select as backends

__all__ = ["cdf", "quantile"]


def cdf(z: ArrayLike) -> NDArray[np.float64]:
    """Return Phi(z) = P(N(0, 1) <= z), elementwise, for every double.

    In the C++ core the error is at most 2e-15 of the result, plus one subnormal step where the
    result is subnormal (below z = -37.5); without the core, `scipy.special.ndtr`.

    Examples
    --------
    >>> cdf([-np.inf, 0.0, np.inf]).tolist()
    [0.0, 0.5, 1.0]
    """
    x = checks.numbers("z", z)
    if backends.resolve(None) == "cpp":
        return np.asarray(backends.load("cpp").cdf(x))
    return np.asarray(ndtr(x))


def quantile(p: ArrayLike) -> NDArray[np.float64]:
    """Return Phi^-1(p), elementwise: -inf at 0, inf at 1, NaN outside [0, 1].

    In the C++ core the relative error is at most 2e-15 over (0, 1), subnormals included; without
    the core, `scipy.special.ndtri`.

    References
    ----------
    Wichura, "Algorithm AS 241: The percentage points of the normal distribution", 1988.

    Examples
    --------
    >>> quantile([0.0, 0.5, 1.0]).tolist()
    [-inf, 0.0, inf]
    """
    x = checks.numbers("p", p)
    if backends.resolve(None) == "cpp":
        return np.asarray(backends.load("cpp").quantile(x))
    return np.asarray(ndtri(x))
