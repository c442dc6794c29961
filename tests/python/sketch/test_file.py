"""Sketches on disk: what is read is what was saved, or an error."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from sketches import bits, filled, parts_of_draws

import smoothbound as sb
from smoothbound import ScoreSketch
from smoothbound._files import sealed
from smoothbound.errors import StoreError


@settings(max_examples=20)
@given(parts_of_draws())
def test_a_saved_sketch_is_the_same_bit_for_bit(tmp_path_factory, parts):
    path = tmp_path_factory.mktemp("sketch") / "sigma=0.25" / "sketch.parquet"
    sketch = parts[0] + parts[1]
    sketch.save(path)
    assert bits(ScoreSketch.load(path)) == bits(sketch)


def test_everything_is_saved(tmp_path):
    told = {"measure": "margin", "selected": [2, 9], "sigma": 0.1, "noise": "gaussian"}
    sketch = filled(7, score_range=(-1, 1), **told)
    sketch.save(tmp_path / "a.parquet")
    loaded = ScoreSketch.load(tmp_path / "a.parquet")
    assert loaded == sketch
    assert (loaded.sigma, loaded.measure, loaded.score_range) == (0.1, "margin", (-1.0, 1.0))
    assert (loaded.selected.tolist(), loaded.noise) == ([2, 9], "gaussian")
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
        table = table.set_column(i, table.schema.field(i), pa.array(values, table.schema.types[i]))
    sealed.write_table(table, path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metadata": {"format": 9}}, "has format 9"),
        ({"metadata": {"edges": [0.0, 1.0]}}, "columns of a sketch with 2 edges"),
        ({"metadata": {"edges": [0.0, 0.7, 0.5, 1.0, 2.0]}}, "strictly ascending"),
        ({"metadata": {"edges": "a b c"}}, "not a sketch"),
        ({"metadata": {"measure": 3}}, "measure must be"),
        ({"metadata": {"sigma": -3.0}}, "sigma must be"),
        ({"metadata": {"noise": "loud"}}, "noise must be"),
        ({"index": [5, 1]}, "strictly ascending"),
        ({"first_draw": [[0], [0, 3]]}, "begin more or less often"),
        ({"first_draw": [[0], [20]]}, "interval of draws is empty"),
        ({"after_last_draw": [[10], [2**62]]}, "more than 4294967295 draws"),
        ({"after_last_draw": [[10], [11]]}, "do not add up"),
        ({"counts": [[9] * 9, [9] * 9]}, "do not add up"),
        ({"counts": [[0] * 8 + [None], [0] * 9]}, "numbers are missing in .*counts"),
        ({"first_draw": [[None], [0]]}, "numbers are missing in .*first_draw"),
        ({"metadata": {"sigma": 10**400}}, "sigma"),
        ({"metadata": {"edges": [0.0, 10**400]}}, "not a sketch"),
        ({"metadata": {"edges": [[0.0], [1.0, 2.0]]}}, "not a sketch"),
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
    with pytest.raises(StoreError, match="No such file"):
        ScoreSketch.load(path)
    filled().save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoreError, match="cut short, damaged"):
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


def test_every_flipped_bit_is_an_error_or_changes_nothing(tmp_path, monkeypatch):
    path = tmp_path / "sketch.parquet"
    sketch = filled(edges=2, sigma=0.25, selected=[3, 4])
    sketch.save(path)
    whole = path.read_bytes()
    same = 0
    for bit in range(8 * len(whole)):
        data = bytearray(whole)
        data[bit // 8] ^= 1 << bit % 8
        monkeypatch.setattr(sealed, "read_plain", lambda path, data=bytes(data): data)
        try:
            assert bits(ScoreSketch.load(path)) == bits(sketch)
            same += 1
        except StoreError:
            pass
    assert same == 0


@pytest.mark.parametrize(
    ("version", "names"), [(2, ["input", "predicted"]), (3, ["index", "predicted"])]
)
def test_columns_of_older_formats_are_read_by_their_names(version, names, tmp_path):
    path = tmp_path / "sketch.parquet"
    sketch = filled(edges=2, selected=[3, 4])
    sketch.save(path)
    rewritten(path, {"format": version})
    with pytest.raises(StoreError, match="does not have the columns"):
        ScoreSketch.load(path)
    table = pq.read_table(path)
    metadata = table.schema.metadata
    table = table.rename_columns([*names, *table.column_names[2:]])
    sealed.write_table(table.replace_schema_metadata(metadata), path)
    assert ScoreSketch.load(path) == sketch


def test_sketches_of_the_oldest_format_open(tmp_path):
    path = tmp_path / "sketch.parquet"
    sketch = filled(edges=2)
    sketch.save(path)
    table = pq.read_table(path)
    about = json.loads(table.schema.metadata[b"smoothbound"])
    pq.write_table(table, path)
    with pytest.raises(StoreError, match="its checksum is gone"):
        ScoreSketch.load(path)
    del about["noise"]
    old = json.dumps(about | {"format": 1})
    names = ["input", "predicted", *table.column_names[2:]]
    table = table.rename_columns(names)
    pq.write_table(table.replace_schema_metadata({b"smoothbound": old}), path)
    assert ScoreSketch.load(path) == sketch
    assert ScoreSketch.load(path).noise is None
    deep = "[" * 100_000
    pq.write_table(table.replace_schema_metadata({b"smoothbound": deep}), path)
    with pytest.raises(StoreError, match="not a sketch"):
        ScoreSketch.load(path)
