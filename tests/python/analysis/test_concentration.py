"""How concentrated the score and the margin are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from smoothbound.analysis.concentration import pairs, relative_spread
from smoothbound.analysis.evaluation import Bounds, Evaluation
from smoothbound.bounds._method import Method
from smoothbound.sketch._score_sketch import ScoreSketch


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
    np.testing.assert_allclose(relative_spread(sketch), rows.std(axis=1) / 2, atol=1 / 4096)


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
    for known in ({"sigma": None}, {"network": "one"}):  # another network, or who knows
        odd = replace(everything[2], **known)
        assert pairs([replace(everything[1], network="other"), odd]) == []
    unlike = [replace(one, data=name) for one, name in zip(everything[1:3], "xy", strict=True)]
    assert pairs(unlike) == []
    other = replace(everything[2], label=everything[2].label + 1)  # not the same images
    assert pairs([everything[1], other]) == []
