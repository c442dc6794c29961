"""Inputs as tensors, their indices, and the check that noise can be added to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from smoothbound.noise._streams import MAX_INDEX

__all__ = ["check_inputs", "in_bytes", "indices_of", "name_of", "tensor_of"]


def tensor_of(x: NDArray[np.floating] | Tensor) -> Tensor:
    """Return an input as a tensor. An array may have any strides and byte order, and is copied."""
    if isinstance(x, Tensor):
        return x.detach()
    return torch.tensor(np.ascontiguousarray(x, dtype=x.dtype.newbyteorder("=")).reshape(x.shape))


def name_of(dtype: np.dtype[Any] | torch.dtype) -> str:
    """Return the common name of a type in NumPy and torch, such as "float32"."""
    return str(dtype).removeprefix("torch.") if isinstance(dtype, torch.dtype) else dtype.name


def check_inputs(x: object, computes: torch.dtype | str | None) -> None:
    """Refuse one input, or a stack of inputs, that noise cannot be added to.

    Parameters
    ----------
    x : object
        The argument of the user.
    computes : torch.dtype, str or None
        Type in which the model computes; None if it is not known.

    Raises
    ------
    TypeError
        If x is not a dense array of float32 or float64, or is float64 and the model rounds it.
    ValueError
        If x is empty or not finite.
    """
    if not isinstance(x, np.ndarray | Tensor):
        raise TypeError(
            f"x must be a NumPy array or a torch tensor, got {type(x).__name__}; torch.stack "
            "makes one of a list of images, such as [dataset[i][0] for i in range(100)]"
        )
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError("x must not have a mask: fill the masked places with x.filled(value)")
    if isinstance(x, Tensor) and (x.is_nested or x.layout is not torch.strided):
        raise TypeError(f"x must be a dense tensor, got layout {x.layout}: pass x.to_dense()")
    if isinstance(x, Tensor) and x.is_meta:
        raise TypeError("x must hold numbers, got a tensor on the device 'meta'")
    dtype = name_of(x.dtype)
    if dtype not in ("float32", "float64"):
        raise TypeError(
            f"x must be float32 or float64, got {dtype}: integers need the scaling that the "
            "model was trained with, and half precision is too coarse for Gaussian noise"
        )
    if dtype == "float64" and computes not in (None, torch.float64):
        raise TypeError(
            f"x is float64 and the model computes in {computes}: pass x as float32, so that "
            "the certified input is the one that the model sees"
        )
    if 0 in x.shape:
        raise ValueError(f"x is empty: its shape is {tuple(x.shape)}")
    finite = np.isfinite(x) if isinstance(x, np.ndarray) else torch.isfinite(x)
    if not bool(finite.all()):
        raise ValueError("x must be finite, got NaN or infinity in it")


def indices_of(index: Sequence[int] | NDArray[np.integer] | None, inputs: int) -> NDArray[np.int64]:
    """Return the indices of the inputs after checks."""
    try:
        indices = np.arange(inputs) if index is None else np.asarray(index)
    except (ValueError, TypeError, RuntimeError) as error:  # ragged, or a tensor with gradients
        raise TypeError(
            f"index must be {inputs} whole numbers, one for each input: {error}"
        ) from None
    if indices.dtype.kind not in "iu" or indices.shape != (inputs,):
        raise ValueError(
            f"index must be {inputs} whole numbers, one for each input; got shape {indices.shape} "
            f"of {indices.dtype}"
        )
    if indices.min() < 0 or indices.max() > MAX_INDEX:
        raise ValueError(
            f"index must lie between 0 and {MAX_INDEX}, got {indices.min()} to {indices.max()}"
        )
    return indices.astype(np.int64)


def in_bytes(x: NDArray[np.floating] | Tensor) -> bool:
    """Return whether the first input looks like an 8-bit image that was not scaled.

    Inputs that look standardised do not indicate a mistake, because sigma is in their units.
    """
    first = tensor_of(x[0, ...])
    image = first.ndim >= 2 and float(first.min()) >= 0.0 and 127.0 < float(first.max()) <= 255.0
    return image and bool((first == first.round()).all())
