"""The draws of an input so far, from which its job goes on."""

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
"""How far the scores of the same draws may be apart on average, in shares of their range."""


@dataclass(frozen=True, eq=False)
class Earlier:
    """The draws of an input so far, from which a job goes on.

    Attributes
    ----------
    selected : int
        The selected class.
    n_selection : int
        Number of draws that selected it.
    test : AnytimeTest
        The test, with all draws that were made of it.
    total : int
        Sum of their scores, as `Job.total`.
    open : list of int or None
        Places of the questions for which more draws were to be made; None: of all.
    guesser : AnytimeTest or None
        A test whose first guess are the scores of the selection draws; None: none is known.
    """

    selected: int
    n_selection: int
    test: AnytimeTest
    total: int = 0
    open: list[int] | None = None
    guesser: AnytimeTest | None = None

    @classmethod
    def from_bytes(cls, state: bytes, selected: int, n_selection: int) -> Earlier:
        """Read what `Job.to_bytes` wrote.

        Raises
        ------
        TypeError, ValueError
            If it did not write this.
        """
        about, tests = states.unpack(state)
        if set(about) != {"open", "total"} or len(tests) != 1:
            raise ValueError("state must be that of a job that was stopped")
        places = [checks.count("open", place, 0) for place in about["open"]]
        test, total = AnytimeTest.from_bytes(tests[0]), int(about["total"])
        return cls(selected, n_selection, test, total, places)

    @classmethod
    def finished(cls, selected: int, n_selection: int, test: AnytimeTest, mean: float) -> Earlier:
        """Return a job that was finished, by its test and the mean of the scores."""
        n_draws = test.n_draws
        total = round(Fraction(mean) * n_draws / unit_of(test.score_range)) if n_draws else 0
        return cls(selected, n_selection, test, total)

    def require_same(self, selected: int, anew: AnytimeTest) -> None:
        """Refuse to go on with another class, another selection or other questions.

        `anew` is a test that begins with the selection draws as they are now.
        """
        questions, n_selection = anew.questions, anew.n_guess
        if selected != self.selected:
            raise ValueError(
                f"the selection draws choose class {selected} now, and chose class "
                f"{self.selected} before: the input cannot go on, because it, the network or its "
                "arithmetic has changed"
            )
        if n_selection != self.n_selection:
            raise ValueError(
                f"{n_selection} selection draws choose class {selected} now, and "
                f"{self.n_selection} chose it before: the input cannot go on, because it, the "
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
    """Refuse selection draws whose scores are not those of before.

    Compared is the distance of the two distributions (Wasserstein), which is at most the mean
    distance of the scores, draw by draw, in shares of the range.
    """
    knots = backends.load(now.backend).anytime_knots
    masses = [one.records[0].guessed.astype(np.float64) for one in (before, now)]
    shares = [mass / max(1.0, mass.sum()) for mass in masses]
    apart = float(np.abs(np.cumsum(shares[1] - shares[0]))[:-1] @ np.diff(knots))
    if apart > SAME_SCORES:
        a, b = now.score_range
        means = [a + (b - a) * float(share @ knots) for share in shares]
        raise ValueError(
            f"the {now.measure} of the selection draws is {means[1]:.4g} on average now, and was "
            f"{means[0]:.4g} before: the distributions are {apart:.2g} of its range apart, and "
            f"rounding explains at most {SAME_SCORES:g}; the input cannot go on, because it, the "
            "network or its arithmetic has changed"
        )
