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
    """Call a function in a background thread, one call after the other, in the given order.

    Parameters
    ----------
    function : callable
        The function, whose results are dropped. If it releases the interpreter's lock, as the C++
        core does, the calling thread goes on at full speed.
    waiting : int
        Largest number of calls that wait; a further call blocks until the first is done.

    Yields
    ------
    callable
        Queues a call with the arguments of `function`. If an earlier call raised an exception, the
        exception is raised here, or at the end of the ``with`` block. All calls are done at the end
        of the block, also if it ends with an exception.

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
