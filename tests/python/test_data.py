"""Data sets: scaled to [0, 1], in a fixed order, and a clear word where something is missing."""

from __future__ import annotations

import io
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

from smoothbound.data import Dataset, load
from smoothbound.errors import DataError


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
    with pytest.raises(DataError, match=r"no file .*test\.parquet; .* train\.parquet and test"):
        load(spec, "test")


def test_a_half_downloaded_file_is_told(tmp_path: Path) -> None:
    spec = write_cifar(tmp_path, [encoded(image) for image in photographs(3)], [0, 1, 2])
    path = tmp_path / "train.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="cannot be read as Parquet, is the download complete"):
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
        (encoded(photographs(1)[0], "BMP"), "cannot be decoded"),
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


# npz --------------------------------------------------------------------------------------------


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


def test_pickled_arrays_are_not_opened(tmp_path: Path) -> None:
    spec = write_npz(tmp_path / "a.npz", images=np.array([{}], object), labels=np.array([0]))
    with pytest.raises(DataError, match="cannot be read as plain arrays"):
        load(spec)


def test_missing_parts_of_an_npz_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file .*a\.npz; it must hold the arrays images and"):
        load(f"npz:{tmp_path / 'a.npz'}")
    with pytest.raises(DataError, match=r"lacks \['labels'\]; it holds \['images'\]"):
        load(write_npz(tmp_path / "a.npz", images=GOOD))
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


@pytest.mark.parametrize("spec", ["", "mnist", "cifar10", "cifar10:", "npz:", "digits:/tmp"])
def test_unknown_names_are_refused_with_the_known_ones(spec: str) -> None:
    with pytest.raises(ValueError, match="data must be 'digits', 'cifar10:DIR' or 'npz:FILE'"):
        load(spec)


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(ValueError, match="split must be one of 'train', 'test'; got 'valid'"):
        load("digits", "valid")
