"""Digests of networks and settings, which change with every value, name and type."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from smoothbound.errors import ModelError

__all__ = ["digest", "is_dense", "kind_of", "state_digest"]


def is_dense(value: object) -> bool:
    """Return whether a value is a tensor of plain numbers that lie in memory."""
    return (
        isinstance(value, Tensor)
        and value.layout == torch.strided
        and not (value.is_meta or value.is_quantized or torch.nn.parameter.is_lazy(value))
    )


def kind_of(value: object) -> str:
    """Describe an entry of a state_dict: type and shape of a tensor, or its class.

    Examples
    --------
    >>> kind_of(torch.zeros(2, 3)), kind_of("a"), kind_of(None)
    ('float32 (2, 3)', 'a str without dense values', 'nothing')
    """
    if value is None:
        return "nothing"
    if not (isinstance(value, Tensor) and is_dense(value)):
        return f"a {type(value).__name__} without dense values"
    return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"


def state_digest(state: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a state_dict, in hexadecimal.

    Raises
    ------
    ModelError
        If an entry has no values that could be hashed.
    """
    sha256 = hashlib.sha256()
    for name, value in state.items():
        sha256.update(f"{name} {kind_of(value)}\n".encode())
        sha256.update(_values(name, value))
    return sha256.hexdigest()


def _values(name: str, value: object) -> Any:
    if isinstance(value, Tensor) and is_dense(value):
        return value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
    buffer = io.BytesIO()
    try:
        torch.save(value, buffer)
    except Exception as error:  # objects of the user's own can raise anything
        raise ModelError(
            f"{name!r} in the network's state_dict cannot be hashed, so that the network could not "
            f"be told from another one: {error}"
        ) from error
    return buffer.getbuffer()


def digest(value: object) -> str:
    """Return the SHA-256, in hexadecimal, of nested dicts and lists of tensors and plain values.

    Examples
    --------
    >>> digest({"a": [1, 2.0]}) == digest({"a": [1, 2]})
    False
    """
    sha256 = hashlib.sha256()
    _add(sha256, value)
    return sha256.hexdigest()


def _add(sha256: Any, value: object) -> None:
    """Add a value, its type and its length, so that no two values give the same bytes."""
    if isinstance(value, Mapping):
        sha256.update(f"dict {len(value)}\n".encode())
        for key, inner in value.items():
            _add(sha256, key)
            _add(sha256, inner)
    elif isinstance(value, list | tuple):
        sha256.update(f"list {len(value)}\n".encode())
        for inner in value:
            _add(sha256, inner)
    elif isinstance(value, Tensor) and is_dense(value):
        sha256.update(f"tensor {kind_of(value)}\n".encode())
        sha256.update(_values("", value))
    else:
        plain = value.item() if isinstance(value, np.generic) else value
        text = repr(plain)
        head = f"{type(plain).__name__} {len(text)} "
        sha256.update((head + text).encode(errors="surrogatepass"))
