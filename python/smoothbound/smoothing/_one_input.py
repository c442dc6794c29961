"""The result of one input, from its draws: class, status, bounds and radii."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from smoothbound._display.rounding import exact, floor_decimal
from smoothbound.adaptive import Answer, Budget, Decide, FindRadius, Plan, plan
from smoothbound.adaptive import Job as AdaptiveJob
from smoothbound.backends import gaussian
from smoothbound.backends._names import Backend
from smoothbound.bounds._certify import certify_rows
from smoothbound.bounds._request import Request, Settings
from smoothbound.bounds._sample_size import draws_above
from smoothbound.noise._displaced import inward, outward
from smoothbound.sampling._jobs import Draws, Failure, FixedJob, Job
from smoothbound.smoothing._class_radius import class_radius

if TYPE_CHECKING:
    from smoothbound.store._schema import Status

__all__ = ["InputResult", "MethodBounds", "Procedure", "abstention", "radii_at_point"]


@dataclass(frozen=True, eq=False)
class MethodBounds:
    """The bounds of one input by one method; NaN if sampling failed.

    Attributes
    ----------
    lower, upper : ndarray of float64, shape (n_radii,), or None
        Bounds on the confidence at the radii of the user; None for a side that was not asked for.
    radius : ndarray of float64, shape (n_thresholds,), or None
        Certified radii of the thresholds; None without the lower side.
    """

    lower: NDArray[np.float64] | None
    upper: NDArray[np.float64] | None
    radius: NDArray[np.float64] | None


@dataclass(frozen=True, eq=False)
class InputResult:
    """The result of one input.

    Attributes
    ----------
    status : {"certified", "abstained", "failed", "budget"}
    reason : str
        The status explained in words for people.
    selected : int
        The class that the selection draws chose; -1 if there were none.
    predicted : int
        The selected class, or -1 if the classifier abstains or sampling failed.
    class_radius : float
        Radius within which the majority vote stays the selected class; NaN if it is not certified.
    n_draws, top_count : int
        Number of estimation draws, and of those in which the selected class had the largest output.
    mean_score : float
        Mean score of the estimation draws.
    bounds : tuple of MethodBounds
        One for each request of the procedure.
    """

    status: Status
    reason: str
    selected: int
    predicted: int
    class_radius: float
    n_draws: int
    top_count: int
    mean_score: float
    bounds: tuple[MethodBounds, ...]


@dataclass(frozen=True)
class Procedure:
    """The way to draw and certify each input, which is the same for all inputs of a run.

    Attributes
    ----------
    requests : tuple of Request
        One request for each method, the strongest last. The last one decides on abstention. The
        radii of a request hold at the lattice point that stands for an input. They are therefore
        larger than those of the user by twice the displacement, and R = 0 comes before them.
    n_draws : int
        Number of estimation draws of an input; the largest number with adaptive draws.
    cutoff : float or None
        A class is abstained from if its certified confidence at R = 0 is not above this; None: no
        abstention.
    measure : str
        Name of the confidence measure, for reasons and errors.
    displacement : float
        Largest distance between an input and its lattice point.
    backend, threads
        As for `smoothbound.certify_scores`.
    plan : Plan or None
        Plan of adaptive draws; made by `adaptive`.
    budget : Budget or None
        Budget of all adaptive draws together.
    """

    requests: tuple[Request, ...]
    n_draws: int
    cutoff: float | None
    measure: str
    displacement: float = 0.0
    backend: Backend | None = None
    threads: int | None = None
    plan: Plan | None = None
    budget: Budget | None = None

    def adaptive(self, question: Decide | FindRadius, budget: Budget | None) -> Procedure:
        """Return a procedure that draws each input in stages until a question is answered.

        Raises
        ------
        ValueError
            If there is more than one method, the upper side is asked for, or the draws are too few.
        """
        if len(self.requests) != 1:
            names = ", ".join(request.method.name for request in self.requests)
            raise ValueError(f"adaptive draws take one method, got {names}")
        (request,) = self.requests
        if request.sides != "lower":
            raise ValueError("sides must be 'lower' for adaptive draws, which bound no other")
        made = plan(
            question,
            sigma=request.sigma,
            alpha=request.alpha,
            n_max=self.n_draws,
            score_range=request.score_range,
            pilot=request.pilot,
            backend=self.backend,
            displacement=self.displacement,
            **asdict(request.method),
        )
        return replace(self, plan=made, budget=budget)

    def record(self) -> dict[str, Any] | None:
        """Return the plan and the budget as plain values for JSON; None without adaptive draws.

        Examples
        --------
        >>> from smoothbound.bounds._method import Method
        >>> request = Request(sigma=0.25, method=Method("tangent", mean="betting"), order="drawn")
        >>> procedure = Procedure((request,), 100_000, cutoff=0.5, measure="score")
        >>> made = procedure.adaptive(Decide(0.5, radius=0.25), Budget(draws=10_000)).record()
        >>> made["asked"], made["stages"][-1]["n"], made["budget"]
        ('Decide', 100000, {'draws': 10000, 'seconds': None})
        """
        if self.plan is None:
            return None
        limits = (self.budget or Budget()).record()
        made: dict[str, Any] = json.loads(json.dumps(self.plan.record() | {"budget": limits}))
        return made

    def job(self) -> Job:
        """Return the job of one input. Call this just before the input is drawn.

        A new adaptive job charges its first stage to the budget.
        """
        return FixedJob(self.n_draws) if self.plan is None else self.plan.start(self.budget)

    def check_feasible(self) -> Settings:
        """Certify perfect scores, so that a hopeless procedure fails before the first draw.

        Returns
        -------
        Settings
            The settings of the certificates of the last method.

        Raises
        ------
        ValueError
            If there are too few draws to certify anything at all, or anything above the cut-off.
        """
        for request in self.requests:
            perfect_score = request.score_range[1]
            alpha = request.alpha if self.plan is None else self.plan.stages[-1].alpha
            asked = replace(request, alpha=alpha)
            perfect = certify_rows(
                np.full((1, self.n_draws), perfect_score, np.float32),
                asked,
                backend=self.backend,
                threads=self.threads,
            )
            if (
                self.cutoff is not None
                and perfect.lower is not None
                and perfect.lower[0, 0] <= self.cutoff
            ):
                raise ValueError(self._too_few(asked, self.cutoff))
        return replace(perfect.settings, alpha=request.alpha)

    def _too_few(self, request: Request, cutoff: float) -> str:
        """Return the words for too few draws to certify any input above the cut-off."""
        a, b = request.score_range
        alpha = request.alpha_lower
        assert alpha is not None
        share = np.array([max(cutoff - a, 0.0) / (b - a)])
        share = gaussian.cdf(gaussian.quantile(share) + request.radii[0] / request.sigma)
        at_zero = a + (b - a) * float(share[0])
        needed = draws_above(at_zero, alpha, (a, b), request.method, request.pilot)
        return (
            f"n = {self.n_draws} draws are too few to certify any {self.measure} above the cut-off "
            f"{exact(cutoff)} at alpha = {alpha:g}, so that every input would be abstained from; "
            f"at least n = {needed} are needed"
        )

    def certify(self, job: Job, outcome: Draws | Failure) -> InputResult:
        """Return the result of an input.

        Parameters
        ----------
        job : Job
            The finished job of the input.
        outcome : Draws or Failure
            The draws of the input, or the reason why there are none.
        """
        if isinstance(outcome, Failure):
            return self._failed(outcome)
        if isinstance(job, AdaptiveJob):
            assert job.answer is not None
            return self._answered(job.answer, outcome)
        return self._bounded(outcome)

    def _bounded(self, draws: Draws) -> InputResult:
        """Certify an input that has all its draws, by each method."""
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
            n_draws=n_draws,
            top_count=draws.top_count,
            mean_score=draws.mean,
            bounds=tuple(bounds for _, bounds in certified),
        )

    def _bounds(self, scores: NDArray[np.float32], request: Request) -> tuple[float, MethodBounds]:
        """Return the certified confidence at R = 0, NaN without the lower side, and the bounds."""
        made = certify_rows(scores[None], request, backend=self.backend, threads=self.threads)
        lower, upper = (None if side is None else side[0] for side in (made.lower, made.upper))
        radius = None if made.radius is None else inward(made.radius[0], self.displacement)
        at_zero = math.nan if lower is None else float(lower[0])
        return at_zero, MethodBounds(
            None if lower is None else lower[1:], None if upper is None else upper[1:], radius
        )

    def _answered(self, answer: Answer, draws: Draws) -> InputResult:
        """Return the result of an input with adaptive draws."""
        why = ""
        if draws.selected >= 0:
            at_zero = answer.lower_at_zero
            why = abstention(draws.selected, at_zero, self.cutoff, measure=self.measure)
        predicted = -1 if why else draws.selected
        status: Status = "certified" if predicted >= 0 else "abstained"
        bounds = MethodBounds(np.array([answer.lower]), None, np.array([answer.radius]))
        return InputResult(
            status="budget" if answer.outcome == "budget" else status,
            reason="; ".join(filter(None, [why, answer.reason])),
            selected=draws.selected,
            predicted=predicted,
            class_radius=self._class_radius(draws.top_count, answer.n_draws, answer.level),
            n_draws=answer.n_draws,
            top_count=draws.top_count,
            mean_score=draws.mean,
            bounds=(bounds,),
        )

    def _class_radius(self, top_count: int, n_draws: int, alpha: float) -> float:
        """Certify the class itself.

        With adaptive draws `alpha` is the level of the last look, because the scores decided when
        to stop. It is 0 if no look certifies anything. Drawing ends at a look, so the look has all
        draws.
        """
        if alpha == 0.0:
            return math.nan
        radius = class_radius(top_count, n_draws, sigma=self.requests[-1].sigma, alpha=alpha)
        return float(inward(radius, self.displacement))

    def _failed(self, failure: Failure) -> InputResult:
        """Return the result of an input that could not be sampled."""
        return InputResult(
            status="failed",
            # A message can quote a path with bytes that are not text, which UTF-8 cannot hold.
            reason=str(failure).encode(errors="backslashreplace").decode(),
            selected=-1,
            predicted=-1,
            class_radius=math.nan,
            n_draws=0,
            top_count=0,
            mean_score=math.nan,
            bounds=tuple(map(_no_bounds, self.requests)),
        )


def radii_at_point(radii: Iterable[float], displacement: float) -> tuple[float, ...]:
    """Return the radii of a request of a `Procedure`: R = 0 and then those at the lattice point.

    Examples
    --------
    >>> radii_at_point([0.25], displacement=0.0)
    (0.0, 0.25)
    """
    return tuple(outward([0.0, *radii], displacement).tolist())


def _no_bounds(request: Request) -> MethodBounds:
    """Return bounds that are NaN, in the shapes of a request."""
    at_radii = np.full(len(request.radii) - 1, np.nan)  # R = 0 of the procedure left out
    return MethodBounds(
        lower=None if request.alpha_lower is None else at_radii,
        upper=None if request.alpha_upper is None else at_radii,
        radius=None if request.alpha_lower is None else np.full(len(request.thresholds), np.nan),
    )


def abstention(
    selected: int, lower_at_zero: float, cutoff: float | None, *, measure: str = "confidence"
) -> str:
    """Return the reason to abstain from a class: its certified confidence at R = 0 is too low.

    Above the cut-off of its measure (score 0.5, margin 0), the selected class is certified to be
    the one with the largest average score.

    Parameters
    ----------
    selected : int
        The class that the selection draws chose.
    lower_at_zero : float
        The certified confidence of that class at R = 0.
    cutoff : float or None
        The certified confidence has to be above this; None: no abstention.
    measure : str, default "confidence"
        Name of the confidence in the reason.

    Returns
    -------
    str
        The reason; empty if there is none.

    Examples
    --------
    >>> abstention(7, 0.97, 0.5, measure="score")
    ''
    >>> abstention(2, 0.4996, 0.5, measure="score")
    'the certified score of class 2 at R = 0 is 0.499, not above the cut-off 0.5'
    """
    if cutoff is None or lower_at_zero > cutoff:
        return ""
    return (
        f"the certified {measure} of class {selected} at R = 0 is {floor_decimal(lower_at_zero)}, "
        f"not above the cut-off {exact(cutoff)}"
    )
