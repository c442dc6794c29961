"""Noise on CUDA, as Triton kernels, with the functions and the bits of `_torch`.

Each program makes some blocks of one row. No operation may be fused or approximate. Fusion is
therefore off, and division and square root are the versions that round to the nearest.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import triton
import triton.language as tl
from torch import Tensor

from smoothbound.noise._lattice import Lattice
from smoothbound.noise._torch import COSINE, LN2, LOG, ROOT_HALF, SINE, TURN, Key

__all__ = ["EXACT", "add_gaussian", "add_lattice", "try_out"]

EXACT = {"enable_fp_fusion": False}  # options of the compiler

_WIDTH = 256  # blocks of a row that one program makes

_LOG = tl.constexpr(LOG)
_SINE = tl.constexpr(SINE)
_COSINE = tl.constexpr(COSINE)
_LN2 = tl.constexpr(LN2)
_TURN = tl.constexpr(TURN)
_ROOT_HALF = tl.constexpr(ROOT_HALF)


def try_out(device: torch.device) -> None:
    """Make one number, so that missing requirements of Triton show before a run."""
    zero = torch.zeros(1, dtype=torch.int64, device=device)
    out = torch.zeros((1, 1), device=device)
    add_gaussian(out, Key(zero, zero, zero, zero), out.clone(), sigma=1.0, seed=0)


def add_lattice(points: Tensor, key: Key, out: Tensor, *, lattice: Lattice, seed: int) -> None:
    """Fill out[i] with its point plus rounded Gaussian noise, as multiples of the step."""
    high, low = _thresholds(lattice, out.device)
    size = points.shape[1]
    chunks = triton.cdiv(triton.cdiv(size, 8), _WIDTH)
    steps = torch.full((1,), lattice.denominator, dtype=out.dtype, device=out.device)
    with torch.cuda.device_of(out):
        _lattice[(len(out) * chunks,)](
            points,
            *key,
            out,
            high,
            low,
            steps,
            size,
            chunks,
            lattice.largest,
            seed,
            BITS=lattice.largest.bit_length(),
            WIDTH=_WIDTH,
            **EXACT,
        )


@lru_cache(maxsize=64)  # a megabyte each, and inputs may have levels of their own
def _thresholds(lattice: Lattice, device: torch.device) -> tuple[Tensor, Tensor]:
    high, low = lattice.high.copy(), lattice.low.view("int64").copy()
    return torch.from_numpy(high).to(device), torch.from_numpy(low).to(device)


def add_gaussian(points: Tensor, key: Key, out: Tensor, *, sigma: float, seed: int) -> None:
    """Fill out[i] with its point plus Gaussian noise."""
    size = points.shape[1]
    chunks = triton.cdiv(triton.cdiv(size, 4), _WIDTH)
    scale = torch.full((1,), sigma, dtype=out.dtype, device=out.device)
    with torch.cuda.device_of(out):
        _gaussian[(len(out) * chunks,)](
            points, *key, out, scale, size, chunks, seed, WIDTH=_WIDTH, **EXACT
        )


# Kernels have many parameters, because the oldest Triton that is supported (3.0, of torch 2.4)
# passes pointers and numbers one by one, and no tuples.
@triton.jit(do_not_specialize=["size", "chunks", "largest", "seed"])
def _lattice(
    points,
    rows,
    indices,
    draws,
    streams,
    out,
    high,
    low,
    steps,
    size,
    chunks,
    largest,
    seed,
    BITS: tl.constexpr,
    WIDTH: tl.constexpr,
):
    row = tl.program_id(0) // chunks
    block = tl.program_id(0) % chunks * WIDTH + tl.arange(0, WIDTH)
    blocks = (size + 7) // 8
    point = points + tl.load(rows + row) * size
    target = out + row.to(tl.int64) * size
    draw = tl.load(draws + row).to(tl.uint32)
    index = tl.load(indices + row).to(tl.uint32)
    stream = tl.load(streams + row).to(tl.uint32)
    w0, w1, w2, w3 = tl.philox(seed, block.to(tl.uint32), draw, index, stream)
    further = stream | tl.full((), 1 << 31, tl.uint32)
    denominator = tl.load(steps)
    for part in range(8):  # not unrolled: eight copies would not fit the instruction cache
        word = tl.where(part < 4, tl.where(part < 2, w0, w1), tl.where(part < 6, w2, w3))
        digit = ((word >> (16 * (part % 2))) & 0xFFFF).to(tl.int32)
        element = part * blocks + block
        inside = (block < blocks) & (element < size)
        # 64 further bits. The CPU makes them only if the leading bits do not decide.
        f0, f1, _, _ = tl.philox(seed, element.to(tl.uint32), draw, index, further)
        rest = f0.to(tl.uint64) | (f1.to(tl.uint64) << 32)
        count = _reached(high, low, largest, digit & 0x7FFF, rest, BITS)
        number = tl.load(point + element, mask=inside, other=0)
        number += tl.where(digit < 0x8000, count, -count)
        if out.dtype.element_ty == tl.float64:
            value = number.to(tl.float64) / denominator
        else:
            value = tl.div_rn(number.to(tl.float32), denominator)
        tl.store(target + element, value, mask=inside)


@triton.jit
def _reached(high, low, largest, leading, rest, BITS: tl.constexpr):
    """Count the thresholds that leading * 2^64 + rest reaches, by halving."""
    count = tl.zeros_like(leading)
    for bit in tl.static_range(BITS):
        probe = count + (1 << (BITS - 1 - bit))
        place = tl.minimum(probe, largest) - 1
        upper = tl.load(high + place)
        lower = tl.load(low + place).to(tl.uint64, bitcast=True)
        reached = (upper < leading) | ((upper == leading) & (lower <= rest))
        count = tl.where((probe <= largest) & reached, probe, count)
    return count


@triton.jit(do_not_specialize=["size", "chunks", "seed"])
def _gaussian(
    points, rows, indices, draws, streams, out, scale, size, chunks, seed, WIDTH: tl.constexpr
):
    row = tl.program_id(0) // chunks
    block = tl.program_id(0) % chunks * WIDTH + tl.arange(0, WIDTH)
    blocks = (size + 3) // 4
    point = points + tl.load(rows + row) * size
    target = out + row.to(tl.int64) * size
    draw = tl.load(draws + row).to(tl.uint32)
    index = tl.load(indices + row).to(tl.uint32)
    stream = tl.load(streams + row).to(tl.uint32)
    w0, w1, w2, w3 = tl.philox(seed, block.to(tl.uint32), draw, index, stream)
    x0, x1 = _normals(w0, w1)
    x2, x3 = _normals(w2, w3)
    sigma = tl.load(scale)
    for part in tl.static_range(4):
        if part == 0:
            normal = x0
        elif part == 1:
            normal = x1
        elif part == 2:
            normal = x2
        else:
            normal = x3
        element = part * blocks + block
        inside = (block < blocks) & (element < size)
        number = tl.load(point + element, mask=inside, other=0)
        tl.store(target + element, number + sigma * normal.to(sigma.dtype), mask=inside)


@triton.jit
def _normals(first, second):
    """Turn pairs of words into pairs of standard normals, as `_torch._normals` does."""
    uniform = ((first >> 1).to(tl.int32).to(tl.float32) + 0.5) * 4.656612873077393e-10
    bits = uniform.to(tl.int32, bitcast=True)
    exponent = (bits - _ROOT_HALF) >> 23
    f = (bits - (exponent << 23)).to(tl.float32, bitcast=True) - 1.0
    p = _LOG[7] * f + _LOG[6]
    p = p * f + _LOG[5]
    p = p * f + _LOG[4]
    p = p * f + _LOG[3]
    p = p * f + _LOG[2]
    p = p * f + _LOG[1]
    p = p * f + _LOG[0]
    log = exponent.to(tl.float32) * _LN2 + (f + f * f * p)
    radius = tl.sqrt_rn(-2.0 * log)

    quarter = (second + tl.full((), 1 << 29, tl.uint32)) >> 30
    g = (second - (quarter << 30)).to(tl.int32, bitcast=True).to(tl.float32) * _TURN
    square = g * g
    s = (_SINE[2] * square + _SINE[1]) * square + _SINE[0]
    sine = g + g * square * s
    c = (_COSINE[2] * square + _COSINE[1]) * square + _COSINE[0]
    cosine = (1.0 - 0.5 * square) + square * square * c
    swap = (quarter & 1) == 1
    across = tl.where(swap, sine, cosine)
    up = tl.where(swap, cosine, sine)
    across = tl.where(((quarter + 1) & 2) == 2, -across, across)
    up = tl.where((quarter & 2) == 2, -up, up)
    return radius * across, radius * up
