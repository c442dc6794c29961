"""The loop of sampling: launches batches, and hands their scores to the inputs that need them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from smoothbound.errors import ModelError
from smoothbound.noise._streams import Stream
from smoothbound.sampling._batches import Attempt, Batches
from smoothbound.sampling._jobs import Draws, Failure, Input
from smoothbound.sampling._model.outputs import Scorer
from smoothbound.sampling._schedule import Schedule, Segment

__all__ = ["Outcome", "outcomes_of", "unless_all_fail"]

Outcome = tuple[Input, Draws | Failure]

_EQUAL_FAILURES = 8  # if this many first inputs fail in the same way, the model is wrong


def outcomes_of(
    schedule: Schedule[Input],
    batches: Batches,
    ahead: int,
    advance: Callable[[int], object] | None,
) -> Iterator[Outcome]:
    """Launch batches, and collect the scores of each batch after `ahead` others were launched."""
    in_flight: deque[list[Attempt]] = deque()
    more = True
    while more:
        # Nothing is yielded inside, because torch's settings must be unchanged for the caller.
        with batches.model.running(batches.threads):
            while more and not schedule.finished:
                while in_flight and (len(in_flight) > ahead or schedule.fill() < schedule.size):
                    _collect(in_flight.popleft(), schedule, batches, advance)
                more = schedule.fill() > 0
                if more:
                    in_flight.append(batches.launch(schedule.next_batch()))
        while schedule.finished:
            yield schedule.finished.popleft()


def unless_all_fail(outcomes: Iterator[Outcome]) -> Iterator[Outcome]:
    """Raise a `ModelError` if the first inputs fail in the same way, because the model is wrong."""
    held: list[tuple[Input, Failure]] = []
    for item, outcome in outcomes:
        alike = isinstance(outcome, Failure) and all(f.kind == outcome.kind for _, f in held)
        if not alike:
            yield from held
            yield item, outcome
            yield from outcomes
            return
        assert isinstance(outcome, Failure)
        held.append((item, outcome))
        if len(held) == _EQUAL_FAILURES:
            break
    if held:
        _, failure = held[0]
        raise ModelError(failure.reason) from failure.error


def _collect(
    attempts: list[Attempt],
    schedule: Schedule[Input],
    batches: Batches,
    advance: Callable[[int], object] | None,
) -> None:
    """Hand the scores of a batch to their inputs."""
    for attempt in attempts:
        if isinstance(attempt.record, Failure):
            for segment in attempt.segments:
                _fail(segment, attempt.record, schedule)
            continue
        if attempt.arrived is not None:
            attempt.arrived.synchronize()
        _hand_out(attempt, attempt.record.numpy(), schedule, batches.scorer, advance)
    while schedule.decided:
        one = schedule.decided.popleft()
        found = batches.selection_scores(one.selection)
        if isinstance(found, Failure):
            schedule.fail(one, found)
        else:
            schedule.begin(one, found)


def _hand_out(
    attempt: Attempt,
    record: NDArray[np.floating],
    schedule: Schedule[Input],
    scorer: Scorer,
    advance: Callable[[int], object] | None,
) -> None:
    """Hand out the rows of a record, and end the inputs with wrong rows as failures."""
    used = slice(attempt.segments[0].rows.start, attempt.segments[-1].rows.stop)
    sound = scorer.failure(record[:, used], first=0) is None  # otherwise each segment is checked
    scores, top, selected = record[0].astype(np.float32), *record[1:3].astype(np.int64)
    for i, segment in enumerate(attempt.segments):
        rows = segment.rows
        if advance is not None:
            advance(len(segment))
        first = None if segment.stream is Stream.SELECTION else segment.first
        if not sound and (failure := scorer.failure(record[:, rows], first)):
            _fail(segment, failure, schedule)
            continue
        outputs = attempt.outputs[i] if attempt.outputs else None
        counts = attempt.class_counts[i] if attempt.class_counts else None
        schedule.deliver(
            segment,
            scores[rows],
            top[rows],
            int(selected[rows.stop - 1]),
            outputs,
            None if counts is None else counts.numpy(),
        )


def _fail(segment: Segment[Input], failure: Failure, schedule: Schedule[Input]) -> None:
    """End the input of a segment, unless the input may never need these draws."""
    if segment.ahead:
        schedule.give_back(segment)
    else:
        schedule.fail(segment.input, failure)
