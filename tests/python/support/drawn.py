"""A small model and an input whose draws are compared."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from smoothbound.noise._noise import Noise
from smoothbound.noise._streams import Stream
from smoothbound.sampling._jobs import Draws

CLASSES = 4
X = np.array([0.5, -0.25, 1.0], dtype=np.float32)


def linear(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Linear(3, CLASSES)


def copies(n: int, sigma: float, stream: Stream, seed: int = 0, index: int = 0) -> Tensor:
    """X with the noise of its first n draws, one draw at a time."""
    noise, out = Noise("lattice", sigma, seed=seed), torch.empty(n, 3)
    point = noise.point(torch.tensor(X))[None]
    for i in range(n):
        key = (torch.tensor([number]) for number in (0, index, i, stream))
        noise.add(point, *key, out[i : i + 1])
    return out


class Recorder:
    """A callable that keeps the batches it was given and returns logits."""

    def __init__(self) -> None:
        self.batches: list[Tensor] = []

    def __call__(self, batch: Tensor) -> Tensor:
        self.batches.append(batch.clone())
        flat = batch.reshape(len(batch), -1).sum(dim=1)
        return torch.stack([flat, -flat], dim=1)


def same(one: Draws, two: Draws) -> bool:
    return (one.selected, one.top_count, one.n0) == (
        two.selected,
        two.top_count,
        two.n0,
    ) and np.array_equal(one.scores, two.scores)
