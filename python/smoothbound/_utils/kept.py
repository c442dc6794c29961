"""Results of a function, kept for the next call with the same arguments, up to a total size."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import wraps
from threading import Lock
from typing import Any, TypeVar

__all__ = ["kept"]

Result = TypeVar("Result")


def kept(
    *, most: int, size: Callable[..., int]
) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """Keep results like `functools.lru_cache`, but those used last whose sizes add up to `most`.

    Parameters
    ----------
    most : int
        The most that the sizes of the kept results may add up to; a larger one is not kept.
    size : callable
        The size of a result, from the arguments of the function.

    Returns
    -------
    callable
        A decorator of functions with positional, hashable arguments.  Threads may share them.

    Examples
    --------
    >>> @kept(most=10, size=lambda n: n)
    ... def numbers(n):
    ...     return list(range(n))
    >>> numbers(4) is numbers(4), numbers(11) is numbers(11)
    (True, False)
    """

    def decorate(function: Callable[..., Result]) -> Callable[..., Result]:
        results: OrderedDict[tuple[Any, ...], tuple[Result, int]] = OrderedDict()
        lock = Lock()

        @wraps(function)
        def call(*arguments: Any) -> Result:
            with lock:
                if arguments in results:
                    results.move_to_end(arguments)
                    return results[arguments][0]
            result, weight = function(*arguments), size(*arguments)
            if weight <= most:
                with lock:
                    results[arguments] = result, weight
                    while sum(each for _, each in results.values()) > most:
                        results.popitem(last=False)
            return result

        return call

    return decorate
