"""Verification of certificates of adaptive draws, from the states of their tests.

A state holds the draws between the looks of the test. The reference tests the same claims on them:
it chooses its own bets, and certifies a claim if its wealth reaches 1 / alpha at a look. If its
bets gain a little less than those of the run, it uses the bets of the fallback, which are those of
the core, and computes their wealth itself. Either wealth proves the claim.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothbound._display.rounding import exact
from smoothbound.anytime._anytime_test import AnytimeTest
from smoothbound.anytime._chain import Answer
from smoothbound.anytime._job.earlier import Earlier
from smoothbound.anytime._questions import MOST_CLAIMS, Claim, Decide, Question, claim_of
from smoothbound.anytime._state import VERSION, OtherVersionError
from smoothbound.backends import _select as backends
from smoothbound.backends import reference_anytime as reference
from smoothbound.smoothing._one_input.anytime_draws import AnytimeProcedure
from smoothbound.smoothing._one_input.of_settings import recorded_procedure
from smoothbound.store._settings import RunSettings
from smoothbound.verify._counts import class_radius_findings, shown
from smoothbound.verify._verification import Finding, Verification

__all__ = ["StatesVerifier"]

Vector = NDArray[np.float64]

_LEAST_ALPHA = 1e-302  # no wealth reaches its inverse, so a process uses all draws


@dataclass(frozen=True)
class _Draws:
    """The draws of a state: sums of masses at the knots, between looks."""

    schedule: list[int]
    blocks: list[Vector]
    guess: Vector
    n_guess: int

    @classmethod
    def of(cls, record: Any) -> _Draws:
        schedule = record.looks.astype(np.int64)
        sizes = np.diff(schedule)
        blocks = record.between_looks.astype(np.float64)
        totals = blocks.sum(axis=1)
        scaled = blocks * (sizes / totals)[:, None] if len(blocks) else blocks
        guess = record.guessed.astype(np.float64)
        guess *= record.n_guess / guess.sum() if record.n_guess else 0.0
        return cls(schedule.tolist(), list(scaled), guess, int(record.n_guess))


class _Beginning:
    """The draws of a record up to a look, for a process of the fallback."""

    def __init__(self, record: Any) -> None:
        self.guessed, self.n_guess = record.guessed, record.n_guess
        self._looks, self._blocks = record.looks.tolist(), record.between_looks.astype(np.int64)
        self.look = 0

    def blocks_from(self, look: int) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """Yield the number of draws at each look from this one on, and the masses up to it."""
        for i in range(look, self.look):
            yield self._looks[i + 1], self._blocks[i]


class StatesVerifier:
    """Verifies rows of a run with adaptive draws.

    Parameters
    ----------
    settings : RunSettings
    found : Verification
        Receives the outcomes.
    """

    def __init__(self, settings: RunSettings, found: Verification) -> None:
        self._settings, self._found = settings, found
        self._procedure: AnytimeProcedure | None = None
        if settings.adaptive is not None and settings.adaptive.stages is None:
            self._procedure = recorded_procedure(settings)
        (self._method,) = settings.methods

    def row(self, row: Mapping[str, Any]) -> list[Finding]:
        """Verify the row of one input; return the findings."""
        index = int(row["index"])
        if not row["state"]:
            return self._without_state(index, row)
        assert self._procedure is not None
        try:
            test = self._test(row)
        except OtherVersionError as error:
            words = f"has version {error.found}, and this release reads version {VERSION}: verify "
            return [Finding(index, "state", words + "it with the smoothbound that wrote it")]
        except (TypeError, ValueError) as error:
            return [Finding(index, "state", f"is damaged: {error}")]
        if other := self._other(test, int(row["n_draws"]), int(row.get("first_draw", 0))):
            return [Finding(index, "state", other)]
        every = self._confirmed(test)
        answers = tuple(self._procedure.plan.lower(every))
        findings = self._certificates(index, row, answers) + self._unreachable(index, row, every)
        if self._procedure.abstains(answers) and row["status"] == "certified":
            words = "is certified, and the state does not certify a confidence above the cut-off"
            findings.append(Finding(index, "status", words))
        return findings + self._class_radius(index, row, test.n_draws)

    def _test(self, row: Mapping[str, Any]) -> AnytimeTest:
        if row["status"] == "stopped":
            selected, n_selection = int(row["selected"]), int(row["n_selection"])
            return Earlier.from_bytes(row["state"], selected, n_selection).test
        return AnytimeTest.from_bytes(row["state"])

    def _without_state(self, index: int, row: Mapping[str, Any]) -> list[Finding]:
        """Verify an input without draws, which has no certificates."""
        name, a = self._method.name, self._settings.score_range[0]
        lower, radius = np.asarray(row[f"lower_{name}"]), np.asarray(row[f"radius_{name}"])
        for kind, stated, claims in (
            ("lower", lower, lower > a),
            ("radius", radius, ~np.isnan(radius)),
            ("class_radius", np.atleast_1d(row["class_radius"]), ~np.isnan(row["class_radius"])),
        ):
            kind = kind if kind == "class_radius" else f"{kind}_{name}"
            unproved = int(np.count_nonzero(claims))
            self._found.tally(kind).proved += stated.size - unproved
            if unproved:
                self._found.cannot(kind, unproved, "no state of the draws was kept")
        return []

    def _other(self, test: AnytimeTest, n_draws: int, first_draw: int) -> str:
        """Return how a state differs from the run; empty if it does not."""
        plan, settings = self._procedure.plan, self._settings  # type: ignore[union-attr]
        lacking = [one for one in plan.asked if one not in test.questions]
        pairs = (
            ("alpha", test.alpha, settings.alpha),
            ("sigma", test.sigma, settings.sigma),
            ("score_range", test.score_range, settings.score_range),
            ("measure", test.measure, settings.measure),
            ("side", test.side, plan.side),
            ("displacement", test.displacement, settings.displacement),
            ("number of draws", test.n_draws, n_draws),
            ("number of the first draw", test.first_draw, first_draw),
        )
        if lacking:
            return f"does not hold the questions {lacking}"
        return "; ".join(
            f"has other {name} than the row and the run: {mine!r}, not {theirs!r}"
            for name, mine, theirs in pairs
            if mine != theirs
        )

    # Claims

    def _confirmed(self, test: AnytimeTest) -> tuple[Answer, ...]:
        """Return the answers of a test that the reference confirms."""
        assert self._procedure is not None
        plan, answers = self._procedure.plan, test.answers
        records = dict(zip(dict.fromkeys(one.side for one in answers), test.records, strict=True))
        draws = {side: _Draws.of(record) for side, record in records.items()}
        by_question = {(one.question, one.side): one for one in answers}
        return tuple(
            self._answer(records[side], draws[side], by_question[one, side])
            for one in plan.asked
            for side in records
        )

    def _answer(self, record: Any, draws: _Draws, answer: Answer) -> Answer:
        if not answer.certified:
            return answer
        if answer.side == "upper":
            return self._upper(record, draws, answer)
        shown = None
        for claim in self._claims(answer.question):
            if claim.radius > answer.radius or claim.threshold > answer.confidence:
                break
            if not self._is_shown(record, draws, claim, answer.alpha):
                break
            shown = claim
        if shown is None:
            return replace(answer, certified=False, radius=math.nan, confidence=math.nan)
        return replace(answer, radius=shown.radius, confidence=shown.threshold)

    def _upper(self, record: Any, draws: _Draws, answer: Answer) -> Answer:
        """Return the answer to a decision on the upper side, which has no other questions."""
        if not isinstance(answer.question, Decide):
            return answer
        claim = Claim(answer.question.threshold, answer.question.radius)
        shown = self._is_shown(record, draws, claim, answer.alpha, upper=True)
        return replace(answer, certified=shown)

    def _claims(self, question: Question) -> Iterator[Claim]:
        settings = self._settings
        for i in range(MOST_CLAIMS):
            claim = claim_of(
                question, i, sigma=settings.sigma, score_range=settings.score_range, side="lower"
            )
            if claim is None:
                return
            yield claim

    def _is_shown(
        self, record: Any, draws: _Draws, claim: Claim, alpha: float, *, upper: bool = False
    ) -> bool:
        """Return whether the reference certifies a claim."""
        a, b = self._settings.score_range
        # The record of the upper side is reflected.
        target = (b - claim.threshold if upper else claim.threshold - a) / (b - a)
        r = (claim.radius + 2.0 * self._settings.displacement) / self._settings.sigma
        needed = -math.log(alpha)
        own = reference.wealth_of_blocks(
            draws.schedule, draws.blocks, draws.guess, draws.n_guess, target=target, r=r
        )
        if any(log_wealth >= needed for _, log_wealth, _ in own):
            return True
        return any(log_wealth >= needed for log_wealth in _wealth_of_run(record, draws, target, r))

    def _certificates(
        self, index: int, row: Mapping[str, Any], answers: tuple[Answer, ...]
    ) -> list[Finding]:
        """Compare the stated certificates with the answers."""
        assert self._procedure is not None
        bounds, name = self._procedure.bounds(answers), self._method.name
        settings, findings = self._settings, []
        grids = (
            ("lower", "R", settings.radii, bounds.lower, settings.score_range[0]),
            ("radius", "c", settings.thresholds, bounds.radius, -1.0),
        )
        for kind, at, grid, proved, nothing in grids:
            column = f"{kind}_{name}"
            tally = self._found.tally(column)
            stated = np.asarray(row[column], np.float64)
            assert proved is not None
            for place, x, most in zip(grid, stated.tolist(), proved.tolist(), strict=True):
                if math.isnan(x) or x <= (nothing if math.isnan(most) else most):
                    tally.proved += 1
                    continue
                tally.wrong += 1
                proves = "nothing" if math.isnan(most) else f"at most {shown(most)}"
                words = f"is {shown(x)}, and the state proves {proves}"
                findings.append(Finding(index, f"{column} at {at} = {exact(place)}", words))
        return findings

    def _unreachable(
        self, index: int, row: Mapping[str, Any], answers: tuple[Answer, ...]
    ) -> list[Finding]:
        """Compare the radii that are stated to be out of reach with the answers."""
        assert self._procedure is not None
        least = self._procedure.unreachable(answers)
        if least is None:
            return []
        column, findings = f"unreachable_{self._method.name}", []
        tally = self._found.tally(column)
        stated = np.asarray(row[column], np.float64)
        grid = self._settings.thresholds
        for c, x, proved in zip(grid, stated.tolist(), least.tolist(), strict=True):
            if math.isnan(x) or x >= proved:
                tally.proved += 1
                continue
            tally.wrong += 1
            proves = "nothing" if math.isnan(proved) else f"no less than {shown(proved)}"
            words = f"is {shown(x)}, and the state proves {proves}"
            findings.append(Finding(index, f"{column} at c = {exact(c)}", words))
        return findings

    def _class_radius(self, index: int, row: Mapping[str, Any], n_draws: int) -> list[Finding]:
        settings, top_count = self._settings, int(row["top_count"])
        if not top_count <= n_draws:
            words = f"is {top_count}, and there are {n_draws} draws"
            return [Finding(index, "top_count", words)]
        most = math.nan
        if n_draws:
            most = reference.class_radius(top_count, n_draws, settings.sigma, settings.alpha)
        most -= 2.0 * settings.displacement
        stated = float(row["class_radius"])
        return class_radius_findings(index, stated, most, settings.sigma, self._found)


def _wealth_of_run(record: Any, draws: _Draws, target: float, r: float) -> Iterator[float]:
    """Yield the logarithm of the wealth of the bets of the fallback at each look."""
    process = backends.load("numba").EProcess(target, r)
    beginning = _Beginning(record)
    bet, total = None, 0.0
    for look, block in enumerate(draws.blocks):
        beginning.look = look
        process.advance(beginning, _LEAST_ALPHA)
        if bet is None or bet.z is not process.z or bet.stake != process.stake:
            bet = reference.Bet(target, r, process.z, process.stake, reference.KNOTS)
        total += bet.log_factor(block)
        yield total
