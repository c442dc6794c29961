"""Devices by name, the way of numbers to them, and TF32 on CUDA."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor

from smoothbound._utils import checks

__all__ = ["best_device", "resolved", "sent", "tensor_float"]

_T = TypeVar("_T")


def resolved(device: torch.device | str) -> torch.device:
    """Return a device with its index, "cuda" as the "cuda:0" that it means.

    Raises
    ------
    ValueError
        If there is no such device here.

    Examples
    --------
    >>> resolved("cpu")
    device(type='cpu')
    """
    try:
        found = torch.empty(0, device=device).device
    except Exception as error:  # torch raises many types, AssertionError among them
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f"device must be one that torch can use here, such as 'cpu', got "
            f"{checks.shown(device)}: {reason}"
        ) from None
    return found


def best_device(device: torch.device | str | None = None) -> torch.device:
    """Return `device` if it can be used; for None, CUDA if there is such a device, or else the CPU.

    Raises
    ------
    ValueError, TypeError
        If there is no such device on this machine, or it is no device.

    Examples
    --------
    >>> best_device("cpu")
    device(type='cpu')
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return resolved(device)


def sent(numbers: Tensor, device: torch.device) -> Tensor:
    """Return numbers on a device; a GPU gets them in their turn, and the host does not wait.

    The numbers may change afterwards, because the GPU reads a copy of them.

    Examples
    --------
    >>> sent(torch.arange(3), torch.device("cpu"))
    tensor([0, 1, 2])
    """
    if device.type != "cuda" or numbers.device.type != "cpu":
        return numbers.to(device)
    # torch keeps page-locked memory until the copies from it are done.
    copy = torch.empty(numbers.shape, dtype=numbers.dtype, pin_memory=True).copy_(numbers)
    return copy.to(device, non_blocking=True)


@contextmanager
def tensor_float(allowed: bool) -> Iterator[None]:
    """Allow or forbid TF32 in float32 matrix products and convolutions on CUDA.

    From torch 2.9 on there are newer switches beside the older ones. The older ones alone do not
    overrule a newer one that stands for all operations, and torch refuses to read them if the two
    disagree. Both are therefore set here, and both are restored.
    """
    cuda, cudnn, cpu = torch.backends.cuda, torch.backends.cudnn, torch.backends.mkldnn
    owners = [(cuda, "matmul"), (cudnn, "conv"), (cudnn, "rnn"), (cpu, "matmul")]
    touched: list[Any] = [getattr(owner, part, None) for owner, part in owners]
    touched = [part for part in touched if hasattr(part, "fp32_precision")]
    newer = touched[:3]  # the older switches change that of the CPU too
    before = [part.fp32_precision for part in touched]
    products = _readable(torch.get_float32_matmul_precision)
    convolutions = _readable(lambda: cudnn.allow_tf32)
    torch.set_float32_matmul_precision("high" if allowed else "highest")
    cudnn.allow_tf32 = allowed
    for part in newer:
        part.fp32_precision = "tf32" if allowed else "ieee"
    try:
        yield
    finally:
        if products is not None:
            torch.set_float32_matmul_precision(products)
        if convolutions is not None:
            cudnn.allow_tf32 = convolutions
        for part, precision in zip(touched, before, strict=True):
            part.fp32_precision = precision


def _readable(read: Callable[[], _T]) -> _T | None:
    """Return the value of an older switch; None if torch refuses to read it."""
    try:
        return read()
    except RuntimeError:
        return None
