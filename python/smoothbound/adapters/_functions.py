"""Functions over NumPy and JAX arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.dlpack import from_dlpack

from smoothbound._utils import checks
from smoothbound._utils.devices import resolved
from smoothbound.adapters._base import BaseClassifier, as_tensor

__all__ = ["jax", "numpy"]

_FLOATS = {"float32": torch.float32, "float64": torch.float64}


def numpy(
    function: Callable[[NDArray[Any]], Any], *, dtype: Literal["float32", "float64"] = "float32"
) -> BaseClassifier:
    """Adapt a function over NumPy arrays, which runs on the CPU.

    Parameters
    ----------
    function : callable
        Turns an array of shape (batch, ...) into one of shape (batch, classes).
    dtype : {"float32", "float64"}, default "float32"
        Type of the arrays that the function gets.

    Returns
    -------
    BaseClassifier
        Its outputs are of no declared kind.

    Raises
    ------
    TypeError, ValueError
        If the function cannot be called, or `dtype` is neither of the two.

    Examples
    --------
    >>> import numpy as np
    >>> model = numpy(lambda x: np.stack([x[:, 0], -x[:, 0]], axis=1))
    >>> model(torch.tensor([[2.0, 7.0]])).tolist()
    [[2.0, -2.0]]
    """
    _check_callable("numpy", function)
    declared = _FLOATS[checks.choice("dtype", dtype, tuple(_FLOATS))]

    def call(batch: Tensor) -> Tensor:
        return as_tensor(function(batch.numpy()))

    return BaseClassifier("NumPy function", call, torch.device("cpu"), declared)


def jax(
    function: Callable[[Any], Any],
    *,
    device: torch.device | str = "cpu",
    dtype: Literal["float32", "float64"] = "float32",
) -> BaseClassifier:
    """Adapt a function over JAX arrays. Batches and outputs share memory with JAX if possible.

    Parameters
    ----------
    function : callable
        Turns an array of shape (batch, ...) into one of shape (batch, classes). For speed, bind its
        parameters and compile it with ``jax.jit``.
    device : torch.device or str, default "cpu"
        Device on which batches are made and given to JAX.
    dtype : {"float32", "float64"}, default "float32"
        Type of the arrays that the function gets; float64 needs ``jax_enable_x64``.

    Returns
    -------
    BaseClassifier
        Its outputs are of no declared kind.

    Raises
    ------
    TypeError, ValueError
        If the function cannot be called, or JAX does not compute in `dtype`.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> model = jax(lambda x: jnp.stack([x[:, 0], -x[:, 0]], axis=1))
    >>> model(torch.tensor([[2.0, 7.0]])).tolist()
    [[2.0, -2.0]]
    """
    from jax import block_until_ready, config, dlpack

    _check_callable("jax", function)
    declared = _FLOATS[checks.choice("dtype", dtype, tuple(_FLOATS))]
    if dtype == "float64" and not config.jax_enable_x64:
        raise ValueError(
            "dtype is 'float64', and JAX computes in float32 unless told otherwise: "
            "jax.config.update('jax_enable_x64', True)"
        )

    def call(batch: Tensor) -> Tensor:
        scores = function(dlpack.from_dlpack(batch))
        block_until_ready(scores)  # before the memory of the batch is written again
        return from_dlpack(scores)

    return BaseClassifier("JAX function", call, resolved(device), declared)


def _check_callable(adapter: str, function: object) -> None:
    if not callable(function):
        raise TypeError(
            f"adapters.{adapter} takes a function that turns an array of shape (batch, ...) into "
            f"one of shape (batch, classes), got {type(function).__name__}"
        )
