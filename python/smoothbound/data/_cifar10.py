"""CIFAR-10 in each of its usual layouts."""

from __future__ import annotations

import pickle
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from smoothbound.data._dataset import Dataset, Images, checked_labels, regular
from smoothbound.data._encoded import EncodedImages
from smoothbound.errors import DataError

_SHAPE = (3, 32, 32)
_PIXELS = 3 * 32 * 32
_ROWS = 10_000  # in each file of the layouts below
_FILES = {"train": tuple(f"data_batch_{i}" for i in range(1, 6)), "test": ("test_batch",)}
_PUBLISHED = {"train": 50_000, "test": 10_000}  # number of images
_MOST_ROWS = 60_000  # in a Parquet file with both splits
_LIMIT = 2**26  # bytes; more than any of the pickles, which have 31 million


def cifar10(folder: Path, split: str) -> Dataset:
    """Return CIFAR-10 from the first of its layouts that the folder holds."""
    shards = _shards(folder, split)
    if shards:
        return _parquet(shards, split)
    for name, ending, read in (("bin", ".bin", _binary), ("py", "", _pickled)):
        for place in (folder / f"cifar-10-batches-{name}", folder):
            paths = [place / f"{file}{ending}" for file in _FILES[split]]
            missing = [path.name for path in paths if not regular("cifar10", path)]
            if missing and len(missing) < len(paths):
                raise DataError(
                    f"cifar10: {place} lacks {', '.join(missing)}; is the download complete?"
                )
            if not missing:
                parts = [read(path) for path in paths]
                images = np.concatenate([images for images, _ in parts])
                labels = np.concatenate([labels for _, labels in parts])
                return _dataset(split, images, labels)
    archives = sorted(path.name for path in folder.glob("cifar-10*.tar*"))
    unpack = f"; unpack {archives[0]}" if archives else ""
    raise DataError(
        f"cifar10: no file {folder / split}.parquet, and no {split} files of another layout in "
        f"{folder}{unpack}; it must hold train.parquet and test.parquet, or "
        "train-00000-of-00001.parquet and such, with the columns img (struct of bytes and path) "
        "and label, or cifar-10-batches-bin with data_batch_1.bin .. data_batch_5.bin and "
        "test_batch.bin, or cifar-10-batches-py with data_batch_1 .. data_batch_5 and test_batch"
    )


def _dataset(split: str, images: Images, labels: NDArray[np.int64]) -> Dataset:
    return Dataset(
        name="cifar10",
        split=split,
        images=images,
        labels=labels,
        num_classes=10,
        shape=_SHAPE,
        augment=True,
        grid=255,
        published=_PUBLISHED[split],
    )


# Parquet ----------------------------------------------------------------------------------------


def _shards(folder: Path, split: str) -> list[Path]:
    """Return the Parquet files of a split: one, or all of several that are numbered."""
    for place in (folder, folder / "plain_text", folder / "data"):
        whole = place / f"{split}.parquet"
        if regular("cifar10", whole):
            return [whole]
        found = sorted(place.glob(f"{split}-*-of-*.parquet"))
        if found:
            total = found[0].stem.rpartition("-")[2]
            wanted = [f"{split}-{i:05}-of-{len(found):05}.parquet" for i in range(len(found))]
            if [path.name for path in found] != wanted:
                raise DataError(
                    f"cifar10: {place} holds {', '.join(path.name for path in found)}, and needs "
                    f"all parts of {total}, each once; is the download complete?"
                )
            return found
    return []


def _parquet(paths: list[Path], split: str) -> Dataset:
    encoded: list[bytes] = []
    labels: list[NDArray[np.int64]] = []
    for path in paths:
        regular("cifar10", path)
        try:
            rows = pq.read_metadata(path).num_rows
            if rows > _MOST_ROWS:
                raise DataError(f"cifar10: {path} has {rows} rows, and CIFAR-10 has {_MOST_ROWS}")
            column = _image_column(path, pq.read_schema(path))
            table = pq.read_table(path, columns=[column, "label"])
        except (OSError, pa.ArrowException) as error:
            if isinstance(error, OSError) and error.errno is not None:  # the system's, not Parquet
                raise DataError(f"cifar10: cannot read {path}: {error.strerror}") from error
            raise DataError(
                f"cifar10: {path} cannot be read as Parquet, is the download complete? ({error})"
            ) from error
        images, classes = pc.struct_field(table[column], "bytes"), table["label"]
        if images.null_count or classes.null_count:
            raise DataError(f"cifar10: {path} has rows without an image or without a label")
        encoded += images.to_pylist()
        labels.append(checked_labels(path, classes.to_numpy(), num_classes=10))
    return _dataset(split, EncodedImages(encoded, _SHAPE, source=paths[0]), np.concatenate(labels))


def _image_column(path: Path, schema: pa.Schema) -> str:
    """Return the name of the column of images, if there is one and one of labels."""
    for column in ("img", "image"):
        kind = schema.field(column).type if column in schema.names else None
        if (
            kind is not None
            and pa.types.is_struct(kind)
            and kind.get_field_index("bytes") >= 0
            and kind.field("bytes").type in (pa.binary(), pa.large_binary(), pa.binary_view())
            and "label" in schema.names
            and pa.types.is_integer(schema.field("label").type)
        ):
            return column
    found = ", ".join(f"{field.name}: {field.type}" for field in schema)
    raise DataError(
        f"cifar10: {path} needs the columns img or image (struct with binary bytes) and label "
        f"(integer); it has {found}"
    )


# Binary: rows of a label and its pixels ---------------------------------------------------------


def _binary(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    size, needed = path.stat().st_size, _ROWS * (1 + _PIXELS)
    if size != needed:
        raise DataError(
            f"cifar10: {path} has {size} bytes, and {_ROWS} images have {needed}; is the download "
            "complete?"
        )
    rows = np.fromfile(path, np.uint8).reshape(_ROWS, 1 + _PIXELS)
    return rows[:, 1:].reshape(_ROWS, *_SHAPE), checked_labels(path, rows[:, 0], num_classes=10)


# Pickles: a dict of data and labels -------------------------------------------------------------


class _Array:
    """Stands for a NumPy array in a pickle; keeps its shape and bytes, and makes no array."""

    def __init__(self, *_: object) -> None:
        self.shape: object = None
        self.data: object = None

    def __setstate__(self, state: Any) -> None:
        _, self.shape, kind, is_fortran, self.data = state
        if not isinstance(kind, _Type) or kind.name not in ("u1", b"u1") or is_fortran:
            raise ValueError("its array is not of uint8 in C order")


class _Type:
    """Stands for a NumPy type in a pickle."""

    def __init__(self, name: object, *_: object) -> None:
        self.name = name

    def __setstate__(self, state: object) -> None:
        pass


def _bytes(text: str, _: object) -> bytes:
    """Stands for codecs.encode, which pickles of Python 3 use for bytes in old protocols."""
    return text.encode("latin-1")


class _Plain(pickle.Unpickler):
    """Reads plain values and the stand-ins above; runs nothing that a file names."""

    _KNOWN: ClassVar[dict[tuple[str, str], Any]] = {
        ("numpy.core.multiarray", "_reconstruct"): _Array,
        ("numpy._core.multiarray", "_reconstruct"): _Array,
        ("numpy", "ndarray"): _Array,
        ("numpy", "dtype"): _Type,
        ("_codecs", "encode"): _bytes,
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._KNOWN:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is never run")
        return self._KNOWN[module, name]


def _pickled(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    try:
        if path.stat().st_size > _LIMIT:
            raise ValueError(f"it has more than {_LIMIT} bytes")
        content = _Plain(BytesIO(path.read_bytes()), encoding="bytes").load()
        data, labels = (
            content.get(name.encode(), content.get(name)) for name in ("data", "labels")
        )
        images = np.frombuffer(data.data, np.uint8).reshape(data.shape)
        if not (isinstance(labels, list) and all(type(label) is int for label in labels)):
            raise ValueError("its labels are not a list of integers")
        classes = np.array(labels)
        if images.shape != (_ROWS, _PIXELS) or classes.shape != (_ROWS,):
            raise ValueError(f"it has images {images.shape} and labels {classes.shape}")
    except Exception as error:  # arbitrary bytes end in almost any exception
        raise DataError(
            f"cifar10: {path} is not a batch of CIFAR-10 ({_ROWS} rows of {_PIXELS} bytes, and "
            f"labels), or not complete: {error}"
        ) from error
    return images.reshape(_ROWS, *_SHAPE), checked_labels(path, classes, num_classes=10)
