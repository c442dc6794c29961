"""Noise: the points that it is added to, its arguments, and its record."""

from __future__ import annotations

import json
import math
import sys
from fractions import Fraction
from types import ModuleType
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from noises import arguments
from torch import Tensor

from smoothbound.noise import _noise
from smoothbound.noise import _torch as _noise_torch
from smoothbound.noise._kinds import CAVEAT, DEFAULT, Kind
from smoothbound.noise._noise import Noise
from smoothbound.noise._record import NoiseRecord
from smoothbound.noise._streams import MAX_INDEX, check_index


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
