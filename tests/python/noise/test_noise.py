"""Noise: the published generator, the same bits from everything that makes it, and Gaussian."""

from __future__ import annotations

import json
import math
import sys
from bisect import bisect_right
from fractions import Fraction
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from forks import run_code
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from smoothbound import build_info
from smoothbound.noise import _noise
from smoothbound.noise import _torch as _noise_torch
from smoothbound.noise._kinds import CAVEAT, DEFAULT, Kind
from smoothbound.noise._lattice import Lattice, fine_lattice, lattice
from smoothbound.noise._noise import Noise
from smoothbound.noise._record import NoiseRecord
from smoothbound.noise._streams import MAX_INDEX, MAX_SEED, Stream, check_index

MASK = 2**32 - 1


# --- the generator -----------------------------------------------------------------------------


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


# --- plain loops -------------------------------------------------------------------------------


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


# --- noise belongs to the input --------------------------------------------------------------


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


@pytest.mark.parametrize("kind", KINDS)
def test_neighbouring_streams_are_uncorrelated(kind: dict[str, Any]) -> None:
    m = 20_000
    noise = Noise(**kind, sigma=0.25)
    key = [[0, e, r, s] for e in range(3) for r in range(3) for s in Stream]
    rows = filled(noise, noise.point(torch.zeros(m))[None], torch.tensor(key)).double()
    off_diagonal = torch.corrcoef(rows) - torch.eye(len(rows), dtype=torch.float64)
    assert off_diagonal.abs().max() < 5.5 / math.sqrt(m)  # 153 pairs, 5.5 standard errors
    halves = torch.corrcoef(rows.view(2 * len(rows), -1)) - torch.eye(2 * len(rows))
    assert halves.abs().max() < 5.5 / math.sqrt(m / 2)  # blocks of one draw, among themselves


# --- and is Gaussian ---------------------------------------------------------------------------


def sample(m: int, **arguments: Any) -> Tensor:
    noise = Noise(**arguments)
    key = torch.tensor([[0, 3, draw, 1] for draw in range(m // 10_000)])
    return filled(noise, noise.point(torch.zeros(10_000))[None], key).double().flatten()


@pytest.mark.parametrize("kind", KINDS)
def test_moments_and_tails(kind: dict[str, Any]) -> None:
    m = 2_000_000
    z = sample(m, **kind, sigma=0.25, seed=3) / 0.25
    steps = 63.75 if "grid" in kind else 2**13  # in sigma
    rounding = 1 / (12 * steps**2) if kind["kind"] == "lattice" else 0.0
    for power, expected, variance in ((1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)):
        mean = float((z**power).mean())
        assert abs(mean - expected - power // 2 * rounding) < 5 * math.sqrt(variance / m)
    for cut in (3.0, 4.0, 4.5):
        place = (math.floor(cut * steps) + 0.5) / steps if rounding else cut
        tail = 0.5 * math.erfc(place / math.sqrt(2))
        for side in (z > place, z < -place):
            assert abs(float(side.double().mean()) - tail) < 5 * math.sqrt(tail / m)


def test_whole_steps_have_the_stated_probabilities() -> None:
    m, levels, sigma = 2_000_000, 16, 0.25
    grid = lattice(sigma, levels)
    steps = (sample(m, kind="lattice", sigma=sigma, grid=levels) * grid.denominator).round()
    seen = torch.bincount((steps + grid.largest).long(), minlength=2 * grid.largest + 1).numpy()
    edges = (np.arange(-grid.largest, grid.largest) + 0.5) / (sigma * grid.denominator)
    expected = m * np.diff(stats.norm.cdf(edges), prepend=0.0, append=1.0)
    usual = expected > 20
    seen = np.append(seen[usual], seen[~usual].sum())
    expected = np.append(expected[usual], expected[~usual].sum())
    assert stats.chisquare(seen, expected * (m / expected.sum())).pvalue > 1e-3


def test_gaussian_numbers_pass_a_test_of_their_distribution() -> None:
    z = sample(200_000, kind="gaussian", sigma=2.0, seed=5).numpy() / 2.0
    assert stats.kstest(z, "norm").pvalue > 1e-3
    pairs = z.reshape(-1, 4, 2500)  # the four normals of a block
    assert np.abs(np.corrcoef((pairs**2).transpose(1, 0, 2).reshape(4, -1))[0, 1:]).max() < 0.025


# --- points on the grid ------------------------------------------------------------------------


@pytest.mark.parametrize("levels", [1, 16, 255, 1000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_points_come_back_from_the_grid_as_they_were(levels: int, dtype: torch.dtype) -> None:
    # Thresholds that are never reached: no noise, so what is left is the way there and back.
    noise = Noise("lattice", 0.25, grid=levels)
    assert noise.lattice is not None
    x = torch.arange(-levels, 2 * levels + 1).to(dtype) / levels
    for image in (x, x.view(-1, 1), torch.arange(-levels, 2 * levels + 1).to(dtype) * (1 / levels)):
        numbers = noise.point(image)
        assert numbers.dtype == torch.int32
        assert torch.equal(numbers.flatten().to(dtype) / noise.lattice.denominator, x)


@settings(max_examples=50)
@given(
    st.floats(0.01, 10.0),
    st.lists(st.floats(-1e5, 1e5, width=32), min_size=1, max_size=20),
    st.booleans(),
)
def test_inputs_on_no_grid_are_placed_within_the_displacement(
    sigma: float, values: list[float], wide: bool
) -> None:
    noise = Noise("lattice", sigma)
    x = torch.tensor(values, dtype=torch.float64 if wide else torch.float32) * min(sigma, 1.0)
    spacing = Fraction(sigma) / 2**13
    off = [
        Fraction(value) - number * spacing
        for value, number in zip(x.tolist(), noise.point(x).tolist(), strict=True)
    ]
    bound = Fraction(noise.displacement(len(values)))
    assert sum(one * one for one in off) <= bound * bound
    assert bound <= Fraction(1.00001) * spacing / 2 * Fraction(math.sqrt(len(values)))


def test_points_of_the_fine_lattice_come_back_close() -> None:
    x = torch.linspace(-300, 300, 10_001)
    noise = Noise("lattice", 0.3)
    assert noise.lattice is not None
    back = noise.point(x).float() / torch.tensor(noise.lattice.denominator, dtype=torch.float32)
    assert (back - x).abs().max() <= 0.3 / 2**14 + 300 * 2**-22


@pytest.mark.parametrize("value", [1e5, -1e30, 3e38])
def test_inputs_beyond_the_fine_lattice_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match=r"x must lie within .* of 0 .*subtract a constant"):
        Noise("lattice", 0.25).point(torch.tensor([value]))


@pytest.mark.parametrize(
    ("x", "grid"),
    [
        (torch.arange(256) / 255, 255),
        (torch.arange(17) / 16, 16),
        (torch.arange(256) * (1 / 255), 255),
        (torch.rand(100, generator=torch.Generator().manual_seed(0)), None),
        (torch.zeros(100), None),
        (torch.arange(256) / 25.5, None),
    ],
)
def test_images_on_a_grid_that_was_not_stated_are_noticed(x: Tensor, grid: int | None) -> None:
    assert Noise("lattice", 0.25).common_grid(x) == grid
    assert Noise("lattice", 0.25, grid=255).common_grid(x) is None
    assert Noise("gaussian", 0.25).common_grid(x) is None


def test_gaussian_points_are_the_input() -> None:
    x = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    point = Noise("gaussian", 1.0).point(x)
    assert torch.equal(point, x)
    assert not point.requires_grad


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        ([0.5], TypeError, "x must be a tensor of float32 or float64, got list"),
        (torch.ones(3, dtype=torch.uint8), TypeError, "got torch.uint8"),
        (torch.ones(3, dtype=torch.float16), TypeError, "got torch.float16"),
        (torch.ones(0, 3), ValueError, r"x is empty: its shape is \(0, 3\)"),
        (torch.tensor([0.0, math.nan]), ValueError, "must be finite"),
        (
            torch.tensor([[1.0, 0.5], [0.25, 0.0]]),
            ValueError,
            r"multiples of 1/255, and 2 of 4 elements do not, the first 0.5 = 127.5/255\. Pass x "
            r"before normalisation, state another grid, or leave grid out",
        ),
        (torch.tensor([128 / 255 + 1e-6]), ValueError, "1 of 1 elements do not"),
        (torch.tensor([70_000.0]), ValueError, r"within 65790.* of 0, got 70000: beyond, float32"),
    ],
)
def test_point_refuses(x: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Noise("lattice", 0.25, grid=255).point(x)


# --- what is refused ---------------------------------------------------------------------------


def test_the_default_kind_is_sound() -> None:
    assert DEFAULT == "lattice"
    assert Noise(DEFAULT, 0.25).describe().caveat is None


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"kind": "uniform"}, ValueError, "noise must be one of 'lattice', 'gaussian'"),
        ({"sigma": 0.0}, ValueError, "sigma must be positive"),
        ({"seed": -1}, ValueError, "seed must be at least 0"),
        ({"seed": 2**64}, ValueError, "seed must be at most"),
        ({"seed": 0.0}, TypeError, "seed must be a whole number"),
        ({"grid": 255}, ValueError, "grid=255 is for noise='lattice'"),
    ],
)
def test_noise_refuses(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Noise(**({"kind": "gaussian", "sigma": 1.0} | arguments))


@pytest.mark.parametrize(
    ("index", "error", "message"),
    [
        (-1, ValueError, "index must be at least 0"),
        (2**31, ValueError, "index must be at most"),
        (True, TypeError, "index must be a whole number"),
    ],
)
def test_check_index(index: Any, error: type[Exception], message: str) -> None:
    assert check_index(MAX_INDEX) == MAX_INDEX
    with pytest.raises(error, match=message):
        check_index(index)


def arguments(**changed: Any) -> list[Any]:
    four = torch.zeros(4, dtype=torch.int64)
    named = {"points": torch.zeros(2, 3), "rows": four, "indices": four, "draws": four}
    return list((named | {"streams": four, "out": torch.zeros(4, 3)} | changed).values())


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"points": torch.zeros(2, 3, dtype=torch.int32)}, TypeError, "points must be as point"),
        ({"points": torch.zeros(2, 3).double()}, TypeError, "points must be as point"),
        ({"points": torch.zeros(2, 4)}, ValueError, r"one shape, got shapes \(2, 4\) and \(4, 3\)"),
        ({"points": torch.tensor(0.0)}, ValueError, "stacks of inputs"),
        ({"points": torch.zeros(2, 3, device="meta")}, ValueError, "points must be .* on cpu"),
        ({"points": torch.zeros(0, 3)}, ValueError, "rows must be at least 0 and below"),
        (
            {"rows": torch.zeros(3, dtype=torch.int64)},
            TypeError,
            r"rows must be int64 of shape \(4",
        ),
        ({"draws": torch.zeros(4)}, TypeError, "draws must be int64"),
        ({"rows": torch.tensor([0, 2, 0, 0])}, ValueError, "rows must be .* got 2"),
        ({"rows": torch.tensor([0, -1, 0, 0])}, ValueError, "rows must be .* got -1"),
        ({"indices": torch.tensor([0, 2**31, 0, 0])}, ValueError, "indices must be"),
        ({"draws": torch.tensor([0, 2**32, 0, 0])}, ValueError, "draws must be"),
        ({"draws": torch.tensor([0, -1, 0, 0])}, ValueError, "draws must be"),
        ({"streams": torch.tensor([0, 2**31, 0, 0])}, ValueError, "streams must be"),
        ({"out": torch.zeros(3, 4).T}, ValueError, "out must be contiguous"),
        ({"out": torch.zeros(4, 3).half()}, TypeError, "out float32 or float64"),
    ],
)
def test_add_refuses(changed: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Noise("gaussian", 1.0).add(*arguments(**changed))


def test_the_old_name_of_the_indices_works_and_warns() -> None:
    made, before = (arguments(draws=torch.arange(4), out=torch.zeros(4, 3)) for _ in range(2))
    former = ("points", "rows", "examples", "draws", "streams", "out")
    with pytest.warns(DeprecationWarning, match="examples is now called indices"):
        Noise("gaussian", 1.0).add(**dict(zip(former, before, strict=True)))
    Noise("gaussian", 1.0).add(*made)
    assert torch.equal(before[-1], made[-1])


def test_add_needs_whole_numbers_for_lattice_noise() -> None:
    with pytest.raises(TypeError, match=r"int32 for lattice noise.*got torch.float32"):
        Noise("lattice", 1.0, grid=255).add(*arguments())


def test_an_empty_batch_is_left_alone() -> None:
    none = torch.zeros(0, dtype=torch.int64)
    memory = torch.full((1, 3), 7.0)
    Noise("gaussian", 1.0).add(torch.zeros(2, 3), none, none, none, none, memory[:0])
    assert memory.tolist() == [[7.0, 7.0, 7.0]]


def test_the_result_names_its_noise() -> None:
    assert Noise("lattice", 0.12, seed=5, grid=255).describe().to_dict() == {
        "kind": "lattice",
        "sigma": 0.12,
        "seed": 5,
        "generator": "philox4x32-10",
        "enters": "before normalisation, in the units of sigma",
        "grid": 255,
        "steps": 510,
    }
    fine = Noise("lattice", 0.12).describe(3072).to_dict()
    assert fine["grid"] is None
    assert fine["steps"] == pytest.approx(2**13 / 0.12)
    assert fine["displacement"] == Noise("lattice", 0.12).displacement(3072)
    assert "displacement" not in Noise("lattice", 0.12, grid=255).describe(3072).to_dict()
    gaussian = Noise("gaussian", 0.12).describe(3072).to_dict()
    assert "grid" not in gaussian
    assert gaussian["caveat"] == CAVEAT


@pytest.mark.parametrize("kind", ["lattice", "gaussian"])
def test_a_record_is_read_as_it_was_written(kind: Kind) -> None:
    record = Noise(kind, 0.12, seed=0).describe(3072)
    assert NoiseRecord.from_dict(json.loads(json.dumps(record.to_dict()))) == record
    assert NoiseRecord.from_dict({}) == NoiseRecord.of_kind(None)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (3, "noise must be a dict"),
        ({"kind": "white"}, "noise kind must be one of 'lattice', 'gaussian'"),
        ({"kind": "lattice", "sigma": math.nan}, "noise sigma must be positive"),
        ({"kind": "lattice", "seed": 2**64}, "noise seed must be at most"),
        ({"kind": "lattice", "displacement": -0.1}, "noise displacement must be at least 0"),
        ({"kind": "lattice", "caveat": 7}, "noise caveat must be a str"),
        ({"kind": "lattice", "colour": "white"}, "noise has an unknown entry 'colour'"),
    ],
)
def test_a_record_that_cannot_be_is_refused(wrong: object, said: str) -> None:
    with pytest.raises((TypeError, ValueError), match=said):
        NoiseRecord.from_dict(wrong)


def test_noise_on_cuda_is_made_by_torch_where_triton_cannot_compile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried = []

    def try_out(device: torch.device) -> None:
        tried.append(device)
        if device.index == 0:
            raise RuntimeError("Failed to find C compiler")

    kernels = ModuleType("kernels")
    kernels.try_out = try_out  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "smoothbound.noise._triton", kernels)
    with pytest.warns(RuntimeWarning, match="on cuda:0: Failed to find C compiler. The noise is"):
        found = _noise._implementation(torch.device("cuda", 0))
    assert found is _noise_torch
    assert _noise._implementation(torch.device("cuda", 0)) is _noise_torch  # and says it once
    assert _noise._implementation(torch.device("cuda", 1)) is kernels
    assert tried == [torch.device("cuda", 0), torch.device("cuda", 1)]


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
