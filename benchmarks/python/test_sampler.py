"""What the sampler adds to the bare model: noise, softmax, checks, votes, scores, scheduling.

The bare model runs on batches of the same shape and precision, ready-made on the device. Its runs
alternate with those of the sampler, so that a busy machine slows both; "fraction" is the speed of
the sampler, in draws, over that of the bare model, "rival" its speed over that of the loop which
the authors of the method published, in our own words: float32, 400 copies of one input at a time,
each batch of scores copied to the host. Run as a program, it prints the table of README.md, with
rows of CUDA where there is one. Numbers of draws fill all batches: a long run pads only the last.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter, process_time
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from smoothbound.models.architectures import ARCHITECTURES, build
from smoothbound.sampling._jobs import Draws, FixedJob, Input
from smoothbound.sampling._sampler import Sampler

SIGMA, N0 = 0.25, 100


@dataclass(frozen=True)
class Case:
    """A network, how it runs, and how much of it is timed."""

    arch: str
    device: str
    inputs: int
    n: int
    options: dict[str, Any]
    kind: str = "lattice"
    rival: bool = False

    @property
    def name(self) -> str:
        """What the table calls it."""
        how = " ".join(f"{name}={value}" for name, value in self.options.items()) or "defaults"
        return f"{self.arch}, {self.device}, {self.kind} noise, {how}"


_LOW = {"precision": "bfloat16", "channels_last": True}
CASES = [
    Case("cifar_resnet20", "cpu", 2, 325, {"channels_last": False}),
    Case("cifar_resnet20", "cpu", 2, 325, {"channels_last": True}),
    Case("cifar_resnet20", "cpu", 2, 325, {"channels_last": False}, kind="gaussian"),
    Case("cifar_resnet20", "cpu", 2, 325, _LOW),
    Case("digits_cnn", "cpu", 3, 9900, {}, rival=True),
    Case("digits_cnn", "cpu", 3, 9900, {"batch_size": 250}),
]
CUDA_CASES = [
    case
    for arch, inputs, n in (("cifar_resnet110", 4, 50_000), ("resnet50", 2, 5_000))
    for case in (
        Case(arch, "cuda", inputs, n, {}, rival=True),
        Case(arch, "cuda", inputs, n, {}, kind="gaussian"),
        Case(arch, "cuda", inputs, n, {"precision": "tf32", "channels_last": True}, rival=True),
        Case(arch, "cuda", inputs, n, _LOW, rival=True),
        Case(arch, "cuda", inputs, n, _LOW | {"compile": "reduce-overhead"}, rival=True),
    )
]
if torch.cuda.is_available():
    CASES += CUDA_CASES


def network(arch: str) -> tuple[nn.Module, tuple[int, ...]]:
    """Return a network with random weights and the shape of its inputs."""
    torch.manual_seed(0)
    if arch == "resnet50":
        torchvision = pytest.importorskip("torchvision")
        return torchvision.models.resnet50().eval(), (3, 224, 224)
    return build(arch).eval(), ARCHITECTURES[arch].shape


class Race:
    """The sampler, the bare model and the published loop on the same inputs."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.model, shape = network(case.arch)
        self.sampler = Sampler(self.model, SIGMA, device=case.device, **case.options)
        self.x = (torch.rand(shape) * 255).round() / 255
        self.size = self.sampler.model.batch_size_for(self.x)
        self.total = case.inputs * (N0 + case.n)
        grid = 255 if case.kind == "lattice" else None
        self.noise = self.sampler.noise(case.kind, grid=grid)
        self.last = self.sampler.model.channels_last_for(self.x)
        batch = torch.rand((self.size, *shape), device=self.sampler.device)
        self.batch = batch.to(memory_format=torch.channels_last) if self.last else batch

    def sample(self) -> list[Draws]:
        """Draw all inputs."""
        inputs = (Input(self.x, i, FixedJob(self.case.n)) for i in range(self.case.inputs))
        return [draws for _, draws in self.sampler.sample(inputs, n0=N0, noise=self.noise)]

    def bare(self) -> None:
        """Run the model on as many ready batches."""
        with self.sampler.model.running():
            for _ in range(-(-self.total // self.size)):
                self.sampler.model(self.batch)
        self._wait()

    def published(self) -> None:
        """Draw all inputs as the published programs do."""
        x = self.x.to(self.sampler.device)
        for _ in range(self.case.inputs):
            for n in (N0, self.case.n):
                scores = []
                with torch.no_grad():
                    for start in range(0, n, 400):
                        batch = x.repeat((min(400, n - start), 1, 1, 1))
                        outputs = self.model(batch + torch.randn_like(batch) * SIGMA)
                        scores.append(outputs.softmax(dim=1).cpu().numpy())
                np.concatenate(scores)

    def _wait(self) -> None:
        if self.sampler.device.type == "cuda":
            torch.cuda.synchronize()

    def timed(self, what: Callable[[], object]) -> float:
        """Time one call, in seconds per draw."""
        self._wait()
        # On the CPU the time of the processor, which other work on the machine does not count to.
        clock = perf_counter if self.sampler.device.type == "cuda" else process_time
        start = clock()
        what()
        rows = self.total
        if what == self.bare:
            rows = -(-self.total // self.size) * self.size
        return (clock() - start) / rows


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.benchmark(group="sampler over the bare model")
def test_fraction(benchmark, case: Case) -> None:
    race = Race(case)
    bare: list[float] = []
    ours: list[float] = []

    def time_both() -> None:
        bare.append(race.timed(race.bare))
        ours.append(race.timed(race.sample))

    draws = benchmark.pedantic(race.sample, setup=time_both, rounds=5)
    benchmark.extra_info["fraction"] = round(min(bare) / min(ours), 3)
    first: Tensor = race.x[None].to(race.sampler.device)
    assert len(draws) == case.inputs
    for one in draws:
        assert isinstance(one, Draws)
        assert len(one.scores) == case.n
        assert 0 < one.scores.mean() < 1
    assert draws[0].predicted < race.model(first).shape[1]


def main() -> None:
    """Print the table."""
    print("| network and settings | batch | draws/s | fraction of the bare model | over the loop |")
    print("|---|---|---|---|---|")
    for case in CASES:
        race = Race(case)
        runs = [race.sample, race.bare, *([race.published] if case.rival else [])]
        times: dict[Callable[[], object], list[float]] = {run: [] for run in runs}
        for _ in range(10):
            for run in runs:
                times[run].append(race.timed(run))
        pairs = zip(times[race.bare][1:], times[race.sample][1:], strict=True)
        best = {run: min(times[run]) for run in runs}
        rival = f"{best[race.published] / best[race.sample]:.2f}" if case.rival else ""
        print(
            f"| {case.name} | {race.size} | {1 / best[race.sample]:.0f} | "
            f"{best[race.bare] / best[race.sample]:.3f} "
            f"(median of pairs {statistics.median(b / s for b, s in pairs):.3f}) | {rival} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
