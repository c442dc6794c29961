"""Independent noise in each coordinate against l1 perturbations."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from smoothbound.curves._curve import Curve, Vector

__all__ = ["L1Laplace", "L1Uniform", "lowered"]

_FEW_UNITS = 8 * 2.0**-53  # more than a few roundings, each of half a unit


@dataclass(frozen=True)
class L1Uniform(Curve):
    """Uniform noise on [-sigma, sigma]^d against l1: psi_R(p) = max(p - R / (2 sigma), 0).

    References
    ----------
    Yang, Duan, Hu, Salman, Razenshteyn, Li, "Randomized Smoothing of All Shapes and Sizes",
    ICML 2020; Lee, Yuan, Chang, Jaakkola, "Tight Certificates of Adversarial Robustness for
    Randomly Smoothed Classifiers", NeurIPS 2019. docs/other-noises.md has a proof.

    Examples
    --------
    >>> L1Uniform().lower([0.5, 0.9], radius=0.25, sigma=0.5).round(6).tolist()
    [0.25, 0.65]
    """

    distance: ClassVar[str] = "l1"
    axis: ClassVar[str] = "ℓ₁ radius R (units of the input)"

    @property
    def name(self) -> str:
        return "l1-uniform"

    @property
    def meaning(self) -> str:
        return (
            "Half the width of the uniform noise and the ℓ₁ radius, in the units of the network's "
            "input before normalisation."
        )

    def _sample(self, x: Vector, n: int, rng: np.random.Generator, sigma: float) -> Vector:
        return x + rng.uniform(-sigma, sigma, size=(n, *x.shape))

    def _between(self, p: Vector, q: Vector, r: float) -> Vector:
        return lowered(p, 0.5 * r)


@dataclass(frozen=True)
class L1Laplace(Curve):
    """Laplace noise, of density exp(-abs(t) / sigma) / (2 sigma) in each coordinate, against l1.

    With E = exp(-R / sigma), psi_R(p) is E p for p <= 1/2, E / (4 (1 - p)) up to p = 1 - E / 2, and
    1 - (1 - p) / E beyond.

    References
    ----------
    Teng, Lee, Yuan, "l1 Adversarial Robustness Certificates: a Randomized Smoothing Approach",
    2020; Yang et al., ICML 2020. docs/other-noises.md has a proof.

    Examples
    --------
    >>> L1Laplace().lower([0.5, 0.9], radius=0.25, sigma=0.5).round(6).tolist()
    [0.303265, 0.835128]
    """

    distance: ClassVar[str] = "l1"
    axis: ClassVar[str] = "ℓ₁ radius R (units of the input)"

    @property
    def name(self) -> str:
        return "l1-laplace"

    @property
    def meaning(self) -> str:
        return (
            "The scale of Laplace's noise and the ℓ₁ radius, in the units of the network's input "
            "before normalisation."
        )

    def _sample(self, x: Vector, n: int, rng: np.random.Generator, sigma: float) -> Vector:
        return x + rng.laplace(scale=sigma, size=(n, *x.shape))

    def _between(self, p: Vector, q: Vector, r: float) -> Vector:
        # A smaller E belongs to a larger radius, whose bound holds here too.
        e = math.exp(-r) * (1.0 - _FEW_UNITS)
        if e < 1e-300:  # the rounding of numbers this small is not relative
            return np.zeros_like(p)
        # The factors of one radius come first: two steps for each p, and a rounding in each.
        middle = 0.25 * e * (1.0 - _FEW_UNITS) / np.maximum(q, 0.5 * e)
        steep = (1.0 - 2.0**-53) - q * ((1.0 + _FEW_UNITS) / e)  # 1 - 2^-53 is a double
        flat = p * (e * (1.0 - _FEW_UNITS)) - 5e-324
        return np.where(q >= 0.5, flat, np.where(q >= 0.5 * e, middle, steep))


def lowered(p: Vector, loss: float) -> Vector:
    """Return p - loss, rounded down, where it is at least 0; elsewhere something below 0.

    Let u = 2^-53. Where the result is at least 0, loss + 4 u errs by u at most, because it is below
    2, and the difference by u / 2. ``numpy.nextafter`` would take ten times as long.
    """
    return p - (loss + 4.0 * 2.0**-53)
