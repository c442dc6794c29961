"""docs/scale.md: the simulated runs, their expectations, and the figures of the page."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import many_parts
import scale
from smoothbound import store

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
STUDY = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
SECONDS = np.random.default_rng(0).exponential(20.0, 60)
OFTEN = scale.Losses("100 s", 100.0, 30.0)


def runs(workers: int, n: int, *, dealt: bool) -> list[scale.Timeline]:
    rng = np.random.default_rng(1)
    return [scale.simulate(SECONDS, workers, 15.0, OFTEN, rng, dealt=dealt) for _ in range(n)]


@pytest.mark.parametrize("workers", [1, 7])
def test_simulated_shards_take_as_long_as_expected(workers: int) -> None:
    found = runs(workers, 400, dealt=True)
    for values, formula in (
        ([one.ends.sum() for one in found], scale.expected),
        ([one.held for one in found], scale.expected_held),
    ):
        mean = sum(formula(SECONDS[k::workers], 15.0, OFTEN) for k in range(workers))
        error = np.std(values) / np.sqrt(len(values))
        assert abs(np.mean(values) - mean) < 4 * error
        assert error < 0.02 * mean


@pytest.mark.parametrize("dealt", [True, False])
def test_workers_hold_their_gpus_for_useful_and_for_wasted_time(dealt: bool) -> None:
    for one in runs(5, 20, dealt=dealt):
        assert one.losses > 0
        assert one.held == pytest.approx(SECONDS.sum() + 5 * 15.0 + one.wasted)


def test_without_losses_shards_take_the_sum_and_inputs_that_are_handed_out_are_even() -> None:
    rng = np.random.default_rng(1)
    dealt, shared = (
        scale.simulate(SECONDS, 7, 15.0, scale.QUIET, rng, dealt=way) for way in (True, False)
    )
    assert dealt.ends == pytest.approx([15.0 + SECONDS[k::7].sum() for k in range(7)])
    even = 15.0 + SECONDS.sum() / 7
    assert even <= shared.ends.max() <= even + SECONDS.max()  # Graham 1966
    assert dealt.wasted == shared.wasted == 0.0


def test_inputs_of_a_lost_worker_are_handed_to_others() -> None:
    dealt, shared = (runs(20, 20, dealt=way) for way in (True, False))
    assert sum(one.ends.max() for one in shared) < 0.7 * sum(one.ends.max() for one in dealt)


@pytest.mark.parametrize(("r", "kind"), [(1, scale.NEAR), (3, scale.FAR)])
def test_draws_are_those_of_the_study(r: int, kind: scale.Draws) -> None:
    row = rf"^\| 0\.5 \| {r} "
    number = r"\| (\d+) "
    counts = re.search(rf"{row}{number * 6}\| 0\.\d+ \|$", STUDY, re.MULTILINE)
    medians = re.search(rf"{row}{number * 9}\|$", STUDY, re.MULTILINE)
    assert counts is not None
    assert medians is not None
    missed, other, _, every, certified, _ = map(int, counts.groups())
    assert kind.share == pytest.approx(1 - missed / 100)
    assert (kind.median, kind.other) == (int(medians[4]), other)
    assert kind.mean == pytest.approx(certified / (100 - missed))
    draws = kind.sample(200_000, np.random.default_rng(2))
    assert draws.mean() == pytest.approx(every / 100, rel=0.03)


def test_the_page_has_the_tables_without_losses() -> None:
    args = scale.arguments([])
    for table in (scale.cards_table, scale.quiet_table):
        assert "\n".join(table(args)) in PAGE


@pytest.mark.parametrize("losses", scale.LOSSES)
@pytest.mark.parametrize("kind", [scale.FIXED, scale.FAR])
def test_the_table_with_losses_has_what_is_expected_and_what_was_simulated_agrees(
    kind: scale.Draws, losses: scale.Losses
) -> None:
    of_all = scale.of_all(kind, scale.arguments([])) / scale.RATE
    for workers in scale.WORKERS:
        start = f"| {kind.name} | {losses.name} | {workers} | "
        (row,) = (line for line in PAGE.splitlines() if line.startswith(start))
        _, held, held_by_runs, _, end, end_by_runs, *_ = row.removeprefix(start).split(" | ")
        assert (held, end) == scale.expectations(of_all, workers, scale.START, losses)
        assert seconds(held_by_runs) == pytest.approx(seconds(held), rel=0.05)
        assert seconds(end_by_runs) == pytest.approx(seconds(end), rel=0.05)


def seconds(text: str) -> float:
    """Return a duration of the page in seconds; without a unit it is in hours."""
    number, _, unit = text.partition(" ")
    return float(number) * {"s": 1, "min": 60, "h": 3600, "": 3600, "d": 86400}[unit]


@pytest.mark.parametrize("finished", [True, False])
def test_made_up_parts_are_a_run_of_their_own(
    tmp_path: Path, finished: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = [many_parts.packed(np.linspace(0, 1, many_parts.N))]
    monkeypatch.setattr(many_parts, "sketches", lambda: counts)
    many_parts.write(tmp_path / "run", 20, 3, finished=finished)
    status = store.status(tmp_path / "run")
    assert (len(status.shards), status.total("done")) == (3, 20)
    assert status.complete == finished
    assert sum(path.is_file() for path in (tmp_path / "run").rglob("*")) == 4
    assert len(store.load(tmp_path / "run").table) == 20
