"""Labelled images by a short name such as "cifar10:DIR"."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from smoothbound._utils import checks
from smoothbound._utils.extras import name_the_extra
from smoothbound.data._dataset import Dataset, Images, unit_scale
from smoothbound.data._digits import digits
from smoothbound.data._folders import imagenet, images
from smoothbound.data._npz import npz
from smoothbound.data._specs import SPECS
from smoothbound.errors import DataError

__all__ = ["SPLITS", "Dataset", "Images", "load", "unit_scale"]

SPLITS = ("train", "test")


def _cifar10(path: Path, split: str) -> Dataset:
    """Import PyArrow for this data set alone; the others and training do without."""
    with name_the_extra():
        from smoothbound.data._cifar10 import cifar10
    return cifar10(path, split)


_FROM_PATH: dict[str, Callable[[Path, str], Dataset]] = {  # the names in `PLACES` with a place
    "cifar10": _cifar10,
    "imagenet": imagenet,
    "images": images,
    "npz": npz,
}


def load(spec: str, split: str = "test") -> Dataset:
    """Load one split of a data set by its short name.

    Parameters
    ----------
    spec : str
        A name in `SPECS`, such as "digits" or "cifar10:DIR"; see `smoothbound.data`.
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
        except OSError as error:  # about a folder on the way
            raise DataError(
                f"{kind}: {checks.shown(path)} cannot be read: {error.strerror}"
            ) from error
    raise ValueError(f"data must be {SPECS}; got {checks.shown(spec)}")


def _home(path: Path) -> Path:
    """Return a path with its ~ replaced, which a shell does not do after a colon."""
    with suppress(RuntimeError):  # no home folder is known
        return path.expanduser()
    return path
