"""The common form of base classifiers that are not torch modules.

A base classifier turns a batch of noisy inputs into their outputs, tensor to tensor, on a declared
device and in a declared type. Each adapter makes such a `BaseClassifier` from a model of another
library, without a copy if the library shares memory. `smoothbound.SmoothedClassifier` calls the
adapters itself for models that it recognises by their type. A function over NumPy or JAX arrays
must be wrapped by the user, because it looks like a function over tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from smoothbound.adapters._names import Outputs

__all__ = ["BaseClassifier", "TensorModel", "as_tensor", "in_batches_of"]

TensorModel: TypeAlias = nn.Module | Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class BaseClassifier:
    """A model as the sampler calls it: a batch of inputs in, their outputs out.

    Row i of the outputs must depend on row i of the batch alone. Otherwise the draws are not
    independent.

    Attributes
    ----------
    kind : str
        Name of the kind of model, for errors.
    function : callable
        Turns a contiguous batch, shape (batch, ...), into a floating-point tensor of shape
        (batch, classes) on the same device. It must not keep a reference to its argument or result.
    device : torch.device
        Device of batches and outputs.
    dtype : torch.dtype or None
        Type that batches are cast to; None keeps the type of the inputs. The cast is part of the
        certified classifier. Inputs in float64 are refused if they would be rounded.
    outputs : {"logits", "probabilities", "raw"} or None
        Kind of outputs; None if the user must state it to the smoothed classifier.

    Examples
    --------
    A model of a library that has no adapter here:

    >>> cpu = torch.device("cpu")
    >>> model = BaseClassifier("toy", lambda x: torch.cat([x, -x], 1), cpu, torch.float32, "logits")
    >>> model(torch.tensor([[2.0]])).tolist()
    [[2.0, -2.0]]
    """

    kind: str
    function: Callable[[Tensor], Tensor]
    device: torch.device
    dtype: torch.dtype | None
    outputs: Outputs | None = None

    def __call__(self, batch: Tensor) -> Tensor:
        """Return the outputs of a batch, shape (batch, classes)."""
        return self.function(batch.to(self.dtype or batch.dtype).contiguous())


def as_tensor(array: object) -> Tensor:
    """Return an array of another library as a tensor, copied only if torch cannot share it."""
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))


def in_batches_of(
    function: Callable[[Tensor], Tensor], least: int, most: int | None
) -> Callable[[Tensor], Tensor]:
    """Return a function of any number of rows, from one that takes from `least` to `most`."""

    def call(batch: Tensor) -> Tensor:
        pieces = torch.split(batch, most or len(batch))
        return torch.cat([function(_padded(piece, least))[: len(piece)] for piece in pieces])

    return function if least <= 1 and most is None else call


def _padded(batch: Tensor, rows: int) -> Tensor:
    """Repeat the last row until there are at least `rows`."""
    missing = max(0, rows - len(batch))
    return torch.cat([batch, batch[-1:].expand(missing, *batch.shape[1:])]) if missing else batch
