"""Noise levels of single inputs, and the balls on which they are constant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from smoothbound.bounds._certificate import Certificate

__all__ = ["ended", "groups", "joined", "within"]

Vector = NDArray[np.float64]
Made = TypeVar("Made", bound=Certificate)


def groups(sigma: Vector, *, in_succession: bool) -> list[NDArray[np.int64]]:
    """Return the rows of each group with the same noise level.

    Parameters
    ----------
    sigma : ndarray of float64, shape (n_inputs,)
    in_succession : bool
        Whether the rows of a group must be consecutive, which permutations keyed by the number of
        the row need.

    Examples
    --------
    >>> groups(np.array([0.5, 0.25, 0.5]), in_succession=False)
    [array([1]), array([0, 2])]
    >>> groups(np.array([0.5, 0.5, 0.25]), in_succession=True)
    [array([0, 1]), array([2])]
    """
    if in_succession:
        return np.split(np.arange(sigma.size), np.flatnonzero(np.diff(sigma)) + 1)
    order = np.argsort(sigma, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(sigma[order])) + 1)


def joined(parts: Sequence[tuple[NDArray[np.int64], Made]], sigma: Vector) -> Made:
    """Join the certificates of groups to that of all inputs; its settings have the least sigma."""
    columns: dict[str, Any] = {}
    for name, values in parts[0][1]._parts():
        if values is None:
            columns[name] = None
            continue
        columns[name] = np.empty((sigma.size, *values.shape[1:]), values.dtype)
        for rows, certificate in parts:
            columns[name][rows] = getattr(certificate, name)
    least = min((certificate for _, certificate in parts), key=lambda one: one.settings.sigma)
    return replace(least, **columns | {"sigma": sigma})


def within(certificate: Made, constant_within: Vector) -> Made:
    """Restrict a certificate to the balls around the inputs on which sigma is constant.

    Nothing is known about the smoothed classifier beyond these balls. Bounds there become the ends
    of the range (0 and 1 for a probability), and certified radii are capped. Bounds of an input
    that failed stay NaN.

    Examples
    --------
    >>> import smoothbound as sb
    >>> cert = sb.certify_scores(np.full((1, 500), 0.9), sigma=1, radii=[0, 1], thresholds=[0.5])
    >>> near = within(cert, np.array([0.5]))
    >>> near.lower[0, 0] == cert.lower[0, 0], near.lower[0, 1], near.radius[0, 0]
    (np.True_, np.float64(0.0), np.float64(0.5))
    """
    of = certificate.settings
    a, b = certificate.limits_of("lower", of)
    lower, upper, radius = certificate.lower, certificate.upper, certificate.radius
    levels = (1,) * (len(certificate.shape_of("lower", of)) - 1)  # of probabilities and quantiles
    reach = constant_within.reshape(-1, *levels, 1)
    return replace(
        certificate,
        lower=None if lower is None else ended(lower, a, of.radii, constant_within),
        upper=None if upper is None else ended(upper, b, of.radii, constant_within),
        radius=None if radius is None else np.minimum(radius, reach),
        constant_within=constant_within,
    )


def ended(
    bounds: NDArray[np.float64], end: float, radii: Sequence[float], constant_within: Vector
) -> NDArray[np.float64]:
    """Return bounds that are an end of the range at radii beyond a distance; NaN stays.

    Parameters
    ----------
    bounds : ndarray of float64, shape (n_inputs, ..., n_radii)
    end : float
    radii : sequence of float, length n_radii
    constant_within : ndarray of float64, shape (n_inputs,)
    """
    beyond = np.array(radii) > constant_within.reshape(-1, *(1,) * (bounds.ndim - 1))
    return np.where(beyond & ~np.isnan(bounds), end, bounds)
