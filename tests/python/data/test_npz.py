"""Arrays in an npz file are taken as they are, or refused with what to do."""

from __future__ import annotations

import contextlib
import importlib
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pictures import write_npz

from smoothbound.data._loading import load
from smoothbound.errors import DataError

npz_layout = importlib.import_module("smoothbound.data._npz")


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("label_dtype", [np.uint8, np.int32, np.int64])
def test_npz_arrays_are_taken_as_they_are(tmp_path: Path, dtype: Any, label_dtype: Any) -> None:
    images = np.random.default_rng(0).random((4, 2, 3, 5)).astype(np.float32)
    images = (images * 255).astype(np.uint8) if dtype is np.uint8 else images
    spec = write_npz(tmp_path / "a.npz", images=images, labels=np.array([0, 2, 1, 1], label_dtype))
    data = load(spec, "train")
    assert (data.name, data.split, data.shape, data.num_classes) == (
        "npz:a.npz", "all", (2, 3, 5), 3
    )  # fmt: skip
    assert not data.augment
    image, label = data[1]
    scale = 255 if dtype is np.uint8 else 1
    torch.testing.assert_close(image, torch.from_numpy(images[1]) / scale)
    assert label == 2
    assert data.labels.dtype == np.int64


GOOD = np.zeros((2, 1, 8, 8), np.float32)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (GOOD.astype(np.float64), [0, 1], r"must be uint8 or float32 .* got float64"),
        (GOOD[0], [0, 1], r"got float32 of shape \(1, 8, 8\)"),
        (GOOD[:0], [], r"got float32 of shape \(0, 1, 8, 8\)"),
        (GOOD + 1.5, [0, 1], r"in \[0, 1\], got values from 1.5 to 1.5"),
        (GOOD * np.nan, [0, 1], r"got values from nan"),
        (GOOD, [0, 1, 2], r"labels .* of shape \(2,\), .*; got int64 of shape \(3,\)"),
        (GOOD, [0.0, 1.0], "labels .* must be integers .* got float64"),
        (GOOD, [0, -1], r"row 1: label must lie in 0 \.\. 0, got -1"),
    ],
)
def test_unfit_arrays_are_refused(tmp_path: Path, images: Any, labels: Any, message: str) -> None:
    spec = write_npz(tmp_path / "a.npz", images=images, labels=np.array(labels))
    with pytest.raises(DataError, match=message):
        load(spec)


@pytest.mark.parametrize(
    "images",
    [
        np.linspace(0, 1, 64).reshape(4, 1, 4, 4).astype(">f4"),
        np.linspace(0, 1, 64).reshape(4, 1, 4, 4).astype(np.float16),
        np.asfortranarray(np.linspace(0, 1, 64).reshape(4, 1, 4, 4).astype(np.float32)),
    ],
)
@pytest.mark.parametrize("label_dtype", [">i8", "<u2", ">u8"])
def test_arrays_of_any_byte_order_are_read(tmp_path: Path, images: Any, label_dtype: str) -> None:
    spec = write_npz(tmp_path / "a.npz", images=images, labels=np.arange(4).astype(label_dtype))
    data = load(spec)
    assert np.array_equal(data[3][0].numpy(), images[3])
    assert (data.labels.dtype, data.labels.tolist()) == (np.int64, [0, 1, 2, 3])
    assert data.tensors()[0].shape == (4, 1, 4, 4)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.eye(2, dtype=np.int64), r"labels .* got int64 of shape \(2, 2\)"),
        (np.array([True, False]), "labels .* must be integers .* got bool"),
        (np.array([0, 2**64 - 1], np.uint64), "row 1: label must lie in 0 .* 18446744073709551615"),
        (np.array([0, 10**6]), "row 1: label must lie in 0 .* got 1000000"),
        (np.array([10**400, 0], object), "cannot be read as plain arrays"),
    ],
)
def test_labels_that_are_no_class_numbers_are_refused(
    tmp_path: Path, labels: Any, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        load(write_npz(tmp_path / "a.npz", images=GOOD, labels=labels))


@pytest.mark.parametrize(
    ("images", "labels", "advice"),
    [
        (GOOD[:, 0], [0, 1], "save images[:, None] if they are grey"),
        (GOOD.astype(float), [0, 1], "save images.astype('float32')"),
        (GOOD * 0 + 255, [0, 1], "save pixels from 0 to 255 as uint8"),
        (GOOD * 2 - 1.5, [0, 1], "save them before normalisation"),
        (GOOD, np.eye(2), "save labels.argmax(axis=1)"),
        (GOOD, [0.0, 1.0], "save labels.astype(int)"),
        (GOOD, [[0], [1]], "save labels[:, 0]"),  # argmax would make every label 0
        (GOOD, [[0.0], [1.0]], "save labels[:, 0].astype(int)"),
    ],
)
def test_unfit_arrays_are_refused_with_what_to_do(
    tmp_path: Path, images: Any, labels: Any, advice: str
) -> None:
    with pytest.raises(DataError, match=re.escape(advice)):
        load(write_npz(tmp_path / "a.npz", images=images, labels=np.array(labels)))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_channels_last_is_refused_with_what_to_do(tmp_path: Path, channels: int) -> None:
    images = np.zeros((2, 32, 32, channels), np.uint8)
    with pytest.raises(DataError, match=r"looks like \(n, height, width, channels\); save"):
        load(write_npz(tmp_path / "a.npz", images=images, labels=[0, 1]))
    load(write_npz(tmp_path / "b.npz", images=images.transpose(0, 3, 1, 2), labels=[0, 1]))


def test_an_npz_larger_than_the_memory_is_refused_packed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, images=np.zeros((20_000, 1, 8, 8), np.uint8), labels=[0] * 20_000)
    assert path.stat().st_size < 10_000
    monkeypatch.setattr(npz_layout, "memory_limit", lambda: 1_000_000)
    with pytest.raises(DataError, match=r"a\.npz unpacks to .* GiB, which is more than"):
        load(f"npz:{path}")


def test_an_encrypted_npz_is_a_data_error(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, images=GOOD, labels=np.array([0, 1]))
    content = bytearray(path.read_bytes())
    for start in (b"PK\x03\x04", b"PK\x01\x02"):  # the flag in both headers of each entry
        at = content.find(start)
        while at >= 0:
            content[at + (6 if start[2] == 3 else 8)] |= 1
            at = content.find(start, at + 1)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.npz cannot be read as plain arrays .*encrypted"):
        load(f"npz:{path}")


def test_a_pipe_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.npz")
    with pytest.raises(DataError, match=r"a\.npz is not a regular file"):
        load(f"npz:{tmp_path / 'a.npz'}")
    for name in ("test.parquet", "test_batch", "test-00000-of-00001.parquet"):
        folder = tmp_path / name.partition(".")[0]
        folder.mkdir()
        os.mkfifo(folder / name)
        with pytest.raises(DataError, match=rf"{name} is not a regular file"):
            load(f"cifar10:{folder}")


def test_pickled_arrays_are_not_opened(tmp_path: Path) -> None:
    spec = write_npz(tmp_path / "a.npz", images=np.array([{}], object), labels=np.array([0]))
    with pytest.raises(DataError, match="cannot be read as plain arrays"):
        load(spec)


def test_missing_parts_of_an_npz_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file .*a\.npz; it must hold the arrays images and"):
        load(f"npz:{tmp_path / 'a.npz'}")
    with pytest.raises(DataError, match=r"lacks labels; it holds images\. Save both with np\.sav"):
        load(write_npz(tmp_path / "a.npz", images=GOOD))
    with pytest.raises(DataError, match=r"lacks images and labels; it holds x, y\."):
        load(write_npz(tmp_path / "c.npz", x=GOOD, y=np.array([0, 1])))
    np.save(tmp_path / "b.npy", GOOD)
    with pytest.raises(DataError, match="holds one array"):
        load(f"npz:{tmp_path / 'b.npy'}")


@given(keep=st.floats(0, 0.999))
def test_a_truncated_npz_is_a_data_error(tmp_path_factory: Any, keep: float) -> None:
    path = tmp_path_factory.mktemp("npz") / "a.npz"
    np.savez_compressed(path, images=GOOD, labels=np.array([0, 1]))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole))])
    with pytest.raises(DataError):
        load(f"npz:{path}")


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_npz(tmp_path / "a.npz", images=GOOD, labels=[0, 1])
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(load("npz:~/a.npz")) == 2


@given(content=st.binary(max_size=300))
def test_any_bytes_in_an_npz_are_a_data_error(tmp_path_factory: Any, content: bytes) -> None:
    path = tmp_path_factory.mktemp("junk") / "a.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.npz"):
        load(f"npz:{path}")


@given(position=st.integers(0, 10**6), flip=st.integers(1, 255))
def test_a_damaged_npz_is_a_data_error_or_whole(
    tmp_path_factory: Any, position: int, flip: int
) -> None:
    path = tmp_path_factory.mktemp("npz") / "a.npz"
    np.savez(path, images=GOOD, labels=np.array([0, 1]))
    content = bytearray(path.read_bytes())
    content[position % len(content)] ^= flip
    path.write_bytes(content)
    with contextlib.suppress(DataError):
        data = load(f"npz:{path}")
        assert np.array_equal(data.tensors()[0].numpy(), GOOD)
        assert data.labels.tolist() == [0, 1]
