"""How concentrated the score and the margin are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from smoothbound.concentration import pairs, relative_spread
from smoothbound.evaluation import Bounds, Evaluation
from smoothbound.method import Method
from smoothbound.sketch import ScoreSketch


def evaluation(name: str, measure: str, sigma: float | None, index: list[int]) -> Evaluation:
    n = len(index)
    return Evaluation(
        name=name,
        measure=measure,
        score_range=(0.0 if measure == "score" else -1.0, 1.0),
        radii=np.array([0.0]),
        index=np.array(index),
        label=np.array(index) % 10,
        predicted=np.zeros(n, np.int64),
        bounds=(Bounds(Method("mean"), np.full((n, 1), 0.8)),),
        sigma=sigma,
    )


def test_spread_is_the_standard_deviation_as_a_share_of_the_range() -> None:
    rng = np.random.default_rng(2)
    rows = rng.uniform(-1, 1, size=(3, 5000)) * [[1.0], [0.5], [0.01]]
    sketch = ScoreSketch([4, 7, 9], score_range=(-1.0, 1.0))
    sketch.update(rows)
    found = relative_spread(sketch, np.array([9, 4]))
    np.testing.assert_allclose(found, rows.std(axis=1)[[2, 0]] / 2, atol=1 / 4096)
    with pytest.raises(ValueError, match="must be among those of the sketch"):
        relative_spread(sketch, np.array([5]))


def test_pairs_have_one_sigma_and_common_inputs() -> None:
    everything = [
        evaluation("a", "score", 0.25, [0, 1, 2]),
        evaluation("b", "score", 0.5, [0, 1, 2]),
        evaluation("c", "margin", 0.5, [1, 2, 3]),
        evaluation("d", "margin", 0.25, [5, 6]),
    ]
    assert [(one.name, two.name, one.index.tolist()) for one, two in pairs(everything)] == [
        ("b", "c", [1, 2])
    ]
    other = replace(everything[2], label=everything[2].label + 1)  # not the same images
    assert pairs([everything[1], other]) == []
