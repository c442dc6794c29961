"""Coverage and mean size of prediction sets."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smoothbound._utils import checks

__all__ = ["checked_labels", "coverage", "mean_set_size"]


def coverage(sets: ArrayLike, labels: ArrayLike) -> float:
    """Return the share of inputs whose set holds the label.

    Parameters
    ----------
    sets : array_like of bool, shape (n_inputs, n_classes)
        Sets of `predict_set`: whether each class is in the set.
    labels : array_like of int, shape (n_inputs,)
        The true classes, from 0.

    Returns
    -------
    float
        The share, in [0, 1].

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or shape, or is out of range.

    Examples
    --------
    >>> coverage([[True, False], [True, True], [False, True]], [0, 1, 0])
    0.6666666666666666
    """
    held = _checked(sets)
    classes = checked_labels(labels, *held.shape)
    return float(held[np.arange(len(held)), classes].mean())


def mean_set_size(sets: ArrayLike) -> float:
    """Return the mean number of classes in a set.

    Parameters
    ----------
    sets : array_like of bool, shape (n_inputs, n_classes)
        Sets of `predict_set`.

    Returns
    -------
    float
        The mean, in [0, n_classes].

    Raises
    ------
    TypeError, ValueError
        If `sets` has the wrong type or shape.

    Examples
    --------
    >>> mean_set_size([[True, False], [True, True]])
    1.5
    """
    return float(_checked(sets).sum(axis=1).mean())


def checked_labels(labels: ArrayLike, n_inputs: int, n_classes: int) -> NDArray[np.int64]:
    """Return `labels` as a vector after checks that there is one class for each input."""
    classes = checks.positions("labels", labels)
    if classes.size != n_inputs:
        raise ValueError(
            f"labels must hold one class for each of {n_inputs} inputs, got {classes.size}"
        )
    if (outside := (classes < 0) | (classes >= n_classes)).any():
        i = int(outside.argmax())
        raise ValueError(
            f"labels must lie between 0 and {n_classes - 1}, the last of the classes of scores, "
            f"got labels[{i}] = {classes[i]}"
        )
    return classes


def _checked(sets: ArrayLike) -> NDArray[np.bool_]:
    held = checks.array("sets", sets)
    if held.dtype != np.bool_:
        raise TypeError(f"sets must be booleans like those of predict_set, got {held.dtype}")
    if held.ndim != 2 or not held.size:
        raise ValueError(
            f"sets must have the shape (n_inputs, n_classes), both above 0, got {held.shape}"
        )
    return held
