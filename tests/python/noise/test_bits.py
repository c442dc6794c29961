"""Noise has the bits of the published generator, from every implementation and in any order."""

from __future__ import annotations

import math
from bisect import bisect_right
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from forks import run_code
from hypothesis import given, settings
from hypothesis import strategies as st
from noises import KINDS, filled

from smoothbound import build_info
from smoothbound.noise import _torch as _noise_torch
from smoothbound.noise._lattice import Lattice, fine_lattice, lattice
from smoothbound.noise._noise import Noise
from smoothbound.noise._streams import MAX_INDEX, MAX_SEED, Stream

MASK = 2**32 - 1


def philox(counter: tuple[int, int, int, int], key: int) -> tuple[int, int, int, int]:
    """Philox 4x32-10 in whole numbers, as Salmon et al. 2011 define it."""
    c0, c1, c2, c3 = counter
    k0, k1 = key & MASK, key >> 32
    for _ in range(10):
        a, b = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (b >> 32) ^ c1 ^ k0, b & MASK, (a >> 32) ^ c3 ^ k1, a & MASK
        k0, k1 = (k0 + 0x9E3779B9) & MASK, (k1 + 0xBB67AE85) & MASK
    return c0, c1, c2, c3


# Random123's file of known answers: counter, key, output.
KNOWN = [
    ("00000000 " * 4, "00000000 " * 2, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff " * 4, "ffffffff " * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    (
        "243f6a88 85a308d3 13198a2e 03707344",
        "a4093822 299f31d0",
        "d16cfe09 94fdcceb 5001e420 24126ea1",
    ),
]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_published_vectors(counter: str, key: str, expected: str) -> None:
    c0, c1, c2, c3 = (int(word, 16) for word in counter.split())
    low, high = (int(word, 16) for word in key.split())
    wanted = tuple(int(word, 16) for word in expected.split())
    assert philox((c0, c1, c2, c3), high << 32 | low) == wanted
    words = [torch.tensor([word]) for word in (c0, c1, c2, c3)]
    found = _noise_torch.philox(tuple(words), high << 32 | low)
    assert tuple(int(word) for word in found) == wanted


@cache
def thresholds_of(grid: Lattice) -> list[int]:
    return [int(high) << 64 | int(low) for high, low in zip(grid.high, grid.low, strict=True)]


def lattice_steps(grid: Lattice, d: int, seed: int, index: int, draw: int, stream: int) -> Any:
    """The whole numbers K of one row, element by element."""
    thresholds = thresholds_of(grid)
    blocks = -(-d // 8)
    steps = []
    for e in range(d):
        part, block = divmod(e, blocks)
        word = philox((block, draw, index, stream), seed)[part // 2]
        digit = word >> 16 * (part % 2) & 0xFFFF
        w0, w1, _, _ = philox((e, draw, index, stream | 1 << 31), seed)
        uniform = (digit & 0x7FFF) << 64 | w1 << 32 | w0
        size = bisect_right(thresholds, uniform)  # how many are at most that
        steps.append(-size if digit >> 15 else size)
    return np.array(steps)


def normals(d: int, seed: int, index: int, draw: int, stream: int) -> Any:
    """The standard normals of one row in double precision, by the formula of Box and Muller."""
    blocks = -(-d // 4)
    found = []
    for e in range(d):
        part, block = divmod(e, blocks)
        words = philox((block, draw, index, stream), seed)
        first, second = words[part // 2 * 2 : part // 2 * 2 + 2]
        radius = math.sqrt(-2.0 * math.log(((first >> 1) + 0.5) / 2**31))
        angle = 2.0 * math.pi * second / 2**32
        found.append(radius * (math.sin(angle) if part % 2 else math.cos(angle)))
    return np.array(found)


def implementations() -> list[Any]:
    """Everything that makes noise on the CPU."""
    try:
        from smoothbound.noise import _cpp as _noise_cpp
    except ImportError as error:
        skip = pytest.mark.skip(reason=f"no C++ core: {error}")
        return [pytest.param(None, marks=skip, id="cpp"), pytest.param(_noise_torch, id="torch")]
    return [pytest.param(_noise_cpp, id="cpp"), pytest.param(_noise_torch, id="torch")]


def key_of(rows: list[int], indices: list[int], draws: list[int], streams: list[int]) -> Any:
    return _noise_torch.Key(*(torch.tensor(word) for word in (rows, indices, draws, streams)))


KEY = key_of([2, 0, 1, 2], [0, 7, MAX_INDEX, 7], [0, 1, MASK, 1], [0, 1, 1, 0])


@pytest.mark.parametrize("module", implementations())
@pytest.mark.parametrize("seed", [0, 2**63 + 5, MAX_SEED])
@pytest.mark.parametrize(("sigma", "levels"), [(0.25, 255), (0.25, 16), (8.0, 255), (0.3, None)])
@pytest.mark.parametrize("d", [1, 7, 8, 9, 50])
def test_lattice_equals_a_plain_loop(
    module: ModuleType, seed: int, sigma: float, levels: int | None, d: int
) -> None:
    grid = fine_lattice(sigma) if levels is None else lattice(sigma, levels)
    # On the fine lattice also numbers of steps that float32 does not hold.
    scale = 7_000_001 if grid.fine else 2**grid.refine
    points = torch.arange(3 * d, dtype=torch.int32).view(3, d) * scale
    for dtype in (torch.float32, torch.float64):
        out = torch.full((4, d), math.nan, dtype=dtype)
        module.add_lattice(points, KEY, out, lattice=grid, seed=seed)
        for i, (row, index, draw, stream) in enumerate(torch.stack(KEY).T.tolist()):
            steps = lattice_steps(grid, d, seed, index, draw, stream)
            exact = (points[row].numpy() + steps).astype(
                out.numpy().dtype
            ) / out.numpy().dtype.type(grid.denominator)
            np.testing.assert_array_equal(out[i].numpy(), exact)


@pytest.mark.parametrize("module", implementations())
def test_undecided_elements_equal_a_plain_loop(module: ModuleType) -> None:
    # Few thresholds that share their leading bits: nearly every element needs its further bits.
    grid = lattice(0.25, 255)
    low = np.sort(np.random.default_rng(0).integers(0, 2**64, 40, dtype=np.uint64))
    high = np.repeat(np.arange(4, dtype=np.int32) * 8000 + 300, 10)
    crowded = Lattice(255, 0, high, low.reshape(10, 4).T.ravel().copy())
    many = Lattice(255, 0, np.arange(2**15, dtype=np.int32), np.full(2**15, 2**63, np.uint64))
    points = torch.zeros((1, 3000), dtype=torch.int32)
    one = key_of([0], [3], [4], [1])
    for each in (grid, crowded):
        out = torch.empty(1, 3000)
        module.add_lattice(points, one, out, lattice=each, seed=1)
        steps = lattice_steps(each, 3000, 1, 3, 4, 1)
        np.testing.assert_array_equal((out[0] * 255).round().int().numpy(), steps)
    wide = torch.empty(1, 30_000)  # more undecided elements than a chunk of blocks
    module.add_lattice(torch.zeros((1, 30_000), dtype=torch.int32), one, wide, lattice=many, seed=1)
    steps = (wide[0] * 255).round().int().abs()
    words = [philox((e, 4, 3, 1 | 1 << 31), 1)[1] for e in range(0, 30_000, 1001)]
    digits = [philox((e % 3750, 4, 3, 1), 1)[e // 3750 // 2] for e in range(0, 30_000, 1001)]
    for j, e in enumerate(range(0, 30_000, 1001)):
        digit = digits[j] >> 16 * (e // 3750 % 2) & 0x7FFF
        assert steps[e] == digit + (words[j] >= 2**31)


@pytest.mark.parametrize("module", implementations())
@pytest.mark.parametrize("d", [1, 3, 4, 5, 50, 6000])
def test_gaussian_equals_a_plain_loop(module: ModuleType, d: int) -> None:
    generator = torch.Generator().manual_seed(0)
    for dtype in (torch.float32, torch.float64):
        points = torch.randn(3, d, generator=generator, dtype=dtype)
        out = torch.full((4, d), math.nan, dtype=dtype)
        module.add_gaussian(points, KEY, out, sigma=0.5, seed=99)
        for i, (row, index, draw, stream) in enumerate(torch.stack(KEY).T.tolist()):
            exact = points[row].double().numpy() + 0.5 * normals(d, 99, index, draw, stream)
            np.testing.assert_allclose(out[i].double().numpy(), exact, rtol=0, atol=2e-6)


def test_normals_are_as_near_to_the_formula_as_stated() -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randint(0, 2**32, (2, 1_000_000), generator=generator)
    ends = torch.arange(1000)
    first[:1000], first[1000:2000], first[2000:2002] = ends, MASK - ends, torch.tensor([0, MASK])
    second[2000:3000], second[3000:4000] = ends, MASK - ends
    radius = (-2.0 * (((first >> 1) + 0.5) / 2**31).log()).sqrt()
    angle = second.double() * (2.0 * math.pi / 2**32)
    x, y = _noise_torch._normals(first, second)
    error = torch.maximum((x - radius * angle.cos()).abs(), (y - radius * angle.sin()).abs())
    assert error.max() < 3e-4
    assert error[radius > 0.05].max() < 1e-6
    assert x.abs().max() < 6.67


keys = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.integers(0, MAX_INDEX),
        st.integers(0, MASK),
        st.sampled_from(Stream),
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=40)
@given(st.integers(0, MAX_SEED), keys, st.integers(1, 20_000), st.floats(0.01, 4.0))
def test_cpp_and_torch_make_the_same_bits(seed: int, rows: Any, d: int, sigma: float) -> None:
    _noise_cpp = pytest.importorskip("smoothbound.noise._cpp", exc_type=ImportError)
    key = _noise_torch.Key(*torch.tensor(rows).T.contiguous())
    grid = fine_lattice(sigma) if seed % 2 else lattice(sigma, 255)
    generator = torch.Generator().manual_seed(d)
    whole = torch.randint(-(2**12), 2**12, (2, d), generator=generator, dtype=torch.int32)
    for dtype in (torch.float32, torch.float64):
        real = torch.randn(2, d, generator=generator, dtype=dtype)
        one, two = torch.empty(len(rows), d, dtype=dtype), torch.empty(len(rows), d, dtype=dtype)
        for module, out in ((_noise_cpp, one), (_noise_torch, two)):
            module.add_lattice(whole, key, out, lattice=grid, seed=seed)
        assert torch.equal(one, two)
        for module, out in ((_noise_cpp, one), (_noise_torch, two)):
            module.add_gaussian(real, key, out, sigma=sigma, seed=seed)
        assert torch.equal(one, two)


@pytest.mark.parametrize("tier", ["baseline", "avx2", "avx512"])
def test_every_tier_makes_the_same_bits(tier: str) -> None:
    if not build_info()["extension"]:
        pytest.skip("no C++ core")
    code = """
import hashlib, torch
from smoothbound.noise import Noise
n = torch.arange(30)
for kind, grid in (("lattice", 255), ("lattice", None), ("gaussian", None)):
    for dtype in (torch.float32, torch.float64):
        noise, out = Noise(kind, 0.25, grid=grid), torch.empty(30, 9001, dtype=dtype)
        noise.add(noise.point(out[0].fill_(1))[None], 0 * n, n, n, 0 * n, out)
        print(hashlib.sha256(out.numpy()).hexdigest())
"""

    assert run_code(code, SMOOTHBOUND_TIER=tier) == run_code(code)


@pytest.mark.parametrize("kind", KINDS)
def test_batches_orders_shards_and_threads_do_not_matter(kind: dict[str, Any]) -> None:
    noise = Noise(**kind, sigma=0.25, seed=11)
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (3, 3, 32, 32), generator=generator) / 255
    points = torch.stack([noise.point(image) for image in images])
    key = torch.stack(
        [
            torch.randint(0, most, (100,), generator=generator)
            for most in (3, MAX_INDEX, MASK, len(Stream))
        ],
        dim=1,
    )
    whole = filled(noise, points, key)
    for size in (1, 7, 99):
        parts = [filled(noise, points, part) for part in key.split(size)]
        assert torch.equal(torch.cat(parts), whole)
    order = torch.randperm(100, generator=generator)
    assert torch.equal(filled(noise, points, key[order]), whole[order])
    shard = key[key[:, 0] == 2] * torch.tensor([0, 1, 1, 1])
    assert torch.equal(filled(noise, points[2:], shard), whole[key[:, 0] == 2])
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        assert torch.equal(filled(noise, points, key), whole)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("kind", KINDS)
def test_every_part_of_the_key_matters(kind: dict[str, Any]) -> None:
    point = torch.zeros(1, 64)
    base = [0, 5, 5, 0]
    others = [base, [0, 6, 5, 0], [0, 5, 6, 0], [0, 5, 5, 1]]
    rows = []
    for seed in (0, 1, 2**32):
        noise = Noise(**kind, sigma=0.25, seed=seed)
        rows.append(filled(noise, noise.point(point[0])[None], torch.tensor(others)))
    assert len(torch.unique(torch.cat(rows), dim=0)) == 12


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(1,), (3, 32, 32), (3, 224, 224)])
def test_cuda_makes_the_bits_of_the_cpu(kind: dict[str, Any], shape: tuple[int, ...]) -> None:
    x = torch.randint(0, 256, shape) / 255
    outs = []
    for device in ("cpu", "cuda"):
        noise = Noise(**kind, sigma=0.25, seed=MAX_SEED, device=device)
        key = [torch.arange(40, device=device) * factor for factor in (0, 7, 10**8)]
        out = torch.empty(40, *shape, device=device)
        noise.add(noise.point(x)[None], *key, key[1] % 2, out)
        outs.append(out.cpu())
    assert torch.equal(*outs)
