"""A chain of claims, each of which implies those before it, tested on the draws of one input.

A chain has shown its last claim such that this claim and all before it were shown. No correction
for their number is needed: the claims are false from some number on, which does not depend on the
draws. To show a false claim, the test of the first false one must fail, which has a probability of
at most alpha (docs/anytime.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from smoothbound.anytime._questions import Claim, Question
from smoothbound.backends._names import Side

__all__ = ["Answer", "Chain"]


class Chain:
    """How far the draws of one record have shown a chain of claims.

    One claim is tested at a time. The test of the next starts when all claims before it are
    shown, and goes through the record from the beginning.

    Parameters
    ----------
    claim_of : callable
        Returns the claim of a number from 0, None after the last.
    start : callable
        Makes the e-process of a claim.
    alpha : float
        Failure probability of the chain.

    Attributes
    ----------
    shown : Claim or None
        The last claim shown.
    n_draws : int
        Number of draws of the record at which it was shown; 0 if none is.
    claim : Claim or None
        The claim that is tested now; None if all are shown.
    process : object
        Its e-process, or that of the last claim.
    """

    def __init__(
        self,
        claim_of: Callable[[int], Claim | None],
        start: Callable[[Claim], Any],
        alpha: float,
    ) -> None:
        self.alpha = alpha
        self.shown: Claim | None = None
        self.n_draws = 0
        self._claim_of, self._start = claim_of, start
        self._n_shown = 0
        self.claim = claim_of(0)
        assert self.claim is not None
        self.process = start(self.claim)

    def advance(self, record: Any) -> None:
        """Take the draws of the record up to its last look.

        An interruption leaves the chain as it was after the last claim that was shown.
        """
        while self.claim is not None:
            n_draws = self.process.advance(record, self.alpha)
            if not n_draws:
                return
            following = self._claim_of(self._n_shown + 1)
            process = self.process if following is None else self._start(following)
            self.n_draws = max(self.n_draws, n_draws)
            self.shown, self.claim, self.process = self.claim, following, process
            self._n_shown += 1

    @property
    def remaining(self) -> float:
        """Return about how many more draws the next claim takes; 0 if there is none.

        It is infinite where the draws so far do not speak for the claim.
        """
        if self.claim is None:
            return 0.0
        missing = math.log(1.0 / self.alpha) - self.process.log_wealth
        growth = self.process.growth
        return missing / growth if growth > 0.0 else math.inf


@dataclass(frozen=True)
class Answer:
    """The answer of the draws so far to a question, on one side.

    The confidence is certified to be strictly above `confidence` (below, on the upper side) at
    all points within `radius`. That is false with probability at most `alpha`, whenever and for
    whatever reason the answer is read.

    Attributes
    ----------
    question : Decide, FindRadius or FindConfidence
    side : {"lower", "upper"}
    alpha : float
        Failure probability of this answer by itself.
    first_draw : int
        Number of the first draw that counts; not 0 for a question that was asked later.
    certified : bool
        Whether there is a certificate: of a radius at least 0, of a confidence at least one step
        from the end of the range.
    radius, confidence : float
        The certificate; NaN where there is none.
    n_draws : int
        Number of draws of the test at which it was reached; 0 where there is none.
    log_wealth : float
        Logarithm of the wealth of the claim that is tested now: the one asked about, or the
        next radius or confidence of the grid. It is shown at ln(1/alpha).
    remaining : float
        About how many more draws this claim takes, (ln(1/alpha) - log_wealth) / growth; infinite
        if the draws so far do not speak for it, 0 if nothing is left to show.
    """

    question: Question
    side: Side
    alpha: float
    first_draw: int
    certified: bool
    radius: float
    confidence: float
    n_draws: int
    log_wealth: float
    remaining: float

    @classmethod
    def of(cls, question: Question, side: Side, first_draw: int, chain: Chain) -> Answer:
        """Return the answer that a chain has come to."""
        shown = chain.shown
        return cls(
            question=question,
            side=side,
            alpha=chain.alpha,
            first_draw=first_draw,
            certified=shown is not None,
            radius=math.nan if shown is None else shown.radius,
            confidence=math.nan if shown is None else shown.threshold,
            n_draws=chain.n_draws,
            log_wealth=chain.process.log_wealth,
            remaining=chain.remaining,
        )
