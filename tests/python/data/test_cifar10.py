"""CIFAR-10 is read as the Hub has it and as its makers give it."""

from __future__ import annotations

import errno
import importlib
import pickle
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
from pictures import encoded, imagenet, photographs

from smoothbound.data._loading import load
from smoothbound.errors import DataError

cifar10_layouts = importlib.import_module("smoothbound.data._cifar10")


def write_cifar(folder: Path, images: list[Any], labels: list[Any], split: str = "train") -> str:
    rows = [None if image is None else {"bytes": image, "path": "a.png"} for image in images]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({"img": pa.array(rows, kind), "label": pa.array(labels, pa.int64())})
    pq.write_table(table, folder / f"{split}.parquet")
    return f"cifar10:{folder}"


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


def test_how_many_images_were_published_is_known(tmp_path: Path, rows: int) -> None:
    write_binary(tmp_path / "cifar-10-batches-bin")
    assert load(f"cifar10:{tmp_path}", "train").published == 50_000
    assert load(f"cifar10:{tmp_path}", "test").published == 10_000
    data = imagenet(tmp_path, {"n00000000/a.JPEG": photographs(1)[0]})
    assert data.published == 50_000
    assert load(f"imagenet:{tmp_path / 'val'}").published is None  # which split is not known
    assert load("digits").published is None
