"""Which draws go into the next batch.

Batches have one fixed size and hold draws of many inputs: the draws that select the class of an
input stand beside those that estimate the confidence of others, and an input that is finished
leaves its place to the next at once. Nothing here knows of models, noise or devices.

A draw is named by (input, stream, number), and that is all that its noise depends on: how draws are
packed decides when they are made, never what they are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from smoothbound._utils import checks
from smoothbound.noise._noise import Stream

__all__ = ["Draws", "Failure", "FixedJob", "Job", "Schedule", "Segment", "Visit"]

Item = TypeVar("Item")

# What draws that are joined have in common.
_SHARED = ("seed", "example", "predicted", "n0", "displacement", "sigma", "measure", "noise")


class Job(Protocol):
    """How many draws one input needs, decided as their scores come in.

    Attributes
    ----------
    wants : int
        How many more estimation draws to make; 0 when it is done. It changes only by `feed`.
    """

    @property
    def wants(self) -> int:
        """Return how many more draws to make."""

    def feed(self, scores: NDArray[np.float32]) -> None:
        """Take the scores of the next draws, at most `wants` of them, in the order of drawing."""


class FixedJob:
    """Asks once for n draws.

    Examples
    --------
    >>> job = FixedJob(1000)
    >>> job.feed(np.ones(400, np.float32))
    >>> job.wants
    600
    """

    def __init__(self, n: int) -> None:
        self._left = checks.count("n", n)

    @property
    def wants(self) -> int:
        """Return how many of the n draws are still to come."""
        return self._left

    def feed(self, scores: NDArray[np.float32]) -> None:
        """Count the draws."""
        self._left -= len(scores)


@dataclass(frozen=True)
class Draws:
    """What one input's noisy copies scored.

    Attributes
    ----------
    scores : ndarray of float32, shape (n,)
        The measure of the predicted class in each of the n estimation draws, in their order.
    predicted : int
        The class chosen on the selection draws, none of which are in `scores`; -1 where the job
        wanted no draws at all.
    top_count : int
        In how many of the n estimation draws the predicted class had the largest output.
    n0 : int
        Number of selection draws.
    displacement : float
        Distance, at most, between the input and the lattice point that was drawn around: what is
        certified within R + 2 displacement holds within R (`smoothbound.noise._displaced`).
    first_draw : int
        Number of the first of the scores among the estimation draws of its input and seed.
    seed, example : int or None
        What their noise belongs to; None where that is not known.
    sigma, measure, noise : float or None, str or None, str or None
        Noise level, name of the confidence measure, and kind of the noise; None where that is not
        known.

    Examples
    --------
    >>> one = Draws(np.ones(3, np.float32), 0, 3, 10, seed=0, example=7)
    >>> more = Draws(np.zeros(2, np.float32), 0, 0, 10, first_draw=one.next_draw, seed=0, example=7)
    >>> (one + more).scores.tolist()
    [1.0, 1.0, 1.0, 0.0, 0.0]
    """

    scores: NDArray[np.float32]
    predicted: int
    top_count: int
    n0: int
    displacement: float = 0.0
    first_draw: int = 0
    seed: int | None = None
    example: int | None = None
    sigma: float | None = None
    measure: str | None = None
    noise: str | None = None

    @property
    def next_draw(self) -> int:
        """Number of the draw to go on with."""
        return self.first_draw + len(self.scores)

    def __add__(self, other: Draws) -> Draws:
        """Join the draws that come next to these.

        Raises
        ------
        ValueError
            If the others do not begin where these end, so that draws would be counted twice or left
            out, or belong to another input, seed, class, lattice point, noise or measure.
        """
        if not isinstance(other, Draws):
            return NotImplemented
        for name in _SHARED:
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs:
                raise ValueError(
                    f"draws to be joined must have the same {name}, got {mine} and {theirs}"
                )
        if other.first_draw != self.next_draw:
            raise ValueError(
                f"draws to be joined must begin with number {self.next_draw}, where these end, got "
                f"{other.first_draw}: draw with first_draw={self.next_draw}"
            )
        return replace(
            self,
            scores=np.concatenate([self.scores, other.scores]),
            top_count=self.top_count + other.top_count,
        )

    @property
    def mean(self) -> float:
        """Mean of the scores; NaN where there are none."""
        return float(self.scores.mean(dtype=np.float64)) if len(self.scores) else np.nan


@dataclass(frozen=True)
class Failure:
    """Why an input could not be sampled.

    Attributes
    ----------
    kind : str
        The same for failures of the same cause.
    reason : str
        The cause in words, with the figures of this input.
    error : BaseException or None
        What the model or the measure raised, if it did.
    """

    kind: str
    reason: str
    error: BaseException | None = None

    def __str__(self) -> str:
        """Return the reason as results state it."""
        return f"failed: {self.reason}"


@dataclass(eq=False)
class Visit(Generic[Item]):
    """One input between its admission and its end.

    Attributes
    ----------
    item : object
        What came with the job.
    place : int
        Where its point and its votes are kept; its alone until it ends.
    """

    item: Item
    job: Job
    place: int
    n0: int
    selected: int = 0  # selection draws handed out
    issued: int = 0  # estimation draws handed out
    asked: int = 0  # estimation draws asked for by the job so far
    scores: list[NDArray[np.float32]] = field(default_factory=list)
    top_count: int = 0
    predicted: int = -1
    open: bool = True

    @property
    def ready(self) -> int:
        """Return how many draws can be handed out now."""
        return self.n0 - self.selected + self.asked - self.issued


@dataclass(frozen=True)
class Segment(Generic[Item]):
    """Consecutive draws of one input, in consecutive rows of a batch.

    Attributes
    ----------
    visit : Visit
    stream : Stream
        Selection or estimation.
    first : int
        Number of the first of the draws in its stream.
    rows : slice
        Rows of the batch.
    """

    visit: Visit[Item]
    stream: Stream
    first: int
    rows: slice


class Schedule(Generic[Item]):
    """Packs the draws of many inputs into batches of one size.

    Inputs are admitted only when those in flight cannot fill a batch. Draws are handed out first
    come, first served; the selection draws of an input come before all of its estimation draws, so
    that its class is known before any of those is measured.

    Parameters
    ----------
    inputs : iterable of (item, Job)
        Read one at a time, when there is room. A job that wants nothing ends at once.
    n0 : int
        Selection draws of each input.
    size : int
        Rows of a batch.
    places : int
        Most inputs in flight.

    Attributes
    ----------
    finished : deque of (item, Draws or Failure)
        What ended, in that order; to be taken by the caller.

    Examples
    --------
    Three inputs of 2 + 3 draws, in batches of 8 rows:

    >>> schedule = Schedule(((name, FixedJob(3)) for name in "abc"), n0=2, size=8, places=4)
    >>> while schedule.fill():
    ...     batch = schedule.next_batch()
    ...     print([(s.visit.item, s.stream.name[:3], s.rows.start, s.rows.stop) for s in batch])
    ...     for segment in batch:
    ...         k = segment.rows.stop - segment.rows.start
    ...         schedule.deliver(segment, np.ones(k, np.float32), np.zeros(k, np.int64), 0)
    [('a', 'SEL', 0, 2), ('a', 'EST', 2, 5), ('b', 'SEL', 5, 7), ('b', 'EST', 7, 8)]
    [('b', 'EST', 0, 2), ('c', 'SEL', 2, 4), ('c', 'EST', 4, 7)]
    >>> [(item, len(draws.scores)) for item, draws in schedule.finished]
    [('a', 3), ('b', 3), ('c', 3)]
    """

    def __init__(
        self, inputs: Iterable[tuple[Item, Job]], *, n0: int, size: int, places: int
    ) -> None:
        self.n0 = checks.count("n0", n0)
        self.size = checks.count("size", size)
        self.places = checks.count("places", places)
        self.finished: deque[tuple[Item, Draws | Failure]] = deque()
        self._inputs = iter(inputs)
        self._free = list(range(self.places - 1, -1, -1))
        self._waiting: deque[Visit[Item]] = deque()  # with draws to hand out
        self._ready = 0  # how many

    def fill(self) -> int:
        """Admit inputs until a batch is full or no more can be; return the draws that are ready.

        Fewer than `size` does not mean that all is done: inputs in flight may wait for scores.
        """
        while self._ready < self.size and self._free and self._admit():
            pass
        return self._ready

    def next_batch(self) -> list[Segment[Item]]:
        """Hand out the draws that are ready, at most `size` of them."""
        segments: list[Segment[Item]] = []
        row = 0
        while self._waiting and row < self.size:
            visit = self._waiting[0]
            if visit.selected < visit.n0:
                stream, first, left = Stream.SELECTION, visit.selected, visit.n0 - visit.selected
            else:
                stream, first, left = Stream.ESTIMATION, visit.issued, visit.asked - visit.issued
            count = min(left, self.size - row)
            segments.append(Segment(visit, stream, first, slice(row, row + count)))
            if stream is Stream.SELECTION:
                visit.selected += count
            else:
                visit.issued += count
            row += count
            self._ready -= count
            if not visit.ready:
                self._waiting.popleft()
        return segments

    def deliver(
        self,
        segment: Segment[Item],
        scores: NDArray[np.float32],
        top: NDArray[np.int64],
        predicted: int,
    ) -> None:
        """Take what came of a segment; the segments of an input in the order of `next_batch`.

        Parameters
        ----------
        scores : ndarray of float32, shape (k,)
            The measure of the class in each draw; not looked at for selection draws. Copied.
        top : ndarray of int, shape (k,)
            The class with the largest output in each draw.
        predicted : int
            The class that the selection draws choose, those of this segment included.
        """
        visit = segment.visit
        if not visit.open:  # it failed after these draws were handed out
            return
        if segment.stream is Stream.SELECTION:
            visit.predicted = predicted
            return
        scores = scores.copy()
        visit.scores.append(scores)
        visit.top_count += int(np.count_nonzero(top == visit.predicted))
        visit.job.feed(scores)
        if segment.first + len(scores) == visit.asked:
            self._ask(visit)

    def fail(self, visit: Visit[Item], failure: Failure) -> None:
        """End an input without a result; its draws in flight will not be looked at."""
        if visit.open:
            self._end(visit, failure)

    def _admit(self) -> bool:
        """Take the next input, if there is one."""
        for item, job in self._inputs:
            self._ask(Visit(item, job, self._free.pop(), self.n0))
            return True
        return False

    def _ask(self, visit: Visit[Item]) -> None:
        """Let the job ask for draws, or end."""
        wants = visit.job.wants
        if wants:
            self._ready += wants + visit.n0 - visit.selected
            visit.asked += wants
            self._waiting.append(visit)
            return
        scores = np.concatenate(visit.scores or [np.empty(0, np.float32)])
        self._end(visit, Draws(scores, visit.predicted, visit.top_count, visit.selected))

    def _end(self, visit: Visit[Item], outcome: Draws | Failure) -> None:
        if visit.asked and visit.ready:  # it failed with draws to hand out
            self._ready -= visit.ready
            self._waiting.remove(visit)
        visit.open = False
        self._free.append(visit.place)
        self.finished.append((visit.item, outcome))
