"""Calls of a function in a background thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

__all__ = ["in_background"]


@contextmanager
def in_background(
    function: Callable[..., object], *, waiting: int = 8
) -> Iterator[Callable[..., None]]:
    """Call a function in a background thread. The calls are made in order, one after the other.

    Parameters
    ----------
    function : callable
        The function, whose results are ignored. If it releases the GIL, as the C++ core does, the
        calling thread is not slowed down.
    waiting : int
        Largest number of calls that wait. Another call blocks until the first of them is done.

    Yields
    ------
    callable
        A function that queues a call with the arguments of `function`. If an earlier call raised an
        exception, it is raised here or at the end of the ``with`` block. All calls are done at the
        end of the block, even if the block ends with an exception.

    Examples
    --------
    >>> seen = []
    >>> with in_background(seen.append) as append:
    ...     for i in range(5):
    ...         append(i)
    >>> seen
    [0, 1, 2, 3, 4]
    """
    pending: deque[Future[Any]] = deque()
    with ThreadPoolExecutor(1) as pool:

        def ask(*arguments: Any) -> None:
            while pending and (pending[0].done() or len(pending) >= waiting):
                pending.popleft().result()
            pending.append(pool.submit(function, *arguments))

        yield ask
        for call in pending:
            call.result()
