"""Sketches: exact counts, exact merges, and certificates within a cell of the exact ones."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

import smoothbound as sb
from smoothbound import ScoreSketch, reference
from smoothbound.band import local_level
from smoothbound.errors import StoreError

ALPHA = 0.05
RADII = np.array([0.0, 0.3, 1.0, 3.0, 9.0])


def slow_counts(scores, edges):
    scores = np.asarray(scores, dtype=np.float64)
    counts = []
    for j, edge in enumerate(edges):
        counts.append(int(np.count_nonzero(scores == edge)))
        if j + 1 < len(edges):
            counts.append(int(np.count_nonzero((scores > edge) & (scores < edges[j + 1]))))
    return counts


edge_lists = st.one_of(
    st.sampled_from([1, 2, 7, 16, 1000]),
    st.lists(st.floats(0, 1), max_size=30).map(lambda x: sorted({0.0, 1.0, *(abs(v) for v in x)})),
)


@st.composite
def sketched(draw):
    """Edges, and scores that often lie on or beside them."""
    edges = draw(edge_lists)
    at = ScoreSketch(edges=edges).edges
    near = np.concatenate([at, np.nextafter(at, -1), np.nextafter(at, 2)]).clip(0, 1)
    element = st.one_of(st.floats(0, 1), st.sampled_from(near.tolist()))
    scores = np.array(draw(st.lists(element, min_size=6, max_size=80)))
    kind = draw(st.sampled_from(["float16", "float32", "float64"]))
    return edges, scores.astype(kind)


# Counting


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


# Torch


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_tensors(dtype):
    torch = pytest.importorskip("torch")
    scores = torch.rand((2, 700), generator=torch.Generator().manual_seed(0))
    scores = scores.to(getattr(torch, dtype))
    one, other = ScoreSketch(2), ScoreSketch(2)
    one.update(scores)
    other.update(scores.double().numpy())
    assert one == other


@pytest.fixture(scope="class")
def elsewhere():
    """Torch, where tensors on the CPU are treated as those of a device."""
    torch = pytest.importorskip("torch")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("smoothbound.sketch._is_elsewhere", lambda x: isinstance(x, torch.Tensor))
        yield torch


@settings(max_examples=40)
@given(case=sketched())
def test_counts_on_a_device_are_exact(elsewhere, case):
    edges, scores = case
    sketch = ScoreSketch(edges=edges)
    sketch.update(elsewhere.from_numpy(scores[None, :]))
    assert sketch.counts[0].tolist() == slow_counts(scores, sketch.edges)


def test_counts_come_back_when_needed(elsewhere):
    scores = np.random.default_rng(0).uniform(-1, 1, (3, 900)).astype("f4")
    here, there = (ScoreSketch([2, 5, 6], score_range=(-1, 1)) for _ in range(2))
    here.update(scores)
    there.update(elsewhere.from_numpy(scores[:, :300]))
    there.update(elsewhere.from_numpy(scores[1:, 300:]).bfloat16()[:, ::2], inputs=[5, 6])
    assert not there._counts.any()
    assert there.n_draws.tolist() == [300, 600, 600]
    assert there.counts.sum(axis=1).tolist() == [300, 600, 600]
    there = ScoreSketch([2, 5, 6], score_range=(-1, 1))
    there.update(iter(elsewhere.from_numpy(scores).split(250, dim=1)))
    assert here == there


def test_a_bad_score_shows_later_and_spoils_the_sketch(elsewhere):
    sketch = ScoreSketch([4, 7])
    scores = elsewhere.full((2, 100), 0.5)
    sketch.update(scores)
    for bad in (elsewhere.nan, 1.5, -0.1):
        spoiled = scores.clone()
        spoiled[1, 30] = bad
        sketch = ScoreSketch([4, 7])
        sketch.update(scores)
        sketch.update(spoiled)
        sketch.update(scores)
        with pytest.raises(ValueError, match=r"draw 130 of input 7, counted on .* begin a new"):
            sketch.certify(sigma=1)
        with pytest.raises(ValueError, match="draw 130 of input 7"):
            sketch.update(scores)


def test_draws_are_recorded_at_once(elsewhere):
    sketch = ScoreSketch()
    scores = elsewhere.full((1, 100), 0.5)
    sketch.update(scores)
    with pytest.raises(ValueError, match="overlap"):
        sketch.update(scores, first_draw=99)
    with pytest.raises(ValueError, match="shape"):
        sketch.update(scores[0])
    with pytest.raises(TypeError, match="floats"):
        sketch.update(scores.long())


@pytest.mark.gpu
def test_scores_on_a_gpu_are_counted_there():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA")
    scores = torch.rand((3, 50_000), device="cuda")
    here, there = ScoreSketch(3), ScoreSketch(3)
    here.update(scores.cpu())
    torch.cuda.set_sync_debug_mode("error")
    try:
        there.update(scores)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert here == there


# Merging


@st.composite
def parts_of_draws(draw):
    """Three sketches of different draws of some of the same inputs."""
    seed = draw(st.integers(0, 1000))
    scores = np.random.default_rng(seed).choice([0.0, 0.1, 0.25, 0.7, 1.0], (4, 60))
    owner = np.random.default_rng(seed + 1).integers(0, draw(st.integers(1, 4)), (4, 6))
    sketches = []
    for part in range(3):
        inputs = np.flatnonzero(draw(st.lists(st.booleans(), min_size=4, max_size=4)))
        inputs = inputs if inputs.size else np.array([part])
        sketch = ScoreSketch(inputs, edges=8, predicted=inputs + 3)
        for i in inputs:
            for block in np.flatnonzero(owner[i] == part):
                at = slice(10 * block, 10 * block + 10)
                sketch.update(scores[i : i + 1, at], inputs=[i], first_draw=10 * block)
        sketches.append(sketch)
    return sketches


def bits(sketch):
    arrays = (sketch.inputs, sketch.predicted, sketch.draws, sketch.counts, sketch.edges)
    return [(array.dtype, array.shape, array.tobytes()) for array in arrays]


@given(parts_of_draws())
def test_merging_is_associative_and_commutative_bit_for_bit(parts):
    a, b, c = parts
    before = bits(a)
    expected = bits((a + b) + c)
    assert bits(a + (b + c)) == expected
    assert bits((c + a) + b) == expected
    assert bits(b + (c + a)) == expected
    assert bits(a) == before


@given(st.integers(1, 59), st.integers(0, 3))
def test_merged_parts_are_the_whole(cut, inputs_of_one):
    scores = np.random.default_rng(cut).uniform(size=(4, 60))
    whole = ScoreSketch(4, edges=16)
    whole.update(scores)
    one, two = ScoreSketch(4, edges=16), ScoreSketch(4, edges=16)
    one.update(scores[:, :cut])
    two.update(scores[:, cut:], first_draw=cut)
    assert one + two == whole == two + one


def test_draws_with_gaps_are_kept_apart_until_the_gap_is_filled():
    def part(first, n):
        sketch = ScoreSketch()
        sketch.update(np.full((1, n), 0.5), first_draw=first)
        return sketch

    ends = part(0, 10) + part(20, 10)
    assert ends.draws.tolist() == [[0, 0, 10], [0, 20, 30]]
    assert (ends + part(10, 10)).draws.tolist() == [[0, 0, 30]]
    ends.update(np.full((1, 5), 0.5))
    assert ends.draws.tolist() == [[0, 0, 10], [0, 20, 35]]


def filled(first=0, n=10, **arguments):
    sketch = ScoreSketch(**{"inputs": [1, 5], **arguments})
    a, b = sketch.score_range
    sketch.update(np.full((2, n), (a + b) / 2), first_draw=first)
    return sketch


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (lambda: filled(10, edges=100), "4097 and 101 edges"),
        (lambda: filled(10, edges=np.linspace(0, 1, 4097) ** 2), "edge 1 is"),
        (lambda: filled(10, score_range=(-1, 1)), "score ranges differ"),
        (lambda: filled(10, measure="margin"), "measures differ: 'score' and 'margin'"),
        (lambda: filled(10, sigma=0.5), "noise levels sigma differ: None and 0.5"),
        (lambda: filled(10, predicted=[-1, 3]), "classes of input 5 differ: -1 and 3"),
        (lambda: filled(9), "of input 1, the draws 0 to 9 and 9 to 18 overlap"),
    ],
)
def test_merges_that_would_be_wrong_are_refused(other, reason):
    with pytest.raises(ValueError, match=reason):
        filled() + other()


def test_only_sketches_can_be_added():
    with pytest.raises(TypeError):
        filled() + 1
    assert filled() != 1


# Files


@settings(max_examples=20)
@given(parts_of_draws())
def test_a_saved_sketch_is_the_same_bit_for_bit(tmp_path_factory, parts):
    path = tmp_path_factory.mktemp("sketch") / "sigma=0.25" / "sketch.parquet"
    sketch = parts[0] + parts[1]
    sketch.save(path)
    assert bits(ScoreSketch.load(path)) == bits(sketch)


def test_everything_is_saved(tmp_path):
    sketch = filled(7, measure="margin", score_range=(-1, 1), predicted=[2, 9], sigma=0.1)
    sketch.save(tmp_path / "a.parquet")
    loaded = ScoreSketch.load(tmp_path / "a.parquet")
    assert loaded == sketch
    assert (loaded.sigma, loaded.measure, loaded.score_range) == (0.1, "margin", (-1.0, 1.0))
    assert loaded.predicted.tolist() == [2, 9]
    loaded.update(np.ones((2, 3)))
    assert loaded.draws.tolist() == [[1, 7, 20], [5, 7, 20]]
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]


def rewritten(path, metadata=None, **columns):
    """Change a file without minding what it means."""
    table = pq.read_table(path)
    if metadata is not None:
        about = json.loads(table.schema.metadata[b"smoothbound"]) | metadata
        table = table.replace_schema_metadata({b"smoothbound": json.dumps(about)})
    for name, values in columns.items():
        i = table.schema.names.index(name)
        import pyarrow as pa

        table = table.set_column(i, table.schema.field(i), pa.array(values, table.schema.types[i]))
    pq.write_table(table, path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metadata": {"format": 9}}, "has format 9"),
        ({"metadata": {"edges": [0.0, 1.0]}}, "columns of a sketch with 2 edges"),
        ({"metadata": {"edges": [0.0, 0.7, 0.5, 1.0, 2.0]}}, "strictly ascending"),
        ({"metadata": {"edges": "a b c"}}, "not a sketch"),
        ({"metadata": {"measure": 3}}, "measure must be"),
        ({"metadata": {"sigma": -3.0}}, "sigma must be"),
        ({"input": [5, 1]}, "strictly ascending"),
        ({"first_draw": [[0], [0, 3]]}, "begin more or less often"),
        ({"first_draw": [[0], [20]]}, "interval of draws is empty"),
        ({"after_last_draw": [[10], [11]]}, "do not add up"),
        ({"counts": [[9] * 9, [9] * 9]}, "do not add up"),
    ],
)
def test_a_changed_file_is_refused(tmp_path, change, message):
    path = tmp_path / "sketch.parquet"
    filled(edges=4).save(path)
    rewritten(path, **change)
    with pytest.raises(StoreError, match=message):
        ScoreSketch.load(path)


def test_what_is_no_sketch_is_refused(tmp_path):
    path = tmp_path / "sketch.parquet"
    with pytest.raises(StoreError, match="missing"):
        ScoreSketch.load(path)
    filled().save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoreError, match="cut short or damaged"):
        ScoreSketch.load(path)
    path.write_bytes(whole[:200] + bytes([whole[200] ^ 1]) + whole[201:])
    with pytest.raises(StoreError):
        ScoreSketch.load(path)
    scores = np.full((2, 100), 0.5)
    pq.write_table(sb.certify_scores(scores, sigma=1).to_arrow(), path)
    with pytest.raises(StoreError, match="not a sketch"):
        ScoreSketch.load(path)


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot write"):
        filled().save(tmp_path / "file" / "sketch.parquet")


# Certifying


@given(sketched(), st.floats(0, 12), st.sampled_from(["dkw", "ell"]))
def test_agrees_with_the_reference(backend, case, r, band):
    edges, scores = case
    sketch = ScoreSketch(edges=edges)
    sketch.update(scores[None, :], backend=backend)
    assume(band == "dkw" or sketch.edges.size < 40)  # the reference is slow
    options = {"sigma": 1.0, "radii": [r], "alpha": ALPHA, "band": band, "backend": backend}
    level = local_level(scores.size, alpha=ALPHA) if band == "ell" else None
    lower = reference.lower_edges(scores, sketch.edges, r, ALPHA, level)
    assert lower - 1e-12 <= sketch.certify(**options).lower[0, 0] <= lower + 1e-15
    upper = reference.upper_edges(scores, sketch.edges, r, ALPHA, level)
    found = sketch.certify(sides="upper", **options).upper[0, 0]
    assert upper - 1e-15 <= found <= upper + 1e-12


@given(sketched(), st.sampled_from(["lower", "upper"]))
def test_loss_against_the_exact_bound_is_as_reported(backend, case, side):
    edges, scores = case
    sketch = ScoreSketch(edges=edges)
    sketch.update(scores[None, :], backend=backend)
    options = {"sigma": 1.0, "radii": RADII, "alpha": ALPHA, "sides": side, "backend": backend}
    exact = getattr(sb.certify_scores(scores[None, :], **options), side)
    cert = sketch.certify(**options)
    loss = exact - cert.lower if side == "lower" else cert.upper - exact
    assert (loss >= -1e-12).all()
    assert (loss <= cert.loss[:, None]).all()
    assert cert.loss[0] <= np.diff(sketch.edges).max() + 1e-12


@pytest.mark.parametrize("distribution", ["beta", "saturated", "margin"])
def test_loss_of_many_draws(backend, distribution):
    rng = np.random.default_rng(0)
    a = -1.0 if distribution == "margin" else 0.0
    scores = {
        "beta": rng.beta(20, 1, (3, 20_000)),
        "saturated": np.where(rng.random((3, 20_000)) < 0.01, 0.25, 1.0),
        "margin": rng.uniform(-1, 1, (3, 20_000)),
    }[distribution].astype("f4")
    sketch = ScoreSketch(3, score_range=(a, 1.0))
    sketch.update(scores, backend=backend)
    options = {"sigma": 0.5, "radii": RADII, "thresholds": [-0.9 if a else 0.1], "sides": "both"}
    exact = sb.certify_scores(scores, score_range=(a, 1.0), backend=backend, **options)
    cert = sketch.certify(backend=backend, **options)
    width = 0.0 if distribution == "saturated" else (1 - a) / 4096
    np.testing.assert_allclose(cert.loss, width, rtol=0, atol=1e-12)
    for loss in (exact.lower - cert.lower, cert.upper - exact.upper):
        assert (loss >= -1e-12).all()
        assert (loss <= cert.loss[:, None]).all()
    assert (cert.radius <= exact.radius + 1e-12).all()
    np.testing.assert_allclose(cert.radius, exact.radius, atol=0.01)


@given(sketched())
def test_every_score_an_edge_loses_nothing(backend, case):
    _, scores = case
    edges = np.unique(np.concatenate([[0.0, 1.0], scores.astype(np.float64)]))
    sketch = ScoreSketch(edges=edges)
    sketch.update(scores[None, :], backend=backend)
    options = {"sigma": 1.0, "radii": RADII, "alpha": ALPHA, "sides": "both", "backend": backend}
    exact = sb.certify_scores(scores[None, :], **options)
    cert = sketch.certify(**options)
    assert cert.loss[0] <= 1e-12
    np.testing.assert_allclose(cert.lower, exact.lower, rtol=0, atol=1e-12)
    np.testing.assert_allclose(cert.upper, exact.upper, rtol=0, atol=1e-12)


@given(sketched())
def test_reflecting_the_scores_swaps_the_sides_bit_for_bit(backend, case):
    edges, scores = case
    plain = ScoreSketch(edges=edges)
    plain.update(scores[None, :], backend=backend)
    mirror = ScoreSketch(edges=-plain.edges[::-1], score_range=(-1, 0))
    mirror.update(-scores[None, :], backend=backend)
    np.testing.assert_array_equal(mirror.counts, plain.counts[:, ::-1])
    options = {"sigma": 1.0, "radii": RADII, "alpha": ALPHA, "sides": "both", "backend": backend}
    np.testing.assert_array_equal(mirror.certify(**options).upper, -plain.certify(**options).lower)
    np.testing.assert_array_equal(mirror.certify(**options).lower, -plain.certify(**options).upper)


@given(sketched(), st.floats(0.05, 0.9))
def test_radius_is_where_the_bound_meets_the_threshold(backend, case, share):
    edges, scores = case
    sketch = ScoreSketch(edges=edges)
    sketch.update(scores[None, :], backend=backend)
    options = {"sigma": 0.5, "alpha": ALPHA, "backend": backend}
    threshold = sketch.certify(**options).lower[0, 0] * share
    assume(1e-6 < threshold < 0.28)  # 6 draws cannot reach higher
    radius = sketch.certify(thresholds=[threshold], **options).radius[0, 0]
    assert sketch.certify(radii=[radius], **options).lower[0, 0] >= threshold - 1e-14
    beyond = sketch.certify(radii=[radius * (1 + 1e-9) + 1e-9], **options).lower[0, 0]
    assert beyond <= threshold + 1e-11


def test_inputs_may_have_different_numbers_of_draws(backend):
    scores = np.random.default_rng(0).beta(9, 1, (3, 6000))
    sketch = ScoreSketch(3)
    for i, n in enumerate([6000, 900, 6000]):
        sketch.update(scores[i : i + 1, :n], inputs=[i], backend=backend)
    options = {"sigma": 1.0, "radii": RADII, "thresholds": [0.5], "backend": backend}
    cert = sketch.certify(**options)
    assert cert.n_draws.tolist() == [6000, 900, 6000]
    assert cert.settings.n == 900
    for i, n in enumerate([6000, 900, 6000]):
        alone = ScoreSketch()
        alone.update(scores[i : i + 1, :n])
        np.testing.assert_array_equal(alone.certify(**options).lower[0], cert.lower[i])
        np.testing.assert_array_equal(alone.certify(**options).radius[0], cert.radius[i])


def test_certificates_say_what_they_are_of():
    sketch = filled(n=100, predicted=[4, 6], sigma=0.25)
    cert = sketch.certify(radii=[0, 0.1], thresholds=[0.2], sides="both")
    assert cert.settings.method == sb.certify_scores(np.ones((1, 50)), sigma=1).settings.method
    assert (cert.settings.sigma, cert.settings.measure, cert.settings.n_edges) == (
        0.25,
        "score",
        4097,
    )
    assert cert.settings.alpha_lower == cert.settings.alpha_upper == 5e-4
    table = cert.to_arrow()
    assert table.column_names[:4] == ["inputs", "predicted", "n_draws", "loss"]
    assert table.column("inputs").to_pylist() == [1, 5]
    assert cert.to_pandas()["n_draws"].tolist() == [100, 100]


@pytest.mark.parametrize(
    ("sketch", "arguments", "message"),
    [
        (ScoreSketch(), {"sigma": 1}, "input 0 has no draws"),
        (filled(n=100), {}, "sigma must be given"),
        (filled(n=100, sigma=0.5), {"sigma": 0.25}, "that of the draws, 0.5, got 0.25"),
        (filled(n=100), {"sigma": 0}, "sigma must be positive"),
        (filled(n=5), {"sigma": 1, "thresholds": [0.5]}, "n = 5 draws are too few"),
        (filled(n=100), {"sigma": 1, "thresholds": [1.0]}, "thresholds must lie strictly inside"),
        (filled(n=100), {"sigma": 1, "sides": "none"}, "sides must be"),
        (filled(n=100), {"sigma": 1, "band": "none"}, "band must be"),
    ],
)
def test_questions_are_checked(sketch, arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        sketch.certify(**arguments)


def test_what_is_read_cannot_be_written_to():
    sketch = filled()
    for array in (sketch.counts, sketch.edges, sketch.inputs, sketch.draws, sketch.predicted):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    assert "2 inputs, 10 draws each, 4097 edges in [0, 1], measure='score'" in repr(sketch)
