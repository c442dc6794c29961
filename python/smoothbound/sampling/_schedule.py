"""Packing of the draws of many inputs into batches of one fixed size.

Draws that select the class of one input share batches with draws that estimate the confidence of
others. A finished input immediately frees its slot for the next one. This file does not depend on
models and devices.

A draw is identified by (input, stream, number), and its noise depends on nothing else. Packing
therefore determines when a draw is made, but not its value.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from smoothbound._utils import checks
from smoothbound.noise._streams import Stream
from smoothbound.sampling._in_flight import Estimation, InFlight, Selection
from smoothbound.sampling._jobs import Draws, Failure, Job

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Schedule", "Segment"]

Item = TypeVar("Item")

_AT_FIRST = 30  # approximate number of draws that shows how many an input takes


@dataclass(frozen=True)
class Segment(Generic[Item]):
    """Consecutive draws of one input, in consecutive rows of a batch.

    Attributes
    ----------
    input : InFlight
    stream : Stream
        Selection or estimation.
    first : int
        Number of the first of the draws in its stream.
    rows : slice
        Rows of the batch.
    ahead : bool
        Whether the job has not requested these draws yet.
    """

    input: InFlight[Item]
    stream: Stream
    first: int
    rows: slice
    ahead: bool = False

    def __len__(self) -> int:
        """Return the number of draws."""
        return int(self.rows.stop - self.rows.start)

    @property
    def keeps_outputs(self) -> bool:
        """Whether the job needs the scores of these selection draws."""
        return self.stream is Stream.SELECTION and self.input.open_ended is not None

    @property
    def is_last(self) -> bool:
        """Whether these are the last draws of a job with a fixed number of draws."""
        estimates = self.stream is Stream.ESTIMATION and self.input.open_ended is None
        return estimates and self.first + len(self) == self.input.estimation.n_wanted


class Schedule(Generic[Item]):
    """Packs the draws of many inputs into batches of one size.

    An input is admitted only if the inputs in flight cannot fill a batch. Inputs are served in the
    order of their requests. Inputs that share a budget take from it and are served in the order of
    the draws that they still need, with the fewest first; new inputs come before those that need
    many.

    The selection draws of an input come before its estimation draws, so that the class is known
    before an estimation draw is measured. If the selection may end early, or the job needs the
    scores of the selection draws, the estimation draws wait for the end of the selection. Rows that
    would be empty hold draws that open-ended jobs in flight have not requested yet.

    Parameters
    ----------
    inputs : iterable of (item, Job)
        The inputs, each of which is read when there is room for it. An input whose job requests no
        draws ends immediately.
    n0 : int
        Largest number of selection draws of each input.
    size : int
        Number of rows of a batch.
    n_slots : int
        Largest number of inputs in flight.
    early_selection : bool
        Whether the selection of an input may end before n0 draws; see `Selection`.

    Attributes
    ----------
    decided : deque of InFlight
        Inputs whose class is selected and whose jobs wait for `begin`. The caller removes them.
    finished : deque of (item, Draws or Failure)
        Inputs in the order in which they ended. The caller removes them.

    Examples
    --------
    Three inputs of 2 + 3 draws, in batches of 8 rows:

    >>> from smoothbound.sampling import FixedJob
    >>> schedule = Schedule(((name, FixedJob(3)) for name in "abc"), n0=2, size=8, n_slots=4)
    >>> while schedule.fill():
    ...     batch = schedule.next_batch()
    ...     print([(s.input.item, s.stream.name[:3], s.rows.start, s.rows.stop) for s in batch])
    ...     for segment in batch:
    ...         k = segment.rows.stop - segment.rows.start
    ...         schedule.deliver(segment, np.ones(k, np.float32), np.zeros(k, np.int64), 0)
    [('a', 'SEL', 0, 2), ('a', 'EST', 2, 5), ('b', 'SEL', 5, 7), ('b', 'EST', 7, 8)]
    [('b', 'EST', 0, 2), ('c', 'SEL', 2, 4), ('c', 'EST', 4, 7)]
    >>> [(item, len(draws.scores)) for item, draws in schedule.finished]
    [('a', 3), ('b', 3), ('c', 3)]
    """

    def __init__(
        self,
        inputs: Iterable[tuple[Item, Job]],
        *,
        n0: int,
        size: int,
        n_slots: int,
        early_selection: bool = False,
    ) -> None:
        self.n0 = checks.count("n0", n0)
        self.size = checks.count("size", size)
        self.n_slots = checks.count("n_slots", n_slots)
        self.early_selection = early_selection
        self.decided: deque[InFlight[Item]] = deque()
        self.finished: deque[tuple[Item, Draws | Failure]] = deque()
        self._inputs = iter(inputs)
        self._free = list(range(self.n_slots - 1, -1, -1))
        self._in_flight: dict[int, InFlight[Item]] = {}  # by slot
        self._waiting: deque[InFlight[Item]] = deque()  # with draws to hand out
        self._ungranted: list[tuple[float, int, InFlight[Item]]] = []  # heap: need more budget
        self._order = count()  # of inputs that need equal numbers of draws
        self._ready = 0  # number of draws to hand out

    def fill(self) -> int:
        """Admit inputs until a batch is full or none is left; return the number of ready draws.

        There may be fewer than `size` before the end, because inputs in flight may wait for scores.
        """
        while self._ready < self.size and self._make_ready():
            pass
        return self._ready

    def _make_ready(self) -> bool:
        """Admit an input, or grant draws to the one that needs the fewest; return if it did so."""
        while self._ungranted and not self._ungranted[0][-1].open:
            heappop(self._ungranted)
        expected = self._ungranted[0][0] if self._ungranted else math.inf
        if expected > _AT_FIRST and self._free and self._admit():
            return True
        if not self._ungranted:
            return False
        _, _, nearest = heappop(self._ungranted)
        nearest.waits_for_budget = False
        nearest.estimation.take_budget(self.size - self._ready)
        self._ask(nearest)
        return True

    def next_batch(self) -> list[Segment[Item]]:
        """Hand out the ready draws, at most `size`, and fill the batch with draws made ahead."""
        segments: list[Segment[Item]] = []
        row = 0
        while self._waiting and row < self.size:
            one = self._waiting[0]
            if one.n_queued:
                segments.append(self._next_segment(one, row))
                row = segments[-1].rows.stop
                self._count(one)
            if not one.n_queued:
                self._waiting.popleft()
        return segments + self._ahead(row) if segments else []

    def deliver(
        self,
        segment: Segment[Item],
        scores: NDArray[np.float32],
        top: NDArray[np.int64],
        selected: int,
        outputs: Tensor | None = None,
        class_counts: NDArray[np.int64] | None = None,
    ) -> None:
        """Take the results of a segment.

        Segments of one input must be delivered in the order in which `next_batch` returned them.

        Parameters
        ----------
        scores : ndarray of float32, shape (k,)
            The measure of the class in each draw. It is copied. It is ignored for selection draws.
        top : ndarray of int, shape (k,)
            The class with the largest output in each draw.
        selected : int
            The class that the selection draws up to this segment choose.
        outputs : Tensor, shape (k, classes), optional
            Outputs of selection draws, for `Selection.outputs`.
        class_counts : ndarray of int64, optional
            Counts of all classes in all estimation draws of the input, with its last segment.
        """
        one = segment.input
        if not one.open:  # it failed after these draws were handed out
            return
        if segment.stream is Stream.ESTIMATION:
            one.estimation.class_counts = class_counts
            one.estimation.update(scores, top == one.selection.selected)
            self._ask(one)
            return
        one.selection.update(top, selected)
        if outputs is not None:
            one.selection.outputs.append(outputs)
        if not one.selection.done:
            self._queue(one)
        elif one.open_ended is not None:
            self.decided.append(one)
        elif self.early_selection:
            self._ask(one)

    def begin(self, one: InFlight[Item], scores: NDArray[np.float32]) -> None:
        """Give the job of an input of `decided` the scores of the selection draws."""
        assert one.open_ended is not None
        one.selection.outputs.clear()
        one.open_ended.begin(one.selection.selected, scores)
        self._ask(one)

    def fail(self, one: InFlight[Item], failure: Failure) -> None:
        """End an input without a result. Its draws in flight are ignored."""
        if one.open:
            self._end(one, failure)

    def unfinished(self) -> list[tuple[Item, Draws | Failure]]:
        """Return the inputs that were not removed yet: those that ended and those in flight.

        An input in flight is left out if its job has not taken any draw.
        """
        begun = [one for one in self._in_flight.values() if one.estimation.n_taken]
        drawn = [(one.item, one.estimation.draws(one.selection)) for one in begun]
        return [*self.finished, *drawn]

    def give_back(self, segment: Segment[Item]) -> None:
        """Discard draws made ahead that failed. They are made again if the job requests them."""
        segment.input.estimation.give_back(segment.first)
        self._queue(segment.input)

    def _admit(self) -> bool:
        """Take the next input, if there is one."""
        for item, job in self._inputs:
            selection = Selection(self.n0, self.early_selection)
            one = InFlight(item, job, self._free.pop(), selection)
            self._in_flight[one.slot] = one
            if not job.remaining:
                self._end(one, one.estimation.draws(selection))
            elif self.early_selection or one.open_ended is not None:
                self._queue(one)
            else:
                self._ask(one)
            return True
        return False

    def _ask(self, one: InFlight[Item]) -> None:
        """Queue the draws that the job requests, or end the input."""
        if not one.estimation.ask():
            self._end(one, one.estimation.draws(one.selection))
            return
        if one.estimation.ungranted and not one.waits_for_budget:
            one.waits_for_budget = True
            heappush(self._ungranted, (one.estimation.expected, next(self._order), one))
        self._queue(one)

    def _queue(self, one: InFlight[Item]) -> None:
        """Queue an input if it has draws to hand out and is not queued yet."""
        waits = one.n_queued > 0
        self._count(one)
        if one.n_queued and not waits:
            self._waiting.append(one)

    def _count(self, one: InFlight[Item]) -> None:
        """Update the number of draws to hand out."""
        before, one.n_queued = one.n_queued, one.ready
        self._ready += one.n_queued - before

    def _next_segment(self, one: InFlight[Item], row: int) -> Segment[Item]:
        """Hand out the next draws of an input that has some, in the rows from `row` on."""
        draws: Selection | Estimation = one.estimation
        stream = Stream.ESTIMATION
        if one.selection.n_handed_out < one.selection.n_wanted:
            draws, stream = one.selection, Stream.SELECTION
        first = draws.n_handed_out
        draws.n_handed_out = min(draws.n_wanted, first + self.size - row)
        return Segment(one, stream, first, slice(row, row + draws.n_handed_out - first))

    def _ahead(self, row: int) -> list[Segment[Item]]:
        """Divide the rows from `row` on among the inputs that can be drawn ahead."""
        if row == self.size:
            return []
        segments: list[Segment[Item]] = []
        able = [one for one in self._in_flight.values() if one.n_ahead > 0]
        able.sort(key=lambda one: one.n_ahead)  # rows that one input cannot use go to the next
        for left, one in zip(range(len(able), 0, -1), able, strict=True):
            first = one.estimation.n_handed_out
            if count := min(one.n_ahead, -(-(self.size - row) // left)):
                rows = slice(row, row + count)
                segments.append(Segment(one, Stream.ESTIMATION, first, rows, ahead=True))
                one.estimation.n_handed_out += count
                row += count
        return segments

    def _end(self, one: InFlight[Item], outcome: Draws | Failure) -> None:
        one.open = False
        self._count(one)
        del self._in_flight[one.slot]
        self._free.append(one.slot)
        self.finished.append((one.item, outcome))
