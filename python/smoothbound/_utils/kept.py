"""A cache of the results of a function, with a limit on their total size."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import wraps
from threading import Lock
from typing import Any, TypeVar

__all__ = ["kept"]

Result = TypeVar("Result")


class _Key:
    """The arguments of a call, whose hash takes long."""

    __slots__ = ("arguments", "hash")

    def __init__(self, arguments: tuple[Any, ...]) -> None:
        self.arguments = arguments
        self.hash = hash(arguments)

    def __hash__(self) -> int:
        return self.hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.arguments == other.arguments


def kept(
    *, most: int, size: Callable[..., int]
) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """Cache results as `functools.lru_cache` does, with a limit on their total size.

    The results that were used longest ago are dropped first.

    Parameters
    ----------
    most : int
        Limit on the total size. A result that is larger is not kept.
    size : callable
        Takes the arguments of the function and returns the size of the result.

    Returns
    -------
    callable
        A decorator of functions with positional, hashable arguments, which threads may share.

    Examples
    --------
    >>> @kept(most=10, size=lambda n: n)
    ... def numbers(n):
    ...     return list(range(n))
    >>> numbers(4) is numbers(4), numbers(11) is numbers(11)
    (True, False)
    """

    def decorate(function: Callable[..., Result]) -> Callable[..., Result]:
        results: OrderedDict[_Key, tuple[Result, int]] = OrderedDict()
        lock = Lock()

        @wraps(function)
        def call(*arguments: Any) -> Result:
            key = _Key(arguments)
            with lock:
                known = results.pop(key, None)
                if known is not None:
                    results[key] = known  # now the one that was used last
                    return known[0]
            result, weight = function(*arguments), size(*arguments)
            if weight <= most:
                with lock:
                    results[key] = result, weight
                    while sum(each for _, each in results.values()) > most:
                        results.popitem(last=False)
            return result

        return call

    return decorate
