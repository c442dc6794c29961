"""Curves in .npz files: arrays alone, whose names, shapes and sizes are checked."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smoothbound import curves
from smoothbound.errors import StoreError

TABLE = curves.Tabulated([0.5, 1.0], [0.0, 0.5, 1.0], [[0.0, 0.3, 0.9], [0.0, 0.1, 0.8]])
ARRAYS: dict[str, Any] = {name: np.array(values) for name, values in TABLE.plain().items()}
NEEDED = "must be an .npz file of the arrays radii, p and values: "


def saved(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def refused(path: Path) -> str:
    with pytest.raises(StoreError) as failed:
        curves.Tabulated.load(path)
    assert str(failed.value).startswith(f"{path} ")
    return str(failed.value)


def test_is_read_back(tmp_path: Path) -> None:
    for name in ("curve.npz", "curve.NPZ"):
        TABLE.save(tmp_path / name)
        assert curves.Tabulated.load(tmp_path / name) == TABLE
        assert zipfile.is_zipfile(tmp_path / name)


@pytest.mark.parametrize("kind", ["<f8", ">f8", "<f4"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_are_read_however_they_are_stored(
    tmp_path: Path, kind: str, order: Any, save: Any
) -> None:
    steps = {name: np.round(values * 64) / 64 for name, values in ARRAYS.items()}
    save(tmp_path / "a.npz", **{k: np.asarray(v, kind, order=order) for k, v in steps.items()})
    assert curves.Tabulated.load(tmp_path / "a.npz") == curves.Tabulated(**steps)


def test_a_single_radius_may_have_its_values_in_one_dimension(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.npz", radii=[1.0], p=[0.0, 1.0], values=[0.0, 0.5])
    assert curves.Tabulated.load(path) == curves.Tabulated([1.0], [0.0, 1.0], [0.0, 0.5])


@pytest.mark.parametrize(
    ("changes", "need"),
    [
        ({"sigma": 1.0}, "it holds .*sigma.npy"),
        ({"values": None}, "it holds radii.npy, p.npy$"),
        ({"radii": np.array([0.5, np.nan])}, r"radii must be finite .* got radii\[1\] = nan"),
        ({"values": ARRAYS["values"] > 0}, "values must be numbers, got bool"),
        ({"p": np.array(["0", "0.5", "1"])}, "p must be numbers in one dimension, got shape"),
        ({"values": ARRAYS["values"][:, 1:]}, r"values must have shape .* = \(2, 3\), got"),
        (
            {"radii": np.array([0.5, 1.0], object)},
            r"radii holds [0-9]+ bytes, not \(2,\) of object",
        ),
        ({"values": np.zeros((2, 2**20 + 1))}, r"values must be at most 2\^20 numbers"),
    ],
)
def test_other_arrays_are_refused(tmp_path: Path, changes: dict[str, Any], need: str) -> None:
    arrays = {name: made for name, made in (ARRAYS | changes).items() if made is not None}
    said = refused(saved(tmp_path / "a.npz", **arrays))
    assert NEEDED in said
    assert re.search(need, said)


def archive(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name in ("radii", "p", "values"):
            stream = io.BytesIO()
            np.save(stream, ARRAYS[name])
            made.writestr(f"{name}.npy", members.get(name, stream.getvalue()))
    return path


def header(shape: str) -> bytes:
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


@pytest.mark.parametrize(
    ("content", "need"),
    [
        (header("(1000000000000,)"), "values holds 0 bytes, not (1000000000000,) of float64"),
        (header("(2, 3)") + bytes(40), "values holds 40 bytes, not (2, 3) of float64"),
        (header("(-1,)") + bytes(40), "values holds 40 bytes, not (-1,) of float64"),
        (header("open('x')"), "values cannot be read: its header is damaged"),
        (bytes(2**27), "values must be at most 2^20 numbers"),
        (b"\x80\x04\x95", "values cannot be read: it is not an array"),
    ],
)
def test_what_a_file_says_of_sizes_is_not_trusted(
    tmp_path: Path, content: bytes, need: str
) -> None:
    said = refused(archive(tmp_path / "a.npz", values=content))
    assert NEEDED + need in said


def test_damage_is_an_error_or_changes_nothing(tmp_path: Path) -> None:
    whole = archive(tmp_path / "whole.npz").read_bytes()
    path = tmp_path / "a.npz"
    for place in range(0, 8 * len(whole), 7):
        data = bytearray(whole)
        data[place // 8] ^= 1 << place % 8
        path.write_bytes(data)
        try:
            assert curves.Tabulated.load(path) == TABLE
        except StoreError as error:
            assert str(error).startswith(f"{path} must be an .npz file")  # noqa: PT017
    path.write_bytes(whole[:-30])
    assert NEEDED in refused(path)
