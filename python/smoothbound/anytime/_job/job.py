"""Jobs, which draw for one input until its questions are answered or seem out of reach.

A `Plan` holds the questions about every input. A `Job` is the work on one input: it requests draws,
takes their scores, and ends when each question is answered or seems out of reach, or when the draws
or a budget are spent. It may end at any time, because the certificates of its test hold whenever
drawing stops. docs/anytime.md explains the rules.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from smoothbound._utils import checks
from smoothbound.anytime import _state as states
from smoothbound.anytime._anytime_test import MOST_DRAWS, AnytimeTest
from smoothbound.anytime._chain import Answer
from smoothbound.anytime._job.budget import Budget
from smoothbound.anytime._job.earlier import Earlier
from smoothbound.anytime._job.exact_sum import in_units, unit_of
from smoothbound.anytime._questions import Decide, Question
from smoothbound.anytime._sample_size import last_look, look_after
from smoothbound.backends import gaussian
from smoothbound.backends._names import Backend, Sides

__all__ = ["Job", "Outcome", "Plan"]

_FEWEST = 30  # draws, including those of the first guess, before a question is given up
_SHARE = 0.5  # of the draws that the next answer may take: made before the next look
_LEAST_STEP = 8  # draws to the next look at the answers, if they are expected to take more,
_STEP_SHARE = 4  # or a quarter of the draws so far, if that is more

Outcome = Literal["answered", "exhausted", "budget", "misclassified"]
"""Why the draws of an input ended.

``answered``: each question is answered or seems out of reach. ``exhausted``: all draws are made.
``budget``: the budget is spent. ``misclassified``: the selected class is not the label, and only
certificates of correct classes are requested.
"""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The questions about every input, and the largest number of its draws.

    Parameters
    ----------
    questions : tuple of Decide, FindRadius or FindConfidence
        Questions on the lower side. Drawing goes on until each is answered.
    aside : tuple of Decide, FindRadius or FindConfidence
        Further questions that are answered from the same draws. No draw is made for them.
    opposite : tuple of Decide
        Questions on the upper side, the opposites of the first questions. Drawing for a pair ends
        when either question is answered. Each side then has half of alpha.
    sigma, alpha, score_range, measure, displacement, backend
        As for `AnytimeTest`.
    n : int
        Largest number of draws of an input. The last look is the last one at or before n.
    strictness : float
        The number of draws that a certificate is worth, as a share of n; >= 0. After t draws a
        claim is given up if the estimated probability to prove it is below t / (strictness n) and
        below one half. A larger number gives up later: fewer inputs are lost that n draws would
        have certified, but inputs that cannot be certified take more draws. Each certificate holds
        at `alpha` whatever the number.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is outside the range stated above.

    Examples
    --------
    >>> from smoothbound.anytime import Decide
    >>> plan = Plan(questions=(Decide(0.5, 0.25),), sigma=0.25)
    >>> job, rng = plan.start(), np.random.default_rng(0)
    >>> job.begin(3, rng.beta(20, 1, size=10))
    >>> while job.remaining:
    ...     job.update(rng.beta(20, 1, size=job.remaining))
    >>> job.test.answers[0].certified, job.test.n_draws, job.outcome
    (True, 50, 'answered')
    """

    questions: tuple[Question, ...]
    aside: tuple[Question, ...] = ()
    opposite: tuple[Decide, ...] = ()
    sigma: float
    alpha: float = 1e-3
    score_range: tuple[float, float] = (0.0, 1.0)
    measure: str = "score"
    n: int = 100_000
    strictness: float = 0.25
    displacement: float = 0.0
    backend: Backend | None = None

    def __post_init__(self) -> None:
        checks.count("n", self.n, 1, MOST_DRAWS)
        checks.alpha("alpha", self.alpha)
        checks.non_negative("strictness", self.strictness)
        for name, least in (
            ("questions", "one question or more"),
            ("aside", "questions"),
            ("opposite", "questions"),
        ):
            asked = getattr(self, name)
            if not isinstance(asked, tuple) or len(asked) < (name == "questions"):
                raise TypeError(f"{name} must be a tuple of {least}, got {checks.shown(asked)}")
        if len(self.opposite) > len(self.questions):
            raise ValueError(
                f"opposite must have at most one question for each of the {len(self.questions)} "
                f"questions, got {len(self.opposite)}"
            )
        self.test(())  # checks everything else

    @property
    def asked(self) -> tuple[Question, ...]:
        """All questions of the test, in order."""
        return (*self.questions, *self.aside, *self.opposite)

    @property
    def side(self) -> Sides:
        """The side of the test."""
        return "both" if self.opposite else "lower"

    @property
    def alpha_of_each(self) -> float:
        """Failure probability of each answer."""
        return self.alpha / 2.0 if self.opposite else self.alpha

    def lower(self, answers: Sequence[Answer]) -> Sequence[Answer]:
        """Select the answers to `questions` and `aside` from all answers of the test."""
        if not self.opposite:
            return answers
        return answers[::2][: len(self.questions) + len(self.aside)]

    def opposites(self, answers: Sequence[Answer]) -> Sequence[Answer]:
        """Select the answers to `opposite` from all answers of the test."""
        return answers[1::2][len(self.questions) + len(self.aside) :] if self.opposite else ()

    def test(self, guess: NDArray[np.floating] | tuple[()]) -> AnytimeTest:
        """Begin the test of one input."""
        return AnytimeTest(
            self.asked,
            sigma=self.sigma,
            alpha=self.alpha,
            score_range=self.score_range,
            measure=self.measure,
            side=self.side,
            guess=guess,
            displacement=self.displacement,
            backend=self.backend,
        )

    def start(
        self,
        budget: Budget | None = None,
        label: int | None = None,
        earlier: Earlier | None = None,
    ) -> Job:
        """Begin the job of an input, or resume one that was stopped.

        If a label is given and another class is selected, no further draw is made.
        """
        return Job(self, budget, label, earlier)


class Job:
    """The job of one input, from the selection of its class to its last draw; made by `Plan.start`.

    Attributes
    ----------
    plan : Plan
    test : AnytimeTest
        The test, with all draws so far.
    outcome : {"answered", "exhausted", "budget", "misclassified"} or None
        Why drawing ended; None while it goes on.
    total : int
        Sum of the scores, each of which is rounded to 40 binary digits of the largest possible
        score. The sum is exact, so the mean does not depend on how the draws are divided into
        parts.
    """

    def __init__(
        self,
        plan: Plan,
        budget: Budget | None = None,
        label: int | None = None,
        earlier: Earlier | None = None,
    ) -> None:
        self.plan = plan
        self.outcome: Outcome | None = None
        self.test = plan.test(()) if earlier is None else earlier.test
        self.total = 0 if earlier is None else earlier.total
        self._budget, self._label, self._earlier = budget, label, earlier
        self._most = last_look(plan.n)
        self._begun = False
        self._remaining = 1  # unknown before `begin`
        self._ungranted = 0  # draws of `_remaining` that the budget has not granted
        self._expected = math.inf
        self._open = list(range(len(plan.questions)))  # indices of the questions
        self._unit = unit_of(plan.score_range)

    @property
    def remaining(self) -> int:
        """Return the number of draws to make before the next look; 0 when all are made.

        Reading it takes the draws from the budget. It is 0 if the budget is spent before the first
        draw.
        """
        if not self._begun and self._budget is not None and self._budget.exhausted:
            self.outcome = "budget"
        self.take_budget(self._ungranted)
        return self.due

    @property
    def limited(self) -> bool:
        """Return whether draws come from a limited budget."""
        return self._budget is not None and self._budget.limited

    @property
    def due(self) -> int:
        """Return the number that `remaining` returns, without taking draws from the budget."""
        return 0 if self.outcome else self._remaining

    @property
    def ungranted(self) -> int:
        """Return how many of the due draws a limited budget has not granted yet."""
        return 0 if self.outcome else self._ungranted

    @property
    def most_remaining(self) -> int:
        """Return the largest number of draws that may still be made."""
        return 0 if self.outcome else self._most - self.test.n_draws

    @property
    def expected(self) -> float:
        """Estimate how many more draws the open questions take, as of the last look.

        It is (ln(1/alpha) - log_wealth) / KL_inf for the distribution of the draws so far. It is
        infinite if these do not support a claim.
        """
        return 0.0 if self.outcome else self._expected

    @property
    def forecast(self) -> float:
        """Estimate how many more draws will be made, even if a claim may be given up.

        If the draws do not support a claim, the estimate is the number of draws so far.
        """
        if self.outcome:
            return 0.0
        further = self._expected
        if math.isinf(further):
            further = max(self.test.n_draws, _FEWEST)
        return min(further, self.most_remaining)

    @property
    def mean(self) -> float:
        """Mean of the scores; NaN if there are none."""
        n_draws = self.test.n_draws
        return float(self.total * self._unit / n_draws) if n_draws else math.nan

    def begin(self, selected: int, scores: NDArray[np.floating]) -> None:
        """Take the scores of the selected class in the selection draws as the first guess."""
        self._begun = True
        if self._earlier is None:
            self.test = self.plan.test(scores)
        else:
            self._earlier.require_same(selected, self.plan.test(scores))
        if self._label is not None and selected != self._label:
            self.outcome = "misclassified"
        elif self._earlier is None:
            self._continue()
        else:
            self.resume(self._earlier.test, self._earlier.open)

    def resume(self, test: AnytimeTest, places: list[int] | None = None) -> None:
        """Resume with a test of the same questions that was stopped, instead of `begin`.

        `places` are the indices of the questions that were open, by default all.
        """
        self.test, self._begun = test, True
        if places is not None:
            self._open = list(places)
        self._look()

    def to_bytes(self) -> bytes:
        """Return the state of a stopped job for `Earlier.from_bytes`."""
        about = {"open": self._open, "total": self.total}
        return states.pack(about, [self.test.to_bytes()])

    def update(self, scores: NDArray[np.floating]) -> None:
        """Take the scores of the next draws, at most `remaining` of them."""
        self.test.update(scores)
        self.total += in_units(scores, self._unit)
        self._remaining -= len(scores)
        if self._remaining == 0:
            self._look()

    def take_budget(self, most: int) -> None:
        """Let the budget grant at most `most` draws. If it is spent, no more are due.

        Granted draws may be made in any parts. `update` takes them when all are made.
        """
        wanted = min(most, self.ungranted)
        if wanted == 0:
            return
        assert self._budget is not None
        granted = self._budget.take(wanted)
        self._ungranted -= granted
        if granted < wanted:
            self._remaining -= self._ungranted
            self._ungranted = 0
            if self._remaining == 0:
                self.outcome = "budget"

    def stop(self) -> None:
        """End the job, as if the budget were spent."""
        self.outcome = self.outcome or "budget"

    def _look(self) -> None:
        """Look at the answers and decide how to go on."""
        pairs = self._answers()
        self._open = [i for i in self._open if self._worth_drawing(i, *pairs[i])]
        if not self._open:
            self.outcome = "answered"
        elif self.test.n_draws >= self._most:
            self.outcome = "exhausted"
        else:
            self._continue()

    def _continue(self) -> None:
        """Request the draws up to the look at which the next answer may have changed."""
        n_draws, pairs = self.test.n_draws, self._answers()
        open_questions = [min(one.remaining for one in pairs[i] if one) for i in self._open]
        expected, self._expected = min(open_questions), max(open_questions)
        most = max(_LEAST_STEP, n_draws // _STEP_SHARE)
        aim = n_draws + max(1, min(most, math.floor(min(expected, most / _SHARE) * _SHARE)))
        look = last_look(n_draws)
        while look < aim:
            look = look_after(look)
        self._remaining = min(look, self._most) - n_draws
        if self.limited:
            self._ungranted = self._remaining
        elif self._budget is not None:
            self._budget.take(self._remaining)

    def _answers(self) -> list[tuple[Answer, Answer | None]]:
        """Return the answer to each question with that to its opposite."""
        answers = self.test.answers
        lower = self.plan.lower(answers)[: len(self.plan.questions)]
        return list(zip_longest(lower, self.plan.opposites(answers)))

    def _worth_drawing(self, i: int, answer: Answer, opposite: Answer | None) -> bool:
        """Return whether question `i` is open and more draws may answer it or its opposite."""
        if answer.remaining == 0.0 or (opposite is not None and opposite.certified):
            return False
        if self._may_be_shown(i, answer):
            return True
        place = len(self.plan.questions) + len(self.plan.aside) + i
        return opposite is not None and self._may_be_shown(place, opposite)

    def _may_be_shown(self, i: int, answer: Answer) -> bool:
        """Return whether more draws may show the claim of question `i` of the test."""
        n_draws, n = self.test.n_draws, self.plan.n
        seen = n_draws + self.test.n_guess
        if seen < _FEWEST or not 0 < n_draws < self._most:
            return True
        missing = max(0.0, -math.log(answer.alpha) - answer.log_wealth)
        worth = self.plan.strictness * n
        (z,) = -gaussian.quantile([n_draws / worth if n_draws < worth / 2.0 else 0.5])
        error = math.sqrt((1.0 - n_draws / n) / seen)
        needed = math.sqrt(2.0 * missing / (n - n_draws))
        return bool(self._distance(i, answer, missing) + z * error > needed)

    def _distance(self, i: int, answer: Answer, missing: float) -> float:
        """Return how far the estimate is above the threshold, in standard deviations of one draw.

        With a normal mean at this distance d, the log wealth would grow by d^2 / 2 per draw.
        """
        if answer.remaining < math.inf:
            return math.sqrt(2.0 * missing / answer.remaining)
        estimate = self.test.estimate(i, answer.side)
        if estimate.above >= 0.0:
            return 0.0
        return estimate.above / estimate.deviation if estimate.deviation > 0.0 else -math.inf
