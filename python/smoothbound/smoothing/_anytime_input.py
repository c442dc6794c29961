"""From draws that stop when a question is answered to the class, status, bounds and radii."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from smoothbound._display.rounding import exact
from smoothbound._files.checksum import digest
from smoothbound._utils import checks
from smoothbound._version import __version__
from smoothbound.anytime._anytime_test import AnytimeTest
from smoothbound.anytime._chain import Answer
from smoothbound.anytime._job import Budget, Earlier, Job, Plan
from smoothbound.anytime._questions import (
    Decide,
    FindRadius,
    Question,
    checked_radius,
    radius_precision,
)
from smoothbound.anytime._record import AdaptiveRecord, BudgetRecord, FollowedRun
from smoothbound.anytime._sample_size import required_draws
from smoothbound.backends import _select as backends
from smoothbound.backends._names import Backend
from smoothbound.bounds._request import Request, Settings
from smoothbound.noise._displaced import inward
from smoothbound.sampling._jobs import Draws, Failure
from smoothbound.smoothing._class_radius import anytime_class_radius
from smoothbound.smoothing._one_input import InputResult, MethodBounds, failed_input

if TYPE_CHECKING:
    from smoothbound.smoothing._certificate import SmoothedSettings
    from smoothbound.store._settings import RunSettings
    from smoothbound.store._table.schema import Status

__all__ = [
    "AdaptiveDraws",
    "AnytimeProcedure",
    "earlier_of",
    "followed_run",
    "recorded_procedure",
]


def _above(threshold: float) -> float:
    """Return the next greater number: a confidence above it can be stated as a lower bound."""
    return math.nextafter(threshold, math.inf)


def _least_vote(threshold: float, radius: float, sigma: float) -> float:
    """Return a share of votes from which on votes may be above a threshold within a radius.

    With a smaller share q, Phi(Phi^-1(q) - radius / sigma) <= threshold. Rounded down.
    """
    z = float(ndtri(threshold)) + radius / sigma
    share = float(ndtr(z - 1e-12 * (1.0 + abs(z)))) * (1.0 - 2.0**-50)
    return min(share, math.nextafter(1.0, 0.0))


def _asked(name: str, threshold: float, b: float) -> float:
    """Return what is asked for a threshold; `name` is that of the argument."""
    if not _above(threshold) < b:
        raise ValueError(
            f"{name} must leave a float between it and {b}, the end of the score range, for "
            f"adaptive draws; got {threshold!r}"
        )
    return _above(threshold)


@dataclass(frozen=True, kw_only=True)
class AdaptiveDraws:
    """When the draws of an input end, beside the number n that they may not exceed.

    Parameters
    ----------
    radius_precision : float, optional
        Precision of certified radii, in multiples of sigma. With it the radius of each threshold is
        looked for; without, each threshold is only asked about at each radius.
    strictness : float
        How many draws a certificate is worth, as a share of n; see `smoothbound.anytime.Plan`.
    correct_only : bool
        Whether an input is given up if the selected class is not its label.
    both_answers : bool
        Whether the opposite answers are asked for too, for votes: that no number of draws certifies
        a radius. Each answer then has half of alpha.
    budget : Budget, optional
        Limit on the draws or seconds of all inputs together.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or outside its range.
    """

    radius_precision: float | None = None
    strictness: float = Plan.strictness
    correct_only: bool = False
    both_answers: bool = False
    budget: Budget | None = None

    def __post_init__(self) -> None:
        if self.radius_precision is not None:
            radius_precision("radius_precision", self.radius_precision)
        checks.non_negative("strictness", self.strictness)
        checks.flag("correct_only", self.correct_only)
        checks.flag("both_answers", self.both_answers)
        checks.optional("budget", self.budget, Budget)

    def record(self) -> AdaptiveRecord:
        """Return the rules as results record them."""
        budget = self.budget or Budget()
        return AdaptiveRecord(
            asked="Decide" if self.radius_precision is None else "FindRadius",
            precision=self.radius_precision,
            strictness=self.strictness,
            correct_only=self.correct_only,
            both_answers=self.both_answers,
            budget=BudgetRecord(draws=budget.draws, seconds=budget.seconds),
        )


@dataclass(frozen=True)
class AnytimeProcedure:
    """The way to draw and certify each input with draws that stop when its questions are answered.

    Every threshold is asked about at every radius, and with a precision how far out it is exceeded.

    Attributes
    ----------
    request : Request
        The thresholds and the radii of the user; its method is "anytime".
    rules : AdaptiveDraws
    plan : Plan
        The request as questions; made by `of`.
    cutoff : float or None
        A class is abstained from if its confidence at R = 0 is not certified to be above this;
        None: no abstention.
    follows : FollowedRun or None
        The run that was known when the questions were chosen; None: they were fixed before the
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
            If nothing is asked, the upper side is asked for, or an argument is not in its range.
        """
        if request.sides != "lower":
            raise ValueError(
                f"sides must be 'lower' for adaptive draws, got {request.sides!r}; "
                "smoothbound.anytime.AnytimeTest tests the other side"
            )
        if not request.thresholds:
            raise ValueError(
                "adaptive draws answer questions about thresholds, got none: state "
                "thresholds=[0.5], with radii=[0.25] (is the confidence above 0.5 within 0.25?) or "
                "radius_precision=0.05 (up to which radius is it?)"
            )
        if not request.radii and rules.radius_precision is None:
            raise ValueError(
                "radii must hold at least one radius for adaptive draws, or radius_precision must "
                "be stated, to look for the radius of each threshold"
            )
        for i, radius in enumerate(request.radii):
            checked_radius(f"radii[{i}]", radius, request.sigma, displacement)
        precision = rules.radius_precision
        # Every confidence is above a cut-off that lies below the range.
        cutoffs = [] if cutoff is None or cutoff < request.score_range[0] else [cutoff]
        b = request.score_range[1]
        about_cutoff = tuple(Decide(_asked("cutoff", c, b), 0.0) for c in cutoffs)
        # An answer about a lower threshold comes before it, and counts only if the class is kept.
        awaited = any(min(request.thresholds) < c for c in cutoffs)
        asked = [_asked(f"thresholds[{i}]", c, b) for i, c in enumerate(request.thresholds)]
        decisions = [Decide(c, R) for c in asked for R in request.radii]
        finds = [FindRadius(c, precision) for c in asked if precision]
        if rules.both_answers and measure != "vote":
            raise ValueError(
                f"both_answers must be False for the measure {measure!r}: only of votes, "
                "measure='vote', it is certified that no number of draws certifies a radius"
            )
        opposite = tuple(
            Decide(_least_vote(c, radius + 2.0 * displacement, request.sigma), 0.0)
            for c in request.thresholds
            for radius in request.radii
            if rules.both_answers
        )
        plan = Plan(
            questions=(*decisions, *finds, *(about_cutoff if awaited else ())),
            aside=() if awaited else about_cutoff,
            opposite=opposite,
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
        """The number of questions of the user; that about the cut-off may follow them."""
        each = len(self.request.radii) + (self.rules.radius_precision is not None)
        return each * len(self.request.thresholds)

    def record(self) -> AdaptiveRecord:
        """Return the rules as results record them."""
        return replace(self.rules.record(), follows=self.follows)

    def job(self, label: int | None = None, earlier: Earlier | None = None) -> Job:
        """Return the job of one input, which goes on from an earlier one if there is one."""
        label = label if self.rules.correct_only else None
        return self.plan.start(self.rules.budget, label, earlier)

    def following(self, row: Mapping[str, Any]) -> Earlier | None:
        """Return where the questions begin for an input, by its row of the run that they follow.

        Its draws are the first guess, and the questions count those after them. None: it has none.
        """
        before = _kept_test(row, self.plan.backend)
        if before is None:
            return None
        plan = self.plan
        test = before.follow_up(plan.asked, alpha=plan.alpha, side=plan.side)
        return Earlier(row["selected"], row["n_selection"], test)

    def goes_on(self, row: Mapping[str, Any]) -> bool:
        """Say whether more draws, up to n, may answer a question about an input that has a row."""
        if row["status"] in ("failed", "misclassified"):
            return False
        earlier = earlier_of(row)
        if earlier is None:  # a budget was spent before its first draw
            return True
        job = self.plan.start()
        job.resume(earlier.test)
        return job.outcome is None

    def check_feasible(self) -> Settings:
        """Test perfect scores, so that a hopeless procedure fails before the first draw.

        Returns
        -------
        Settings
            The settings of the certificates.

        Raises
        ------
        ValueError
            If `n` draws cannot certify any claim; it says how many can.
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
        """Return with how many perfect draws a question is answered; infinite if with none."""
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
        except ValueError:  # more than any run makes
            return math.inf

    def certify(
        self, job: Job, outcome: Draws | Failure, earlier_top_count: int = 0
    ) -> InputResult:
        """Return the result of an input from its job and what sampling it gave.

        A job that is not finished was stopped: its result is that of the draws so far.
        `earlier_top_count` counts votes among the draws that were made before the job.
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
            state=_state(job, selected, status),
        )

    def bounds(self, answers: Sequence[Answer]) -> MethodBounds:
        """Return what the answers say at each radius and for each threshold.

        A claim about a greater threshold or radius implies those about smaller ones. The greatest
        of several claims is stated if all smaller ones are certified, because then it needs no
        correction for having been chosen (docs/anytime.md).
        """
        asked, a = self.request, self.request.score_range[0]
        shape = len(asked.thresholds), len(asked.radii)
        flags = [answer.certified for answer in answers[: shape[0] * shape[1]]]
        certified = np.array(flags, bool).reshape(shape)
        found = [answer.radius for answer in answers[len(flags) : self._n_asked]]
        lower = [_last(np.asarray(asked.thresholds), certified[:, k], a) for k in range(shape[1])]
        lower = [_above(c) if c > a else a for c in lower]
        radius = found or [
            _last(np.asarray(asked.radii), certified[j], math.nan) for j in range(shape[0])
        ]
        return MethodBounds(np.array(lower), None, np.array(radius))

    def unreachable(self, answers: Sequence[Answer]) -> NDArray[np.float64] | None:
        """Return the smallest radius that is out of reach for each threshold; `answers` are all.

        That no number of draws certifies a radius implies the same of larger ones.
        """
        if not self.rules.both_answers:
            return None
        radii = np.asarray(self.request.radii)
        flags = [answer.certified for answer in self.plan.opposites(answers)]
        shown = np.array(flags, bool).reshape(-1, len(radii))
        return -np.array([_last(-radii, row, math.nan) for row in shown])

    def abstains(self, answers: Sequence[Answer]) -> bool:
        """Say whether the confidence at R = 0 is not certified to be above the cut-off.

        Only the question about the cut-off counts. To take whichever of several questions happens
        to imply it would give a false claim further chances.
        """
        return len(answers) > self._n_asked and not answers[-1].certified

    def _reason(self, job: Job, answers: Sequence[Answer], abstains: bool) -> str:
        """Say in words why drawing ended, and why the class is abstained from."""
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


def recorded_procedure(settings: RunSettings) -> AnytimeProcedure:
    """Return the procedure of a run with adaptive draws, as its settings record it."""
    rules = settings.adaptive
    assert rules is not None
    (method,) = settings.methods
    return AnytimeProcedure.of(
        Request(
            sigma=settings.sigma,
            alpha=settings.alpha,
            score_range=settings.score_range,
            radii=settings.radii,
            thresholds=settings.thresholds,
            method=method,
            order="drawn",
        ),
        AdaptiveDraws(
            radius_precision=rules.precision,
            strictness=Plan.strictness if rules.strictness is None else rules.strictness,
            correct_only=rules.correct_only,
            both_answers=rules.both_answers,
        ),
        n=settings.n,
        cutoff=settings.cutoff,
        measure=settings.measure,
        displacement=settings.displacement,
        follows=rules.follows,
    )


def _state(job: Job, selected: int, status: Status) -> bytes:
    """Return the state with which an input goes on; empty if not even its class is selected."""
    if selected == -1:
        return b""
    return job.to_bytes() if status == "stopped" else job.test.to_bytes()


def earlier_of(row: Mapping[str, Any]) -> Earlier | None:
    """Return the job from which the input of a row of the results goes on; None if it begins."""
    test, selected, n_selection = _kept_test(row), row["selected"], row["n_selection"]
    if test is None:
        return None
    if row["status"] == "stopped":
        return Earlier.from_bytes(row["state"], selected, n_selection)
    return Earlier.finished(selected, n_selection, test, row["mean_score"])


def _kept_test(row: Mapping[str, Any], backend: Backend | None = None) -> AnytimeTest | None:
    """Return the test of a row of the results, with all its draws; None if it has none.

    Raises
    ------
    ValueError
        If the state is damaged or that of other draws.
    """
    whose = f"the state of input {row['index']}" if "index" in row else "a state"
    state, stopped = row["state"], row["status"] == "stopped"
    try:
        if not state:
            test = None
        elif stopped:
            test = Earlier.from_bytes(state, row["selected"], row["n_selection"]).test
        else:
            test = AnytimeTest.from_bytes(state, backend=backend)
    except (TypeError, ValueError) as error:
        raise ValueError(f"cannot go on with {whose}: {error}") from error
    n_draws = 0 if test is None else test.n_draws
    if n_draws != row["n_draws"]:
        raise ValueError(
            f"cannot go on with {whose}: it holds {n_draws} draws, and its row says "
            f"{row['n_draws']}; restore the results from a copy"
        )
    return test


def followed_run(settings: RunSettings | SmoothedSettings, name: str = "") -> FollowedRun:
    """Return what later questions record of a run: its settings, and what was asked before it."""
    assert settings.adaptive is not None
    before = settings.adaptive.follows
    return FollowedRun(
        name=name,
        fingerprint=digest(settings.to_json().encode()).hex(),
        alphas=(*(() if before is None else before.alphas), settings.alpha),
    )


def _last(values: NDArray[np.float64], certified: NDArray[np.bool_], none: float) -> float:
    """Return the greatest value such that it and all smaller ones are certified.

    Examples
    --------
    >>> _last(np.array([0.5, 0.9, 0.7]), np.array([True, True, False]), none=0.0)
    0.5
    """
    order = np.argsort(values, kind="stable")
    count = int(np.logical_and.accumulate(certified[order]).sum())
    return float(values[order[count - 1]]) if count else none
