"""Prediction sets from scores: the library, counting alone, and the plain loop."""

from __future__ import annotations

import numpy as np
import pytest

from measure import Measure
from smoothbound.conformal import BinCP

SHAPES = {"150 draws, 10 classes": (150, 10), "1000 draws, 100 classes": (1000, 100)}
N_POINTS, N_PLAIN = 100, 4


def plain(scores: np.ndarray, threshold: float, votes: int) -> list[list[bool]]:
    sets = []
    for draws in scores.tolist():
        counts = [0] * len(draws[0])
        for draw in draws:
            for k, score in enumerate(draw):
                if score >= threshold:
                    counts[k] += 1
        sets.append([count >= votes for count in counts])
    return sets


@pytest.mark.benchmark(group="Prediction sets, ms an input")
@pytest.mark.parametrize("column", SHAPES)
@pytest.mark.parametrize("row", ["BinCP", "counting in NumPy alone", "plain loop"])
def test_prediction_sets(measure: Measure, row: str, column: str) -> None:
    n_draws, n_classes = SHAPES[column]
    rng = np.random.default_rng(0)
    labels = rng.integers(0, n_classes, 2 * N_POINTS)
    scores = rng.random((2 * N_POINTS, n_draws, n_classes), np.float32)
    scores += np.eye(n_classes, dtype=np.float32)[labels][:, None] / 2
    robust = BinCP(radius=0.25, sigma=0.5).calibrate(scores[:N_POINTS], labels[:N_POINTS])
    found, tests = robust.threshold, scores[N_POINTS:]
    calls = {
        "BinCP": lambda: robust.predict_set(tests),
        "counting in NumPy alone": lambda: (tests >= found.score).sum(axis=1) >= found.votes[1],
        "plain loop": lambda: plain(tests[:N_PLAIN], found.score, found.votes[1]),
    }
    items = N_PLAIN if row == "plain loop" else N_POINTS
    sets = measure(calls[row], row=row, column=column, items=items)
    assert np.array_equal(sets, robust.predict_set(tests)[:items])
