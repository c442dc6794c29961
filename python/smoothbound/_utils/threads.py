"""The number of CPU threads that torch computes in: its choice, and its setting for a while."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from smoothbound._utils import checks

__all__ = ["checked", "multiplications", "running_in", "suited"]

_WORTH_THREADS = 10**9  # multiplications of a batch; with fewer, threads wait for each other
_MOST = 1024


def checked(name: str, count: int) -> int:
    """Return `threads` if it is a number of threads that torch can start."""
    return checks.count(name, count, maximum=_MOST)


def suited(work: int) -> int:
    """Return the number of threads for a batch: one, unless the batch is much work.

    Threads that have little to do wait for each other. On a busy machine they wait long.

    Parameters
    ----------
    work : int
        Multiplications of the batch.

    Examples
    --------
    >>> suited(10**6)
    1
    """
    return torch.get_num_threads() if work > _WORTH_THREADS else 1


def multiplications(run: Callable[[], object]) -> int:
    """Count the multiplications in the matrix products and convolutions of torch in a call.

    Examples
    --------
    >>> multiplications(lambda: torch.ones(2, 3) @ torch.ones(3, 5))
    30
    """
    counting = _Counting()
    with counting:
        run()
    return counting.operations // 2  # a multiplication and an addition are two


class _Counting(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the work of this thread. torch's own counter watches the modules of all threads."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if count := flop_registry.get(func._overloadpacket):
            self.operations += count(*args, **(kwargs or {}), out_val=result)
        return result


_lock = threading.Lock()
_users = 0
_own = 0  # torch's setting before the first user
_nested = threading.local()


@contextmanager
def running_in(count: int | None) -> Iterator[None]:
    """Set torch's number of threads inside the `with` block; None leaves it as it is.

    The setting belongs to the whole process, so a thread that starts in the meantime begins with
    it. If several threads use this function at one time, each restores the number from before the
    first of them.
    """
    global _users, _own
    if count is None:
        yield
        return
    with _lock:
        before = torch.get_num_threads()
        if not _users:
            _own = before
        if not getattr(_nested, "depth", 0):
            before = _own
        _users += 1
    _nested.depth = getattr(_nested, "depth", 0) + 1
    _set(count)
    try:
        yield
    finally:
        _nested.depth -= 1
        _set(before)
        with _lock:
            _users -= 1


def _set(count: int) -> None:
    if count != torch.get_num_threads():  # some builds of torch warn at every setting
        torch.set_num_threads(count)
