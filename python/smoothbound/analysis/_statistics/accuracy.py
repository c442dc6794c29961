"""Certified accuracy of many inputs, as a function of the radius and of the threshold."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np

from smoothbound._display.rounding import exact, percent
from smoothbound._utils import checks
from smoothbound.analysis._statistics.rows import Bounds, Floats, Ints, Rows
from smoothbound.analysis._statistics.steps import Steps

__all__ = ["UNKNOWN", "AccuracyCurves", "share"]

UNKNOWN = -1
"""The count of inputs at a radius and threshold at which nothing was computed."""


class AccuracyCurves(ABC):
    """Certified accuracy as a function of the radius and of the threshold, from `rows`.

    `Evaluation` is one. Every function goes through the inputs once, many at a time.

    Attributes
    ----------
    name : str
        Its name in errors.
    score_range : tuple of float
        Range (a, b) of the measure; that of a quantile may be infinite.
    axis : tuple of float or None
        The finite part of the range that is shown, by default all.
    radii : ndarray, shape (n_radii,)
        Radii of `Bounds.lower`, increasing.
    thresholds : ndarray, shape (n_thresholds,)
        Thresholds of `Bounds.radius`.
    adaptive : bool
        Whether drawing stopped once the question about `thresholds` was answered.
    """

    name: str
    score_range: tuple[float, float]
    axis: tuple[float, float] | None
    radii: Floats
    thresholds: Floats
    adaptive: bool

    @property
    @abstractmethod
    def n_inputs(self) -> int:
        """Number of inputs."""

    @abstractmethod
    def rows(
        self,
        bounds: Bounds | None = None,
        *,
        lower: bool = False,
        radius: bool = False,
        class_radius: bool = False,
    ) -> Iterator[Rows]:
        """Yield all inputs in order, in parts, with the requested data of `bounds`."""

    @property
    def shown_range(self) -> tuple[float, float]:
        """The range of the measure, or the part of it that `axis` states."""
        return self.score_range if self.axis is None else self.axis

    def threshold_at(self, fraction: float) -> float:
        """Return the threshold at this fraction of the range of the measure that is shown."""
        a, b = self.shown_range
        digits = 12 if self.axis is None else 2 - math.floor(math.log10(b - a))
        return float(round(a + (b - a) * checks.probability("fraction", fraction), digits))

    def checked_threshold(self, threshold: float) -> float:
        """Return a threshold as a float after checks that it lies strictly inside the range."""
        return float(checks.thresholds("threshold", [threshold], self.score_range)[0])

    def column(self, radius: float) -> int:
        """Return the position among the radii of the one nearest to `radius`.

        The two may differ by a billionth of the radius, like decimals that are computed in two
        ways. The certificates are for the radius at this position.

        Raises
        ------
        ValueError
            If nothing was certified at that radius. The error lists the certified radii.
        """
        radius = checks.number("radius", radius)
        nearest = int(np.argmin(np.abs(self.radii - radius)))
        if not math.isclose(self.radii[nearest], radius, rel_tol=1e-9):
            known = ", ".join(map(exact, self.radii))
            raise ValueError(f"radii: {self.name} has no bound at {exact(radius)}; it has {known}")
        return nearest

    def tells(self, threshold: float) -> bool:
        """Whether the draws answer the question about this threshold; true unless adaptive."""
        return not self.adaptive or checks.number("threshold", threshold) in self.thresholds

    def counts(self, bounds: Bounds, thresholds: Sequence[float]) -> Ints:
        """Count the correct inputs certified strictly above each threshold at each radius.

        Returns
        -------
        ndarray of int64, shape (n_radii, n_thresholds)
        """
        checks.instance("bounds", bounds, Bounds)
        at = checks.vector("thresholds", thresholds)
        counts = np.zeros((len(self.radii), len(at)), np.int64)
        for rows in self.rows(bounds, lower=True):
            assert rows.lower is not None
            correct = rows.lower[rows.correct]
            for j, c in enumerate(at):
                counts[:, j] += (correct > c).sum(axis=0, dtype=np.int64)
        return counts

    def counts_at(self, bounds: Bounds, threshold: float, radii: Sequence[float] | Floats) -> Ints:
        """Count the correct inputs certified above `threshold` within each of any `radii`.

        A radius between two at which bounds are known counts as the larger one. Beyond the last
        radius, the count is known only if each input's certified radius is known, or if no input
        is certified at the last radius.

        Returns
        -------
        ndarray of int64, shape (len(radii),)
            `UNKNOWN` where nothing was computed.
        """
        radii = checks.radii("radii", radii)
        if not self.tells(threshold):
            return np.full(len(radii), UNKNOWN, np.int64)
        place = self._searched(bounds, self.checked_threshold(threshold))
        if place is not None:
            return self._reached(bounds, place, np.maximum(radii, self.radii[0]))
        counts = self.counts(bounds, [threshold])[:, 0]
        beyond = UNKNOWN if counts[-1] else 0
        found: Ints = np.append(counts, beyond)[np.searchsorted(self.radii, radii, side="left")]
        return found

    def by_radius(self, bounds: Bounds, threshold: float) -> tuple[Floats, Floats, bool]:
        """Return the certified accuracy at `threshold` as a function of the radius.

        The function never increases. It is constant on (R_i-1, R_i], because between two radii at
        which it is known, only the value at the *larger* one is certified.

        Returns
        -------
        radius, accuracy : ndarray, shape (n_steps,)
            Radii R_i, the first of which is the smallest of `radii`, and the value at each.
        exact : bool
            True if it comes from every input's certified radius, False if from the `radii`.
        """
        threshold = self.checked_threshold(threshold)
        place = self._searched(bounds, threshold)
        if place is None:
            counts = self.counts(bounds, [threshold])[:, 0]
            return self.radii, counts / self.n_inputs, False
        steps = Steps()
        for reach in self._reach(bounds, place):
            steps.add(reach[reach >= self.radii[0]])  # NaN compares False
        radius, counts = steps.values, steps.at_least
        if not len(radius) or radius[0] > self.radii[0]:
            radius = np.insert(radius, 0, self.radii[0])
            counts = np.insert(counts, 0, counts[0] if len(counts) else 0)
        return radius, counts / self.n_inputs, True

    def by_threshold(self, bounds: Bounds, radius: float) -> tuple[Floats, Floats]:
        """Return the certified accuracy at `radius` as a function of the threshold.

        The function is exact at every threshold, and constant on [c_i, c_i+1).

        Returns
        -------
        threshold, accuracy : ndarray, shape (n_steps,)
            Thresholds c_i, from one end of the shown range to the other, and the value at each.
        """
        checks.instance("bounds", bounds, Bounds)
        column, steps = self.column(radius), Steps()
        for rows in self.rows(bounds, lower=True):
            assert rows.lower is not None
            lower = rows.lower[rows.correct, column]
            steps.add(lower[~np.isnan(lower)])
        at = np.union1d(steps.values[np.isfinite(steps.values)], self.shown_range)
        counts = np.append(steps.total, steps.above)
        counts = counts[np.searchsorted(steps.values, at, side="right")]
        return at, counts / self.n_inputs

    def reach(self, bounds: Bounds, threshold: float) -> Floats | None:
        """Return the certified radius of each input for a threshold; None if it is not known."""
        place = self._searched(bounds, threshold)
        return None if place is None else np.concatenate([*self._reach(bounds, place, all_=True)])

    def _searched(self, bounds: Bounds, threshold: float) -> int | None:
        """Return the position of a threshold whose radii were searched; None if they were not."""
        checks.instance("bounds", bounds, Bounds)
        at = np.flatnonzero(self.thresholds == checks.number("threshold", threshold))
        return int(at[0]) if bounds.has_radius and len(at) else None

    def _reach(self, bounds: Bounds, place: int, *, all_: bool = False) -> Iterator[Floats]:
        """Yield the certified radii at a threshold of all inputs or of the correct ones."""
        for rows in self.rows(bounds, radius=True):
            assert rows.radius is not None
            yield rows.radius[:, place] if all_ else rows.radius[rows.correct, place]

    def _reached(self, bounds: Bounds, place: int, radii: Floats) -> Ints:
        """Count the correct inputs whose certified radius is at least each of some radii."""
        counts = np.zeros(len(radii), np.int64)
        for reach in self._reach(bounds, place):
            known = np.sort(reach[np.isfinite(reach)])
            counts += len(known) - np.searchsorted(known, radii, side="left")
        return counts


def share(count: int, total: int) -> str:
    """Return a count of inputs in percent, or a dash if it is not known.

    Examples
    --------
    >>> share(177, 500), share(UNKNOWN, 500)
    ('35.4', '–')
    """
    return "–" if checks.count("count", count, UNKNOWN) == UNKNOWN else percent(count, total)
