"""Verification of certificates of a fixed number of draws, from the counts of their scores.

The counts do not determine where in its cell a score lies. The bound of Theorem 2 does not decrease
when a score increases. The counts therefore prove the bound of scores that are moved to the lower
edge of their cells, and the largest bound that they allow is that of scores moved to the upper
edge. A stated bound holds if it is not above the first, and does not hold if it is above the
second. Between the two it is consistent with the counts; the difference is at most the width of a
cell.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from smoothbound._display.rounding import exact
from smoothbound._utils.checks import SUM_TOLERANCE
from smoothbound.backends import reference
from smoothbound.bounds import _band as bands
from smoothbound.bounds._method import Method
from smoothbound.errors import StoreError
from smoothbound.store._settings import RunSettings
from smoothbound.store._table import packed_counts
from smoothbound.store._table.schema import SKETCH_EDGES
from smoothbound.verify._verification import Finding, Verification

__all__ = ["CountsVerifier", "class_radius_findings", "shown"]

Vector = NDArray[np.float64]
Bound = Callable[[Vector], Vector]

_BELOW = 1e-9  # of the range or of sigma: a backend may be this much lower than the reference
_RADIUS_STEP = 1e-6  # of sigma: a radius may be this much smaller than that of the reference
_ROUNDING = 1e-12  # of the range: two sums of the same scores may differ by this
# Why the counts of cells do not determine a bound.
_TANGENT = "rests on which draws were the first ones, and counts keep no order"
_NEEDS = {
    "betting": "depends on the order of the draws, which counts do not keep",
    "bernstein": "depends on the variance of the scores, which counts of cells only bound",
}


@dataclass(frozen=True)
class _Bounds:
    """The bounds of one input by one method at each r = R / sigma.

    `proved` is the largest bound that the counts prove. `allowed` is the largest and `least` the
    smallest bound that they allow.
    """

    proved: Bound
    allowed: Bound
    least: Bound


class _Scores:
    """The counted scores of one input: the numbers of draws at each edge."""

    def __init__(self, edges: Vector, counts: NDArray[np.uint32]) -> None:
        self.edges, self.n = edges, int(counts.sum())
        wide = counts.astype(np.int64)
        self.at_edge, self.between = wide[::2], wide[1::2]
        down, up = self.at_edge.copy(), self.at_edge.copy()
        down[:-1] += self.between
        up[1:] += self.between
        # The draws up to each edge if scores are at the lower, or at the upper, edge of their
        # cells.
        self.up_to_down, self.up_to_up = np.cumsum(down), np.cumsum(up)

    @cached_property
    def at_least(self) -> NDArray[np.int64]:
        """Number of draws at or above each edge."""
        return np.asarray(self.n - self.up_to_down + self.at_edge + np.append(self.between, 0))

    def above(self, edge: int) -> int:
        """Return the number of draws above an edge."""
        return int(self.at_least[edge] - self.at_edge[edge])

    def mean_from_below(self) -> float:
        """Return the mean of the scores at the lower edges of their cells."""
        return math.fsum(np.diff(self.up_to_down, prepend=0) * self.edges) / self.n


class CountsVerifier:
    """Verifies rows of a run with a fixed number of draws.

    Parameters
    ----------
    settings : RunSettings
    found : Verification
        Receives the outcomes.
    """

    def __init__(self, settings: RunSettings, found: Verification) -> None:
        self._settings, self._found = settings, found
        self._edges = np.linspace(*settings.score_range, SKETCH_EDGES)
        self._tables = {
            method.name: self._table(method) for method in settings.methods if method.bound == "cdf"
        }
        self._r = (np.array(settings.radii) + 2.0 * settings.displacement) / settings.sigma
        self._r_zero = np.array([2.0 * settings.displacement / settings.sigma])

    def _table(self, method: Method) -> Vector:
        """Return Phi^-1 of the bound on the survival function, for each count of draws."""
        n, alpha, level = self._settings.n, self._settings.alpha, None
        if method.band == "ell":
            n_bins = min(method.n_bins or 0, n)
            level = bands.level_of(n, alpha, n_bins)
            failure = reference.ell_failure(n, level, n_bins or None)
            if not failure <= alpha:
                raise StoreError(
                    f"the band of {method.name} fails with probability {failure:.6g} by the "
                    f"reference, and {alpha:g} is stated"
                )
        return np.asarray(
            ndtri(reference.survival_bounds(n, alpha, level, method.n_bins)), np.float64
        )

    def row(self, row: Mapping[str, Any]) -> list[Finding]:
        """Verify the row of one input; return the findings."""
        index = int(row["index"])
        if row["status"] == "failed":
            return self._of_failed(index, row)
        scores = self._scores(index, row)
        if isinstance(scores, Finding):
            return [scores]
        if scores is None:
            self._without_counts()
            return []
        findings = self._votes(index, row, scores)
        at_zero: _Bounds | None = None
        for method in self._settings.methods:
            bounds = self._bounds(method, row, scores)
            at_zero = bounds
            if bounds is None:
                self._unknown(method)
                continue
            findings += self._lower(index, method, row[f"lower_{method.name}"], bounds)
            findings += self._radius(index, method, row[f"radius_{method.name}"], bounds)
        if at_zero is not None:
            findings += self._status(index, row, at_zero)
        return findings

    # What an input has

    def _scores(self, index: int, row: Mapping[str, Any]) -> _Scores | Finding | None:
        if not row["sketch"]:
            return None
        try:
            counts = packed_counts.unpack(row["sketch"], 2 * SKETCH_EDGES - 1)
        except ValueError as error:
            return Finding(index, "sketch", f"is damaged: {error}")
        n, stated = int(counts.sum(dtype=np.int64)), int(row["n_draws"])
        if not n == stated == self._settings.n:
            words = f"counts {n} draws, n_draws is {stated}, and the run made {self._settings.n}"
            return Finding(index, "sketch", words)
        return _Scores(self._edges, counts)

    def _of_failed(self, index: int, row: Mapping[str, Any]) -> list[Finding]:
        names = [
            "class_radius",
            *(f"{kind}_{m.name}" for m in self._settings.methods for kind in ("lower", "radius")),
        ]
        return [
            Finding(index, name, "is stated, and the input failed")
            for name in names
            if not np.isnan(row[name]).all()
        ]

    def _without_counts(self) -> None:
        reason = "no counted scores were kept"
        for method in self._settings.methods:
            self._found.cannot(f"lower_{method.name}", len(self._settings.radii), reason)
            self._found.cannot(f"radius_{method.name}", len(self._settings.thresholds), reason)
        self._found.cannot("class_radius", 1, reason)

    def _unknown(self, method: Method) -> None:
        needs = _TANGENT if method.splits_pilot else _NEEDS[method.mean or ""]
        reason = f"{method.label} {needs}"
        self._found.cannot(f"lower_{method.name}", len(self._settings.radii), reason)
        self._found.cannot(f"radius_{method.name}", len(self._settings.thresholds), reason)

    # Bounds

    def _bounds(self, method: Method, row: Mapping[str, Any], scores: _Scores) -> _Bounds | None:
        """Return the bounds of an input by a method; None if the counts do not determine them."""
        if method.bound == "cdf":
            return self._by_distribution(method, scores)
        if method.bound == "mean" and method.mean == "hoeffding":
            return self._by_mean(float(row["mean_score"]), scores)
        return None

    def _by_distribution(self, method: Method, scores: _Scores) -> _Bounds:
        z, edges, n = self._tables[method.name], self._edges, scores.n

        def bound(knots: Vector, counts: NDArray[np.int64]) -> Bound:
            return lambda r: reference.lower_steps(knots, z[counts], r, float(edges[0]))

        changes = np.append(np.diff(scores.at_least[1:]) != 0, True)  # else the steps are one
        proved = bound(edges[1:][changes], scores.at_least[1:][changes])
        if self._settings.from_counts:
            return _Bounds(proved, proved, proved)
        if method.n_bins is None or method.n_bins >= n:
            above = n - scores.up_to_up[:-1]
            changes = np.append(np.diff(above) != 0, True)
            return _Bounds(proved, bound(edges[1:][changes], above[changes]), proved)
        places = np.arange(method.n_bins, dtype=np.int64) * n // method.n_bins
        knots = np.unique(np.searchsorted(scores.up_to_up, places, side="right"))
        before = np.append(0, scores.up_to_up)[knots]
        allowed = bound(edges[knots], n - before)
        knots, first = np.unique(
            np.searchsorted(scores.up_to_down, places, side="right"), return_index=True
        )
        return _Bounds(proved, allowed, bound(edges[knots], n - places[first]))

    def _by_mean(self, mean: float, scores: _Scores) -> _Bounds:
        a, b = self._settings.score_range
        slack = reference.deviation(scores.n, self._settings.alpha)

        def bound(value: float) -> Bound:
            share = max((value - a) / (b - a) - slack, 0.0)
            return lambda r: np.array([a + (b - a) * reference.shift(share, one) for one in r])

        stated = bound(mean)
        allowed: Bound = lambda r: stated(r) + _ROUNDING * (b - a)  # noqa: E731
        return _Bounds(bound(scores.mean_from_below()), allowed, stated)

    # Claims

    def _lower(self, index: int, method: Method, stated: Any, bounds: _Bounds) -> list[Finding]:
        """Verify the certified confidence at each radius."""
        stated = np.asarray(stated, np.float64)
        name, tally = f"lower_{method.name}", self._found.tally(f"lower_{method.name}")
        a, b = self._settings.score_range
        proved, allowed, least = (f(self._r) for f in (bounds.proved, bounds.allowed, bounds.least))
        findings = []
        for k, radius in enumerate(self._settings.radii):
            x = float(stated[k])
            if not least[k] - _BELOW * (b - a) <= x <= allowed[k]:
                tally.wrong += 1
                findings.append(
                    Finding(
                        index, f"{name} at R = {exact(radius)}", _words(x, allowed[k], least[k])
                    )
                )
            elif x <= proved[k]:
                tally.proved += 1
            else:
                tally.within += 1
                tally.widest = max(tally.widest, x - float(proved[k]))
        return findings

    def _radius(self, index: int, method: Method, stated: Any, bounds: _Bounds) -> list[Finding]:
        """Verify the certified radius of each threshold: the bound there must not be below it."""
        settings = self._settings
        name, tally = f"radius_{method.name}", self._found.tally(f"radius_{method.name}")
        a, b = settings.score_range
        findings = []
        for c, radius in zip(settings.thresholds, np.asarray(stated, np.float64), strict=True):
            r = self._r_zero + (0.0 if np.isnan(radius) else radius / settings.sigma)
            further = r if np.isnan(radius) else r + _RADIUS_STEP
            where = f"{name} at c = {exact(c)}"
            if bounds.least(further)[0] > c + _BELOW * (b - a):
                words = f"is {shown(radius)}, and the counts prove a larger one"
            elif np.isnan(radius) or bounds.proved(r)[0] >= c:
                tally.proved += 1
                continue
            elif bounds.allowed(r)[0] >= c:
                tally.within += 1
                continue
            else:
                most = shown(float(bounds.allowed(r)[0]))
                words = f"is {shown(radius)}, where the confidence is certified to {most} at most"
            tally.wrong += 1
            findings.append(Finding(index, where, words))
        return findings

    def _votes(self, index: int, row: Mapping[str, Any], scores: _Scores) -> list[Finding]:
        """Verify the number of votes, the mean score and the class radius."""
        settings, findings = self._settings, []
        top_count, n = int(row["top_count"]), scores.n
        low, high = self._votes_allowed(scores)
        if not low <= top_count <= high:
            words = f"is {top_count}, and the counted scores allow {low} to {high}"
            findings.append(Finding(index, "top_count", words))
        a, b = settings.score_range
        down = scores.mean_from_below()
        up = math.fsum(np.diff(scores.up_to_up, prepend=0) * self._edges) / n
        slack, mean = _ROUNDING * (b - a), float(row["mean_score"])
        if not down - slack <= mean <= up + slack:
            words = f"is {shown(mean)}, and the counted scores allow {shown(down)} to {shown(up)}"
            findings.append(Finding(index, "mean_score", words))
        most = reference.class_radius(top_count, n, settings.sigma, settings.alpha)
        most -= 2.0 * settings.displacement
        findings += class_radius_findings(
            index, float(row["class_radius"]), most, settings.sigma, self._found
        )
        return findings

    def _votes_allowed(self, scores: _Scores) -> tuple[int, int]:
        """Return the smallest and the largest number of draws that chose the class.

        A class with a score above 1/2 has the largest output. A class with a smaller score can have
        it only if there are more than two classes. The margin of a class is above 0 if it has the
        largest output.
        """
        settings, n, middle = self._settings, scores.n, SKETCH_EDGES // 2
        if settings.measure == "vote":
            return (int(scores.at_edge[-1]),) * 2
        if settings.measure == "margin":
            return scores.above(middle + 1), int(scores.at_least[middle - 1])
        if settings.measure == "score" and settings.outputs != "raw":
            cells = int(SUM_TOLERANCE * (SKETCH_EDGES - 1)) + 1
            return scores.above(middle + cells), n
        return 0, n

    def _status(self, index: int, row: Mapping[str, Any], last: _Bounds) -> list[Finding]:
        """Verify that the classifier abstains if it must."""
        cutoff = self._settings.cutoff
        if cutoff is None:
            return []
        certified = row["status"] == "certified"
        most, least = float(last.allowed(self._r_zero)[0]), float(last.least(self._r_zero)[0])
        if certified and not most > cutoff:
            words = f"is certified, and the confidence at R = 0 to {shown(most)} at most"
        elif not certified and least > cutoff + _BELOW:
            words = (
                f"is {row['status']}, and the confidence at R = 0 is certified to {shown(least)}"
            )
        else:
            return []
        return [Finding(index, "status", f"{words}; the cut-off is {exact(cutoff)}")]


def class_radius_findings(
    index: int, stated: float, most: float, sigma: float, found: Verification
) -> list[Finding]:
    """Verify a class radius; `most` is that of the reference."""
    most = most if most >= 0.0 else math.nan
    tally = found.tally("class_radius")
    if math.isnan(stated) and not most > _RADIUS_STEP * sigma:
        tally.proved += 1
        return []
    if most - _RADIUS_STEP * sigma <= stated <= most + _ROUNDING * sigma:
        tally.proved += 1
        return []
    tally.wrong += 1
    words = f"is {shown(stated)}, and the votes certify {shown(most)}"
    return [Finding(index, "class_radius", words)]


def _words(stated: float, allowed: float, least: float) -> str:
    if stated > allowed:
        return f"is {shown(stated)}, and what was kept allows at most {shown(allowed)}"
    return f"is {shown(stated)}, and what was kept proves at least {shown(least)}"


def shown(x: float) -> str:
    """Return a number with all its digits as text; a missing certificate is nan."""
    return "nan" if math.isnan(x) else exact(float(x))
