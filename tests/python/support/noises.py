"""Each kind of noise, and arrays filled with it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from smoothbound.noise._noise import Noise

KINDS: list[dict[str, Any]] = [
    {"kind": "lattice", "grid": 255},
    {"kind": "lattice"},
    {"kind": "gaussian"},
]


def filled(noise: Noise, points: Tensor, key: Tensor) -> Tensor:
    """What `add` makes of the columns (row, index, draw, stream) of a key."""
    out = torch.empty(len(key), *points.shape[1:])
    rows, indices, draws, streams = (column.contiguous() for column in key.T)
    noise.add(points, rows, indices, draws, streams, out)
    return out


def arguments(**changed: Any) -> list[Any]:
    four = torch.zeros(4, dtype=torch.int64)
    named = {"points": torch.zeros(2, 3), "rows": four, "indices": four, "draws": four}
    return list((named | {"streams": four, "out": torch.zeros(4, 3)} | changed).values())
