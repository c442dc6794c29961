"""Scores that were counted before are refused, and other draws are not."""

import pickle

import numpy as np
import pytest

from smoothbound import ScoreSketch


def test_an_array_that_was_counted_before_is_refused(backend):
    scores = np.random.default_rng(0).uniform(size=(5, 1000)).astype("f4")
    sketch = ScoreSketch(5)
    sketch.update(scores, backend=backend)
    for again in (scores, scores.copy(), np.asfortranarray(scores), iter([scores])):
        with pytest.raises(ValueError, match=r"scores must be of other draws .*the same"):
            sketch.update(again, backend=backend)
    with pytest.raises(ValueError, match="draws 0 to 999 and 0 to 999 overlap"):
        sketch.update(scores, first_draw=0, backend=backend)
    assert sketch.n_draws.tolist() == [1000] * 5
    sketch.update(scores, first_draw=1000, backend=backend)  # who numbers draws knows better
    sketch.update(scores[:, ::-1].copy(), backend=backend)
    assert sketch.n_draws.tolist() == [3000] * 5


@pytest.mark.parametrize(("n", "again"), [(100, 0), (1000, 400)])  # the whole array, or a part
def test_sketches_made_of_a_sketch_know_what_it_was_given(tmp_path, n, again):
    scores = np.random.default_rng(0).uniform(size=(1, n))
    sketch, other = ScoreSketch(), ScoreSketch()
    sketch.update(scores)
    other.update(1 - scores, first_draw=n)
    sketch.save(tmp_path / "sketch.parquet")
    for made in (
        ScoreSketch.load(tmp_path / "sketch.parquet"),
        sketch.coarsen([0, 2048, 4096]),
        sketch + other,
        other + sketch,
        sketch.select([0]),
        pickle.loads(pickle.dumps(sketch)),
    ):
        with pytest.raises(ValueError, match="other draws"):
            made.update(scores[:, again:])


@pytest.mark.parametrize("scores", [np.ones((2, 100)), np.tile([0.25, 0.5], (2, 50))])
def test_scores_that_chance_repeats_count_as_further_draws(scores):
    sketch = ScoreSketch(2)
    sketch.update(scores)
    sketch.update(scores)
    assert sketch.n_draws.tolist() == [200, 200]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_a_part_of_what_was_counted_before_is_refused(dtype):
    scores = np.random.default_rng(0).beta(5, 1, size=(3, 2000)).astype(dtype)
    other = np.random.default_rng(1).beta(5, 1, size=(3, 2000)).astype(dtype)
    sketch = ScoreSketch([1, 4, 6])
    sketch.update(scores)
    for part, inputs in (
        (scores[:, 1000:], None),
        (scores[:, 777:1777].astype("f8"), None),
        (scores[1:2, 1500:], [4]),
        (scores[[2, 0]], [6, 1]),
        (np.concatenate([other[:, :700], scores[:, 700:]], axis=1), None),
        (np.tile(other, 2), None),  # twice in one array
    ):
        with pytest.raises(ValueError, match=r"scores must be of other draws .* in part"):
            sketch.update(part, index=inputs)
    assert sketch.n_draws.tolist() == [2000] * 3
    sketch.update(scores[:1, 1000:], index=[4])  # the same scores, of another input
    sketch.update(other)
    sketch.update(scores[:, 1000:], first_draw=10_000)


def test_a_hundredth_of_many_scores_is_found():
    rng = np.random.default_rng(0)
    sketch = ScoreSketch(10)
    blocks = [rng.uniform(size=(10, 1000)).astype("f4") for _ in range(100)]
    for block in blocks:
        sketch.update(block)
    for k in range(0, 100, 7):
        shifted = np.concatenate([rng.uniform(size=(10, 50)).astype("f4"), blocks[k]], axis=1)
        with pytest.raises(ValueError, match="other draws"):
            sketch.update(shifted)
    assert sketch.n_draws.tolist() == [100_000] * 10


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng, size: rng.choice([0.0, 1.0], size),
        lambda rng, size: rng.choice(np.linspace(0, 1, 11), size),
        lambda rng, size: rng.choice(np.linspace(0, 1, 101), size),
        lambda rng, size: np.where(rng.random(size) < 0.9, 1.0, rng.random(size)),
        lambda rng, size: rng.beta(20, 1, size).astype("f2"),
        lambda rng, size: np.sort(rng.choice(np.linspace(0, 1, 201), size), axis=1),
    ],
)
def test_other_draws_are_never_refused_however_many_ties_they_have(draw):
    rng = np.random.default_rng(0)
    sketch = ScoreSketch(3)
    for n in (1, 5, 31, 32, 33, 100, 1000, 40_000, 70_000):
        for _ in range(3):
            sketch.update(draw(rng, (3, n)))
