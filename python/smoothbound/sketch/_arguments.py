"""Checks of the arguments of a sketch: index, edges, classes and scores."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smoothbound._utils import checks
from smoothbound.noise._kinds import Kind, stated
from smoothbound.sketch import _sigma as levels
from smoothbound.sketch._content import SketchContent, no_counts

__all__ = [
    "MAX_BINS",
    "checked_classes",
    "checked_edges",
    "checked_index",
    "checked_kept",
    "checked_tensor",
    "is_draws",
    "is_elsewhere",
    "is_stream",
    "no_draws",
]

MAX_BINS = 2**20
_MAX_INPUTS = 2**28
_ARRAYS = ("shape", "__array__", "__dlpack__", "__arrow_c_array__", "__arrow_c_stream__")
_NESTED = (list, tuple, array, bytes, bytearray, memoryview, str, dict)


def no_draws(
    index: int | ArrayLike,
    *,
    edges: int | ArrayLike,
    score_range: tuple[float, float],
    measure: str,
    selected: ArrayLike | None,
    sigma: object,
    displacement: float,
    noise: Kind | None,
) -> SketchContent:
    """Return the data of a sketch without draws, from the arguments of `ScoreSketch`."""
    ids = checked_index(index)
    at = checked_edges(edges, checks.score_range("score_range", score_range))
    if not isinstance(measure, str) or not measure:
        raise TypeError(
            f"measure must be the name of a confidence measure, got {checks.shown(measure)}"
        )
    return SketchContent(
        index=ids,
        selected=checked_classes(selected, ids.size),
        draws=np.empty((0, 3), np.int64),
        counts=no_counts(ids.size, at.size),
        edges=at,
        measure=measure,
        sigma=levels.checked(sigma, ids.size),
        displacement=checks.non_negative("displacement", displacement),
        noise=stated(noise),
    )


def checked_kept(value: Any, n_edges: int) -> NDArray[np.int64]:
    """Return positions of edges after checks: ascending, with the first and the last edge."""
    places = np.atleast_1d(checks.array("kept", value))
    if places.ndim != 1 or places.dtype.kind not in "iu":
        raise TypeError(f"kept must be whole numbers in one dimension, got {checks.shown(value)}")
    places = _whole("kept", places)
    ends = places.size > 1 and places[0] == 0 and places[-1] == n_edges - 1
    if not ends or (np.diff(places) <= 0).any():
        raise ValueError(
            f"kept must begin with 0, ascend and end with {n_edges - 1}, got {checks.shown(value)}"
        )
    return places


def checked_index(value: int | ArrayLike) -> NDArray[np.int64]:
    """Return the ids of the inputs, strictly ascending; n stands for 0 ... n - 1."""
    ids = checks.array("index", value)
    if ids.ndim == 0:
        n = checks.count("index", value if isinstance(value, int) else ids[()])
        if n > _MAX_INPUTS:
            raise ValueError(f"index must be at most {_MAX_INPUTS}, got {checks.shown(n)}")
        return np.arange(n)
    if ids.ndim != 1 or ids.dtype.kind not in "iu" or ids.size == 0:
        raise TypeError(
            "index must be a number of inputs, or their ids: whole numbers in one dimension; "
            f"got {ids.dtype} of shape {ids.shape}"
        )
    ids = _whole("index", ids)
    if (ids[1:] <= ids[:-1]).any():
        raise ValueError("index must be strictly ascending ids, each once")
    return ids


def checked_edges(value: int | ArrayLike, score_range: tuple[float, float]) -> NDArray[np.float64]:
    """Return the edges, strictly ascending from one end of the range to the other."""
    a, b = score_range
    raw = checks.array("edges", value)
    if raw.ndim == 0:
        bins = checks.count("edges", value if isinstance(value, int) else raw[()])
        if bins > MAX_BINS:
            raise ValueError(
                f"edges must make at most {MAX_BINS} intervals, got {checks.shown(bins)}"
            )
        values = np.linspace(a, b, bins + 1)
        if (values[1:] <= values[:-1]).any():
            most = max(1, int((b - a) / np.spacing(max(abs(a), abs(b)))))
            raise ValueError(
                f"edges must make at most {most} equal intervals in the score_range ({a}, {b}), "
                f"because float64 cannot represent more, got {bins}"
            )
    elif raw.ndim != 1 or raw.dtype.kind not in "fiu":
        raise TypeError(
            "edges must be a number of intervals, or numbers in one dimension; "
            f"got {raw.dtype} of shape {raw.shape}"
        )
    else:
        values = raw.astype(np.float64)
    if not 2 <= values.size <= MAX_BINS + 1:
        raise ValueError(f"edges must be 2 to {MAX_BINS + 1} numbers, got {values.size}")
    wrong = ~(values[1:] > values[:-1])
    if wrong.any():
        j = int(np.argmax(wrong))
        raise ValueError(
            "edges must be strictly ascending; "
            f"got edges[{j}] = {values[j]} before edges[{j + 1}] = {values[j + 1]}"
        )
    if values[0] != a or values[-1] != b:
        raise ValueError(
            f"edges must begin and end with score_range, {a} and {b}; "
            f"got {values[0]} and {values[-1]}"
        )
    return values


def checked_classes(value: ArrayLike | None, n: int) -> NDArray[np.int64]:
    """Return the class of each of the n inputs; -1 if none is stated."""
    if value is None:
        return np.full(n, -1, np.int64)
    classes = np.atleast_1d(checks.array("selected", value))
    if classes.shape != (n,) or classes.dtype.kind not in "iu":
        raise TypeError(
            f"selected must be a class for each of the {n} inputs, whole numbers; "
            f"got {classes.dtype} of shape {classes.shape}"
        )
    classes = _whole("selected", classes)
    if (classes < -1).any():
        raise ValueError(
            f"selected must be classes from 0 on, or -1 if none is stated; got {classes.min()}"
        )
    return classes


def is_elsewhere(scores: Any) -> bool:
    """Whether the scores are a torch tensor that the host cannot read in place."""
    is_tensor = type(scores).__module__.partition(".")[0] == "torch"
    return is_tensor and scores.device.type != "cpu"


def is_draws(scores: Any) -> bool:
    """Whether the scores are `Draws` of a sampler, checked without importing their module."""
    return hasattr(scores, "scores") and hasattr(scores, "first_draw")


def is_stream(scores: Any) -> bool:
    """Whether the scores are an iterable of arrays, and not an array."""
    if isinstance(scores, Iterator):
        return True
    is_array = any(hasattr(scores, name) for name in _ARRAYS)
    return isinstance(scores, Iterable) and not is_array and not isinstance(scores, _NESTED)


def checked_tensor(scores: Any) -> Any:
    """Return a tensor after checks that it is a table of floats."""
    if not scores.dtype.is_floating_point:
        raise TypeError(f"scores must be floats, got {scores.dtype}")
    if scores.ndim != 2 or scores.shape[1] == 0:
        raise ValueError(
            f"scores must have the shape (n_inputs, n_draws), got {tuple(scores.shape)}"
        )
    return scores


def _whole(name: str, values: NDArray[Any]) -> NDArray[np.int64]:
    most = int(values.max(initial=0))
    if most > np.iinfo(np.int64).max:
        raise ValueError(f"{name} must be below 2^63, got {most}")
    return values.astype(np.int64)
