"""Sketches: counts are exact, from any array, in any parts."""

import numpy as np
import pytest
from hypothesis import example, given

from sketches import filled, sketched, slow_counts
from smoothbound import ScoreSketch

RADII = np.array([0.0, 0.3, 1.0, 3.0, 9.0])


@given(sketched())
@example((1, np.zeros(9, "f4")))
@example((4096, np.ones(9, "f2")))
@example(([0.0, 5e-324, 1.0], np.array([0.0, -0.0, 5e-324, 1e-323, 1.0])))
def test_counts_are_exact(backend, case):
    edges, scores = case
    sketch = ScoreSketch(edges=edges)
    sketch.update(scores[None, :], backend=backend)
    assert sketch.counts[0].tolist() == slow_counts(scores, sketch.edges)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize(
    ("score_range", "edges"),
    [((0, 1), 4096), ((-1, 1), 4096), ((0, 1), 1000), ((-0.3, 7.1), 4096), ((100, 101), 4096)],
)
def test_counts_of_long_rows_are_exact(backend, score_range, edges, dtype):
    a, b = score_range
    sketch = ScoreSketch(2, edges=edges, score_range=score_range)
    scores = np.random.default_rng(0).uniform(a, b, (2, 20_000))
    scores[0, : sketch.edges.size] = sketch.edges
    scores[1, : sketch.edges.size] = np.nextafter(sketch.edges, -np.inf)
    scores = scores.astype(dtype)
    wide = scores.astype(np.float64)  # NumPy would round a and b to the type of the scores
    scores[~((wide >= a) & (wide <= b))] = np.asarray((a + b) / 2, dtype)
    sketch.update(scores, backend=backend)
    wide = scores.astype(np.float64)
    for row, counts in zip(wide, sketch.counts, strict=True):
        reached = counts[::-1].cumsum()[::-1][::2]
        not_reached = counts.cumsum()[::2]
        ordered = np.sort(row)
        np.testing.assert_array_equal(
            reached, row.size - np.searchsorted(ordered, sketch.edges, side="left")
        )
        np.testing.assert_array_equal(
            not_reached, np.searchsorted(ordered, sketch.edges, side="right")
        )


@pytest.mark.parametrize("layout", ["transposed", "every second", "reversed", "read-only"])
def test_any_memory_layout(backend, layout):
    scores = np.random.default_rng(0).uniform(size=(6, 5000)).astype("f4")
    view = {
        "transposed": np.asfortranarray(scores),
        "every second": np.repeat(scores, 2, axis=1)[:, ::2],
        "reversed": scores[:, ::-1][:, ::-1],
        "read-only": scores.copy(),
    }[layout]
    view.flags.writeable = layout != "read-only"
    one, other = ScoreSketch(6), ScoreSketch(6)
    one.update(scores)
    other.update(view, backend=backend)
    assert one == other


@pytest.mark.parametrize("m", [500, 9000])
def test_threads_do_not_change_a_bit(backend, m):
    scores = np.random.default_rng(0).beta(5, 1, size=(11, m))
    one, many = ScoreSketch(11), ScoreSketch(11)
    one.update(scores, threads=1, backend=backend)
    many.update(scores, threads=5, backend=backend)
    assert one == many
    options = {"sigma": 1.0, "radii": RADII, "thresholds": [0.3], "backend": backend}
    alone, together = one.certify(threads=1, **options), one.certify(threads=5, **options)
    np.testing.assert_array_equal(alone.lower, together.lower)
    np.testing.assert_array_equal(alone.radius, together.radius)


def test_streams_and_parts_count_the_same(backend):
    scores = np.random.default_rng(0).uniform(size=(3, 1000)).astype("f4")
    whole, stream, parts = ScoreSketch(3), ScoreSketch(3), ScoreSketch(3)
    whole.update(scores, backend=backend)
    stream.update((scores[:, i : i + 130] for i in range(0, 1000, 130)), backend=backend)
    parts.update(scores[2:, 400:], inputs=[2], first_draw=400, backend=backend)
    parts.update(scores[1::-1, 400:], inputs=[1, 0], first_draw=400, backend=backend)
    parts.update(scores[:, :400], first_draw=0, backend=backend)
    assert whole == stream == parts
    assert whole.draws.tolist() == [[i, 0, 1000] for i in range(3)]
    assert whole.n_draws.tolist() == [1000] * 3


@pytest.mark.parametrize("bad", [np.nan, -1e-6, 1.000001, np.inf, -np.inf])
@pytest.mark.parametrize("m", [100, 10_000])
def test_a_bad_score_is_refused_with_its_place_and_nothing_is_counted(backend, bad, m):
    scores = np.full((5, m), 0.5, np.float32)
    sketch = ScoreSketch([10, 11, 12, 13, 14])
    sketch.update(scores, backend=backend)
    before = sketch.counts.copy()
    scores[3, 70] = scores[4, 2] = bad
    message = rf"scores\[3, 70\] = \S+ \(draw {m + 70} of input 13\); none of these"
    with pytest.raises(ValueError, match=message):
        sketch.update(scores, backend=backend, threads=2)
    np.testing.assert_array_equal(sketch.counts, before)
    assert sketch.draws.tolist() == [[i, 0, m] for i in range(10, 15)]


def test_a_stream_keeps_what_came_before_a_bad_score(backend):
    sketch = ScoreSketch()
    good = np.full((1, 50), 0.5)
    with pytest.raises(ValueError, match="draw 50 of input 0"):
        sketch.update(iter([good, good * 3, good]), backend=backend)
    assert sketch.n_draws.tolist() == [50]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"inputs": [3, 1]}, "inputs must be strictly ascending"),
        ({"inputs": 0}, "inputs must be at least 1"),
        ({"inputs": np.array([2**63], "u8")}, r"inputs must be below 2\^63"),
        ({"inputs": [0.5]}, "inputs must be a number of inputs, or their ids"),
        ({"edges": 0}, "edges must be at least 1"),
        ({"edges": 2**21}, "edges must make at most"),
        ({"edges": [0.0, 0.5, 0.5, 1.0]}, r"strictly ascending; got edges\[1\] = 0.5"),
        ({"edges": [0.0, np.nan, 1.0]}, "strictly ascending"),
        ({"edges": [0.0, 0.5]}, "begin and end with score_range"),
        ({"edges": "many"}, "edges must be"),
        ({"measure": ""}, "measure must be the name"),
        ({"predicted": [1, 2]}, "predicted must be a class for each of the 1 inputs"),
        ({"sigma": -1}, "sigma must be positive"),
        ({"score_range": (1, 0)}, "score_range"),
    ],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        ScoreSketch(**arguments)


@pytest.mark.parametrize(
    ("scores", "arguments", "message"),
    [
        (np.ones(5), {}, r"pass scores\[None, :\]"),
        (np.ones((3, 5)), {}, "a row for each of the 2 inputs"),
        (np.ones((2, 5), int), {}, "float16, float32 or float64"),
        (np.ones((2, 0)), {}, "at least one draw"),
        (np.ones((1, 5)), {"inputs": [9]}, "among those of the sketch, got 9"),
        (np.ones((2, 5)), {"inputs": [1, 1]}, "each input at most once"),
        (np.ones((2, 5)), {"first_draw": -1}, "first_draw must be at least 0"),
        (np.ones((2, 5)), {"first_draw": 2**32 - 1}, None),
        (np.ones((2, 5)), {"first_draw": 2**63 - 6}, None),
        (np.ones((2, 5)), {"first_draw": 2**63 - 5}, r"below 2\^63 - 1"),
        (np.ones((2, 5)), {"first_draw": 2**70}, r"below 2\^63 - 1"),
    ],
)
def test_updates_are_checked(scores, arguments, message):
    sketch = ScoreSketch(2)
    if message is None:
        sketch.update(scores, **arguments)
        return
    with pytest.raises((TypeError, ValueError), match=message):
        sketch.update(scores, **arguments)
    assert not sketch.counts.any()


def test_too_many_draws_are_refused():
    sketch = ScoreSketch()
    sketch.update(np.ones((1, 5)))
    sketch._draws[0] = 0, 0, 2**32 - 3
    with pytest.raises(ValueError, match="at most 4294967295 draws, got 4294967298"):
        sketch.update(np.ones((1, 5)))


def test_what_is_read_cannot_be_written_to():
    sketch = filled()
    for array in (sketch.counts, sketch.edges, sketch.inputs, sketch.draws, sketch.predicted):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    assert "2 inputs, 10 draws each, 4097 edges in [0, 1], measure='score'" in repr(sketch)


def test_only_keeps_counts_and_draws_of_the_inputs_named():
    rows = np.random.default_rng(0).uniform(size=(3, 50))
    sketch = ScoreSketch([2, 5, 8], edges=16, predicted=[7, 8, 9], sigma=0.5)
    sketch.update(rows)
    sketch.update(rows[:2, :10] / 2, inputs=[2, 5])
    chosen = sketch.only([8, 2])
    assert chosen.inputs.tolist() == [2, 8]
    assert chosen.predicted.tolist() == [7, 9]
    assert chosen.n_draws.tolist() == [60, 50]
    np.testing.assert_array_equal(chosen.counts, sketch.counts[[0, 2]])
    assert chosen + sketch.only([5]) == sketch
    with pytest.raises(ValueError, match="among those of the sketch, got 3"):
        sketch.only([3])


def test_at_counts_as_if_there_had_been_these_edges_alone():
    rng = np.random.default_rng(0)
    rows = np.round(rng.uniform(size=(2, 300)), 2)  # some at edges
    fine = ScoreSketch(2, edges=100, sigma=0.5)
    fine.update(rows)
    kept = np.array([0, 1, 7, 50, 99, 100])
    coarse = ScoreSketch(2, edges=fine.edges[kept], sigma=0.5)
    coarse.update(rows)
    assert fine.at(kept) == coarse
    for wrong in ([1, 100], [0, 99]):
        with pytest.raises(ValueError, match="kept must begin with 0 and end with 100"):
            fine.at(wrong)
