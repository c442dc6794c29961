"""Devices by name."""

from __future__ import annotations

import torch

from smoothbound._utils import checks

__all__ = ["best_device", "resolved"]


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
