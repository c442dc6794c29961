"""Measurements that choose the batch size and the memory format of a model."""

from __future__ import annotations

import re
from collections.abc import Callable
from statistics import median
from time import perf_counter

import torch
from torch import Tensor

from smoothbound.errors import said

__all__ = [
    "ROUNDING",
    "Timed",
    "fastest",
    "in_format",
    "is_out_of_memory",
    "prefers_channels_last",
    "rows_per_second",
    "seconds_of",
]

Timed = Callable[[bool], tuple[float, Tensor]]
"""Runs a batch in channels-last order or not, and returns the seconds and the outputs."""

ROUNDING = 0.03
"""Largest change of outputs, relative to their scale, that counts as rounding.

It is about eight units in the last place of bfloat16 (2^-8 each), the coarsest type that a model
may compute in. Dependence of rows on each other below this cannot be distinguished from rounding.
"""

_PAIRS = 3  # pairs of batches that compare the memory formats
_MIN_GAIN = 1.1  # least relative speed of channels-last to the usual format
_MIN_DOUBLING_GAIN = 1.05  # least speed of a doubled batch, relative to the batch before
_NO_MEMORY = re.compile(
    "DefaultCPUAllocator|out of memory|not enough memory|bad_alloc|ALLOC_FAILED|"
    "nable to allocate|annot allocate memory|an't allocate memory"
)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error states that a batch does not fit in memory."""
    if isinstance(error, torch.cuda.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and bool(_NO_MEMORY.search(said(error)))


def in_format(batch: Tensor, channels_last: bool) -> Tensor:
    """Return a batch in the memory format for the model.

    The parameters of the module are not changed, because they may belong to the user. torch
    converts them to the order of the batch when it computes.
    """
    if channels_last and batch.ndim == 4:
        return batch.to(memory_format=torch.channels_last)  # even with one channel
    return batch


def fastest(speed: Callable[[int], float | None], start: int = 64, most: int = 2**14) -> int:
    """Double a batch size while the gain is 5 % or more; halve a size that does not fit in memory.

    Parameters
    ----------
    speed : callable
        Takes a batch size and returns rows per second, or None if the batch does not fit in memory.
    start, most : int
        The first size, and the largest.

    Returns
    -------
    int
        The fastest size.

    Examples
    --------
    >>> fastest(lambda size: min(size, 300) if size < 1000 else None)
    512
    >>> fastest(lambda size: size if size <= 8 else None)
    8
    """
    best = speed(start)
    while best is None and start > 1:
        start //= 2
        best = speed(start)
    size = start
    while best and size < most:
        faster = speed(2 * size)
        if faster is None or faster < _MIN_DOUBLING_GAIN * best:
            break
        best, size = faster, 2 * size
    return size


def seconds_of(run: Callable[[], object], device: torch.device) -> float:
    """Time a call, including the work that it queues on a GPU."""
    _wait(device)
    start = perf_counter()
    run()
    _wait(device)
    return perf_counter() - start


def rows_per_second(
    model: Callable[[Tensor], object], make_batch: Callable[[], Tensor], device: torch.device
) -> float | None:
    """Measure the speed of a model on one batch.

    The result is None if the batch does not fit in memory. It is 0 if the model fails in another
    way, because sampling will report that failure.
    """
    try:
        batch = make_batch()

        def run() -> None:
            for _ in range(3):
                model(batch)

        run()  # warms up
        return 3 * len(batch) / seconds_of(run, device)
    except Exception as error:
        if not is_out_of_memory(error):
            return 0.0
    torch.cuda.empty_cache()  # outside the handler, because its error keeps the memory in use
    return None


def prefers_channels_last(timed: Timed) -> bool:
    """Return whether channels-last is faster with equal outputs, from batches in both formats.

    A model that fails in one of the formats keeps the usual one. Sampling will report the failure
    if it happens again.
    """
    try:
        (_, plain), (_, last) = timed(False), timed(True)  # warms up
        scale = max(1.0, float(plain.abs().max()))
        if not float((plain - last).abs().max()) <= ROUNDING * scale:
            return False  # the model depends on the order in memory, or is random
        gains = [timed(False)[0] / timed(True)[0] for _ in range(_PAIRS)]
    except Exception:
        return False
    return median(gains) >= _MIN_GAIN


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
