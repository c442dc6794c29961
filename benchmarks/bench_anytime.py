"""The anytime test: draws taken into a record, and bets chosen anew for a question.

100 000 float32 draws of one input, one thread. The time of a question is that of all its draws over
the number of times that its bets were chosen. Every run checks its answer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from measure import ALPHA, Measure
from smoothbound.backends import _select as backends

N_DRAWS = 100_000
LEAST_ALPHA = 1e-300  # never reached, so that all draws are taken


def scores() -> NDArray[np.float32]:
    return expit(4 + 1.5 * np.random.default_rng(0).standard_normal(N_DRAWS)).astype(np.float32)


def record_of(draws: NDArray[np.float32]) -> Any:
    record = backends.load("cpp").DrawRecord(0.0, 1.0, "lower")
    record.add(draws[None])
    return record


def n_refreshes(looks: NDArray[np.uint64]) -> int:
    """Return how often the bets are chosen: at the first look from t + 2 + t / 4 on."""
    number = following = 0
    for look in looks.tolist():
        if look >= following:
            number, following = number + 1, look + 2 + look // 4
    return number


@pytest.mark.benchmark(group="Anytime test, ns a draw")
def test_taking_draws(measure: Measure) -> None:
    draws = scores()
    record = measure(record_of, draws, row="C++ core", column="record", items=N_DRAWS, unit="ns")
    assert record.n_draws == N_DRAWS
    assert int(record.between_looks.sum()) + int(record.since_last_look.sum()) == 512 * N_DRAWS


@pytest.mark.benchmark(group="Anytime test, ns a draw")
def test_histogram(measure: Measure) -> None:
    draws = scores()
    cells = measure(
        lambda: np.bincount((draws * np.float32(256)).astype(np.intp)),
        row="np.bincount of 256 even cells",
        column="record",
        items=N_DRAWS,
        unit="ns",
    )
    assert cells.sum() == N_DRAWS


@pytest.mark.benchmark(group="Anytime test, µs a refresh and question")
@pytest.mark.parametrize("r", [0.0, 1.0, 3.0])
def test_choosing_bets(measure: Measure, r: float) -> None:
    record = record_of(scores())
    core = backends.load("cpp")

    def ask() -> Any:
        process = core.EProcess(0.5 if r <= 1.0 else 0.3, r)
        process.advance(record, LEAST_ALPHA)
        return process

    process = measure(
        ask, row="C++ core", column=f"r = {r:g}", items=n_refreshes(record.looks), unit="µs"
    )
    assert process.highest > -np.log(ALPHA)
    assert core.EProcess(0.99, r).advance(record, ALPHA) == 0
