"""Old names of public functions, attributes and arguments: they still work, and they warn."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

__all__ = ["formerly", "renamed"]

_P = ParamSpec("_P")
_R = TypeVar("_R")


def formerly(old: str, new: str) -> Any:
    """Return a property that gives an attribute or a method its old name too.

    Examples
    --------
    >>> class Row:
    ...     index = 3
    ...     number = formerly("number", "index")
    >>> with warnings.catch_warnings(record=True, action="always") as caught:
    ...     Row().number
    3
    >>> [str(warning.message) for warning in caught]
    ['number is now called index']
    """

    def read(owner: Any) -> Any:
        _warn(old, new)
        return getattr(owner, new)

    return property(read, doc=f"The old name of `{new}`.")


def renamed(**new_names: str) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Return a decorator that lets keyword arguments be passed by their old names too.

    Examples
    --------
    >>> @renamed(size="length")
    ... def double(length):
    ...     return 2 * length
    >>> with warnings.catch_warnings(action="ignore"):
    ...     double(size=3)
    6
    """

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R]:
        @wraps(function)
        def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            for old in new_names.keys() & kwargs.keys():
                new = new_names[old]
                if new in kwargs:
                    raise TypeError(f"{old} is now called {new}: give one of the two")
                _warn(old, new)
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return call

    return decorate


def _warn(old: str, new: str) -> None:
    warnings.warn(f"{old} is now called {new}", DeprecationWarning, stacklevel=3)
