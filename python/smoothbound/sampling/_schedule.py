"""Packing of the draws of many inputs into batches of one fixed size.

Draws that select the class of one input share batches with draws that estimate the confidence of
others. A finished input frees its slot for the next one at once. This file does not depend on
models and devices.

A draw is identified by (input, stream, number), and its noise depends on nothing else. Packing
therefore decides when a draw is made, and never its value.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from smoothbound._utils import checks
from smoothbound.noise._streams import Stream
from smoothbound.sampling._jobs import Draws, Failure, Job

__all__ = ["InFlight", "Schedule", "Segment"]

Item = TypeVar("Item")


@dataclass(eq=False)
class InFlight(Generic[Item]):
    """One input between its admission and its end.

    Attributes
    ----------
    item : object
        The object that came with the job.
    job : Job
        Decides how many draws are made.
    slot : int
        Row of this input in the tables of points and votes, which it has until it ends.
    n0 : int
        Number of selection draws.
    """

    item: Item
    job: Job
    slot: int
    n0: int
    n_selection: int = 0  # selection draws handed out
    n_estimation: int = 0  # estimation draws handed out
    n_wanted: int = 0  # estimation draws that the job wanted so far
    scores: list[NDArray[np.float32]] = field(default_factory=list)
    top_count: int = 0
    selected: int = -1
    open: bool = True

    @property
    def ready(self) -> int:
        """Number of draws that can be handed out now."""
        return self.n0 - self.n_selection + self.n_wanted - self.n_estimation


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
    """

    input: InFlight[Item]
    stream: Stream
    first: int
    rows: slice


class Schedule(Generic[Item]):
    """Packs the draws of many inputs into batches of one size.

    An input is admitted only when those in flight cannot fill a batch. Inputs are served in the
    order in which they asked for draws. The selection draws of an input come before its estimation
    draws, so that the class is known before an estimation draw is measured.

    Parameters
    ----------
    inputs : iterable of (item, Job)
        The inputs. One is read when there is room for it. If its job wants no draws, it ends at
        once.
    n0 : int
        Number of selection draws of each input.
    size : int
        Number of rows of a batch.
    n_slots : int
        Largest number of inputs in flight.

    Attributes
    ----------
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
        self, inputs: Iterable[tuple[Item, Job]], *, n0: int, size: int, n_slots: int
    ) -> None:
        self.n0 = checks.count("n0", n0)
        self.size = checks.count("size", size)
        self.n_slots = checks.count("n_slots", n_slots)
        self.finished: deque[tuple[Item, Draws | Failure]] = deque()
        self._inputs = iter(inputs)
        self._free = list(range(self.n_slots - 1, -1, -1))
        self._waiting: deque[InFlight[Item]] = deque()  # with draws to hand out
        self._ready = 0  # number of draws to hand out

    def fill(self) -> int:
        """Admit inputs until a batch is full or none is left; return how many draws are ready.

        There may be fewer than `size` before the end, because inputs in flight may wait for scores.
        """
        while self._ready < self.size and self._free and self._admit():
            pass
        return self._ready

    def next_batch(self) -> list[Segment[Item]]:
        """Hand out the draws that are ready, at most `size` of them."""
        segments: list[Segment[Item]] = []
        row = 0
        while self._waiting and row < self.size:
            one = self._waiting[0]
            room = self.size - row
            if one.n_selection < one.n0:
                stream, first = Stream.SELECTION, one.n_selection
                count = min(room, one.n0 - first)
                one.n_selection += count
            else:
                stream, first = Stream.ESTIMATION, one.n_estimation
                count = min(room, one.n_wanted - first)
                one.n_estimation += count
            segments.append(Segment(one, stream, first, slice(row, row + count)))
            row += count
            self._ready -= count
            if not one.ready:
                self._waiting.popleft()
        return segments

    def deliver(
        self,
        segment: Segment[Item],
        scores: NDArray[np.float32],
        top: NDArray[np.int64],
        selected: int,
    ) -> None:
        """Take the results of a segment.

        Segments of one input must be delivered in the order in which `next_batch` returned them.

        Parameters
        ----------
        scores : ndarray of float32, shape (k,)
            The measure of the class in each draw. It is copied, and ignored for selection draws.
        top : ndarray of int, shape (k,)
            The class with the largest output in each draw.
        selected : int
            The class that the selection draws up to this segment choose.
        """
        one = segment.input
        if not one.open:  # it failed after these draws were handed out
            return
        if segment.stream is Stream.SELECTION:
            one.selected = selected
            return
        scores = scores.copy()
        one.scores.append(scores)
        one.top_count += int(np.count_nonzero(top == one.selected))
        one.job.update(scores)
        if segment.first + len(scores) == one.n_wanted:
            self._ask(one)

    def fail(self, one: InFlight[Item], failure: Failure) -> None:
        """End an input without a result. Its draws in flight will be ignored."""
        if one.open:
            self._end(one, failure)

    def _admit(self) -> bool:
        """Take the next input, if there is one."""
        for item, job in self._inputs:
            self._ask(InFlight(item, job, self._free.pop(), self.n0))
            return True
        return False

    def _ask(self, one: InFlight[Item]) -> None:
        """Queue the draws that the job wants, or end the input."""
        wanted = one.job.remaining
        if wanted:
            self._ready += wanted + one.n0 - one.n_selection
            one.n_wanted += wanted
            self._waiting.append(one)
            return
        scores = np.concatenate(one.scores or [np.empty(0, np.float32)])
        self._end(one, Draws(scores, one.selected, one.top_count, one.n_selection))

    def _end(self, one: InFlight[Item], outcome: Draws | Failure) -> None:
        if one.n_wanted and one.ready:  # it failed with draws to hand out
            self._ready -= one.ready
            self._waiting.remove(one)
        one.open = False
        self._free.append(one.slot)
        self.finished.append((one.item, outcome))
