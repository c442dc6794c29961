"""Random ablation against a number of changed pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from smoothbound._utils import checks
from smoothbound.curves._curve import Curve, Vector
from smoothbound.curves._l1 import lowered

__all__ = ["MOST_PIXELS", "Ablation"]

MOST_PIXELS = 2**24
_UNIT = 2.0**-53


@dataclass(frozen=True)
class Ablation(Curve):
    """Ablation of all but `kept` of `pixels` pixels against l0: psi_R(p) = max(p - Delta(R), 0).

    The visible pixels are chosen uniformly at random, and R is the number of pixels that may
    change. A pixel is a position with all its channels. Delta(R) = 1 - C(d - R, k) / C(d, k), with
    d pixels of which k are visible, is the probability that a changed pixel is visible. R is
    rounded down to a whole number, because fractions of pixels cannot change.

    Parameters
    ----------
    pixels : int
        d, the number of pixels, at most 2^24.
    kept : int
        k, the number of visible pixels, from 1 to d.

    Raises
    ------
    TypeError, ValueError
        If `pixels` or `kept` is not a whole number, or is out of range.

    References
    ----------
    Levine, Feizi, "Robustness Certificates for Sparse Adversarial Attacks by Randomized Ablation",
    AAAI 2020, Theorem 1.

    Examples
    --------
    >>> Ablation(pixels=784, kept=45).lower([0.5, 0.9], radius=3).round(6).tolist()
    [0.337305, 0.737305]
    """

    distance: ClassVar[str] = "l0"
    axis: ClassVar[str] = "changed pixels R"
    has_scale: ClassVar[bool] = False

    pixels: int
    kept: int

    def __post_init__(self) -> None:
        checks.count("pixels", self.pixels, 1, MOST_PIXELS)
        checks.count("kept", self.kept, 1, self.pixels)

    @property
    def name(self) -> str:
        return f"ablation-{self.kept}-of-{self.pixels}"

    @property
    def meaning(self) -> str:
        return (
            "The number of changed pixels, each with all its channels. The noise hides all but "
            f"{self.kept} of {self.pixels} pixels."
        )

    def _sample(self, x: Vector, n: int, rng: np.random.Generator, sigma: float) -> Vector:
        if x.size % self.pixels or not x.size:
            raise ValueError(
                f"x must have {self.pixels} pixels, each with all its channels, got shape {x.shape}"
            )
        copies = np.full((n, x.size // self.pixels, self.pixels), np.nan)
        for copy in copies:
            kept = rng.choice(self.pixels, self.kept, replace=False)
            copy[:, kept] = x.reshape(-1, self.pixels)[:, kept]
        return copies.reshape(n, *x.shape)

    def _between(self, p: Vector, q: Vector, r: float) -> Vector:
        return p if r < 1.0 else lowered(p, self.loss(math.floor(r)))

    def loss(self, changed: int) -> float:
        """Return Delta, rounded up: the probability that a changed pixel is visible."""
        if changed > self.pixels - self.kept:
            return 1.0
        few, many = sorted((changed, self.kept))  # C(d - R, k) / C(d, k) is symmetric in R and k
        hidden = 1.0
        for i in range(few):
            hidden *= (self.pixels - many - i) / (self.pixels - i) * (1.0 - 4 * _UNIT)
            if hidden < _UNIT:
                return 1.0
        return math.nextafter(1.0 - hidden, math.inf) if changed else 0.0

    def for_core(self) -> dict[str, Any]:
        return {"kind": "ablation", "pixels": self.pixels, "kept": self.kept}
