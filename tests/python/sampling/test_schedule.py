"""Packing: every draw once, in order, in full batches, with the class known before it is needed."""

from __future__ import annotations

import subprocess
import sys
from collections import deque
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from smoothbound.noise._streams import Stream
from smoothbound.sampling._in_flight import CLEAR_LEAD
from smoothbound.sampling._jobs import Draws, Failure, FixedJob, Job
from smoothbound.sampling._schedule import Schedule, Segment

Batch = list[Segment[int]]


class Staged:
    """Asks for draws in stages, and checks that it gets just those."""

    def __init__(self, item: int, stages: list[int]) -> None:
        self.item, self.stages = item, deque(stages)
        self.taken = self.in_stage = 0

    @property
    def remaining(self) -> int:
        return self.stages[0] - self.in_stage if self.stages else 0

    def update(self, scores: NDArray[np.float32]) -> None:
        np.testing.assert_array_equal(scores, numbers(self.item, self.taken, len(scores)))
        self.taken += len(scores)
        self.in_stage += len(scores)
        assert self.in_stage <= self.stages[0]
        if self.in_stage == self.stages[0]:
            self.stages.popleft()
            self.in_stage = 0


class OpenEnded(Staged):
    """Ends after its stages, and may be drawn ahead of them, to some draws beyond its end."""

    def __init__(self, item: int, stages: list[int], beyond: int) -> None:
        super().__init__(item, stages)
        self.beyond = beyond
        self.began: list[tuple[int, list[float]]] = []

    @property
    def most_remaining(self) -> int:
        return sum(self.stages) - self.in_stage + self.beyond

    def update(self, scores: NDArray[np.float32]) -> None:
        assert len(scores) == self.remaining
        super().update(scores)

    def begin(self, selected: int, scores: NDArray[np.float32]) -> None:
        assert self.taken == 0
        self.began.append((selected, scores.tolist()))


class Pot:
    """Draws that jobs share, and how many each was granted, in this order."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.granted: list[tuple[int, int]] = []


class Budgeted(OpenEnded):
    """Takes its draws from the pot, in any parts; ends where it is empty."""

    def __init__(self, item: int, stages: list[int], beyond: int, pot: Pot) -> None:
        super().__init__(item, stages, beyond)
        self.pot, self.whole = pot, list(stages)
        self.ungranted = self.stages[0] if self.stages else 0

    @property
    def due(self) -> int:
        return super().remaining

    @property
    def remaining(self) -> int:
        self.take_budget(self.ungranted)
        return self.due

    @property
    def expected(self) -> float:
        return sum(self.stages) - self.in_stage

    def take_budget(self, most: int) -> None:
        granted = min(most, self.ungranted, self.pot.left)
        self.pot.left -= granted
        self.ungranted -= granted
        self.pot.granted.append((self.item, granted))
        if granted < most and self.ungranted:
            self.stages[0] -= self.ungranted
            self.ungranted = 0
            while len(self.stages) > 1:
                self.stages.pop()
            if not self.stages[0]:
                self.stages.clear()

    def update(self, scores: NDArray[np.float32]) -> None:
        assert self.ungranted == 0
        super().update(scores)
        self.ungranted = self.stages[0] if self.stages else 0


def numbers(item: int, first: int, count: int) -> NDArray[np.float32]:
    """A score for each draw of each item that tells both."""
    return (1000 * item + first + np.arange(count)).astype(np.float32)


def deliver(schedule: Schedule[int], batch: Batch) -> None:
    for segment in batch:
        rows = range(segment.rows.start, segment.rows.stop)
        top = np.array([segment.input.item % 3 if k % 2 == 0 else 3 for k in rows])
        scores = numbers(segment.input.item, segment.first, len(rows))
        schedule.deliver(segment, scores, top, segment.input.item % 3)
    while schedule.decided:
        one = schedule.decided.popleft()
        schedule.begin(one, np.arange(one.selection.n_back, dtype=np.float32))


def run(schedule: Schedule[int], ahead: int) -> Iterator[Batch]:
    """Deliver every batch `ahead` batches late, as a sampler does."""
    flights: deque[Batch] = deque()
    while True:
        while flights and (len(flights) > ahead or schedule.fill() < schedule.size):
            deliver(schedule, flights.popleft())
        if not schedule.fill():
            return
        flights.append(schedule.next_batch())
        yield flights[-1]


@given(
    st.lists(st.lists(st.integers(1, 30), max_size=4), max_size=12),
    st.integers(1, 9),
    st.integers(1, 40),
    st.integers(1, 6),
    st.integers(0, 3),
)
def test_every_draw_is_made_once_and_in_order(
    stages: list[list[int]], n0: int, size: int, n_slots: int, ahead: int
) -> None:
    jobs = [Staged(item, wanted) for item, wanted in enumerate(stages)]
    totals = [sum(job.stages) for job in jobs]
    read = 0

    def inputs() -> Iterator[tuple[int, Job]]:
        nonlocal read
        for job in jobs:
            read += 1
            yield job.item, job

    schedule = Schedule(inputs(), n0=n0, size=size, n_slots=n_slots)
    made: dict[tuple[int, Stream], int] = {}
    for batch in run(schedule, ahead):
        row = 0
        for segment in batch:
            count = segment.rows.stop - segment.rows.start
            assert count > 0
            assert segment.rows.start == row  # one after the other, from the first row on
            row = segment.rows.stop
            key = segment.input.item, segment.stream
            assert made.get(key, 0) == segment.first
            made[key] = segment.first + count
            if segment.stream is Stream.ESTIMATION:
                assert made[segment.input.item, Stream.SELECTION] == n0
        assert row <= size
        slots_in_use = {s.input.item: s.input.slot for s in batch if s.input.open}
        assert len(set(slots_in_use.values())) == len(slots_in_use)
        assert read - len(schedule.finished) <= n_slots + 1  # those admitted, and not ended
    outcomes = dict(schedule.finished)
    assert sorted(outcomes) == list(range(len(stages)))
    for item, total in enumerate(totals):
        draws = outcomes[item]
        assert isinstance(draws, Draws)
        np.testing.assert_array_equal(draws.scores, numbers(item, 0, total))
        assert draws.n0 == (n0 if total else 0)
        assert made.get((item, Stream.ESTIMATION), 0) == total


@given(
    st.lists(st.lists(st.integers(1, 30), max_size=6), max_size=12),
    st.integers(0, 50),
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(1, 9),
    st.integers(0, 3),
    st.booleans(),
)
def test_results_do_not_depend_on_the_draws_that_are_made_ahead(
    stages: list[list[int]],
    beyond: int,
    n0: int,
    size: int,
    n_slots: int,
    ahead: int,
    early: bool,
) -> None:
    jobs = [OpenEnded(item, wanted, beyond) for item, wanted in enumerate(stages)]
    totals = [sum(job.stages) for job in jobs]
    schedule = Schedule(
        ((job.item, job) for job in jobs),
        n0=n0,
        size=size,
        n_slots=n_slots,
        early_selection=early,
    )
    made: dict[tuple[int, Stream], int] = {}
    for batch in run(schedule, ahead):
        row = 0
        for segment in batch:
            assert segment.rows.start == row
            row = segment.rows.stop
            item, stream = segment.input.item, segment.stream
            assert made.get((item, stream), 0) == segment.first  # each once and in order
            made[item, stream] = segment.first + len(segment)
            if stream is Stream.ESTIMATION:
                assert jobs[item].began  # after the selection
                assert made[item, stream] <= totals[item] + beyond
        assert row <= size
        assert row == size or not any(one.n_ahead for one in schedule._in_flight.values())
        asked = [segment.ahead for segment in batch]
        assert asked == sorted(asked)  # those ahead have what rows are left
    outcomes = dict(schedule.finished)
    assert sorted(outcomes) == list(range(len(stages)))
    for job, total in zip(jobs, totals, strict=True):
        draws = outcomes[job.item]
        assert isinstance(draws, Draws)
        np.testing.assert_array_equal(draws.scores, numbers(job.item, 0, total))
        assert job.taken == total
        assert draws.n0 == made.get((job.item, Stream.SELECTION), 0) <= n0
        if total:
            assert early or draws.n0 == n0
            assert job.began == [(job.item % 3, list(range(draws.n0)))]


@given(
    st.lists(st.lists(st.integers(1, 60), max_size=6), max_size=12),
    st.integers(0, 500),
    st.integers(0, 50),
    st.integers(1, 40),
    st.integers(1, 9),
    st.integers(0, 3),
)
def test_a_budget_pays_for_each_draw_once_and_changes_no_input_that_it_does_not_end(
    stages: list[list[int]], budget: int, beyond: int, size: int, n_slots: int, ahead: int
) -> None:
    pot = Pot(budget)
    jobs = [Budgeted(item, wanted, beyond, pot) for item, wanted in enumerate(stages)]
    totals = [sum(job.stages) for job in jobs]
    inputs = [(job.item, job) for job in jobs]
    schedule = Schedule(inputs, n0=20, size=size, n_slots=n_slots, early_selection=True)
    for batch in run(schedule, ahead):
        row = 0
        for segment in batch:
            assert segment.rows.start == row
            row = segment.rows.stop
        assert row <= size
    outcomes = dict(schedule.finished)
    assert sorted(outcomes) == list(range(len(stages)))
    granted = [sum(k for item, k in pot.granted if item == job.item) for job in jobs]
    assert pot.left == budget - sum(granted) == max(0, budget - sum(totals))
    for job, total in zip(jobs, totals, strict=True):
        draws = outcomes[job.item]
        assert isinstance(draws, Draws)
        assert len(draws.scores) == granted[job.item] <= total
        np.testing.assert_array_equal(draws.scores, numbers(job.item, 0, granted[job.item]))


@pytest.mark.parametrize("ahead", [0, 2])
def test_a_short_budget_goes_to_those_that_need_the_fewest_draws(ahead: int) -> None:
    pot = Pot(2000)
    wanted = [[10, 10, 2000] if item % 3 == 0 else [10, 10, 5] for item in range(60)]
    jobs = [Budgeted(item, stages, 0, pot) for item, stages in enumerate(wanted)]
    inputs = [(job.item, job) for job in jobs]
    schedule = Schedule(inputs, n0=20, size=50, n_slots=26, early_selection=True)
    for _ in run(schedule, ahead):
        pass
    ended = {item for item, draws in schedule.finished if len(draws.scores) == sum(wanted[item])}
    easy = {item for item in range(60) if item % 3}
    assert ended <= easy
    # While their scores are on the way, full batches take draws of others.
    assert len(easy - ended) <= ahead
    assert pot.left == 0


@pytest.mark.parametrize("ahead", [0, 2])
def test_jobs_that_ask_for_few_draws_fill_every_batch_as_long_as_there_are_inputs(
    ahead: int,
) -> None:
    left = 500

    def inputs() -> Iterator[tuple[int, Job]]:
        nonlocal left
        for item in range(500):
            left -= 1
            yield item, OpenEnded(item, [8, 4, 2, 1, 1, 3, 4, 5], beyond=100)

    n_slots = (ahead + 1) * 64 // 4 + 1
    schedule = Schedule(inputs(), n0=100, size=64, n_slots=n_slots, early_selection=True)
    full = 0
    for batch in run(schedule, ahead):
        if left:
            assert sum(len(segment) for segment in batch if not segment.ahead) == 64
            full += 1
    assert full > 400


def test_an_early_selection_ends_before_the_job_is_asked() -> None:
    schedule = Schedule(
        [(item, FixedJob(5)) for item in range(2)], n0=40, size=16, n_slots=3, early_selection=True
    )
    rows = []
    while schedule.fill():
        batch = schedule.next_batch()
        rows.append([(s.input.item, s.stream.name[:3], s.first, len(s)) for s in batch])
        for segment in batch:
            count = len(segment)
            schedule.deliver(segment, np.ones(count, np.float32), np.zeros(count, int), 0)
    assert rows == [
        [(0, "SEL", 0, 10), (1, "SEL", 0, 6)],
        [(1, "SEL", 6, 4), (0, "EST", 0, 5)],
        [(1, "EST", 0, 5)],
    ]
    for _, draws in schedule.finished:
        assert isinstance(draws, Draws)
        assert (draws.n0, draws.top_count, len(draws.scores)) == (CLEAR_LEAD, 5, 5)


def test_draws_ahead_that_fail_are_made_again_where_they_are_wanted() -> None:
    job = OpenEnded(0, [2, 3, 4], beyond=100)
    schedule = Schedule([(0, job)], n0=1, size=8, n_slots=1, early_selection=True)
    schedule.fill()
    deliver(schedule, schedule.next_batch())  # the selection
    schedule.fill()
    wanted, ahead = schedule.next_batch()
    assert (len(wanted), len(ahead), ahead.ahead) == (2, 6, True)
    deliver(schedule, [wanted])
    schedule.give_back(ahead)
    batches = list(run(schedule, 0))
    assert [[(s.first, len(s), s.ahead) for s in batch] for batch in batches] == [
        [(2, 3, False)],
        [(5, 4, False)],
    ]
    ((_, draws),) = schedule.finished
    assert isinstance(draws, Draws)
    np.testing.assert_array_equal(draws.scores, numbers(0, 0, 9))


@given(
    st.lists(st.integers(1, 50), min_size=1, max_size=20),
    st.integers(1, 9),
    st.integers(1, 40),
    st.integers(0, 3),
)
def test_fixed_numbers_of_draws_fill_every_batch_but_the_last(
    wanted: list[int], n0: int, size: int, ahead: int
) -> None:
    inputs = [(item, FixedJob(n)) for item, n in enumerate(wanted)]
    n_slots = (ahead + 1) * -(-size // n0) + 1
    schedule = Schedule(inputs, n0=n0, size=size, n_slots=n_slots)
    filled = [batch[-1].rows.stop for batch in run(schedule, ahead)]
    total = sum(wanted) + n0 * len(wanted)
    assert filled[:-1] == [size] * (len(filled) - 1)
    assert sum(filled) == total
    assert [item for item, _ in schedule.finished] == list(range(len(wanted)))  # as they came


def test_selection_of_the_next_input_stands_beside_the_estimation_of_others() -> None:
    schedule = Schedule([(0, FixedJob(5)), (1, FixedJob(5))], n0=2, size=10, n_slots=3)
    schedule.fill()
    rows = [(s.input.item, s.stream, s.rows) for s in schedule.next_batch()]
    assert rows == [
        (0, Stream.SELECTION, slice(0, 2)),
        (0, Stream.ESTIMATION, slice(2, 7)),
        (1, Stream.SELECTION, slice(7, 9)),
        (1, Stream.ESTIMATION, slice(9, 10)),
    ]


def test_the_class_is_the_one_that_the_selection_ends_with() -> None:
    schedule = Schedule([("x", FixedJob(5))], n0=4, size=9, n_slots=1)
    schedule.fill()
    selection, estimation = schedule.next_batch()
    schedule.deliver(
        selection, np.full(4, np.nan, np.float32), np.array([7, 2, 2, 7]), 2
    )  # and not that of an estimation draw:
    schedule.deliver(estimation, np.ones(5, np.float32), np.array([2, 2, 7, 0, 2]), 5)
    ((item, draws),) = schedule.finished
    assert item == "x"
    assert isinstance(draws, Draws)
    assert (draws.selected, draws.top_count, draws.n0) == (2, 3, 4)


def test_a_finished_input_frees_its_place_at_once() -> None:
    schedule = Schedule([(item, FixedJob(3)) for item in range(3)], n0=1, size=4, n_slots=1)
    for item in range(3):
        assert schedule.fill() == 4
        batch = schedule.next_batch()
        assert {s.input.item for s in batch} == {item}
        assert schedule.fill() == 0  # no slot until the scores are in
        deliver(schedule, batch)
    assert [item for item, _ in schedule.finished] == [0, 1, 2]


def test_a_failed_input_leaves_the_others_alone() -> None:
    schedule = Schedule([(item, FixedJob(10)) for item in range(3)], n0=2, size=8, n_slots=3)
    schedule.fill()
    first = schedule.next_batch()  # 8 draws of input 0
    schedule.fill()
    second = schedule.next_batch()  # 4 of input 0, 4 of input 1
    why = Failure("nan", "not finite")
    schedule.fail(first[0].input, why)
    schedule.fail(first[0].input, Failure("again", "only the first counts"))
    deliver(schedule, first)  # of an input that is gone
    deliver(schedule, second)
    schedule.fail(second[-1].input, why)  # with draws still to hand out
    rest = [segment for batch in run(schedule, 0) for segment in batch]
    assert {s.input.item for s in rest} == {2}
    outcomes = dict(schedule.finished)
    assert outcomes[0] == outcomes[1] == why
    assert str(why) == "failed: not finite"
    assert isinstance(outcomes[2], Draws)


def test_an_endless_stream_of_inputs_is_read_as_needed() -> None:
    read = 0

    def endless() -> Iterator[tuple[int, Job]]:
        nonlocal read
        while True:
            read += 1
            yield read, FixedJob(6)

    schedule = Schedule(endless(), n0=2, size=16, n_slots=100)
    for _, batch in zip(range(50), run(schedule, 0), strict=False):
        assert batch[-1].rows.stop == 16
    assert read <= 50 * 2 + 3


@pytest.mark.parametrize("name", ["n0", "size", "n_slots"])
def test_refuses(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        Schedule([], **({"n0": 1, "size": 1, "n_slots": 1} | {name: 0}))


def test_jobs_and_the_schedule_need_no_torch() -> None:
    code = (
        "import sys, smoothbound.sampling._schedule as s, smoothbound.sampling._jobs as j; "
        "s.Schedule([(0, j.FixedJob(1))], n0=1, size=2, n_slots=1).fill(); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
