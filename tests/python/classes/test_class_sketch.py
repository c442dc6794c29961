"""Sketches of all classes: the counts are exact, add up, and come back from a file."""

import json
from contextlib import suppress

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sketches import edge_lists, slow_counts

from smoothbound import ClassSketch, ScoreSketch
from smoothbound._files import sealed
from smoothbound.errors import StoreError

LEVELS = (0.0, 1.0, 0.5, 0.3, 2**-16, 1e-9, 1 - 1e-9)


def softmax(n_inputs=2, n_draws=300, n_classes=4, seed=0):
    logits = np.random.default_rng(seed).normal(size=(n_inputs, n_draws, n_classes)) * 4
    scores = np.exp(logits - logits.max(axis=2, keepdims=True))
    return (scores / scores.sum(axis=2, keepdims=True)).astype(np.float32)


@st.composite
def scored(draw):
    edges = draw(edge_lists)
    at = ScoreSketch(edges=edges).edges
    shape = draw(st.integers(1, 2)), draw(st.integers(1, 20)), draw(st.integers(1, 4))
    near = np.concatenate([at, np.nextafter(at, -1), np.nextafter(at, 2)]).clip(0, 1)
    element = st.one_of(st.floats(0, 1), st.sampled_from(near.tolist()))
    size = int(np.prod(shape))
    scores = np.array(draw(st.lists(element, min_size=size, max_size=size))).reshape(shape)
    return edges, scores.astype(draw(st.sampled_from(["float16", "float32", "float64"])))


@settings(max_examples=60)
@given(scored())
def test_counts_are_those_of_a_loop(case):
    edges, scores = case
    sketch = ClassSketch.from_scores(scores, edges=edges)
    for i, own in enumerate(scores):
        for k in range(scores.shape[2]):
            assert sketch.counts(i, k).tolist() == slow_counts(own[:, k], sketch.edges)
            won = sum(int(draw.tolist().index(max(draw.tolist()))) == k for draw in own)
            assert sketch.votes[i, k] == won


@settings(max_examples=60)
@given(scored(), st.floats(0, 1))
def test_numbers_above_a_level_err_on_the_stated_side(case, level):
    edges, scores = case
    sketch = ClassSketch.from_scores(scores, edges=edges)
    exact = scores.astype(np.float64)
    for at in (level, *sketch.edges[:: max(1, sketch.edges.size // 3)]):
        for strict in (False, True):
            true = ((exact > at) if strict else (exact >= at)).sum(axis=1)
            low, high = (
                sketch.at_least(at, side=side, strict=strict) for side in ("lower", "upper")
            )
            assert (low <= true).all()
            assert (true <= high).all()
            if at in sketch.edges:
                assert np.array_equal(low, high)


def test_torch_tensors_and_numpy_arrays_count_alike():
    torch = pytest.importorskip("torch")
    scores = softmax()
    wanted = ClassSketch.from_scores(scores)
    assert ClassSketch.from_scores(torch.from_numpy(scores)) == wanted
    turned = np.asfortranarray(scores)
    assert ClassSketch.from_scores(turned, backend="numba") == wanted


def test_some_classes_keep_their_votes_among_all():
    scores = softmax(n_classes=5)
    every, some = (ClassSketch.from_scores(scores, classes=c) for c in ("all", [3, 0]))
    assert some.classes.tolist() == [3, 0]
    assert (every.is_complete, some.is_complete) == (True, False)
    assert np.array_equal(some.votes, every.votes[:, [3, 0]])
    assert np.array_equal(some.at_least(0.5), every.at_least(0.5)[:, [3, 0]])


def test_one_class_is_a_sketch_of_its_scores():
    scores = softmax()
    sketch = ClassSketch.from_scores(scores, sigma=0.5, index=[4, 9], first_draw=7)
    one = ScoreSketch([4, 9], edges=sketch.edges, selected=[2, 2], sigma=0.5)
    one.update(scores[:, :, 2], first_draw=7)
    assert sketch.sketch_of(2) == one


def test_parts_add_up_in_any_order():
    scores = softmax(n_inputs=3, n_draws=100)
    scores[:, :, :] = np.repeat(scores[:, :1], 100, axis=1)
    a = ClassSketch.from_scores(scores[:2, :40])
    b = ClassSketch.from_scores(scores[1:, 40:], index=[1, 2], first_draw=40)
    c = ClassSketch.from_scores(scores[[0]][:, 40:], first_draw=40)
    assert a + b == b + a
    assert (a + b) + c == a + (b + c)
    assert (a + b + c).select([0, 1]) == ClassSketch.from_scores(scores[:2])
    with pytest.raises(ValueError, match="counted only once"):
        a + a


def test_many_draws_widen():
    part = np.tile(np.array([0.75, 0.25], np.float32), (1, 50_000, 1))
    sketch = sum(
        (ClassSketch.from_scores(part, first_draw=50_000 * i) for i in range(1, 4)),
        ClassSketch.from_scores(part),
    )
    assert sketch.at_least(0.75).tolist() == [[200_000, 0]]
    assert sketch.votes.tolist() == [[200_000, 0]]
    assert sketch.nbytes == 2 * 2 + 8 * 3


@pytest.mark.parametrize("name", ["edges", "classes", "n_model_classes", "sigma", "noise"])
def test_sketches_of_other_draws_do_not_merge(name):
    scores = softmax()
    changed = {
        "edges": {"edges": 7},
        "classes": {"classes": [1, 0, 2, 3]},
        "n_model_classes": {"classes": [0, 1, 2, 3]},
        "sigma": {"sigma": 0.5},
        "noise": {"noise": "gaussian"},
    }[name]
    other = softmax(n_classes=5) if name == "n_model_classes" else scores
    mine = {"classes": [0, 1, 2, 3]} if name == "n_model_classes" else {}
    one = ClassSketch.from_scores(scores, **mine)
    two = ClassSketch.from_scores(other, first_draw=300, **changed)
    with pytest.raises(ValueError, match=f"cannot merge these sketches: .*{name}"):
        one + two


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": [0, 4]}, r"classes must be among the 4 classes of the model, 0 to 3, got 4"),
        ({"classes": [1, 1]}, "classes must name each class once, got 1"),
        ({"classes": [-1]}, "classes must be numbers of classes from 0 on"),
        ({"classes": "some"}, "classes must be 'all' or numbers"),
        ({"classes": []}, "classes must be 'all' or numbers"),
        ({"classes": 3}, "classes must be 'all' or numbers"),
        ({"edges": 8193}, "edges must make at most 8192 intervals"),
        ({"index": [1]}, "index must name the 2 inputs"),
        ({"sigma": 0}, "sigma must be positive"),
        ({"scores": np.zeros((2, 3))}, r"scores must have the shape \(n_inputs"),
        ({"scores": np.zeros((2, 0, 3))}, r"scores must have the shape \(n_inputs"),
        ({"scores": np.full((1, 2, 3), np.nan)}, r"got scores\[0, 0, 0\] = nan"),
        ({"scores": np.full((1, 2, 3), 1.5)}, r"in \[0, 1\], got scores\[0, 0, 0\] = 1.5"),
        ({"scores": np.zeros((1, 2, 3), int)}, "scores must be float16"),
    ],
)
def test_bad_arguments_are_named(change, message):
    given = {"scores": softmax()} | change
    with pytest.raises((TypeError, ValueError), match=message):
        ClassSketch.from_scores(given.pop("scores"), **given)


def test_bad_questions_are_named():
    sketch = ClassSketch.from_scores(softmax())
    for call, message in (
        (lambda: sketch.at_least(2), r"level must lie in \[0, 1\]"),
        (lambda: sketch.at_least(0.5, side="both"), "side must be one of"),
        (lambda: sketch.counts(2), "i must be at most 1"),
        (lambda: sketch.counts(0, 4), "k must be at most 3"),
        (lambda: sketch.select([5]), "index must be among those of the sketch"),
        (lambda: sketch.select([1, 1]), "index must ascend and name each input at most once"),
        (lambda: sketch.select([1, 0]), r"index must ascend .* got \[1, 0\]: pass np.unique"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


# --- files ------------------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path):
    sketch = ClassSketch.from_scores(softmax(), classes=[2, 0], sigma=0.25, edges=8, index=[3, 7])
    sketch += ClassSketch.from_scores(
        softmax(), classes=[2, 0], sigma=0.25, edges=8, index=[3, 7], first_draw=400
    )
    sketch.save(tmp_path / "a.parquet")
    return tmp_path / "a.parquet", sketch


def test_a_saved_sketch_is_the_same(saved):
    path, sketch = saved
    assert ClassSketch.load(path) == sketch


def test_every_flipped_bit_is_an_error_or_changes_nothing(saved):
    path, sketch = saved
    data = path.read_bytes()
    for i in range(0, len(data), 7):
        path.write_bytes(data[:i] + bytes([data[i] ^ (1 << (i % 8))]) + data[i + 1 :])
        with suppress(StoreError):
            assert ClassSketch.load(path) == sketch


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "x"}, "is a 'x' of format 2"),
        ({"format": 3}, "of format 3"),
        ({"edges": None}, "not a valid sketch of classes"),
        ({"edges": ["a", "b"]}, "not a valid sketch of classes"),
        ({"edges": 8}, ""),
        ({"edges": 4}, "of input 3 are damaged: a column is"),
        ({"classes": [0]}, "of input 3 are damaged: they are of 2 classes"),
        ({"classes": [9, 0]}, "classes must be among the 4 classes"),
        ({"sigma": -1}, "sigma must be positive"),
        ({"sigma": [0.25]}, "sigma must have one number for each of the 2 inputs, got 1"),
        ({"constant_within": [0.1, -1]}, "constant_within must be at least 0"),
        ({"sigma": 10**400}, "not a valid sketch of classes"),
        ({"noise": "loud"}, "noise must be one of"),
    ],
)
def test_files_that_contradict_themselves_are_refused(saved, change, message):
    path, _ = saved
    table = pq.read_table(path)
    about = json.loads(table.schema.metadata[b"smoothbound"]) | change
    sealed.write_table(table.replace_schema_metadata({b"smoothbound": json.dumps(about)}), path)
    if not message:
        assert ClassSketch.load(path).edges.size == 9
        return
    with pytest.raises(StoreError, match=message):
        ClassSketch.load(path)


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("counts", [b"", b""], "they are cut short"),
        ("first_draw", [[0], [0]], "begin more or less often"),
        ("first_draw", [[0, None], [0, 1]], "begin more or less often"),
        ("first_draw", [[1, 400], [0, 400]], "do not add up to its 599 draws"),
        ("first_draw", [[0, 200], [0, 400]], "counted only once"),
        ("index", [7, 3], "index must be strictly ascending"),
        ("index", [3, 3], "index must be strictly ascending"),
    ],
)
def test_tables_that_contradict_themselves_are_refused(saved, column, values, message):
    import pyarrow as pa

    path, _ = saved
    table = pq.read_table(path)
    i = table.column_names.index(column)
    made = table.set_column(i, table.schema.field(i), pa.array(values, table.schema.types[i]))
    sealed.write_table(made, path)
    with pytest.raises(StoreError, match=message):
        ClassSketch.load(path)


def test_other_files_are_refused(tmp_path):
    one = ScoreSketch()
    one.update(np.full((1, 3), 0.5))
    one.save(tmp_path / "a.parquet")
    with pytest.raises(StoreError, match="is not a sketch of classes"):
        ClassSketch.load(tmp_path / "a.parquet")
    with pytest.raises(StoreError, match="cannot read"):
        ClassSketch.load(tmp_path / "b.parquet")
