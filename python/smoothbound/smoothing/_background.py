"""Work done in a thread of its own, while this one goes on."""

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
    """Call a function in one thread, one call after the other, in the order asked for.

    Parameters
    ----------
    function : callable
        What to call; its results are dropped. One that releases the interpreter's lock, as the C++
        core does, costs the thread that asks nothing.
    waiting : int
        Most calls that may wait; one more waits for the first of them.

    Yields
    ------
    callable
        Asks for a call, with the arguments of `function`. What an earlier call raised is raised
        here, or at the end. All calls are done when the ``with`` statement ends, whatever ends it.

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
