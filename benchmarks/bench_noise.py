"""The cost of noise: nanoseconds per element, and compared with a pass of a CIFAR ResNet."""

from __future__ import annotations

import math
from contextlib import nullcontext

import pytest
import torch
from torch import Tensor

from measure import SIGMA, Measure
from smoothbound.models.architectures import ARCHITECTURES, build
from smoothbound.noise._noise import Noise
from smoothbound.noise._streams import Stream

ARCH, BATCH = "cifar_resnet20", 200
KINDS = {"grid": ("lattice", 255), "no grid": ("lattice", None), "gaussian": ("gaussian", None)}
SHAPES = {"CIFAR": ((3, 32, 32), BATCH), "ImageNet": ((3, 224, 224), 10)}


class Filler:
    """Fills a batch with draws of one image again and again."""

    def __init__(self, kind: str, shape: tuple[int, ...], batch: int, device: str = "cpu") -> None:
        name, grid = KINDS[kind]
        self.noise = Noise(name, SIGMA, grid=grid, device=device)  # type: ignore[arg-type]
        generator = torch.Generator().manual_seed(0)
        x = (torch.randint(0, 256, shape, generator=generator) / 255).to(device)
        self.x, self.points = x, self.noise.point(x)[None]
        self.zeros = torch.zeros(batch, dtype=torch.int64, device=device)
        self.draws = torch.arange(batch, device=device)
        self.streams = self.zeros + Stream.ESTIMATION
        self.out = torch.empty(batch, *shape, device=device)

    def __call__(self) -> Tensor:
        self.noise.add(self.points, self.zeros, self.zeros, self.draws, self.streams, self.out)
        return self.out


def assert_normal(z: Tensor) -> None:
    z = z.double()
    assert abs(float(z.square().mean()) - 1.0) < 6 * math.sqrt(2 / z.numel()) + 3e-5


@pytest.mark.benchmark(group="Noise on cpu, ns an element")
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", KINDS)
def test_noise(measure: Measure, kind: str, shape: str) -> None:
    filler = Filler(kind, *SHAPES[shape])
    found = measure(filler, row=kind, column=shape, items=filler.out.numel(), unit="ns")
    assert_normal((found - filler.x) / SIGMA)


@pytest.mark.benchmark(group="Noise on cpu, ns an element")
@pytest.mark.parametrize("shape", SHAPES)
def test_generator_of_torch(measure: Measure, shape: str) -> None:
    """It draws the noise alone, and adds no image."""
    size, batch = SHAPES[shape]
    out = torch.empty(batch, *size)
    measure(out.normal_, row="torch normal_", column=shape, items=out.numel(), unit="ns")
    assert_normal(out)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("what", ["model", *KINDS])
def test_beside_a_model(measure: Measure, what: str, precision: str) -> None:
    measure.benchmark.group = f"Noise beside {ARCH}, ms an image"
    torch.manual_seed(0)
    model = build(ARCH).eval().to(memory_format=torch.channels_last)
    filler = Filler("grid" if what == "model" else what, ARCHITECTURES[ARCH].shape, BATCH)
    batch = filler().contiguous(memory_format=torch.channels_last)
    low = torch.autocast("cpu", torch.bfloat16) if precision == "bfloat16" else nullcontext()

    def forward() -> Tensor:
        with torch.inference_mode(), low:
            return model(batch)

    run = forward if what == "model" else filler
    found = measure(run, row=what, column=precision, items=BATCH)
    assert torch.isfinite(found).all()
