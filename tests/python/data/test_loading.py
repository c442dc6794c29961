"""Data sets: scaled to [0, 1], in a fixed order, and a clear word where something is missing."""

from __future__ import annotations

import contextlib
import errno
import importlib
import io
import os
import pickle
import re
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from smoothbound.data._encoded import EncodedImages
from smoothbound.data._loading import Dataset, load
from smoothbound.data._specs import PLACES, SPECS
from smoothbound.errors import DataError
from smoothbound.train._batches import some

cifar10_layouts = importlib.import_module("smoothbound.data._cifar10")
npz_layout = importlib.import_module("smoothbound.data._npz")
folders = importlib.import_module("smoothbound.data._folders")


def test_one_list_of_data_sets_is_what_loads_and_what_the_documents_say() -> None:
    import smoothbound.data as package

    page = Path(__file__).parents[3] / "docs" / "command-line.md"
    for name, place in PLACES.items():
        spec = f"{name}:{place}" if place else name
        assert spec in SPECS
        assert f"``{spec}``" in (package.__doc__ or "")
        assert f"`{spec}`" in page.read_text(encoding="utf-8")
        if place:
            with pytest.raises(DataError, match="missing"):
                load(f"{name}:missing")


def encoded(pixels: NDArray[np.uint8], kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def photographs(count: int) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


def write_cifar(folder: Path, images: list[Any], labels: list[Any], split: str = "train") -> str:
    rows = [None if image is None else {"bytes": image, "path": "a.png"} for image in images]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({"img": pa.array(rows, kind), "label": pa.array(labels, pa.int64())})
    pq.write_table(table, folder / f"{split}.parquet")
    return f"cifar10:{folder}"


def write_npz(path: Path, **arrays: Any) -> str:
    np.savez(path, **arrays)
    return f"npz:{path}"


# digits -----------------------------------------------------------------------------------------


def test_digits_split_every_image_once_and_keep_its_values() -> None:
    from sklearn.datasets import load_digits

    train, test = load("digits", "train"), load("digits", "test")
    assert (len(train), len(test)) == (1500, 297)
    both = torch.cat([train.tensors()[0], test.tensors()[0]])
    assert np.array_equal(both[:, 0].numpy() * 16, load_digits().images)
    assert np.array_equal(np.concatenate([train.labels, test.labels]), load_digits().target)
    assert set(test.labels) == set(range(10))
    image, label = test[3]
    assert image.dtype == torch.float32
    assert 0 <= image.min() <= image.max() <= 1
    assert label == int(load_digits().target[1503])


# selection --------------------------------------------------------------------------------------


@given(total=st.integers(0, 50), skip=st.integers(1, 20), most=st.none() | st.integers(1, 60))
def test_selection_takes_every_skipth_image_and_no_more_than_asked(
    total: int, skip: int, most: int | None
) -> None:
    labels = np.zeros(total, np.int64)
    data = Dataset("x", "all", np.zeros((total, 1, 2, 2), np.uint8), labels, 2, (1, 2, 2))
    assert data.select(skip, most).tolist() == [i for i in range(total) if i % skip == 0][:most]


@pytest.mark.parametrize("wrong", [{"skip": 0}, {"skip": -3}, {"max_inputs": 0}])
def test_selection_refuses_impossible_counts(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be at least 1"):
        load("digits").select(**wrong)


def test_selection_from_a_list() -> None:
    digits = load("digits")
    assert digits.select(indices=[5, 9, 11, 40]).tolist() == [5, 9, 11, 40]
    assert digits.select(2, 1, [5, 9, 11]).tolist() == [5]
    for wrong, message in (
        ([], "at least one"),
        ([3, 3], "increasing, each once"),
        ([4, 3], "increasing"),
        ([-1, 3], r"lie in 0 \.\. 296, .* got -1 \.\. 3"),
        ([0, 297], r"lie in 0 \.\. 296, .* got 0 \.\. 297"),
    ):
        with pytest.raises(ValueError, match=message):
            digits.select(indices=wrong)


@pytest.mark.parametrize(
    "wrong", [[1.5, 2.5], ["a"], [[1, 2], [3]], [10**400], 3, "0,1", None, [None], b"ab", [True]]
)
def test_positions_that_are_no_whole_numbers_are_named(wrong: Any) -> None:
    if wrong is None:
        assert len(load("digits").select(indices=None)) == 297
        return
    with pytest.raises((TypeError, ValueError), match="indices must be"):
        load("digits").select(indices=wrong)


@pytest.mark.parametrize("name", ["skip", "max_inputs"])
@pytest.mark.parametrize("wrong", [1.5, "3", True, [1], -(10**400), b"1", float("nan")])
def test_odd_counts_are_named(name: str, wrong: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=f"{name} must be"):
        load("digits").select(**{name: wrong})
    with pytest.raises((TypeError, ValueError), match="max_images must be"):
        some(load("digits"), wrong, 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": [0, 1]}, "labels must be a vector of integers"),
        ({"labels": np.array([0.0, 1.0])}, "labels must be a vector of integers"),
        ({"labels": np.array([[0], [1]])}, "labels must be a vector of integers"),
        ({"labels": np.ma.array([0, 1], mask=[0, 1])}, "labels must be a vector of integers"),
        ({"labels": np.array([0, 1, 1])}, "labels must be one for each of 2 images: 3"),
        ({"labels": np.array([0, 3])}, r"labels must lie in 0 \.\. 2, got 0 \.\. 3"),
        ({"labels": np.array([-1, 0])}, r"labels must lie in 0 \.\. 2, got -1 \.\. 0"),
        ({"num_classes": 0}, "num_classes must be at least 1"),
        ({"images": np.zeros((2, 1, 4, 4))}, "images must be uint8 or float32 .* got ndarray of f"),
        ({"images": np.zeros((2, 4, 4, 1), np.uint8)}, r"images must be .* of shape \(1, 4, 4\)"),
        ({"images": np.ma.zeros((2, 1, 4, 4), np.uint8)}, "none masked; got MaskedArray"),
    ],
)
def test_parts_that_do_not_fit_each_other_are_refused(change: dict[str, Any], message: str) -> None:
    images, labels = np.zeros((2, 1, 4, 4), np.uint8), np.array([0, 1])
    good = {"name": "x", "split": "all", "images": images, "labels": labels, "num_classes": 3}
    assert len(Dataset(**good, shape=(1, 4, 4))) == 2
    with pytest.raises((TypeError, ValueError), match=message):
        Dataset(**(good | change), shape=(1, 4, 4))


# cifar10 as parquet -----------------------------------------------------------------------------


def test_cifar_images_come_back_as_they_were_encoded(tmp_path: Path) -> None:
    pixels = photographs(5)
    spec = write_cifar(tmp_path, [encoded(image) for image in pixels], [3, 0, 9, 9, 1])
    data = load(spec, "train")
    assert (data.name, data.split, data.shape, data.num_classes) == (
        "cifar10", "train", (3, 32, 32), 10
    )  # fmt: skip
    assert data.augment
    image, label = data[2]
    assert label == 9
    assert image.shape == (3, 32, 32)
    torch.testing.assert_close(image, torch.from_numpy(pixels[2]).permute(2, 0, 1) / 255)
    images, labels = data.tensors()
    assert images.dtype == torch.uint8
    assert np.array_equal(images.numpy(), pixels.transpose(0, 3, 1, 2))
    assert labels.tolist() == [3, 0, 9, 9, 1]


def test_jpeg_images_are_decoded(tmp_path: Path) -> None:
    grey = np.full((32, 32, 3), 128, np.uint8)
    image, _ = load(write_cifar(tmp_path, [encoded(grey, "JPEG")], [0]), "train")[0]
    torch.testing.assert_close(image, torch.full((3, 32, 32), 128 / 255), atol=0.01, rtol=0)


def test_a_missing_split_says_what_belongs_where(tmp_path: Path) -> None:
    spec = write_cifar(tmp_path, [encoded(photographs(1)[0])], [0], "train")
    with pytest.raises(DataError, match=r"no file .*test\.parquet, .* train\.parquet and test"):
        load(spec, "test")


def test_a_half_downloaded_file_is_told(tmp_path: Path) -> None:
    spec = write_cifar(tmp_path, [encoded(image) for image in photographs(3)], [0, 1, 2])
    path = tmp_path / "train.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="cannot be read as Parquet, is the download complete"):
        load(spec, "train")


def test_a_parquet_file_that_the_system_refuses_is_no_half_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = write_cifar(tmp_path, [encoded(photographs(1)[0])], [0], "train")

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("smoothbound.data._cifar10.pq.read_metadata", refused)
    with pytest.raises(DataError, match=r"cannot read .*train\.parquet: Permission denied$"):
        load(spec, "train")


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        ({"image": ["a"], "label": [1]}, "image: string, label: int64"),
        ({"img": [b"a"], "label": [1]}, "img: binary, label: int64"),
        ({"img": [{"bytes": "a"}], "label": [1]}, "img: struct<bytes: string>"),
        ({"img": [{"bytes": b"a"}], "label": ["cat"]}, "label: string"),
    ],
)
def test_other_columns_are_refused_by_name(
    tmp_path: Path, columns: dict[str, list[Any]], found: str
) -> None:
    pq.write_table(pa.table(columns), tmp_path / "test.parquet")
    with pytest.raises(DataError, match=r"needs the columns img .* and label") as error:
        load(f"cifar10:{tmp_path}")
    assert found in str(error.value)


@pytest.mark.parametrize("label", [-1, 10])
def test_labels_outside_the_classes_are_refused(tmp_path: Path, label: int) -> None:
    spec = write_cifar(tmp_path, [encoded(image) for image in photographs(2)], [4, label])
    with pytest.raises(DataError, match=rf"row 1: label must lie in 0 \.\. 9, got {label}"):
        load(spec, "train")


@pytest.mark.parametrize(("image", "label"), [(None, 1), ("a", None)])
def test_rows_with_nothing_in_them_are_refused(tmp_path: Path, image: Any, label: Any) -> None:
    good = encoded(photographs(1)[0])
    spec = write_cifar(tmp_path, [good, good if image else None], [0, label])
    with pytest.raises(DataError, match="rows without an image or without a label"):
        load(spec, "train")


@pytest.mark.parametrize(
    ("image", "found"),
    [
        (b"nonsense", "cannot be decoded"),
        (encoded(photographs(1)[0])[:-1500], "cannot be decoded"),
        (encoded(np.zeros((32, 31, 3), np.uint8)), "got 31 x 32 RGB"),
        (encoded(np.zeros((32, 32), np.uint8)), "got 32 x 32 L"),
        (encoded(photographs(1)[0], "GIF"), "cannot be decoded"),
    ],
)
def test_an_image_that_is_none_is_named_by_its_row(
    tmp_path: Path, image: bytes, found: str
) -> None:
    data = load(write_cifar(tmp_path, [encoded(photographs(1)[0]), image], [0, 1]), "train")
    data[0]
    with pytest.raises(DataError, match=r"train\.parquet, row 1: needs a JPEG or PNG") as error:
        data[1]
    assert found in str(error.value)


@pytest.mark.parametrize("place", ["", "plain_text", "data"])
@pytest.mark.parametrize("column", ["img", "image"])
@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary_view()])
def test_cifar_is_read_as_the_hub_has_it(
    tmp_path: Path, place: str, column: str, kind: pa.DataType
) -> None:
    pixels = photographs(5)
    (tmp_path / place).mkdir(exist_ok=True)
    for shard, rows in enumerate((slice(3), slice(3, 5))):
        images = [{"bytes": encoded(image), "path": None} for image in pixels[rows]]
        fields = pa.struct([("bytes", kind), ("path", pa.string())])
        table = pa.table({column: pa.array(images, fields), "label": range(5)[rows]})
        pq.write_table(table, tmp_path / place / f"train-{shard:05}-of-00002.parquet")
    data = load(f"cifar10:{tmp_path}", "train")
    assert np.array_equal(data.tensors()[0].numpy(), pixels.transpose(0, 3, 1, 2))
    assert data.labels.tolist() == [0, 1, 2, 3, 4]
    (tmp_path / place / "train-00000-of-00002.parquet").unlink()
    with pytest.raises(DataError, match=r"holds train-00001-.*, and needs all parts of 00002"):
        load(f"cifar10:{tmp_path}", "train")


def test_more_rows_than_cifar_has_are_refused_unread(tmp_path: Path) -> None:
    none = pa.nulls(60_001, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    pq.write_table(pa.table({"img": none, "label": np.zeros(60_001)}), tmp_path / "test.parquet")
    with pytest.raises(DataError, match=r"test\.parquet has 60001 rows, and CIFAR-10 has 60000"):
        load(f"cifar10:{tmp_path}")


# cifar10 as its makers give it ------------------------------------------------------------------

FILES = {"train": [f"data_batch_{i}" for i in range(1, 6)], "test": ["test_batch"]}


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> int:
    """Files of 4 images each, in place of 10 000."""
    monkeypatch.setattr(cifar10_layouts, "_ROWS", 4)
    return 4


def batch(seed: int) -> tuple[NDArray[np.uint8], list[int]]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (4, 3072), dtype=np.uint8), rng.integers(0, 10, 4).tolist()


def write_binary(folder: Path) -> None:
    folder.mkdir()
    for seed, name in enumerate([*FILES["train"], *FILES["test"]]):
        pixels, labels = batch(seed)
        np.column_stack([np.array(labels, np.uint8), pixels]).tofile(folder / f"{name}.bin")


def write_pickles(folder: Path, protocol: int = 2) -> None:
    folder.mkdir()
    for seed, name in enumerate([*FILES["train"], *FILES["test"]]):
        pixels, labels = batch(seed)
        content = {b"batch_label": b"a", b"labels": labels, b"data": pixels, b"filenames": [b"x"]}
        (folder / name).write_bytes(pickle.dumps(content, protocol))


@pytest.mark.parametrize("write", [write_binary, write_pickles])
@pytest.mark.parametrize("inside", [True, False])
def test_the_layouts_of_cifar_hold_the_same_images(
    tmp_path: Path, rows: int, write: Callable[[Path], None], inside: bool
) -> None:
    name = "cifar-10-batches-bin" if write is write_binary else "cifar-10-batches-py"
    write(tmp_path / name)
    spec = f"cifar10:{tmp_path if inside else tmp_path / name}"
    train, test = load(spec, "train"), load(spec, "test")
    assert (len(train), len(test)) == (5 * rows, rows)
    for data, seeds in ((train, range(5)), (test, [5])):
        pixels = np.concatenate([batch(seed)[0] for seed in seeds])
        assert np.array_equal(data.tensors()[0].numpy(), pixels.reshape(-1, 3, 32, 32))
        assert data.labels.tolist() == [label for seed in seeds for label in batch(seed)[1]]
    assert (test.name, test.grid, test.augment) == ("cifar10", 255, True)


def test_pickles_of_python_2_are_read(tmp_path: Path, rows: int) -> None:
    """Protocol 0 with texts in place of bytes, as cPickle of Python 2 wrote the published files."""
    pixels, labels = batch(5)
    raw = pickle.dumps({"data": pixels, "labels": labels}, protocol=0)
    (tmp_path / "test_batch").write_bytes(raw.replace(b"numpy._core", b"numpy.core"))
    assert np.array_equal(load(f"cifar10:{tmp_path}").tensors()[0].numpy().reshape(4, 3072), pixels)


class Trap:
    ran = False

    def __reduce__(self) -> tuple[Any, ...]:
        return (setattr, (Trap, "ran", True))


def test_code_in_a_pickle_is_refused_and_not_run(tmp_path: Path, rows: int) -> None:
    path = tmp_path / "test_batch"
    for what in (Trap(), {b"data": Trap(), b"labels": [0]}, np.array([1.0]), np.array([{}])):
        path.write_bytes(pickle.dumps(what))
        with pytest.raises(DataError, match="is not a batch of CIFAR-10"):
            load(f"cifar10:{tmp_path}")
    path.write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    with pytest.raises(DataError, match=r"names os\.system, which is never run"):
        load(f"cifar10:{tmp_path}")
    assert not Trap.ran


@given(cut=st.floats(0, 0.999), flip=st.integers(0, 10**6))
def test_damaged_pickles_are_data_errors(tmp_path_factory: Any, cut: float, flip: int) -> None:
    folder = tmp_path_factory.mktemp("py")
    whole = pickle.dumps({b"data": np.zeros((4, 3072), np.uint8), b"labels": [0] * 4}, 2)
    damaged = bytearray(whole[: int(cut * len(whole))] + b"." * (flip % 2))
    if damaged:
        damaged[flip % min(len(damaged), 200)] ^= 1 + flip % 255
    (folder / "test_batch").write_bytes(bytes(damaged))
    with pytest.raises(DataError):
        load(f"cifar10:{folder}")


def test_half_downloaded_batches_are_told(tmp_path: Path, rows: int) -> None:
    folder = tmp_path / "cifar-10-batches-bin"
    write_binary(folder)
    (folder / "data_batch_4.bin").unlink()
    with pytest.raises(DataError, match=r"lacks data_batch_4\.bin; is the download complete"):
        load(f"cifar10:{tmp_path}", "train")
    (folder / "test_batch.bin").write_bytes(b"a" * 3073)
    with pytest.raises(DataError, match="has 3073 bytes, and 4 images have 12292"):
        load(f"cifar10:{tmp_path}", "test")


def test_an_archive_that_was_not_unpacked_is_named(tmp_path: Path) -> None:
    (tmp_path / "cifar-10-python.tar.gz").touch()
    with pytest.raises(DataError, match=r"in /.*; unpack cifar-10-python\.tar\.gz; it must hold"):
        load(f"cifar10:{tmp_path}")


def test_labels_in_batches_are_checked(tmp_path: Path, rows: int) -> None:
    np.full((4, 3073), 11, np.uint8).tofile(tmp_path / "test_batch.bin")
    with pytest.raises(DataError, match=r"row 0: label must lie in 0 \.\. 9, got 11"):
        load(f"cifar10:{tmp_path}")


# folders ----------------------------------------------------------------------------------------


def save(path: Path, pixels: NDArray[np.uint8], kind: str = "PNG") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(pixels, kind))


def test_folders_are_classes_in_sorted_order(tmp_path: Path) -> None:
    pixels = photographs(4)
    for name, image in zip(["b/1.png", "b/0.PNG", "a/x.png", "c/y.png"], pixels, strict=True):
        save(tmp_path / "pets" / name, image)
    (tmp_path / "pets" / "b" / "notes.txt").write_text("no image")
    data = load(f"images:{tmp_path / 'pets'}")
    assert (data.name, data.split, data.shape, data.num_classes, data.grid) == (
        "images:pets", "all", (3, 32, 32), 3, 255
    )  # fmt: skip
    assert data.labels.tolist() == [0, 1, 1, 2]
    expected = pixels[[2, 1, 0, 3]].transpose(0, 3, 1, 2)
    assert np.array_equal(data.tensors()[0].numpy(), expected)


def test_splits_have_their_own_folders(tmp_path: Path) -> None:
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    save(tmp_path / "val" / "a" / "0.png", grey)
    data = load(f"images:{tmp_path}", "test")
    assert (data.split, data.shape) == ("test", (1, 8, 8))
    assert np.array_equal(data.tensors()[0].numpy()[0, 0], grey)
    with pytest.raises(DataError, match="has no part for train; needed: train"):
        load(f"images:{tmp_path}", "train")


def test_images_of_another_size_and_kind_are_named(tmp_path: Path) -> None:
    save(tmp_path / "a" / "0.png", photographs(1)[0])
    save(tmp_path / "a" / "1.png", np.zeros((8, 8), np.uint8))
    with pytest.raises(DataError, match=r"1\.png: needs .* 32 x 32 RGB, got 8 x 8 L"):
        load(f"images:{tmp_path}")[1]
    save(tmp_path / "a" / "0.png", np.zeros((8, 8, 4), np.uint8))
    with pytest.raises(DataError, match=r"0\.png: needs .* grey \(L\) or RGB, got 8 x 8 RGBA"):
        load(f"images:{tmp_path}")


def test_the_header_of_an_image_can_be_looked_at_alone(tmp_path: Path) -> None:
    classes_of(tmp_path, *"abcd")
    for pixels, found in (
        (np.zeros((8, 9, 3), np.uint8), "9 x 8 RGB"),
        (np.zeros((32, 32), np.uint8), "32 x 32 L"),
        (np.zeros((32, 32, 4), np.uint8), "32 x 32 RGBA"),
    ):
        save(tmp_path / "test" / "d" / "0.png", pixels)
        images = load(f"images:{tmp_path}").images
        assert isinstance(images, EncodedImages)
        images.check(2)
        with pytest.raises(DataError, match=rf"d/0\.png: .* 32 x 32 RGB, got {found}"):
            images.check(3)
    (tmp_path / "test" / "d" / "0.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"d/0\.png: .* cannot be decoded"):
        images.check(3)


def test_folders_without_images_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no folder .*nowhere; it must hold one folder a class"):
        load(f"images:{tmp_path / 'nowhere'}")
    (tmp_path / "a").mkdir()
    with pytest.raises(DataError, match="has 1 class folders and no images in them"):
        load(f"images:{tmp_path}")
    save(tmp_path / "0.png", photographs(1)[0])
    with pytest.raises(DataError, match="no images in them, 1 images beside them; it must"):
        load(f"images:{tmp_path}")


def numbered(data: Dataset) -> dict[str, int]:
    """Return the label of each class folder that has an image."""
    files: Any = data.images
    return {p.parent.name: int(y) for p, y in zip(files.encoded, data.labels, strict=True)}


def classes_of(folder: Path, *names: str, split: str = "test") -> None:
    for name in names:
        save(folder / split / name / "0.png", photographs(1)[0])


@pytest.mark.parametrize("hidden", [".ipynb_checkpoints", "__MACOSX", "@eaDir", ".git"])
@pytest.mark.parametrize("holds", [True, False])
def test_folders_that_systems_make_are_no_classes(tmp_path: Path, hidden: str, holds: bool) -> None:
    classes_of(tmp_path, "cat", "dog")
    (tmp_path / "test" / hidden).mkdir()
    if holds:
        save(tmp_path / "test" / hidden / "0.png", photographs(1)[0])
    save(tmp_path / "test" / "cat" / ".ipynb_checkpoints" / "0.png", photographs(1)[0])
    save(tmp_path / "test" / "cat" / "._0.png", photographs(1)[0])
    data = load(f"images:{tmp_path}")
    assert (numbered(data), data.num_classes, len(data)) == ({"cat": 0, "dog": 1}, 2, 2)


def test_a_folder_with_an_underscore_is_a_class_if_it_has_images(tmp_path: Path) -> None:
    classes_of(tmp_path, "cat", "dog")
    (tmp_path / "test" / "_notes").mkdir()
    assert numbered(load(f"images:{tmp_path}")) == {"cat": 0, "dog": 1}
    classes_of(tmp_path, "_none")
    assert numbered(load(f"images:{tmp_path}")) == {"_none": 0, "cat": 1, "dog": 2}


def test_labels_are_those_of_the_training_folders(tmp_path: Path) -> None:
    classes_of(tmp_path, "a", "b", "c", "d", split="train")
    classes_of(tmp_path, "a", "c", "d")
    for spec in (f"images:{tmp_path}", f"images:{tmp_path / 'test'}"):
        data = load(spec)
        assert (numbered(data), data.num_classes) == ({"a": 0, "c": 2, "d": 3}, 4)
        assert "none of class 1 'b'" in data.summary()
    classes_of(tmp_path, "e")
    with pytest.raises(DataError, match=r"test has images of 'e', and .*train has no such class"):
        load(f"images:{tmp_path}")


def test_one_class_folder_alone_is_said_to_have_no_certain_label(tmp_path: Path) -> None:
    classes_of(tmp_path, "dog")
    data = load(f"images:{tmp_path}")
    assert numbered(data) == {"dog": 0}
    assert "'dog' is the only class folder, so its label is 0, whichever" in data.summary()
    classes_of(tmp_path, "cat", "dog", split="train")
    data = load(f"images:{tmp_path}")
    assert numbered(data) == {"dog": 1}
    assert "only class folder" not in data.summary()


def test_the_test_without_labels_is_not_taken_for_the_one_with_labels(tmp_path: Path) -> None:
    classes_of(tmp_path, "a", "b", split="val")
    save(tmp_path / "test" / "0.png", photographs(1)[0])
    data = load(f"images:{tmp_path}")
    assert numbered(data) == {"a": 0, "b": 1}
    assert f"read from {tmp_path / 'val'}" in data.summary()


@pytest.mark.parametrize("kind", ["BMP", "WEBP", "PPM", "TIFF"])
def test_every_kind_of_image_that_torchvision_reads_is_read(tmp_path: Path, kind: str) -> None:
    pixels = photographs(1)[0]
    classes_of(tmp_path, "a", "b")
    path = tmp_path / "test" / "a" / f"1.{kind.lower()}"
    Image.fromarray(pixels).save(path, kind, **({"lossless": True} if kind == "WEBP" else {}))
    images, labels = load(f"images:{tmp_path}").tensors()
    assert labels.tolist() == [0, 0, 1]
    assert np.array_equal(images[1].numpy(), pixels.transpose(2, 0, 1))


def test_images_of_kinds_that_are_not_read_are_refused_and_other_files_counted(
    tmp_path: Path,
) -> None:
    classes_of(tmp_path, "a", "b")
    for name in ("a/notes.txt", "b/Thumbs.db", "b/.DS_Store", "labels.csv", "loose.png"):
        (tmp_path / "test" / name).write_text("")
    data = load(f"images:{tmp_path}")
    assert len(data) == 2
    assert "skipped 4 files: 1 .txt, 1 .db, 1 .csv, 1 .png" in data.summary()
    (tmp_path / "test" / "a" / "1.heic").write_bytes(b"x")
    with pytest.raises(DataError, match=r"1\.heic is an image of a kind that is not read"):
        load(f"images:{tmp_path}")


def test_images_below_a_class_folder_are_refused(tmp_path: Path) -> None:
    """As Tiny ImageNet has them, n01443537/images, or where the folder above was meant."""
    classes_of(tmp_path, "a", "b")
    save(tmp_path / "test" / "b" / "images" / "0.png", photographs(1)[0])
    with pytest.raises(DataError, match=r"b/images holds images in a folder below a class folder"):
        load(f"images:{tmp_path}")


@pytest.mark.parametrize("what", ["pipe", "folder", "broken link"])
def test_what_only_has_the_name_of_an_image_is_refused(tmp_path: Path, what: str) -> None:
    classes_of(tmp_path, "a", "b")
    path = tmp_path / "test" / "a" / "1.png"
    if what == "pipe":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
        save(path / "0.png", photographs(1)[0])
    else:
        path.symlink_to("nowhere")
    with pytest.raises(DataError, match=r"1\.png (is not a regular file|holds images)"):
        load(f"images:{tmp_path}")


def test_links_to_images_and_folders_are_followed(tmp_path: Path) -> None:
    classes_of(tmp_path, "a", "b")
    (tmp_path / "test" / "a" / "1.png").symlink_to("0.png")
    (tmp_path / "test" / "c").symlink_to("b")
    assert load(f"images:{tmp_path}").labels.tolist() == [0, 0, 1, 2]


def test_numbers_as_names_are_sorted_as_text_and_that_is_said(tmp_path: Path) -> None:
    classes_of(tmp_path, *map(str, range(11)))
    data = load(f"images:{tmp_path}")
    assert numbered(data)["10"] == 2
    assert "sorted list of names: '10' is class 2" in data.summary()
    classes_of(tmp_path / "few", *map(str, range(10)))
    assert "sorted list" not in load(f"images:{tmp_path / 'few'}").summary()


def test_a_summary_says_what_was_understood(tmp_path: Path) -> None:
    classes_of(tmp_path, "a", "b", "c")
    save(tmp_path / "test" / "b" / "1.png", photographs(1)[0])
    assert load(f"images:{tmp_path}").summary() == (
        f"images:{tmp_path.name} (test): 4 images of 3 x 32 x 32, 3 classes (0 'a' .. 2 'c'), "
        f"1 to 2 images of each; read from {tmp_path / 'test'}"
    )
    path = tmp_path / "a.npz"
    spec = write_npz(path, images=np.full((2, 1, 4, 4), 7, np.uint8), labels=[1, 3])
    assert load(spec).summary() == (
        "npz:a.npz (all): 2 images of 1 x 4 x 4, 4 classes, 1 image of each; none of class "
        "0, 2; uint8 values from 7 to 7, divided by 255; the smallest label is 1, and the "
        "first class has label 0"
    )


def test_a_data_set_shows_itself_in_a_line_and_reads_no_image(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    data = load(write_npz(path, images=np.zeros((500, 1, 4, 4), np.uint8), labels=[0, 1] * 250))
    assert repr(data) == "Dataset('npz:a.npz', split='all', 500 images of 1 x 4 x 4)"


def test_a_folder_that_cannot_be_listed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classes_of(tmp_path, "a", "b")

    def refuse(path: Path) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match=r"test cannot be read \(Permission denied\)"):
        load(f"images:{tmp_path}")


def test_names_that_are_no_text_are_read_and_written_as_escapes(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    classes_of(folder, "a", os.fsdecode(b"\xff"))
    data = load(f"images:{folder}")
    assert data.name == "images:caf\\xe9"
    data.name.encode()
    assert data[1][1] == 1


# damaged and hostile images ---------------------------------------------------------------------


def png_of(width: int, height: int) -> bytes:
    """Return a PNG of a few bytes whose header claims a size; its pixels are all black."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        whole = kind + body
        return struct.pack(">I", len(body)) + whole + struct.pack(">I", zlib.crc32(whole))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes((width + 1) * height), 9) if width * height < 10**7 else b""
    return b"".join(
        (b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", header), chunk(b"IDAT", pixels), chunk(b"IEND", b""))
    )


def test_small_files_of_huge_images_are_refused_before_they_are_made(tmp_path: Path) -> None:
    wordnet_folders(tmp_path)
    for width, height in ((1, 100_000), (100_000, 1)):
        path = tmp_path / "val" / "n00000000" / "a.png"
        path.write_bytes(png_of(width, height))
        assert path.stat().st_size < 1000
        images = load(f"imagenet:{tmp_path}").images
        with pytest.raises(DataError, match=rf"a\.png: .* any size, got .*{width} x {height}"):
            images[0]
        assert isinstance(images, EncodedImages)
        # a random part of it needs no more than itself
        assert images.varied(0, np.random.default_rng(0)).shape == (3, 224, 224)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [10_000, 60_000])  # Pillow warns of the first, fails at the other
def test_an_image_above_the_limit_of_pillow_is_told_the_limit(tmp_path: Path, side: int) -> None:
    wordnet_folders(tmp_path)
    (tmp_path / "val" / "n00000000" / "a.png").write_bytes(png_of(side, side))
    images = load(f"imagenet:{tmp_path}").images
    with pytest.raises(DataError) as raised:
        images[0]
    assert "got an image of more than 89478485 pixels, which is the limit" in str(raised.value)
    assert "download" not in str(raised.value)


def test_an_image_that_the_system_refuses_is_told_why(tmp_path: Path) -> None:
    wordnet_folders(tmp_path)
    path = tmp_path / "val" / "n00000000" / "a.png"
    path.write_bytes(png_of(8, 8))
    images = load(f"imagenet:{tmp_path}").images
    path.unlink()
    with pytest.raises(DataError, match=r"a\.png: .* cannot be read \(No such file") as raised:
        images[0]
    assert "download" not in str(raised.value)


def test_imagenet_takes_eight_bits_of_any_colours(tmp_path: Path) -> None:
    wordnet_folders(tmp_path)
    for mode in ("P", "L", "LA", "RGBA", "CMYK", "1", "I;16", "I", "F"):
        path = tmp_path / "val" / "n00000000" / "a.tif"
        Image.new(mode, (256, 256)).save(path)
        data = load(f"imagenet:{tmp_path}")
        if mode[0] in "IF":
            with pytest.raises(DataError, match=r"a\.tif: .* more than 8 bits a value"):
                data[0]
        else:
            assert data[0][0].shape == (3, 224, 224)


def test_an_orientation_is_not_applied(tmp_path: Path) -> None:
    classes_of(tmp_path, "a", "b")
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    pixels = photographs(1)[0]
    Image.fromarray(pixels).save(tmp_path / "test" / "a" / "0.png", exif=exif)
    image = load(f"images:{tmp_path}").images[0]
    assert np.array_equal(image, pixels.transpose(2, 0, 1))


def test_several_frames_are_refused(tmp_path: Path) -> None:
    classes_of(tmp_path, "a", "b")
    frames = [Image.fromarray(pixels) for pixels in photographs(3)]
    frames[0].save(tmp_path / "test" / "a" / "0.png", save_all=True, append_images=frames[1:])
    with pytest.raises(DataError, match=r"0\.png: .* got several frames"):
        load(f"images:{tmp_path}")


# imagenet ---------------------------------------------------------------------------------------


def wordnet_folders(folder: Path) -> None:
    for label in range(1000):
        (folder / "val" / f"n{label:08}").mkdir(parents=True)


def imagenet(folder: Path, images: dict[str, NDArray[np.uint8]]) -> Dataset:
    wordnet_folders(folder)
    for name, pixels in images.items():
        save(folder / "val" / name, pixels, "JPEG")
    return load(f"imagenet:{folder}")


def test_imagenet_is_resized_and_cropped(tmp_path: Path) -> None:
    wide = np.zeros((256, 500, 3), np.uint8)
    wide[:, 138:362] = 255  # the central 224 columns
    data = imagenet(tmp_path, {"n00000999/a.JPEG": wide})
    assert (data.name, data.split, data.num_classes, data.grid) == ("imagenet", "test", 1000, 255)
    image, label = data[0]
    assert label == 999
    assert image.shape == (3, 224, 224)
    assert image[:, :, 8:-8].min() > 0.95
    grey = imagenet(tmp_path / "grey", {"n00000000/a.JPEG": np.full((30, 20), 128, np.uint8)})
    torch.testing.assert_close(grey[0][0], torch.full((3, 224, 224), 128 / 255), atol=0.01, rtol=0)


@pytest.mark.parametrize("size", [(300, 400), (401, 257), (256, 256), (100, 333), (31, 30)])
def test_imagenet_is_what_torchvision_makes_of_it(
    tmp_path: Path, torchvision: Any, size: tuple[int, int]
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    data = imagenet(tmp_path, {"n00000005/a.JPEG": pixels})
    steps = torchvision.transforms
    theirs = steps.Compose([steps.Resize(256), steps.CenterCrop(224), steps.ToTensor()])
    with Image.open(tmp_path / "val" / "n00000005" / "a.JPEG") as image:
        assert torch.equal(data[0][0], theirs(image.convert("RGB")))


@given(width=st.integers(1, 60), height=st.integers(1, 60), seed=st.integers(0, 9))
def test_a_random_part_lies_in_the_image(width: int, height: int, seed: int) -> None:
    left, top, wide, high = folders._random_part(width, height, np.random.default_rng(seed))
    assert 0 <= left < left + wide <= width
    assert 0 <= top < top + high <= height


def test_random_parts_have_the_published_areas_and_shapes() -> None:
    rng = np.random.default_rng(0)
    left, top, wide, high = np.array([folders._random_part(1000, 1000, rng) for _ in range(4000)]).T
    area, ratio = wide * high / 1e6, wide / high
    assert 0.079 < area.min() < 0.09
    assert area.max() > 0.95
    assert (ratio.min(), ratio.max()) == pytest.approx((3 / 4, 4 / 3), rel=0.01)
    small = area < 0.5  # these always lie in the image, so their law is the uniform one
    assert area[small].mean() == pytest.approx(0.29, abs=0.01)
    assert abs(np.log(ratio[small]).mean()) < 4 * 0.17 / small.sum() ** 0.5
    for start, size in ((left, wide), (top, high)):
        assert (start[small] / (1000 - size[small])).mean() == pytest.approx(0.5, abs=0.03)
    assert folders._random_part(3000, 100, rng) == (1433, 0, 133, 100)  # none fits: the centre


def test_random_parts_are_spread_as_torchvisions(torchvision: Any) -> None:
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    image = torch.zeros(3, 300, 500)
    crop = torchvision.transforms.RandomResizedCrop(224)
    theirs = np.array([crop.get_params(image, crop.scale, crop.ratio) for _ in range(4000)])
    ours = np.array([folders._random_part(500, 300, rng) for _ in range(4000)])[:, [1, 0, 3, 2]]
    np.testing.assert_allclose(ours.mean(0), theirs.mean(0), rtol=0.06)
    np.testing.assert_allclose(ours.std(0), theirs.std(0), rtol=0.06)


def test_an_image_cut_short_is_named(tmp_path: Path) -> None:
    data = imagenet(tmp_path, {"n00000000/a.JPEG": photographs(1)[0]})
    path = tmp_path / "val" / "n00000000" / "a.JPEG"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(
        DataError, match=r"a\.JPEG: needs a JPEG or PNG of any size, .* is the download complete"
    ):
        data[0]


def test_how_many_images_were_published_is_known(tmp_path: Path, rows: int) -> None:
    write_binary(tmp_path / "cifar-10-batches-bin")
    assert load(f"cifar10:{tmp_path}", "train").published == 50_000
    assert load(f"cifar10:{tmp_path}", "test").published == 10_000
    data = imagenet(tmp_path, {"n00000000/a.JPEG": photographs(1)[0]})
    assert data.published == 50_000
    assert load(f"imagenet:{tmp_path / 'val'}").published is None  # which split is not known
    assert load("digits").published is None


def test_imagenet_by_number_has_the_numbers_as_labels(tmp_path: Path) -> None:
    for number in range(1000):
        (tmp_path / "val" / str(number)).mkdir(parents=True)
    for number in (2, 10, 999):
        save(tmp_path / "val" / str(number) / "a.png", photographs(1)[0])
    assert numbered(load(f"imagenet:{tmp_path}")) == {"2": 2, "10": 10, "999": 999}
    (tmp_path / "val" / "0").rename(tmp_path / "val" / "1000")
    with pytest.raises(DataError, match=r"labels are positions .* or the numbers 0 \.\. 999"):
        load(f"imagenet:{tmp_path}")


def test_the_labelled_part_of_imagenet_is_taken(tmp_path: Path) -> None:
    imagenet(tmp_path, {"n00000003/a.JPEG": photographs(1)[0]})
    save(tmp_path / "test" / "ILSVRC2012_test_00000001.JPEG", photographs(1)[0], "JPEG")
    (tmp_path / "val" / "notes").mkdir()
    assert numbered(load(f"imagenet:{tmp_path}")) == {"n00000003": 3}
    save(tmp_path / "val" / "notes" / "a.png", photographs(1)[0])
    with pytest.raises(DataError, match="has 1001 class folders, and ImageNet has 1000"):
        load(f"imagenet:{tmp_path}")


def test_imagenet_with_classes_missing_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "val" / "n01440764" / "a.JPEG", photographs(1)[0], "JPEG")
    with pytest.raises(DataError, match="has 1 class folders, and ImageNet has 1000: labels are"):
        load(f"imagenet:{tmp_path}")


# npz --------------------------------------------------------------------------------------------


def test_only_cifar10_needs_pyarrow(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=np.zeros((2, 3, 8, 8), np.uint8), labels=np.zeros(2, int))
    code = """
import sys

sys.modules["pyarrow"] = None
from smoothbound.data import Dataset, load
from smoothbound.train import train

assert len(load(f"npz:{sys.argv[1]}/a.npz")) == 2
try:
    load(f"cifar10:{sys.argv[1]}")
except ModuleNotFoundError as error:
    print(error)
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "needs pyarrow" in done.stdout, done.stderr
    assert "smoothbound[store]" in done.stdout


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


# names ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spec", ["", "mnist", "cifar10", "cifar10:", "images:", "npz:", "digits:/tmp"]
)
def test_unknown_names_are_refused_with_the_known_ones(spec: str) -> None:
    with pytest.raises(ValueError, match="data must be digits, cifar10:DIR, imagenet:DIR"):
        load(spec)


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(ValueError, match="split must be one of 'train', 'test'; got 'valid'"):
        load("digits", "valid")


@pytest.mark.parametrize("spec", [None, 3, b"digits", Path("digits"), ["digits"], 10**400])
def test_a_spec_that_is_no_text_is_named(spec: Any) -> None:
    with pytest.raises(TypeError, match="data must be digits, cifar10:DIR"):
        load(spec)


@pytest.mark.parametrize("split", [None, 3, "", b"test", ["test"]])
def test_a_split_of_another_kind_is_named(split: Any) -> None:
    with pytest.raises(ValueError, match="split must be one of"):
        load("digits", split)


@pytest.mark.parametrize("kind", ["npz", "cifar10", "images", "imagenet"])
@pytest.mark.parametrize(
    "path", ["a\0b", "/dev/null", "/dev/zero", "\udcff", "x" * 5000, "~nobody9/a"]
)
def test_a_path_that_leads_nowhere_is_a_data_error(kind: str, path: str) -> None:
    with pytest.raises(DataError, match=kind):
        load(f"{kind}:{path}")


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_npz(tmp_path / "a.npz", images=GOOD, labels=[0, 1])
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(load("npz:~/a.npz")) == 2


def test_paths_of_windows_keep_their_colon() -> None:
    with pytest.raises(DataError, match=r"no file C:\\data\\a\.npz"):
        load(r"npz:C:\data\a.npz")


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
