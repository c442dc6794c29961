"""A fixed number of draws of one input, and their certificates."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from smoothbound._display.rounding import exact
from smoothbound.backends import gaussian
from smoothbound.backends._names import Backend
from smoothbound.bounds._certify import certify_rows
from smoothbound.bounds._method import Method
from smoothbound.bounds._request import Request, Settings
from smoothbound.bounds._sample_size import default_method as tightest_at_all_radii
from smoothbound.bounds._sample_size import draws_above
from smoothbound.measures import Measure
from smoothbound.noise._displaced import inward, outward
from smoothbound.sampling._jobs import Draws, Failure, FixedJob, Job
from smoothbound.smoothing._class_radius import class_radius
from smoothbound.smoothing._one_input.result import (
    InputResult,
    MethodBounds,
    abstention,
    failed_input,
)

__all__ = ["Procedure", "default_method", "radii_at_point"]


def default_method(measure: Measure, n_draws: int, **options: Any) -> Method:
    """Return the default method for a measure.

    If scores only take the ends of the range, like votes, it is the exact bound of Clopper and
    Pearson on their mean. Otherwise it is the default of `smoothbound.certify_scores`.
    """
    if measure.binary:
        return Method("mean", mean="betting")
    return tightest_at_all_radii(n_draws, order="drawn", **options)


@dataclass(frozen=True)
class Procedure:
    """The procedure that draws and certifies each input, the same for all inputs of a run.

    Attributes
    ----------
    requests : tuple of Request
        One request for each method, the strongest last. The last one decides on abstention. The
        radii of a request are those at the lattice point that represents an input: R = 0, and then
        the radii of the user plus twice the displacement.
    n_draws : int
        Number of estimation draws of an input.
    cutoff : float or None
        The classifier abstains if the certified confidence at R = 0 is not above this. None means
        that it never abstains.
    measure : str
        Name of the confidence measure, for reasons and errors.
    displacement : float
        Largest distance between an input and its lattice point.
    backend, threads
        As for `smoothbound.certify_scores`.
    """

    requests: tuple[Request, ...]
    n_draws: int
    cutoff: float | None
    measure: str
    displacement: float = 0.0
    backend: Backend | None = None
    threads: int | None = None

    early_selection: ClassVar[bool] = False

    def record(self) -> None:
        """Return None, because the draws depend only on the requests."""

    def job(self, label: int | None = None) -> Job:
        """Return the job of one input. The draws do not depend on its label."""
        return FixedJob(self.n_draws)

    def check_feasible(self) -> Settings:
        """Certify perfect scores, so that a procedure that must fail does so before the first draw.

        Returns
        -------
        Settings
            The settings of the certificates of the last method.

        Raises
        ------
        ValueError
            If there are too few draws to certify anything, or anything above the cut-off.
        """
        for request in self.requests:
            perfect_score = request.score_range[1]
            perfect = certify_rows(
                np.full((1, self.n_draws), perfect_score, np.float32),
                request,
                backend=self.backend,
                threads=self.threads,
            )
            if (
                self.cutoff is not None
                and perfect.lower is not None
                and perfect.lower[0, 0] <= self.cutoff
            ):
                raise ValueError(self._too_few(request, self.cutoff))
        return perfect.settings

    def _too_few(self, request: Request, cutoff: float) -> str:
        """Return the message for too few draws to certify any input above the cut-off."""
        a, b = request.score_range
        alpha = request.alpha_lower
        assert alpha is not None
        share = np.array([max(cutoff - a, 0.0) / (b - a)])
        share = gaussian.cdf(gaussian.quantile(share) + request.radii[0] / request.sigma)
        at_zero = a + (b - a) * float(share[0])
        needed = draws_above(at_zero, alpha, (a, b), request.method, request.pilot)
        return (
            f"n = {self.n_draws} draws are too few to certify any {self.measure} above the cut-off "
            f"{exact(cutoff)} at alpha = {alpha:g}, so the classifier would always abstain; "
            f"at least n = {needed} are needed"
        )

    def certify(self, job: Job, outcome: Draws | Failure) -> InputResult:
        """Return the result of an input.

        Parameters
        ----------
        job : Job
            The finished job of the input.
        outcome : Draws or Failure
            The draws of the input, or the failure of its sampling.
        """
        if isinstance(outcome, Failure):
            return failed_input(outcome, self.requests, len(self.requests[0].radii) - 1)
        return self._bounded(outcome)

    def _bounded(self, draws: Draws) -> InputResult:
        """Certify an input with all its draws by each method."""
        certified = [self._bounds(draws.scores, request) for request in self.requests]
        at_zero, _ = certified[-1]
        why = abstention(draws.selected, at_zero, self.cutoff, measure=self.measure)
        n_draws, last = len(draws.scores), self.requests[-1]
        return InputResult(
            status="abstained" if why else "certified",
            reason=why,
            selected=draws.selected,
            predicted=-1 if why else draws.selected,
            class_radius=self._class_radius(draws.top_count, n_draws, last.alpha),
            n_selection=draws.n0,
            n_draws=n_draws,
            top_count=draws.top_count,
            mean_score=draws.mean,
            bounds=tuple(bounds for _, bounds in certified),
        )

    def _bounds(self, scores: NDArray[np.float32], request: Request) -> tuple[float, MethodBounds]:
        """Return the certified confidence at R = 0 (NaN without the lower side) and the bounds."""
        made = certify_rows(scores[None], request, backend=self.backend, threads=self.threads)
        lower, upper = (None if side is None else side[0] for side in (made.lower, made.upper))
        radius = None if made.radius is None else inward(made.radius[0], self.displacement)
        at_zero = math.nan if lower is None else float(lower[0])
        return at_zero, MethodBounds(
            None if lower is None else lower[1:], None if upper is None else upper[1:], radius
        )

    def _class_radius(self, top_count: int, n_draws: int, alpha: float) -> float:
        """Certify the class itself."""
        radius = class_radius(top_count, n_draws, sigma=self.requests[-1].sigma, alpha=alpha)
        return float(inward(radius, self.displacement))


def radii_at_point(radii: Iterable[float], displacement: float) -> tuple[float, ...]:
    """Return the radii at the lattice point for a request of a `Procedure`, after R = 0.

    Examples
    --------
    >>> radii_at_point([0.25], displacement=0.0)
    (0.0, 0.25)
    """
    return tuple(outward([0.0, *radii], displacement).tolist())
