"""The default radii of certificates."""

from __future__ import annotations

import numpy as np

from smoothbound._utils import checks

__all__ = ["default_radii"]


def default_radii(sigma: float) -> list[float]:
    """Return the multiples of sigma / 4 up to 4 sigma, and those of 0.25 up to min(4, 4 sigma).

    They ascend, and each radius is there once.

    Examples
    --------
    >>> default_radii(0.12)[6:12]
    [0.18, 0.21, 0.24, 0.25, 0.27, 0.3]
    """
    steps = checks.positive("sigma", sigma) / 4 * np.arange(17)
    quarters = 0.25 * np.arange(17)
    # Nine significant digits, because the steps are not exact in binary.
    return sorted({float(f"{r:.9g}") for r in (*steps, *quarters[quarters <= steps[-1]])})
