"""A data set: labelled images of one shape, by index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from smoothbound._utils import checks
from smoothbound.errors import DataError

__all__ = [
    "EXTRA",
    "Dataset",
    "Images",
    "checked_labels",
    "regular",
    "unit_scale",
]

_SHOWN = 3  # number of classes without images that a summary names

EXTRA = "install it with: pip install 'smoothbound[data]'"


class Images(Protocol):
    """Images by index, each (channels, height, width), uint8 or float32 in [0, 1].

    A 4-dimensional NumPy array is one.
    """

    def __len__(self) -> int:
        """Return the number of images."""

    def __getitem__(self, index: int, /) -> NDArray[np.uint8] | NDArray[np.float32]:
        """Return one image."""


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Labelled images of one shape.

    Parameters
    ----------
    name : str
        Its name in results, without any folder of this machine.
    split : str
        "train", "test", or "all" where the source knows no split.
    images : Images
        The images, which are read when they are needed.
    labels : (n,) int64 array
        The class of each image.
    num_classes : int
        Labels lie in 0 .. num_classes - 1.
    shape : tuple of int
        (channels, height, width) of every image.
    augment : bool
        Whether training may shift and mirror the images, as it may photographs but not digits.
    grid : int or None
        All values are whole multiples of 1 / grid; None if the grid is not known.
    published : int or None
        Number of images in this split as it was published; None if it is not known.
    classes : tuple of str or None
        Name of each class, by label; None if the source has no names.
    remarks : tuple of str
        Other facts about how the source was read, such as files that were skipped.

    Raises
    ------
    ValueError, TypeError
        If images, labels, shape and number of classes do not fit each other.

    Examples
    --------
    >>> from smoothbound.data import load
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
    published: int | None = None
    classes: tuple[str, ...] | None = None
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        labels, images = self.labels, self.images
        if not _is_plain(labels) or labels.ndim != 1 or labels.dtype.kind not in "iu":
            raise TypeError(f"labels must be a vector of integers, got {checks.shown(labels)}")
        if len(images) != len(labels):
            raise ValueError(f"labels must be one for each of {len(images)} images: {len(labels)}")
        classes = checks.count("num_classes", self.num_classes)
        if len(labels) and not (labels.min() >= 0 and labels.max() < classes):
            raise ValueError(
                f"labels must lie in 0 .. {classes - 1}, got {labels.min()} .. {labels.max()}"
            )
        if isinstance(images, np.ndarray) and not (
            _is_plain(images)
            and images.shape[1:] == self.shape
            and images.dtype in (np.uint8, np.float32)
        ):
            raise ValueError(
                f"images must be uint8 or float32 of shape {self.shape}, none masked; got "
                f"{type(images).__name__} of {images.dtype}, {images.shape[1:]}"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        size = " x ".join(map(str, self.shape))
        return f"Dataset({self.name!r}, split={self.split!r}, {len(self)} images of {size})"

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return one image, float32 (channels, height, width) in [0, 1], and its label."""
        return unit_scale(torch.from_numpy(np.array(self.images[index]))), int(self.labels[index])

    def summary(self) -> str:
        """Describe the data in one line: images, classes, how many of each, and remarks.

        Names of classes and files are those of the source, so escape them before you show them.

        Examples
        --------
        >>> from smoothbound.data import load
        >>> load("digits").summary()
        'digits (test): 297 images of 1 x 8 x 8, 10 classes, 27 to 33 images of each'
        """
        counts = np.bincount(self.labels, minlength=self.num_classes)
        absent = np.flatnonzero(counts == 0).tolist()
        least, most = counts[counts > 0].min(), counts.max()
        each = str(most) if least == most else f"{least} to {most}"
        ends = f" ({self._class(0)} .. {self._class(self.num_classes - 1)})" if self.classes else ""
        notes = list(self.remarks)
        if absent:
            more = f" and {len(absent) - _SHOWN} more" if len(absent) > _SHOWN else ""
            notes.insert(0, f"none of class {', '.join(map(self._class, absent[:_SHOWN]))}{more}")
        numbers = (
            f"{len(self)} images of {' x '.join(map(str, self.shape))}, {self.num_classes} "
            f"classes{ends}, {each} image{'' if most == 1 else 's'} of each"
        )
        return f"{self.name} ({self.split}): {'; '.join([numbers, *notes])}"

    def _class(self, label: int) -> str:
        return f"{label} {self.classes[label]!r}" if self.classes else str(label)

    def select(
        self,
        skip: int = 1,
        max_inputs: int | None = None,
        indices: Sequence[int] | None = None,
    ) -> NDArray[np.int64]:
        """Return the indices of every `skip`-th image, and of these at most `max_inputs`.

        They are taken from all images, or from `indices`, in increasing order.

        Raises
        ------
        ValueError, TypeError
            If a number is out of its range or not whole, or `indices` is empty, repeats or is not
            increasing.

        Examples
        --------
        >>> from smoothbound.data import load
        >>> load("digits", "test").select(skip=20, max_inputs=3)
        array([ 0, 20, 40])
        >>> load("digits", "test").select(indices=[3, 5, 7], skip=2)
        array([3, 7])
        """
        chosen = np.arange(len(self), dtype=np.int64)
        if indices is not None:
            chosen = _whole_numbers("indices", indices)
            if not len(chosen) or (np.diff(chosen) <= 0).any():
                raise ValueError("indices must be increasing, each once, and at least one")
            if chosen[0] < 0 or chosen[-1] >= len(self):
                raise ValueError(
                    f"indices must lie in 0 .. {len(self) - 1}, the images of {self.name} "
                    f"({self.split}); got {chosen[0]} .. {chosen[-1]}"
                )
        chosen = chosen[:: checks.count("skip", skip)]
        return chosen if max_inputs is None else chosen[: checks.count("max_inputs", max_inputs)]

    def tensors(self) -> tuple[Tensor, Tensor]:
        """Return all images as they are stored (n, channels, height, width) and labels (n,)."""
        stored = self.images
        if not isinstance(stored, np.ndarray):
            stored = np.empty((len(self), *self.shape), self.images[0].dtype)
            for i in range(len(self)):
                stored[i] = self.images[i]
        return torch.from_numpy(stored), torch.from_numpy(self.labels)


def _is_plain(values: object) -> bool:
    return isinstance(values, np.ndarray) and not isinstance(values, np.ma.MaskedArray)


def _whole_numbers(name: str, values: object) -> NDArray[np.int64]:
    found = checks.array(name, values)
    if found.ndim != 1 or (found.size and found.dtype.kind not in "iu"):
        raise TypeError(f"{name} must be whole numbers, got {checks.shown(values)}")
    return found.astype(np.int64)


def unit_scale(images: Tensor) -> Tensor:
    """Return stored images as float32 in [0, 1]: uint8 is divided by 255, float32 is kept."""
    checks.instance("images", images, Tensor)
    return images.float() / 255 if images.dtype == torch.uint8 else images


def checked_labels(path: Path, labels: NDArray[np.integer], num_classes: int) -> NDArray[np.int64]:
    """Return labels as int64.

    Raises
    ------
    DataError
        If one lies outside 0 .. num_classes - 1; names its row in `path`.
    """
    wrong = (labels < 0) | (labels >= num_classes)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(
            f"{path}, row {row}: label must lie in 0 .. {num_classes - 1}, got {labels[row]}"
        )
    return labels.astype(np.int64)


def regular(kind: str, path: Path) -> bool:
    """Return whether `path` is a file that can be read to its end; False if there is nothing.

    Raises
    ------
    DataError
        If it is something else, such as a folder, a pipe or a device, or cannot be accessed.
    """
    try:
        if path.is_file():
            return True
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError) as error:
        raise DataError(f"{kind}: {checks.shown(str(path))} cannot be read") from error
    raise DataError(f"{kind}: {path} is not a regular file, or is a link to nothing")
