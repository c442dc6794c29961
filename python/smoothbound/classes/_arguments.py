"""The classes and edges that are counted: defaults, and checks of arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smoothbound._utils import checks
from smoothbound.scores._arrays import as_scores
from smoothbound.sketch._arguments import checked_edges

__all__ = [
    "MAX_BINS",
    "MOST_CLASSES",
    "Names",
    "among",
    "checked_edges_of_classes",
    "checked_names",
    "checked_reach",
    "checked_scores",
    "default_edges",
    "merged_reach",
    "names_to_count",
]

Names = Literal["all"] | tuple[int, ...]

MAX_BINS = 2**13  # cells are numbered in 16 bits, and there are about two for each interval
MOST_CLASSES = 2**24
_EQUAL = 2**10  # equal intervals
_SMALLEST = -16  # exponent of the narrowest interval


def default_edges() -> NDArray[np.float64]:
    """Return 1024 equal intervals of [0, 1], the first and the last cut by halves down to 2^-16.

    Most classes have scores close to 0, and the selected class often has scores close to 1. The
    narrow intervals there give tight bounds on such scores, and take few cells. Every edge is a
    float32.

    Returns
    -------
    ndarray of float64, shape (1037,)

    Examples
    --------
    >>> edges = default_edges()
    >>> edges[:8].tolist() == [0, 2**-16, 2**-15, 2**-14, 2**-13, 2**-12, 2**-11, 2**-10]
    True
    >>> bool((edges == 1 - edges[::-1]).all()), 0.5 in edges
    (True, True)
    """
    equal = np.arange(_EQUAL + 1) / _EQUAL
    halves = 2.0 ** np.arange(_SMALLEST, np.log2(equal[1]))
    return np.sort(np.concatenate([equal, halves, 1.0 - halves]))


def checked_names(name: str, value: Any) -> Names:
    """Return "all", or the numbers of the classes in the given order without repetition."""
    if isinstance(value, str):
        if value != "all":
            raise ValueError(f"{name} must be 'all' or numbers of classes, got {value!r}")
        return "all"
    ids = checks.array(name, value)
    if ids.ndim != 1 or ids.size == 0 or ids.dtype.kind not in "iu":
        raise TypeError(
            f"{name} must be 'all' or numbers of classes, such as [0, 3], got {checks.shown(value)}"
        )
    numbers = tuple(ids.tolist())
    if min(numbers) < 0 or max(numbers) >= MOST_CLASSES:
        raise ValueError(f"{name} must be numbers of classes from 0 on, got {checks.shown(value)}")
    if len(set(numbers)) < len(numbers):
        twice = next(one for one in numbers if numbers.count(one) > 1)
        raise ValueError(f"{name} must name each class once, got {twice} more than once")
    return numbers


def names_to_count(classes: Any, index: NDArray[np.int64]) -> Names | None:
    """Return the classes to count in the draws of inputs with these ids; None if there are none.

    Raises
    ------
    TypeError, ValueError
        If `classes` is neither "all" nor numbers of classes, or if two inputs have the same id.
    """
    if classes is None:
        return None
    ids, times = np.unique(index, return_counts=True)
    if (times > 1).any():
        raise ValueError(
            "index must name each input once if classes are counted, because a ClassSketch knows "
            f"inputs by their index; got {ids[times > 1][0]} more than once"
        )
    return checked_names("classes", classes)


def among(name: str, classes: Names, n_classes: int) -> NDArray[np.int64]:
    """Return the numbers of classes of a model that has `n_classes`.

    Raises
    ------
    ValueError
        If the model lacks one of them.
    """
    if classes == "all":
        return np.arange(n_classes)
    if wrong := [one for one in classes if one >= n_classes]:
        raise ValueError(
            f"{name} must be among the {n_classes} classes of the model, 0 to {n_classes - 1}, "
            f"got {wrong[0]}"
        )
    return np.array(classes, np.int64)


def checked_edges_of_classes(value: int | ArrayLike | None) -> NDArray[np.float64]:
    """Return edges from 0 to 1; None stands for the default edges."""
    if value is None:
        return default_edges()
    edges = checked_edges(value, (0.0, 1.0))
    if edges.size > MAX_BINS + 1:
        raise ValueError(f"edges must make at most {MAX_BINS} intervals, got {edges.size - 1}")
    return edges


def checked_scores(scores: Any) -> NDArray[np.floating]:
    """Return scores as an array of floats of shape (n_inputs, n_draws, n_classes)."""
    shape = tuple(getattr(scores, "shape", ())) or np.shape(scores)
    if len(shape) != 3 or 0 in shape:
        raise ValueError(
            f"scores must have the shape (n_inputs, n_draws, n_classes), got {shape}; for one "
            "input pass scores[None]"
        )
    flat = scores if hasattr(scores, "reshape") else checks.array("scores", scores)
    return as_scores(flat.reshape(shape[0] * shape[1], shape[2])).reshape(shape)


def checked_reach(
    value: ArrayLike | None, n_inputs: int, known: NDArray[np.float64] | None = None
) -> NDArray[np.float64] | None:
    """Return the distance within which sigma is constant for each input; None if it is unlimited.

    Parameters
    ----------
    value : array-like or None
        The argument `constant_within`; None stands for the recorded distances.
    n_inputs : int
    known : ndarray of float64, shape (n_inputs,), or None
        The recorded distances, which given ones must equal.

    Raises
    ------
    TypeError, ValueError
        If there is no valid distance for each input, or it differs from the recorded one.
    """
    if value is None:
        return known
    found = checks.distances("constant_within", value, n_inputs)
    if known is not None:
        for i in np.flatnonzero(found != known)[:1]:
            raise ValueError(
                f"constant_within must be left out or equal that of the sketch, {known[i]} in row "
                f"{i}, got {found[i]}"
            )
    return None if np.isinf(found).all() else found


def merged_reach(
    parts: Sequence[tuple[NDArray[np.float64] | None, NDArray[np.int64]]], index: NDArray[np.int64]
) -> NDArray[np.float64] | None:
    """Return the distances of the inputs of several sketches; None if all are unlimited.

    Parameters
    ----------
    parts : sequence of (ndarray of float64 or None, ndarray of int64)
        The distances of each sketch, and the ids of its inputs.
    index : ndarray of int64
        All ids, ascending.

    Raises
    ------
    ValueError
        If an input has different distances in two sketches.
    """
    made = np.full(index.size, np.nan)
    for reach, ids in parts:
        own = np.full(ids.size, np.inf) if reach is None else reach
        rows = np.searchsorted(index, ids)
        for i in np.flatnonzero(~np.isnan(made[rows]) & (made[rows] != own))[:1]:
            raise ValueError(
                f"cannot merge these sketches: constant_within of input {ids[i]} is "
                f"{made[rows][i]} in one and {own[i]} in the other"
            )
        made[rows] = own
    return None if np.isinf(made).all() else made
