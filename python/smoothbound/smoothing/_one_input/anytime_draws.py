"""Draws of one input that stop when its questions are answered, and what they certify."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from smoothbound._display.rounding import exact
from smoothbound._version import __version__
from smoothbound.anytime._chain import Answer
from smoothbound.anytime._job.earlier import Earlier
from smoothbound.anytime._job.job import Job, Plan
from smoothbound.anytime._questions import (
    Question,
)
from smoothbound.anytime._record import AdaptiveRecord, FollowedRun
from smoothbound.anytime._sample_size import required_draws
from smoothbound.backends import _select as backends
from smoothbound.backends._names import Backend
from smoothbound.bounds._request import Request, Settings
from smoothbound.noise._displaced import inward
from smoothbound.sampling._jobs import Draws, Failure
from smoothbound.smoothing._class_radius import anytime_class_radius
from smoothbound.smoothing._one_input.kept_state import earlier_of, kept_test, state_of
from smoothbound.smoothing._one_input.questions import (
    AdaptiveDraws,
    above,
    questions_of,
    require_questions,
)
from smoothbound.smoothing._one_input.result import InputResult, MethodBounds, failed_input

if TYPE_CHECKING:
    from smoothbound.store._table.schema import Status

__all__ = ["AnytimeProcedure"]


@dataclass(frozen=True)
class AnytimeProcedure:
    """The procedure for inputs whose draws stop when their questions are answered.

    The questions are whether the confidence is above every threshold at every radius and, with a
    precision, up to which radius it is above each threshold.

    Attributes
    ----------
    request : Request
        The request of the user with thresholds and radii; its method is "anytime".
    rules : AdaptiveDraws
    plan : Plan
        The request as questions; made by `of`.
    cutoff : float or None
        The classifier abstains if the confidence at R = 0 is not certified to be above this. None
        means that it never abstains.
    follows : FollowedRun or None
        The run that was known when the questions were chosen. None if they were fixed before the
        first draw.
    """

    request: Request
    rules: AdaptiveDraws
    plan: Plan
    cutoff: float | None
    follows: FollowedRun | None = None

    early_selection: ClassVar[bool] = True

    @classmethod
    def of(
        cls,
        request: Request,
        rules: AdaptiveDraws,
        *,
        n: int,
        cutoff: float | None,
        measure: str,
        displacement: float = 0.0,
        backend: Backend | None = None,
        follows: FollowedRun | None = None,
    ) -> AnytimeProcedure:
        """Make the questions of a request.

        Raises
        ------
        TypeError, ValueError
            If there are no questions, the upper side is requested, or an argument is out of range.
        """
        require_questions(request, rules, measure)
        plan = Plan(
            **questions_of(request, rules, cutoff, displacement)._asdict(),
            sigma=request.sigma,
            alpha=request.alpha,
            score_range=request.score_range,
            measure=measure,
            n=n,
            strictness=rules.strictness,
            displacement=displacement,
            backend=backend,
        )
        return cls(request, rules, plan, cutoff, follows)

    @property
    def _n_asked(self) -> int:
        """The number of questions of the user, which the question about the cut-off may follow."""
        each = len(self.request.radii) + (self.rules.radius_precision is not None)
        return each * len(self.request.thresholds)

    def record(self) -> AdaptiveRecord:
        """Return the rules in the form that results record."""
        return replace(self.rules.record(), follows=self.follows)

    def job(self, label: int | None = None, earlier: Earlier | None = None) -> Job:
        """Return the job of one input, which continues an earlier one if there is one."""
        label = label if self.rules.correct_only else None
        if earlier is not None and self.follows is None:  # the first guess is the selection draws
            earlier = replace(earlier, guesser=earlier.test)
        return self.plan.start(self.rules.budget, label, earlier)

    def following(self, row: Mapping[str, Any]) -> Earlier | None:
        """Return the state from which later questions about an input begin, by its row of the run.

        The draws of the run are the first guess, and only later draws count. None if the run has no
        draws of the input.
        """
        before = kept_test(row, self.plan.backend)
        if before is None:
            return None
        plan = self.plan
        test = before.follow_up(plan.asked, alpha=plan.alpha, side=plan.side)
        first = self.follows is not None and len(self.follows.alphas) == 1
        guesser = before if first else None  # else its first guess are draws of the run before it
        return Earlier(row["selected"], row["n_selection"], test, guesser=guesser)

    def goes_on(self, row: Mapping[str, Any]) -> bool:
        """Return whether more draws, up to n, may answer a question about the input of a row."""
        if row["status"] in ("failed", "misclassified"):
            return False
        earlier = earlier_of(row)
        if earlier is None:  # a budget was spent before its first draw
            return True
        job = self.plan.start()
        job.resume(earlier.test)
        return job.outcome is None

    def check_feasible(self) -> Settings:
        """Test perfect scores, so that a procedure that cannot succeed fails before the first draw.

        Returns
        -------
        Settings
            The settings of the certificates.

        Raises
        ------
        ValueError
            If `n` draws cannot certify any claim. The error states the number needed.
        """
        plan = self.plan
        needed = min(map(self._needed, plan.questions[: self._n_asked]))
        if math.isinf(needed):
            raise ValueError(
                f"no run can certify any {plan.measure} above a threshold at alpha = "
                f"{plan.alpha:g}, even if every score were perfect: ask for lower thresholds, "
                "smaller radii or a larger alpha"
            )
        if needed > plan.n:
            raise ValueError(
                f"n = {plan.n} draws are too few to certify any {plan.measure} above a threshold "
                f"at alpha = {plan.alpha:g}; at least n = {needed} are needed"
            )
        return Settings(
            **vars(self.request),
            n=plan.n,
            n_pilot=0,
            backend=backends.resolve(plan.backend),
            version=__version__,
        )

    def _needed(self, question: Question) -> float:
        """Return how many perfect draws answer a question; infinite if no number does."""
        plan = self.plan
        try:
            return required_draws(
                question,
                sigma=plan.sigma,
                alpha=plan.alpha_of_each,
                score_range=plan.score_range,
                displacement=plan.displacement,
                backend=plan.backend,
            )
        except ValueError:  # more draws than any run makes
            return math.inf

    def certify(
        self, job: Job, outcome: Draws | Failure, earlier_top_count: int = 0
    ) -> InputResult:
        """Return the result of an input from its job and the outcome of its sampling.

        The result of a job that was stopped is that of the draws so far. `earlier_top_count` is the
        number of votes among the draws before the job.
        """
        if isinstance(outcome, Failure):
            return failed_input(outcome, [self.request], len(self.request.radii))
        top_count = earlier_top_count + outcome.top_count
        every = job.test.answers
        answers = self.plan.lower(every)
        bounds = replace(self.bounds(answers), unreachable=self.unreachable(every))
        abstains = self.abstains(answers)
        selected = outcome.selected
        status: Status = "abstained" if abstains else "certified"
        if job.outcome is None:
            status = "stopped"
        elif job.outcome == "budget" or job.outcome == "misclassified":
            status = job.outcome
        return InputResult(
            status=status,
            reason=self._reason(job, answers, abstains),
            selected=selected,
            predicted=-1 if abstains and status != "misclassified" else selected,
            class_radius=self._class_radius(top_count, job.test.n_draws),
            n_selection=outcome.n0,
            n_draws=job.test.n_draws,
            top_count=top_count,
            mean_score=job.mean,
            bounds=(bounds,),
            state=state_of(job, selected, status),
        )

    def bounds(self, answers: Sequence[Answer]) -> MethodBounds:
        """Return the certified bound at each radius and the certified radius of each threshold.

        A claim about a larger threshold or radius implies those about smaller ones. The largest of
        several claims is stated if all smaller ones are certified, because then no correction is
        needed for choosing it (docs/anytime.md).
        """
        asked, a = self.request, self.request.score_range[0]
        shape = len(asked.thresholds), len(asked.radii)
        flags = [answer.certified for answer in answers[: shape[0] * shape[1]]]
        certified = np.array(flags, bool).reshape(shape)
        found = [answer.radius for answer in answers[len(flags) : self._n_asked]]
        lower = [_last(np.asarray(asked.thresholds), certified[:, k], a) for k in range(shape[1])]
        lower = [above(c) if c > a else a for c in lower]
        radius = found or [
            _last(np.asarray(asked.radii), certified[j], math.nan) for j in range(shape[0])
        ]
        return MethodBounds(np.array(lower), None, np.array(radius))

    def unreachable(self, answers: Sequence[Answer]) -> NDArray[np.float64] | None:
        """Return the smallest radius that is out of reach for each threshold, from all answers.

        If no number of draws certifies a radius, none certifies a larger one.
        """
        if not self.rules.both_answers:
            return None
        radii = np.asarray(self.request.radii)
        flags = [answer.certified for answer in self.plan.opposites(answers)]
        shown = np.array(flags, bool).reshape(-1, len(radii))
        return -np.array([_last(-radii, row, math.nan) for row in shown])

    def abstains(self, answers: Sequence[Answer]) -> bool:
        """Return whether the confidence at R = 0 is not certified to be above the cut-off.

        Only the question about the cut-off counts. Using any other question that happens to imply
        it would give a false claim additional chances.
        """
        return len(answers) > self._n_asked and not answers[-1].certified

    def _reason(self, job: Job, answers: Sequence[Answer], abstains: bool) -> str:
        """Return a text about why drawing ended and why the classifier abstains."""
        n_draws, n = job.test.n_draws, self.plan.n
        if job.outcome == "misclassified":
            return "the selected class is not the label, and certifies nothing that was asked for"
        asked = answers[: self._n_asked]
        shown = sum(answer.certified for answer in asked)
        words = f"{shown} of {len(asked)} questions certified after {n_draws} draws"
        if job.outcome == "exhausted":
            words += f", all that n = {n} allows"
        elif job.outcome == "budget":
            words = f"budget spent: {words}"
        elif job.outcome is None:
            words = f"stopped: {words}"
        elif shown < len(asked):
            words += f"; {n} are not expected to certify more"
        if abstains:
            words = (
                f"the {self.plan.measure} at R = 0 is not certified to be above the cut-off "
                f"{exact(self.cutoff or 0.0)}; {words}"
            )
        return words

    def _class_radius(self, top_count: int, n_draws: int) -> float:
        """Certify the class itself, from the votes of the same draws."""
        if not n_draws:
            return math.nan
        plan = self.plan
        radius = anytime_class_radius(top_count, n_draws, sigma=plan.sigma, alpha=plan.alpha)
        return float(inward(radius, plan.displacement))


def _last(values: NDArray[np.float64], certified: NDArray[np.bool_], none: float) -> float:
    """Return the largest value such that it and all smaller ones are certified.

    Examples
    --------
    >>> _last(np.array([0.5, 0.9, 0.7]), np.array([True, True, False]), none=0.0)
    0.5
    """
    order = np.argsort(values, kind="stable")
    count = int(np.logical_and.accumulate(certified[order]).sum())
    return float(values[order[count - 1]]) if count else none
