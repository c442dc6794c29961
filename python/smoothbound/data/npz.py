"""Images and labels that lie in a file of NumPy arrays."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smoothbound.data.dataset import Dataset, checked_labels
from smoothbound.errors import DataError


def npz(path: Path, split: str) -> Dataset:
    """Return the arrays `images` and `labels` of a file, whichever split is asked."""
    if not path.is_file():
        raise DataError(f"npz: no file {path}; it must hold the arrays images and labels")
    images, labels = _arrays(path)
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
        labels=checked_labels(path, labels, num_classes),
        num_classes=num_classes,
        shape=(shape[0], shape[1], shape[2]),
        grid=255 if images.dtype == np.uint8 else None,
    )


def _arrays(path: Path) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
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
