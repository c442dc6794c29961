"""Images and labels in a file of NumPy arrays."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smoothbound._files.plain import memory_limit
from smoothbound.data._dataset import Dataset, checked_labels, regular
from smoothbound.errors import DataError

_CHANNELS = (1, 3, 4)  # of grey or coloured images; a last axis of this size holds channels
_MOST_CLASSES = 1_000_000  # more than any data set has; larger numbers are not labels


def npz(path: Path, split: str) -> Dataset:
    """Return the arrays `images` and `labels` of a file, for any split."""
    if not regular("npz", path):
        raise DataError(f"npz: no file {path}; it must hold the arrays images and labels")
    found, labels = _arrays(path)
    images = _checked_images(path, found)
    classes = _checked_labels(path, labels, len(images))
    scale = ", divided by 255" if images.dtype == np.uint8 else ""
    remarks = [f"{images.dtype} values from {images.min()} to {images.max()}{scale}"]
    if classes.min() > 0:
        remarks.append(f"the smallest label is {classes.min()}, and the first class has label 0")
    _, *shape = images.shape
    return Dataset(
        name=f"npz:{path.name}",
        split="all",
        images=images,
        labels=classes,
        num_classes=int(classes.max()) + 1,
        shape=(shape[0], shape[1], shape[2]),
        grid=255 if images.dtype == np.uint8 else None,
        remarks=tuple(remarks),
    )


def _checked_images(
    path: Path, images: NDArray[np.generic]
) -> NDArray[np.uint8] | NDArray[np.float32]:
    """Return images as uint8, or as float32 in [0, 1], in the machine's byte order."""
    kind = (images.dtype.kind, images.itemsize)
    if images.ndim != 4 or 0 in images.shape or kind not in (("u", 1), ("f", 2), ("f", 4)):
        advice = "; save images[:, None] if they are grey" if images.ndim == 3 else ""
        advice += "; save images.astype('float32')" if kind == ("f", 8) else ""
        raise DataError(
            f"npz: images in {path} must be uint8 or float32 of shape "
            f"(n, channels, height, width), got {images.dtype} of shape {images.shape}{advice}"
        )
    if images.shape[3] in _CHANNELS and images.shape[1] not in _CHANNELS:
        raise DataError(
            f"npz: images in {path} must be of shape (n, channels, height, width), got "
            f"{images.shape}, which looks like (n, height, width, channels); save "
            "images.transpose(0, 3, 1, 2)"
        )
    if images.dtype == np.uint8:
        return images.astype(np.uint8, copy=False)
    values = images.astype(np.float32, copy=False)  # exact
    if not (values.min() >= 0 and values.max() <= 1):
        advice = ""
        if values.min() < 0:
            advice = (
                "; save them before normalisation and let the network normalise, because sigma "
                "and radii are in the units before it"
            )
        elif values.max() <= 255:
            advice = "; save pixels from 0 to 255 as uint8"
        raise DataError(
            f"npz: float32 images in {path} must be finite and lie in [0, 1], "
            f"got values from {values.min()} to {values.max()}{advice}"
        )
    return values


def _checked_labels(path: Path, labels: NDArray[np.generic], count: int) -> NDArray[np.int64]:
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        raise DataError(
            f"npz: labels in {path} must be integers of shape ({count},), one for each image; "
            f"got {labels.dtype} of shape {labels.shape}{_advice_on_labels(labels)}"
        )
    whole = labels.astype(labels.dtype.newbyteorder("="), copy=False)
    return checked_labels(path, whole, min(max(int(whole.max()) + 1, 1), _MOST_CLASSES))


def _advice_on_labels(labels: NDArray[np.generic]) -> str:
    """Return how to save labels that are a column, a class a column, or decimal numbers."""
    ways = []
    if labels.ndim == 2 and labels.shape[1] > 1:
        return "; save labels.argmax(axis=1)"
    if labels.ndim == 2:
        ways.append("[:, 0]")
    if labels.dtype.kind == "f":
        ways.append(".astype(int)")
    return f"; save labels{''.join(ways)}" if ways else ""


def _arrays(path: Path) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
    try:
        if not zipfile.is_zipfile(path):
            raise DataError(
                f"npz: {path} holds one array, or is no .npz file, or not complete; save images "
                "and labels with np.savez"
            )
        with zipfile.ZipFile(path) as archive:
            _check_sizes(path, archive)
        with np.load(path, allow_pickle=False) as file:
            missing = [name for name in ("images", "labels") if name not in file.files]
            if missing:
                raise DataError(
                    f"npz: {path} lacks {' and '.join(missing)}; it holds "
                    f"{', '.join(file.files) or 'nothing'}. Save both with "
                    "np.savez(path, images=..., labels=...)"
                )
            return file["images"], file["labels"]
    except DataError:
        raise
    except Exception as error:  # arbitrary bytes end in almost any exception
        raise DataError(f"npz: {path} cannot be read as plain arrays ({error})") from error


def _check_sizes(path: Path, archive: zipfile.ZipFile) -> None:
    """Refuse two arrays of one name, and more than memory holds, before any of it is unpacked."""
    names = [name.removesuffix(".npy") for name in archive.namelist()]
    if len(set(names)) < len(names):
        raise DataError(f"npz: {path} holds two arrays of the same name; save it anew")
    needed = sum(entry.file_size for entry in archive.infolist())
    if needed > memory_limit():
        raise DataError(
            f"npz: {path} unpacks to {needed / 2**30:.0f} GiB, which is more than memory holds"
        )
