"""The setting of a test (noise, range, measure, side), and the claims of a question in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from functools import partial
from itertools import takewhile
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from smoothbound._utils import checks
from smoothbound.anytime._chain import Chain
from smoothbound.anytime._questions import (
    MOST_CLAIMS,
    MOST_SIGMAS,
    Claim,
    Question,
    checked_question,
    claim_of,
)
from smoothbound.backends._names import SIDES, Side, Sides
from smoothbound.noise._displaced import outward
from smoothbound.sampling._jobs import Draws

__all__ = ["Estimate", "Setting", "Source"]


class Estimate(NamedTuple):
    """An estimate of how far draws can show a claim, in units of the range of the scores.

    Attributes
    ----------
    above : float
        Distance from the threshold to the bound of Theorem 2 for the distribution of the scores so
        far, at the radius. It is positive if the bound is beyond the threshold: above it on the
        lower side, below it on the upper side.
    deviation : float
        Standard deviation of one draw of the mean from which the bound is computed.
    """

    above: float
    deviation: float


@dataclass(frozen=True, kw_only=True)
class Setting:
    """The setting of a test: noise, range, measure and sides. Each field is checked.

    Attributes
    ----------
    sigma : float
        Noise level, in the units of the model's input before normalisation.
    score_range : (float, float)
        The range [a, b] of the scores.
    measure : str
        Name of the confidence measure.
    side : {"lower", "upper", "both"}
        Whether claims state that the confidence is above thresholds, below them, or both are
        tested.
    displacement : float
        Largest distance between the input and the point around which draws are made.

    Examples
    --------
    >>> Setting(sigma=0.25, side="both").sides
    ('lower', 'upper')
    """

    sigma: float
    score_range: tuple[float, float] = (0.0, 1.0)
    measure: str = "score"
    side: Sides = "lower"
    displacement: float = 0.0

    def __post_init__(self) -> None:
        checked = {
            "sigma": checks.positive("sigma", self.sigma),
            "score_range": checks.score_range("score_range", self.score_range),
            "side": checks.choice("side", self.side, SIDES),
            "displacement": checks.non_negative("displacement", self.displacement),
        }
        if not isinstance(self.measure, str) or not self.measure:
            raise TypeError(
                f"measure must be the name of a measure, got {checks.shown(self.measure)}"
            )
        vars(self).update(checked)  # the class is frozen
        if not 2.0 * self.displacement <= MOST_SIGMAS * self.sigma:
            raise ValueError(
                f"displacement must be at most {MOST_SIGMAS / 2:g} sigma, because no test can show "
                f"anything at larger radii; got {self.displacement}"
            )

    @property
    def sides(self) -> tuple[Side, ...]:
        """The sides on which claims are made."""
        return ("lower", "upper") if self.side == "both" else (self.side,)

    def share(self, alpha: float) -> float:
        """Return the failure probability of one side."""
        return alpha / 2.0 if self.side == "both" else alpha

    def question(self, name: str, question: object) -> Question:
        """Return a question after checks; `name` is the argument that errors name."""
        return checked_question(
            name,
            question,
            sigma=self.sigma,
            score_range=self.score_range,
            displacement=self.displacement,
        )

    def asked(self, questions: object) -> list[Question]:
        """Return the questions of an argument, which is one of them or a list, after checks."""
        given = [questions] if isinstance(questions, Question) else questions
        if not isinstance(given, Sequence) or isinstance(given, str | bytes) or not given:
            raise TypeError(
                f"questions must be a question or a list of them, got {checks.shown(questions)}"
            )
        return [self.question(f"questions[{i}]", question) for i, question in enumerate(given)]

    def refuse_others(self, draws: Draws) -> None:
        """Refuse draws of a sampler that were made with other settings."""
        for name in ("sigma", "measure"):
            mine, theirs = getattr(self, name), getattr(draws, name)
            if theirs is not None and theirs != mine:
                raise ValueError(
                    f"scores must be draws with {name} = {mine!r}, like the test, got draws with "
                    f"{name} = {theirs!r}"
                )
        if draws.displacement > self.displacement:
            raise ValueError(
                f"scores were drawn around a point {draws.displacement} from the input: make the "
                f"test with displacement={draws.displacement} or more"
            )

    def record(self, backend: ModuleType, side: Side) -> Any:
        """Begin the record of the draws for one side."""
        a, b = self.score_range
        return backend.DrawRecord(a, b, side)

    def scores_like(self, backend: ModuleType, record: Any) -> NDArray[np.float64]:
        """Return scores on the knots, as many as a record has draws and with their distribution."""
        masses = record.guessed + record.since_last_look
        masses = masses + record.between_looks.sum(axis=0, dtype=np.uint64)
        up_to = np.cumsum(masses.astype(np.float64)) / max(1.0, float(masses.sum()))
        n = record.n_guess + record.n_draws
        counts = np.diff(np.floor(up_to * n + 0.5), prepend=0.0).astype(np.int64)
        a, b = self.score_range
        distances = (b - a) * backend.anytime_knots
        at_knots = a + distances if record.side == "lower" else b - distances
        return np.repeat(np.clip(at_knots, a, b), counts)

    def chain(
        self, backend: ModuleType, question: Question, side: Side, alpha: float, first: int = 0
    ) -> Chain:
        """Begin the test of a question on one side, from a look onwards."""

        def start(claim: Claim) -> Any:
            return backend.EProcess(*self.scaled(claim, side), first)

        return Chain(partial(self._claim, question, side), start, alpha)

    def claims(self, question: Question, side: Side) -> list[Claim]:
        """Return all claims of a question."""
        found = (self._claim(question, side, i) for i in range(MOST_CLAIMS))
        return [claim for claim in takewhile(bool, found) if claim]

    def _claim(self, question: Question, side: Side, i: int) -> Claim | None:
        return claim_of(question, i, sigma=self.sigma, score_range=self.score_range, side=side)

    def estimate(self, backend: ModuleType, record: Any, claim: Claim) -> Estimate:
        """Estimate how far the draws of a record can show a claim on the side of the record."""
        target, r = self.scaled(claim, record.side)
        value, deviation = backend.estimate_functional(record, r)
        return Estimate(value - target, deviation)

    def scaled(self, claim: Claim, side: Side) -> tuple[float, float]:
        """Return the threshold and the radius of a claim in units of the range and of sigma.

        The threshold is a distance from the end of the range at which claims of this side start.
        Both numbers are rounded up.
        """
        a, b = map(Fraction, self.score_range)
        threshold = Fraction(claim.threshold)
        distance = threshold - a if side == "lower" else b - threshold
        (radius,) = outward([claim.radius], self.displacement).tolist()
        return _up(distance / (b - a)), _up(Fraction(radius) / Fraction(self.sigma))


def _up(exact: Fraction) -> float:
    """Return the least float that is at least a number."""
    near = float(exact)
    return near if Fraction(near) >= exact else math.nextafter(near, math.inf)


@dataclass(frozen=True)
class Source:
    """The origin of the draws of a test, as far as `smoothbound.sampling.Draws` state it.

    Attributes
    ----------
    index, seed : int or None
        The input, and the seed of the noise.
    selected : int or None
        The class whose scores the draws are.
    noise : {"lattice", "gaussian"} or None
        Kind of the noise.
    """

    index: int | None = None
    seed: int | None = None
    selected: int | None = None
    noise: str | None = None

    def joined(self, draws: Draws) -> Source:
        """Return the origin with that of further draws, which must not contradict it."""
        known = {}
        for name in (field.name for field in fields(self)):
            mine, theirs = getattr(self, name), getattr(draws, name)
            if mine is not None and theirs is not None and mine != theirs:
                raise ValueError(
                    f"scores must be draws with {name} = {mine!r}, like earlier draws, got draws "
                    f"with {name} = {theirs!r}"
                )
            known[name] = theirs if mine is None else mine
        return Source(**known)
