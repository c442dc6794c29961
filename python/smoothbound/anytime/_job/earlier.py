"""The state of a stopped job, from which it is resumed."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from smoothbound._utils import checks
from smoothbound.anytime import _state as states
from smoothbound.anytime._anytime_test import AnytimeTest
from smoothbound.anytime._job.exact_sum import unit_of
from smoothbound.backends import _select as backends

__all__ = ["SAME_SCORES", "Earlier"]

SAME_SCORES = 0.005
"""Largest mean distance between scores of the same draws, as a share of their range."""


@dataclass(frozen=True, eq=False)
class Earlier:
    """The earlier draws of an input, from which a job is resumed.

    Attributes
    ----------
    selected : int
        The selected class.
    n_selection : int
        Number of draws that selected this class.
    test : AnytimeTest
        The test with all its draws.
    total : int
        Sum of their scores, like `Job.total`.
    open : list of int or None
        Indices of the questions that were still open; None if all were.
    guesser : AnytimeTest or None
        A test whose first guess is the scores of the selection draws; None if these are unknown.
    """

    selected: int
    n_selection: int
    test: AnytimeTest
    total: int = 0
    open: list[int] | None = None
    guesser: AnytimeTest | None = None

    @classmethod
    def from_bytes(cls, state: bytes, selected: int, n_selection: int) -> Earlier:
        """Restore the state of a job from the bytes of `Job.to_bytes`.

        Raises
        ------
        TypeError, ValueError
            If `Job.to_bytes` did not write these bytes.
        """
        about, tests = states.unpack(state)
        if set(about) != {"open", "total"} or len(tests) != 1:
            raise ValueError("state must be that of a job that was stopped")
        places = [checks.count("open", place, 0) for place in about["open"]]
        test, total = AnytimeTest.from_bytes(tests[0]), int(about["total"])
        return cls(selected, n_selection, test, total, places)

    @classmethod
    def finished(cls, selected: int, n_selection: int, test: AnytimeTest, mean: float) -> Earlier:
        """Return the state of a finished job from its test and the mean of the scores."""
        n_draws = test.n_draws
        total = round(Fraction(mean) * n_draws / unit_of(test.score_range)) if n_draws else 0
        return cls(selected, n_selection, test, total)

    def require_same(self, selected: int, anew: AnytimeTest) -> None:
        """Refuse to resume with another class, another selection or other questions.

        `anew` is a test whose first guess is the present selection draws.
        """
        questions, n_selection = anew.questions, anew.n_guess
        if selected != self.selected:
            raise ValueError(
                f"the selection draws select class {selected} now, but selected class "
                f"{self.selected} before: the input cannot go on, because it, the network or its "
                "arithmetic has changed"
            )
        if n_selection != self.n_selection:
            raise ValueError(
                f"{n_selection} selection draws select class {selected} now, but "
                f"{self.n_selection} selected it before: the input cannot go on, because it, the "
                "network or its arithmetic has changed"
            )
        if self.guesser is not None:
            _require_same_scores(self.guesser, anew)
        if questions != self.test.questions:
            raise ValueError(
                f"an input cannot go on with other questions: they were {self.test.questions}, and "
                f"are {questions}"
            )


def _require_same_scores(before: AnytimeTest, now: AnytimeTest) -> None:
    """Refuse selection draws whose scores have changed.

    The check uses the Wasserstein distance of the two distributions, as a share of the range. It is
    at most the mean distance of the scores, draw by draw.
    """
    knots = backends.load(now.backend).anytime_knots
    masses = [one.records[0].guessed.astype(np.float64) for one in (before, now)]
    shares = [mass / max(1.0, mass.sum()) for mass in masses]
    apart = float(np.abs(np.cumsum(shares[1] - shares[0]))[:-1] @ np.diff(knots))
    if apart > SAME_SCORES:
        a, b = now.score_range
        means = [a + (b - a) * float(share @ knots) for share in shares]
        raise ValueError(
            f"the {now.measure} of the selection draws is {means[1]:.4g} on average now, but was "
            f"{means[0]:.4g} before: the distributions are {apart:.2g} of its range apart, and "
            f"rounding explains at most {SAME_SCORES:g}; the input cannot go on, because it, the "
            "network or its arithmetic has changed"
        )
