"""Certified probabilities and quantiles."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothbound._display.rounding import exact
from smoothbound.bounds._certificate import Certificate
from smoothbound.bounds._request import Settings

__all__ = ["LevelCertificate"]


@dataclass(frozen=True, eq=False, repr=False)
class LevelCertificate(Certificate):
    """Certified probabilities or quantiles of the scores of many inputs (docs/levels.md).

    It is used like a `Certificate`. Its arrays have one more dimension, for the levels.

    Attributes
    ----------
    settings : Settings
        ``settings.statistic`` and ``settings.levels`` state what is bounded, and ``settings.curve``
        states the noise and the distance.
    lower : ndarray of float64, shape (n_inputs, n_levels, n_radii), or None
        Lower bounds, at every point within the radius, on the probability that a score is at least
        the level, or on every quantile at the level. For a probability, all radii and thresholds of
        one level hold at once, with probability at least 1 - alpha over the draws. Each bound on a
        quantile holds with this probability by itself. If the draws do not bound a quantile at a
        radius, the bound is the end of the range, or -inf without a range.
    upper : ndarray of float64, shape (n_inputs, n_levels, n_radii), or None
        Upper bounds, at every point within the radius, on the probability or on every quantile.
    radius : ndarray of float64, shape (n_inputs, n_levels, n_thresholds), or None
        Certified radii, in the distance of the curve. Within the radius the probability is above
        the threshold, or every quantile is at or above it. NaN if this is not certified at R = 0.
        None without the lower side.

    Examples
    --------
    >>> import smoothbound as sb
    >>> returns = np.random.default_rng(0).normal(10, 2, size=(1, 10_000))
    >>> cert = sb.certify_scores(
    ...     returns, sigma=0.5, radii=[0, 0.25], statistic="quantile", levels=[0.5], sides="both"
    ... )
    >>> cert.lower.shape
    (1, 1, 2)
    >>> cert.lower.round(2).tolist(), cert.upper.round(2).tolist()
    ([[[9.91, 8.92]]], [[[10.09, 11.13]]])
    """

    @classmethod
    def shape_of(cls, name: str, settings: Settings) -> tuple[int, ...]:
        return (len(settings.levels), *super().shape_of(name, settings))

    @classmethod
    def limits_of(cls, name: str, settings: Settings) -> tuple[float, float]:
        if name != "radius" and settings.statistic == "probability":
            return 0.0, 1.0
        return super().limits_of(name, settings)

    def _curves(self) -> tuple[NDArray[Any] | None, NDArray[Any] | None, list[str]]:
        names = getattr(self, "index", range(len(self)))
        labels = [f"{name}, level {exact(t)}" for name in names for t in self.settings.levels]
        rows = len(labels)
        lower, upper = (
            None if values is None else values.reshape(rows, -1)
            for values in (self.lower, self.upper)
        )
        return lower, upper, labels

    def _limits(self) -> tuple[float, float] | None:
        limits = self.limits_of("lower", self.settings)
        return limits if all(map(math.isfinite, limits)) else None

    def flat(self) -> tuple[list[str], list[Any]]:
        """Return the names and the columns of `to_pandas`: ``lower@level@R`` and so on."""
        of = self.settings
        grids = {"lower": of.radii, "upper": of.radii, "radius": of.thresholds}
        names: list[str] = []
        columns: list[Any] = []
        for name, values in self._columns().items():
            if name not in grids:
                names, columns = [*names, name], [*columns, values]
                continue
            places = [(level, at) for level in of.levels for at in grids[name]]
            names += [f"{name}@{exact(level)}@{exact(at)}" for level, at in places]
            columns += list(np.reshape(values, (len(self), -1)).T)
        return names, columns
