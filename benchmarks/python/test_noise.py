"""What noise costs: nanoseconds an element, and as a share of certifying with a CIFAR ResNet.

    OMP_NUM_THREADS=1 python benchmarks/python/test_noise.py

prints the table of benchmarks/README.md. Under pytest each kind is timed alone, and checked.
"""

from __future__ import annotations

import math
from time import process_time

import pytest
import torch
from torch import Tensor

from smoothbound.models.architectures import ARCHITECTURES, build
from smoothbound.noise._noise import Noise
from smoothbound.noise._streams import Stream

SIGMA, BATCH = 0.25, 200
KINDS = {"grid": ("lattice", 255), "no grid": ("lattice", None), "gaussian": ("gaussian", None)}
SHAPES = {"CIFAR": (3, 32, 32), "ImageNet": (3, 224, 224)}


class Filler:
    """Fills a batch with draws of one image again and again."""

    def __init__(self, kind: str, shape: tuple[int, ...], batch: int, device: str = "cpu") -> None:
        name, grid = KINDS[kind]
        self.noise = Noise(name, SIGMA, grid=grid, device=device)  # type: ignore[arg-type]
        generator = torch.Generator().manual_seed(0)
        x = torch.randint(0, 256, shape, generator=generator).to(device) / 255
        self.x, self.points = x, self.noise.point(x)[None]
        self.zeros = torch.zeros(batch, dtype=torch.int64, device=device)
        self.draws = torch.arange(batch, device=device)
        self.streams = self.zeros + Stream.ESTIMATION
        self.out = torch.empty(batch, *shape, device=device)

    def __call__(self) -> Tensor:
        self.noise.add(self.points, self.zeros, self.zeros, self.draws, self.streams, self.out)
        if self.out.is_cuda:
            torch.cuda.synchronize()
        return self.out


def seconds(*calls, rounds: int) -> list[float]:
    """The least time of the processor of each, from runs that take turns."""
    best = [math.inf] * len(calls)
    for _ in range(rounds):
        for i, call in enumerate(calls):
            start = process_time()
            call()
            best[i] = min(best[i], process_time() - start)
    return best


@pytest.mark.parametrize("device", ["cpu", *(["cuda"] if torch.cuda.is_available() else [])])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.benchmark(group="noise")
def test_noise(benchmark, kind: str, shape: str, device: str) -> None:
    filler = Filler(kind, SHAPES[shape], 20, device)
    z = (benchmark(filler) - filler.x).double() / SIGMA
    nanoseconds = benchmark.stats.stats.min / z.numel() * 1e9
    benchmark.extra_info["ns an element"] = round(nanoseconds, 2)
    assert abs(float(z.square().mean()) - 1.0) < 6 * math.sqrt(2 / z.numel()) + 3e-5


def main() -> None:
    print("| noise | shape | ns an element |\n|---|---|---|")
    for name, shape in SHAPES.items():
        count = BATCH if name == "CIFAR" else 10
        fillers = [Filler(kind, shape, count) for kind in KINDS]
        ready = fillers[0].out.clone()
        for kind, best in zip(
            [*KINDS, "torch.randn"], seconds(*fillers, ready.normal_, rounds=40), strict=True
        ):
            print(f"| {kind} | {name} | {best / ready.numel() * 1e9:.2f} |")

    arch = "cifar_resnet20"
    torch.manual_seed(0)
    model = build(arch).eval().to(memory_format=torch.channels_last)
    fillers = [Filler(kind, ARCHITECTURES[arch].shape, BATCH) for kind in KINDS]
    batch = fillers[0]().contiguous(memory_format=torch.channels_last)
    print(f"\n| {arch} | images/s | " + " | ".join(KINDS) + " |\n|---|---|---|---|")
    for precision, enabled in (("float32", False), ("bfloat16", True)):

        def forward(enabled: bool = enabled) -> None:
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=enabled):
                model(batch)

        forward()
        bare, *noise = seconds(forward, *fillers, rounds=25)
        shares = " | ".join(f"{cost / (bare + cost):.2%}" for cost in noise)
        print(f"| {precision} | {BATCH / bare:.0f} | {shares} |")


if __name__ == "__main__":
    main()
