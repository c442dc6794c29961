"""Noise on the CPU, by the C++ core. The functions are those of `_torch`."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

import smoothbound._core as _core
from smoothbound.noise._lattice import Lattice
from smoothbound.noise._torch import Key

__all__ = ["add_gaussian", "add_lattice"]

_ELEMENTS_PER_THREAD = 2**17  # with fewer elements, starting a thread takes longer than its work


@lru_cache(maxsize=64)  # a megabyte each, because inputs may have levels of their own
def _prepared(lattice: Lattice) -> _core.LatticeNoise:
    return _core.LatticeNoise(lattice.high, lattice.low, lattice.denominator)


def add_lattice(points: Tensor, key: Key, out: Tensor, *, lattice: Lattice, seed: int) -> None:
    """Fill out[i] with its point plus rounded Gaussian noise, as multiples of the step."""
    arrays = (tensor.detach().numpy() for tensor in (points, *key, out))
    _prepared(lattice).add(*arrays, seed=seed, threads=_threads(out))


def add_gaussian(points: Tensor, key: Key, out: Tensor, *, sigma: float, seed: int) -> None:
    """Fill out[i] with its point plus Gaussian noise."""
    arrays = (tensor.detach().numpy() for tensor in (points, *key, out))
    _core.add_gaussian(*arrays, sigma=sigma, seed=seed, threads=_threads(out))


def _threads(out: Tensor) -> int:
    return min(torch.get_num_threads(), 1 + out.numel() // _ELEMENTS_PER_THREAD)
