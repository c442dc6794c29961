"""A chain of claims, each of which implies those before it, tested on the draws of one input.

A chain shows a claim if the tests of this claim and of all claims before it succeed. No correction
for the number of claims is needed, because all claims from the first false one on are false, and
which one that is does not depend on the draws. A chain that shows a false claim has shown the first
false one, and that happens with probability at most alpha (docs/anytime.md).
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
    """A chain of claims, and how far the draws of one record have shown it.

    One claim is tested at a time. The test of the next claim starts when all claims before it are
    shown, and it uses the record from the beginning.

    Parameters
    ----------
    claim_of : callable
        Takes a number from 0 and returns the claim of this number; None after the last claim.
    start : callable
        Takes a claim and returns a new e-process for it.
    alpha : float
        Failure probability of the chain.

    Attributes
    ----------
    shown : Claim or None
        The last claim shown.
    n_draws : int
        Number of draws of the record at which this claim was shown; 0 if none is shown.
    claim : Claim or None
        The claim that is tested now; None if all claims are shown.
    process : object
        The e-process of this claim, or that of the last claim if all are shown.
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
        """Test the claims on the draws of the record, up to its last look.

        After an interruption the chain is as it was when its last claim was shown.
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
        """Estimate how many more draws the next claim takes; 0 if there is none.

        It is infinite if the draws so far do not support the claim.
        """
        if self.claim is None:
            return 0.0
        missing = math.log(1.0 / self.alpha) - self.process.log_wealth
        growth = self.process.growth
        return missing / growth if growth > 0.0 else math.inf


@dataclass(frozen=True)
class Answer:
    """The answer to a question on one side, from the draws so far.

    The confidence is certified to be strictly above `confidence` (on the upper side, below it) at
    all points within `radius`. The probability that this is false is at most `alpha`, whenever and
    for whatever reason the answer is read.

    Attributes
    ----------
    question : Decide, FindRadius or FindConfidence
    side : {"lower", "upper"}
    alpha : float
        Failure probability of this answer by itself.
    first_draw : int
        Number of the first draw that counts. It is above 0 for a question that was asked later.
    certified : bool
        Whether there is a certificate: a radius of at least 0, or a confidence at least one step
        from the end of the range.
    radius, confidence : float
        The certificate; NaN if there is none.
    n_draws : int
        Number of draws of the test when the certificate was reached; 0 if there is none.
    log_wealth : float
        Logarithm of the wealth of the claim that is tested now: that of the question, or the next
        radius or confidence of the grid. The claim is certified at ln(1/alpha).
    remaining : float
        Estimated number of draws that this claim still takes, (ln(1/alpha) - log_wealth) / growth.
        It is infinite if the draws so far do not support the claim, and 0 if all claims are
        certified.
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
        """Return the answer of a chain."""
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
