"""The base class of curves, which bound the probability of an event within a radius."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smoothbound._utils import checks

__all__ = ["Curve", "Vector"]

Vector = NDArray[np.float64]


class Curve(ABC):
    """A binary certificate: the function psi_R of one noise and one measure of distance.

    If an event has the probability p under the noise around x, it has at least the probability
    psi_R(p) under the noise around any x' within R of x. This is all that Theorem 2 needs to know
    about the noise (docs/other-noises.md). psi_R does not decrease in p or increase in R, and
    psi_0(p) = p.

    Attributes
    ----------
    name : str
        The name for ``curve=``, ``--curve`` and files.
    distance : str
        The distance that radii measure, such as ``"l1"``.
    axis : str
        Label of the axis of the radius in figures.
    meaning : str
        Description of sigma and R for reports.
    has_scale : bool
        Whether ``sigma`` is the scale of the noise, so that psi depends only on R / sigma. Without
        a scale, R has units of its own, and `sigma` must be left out.
    convex : bool
        Whether psi_R is convex, which Theorem 1 (``bound="mean"``) needs.
    """

    distance: ClassVar[str] = ""
    axis: ClassVar[str] = "radius R"
    has_scale: ClassVar[bool] = True

    @property
    @abstractmethod
    def name(self) -> str: ...

    @property
    def meaning(self) -> str:
        return "The scale of the noise and the radius, in its distance."

    @property
    def convex(self) -> bool:
        return True

    @property
    def size(self) -> int:
        """The number of numbers that the curve holds."""
        return 0

    def lower(self, p: ArrayLike, radius: float, sigma: float = 1.0) -> Vector:
        """Return psi_R(p), rounded down, elementwise.

        Parameters
        ----------
        p : array-like
            Probabilities, or lower bounds on them, in [0, 1].
        radius : float
            R, >= 0, in the distance of the curve.
        sigma : float
            The scale of the noise, > 0, in the units of R; 1 for a curve without a scale.

        Returns
        -------
        ndarray of float64, in the shape of `p`

        Raises
        ------
        TypeError, ValueError
            If an argument has the wrong type or is outside the range stated above, or the radius is
            larger than those of the curve's table.

        Examples
        --------
        >>> from smoothbound import curves
        >>> curves.curve("l1-uniform").lower([0.5, 1.0], radius=0.5).round(6).tolist()
        [0.25, 0.75]
        """
        at = self._probabilities(p)
        return self.between(at, _up(1.0 - at), self.scaled(radius, sigma))

    def upper(self, p: ArrayLike, radius: float, sigma: float = 1.0) -> Vector:
        """Return 1 - psi_R(1 - p), rounded up, elementwise: the largest value to which p can rise.

        The arguments, the result and the errors are those of `lower`.

        Examples
        --------
        >>> from smoothbound import curves
        >>> curves.curve("ablation-1-of-4").upper([0.0, 0.5], radius=1).round(6).tolist()
        [0.25, 0.75]
        """
        at = self._probabilities(p)
        lower = self.between(np.maximum(_down(1.0 - at), 0.0), at, self.scaled(radius, sigma))
        return np.where(lower == 0.0, 1.0, np.minimum(_up(1.0 - lower), 1.0))

    @staticmethod
    def _probabilities(p: ArrayLike) -> Vector:
        at = checks.numbers("p", p)
        if not np.all((at >= 0.0) & (at <= 1.0)):
            bad = checks.first_outside(at.ravel(), 0.0, 1.0)
            raise ValueError(f"p must lie in [0, 1], got {at.ravel()[bad]}")
        return at

    def scaled(self, radius: float, sigma: float) -> float:
        """Return R / sigma, rounded up; for a curve without a scale return R after checks."""
        radius = checks.non_negative("radius", radius)
        sigma = checks.positive("sigma", sigma)
        if not self.has_scale:
            if sigma != 1.0:
                raise ValueError(f"sigma must be left out: {self.name} has no scale, got {sigma!r}")
            self.require_radius("radius", radius)
            return radius
        with np.errstate(all="ignore"):
            return 0.0 if radius == 0.0 else float(np.nextafter(np.divide(radius, sigma), np.inf))

    @property
    def farthest(self) -> float:
        """The largest radius of the curve, which is infinite except for a table."""
        return math.inf

    def require_radius(self, name: str, radius: float) -> None:
        """Refuse a radius that is larger than those of the curve."""
        if radius > self.farthest:
            raise ValueError(
                f"{name} must be at most {self.farthest!r}, the largest radius of the curve, got "
                f"{radius!r}"
            )

    def between(self, p: Vector, q: Vector, r: float) -> Vector:
        """Bound psi_r from below at probabilities of at least p and at least 1 - q.

        Near 1 a double holds q = 1 - p more precisely than p.
        """
        if r == 0.0:
            return p
        with np.errstate(all="ignore"):
            return np.minimum(np.maximum(self._between(p, q, r), 0.0), p)

    @abstractmethod
    def _between(self, p: Vector, q: Vector, r: float) -> Vector:
        """Return the result of `between` for r > 0, before it is clipped to [0, p]."""

    def sample(self, x: ArrayLike, n: int, rng: np.random.Generator, sigma: float = 1.0) -> Vector:
        """Return noisy copies of an input, in floating point.

        x + noise is rounded, and certificates do not account for that. Certificates from Gaussian,
        uniform and Laplace copies are therefore not a proof (docs/noise.md). Ablation does not have
        this limitation.

        Parameters
        ----------
        x : array-like of float, of any shape
            The input; for ablation with its channels first, if it has any.
        n : int
            Number of copies, at least 1.
        rng : numpy.random.Generator
        sigma : float
            The scale of the noise, > 0, in the units of x; 1 for a curve without a scale.

        Returns
        -------
        ndarray of float64, shape (n,) + x.shape
            Hidden pixels are NaN.

        Raises
        ------
        TypeError, ValueError
            If an argument has the wrong type or is outside the range stated above, or the noise is
            unknown, as for a table.

        Examples
        --------
        >>> from smoothbound import curves
        >>> rng = np.random.default_rng(0)
        >>> copies = curves.curve("ablation-1-of-3").sample([5.0, 6.0, 7.0], 2, rng)
        >>> copies.shape, np.isnan(copies).sum(axis=1).tolist()
        ((2, 3), [2, 2])
        """
        checks.instance("rng", rng, np.random.Generator)
        self.scaled(0.0, sigma)  # refuses an invalid sigma
        return self._sample(checks.numbers("x", x), checks.count("n", n), rng, sigma)

    def _sample(self, x: Vector, n: int, rng: np.random.Generator, sigma: float) -> Vector:
        raise ValueError(f"curve must be of a noise that is known, got {self.name!r}")

    def plain(self) -> Any:
        """Return the curve as a value for JSON; `curve` reads it back."""
        return self.name

    def for_core(self) -> dict[str, Any]:
        """Return the arguments of the class ``Curve`` of the C++ core."""
        return {"kind": self.name}


def _up(x: Vector) -> Vector:
    return np.nextafter(x, np.inf)


def _down(x: Vector) -> Vector:
    return np.nextafter(x, -np.inf)
