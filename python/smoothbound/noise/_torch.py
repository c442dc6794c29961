"""Noise in torch operations: slow, with the same bits on every device.

The kernels of the other files must make the same bits. Words of 32 bits are kept in int64, whose
products wrap around modulo 2^64.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from smoothbound.noise._lattice import Lattice

__all__ = ["Key", "add_gaussian", "add_lattice", "philox"]

_WORD = 2**32 - 1


class Key(NamedTuple):
    """The identity of the draw in each row of a batch: four int64 tensors of shape (batch,)."""

    rows: Tensor
    indices: Tensor
    draws: Tensor
    streams: Tensor


# Float32 polynomials, from the constant upwards, interpolated at Chebyshev points:
# log(1 + f) = f + f^2 LOG(f) for sqrt(1/2) <= 1 + f <= sqrt(2), to 6e-8 relative;
# sin g = g + g^3 SINE(g^2) and cos g = 1 - g^2 / 2 + g^4 COSINE(g^2) for |g| <= pi / 4, to 1e-8.
LOG = (
    *map(float.fromhex, ("-0x1.fffffep-2", "0x1.555638p-2", "-0x1.000304p-2", "0x1.9906dep-3")),
    *map(float.fromhex, ("-0x1.53baa8p-3", "0x1.2fd2c8p-3", "-0x1.22057ep-3", "0x1.67f774p-4")),
)
SINE = tuple(map(float.fromhex, ("-0x1.555552p-3", "0x1.110c28p-7", "-0x1.9ac98ep-13")))
COSINE = tuple(map(float.fromhex, ("0x1.555554p-5", "-0x1.6c12d2p-10", "0x1.9bd880p-16")))
LN2 = float.fromhex("0x1.62e430p-1")
TURN = float.fromhex("0x1.921fb6p-30")  # 2 pi / 2^32
ROOT_HALF = 0x3F3504F3  # bits of sqrt(1/2) in float32


def philox(counter: tuple[Tensor, ...], seed: int) -> tuple[Tensor, ...]:
    """Return the four output words of Philox 4x32-10 (Salmon et al. 2011) as int64.

    The counter has four words, which are broadcast.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = seed & _WORD, seed >> 32
    for _ in range(10):
        p0, p1 = c0 * 0xD2511F53, c2 * 0xCD9E8D57
        c0, c1 = ((p1 >> 32) & _WORD) ^ c1 ^ k0, p1 & _WORD
        c2, c3 = ((p0 >> 32) & _WORD) ^ c3 ^ k1, p0 & _WORD
        k0, k1 = (k0 + 0x9E3779B9) & _WORD, (k1 + 0xBB67AE85) & _WORD
    return c0, c1, c2, c3


def _check(points: Tensor, key: Key) -> None:
    """Refuse numbers out of range, only on the CPU, where a check is cheap."""
    if points.device.type != "cpu":
        return
    ends = (len(points), 2**31, 2**32, 2**31)
    for name, numbers, end in zip(key._fields, key, ends, strict=True):
        low, high = (int(value) for value in numbers.aminmax())
        if low < 0 or high >= end:
            raise ValueError(f"{name} must be at least 0 and below {end}, got {low} to {high}")


def _words(d: int, per_block: int, seed: int, key: Key) -> tuple[Tensor, ...]:
    """Return the words of all blocks of each row, four tensors of shape (rows, blocks)."""
    _, indices, draws, streams = (number[:, None] for number in key)
    block = torch.arange(-(-d // per_block), device=draws.device) + 0 * draws
    return philox((block, draws, indices, streams), seed)


def add_lattice(points: Tensor, key: Key, out: Tensor, *, lattice: Lattice, seed: int) -> None:
    """Fill out[i] with its point plus rounded Gaussian noise, divided by the steps of one unit.

    `points` (k, d) int32, `out` (batch, d); see `smoothbound.noise.Noise.add`.
    """
    _check(points, key)
    d = points.shape[1]
    words = _words(d, 8, seed, key)
    digit = torch.cat([part for word in words for part in (word & 0xFFFF, word >> 16)], dim=1)
    digit = digit[:, :d]
    high = torch.from_numpy(lattice.high.copy()).to(out.device)
    size = digit & 0x7FFF
    steps = torch.searchsorted(high, size)
    at, element = torch.nonzero(torch.searchsorted(high, size, right=True) > steps, as_tuple=True)
    further = philox((element, key.draws[at], key.indices[at], key.streams[at] | 1 << 31), seed)
    steps[at, element] = _reached(lattice, size[at, element], further[0] | further[1] << 32)
    steps = torch.where(digit < 1 << 15, steps, -steps)
    # A tensor on the device, because torch may multiply by the reciprocal of a plain number.
    denominator = torch.full((), lattice.denominator, dtype=out.dtype, device=out.device)
    out.copy_((points[key.rows] + steps).to(out.dtype) / denominator)


def _reached(lattice: Lattice, high: Tensor, low: Tensor) -> Tensor:
    """Count the thresholds that high * 2^64 + low reaches; `low` is unsigned."""
    highs = torch.from_numpy(lattice.high.copy()).to(high.device)
    lows = torch.from_numpy(lattice.low.view("int64").copy()).to(high.device) ^ -(2**63)
    low = low ^ -(2**63)  # unsigned order as signed order
    count = torch.zeros_like(high)
    for bit in reversed(range(lattice.largest.bit_length())):
        probe = count + (1 << bit)
        last = (probe - 1).clamp(max=lattice.largest - 1)
        reached = (highs[last] < high) | ((highs[last] == high) & (lows[last] <= low))
        count = torch.where((probe <= lattice.largest) & reached, probe, count)
    return count


def add_gaussian(points: Tensor, key: Key, out: Tensor, *, sigma: float, seed: int) -> None:
    """Fill out[i] with its point plus Gaussian noise: float32 normals by Box and Muller.

    `points` (k, d) of the type of `out` (batch, d); see `smoothbound.noise.Noise.add`.
    """
    _check(points, key)
    d = points.shape[1]
    words = _words(d, 4, seed, key)
    normals = torch.cat([*_normals(*words[:2]), *_normals(*words[2:])], dim=1)[:, :d]
    out.copy_(points[key.rows] + torch.tensor(sigma, dtype=out.dtype) * normals.to(out.dtype))


def _normals(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Turn pairs of words into pairs of standard normals (Box & Muller 1958) in float32.

    The order of operations is fixed and none is fused: additions, products, square roots and
    conversions that IEEE 754 rounds to the nearest give the same bits everywhere.
    """
    uniform = ((first >> 1).float() + 0.5) * 2.0**-31
    bits = uniform.view(torch.int32)
    exponent = (bits - ROOT_HALF) >> 23
    f = (bits - (exponent << 23)).view(torch.float32) - 1.0
    log = exponent.float() * LN2 + (f + f * f * _polynomial(LOG, f))
    # torch's float32 square root is not always rounded to the nearest. The float64 root rounds to
    # the nearest float32, because no root of a float32 is near enough to a tie.
    radius = (-2.0 * log).double().sqrt().float()

    quarter = (second + (1 << 29)) >> 30  # of a turn, 0 to 4
    g = (second - (quarter << 30)).float() * TURN
    square = g * g
    sine = g + g * square * _polynomial(SINE, square)
    cosine = (1.0 - 0.5 * square) + square * square * _polynomial(COSINE, square)
    swap = (quarter & 1) == 1
    x, y = torch.where(swap, sine, cosine), torch.where(swap, cosine, sine)
    x = torch.where(((quarter + 1) & 2) == 2, -x, x)
    y = torch.where((quarter & 2) == 2, -y, y)
    return radius * x, radius * y


def _polynomial(coefficients: tuple[float, ...], x: Tensor) -> Tensor:
    value = torch.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        value = value * x + coefficient
    return value
