"""The least value to which a probability can fall within the radius."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smoothbound._utils import checks
from smoothbound.curves._curve import Curve
from smoothbound.curves._named import curve as named
from smoothbound.noise._displaced import outward

__all__ = ["ONE_LEVEL", "Shift"]

ONE_LEVEL = (
    "draw all points at one noise level, because levels that were chosen after a look at the "
    "calibration labels break the exchangeability of calibration and test points, and with it the "
    "guarantee"
)
"""The reason, for errors, why points must not have noise levels of their own."""


@dataclass(frozen=True)
class Shift:
    """The function psi of a curve at one radius, rounded down.

    Parameters
    ----------
    curve : Curve
        The binary certificate of the noise.
    radius, sigma : float
        The radius, and the scale of the noise; 1 for a curve without a scale.

    Examples
    --------
    >>> psi = Shift.of("gaussian", radius=0.5, sigma=0.5)
    >>> psi([0.9, 1.0]).round(4).tolist()
    [0.6109, 1.0]
    """

    curve: Curve
    radius: float
    sigma: float

    @classmethod
    def of(cls, curve: str | Curve, radius: float, sigma: float | None) -> Shift:
        """Return the shift of checked arguments.

        Raises
        ------
        TypeError, ValueError
            If an argument has the wrong type or is out of range, `sigma` is missing for a curve
            with a scale, or `sigma` is given for a curve without one.
        """
        if not isinstance(curve, str | Curve):
            raise TypeError(f"curve must be a name or a Curve, got {checks.shown(curve)}")
        found, at = named(curve), checks.non_negative("radius", radius)
        if sigma is None and found.has_scale:
            raise ValueError(f"sigma must be given: {found.name} noise has a scale")
        if checks.array("sigma", sigma).ndim:
            raise TypeError(f"sigma must be a number, got {checks.shown(sigma)}; {ONE_LEVEL}")
        scale = 1.0 if sigma is None else checks.positive("sigma", sigma)
        found.scaled(at, scale)
        return cls(found, at, scale)

    def farther(self, displacement: float) -> Shift:
        """Return the shift for points that represent inputs at most this far away.

        Examples
        --------
        >>> Shift.of("gaussian", 0.5, 1.0).farther(0.25).radius
        1.0000000000000002
        """
        if displacement == 0.0:
            return self
        return Shift.of(self.curve, float(outward(self.radius, displacement)), self.stated_sigma)

    @property
    def stated_sigma(self) -> float | None:
        """The scale of the noise; None for a curve without a scale."""
        return self.sigma if self.curve.has_scale else None

    def __call__(self, p: ArrayLike) -> NDArray[np.float64]:
        return self.curve.lower(p, self.radius, self.sigma)
