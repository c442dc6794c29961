"""Gaussian noise against l2 perturbations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import ndtr, ndtri

from smoothbound._display.axes import RADIUS
from smoothbound.curves._curve import Curve, Vector

__all__ = ["CDF_ERROR", "Gaussian"]

_QUANTILE_ERROR = 1e-14  # relative, of scipy.special.ndtri
CDF_ERROR = 4e-13  # relative, of scipy.special.ndtr, far in the tail


@dataclass(frozen=True)
class Gaussian(Curve):
    """Gaussian noise N(0, sigma^2 I) against l2: psi_R(p) = Phi(Phi^-1(p) - R / sigma).

    References
    ----------
    Cohen, Rosenfeld, Kolter, "Certified Adversarial Robustness via Randomized Smoothing",
    ICML 2019, Theorem 1.

    Examples
    --------
    >>> Gaussian().lower([0.5, 0.9], radius=0.25, sigma=0.25).round(6).tolist()
    [0.158655, 0.610856]
    """

    distance: ClassVar[str] = "l2"
    axis: ClassVar[str] = RADIUS

    @property
    def name(self) -> str:
        return "gaussian"

    @property
    def meaning(self) -> str:
        return (
            "The standard deviation of the noise and the ℓ₂ radius, in the units of the network's "
            "input before normalisation."
        )

    def _sample(self, x: Vector, n: int, rng: np.random.Generator, sigma: float) -> Vector:
        return x + rng.normal(scale=sigma, size=(n, *x.shape))

    def _between(self, p: Vector, q: Vector, r: float) -> Vector:
        z = np.where(p < 0.5, ndtri(p), -ndtri(np.minimum(q, 1.0)))
        x = z - np.abs(z) * _QUANTILE_ERROR - r
        x = np.where(np.isinf(z), z, x - np.abs(x) * 2.0**-52)
        return np.asarray(ndtr(x) * (1.0 - CDF_ERROR) - 1e-323)
