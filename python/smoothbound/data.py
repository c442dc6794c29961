"""Labelled images by a short name, scaled to [0, 1], channels first.

==================  =================================================================
``digits``          scikit-learn's handwritten digits, 1 x 8 x 8; embedded, no download
``cifar10:DIR``     CIFAR-10 as Parquet: ``DIR/train.parquet``, ``DIR/test.parquet`` with
                    the columns ``img`` (struct of bytes and path) and ``label``
``npz:FILE``        arrays ``images`` (n, channels, height, width), uint8 or float32 in
                    [0, 1], and ``labels`` (n,); one file is one split, whichever is asked
==================  =================================================================
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor

from smoothbound import checks
from smoothbound.errors import DataError

__all__ = ["SPLITS", "Dataset", "Images", "load"]

SPLITS = ("train", "test")
_DIGITS_TRAIN = 1500  # of scikit-learn's 1797 digits, in their order; the other 297 are the test
_CIFAR_SHAPE = (3, 32, 32)
_EXTRA = "install it with: pip install 'smoothbound[data]'"


class Images(Protocol):
    """Images by index, each (channels, height, width), uint8 or float32 in [0, 1].

    A 4-dimensional NumPy array is one.
    """

    def __len__(self) -> int:
        """Return the number of images."""

    def __getitem__(self, index: int, /) -> NDArray[np.uint8] | NDArray[np.float32]:
        """Return one image."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled images of one shape.

    Parameters
    ----------
    name : str
        What results call it; holds no folder of this machine.
    split : str
        "train", "test", or "all" where the source knows no split.
    images : Images
        The images, read when asked for.
    labels : (n,) int64 array
        The class of each image.
    num_classes : int
        Labels lie in 0 .. num_classes - 1.
    shape : tuple of int
        (channels, height, width) of every image.
    augment : bool
        Whether training may shift and mirror the images: photographs yes, digits no.
    grid : int or None
        All values are whole multiples of 1 / grid; None: that is not known.

    Examples
    --------
    >>> digits = load("digits", "test")
    >>> digits.shape, digits.num_classes, len(digits)
    ((1, 8, 8), 10, 297)
    >>> image, label = digits[0]
    >>> image.shape, image.dtype, label
    (torch.Size([1, 8, 8]), torch.float32, 1)
    """

    name: str
    split: str
    images: Images
    labels: NDArray[np.int64]
    num_classes: int
    shape: tuple[int, int, int]
    augment: bool = False
    grid: int | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return one image, float32 (channels, height, width) in [0, 1], and its label."""
        return unit_scale(torch.from_numpy(np.array(self.images[index]))), int(self.labels[index])

    def select(self, skip: int = 1, max_inputs: int | None = None) -> NDArray[np.int64]:
        """Return the indices of every `skip`-th image, of those at most the first `max_inputs`.

        Examples
        --------
        >>> load("digits", "test").select(skip=20, max_inputs=3)
        array([ 0, 20, 40])
        """
        indices = np.arange(0, len(self), checks.count("skip", skip), dtype=np.int64)
        return indices if max_inputs is None else indices[: checks.count("max_inputs", max_inputs)]

    def tensors(self) -> tuple[Tensor, Tensor]:
        """Return all images as they are stored (n, channels, height, width) and labels (n,)."""
        stored = self.images
        if not isinstance(stored, np.ndarray):
            stored = np.stack([self.images[i] for i in range(len(self))])
        return torch.from_numpy(stored), torch.from_numpy(self.labels)


def unit_scale(images: Tensor) -> Tensor:
    """Return stored images as float32 in [0, 1]: uint8 is divided by 255, float32 is kept."""
    return images.float() / 255 if images.dtype == torch.uint8 else images


def load(spec: str, split: str = "test") -> Dataset:
    """Load one split of a data set by its short name.

    Parameters
    ----------
    spec : str
        "digits", "cifar10:DIR" or "npz:FILE"; see the top of this module.
    split : {"train", "test"}
        Which part.

    Raises
    ------
    ValueError
        If `spec` or `split` is none of the above.
    DataError
        If something is missing or not in its layout; says what is expected where.

    Examples
    --------
    >>> load("digits", "train")[0][0].max()
    tensor(0.9375)
    """
    checks.choice("split", split, SPLITS)
    kind, _, path = spec.partition(":")
    if spec == "digits":
        return _digits(split)
    if kind in _FROM_PATH and path:
        return _FROM_PATH[kind](Path(path), split)
    raise ValueError(f"data must be 'digits', 'cifar10:DIR' or 'npz:FILE'; got {spec!r}")


def _digits(split: str) -> Dataset:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise DataError(f"digits come with scikit-learn; {_EXTRA}") from error
    digits = load_digits()
    part = slice(_DIGITS_TRAIN) if split == "train" else slice(_DIGITS_TRAIN, None)
    images = (digits.images[part, None] / 16).astype(np.float32)  # sixteenths: exact in float32
    labels = digits.target[part].astype(np.int64)
    return Dataset("digits", split, images, labels, num_classes=10, shape=(1, 8, 8), grid=16)


def _cifar10(folder: Path, split: str) -> Dataset:
    path = folder / f"{split}.parquet"
    if not path.is_file():
        raise DataError(
            f"cifar10: no file {path}; the folder must hold train.parquet and test.parquet "
            "with the columns img (struct of bytes and path) and label"
        )
    try:
        _check_cifar10(path, pq.read_schema(path))
        table = pq.read_table(path, columns=["img", "label"])
    except (OSError, pa.ArrowException) as error:
        raise DataError(
            f"cifar10: {path} cannot be read as Parquet, is the download complete? ({error})"
        ) from error
    encoded, labels = pc.struct_field(table["img"], "bytes"), table["label"]
    if encoded.null_count or labels.null_count:
        raise DataError(f"cifar10: {path} has rows without an image or without a label")
    images = _EncodedImages(path, encoded.to_pylist(), _CIFAR_SHAPE)
    classes = _labels(path, labels.to_numpy(), num_classes=10)
    return Dataset("cifar10", split, images, classes, 10, _CIFAR_SHAPE, augment=True, grid=255)


def _check_cifar10(path: Path, schema: pa.Schema) -> None:
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


@dataclass(frozen=True)
class _EncodedImages:
    """JPEG or PNG images, decoded one by one when asked for."""

    path: Path
    encoded: list[bytes]
    shape: tuple[int, int, int]

    def __len__(self) -> int:
        return len(self.encoded)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        try:
            from PIL import Image
        except ImportError as error:
            raise DataError(f"JPEG and PNG images need Pillow; {_EXTRA}") from error
        _, height, width = self.shape
        try:
            with Image.open(io.BytesIO(self.encoded[index]), formats=("JPEG", "PNG")) as image:
                # size and mode stand in the header: a huge image is refused before it is decoded
                if (image.size, image.mode) == ((width, height), "RGB"):
                    return np.moveaxis(np.asarray(image, np.uint8), 2, 0)
                found = f"{image.width} x {image.height} {image.mode}"
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            found = f"what cannot be decoded ({error})"
        raise DataError(
            f"{self.path}, row {index}: needs a JPEG or PNG of {width} x {height} RGB, got {found}"
        )


def _npz(path: Path, split: str) -> Dataset:
    if not path.is_file():
        raise DataError(f"npz: no file {path}; it must hold the arrays images and labels")
    images, labels = _npz_arrays(path)
    if images.ndim != 4 or 0 in images.shape or images.dtype not in (np.uint8, np.float32):
        raise DataError(
            f"npz: images in {path} must be uint8 or float32 of shape "
            f"(n, channels, height, width), got {images.dtype} of shape {images.shape}"
        )
    if images.dtype == np.float32 and not (images.min() >= 0 and images.max() <= 1):
        raise DataError(
            f"npz: float32 images in {path} must be finite and lie in [0, 1], "
            f"got values from {images.min()} to {images.max()}"
        )
    if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu":
        raise DataError(
            f"npz: labels in {path} must be integers of shape {images.shape[:1]}, "
            f"one for each image; got {labels.dtype} of shape {labels.shape}"
        )
    num_classes = int(labels.max()) + 1
    _, *shape = images.shape
    return Dataset(
        name=f"npz:{path.name}",
        split="all",
        images=images,
        labels=_labels(path, labels, num_classes),
        num_classes=num_classes,
        shape=(shape[0], shape[1], shape[2]),
        grid=255 if images.dtype == np.uint8 else None,
    )


def _npz_arrays(path: Path) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
    try:
        with path.open("rb") as stream:
            file = np.load(stream, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise DataError(f"npz: {path} holds one array; save both with np.savez")
            missing = [name for name in ("images", "labels") if name not in file.files]
            if missing:
                raise DataError(f"npz: {path} lacks {missing}; it holds {file.files}")
            with file:
                return file["images"], file["labels"]
    except (OSError, ValueError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"npz: {path} cannot be read as plain arrays ({error})") from error


def _labels(path: Path, labels: NDArray[np.generic], num_classes: int) -> NDArray[np.int64]:
    classes = labels.astype(np.int64)
    wrong = (classes < 0) | (classes >= num_classes)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(
            f"{path}, row {row}: label must lie in 0 .. {num_classes - 1}, got {labels[row]}"
        )
    return classes


_FROM_PATH: dict[str, Callable[[Path, str], Dataset]] = {"cifar10": _cifar10, "npz": _npz}
