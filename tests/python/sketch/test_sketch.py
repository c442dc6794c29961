"""Sketches: counts are exact, from any array, in any parts and on any number of threads."""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import example, given
from layouts import LAYOUTS, laid_out
from sketches import filled, sketched, slow_counts

from smoothbound import ScoreSketch
from smoothbound.errors import StoreError
from smoothbound.sketch._draws import counting

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


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_memory_layout(backend, layout):
    scores = np.random.default_rng(0).uniform(size=(6, 5000)).astype("f4")
    view = laid_out(scores, layout)
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
    parts.update(scores[2:, 400:], index=[2], first_draw=400, backend=backend)
    parts.update(scores[1::-1, 400:], index=[1, 0], first_draw=400, backend=backend)
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
    ("ulps", "room"), [((0, 1), 1), ((0, 5), 5), ((-1, 0), 1), ((-40, 20), 40), ((-7, 0), 3)]
)
def test_a_range_of_few_floats_says_how_many_intervals_it_has_room_for(ulps, room):
    # Neighbours above 1 are 2^-52 apart, those below 2^-53.
    a, b = (1 + n * 2.0 ** (-52 if n > 0 else -53) for n in ulps)
    with pytest.raises(ValueError, match=rf"edges must make at most {room} equal .* got 4096"):
        ScoreSketch(score_range=(a, b))
    edges = ScoreSketch(edges=room, score_range=(a, b)).edges
    assert edges.size == room + 1
    assert (np.diff(edges) > 0).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"index": [3, 1]}, "index must be strictly ascending"),
        ({"index": 0}, "index must be at least 1"),
        ({"index": np.array([2**63], "u8")}, r"index must be below 2\^63"),
        ({"index": [0.5]}, "index must be a number of inputs, or their ids"),
        ({"edges": 0}, "edges must be at least 1"),
        ({"edges": 2**21}, "edges must make at most"),
        ({"edges": [0.0, 0.5, 0.5, 1.0]}, r"strictly ascending; got edges\[1\] = 0.5"),
        ({"edges": [0.0, np.nan, 1.0]}, "strictly ascending"),
        ({"edges": [0.0, 0.5]}, "begin and end with score_range"),
        ({"edges": "many"}, "edges must be"),
        ({"measure": ""}, "measure must be the name"),
        ({"selected": [1, 2]}, "selected must be a class for each of the 1 inputs"),
        ({"selected": [-2]}, "selected must be classes from 0 on, or -1 .* got -2"),
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
        (np.ones((1, 5)), {"index": [9]}, "among those of the sketch, got 9"),
        (np.ones((2, 5)), {"index": [1, 1]}, "name each input at most once"),
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
    sketch._content.draws[0] = 0, 0, 2**32 - 3
    with pytest.raises(ValueError, match="at most 4294967295 draws, got 4294967298"):
        sketch.update(np.ones((1, 5)))


def test_what_is_read_cannot_be_written_to():
    sketch = filled()
    for array in (sketch.counts, sketch.edges, sketch.index, sketch.draws, sketch.selected):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    assert "2 inputs, 10 draws each, 4097 edges in [0, 1], measure='score'" in repr(sketch)


def test_only_keeps_counts_and_draws_of_the_inputs_named():
    rows = np.random.default_rng(0).uniform(size=(3, 50))
    sketch = ScoreSketch([2, 5, 8], edges=16, selected=[7, 8, 9], sigma=0.5)
    sketch.update(rows)
    sketch.update(rows[:2, :10] / 2, index=[2, 5])
    chosen = sketch.select([2, 8])
    assert chosen.index.tolist() == [2, 8]
    assert chosen.selected.tolist() == [7, 9]
    assert chosen.n_draws.tolist() == [60, 50]
    np.testing.assert_array_equal(chosen.counts, sketch.counts[[0, 2]])
    assert chosen + sketch.select([5]) == sketch
    with pytest.raises(ValueError, match="among those of the sketch, got 3"):
        sketch.select([3])
    with pytest.raises(ValueError, match=r"index must ascend .* got \[8, 2\]: pass np.unique"):
        sketch.select([8, 2])
    with pytest.raises(ValueError, match="name each input at most once"):
        sketch.select([2, 2])


def test_at_counts_as_if_there_had_been_these_edges_alone():
    rng = np.random.default_rng(0)
    rows = np.round(rng.uniform(size=(2, 300)), 2)  # some at edges
    fine = ScoreSketch(2, edges=100, sigma=0.5)
    fine.update(rows)
    kept = np.array([0, 1, 7, 50, 99, 100])
    coarse = ScoreSketch(2, edges=fine.edges[kept], sigma=0.5)
    coarse.update(rows)
    assert fine.coarsen(kept) == coarse
    for wrong in ([1, 100], [0, 99]):
        with pytest.raises(ValueError, match="kept must begin with 0, ascend and end with 100"):
            fine.coarsen(wrong)


@pytest.mark.parametrize(
    ("old", "new"),
    [("inputs", "index"), ("predicted", "selected"), ("only", "select"), ("at", "coarsen")],
)
def test_old_names_work_and_warn(old, new):
    sketch = filled(edges=2, selected=[7, 8])
    with pytest.warns(DeprecationWarning, match=f"{old} is now called {new}"):
        found = getattr(sketch, old)
    if new in ("index", "selected"):
        assert found.tolist() == getattr(sketch, new).tolist()
    else:
        assert found([0, 2] if new == "coarsen" else [5]) == getattr(sketch, new)(
            [0, 2] if new == "coarsen" else [5]
        )


def test_the_old_name_of_an_argument_works_and_warns():
    old, new = ScoreSketch([1, 5]), ScoreSketch([1, 5])
    new.update(np.full((1, 3), 0.5), index=[5])
    with pytest.warns(DeprecationWarning, match="inputs is now called index"):
        old.update(np.full((1, 3), 0.5), inputs=[5])
    assert old == new
    with pytest.raises(TypeError, match="inputs is now called index: give one of the two"):
        old.update(np.full((1, 3), 0.5), inputs=[5], index=[5])
    with pytest.warns(DeprecationWarning, match="predicted is now called selected"):
        old.state(predicted=[7, -1])
    assert old.selected.tolist() == [7, -1]
    with pytest.warns(DeprecationWarning, match="inputs is now called index"):
        made = ScoreSketch(inputs=[1, 5])
    assert made == ScoreSketch([1, 5])
    with pytest.warns(DeprecationWarning, match="predicted is now called selected"):
        made = ScoreSketch([1, 5], predicted=[7, 8])
    assert made == ScoreSketch([1, 5], selected=[7, 8])


def test_any_iterable_of_arrays_is_a_stream():
    torch = pytest.importorskip("torch")
    scores = np.random.default_rng(0).uniform(size=(2, 60))
    whole = ScoreSketch(2)
    whole.update(scores)
    parts = [scores[:, i : i + 20] for i in (0, 20, 40)]

    class Loader:
        def __iter__(self):
            return iter(parts)

    loader = torch.utils.data.DataLoader(torch.from_numpy(scores.T.copy()), batch_size=20)
    for stream in (
        lambda: iter(parts),
        lambda: (part.tolist() for part in parts),
        Loader,
        lambda: (batch.T for batch in loader),
    ):
        for first_draw in (None, 0):
            sketch = ScoreSketch(2)
            sketch.update(stream(), first_draw=first_draw)
            assert sketch == whole
    with pytest.raises(ValueError, match="scores must have a row for each of the 2 inputs"):
        ScoreSketch(2).update(loader)


def test_threads_share_a_sketch_without_losing_a_draw():
    rng = np.random.default_rng(0)
    chunks = [rng.uniform(size=(3, 2000)) for _ in range(64)]
    alone, shared = ScoreSketch(3), ScoreSketch(3)
    for i, chunk in enumerate(chunks):
        alone.update(chunk, first_draw=2000 * i, threads=1)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            for done in [pool.submit(shared.update, chunk, threads=1) for chunk in chunks]:
                done.result()
            sums = [pool.submit(lambda: shared + ScoreSketch(3)) for _ in range(4)]
            sums += [pool.submit(lambda: ScoreSketch(3) + shared) for _ in range(4)]
            assert all(one.result() == alone for one in sums)
    finally:
        sys.setswitchinterval(interval)
    assert shared == alone
    assert shared.n_draws.tolist() == [128_000] * 3


@pytest.mark.parametrize("rows", [None, [1]])
def test_an_update_that_was_interrupted_leaves_no_sketch_to_certify(rows, monkeypatch):
    scores = np.random.default_rng(0).uniform(size=(2, 1000))[: 2 if rows is None else 1]
    sketch = ScoreSketch(2, sigma=1.0)
    counter = counting._counter

    class Interrupted:
        def __init__(self, *about):
            self.count_all = counter(*about).count

        def count(self, *arguments):
            self.count_all(*arguments)
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(counting, "_counter", Interrupted)
        with pytest.raises(KeyboardInterrupt):
            sketch.update(scores, index=rows)
    for act in (
        lambda: sketch.update(scores, index=rows),
        sketch.certify,
        lambda: sketch + ScoreSketch(2, sigma=1.0),
        lambda: sketch.counts,
    ):
        with pytest.raises(ValueError, match=r"was interrupted.*begin a new sketch"):
            act()


ODD = [
    None, True, -1, 0, 2**63, 10**400, 1e400, float("nan"), 1j, "", "x", b"x", [], [[]], [1, [2]],
    [[1, 2], [3]], ["a"], {}, {1: 2}, set(), object(), np.array(None), np.ma.masked, range(0),
    np.array([1 + 1j]), np.array(["2020"], "M8[Y]"), [10**400], (1, 2, 3), lambda: 0, Exception,
]  # fmt: skip


CALLS = {
    "index": lambda odd: ScoreSketch(odd),
    "edges": lambda odd: ScoreSketch(edges=odd),
    "score_range": lambda odd: ScoreSketch(score_range=odd),
    "measure": lambda odd: ScoreSketch(measure=odd),
    "selected": lambda odd: ScoreSketch(2, selected=odd),
    "sigma": lambda odd: ScoreSketch(sigma=odd),
    "noise": lambda odd: ScoreSketch(noise=odd),
    "selected of state": lambda odd: filled().state(selected=odd),
    "sigma of state": lambda odd: filled().state(sigma=odd),
    "noise of state": lambda odd: filled().state(noise=odd),
    "scores": lambda odd: ScoreSketch(2).update(odd),
    "index of update": lambda odd: ScoreSketch(2).update(np.ones((2, 3)), index=odd),
    "first_draw": lambda odd: ScoreSketch(2).update(np.ones((2, 3)), first_draw=odd),
    "index of select": lambda odd: filled().select(odd),
    "kept": lambda odd: filled(edges=4).coarsen(odd),
    "path": lambda odd: ScoreSketch.load(odd),
    "path of save": lambda odd: filled().save(odd),
    "sigma of certify": lambda odd: filled(n=500).certify(sigma=odd),
    "alpha": lambda odd: filled(n=500).certify(sigma=1.0, alpha=odd),
    "radii": lambda odd: filled(n=500).certify(sigma=1.0, radii=odd),
    "thresholds": lambda odd: filled(n=500).certify(sigma=1.0, thresholds=odd),
    "band": lambda odd: filled(n=500).certify(sigma=1.0, band=odd),
    "sides": lambda odd: filled(n=500).certify(sigma=1.0, sides=odd),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("odd", ODD, ids=lambda odd: f"{type(odd).__name__} {odd!r:.20}")
def test_an_odd_value_is_taken_or_refused_by_the_name_of_its_argument(
    call, odd, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    name = call.partition(" ")[0]
    try:
        CALLS[call](odd)
    except StoreError:
        assert name == "path"
    except (TypeError, ValueError) as error:
        assert name in str(error)  # noqa: PT017
        assert len(str(error)) < 1000  # noqa: PT017
