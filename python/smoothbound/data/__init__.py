"""Labelled images by a short name, scaled to [0, 1], channels first.

==================  =================================================================
``digits``          scikit-learn's handwritten digits, 1 x 8 x 8; embedded, no download
``cifar10:DIR``     CIFAR-10 as Parquet: ``DIR/train.parquet``, ``DIR/test.parquet``, or in
                    parts, ``train-00000-of-00001.parquet``, in DIR, ``DIR/plain_text`` or
                    ``DIR/data``, with the columns ``img`` or ``image`` (struct of bytes and
                    path) and ``label``; or as its makers give it: ``cifar-10-batches-bin``, or
                    ``cifar-10-batches-py`` (pickles, of which nothing is run), in DIR or DIR
                    itself
``imagenet:DIR``    ``DIR/val`` and ``DIR/train``, or DIR, with a folder for each of the 1000
                    classes, named by its WordNet id, or by its number from 0; the shorter
                    side resized to 256, the central 224 x 224
``images:DIR``      ``DIR/test`` or ``DIR/val``, and ``DIR/train``, or DIR, with a folder for
                    each class; all images of one size, grey or RGB
``npz:FILE``        arrays ``images`` (n, channels, height, width), uint8 or float32 in
                    [0, 1], and ``labels`` (n,); one file is one split, whichever is asked
==================  =================================================================

Labels count from 0. In folders they are positions in the sorted list of the class folders, of
``DIR/train`` where it is there; folders whose names begin with a dot are no classes. Images are
JPEG, PNG, PPM, BMP, TIFF or WebP files that lie directly in their class folder.
`Dataset.summary` says what was read, and what was passed over.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from smoothbound._utils import checks
from smoothbound.data.cifar10 import cifar10
from smoothbound.data.dataset import Dataset, Images, unit_scale
from smoothbound.data.digits import digits
from smoothbound.data.folders import imagenet, images
from smoothbound.data.npz import npz
from smoothbound.errors import DataError

__all__ = ["SPECS", "SPLITS", "Dataset", "Images", "load", "unit_scale"]

SPLITS = ("train", "test")
SPECS = "digits, cifar10:DIR, imagenet:DIR, images:DIR or npz:FILE"
_FROM_PATH: dict[str, Callable[[Path, str], Dataset]] = {
    "cifar10": cifar10,
    "imagenet": imagenet,
    "images": images,
    "npz": npz,
}


def load(spec: str, split: str = "test") -> Dataset:
    """Load one split of a data set by its short name.

    Parameters
    ----------
    spec : str
        "digits", "cifar10:DIR", "imagenet:DIR", "images:DIR" or "npz:FILE"; see the top of this
        module.
    split : {"train", "test"}
        Which part.

    Raises
    ------
    ValueError, TypeError
        If `spec` or `split` is none of the above.
    DataError
        If something is missing or not in its layout; says what is expected where.

    Examples
    --------
    >>> load("digits", "train")[0][0].max()
    tensor(0.9375)
    """
    checks.choice("split", split, SPLITS)
    if not isinstance(spec, str):
        raise TypeError(f"data must be {SPECS}; got {checks.shown(spec)}")
    kind, _, path = spec.partition(":")
    if spec == "digits":
        return digits(split)
    if kind in _FROM_PATH and path:
        try:
            return _FROM_PATH[kind](_home(Path(path)), split)
        except OSError as error:  # of the folders on the way
            raise DataError(
                f"{kind}: {checks.shown(path)} cannot be read: {error.strerror}"
            ) from error
    raise ValueError(f"data must be {SPECS}; got {checks.shown(spec)}")


def _home(path: Path) -> Path:
    """Return a path with its ~ replaced, which a shell does not do after a colon."""
    with suppress(RuntimeError):  # no home folder is known
        return path.expanduser()
    return path
