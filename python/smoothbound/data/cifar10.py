"""CIFAR-10 in each layout that it is passed around in."""

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

from smoothbound.data.dataset import Dataset, Images, checked_labels
from smoothbound.data.encoded import EncodedImages
from smoothbound.errors import DataError

_SHAPE = (3, 32, 32)
_PIXELS = 3 * 32 * 32
_ROWS = 10_000  # in each file of the layouts below
_FILES = {"train": tuple(f"data_batch_{i}" for i in range(1, 6)), "test": ("test_batch",)}
_PUBLISHED = {"train": 50_000, "test": 10_000}  # images
_LIMIT = 2**26  # bytes; more than any of the pickles, which have 31 million


def cifar10(folder: Path, split: str) -> Dataset:
    """Return CIFAR-10 from the first of its layouts that the folder holds."""
    parquet = folder / f"{split}.parquet"
    if parquet.is_file():
        return _parquet(parquet, split)
    for name, ending, read in (("bin", ".bin", _binary), ("py", "", _pickled)):
        for place in (folder / f"cifar-10-batches-{name}", folder):
            paths = [place / f"{file}{ending}" for file in _FILES[split]]
            missing = [path.name for path in paths if not path.is_file()]
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
        f"cifar10: no file {parquet}, and no {split} files of another layout in {folder}{unpack}; "
        "it must hold train.parquet and test.parquet with the columns img (struct of bytes and "
        "path) and label, or cifar-10-batches-bin with data_batch_1.bin .. data_batch_5.bin and "
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


def _parquet(path: Path, split: str) -> Dataset:
    try:
        _check_columns(path, pq.read_schema(path))
        table = pq.read_table(path, columns=["img", "label"])
    except (OSError, pa.ArrowException) as error:
        raise DataError(
            f"cifar10: {path} cannot be read as Parquet, is the download complete? ({error})"
        ) from error
    encoded, labels = pc.struct_field(table["img"], "bytes"), table["label"]
    if encoded.null_count or labels.null_count:
        raise DataError(f"cifar10: {path} has rows without an image or without a label")
    images = EncodedImages(encoded.to_pylist(), _SHAPE, source=path)
    return _dataset(split, images, checked_labels(path, labels.to_numpy(), num_classes=10))


def _check_columns(path: Path, schema: pa.Schema) -> None:
    image, label = (schema.field(n).type if n in schema.names else None for n in ("img", "label"))
    is_encoded = (
        image is not None
        and pa.types.is_struct(image)
        and image.get_field_index("bytes") >= 0
        and pa.types.is_binary(image.field("bytes").type)
    )
    if not is_encoded or label is None or not pa.types.is_integer(label):
        found = ", ".join(f"{field.name}: {field.type}" for field in schema)
        raise DataError(
            f"cifar10: {path} needs the columns img (struct with binary bytes) and label "
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
    """Stands for a NumPy array in a pickle: keeps its shape and bytes, and makes no array."""

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
    """Stands for codecs.encode, by which pickles of Python 3 write bytes in old protocols."""
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
