"""Checks of arguments. Each error names the argument, the value received and the values allowed."""

from __future__ import annotations

import math
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from numbers import Integral, Real
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smoothbound.errors import said

__all__ = [
    "SUM_TOLERANCE",
    "alpha",
    "array",
    "choice",
    "count",
    "distances",
    "first_outside",
    "flag",
    "floats",
    "function",
    "instance",
    "items",
    "levels",
    "non_negative",
    "number",
    "numbers",
    "optional",
    "path",
    "paths",
    "positions",
    "positive",
    "probability",
    "radii",
    "refuse_booleans",
    "remark_on_alpha",
    "score_range",
    "share_of_alpha",
    "shown",
    "thresholds",
    "tuple_of_radii",
    "tuple_of_thresholds",
    "vector",
]

Kind = TypeVar("Kind")
Called = TypeVar("Called", bound=Callable[..., Any])
Word = TypeVar("Word", bound=str)

# As in the core (options.hpp): below these, rounding margins of subnormal numbers would be larger
# than the numbers. Shares of alpha, such as alpha / 2, are still above the core's limit.
LEAST_ALPHA, LEAST_WIDTH = 1e-300, 1e-300

_PLAIN_NUMBERS = {float, int, np.float64, np.int64}
_PACKAGE = __name__.partition(".")[0]

SUM_TOLERANCE = 4e-3
"""Largest distance from 1 of the sum of a row of stated probabilities.

Rounding to bfloat16 moves the sum by up to half of this.
"""


def shown(value: object) -> str:
    """Return what an error shows of a value: its repr, cut where it is long."""
    try:
        text = repr(value)
    except Exception:  # an int of too many digits, or an object whose repr fails
        return f"a {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:60]}... ({len(text)} characters)"


def number(name: str, value: object) -> float:
    """Return `value` as a float if it is a real number."""
    if type(value) is float:  # the most common case; isinstance with Real is slow
        return value
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {shown(value)} ({type(value).__name__})")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{name} must be a finite number, got {shown(value)}") from None


def positive(name: str, value: object) -> float:
    """Return `value` as a float if it is positive and finite."""
    real = number(name, value)
    if not (0.0 < real < math.inf):
        raise ValueError(f"{name} must be positive and finite, got {shown(value)}")
    return real


def non_negative(name: str, value: object) -> float:
    """Return `value` as a float if it is at least 0 and finite."""
    real = number(name, value)
    if not (0.0 <= real < math.inf):
        raise ValueError(f"{name} must be at least 0 and finite, got {shown(value)}")
    return real


def probability(name: str, value: object) -> float:
    """Return `value` as a float if it lies strictly between 0 and 1."""
    real = number(name, value)
    if not 0.0 < real < 1.0:
        raise ValueError(f"{name} must lie strictly between 0 and 1, got {shown(value)}")
    return real


def alpha(name: str, value: object) -> float:
    """Return `value` as a float if it is a failure probability that can be computed with."""
    number = share_of_alpha(name, value)
    if number < LEAST_ALPHA:
        raise ValueError(f"{name} must be at least {LEAST_ALPHA!r}, got {shown(value)}")
    return number


def share_of_alpha(name: str, value: object) -> float:
    """Return `value` as a float if it is a failure probability, of any size above 0.

    If it looks like a confidence level, the caller of the function that checks it is warned.
    """
    number = probability(name, value)
    if remark := remark_on_alpha(number):
        _warn_caller(remark)
    return number


def remark_on_alpha(alpha: float) -> str:
    """Return a sentence on an alpha that looks like a confidence level; empty for any other.

    Examples
    --------
    >>> remark_on_alpha(0.95).partition(": ")[0], remark_on_alpha(0.05)
    ('alpha=0.95', '')
    """
    if not 0.5 <= alpha < 1:
        return ""
    return (
        f"alpha={alpha!r}: alpha is the probability that a certificate is false; for a confidence "
        "of 95 % take alpha=0.05"
    )


def _warn_caller(message: str) -> None:
    """Warn if the function that checks an argument was called from outside this package.

    So there is one warning for a call, although the functions that it calls check their arguments
    too. The frames between the two functions that `_passes_on` knows do not count.
    """
    frame: FrameType | None = sys._getframe(1)
    modules: list[str] = []
    level = 1
    while frame is not None and len(modules) < 2:
        module = frame.f_globals.get("__name__") or ""
        if not _passes_on(module, frame.f_code.co_filename):
            modules.append(module)
        frame, level = frame.f_back, level + 1
    if not any(map(_is_own, modules[1:])):
        warnings.warn(message, UserWarning, stacklevel=level)


def _passes_on(module: str, file: str) -> bool:
    """Whether a frame is of a check, a decorator, or how a dataclass is made or replaced."""
    generated = _is_own(module) and file == "<string>"
    borrowed = module in ("contextlib", "dataclasses")
    return generated or borrowed or module.startswith(f"{_PACKAGE}._utils.")


def _is_own(module: str) -> bool:
    return module.partition(".")[0] == _PACKAGE


def count(name: str, value: object, minimum: int = 1, maximum: int | None = None) -> int:
    """Return `value` as an int if it is a whole number from `minimum` to `maximum`."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        got = f"{shown(value)} ({type(value).__name__})"
        raise TypeError(f"{name} must be a whole number, got {got}")
    number = int(value)
    if number < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {shown(value)}")
    if maximum is not None and number > maximum:
        raise ValueError(f"{name} must be at most {maximum}, got {shown(value)}")
    return number


def flag(name: str, value: object) -> bool:
    """Return `value` if it is True or False."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, got {shown(value)}")
    return bool(value)


def choice(name: str, value: object, allowed: Sequence[Word]) -> Word:
    """Return `value` if it is one of the `allowed` words."""
    if isinstance(value, str):
        for word in allowed:
            if word == value:
                return word
    words = ", ".join(repr(word) for word in allowed)
    raise ValueError(f"{name} must be one of {words}; got {shown(value)}")


def instance(name: str, value: object, kind: type[Kind]) -> Kind:
    """Return `value` if it is of a class."""
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be {_a(kind)}, got {shown(value)}")
    return value


def optional(name: str, value: object, kind: type[Kind]) -> Kind | None:
    """Return `value` if it is None or of a class."""
    return None if value is None else instance(name, value, kind)


def function(name: str, value: Called) -> Called:
    """Return `value` if it can be called."""
    if not callable(value):
        raise TypeError(f"{name} must be a function, got {shown(value)}")
    return value


def items(name: str, values: object, kind: type[Kind], least: int = 0) -> list[Kind]:
    """Return `values` as a list if they are a sequence of `least` objects of a class or more."""
    if not isinstance(values, Sequence) or isinstance(values, str | bytes):
        raise TypeError(f"{name} must be a list, each item {_a(kind)}, got {shown(values)}")
    if len(values) < least:
        raise ValueError(f"{name} must have at least {least} of {_a(kind)}, got {len(values)}")
    return [instance(f"{name}[{i}]", value, kind) for i, value in enumerate(values)]


def _a(kind: type) -> str:
    return f"{'an' if kind.__name__[0] in 'AEIOaeio' else 'a'} {kind.__name__}"


def path(name: str, value: object) -> Path:
    """Return `value` as a Path if it is the name of a file."""
    try:
        text = os.fspath(value)  # type: ignore[call-overload]
    except Exception:  # no path, or one whose method fails
        text = None
    if not isinstance(text, str):
        raise TypeError(f"{name} must be a str or a Path, got {shown(value)}")
    if not text:  # Path would take it for the current folder
        raise ValueError(f"{name} must not be empty; '.' is the current folder")
    return Path(text)


def paths(name: str, values: object) -> list[Path]:
    """Return `values` as a list of Paths if they are a sequence of names of files."""
    if not isinstance(values, Sequence) or isinstance(values, str | bytes):
        raise TypeError(f"{name} must be a list of paths, got {shown(values)}")
    return [path(f"{name}[{i}]", value) for i, value in enumerate(values)]


def array(name: str, values: object) -> NDArray[Any]:
    """Return `values` as an array if NumPy can convert them without a loss."""
    if np.ma.is_masked(values):  # NumPy would drop the mask
        raise ValueError(f"{name} must not be masked; leave out the masked numbers yourself")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            made = np.asarray(values)
    except Exception as error:  # objects can raise anything when NumPy asks for their numbers
        raise TypeError(f"{name} must be an array of numbers: {said(error)}") from error
    if made.dtype.kind in "fiu":
        refuse_booleans(name, values)
    return made


def refuse_booleans(name: str, values: object) -> None:
    """Refuse a list in which True or False is among numbers, because NumPy takes them for 1 and 0.

    Examples
    --------
    >>> refuse_booleans("values", [[0.0, 0.5], [0.0, True]])
    Traceback (most recent call last):
    TypeError: values must be numbers, got values[1][1] = True
    """
    for place, value in _booleans(values):
        raise TypeError(f"{name} must be numbers, got {name}{place} = {shown(value)}")


def _booleans(values: object) -> Iterator[tuple[str, object]]:
    """Yield the booleans in a list or tuple, and in those that it holds, with their places."""
    if not isinstance(values, list | tuple) or _PLAIN_NUMBERS.issuperset(map(type, values)):
        return
    for i, value in enumerate(values):
        if isinstance(value, bool | np.bool_) or getattr(value, "dtype", None) == np.bool_:
            yield f"[{i}]", value
        yield from ((f"[{i}]{place}", found) for place, found in _booleans(value))


def numbers(name: str, values: object) -> NDArray[np.float64]:
    """Return `values` as a float64 array of any shape if they are real numbers."""
    raw = array(name, values)
    if raw.dtype.kind not in "fiu" and raw.size:
        raise TypeError(f"{name} must be numbers, got {raw.dtype} of shape {raw.shape}")
    return raw.astype(np.float64)


def positions(name: str, values: object) -> NDArray[np.int64]:
    """Return `values` as an int64 vector if they are whole numbers that int64 holds."""
    raw = array(name, values)
    if raw.ndim != 1 or (raw.size and raw.dtype.kind not in "iu"):
        raise TypeError(
            f"{name} must be whole numbers in one dimension, got shape {raw.shape} of {raw.dtype}"
        )
    return raw.astype(np.int64, copy=False)


def vector(name: str, values: object) -> NDArray[np.float64]:
    """Return `values` as a float64 vector if they are real numbers, or a single one."""
    raw = array(name, values)
    if raw.ndim == 0:
        raw = raw[None]
    if raw.ndim != 1 or (raw.size and raw.dtype.kind not in "fiu"):
        raise TypeError(
            f"{name} must be numbers in one dimension, got shape {raw.shape} of {raw.dtype}"
        )
    return raw.astype(np.float64)


def _one_for_each(name: str, values: object, n_inputs: int) -> NDArray[np.float64]:
    found = vector(name, values)
    if found.size != n_inputs:
        raise ValueError(
            f"{name} must have one number for each of the {n_inputs} inputs, got {found.size}"
        )
    return found


def levels(name: str, values: object, n_inputs: int) -> NDArray[np.float64] | None:
    """Return a noise level for each input, if all are positive and finite; None for a single one.

    Examples
    --------
    >>> levels("sigma", [0.25, 0.5], 2), levels("sigma", 0.25, 2)
    (array([0.25, 0.5 ]), None)
    """
    if values is None or type(values) is float or array(name, values).ndim == 0:
        return None
    found = _one_for_each(name, values, n_inputs)
    for i in np.flatnonzero(~((found > 0.0) & np.isfinite(found)))[:1]:
        raise ValueError(f"{name} must be positive and finite, got {name}[{i}] = {found[i]}")
    return found


def distances(name: str, values: object, n_inputs: int) -> NDArray[np.float64]:
    """Return a distance for each input, if all are at least 0; a single one is that of all."""
    if array(name, values).ndim == 0:
        values = np.full(n_inputs, number(name, values))
    found = _one_for_each(name, values, n_inputs)
    for i in np.flatnonzero(~(found >= 0.0))[:1]:
        raise ValueError(f"{name} must be at least 0, got {name}[{i}] = {found[i]}")
    return found


def _is_exact(value: object) -> bool:
    """Whether `value` is a float of Python, or an int that a float holds."""
    return type(value) is float or (type(value) is int and abs(value) <= 2**53)


def floats(name: str, values: ArrayLike) -> tuple[float, ...]:
    """Return `values` as a tuple if they are real numbers in one dimension, or a single one."""
    if isinstance(values, tuple | list):  # the most common case, for which NumPy is slow
        plain = tuple(float(one) for one in values if _is_exact(one))
        if len(plain) == len(values):
            return plain
    return tuple(vector(name, values).tolist())


def radii(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """Return `values` as a float64 vector if all are finite and non-negative."""
    return np.array(tuple_of_radii(name, values), np.float64)


def tuple_of_radii(name: str, values: ArrayLike) -> tuple[float, ...]:
    """Return `values` as a tuple if all are finite and non-negative."""
    found = floats(name, values)
    for i, radius in enumerate(found):
        if not 0.0 <= radius < math.inf:
            raise ValueError(
                f"{name} must be finite and >= 0 (in the units of the input, as sigma), "
                f"got {name}[{i}] = {radius}"
            )
    return found


def score_range(name: str, value: object) -> tuple[float, float]:
    """Return `value` as (a, b) if both are finite and a < b."""
    if isinstance(value, np.ndarray) and value.ndim == 1:
        value = tuple(value)
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:
        raise TypeError(f"{name} must be a pair (a, b), got {shown(value)}")
    a, b = number(f"{name}[0]", value[0]), number(f"{name}[1]", value[1])
    if not (math.isfinite(a) and math.isfinite(b) and a < b and math.isfinite(b - a)):
        raise ValueError(f"{name} must be finite with a < b, got ({a}, {b})")
    if b - a < LEAST_WIDTH:
        raise ValueError(f"{name} must be at least {LEAST_WIDTH!r} wide, got ({a}, {b})")
    return a, b


def thresholds(
    name: str, values: ArrayLike, score_range: tuple[float, float]
) -> NDArray[np.float64]:
    """Return `values` as a float64 vector if all lie strictly inside `score_range`."""
    return np.array(tuple_of_thresholds(name, values, score_range), np.float64)


def tuple_of_thresholds(
    name: str, values: ArrayLike, score_range: tuple[float, float]
) -> tuple[float, ...]:
    """Return `values` as a tuple if all lie strictly inside `score_range`."""
    found = floats(name, values)
    a, b = score_range
    for i, threshold in enumerate(found):
        if not a < threshold < b:
            raise ValueError(
                f"{name} must lie strictly inside the range of the scores ({a}, {b}), "
                f"got {name}[{i}] = {threshold}"
            )
    return found


def first_outside(values: NDArray[np.float64], a: float, b: float) -> int:
    """Return the position of the first value that is NaN or outside [a, b].

    Examples
    --------
    >>> first_outside(np.array([0.5, np.nan, 2.0]), 0.0, 1.0)
    1
    """
    return int(np.argmax(~((values >= a) & (values <= b))))
