"""Curves that are given by their values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smoothbound import curves
from smoothbound.errors import StoreError

GRID = np.linspace(0, 1, 101)


def table_of(name, radii=(0.5, 1.0, 2.0), grid=GRID):
    curve = curves.curve(name)
    return curves.Tabulated(radii, grid, [curve.lower(grid, r) for r in radii])


@given(st.sampled_from(["gaussian", "l1-laplace", "l1-uniform"]), st.floats(0, 1), st.floats(0, 2))
def test_lies_below_the_curve_that_it_was_taken_from(name, p, r):
    curve, table = curves.curve(name), table_of(name)
    assert table.lower(p, r) <= curve.lower(p, r)
    assert table.upper(p, r) >= curve.upper(p, r)


def test_between_points_the_lower_point_and_the_larger_radius_count():
    table = table_of("gaussian")
    curve = curves.curve("gaussian")
    assert table.lower(0.905, 0.7) == curve.lower(GRID[90], 1.0)
    assert table.lower([0.3, 0.31], 0.0).tolist() == [0.3, 0.31]


def test_below_the_first_point_it_is_zero():
    table = curves.Tabulated([1.0], [0.5, 1.0], [0.25, 0.75])
    assert table.lower([0.0, 0.49, 0.5, 1.0], 1.0).tolist() == [0.0, 0.0, 0.25, 0.75]


def test_is_read_back_from_json():
    table = table_of("l1-laplace")
    assert curves.curve(table.plain()) == table
    assert hash(curves.curve(table.plain())) == hash(table)


def test_is_read_back_from_a_file(tmp_path):
    table = table_of("l1-laplace")
    table.save(tmp_path / "curve.json")
    assert curves.Tabulated.load(tmp_path / "curve.json") == table
    table.save(str(tmp_path / "curve.json"))  # it is replaced
    assert sorted(path.name for path in tmp_path.iterdir()) == ["curve.json"]


@pytest.mark.parametrize(
    ("text", "need"),
    [
        (b"", "must be JSON of the form .*Expecting value"),
        (b"\x80\x04\x95", "must be JSON of the form"),  # how a pickle begins
        (b"[1, 2]", r"the keys 'radii', 'p' and 'values', and no other, got \[1, 2\]"),
        (b"{}", "the keys 'radii', 'p' and 'values', and no other, got {}"),
        (b'{"radii": [1], "p": [1], "values": [0.5], "sigma": 1}', "and no other, got"),
        (b'{"radii": [1], "radii": [2], "p": [1], "values": [0.5]}', "a key occurs twice"),
        (b'{"radii": [1], "p": [1], "values": [NaN]}', r"lie in \[0, p\].*got values"),
        (b'{"radii": [1], "p": [1], "values": [1.5]}', r"lie in \[0, p\].*= 1.5"),
        (b'{"radii": [1], "p": [1], "values": "high"}', "values must be numbers"),
        (b'{"radii": [1], "p": [1], "values": [[1], [2, 3]]}', "values must be"),
        (b'{"radii": [1e999], "p": [1], "values": [0.5]}', "radii must be finite"),
        (b'{"radii": [1, NaN], "p": [1], "values": [0.5]}', r"radii must.*got radii\[1\] = nan"),
        (b'{"radii": [0.5, true], "p": [1], "values": [0.5]}', r"got radii\[1\] = True"),
        (b'{"radii": [1], "p": [0.5, true], "values": [0, 0]}', r"got p\[1\] = True"),
        (b'{"radii": [1], "p": [0, 1], "values": [[false, 1]]}', r"got values\[0\]\[0\] = False"),
        (b'{"radii": [' + b"9" * 5000 + b'], "p": [1], "values": [0.5]}', "must be JSON"),
        (b'{"radii": ' + b"[" * 100_000, "must be JSON of the form"),
    ],
)
def test_refuses_a_file_that_is_none(text, need, tmp_path):
    path = tmp_path / "curve.json"
    path.write_bytes(text)
    with pytest.raises(StoreError, match=need) as failed:
        curves.Tabulated.load(path)
    assert str(failed.value).startswith(str(path))


def test_refuses_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(StoreError, match=r"cannot read .*No such file"):
        curves.Tabulated.load(tmp_path / "none.json")
    with pytest.raises(StoreError, match="must be a plain file, and is a folder"):
        curves.Tabulated.load(tmp_path)
    with (tmp_path / "huge.json").open("wb") as file:
        file.truncate(2**26 + 1)
    with pytest.raises(StoreError, match="must be at most 64 MiB"):
        curves.Tabulated.load(tmp_path / "huge.json")


def test_knows_whether_its_values_are_convex():
    assert table_of("gaussian").convex
    assert not curves.Tabulated([1.0], [0.0, 0.5, 1.0], [0.0, 0.4, 0.6]).convex


@pytest.mark.parametrize(
    ("radii", "p", "values", "need"),
    [
        ([1.0], [0.0, 0.5, 1.0], [0.0, 0.3, 0.2], r"not decrease along p; got values\[0\]\[2\]"),
        ([1.0], [0.0, 1.0], [0.0, 1.5], r"lie in \[0, p\].*got values\[0\]\[1\] = 1.5"),
        ([1.0], [0.0, 1.0], [-0.1, 1.0], r"lie in \[0, p\]"),
        ([1.0], [0.5, 1.0], [0.6, 1.0], r"no more than p; got values\[0\]\[0\] = 0.6"),
        ([1.0], [0.0, 1.0], [0.0, np.nan], r"lie in \[0, p\]"),
        (
            [1.0, 2.0],
            [0.5, 1.0],
            [[0.2, 0.5], [0.2, 0.6]],
            r"not increase with the radius.*\[1\]\[1\]",
        ),
        ([2.0, 1.0], [0.5], [[0.1], [0.1]], r"radii must ascend, got radii\[0\] = 2.0"),
        ([1.0], [0.5, 0.5], [0.1, 0.1], "p must ascend"),
        ([1.0], [0.5, 1.1], [0.1, 0.1], r"p must lie in \[0, 1\]"),
        ([1.0], [0.5, 1.0], [0.1], r"shape \(n_radii, n_points\) = \(1, 2\), got \(1, 1\)"),
        ([], [0.5], [], "radii must not be empty"),
        ([-1.0], [0.5], [0.1], "radii must be finite and >= 0"),
    ],
)
def test_refuses(radii, p, values, need):
    with pytest.raises(ValueError, match=need):
        curves.Tabulated(radii, p, values)


def test_refuses_a_radius_beyond_its_own():
    with pytest.raises(ValueError, match=r"radius must be at most 2\.0, the largest radius"):
        table_of("gaussian").lower(0.5, 2.5)
