"""Checks of the arguments that name classes, edges and scores."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smoothbound._utils import checks
from smoothbound.classes._edges import MAX_BINS, default_edges
from smoothbound.scores._arrays import as_scores
from smoothbound.sketch._arguments import checked_edges

__all__ = ["Classes", "among", "checked_edges_of_classes", "checked_names", "checked_scores"]

Classes = Literal["all"] | ArrayLike

_MOST_CLASSES = 2**24


def checked_names(name: str, value: Any) -> Literal["all"] | tuple[int, ...]:
    """Return "all", or the numbers of classes, each once, in the order in which they were given."""
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
    if min(numbers) < 0 or max(numbers) >= _MOST_CLASSES:
        raise ValueError(f"{name} must be numbers of classes from 0 on, got {checks.shown(value)}")
    if len(set(numbers)) < len(numbers):
        twice = next(one for one in numbers if numbers.count(one) > 1)
        raise ValueError(f"{name} must name each class once, got {twice} more than once")
    return numbers


def among(
    name: str, classes: Literal["all"] | tuple[int, ...], n_classes: int
) -> NDArray[np.int64]:
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
    """Return edges from 0 to 1; None stands for the default ones."""
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
    flat = scores if hasattr(scores, "reshape") else np.asarray(scores)
    return as_scores(flat.reshape(shape[0] * shape[1], shape[2])).reshape(shape)
