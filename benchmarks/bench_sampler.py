"""The cost of the sampler beside the bare model: noise, softmax, checks, votes, scores, scheduling.

The bare model runs on batches of the same shape and precision, ready-made on the device. The
published loop is that of the authors of the method, written again: float32, 400 copies of one input
at a time, each batch of scores copied to the host. The numbers of draws fill all batches, because a
long run pads only the last one. The rows are not checked, because that is one batch of a long run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from measure import SIGMA, THRESHOLD, Measure
from smoothbound.anytime import Decide, Plan
from smoothbound.models.architectures import ARCHITECTURES, build
from smoothbound.sampling._jobs import Draws, FixedJob, Input
from smoothbound.sampling._sampler import Sampler

GROUP = "Sampler, µs a draw"
N0 = 100
CLASSES = {"resnet50": 1000}


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


def network(arch: str) -> tuple[nn.Module, tuple[int, ...]]:
    """Return a network with random weights and the shape of its inputs.

    Its batch normalisation takes means and variances of a few random images, because the numbers in
    a deep network grow without bound otherwise.
    """
    torch.manual_seed(0)
    model, shape = build(arch, CLASSES.get(arch, 10)), ARCHITECTURES[arch].shape
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        model.train()(torch.rand(4, *shape))
    return model.eval(), shape


def run_bare(sampler: Sampler, batch: torch.Tensor, times: int) -> None:
    """Run the model of a sampler on a ready batch, so many times."""
    with sampler.model.running(), sampler.model.evaluating():
        for _ in range(times):
            sampler.model(batch)
    if batch.is_cuda:
        torch.cuda.synchronize()


class Race:
    """The sampler, the bare model and the published loop on the same inputs."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.model, shape = self.network()
        options = {"check_rows": False, **case.options}
        self.sampler = Sampler(self.model, SIGMA, device=case.device, **options)
        self.x = (torch.rand(shape) * 255).round() / 255
        self.size = self.sampler.model.batch_size_for(self.x)
        self.total = case.inputs * (N0 + case.n)
        grid = 255 if case.kind == "lattice" else None
        self.noise = self.sampler.noise(case.kind, grid=grid)
        self.last = self.sampler.model.channels_last_for(self.x)
        batch = torch.rand((self.size, *shape), device=self.sampler.device)
        self.batch = batch.to(memory_format=torch.channels_last) if self.last else batch

    def network(self) -> tuple[nn.Module, tuple[int, ...]]:
        """Return the network of the case and the shape of its inputs."""
        return network(self.case.arch)

    def sample(self) -> list[Draws]:
        """Draw all inputs."""
        inputs = (Input(self.x, i, FixedJob(self.case.n)) for i in range(self.case.inputs))
        return [draws for _, draws in self.sampler.sample(inputs, n0=N0, noise=self.noise)]

    def bare(self) -> None:
        """Run the model on as many ready batches."""
        run_bare(self.sampler, self.batch, -(-self.total // self.size))

    def published(self) -> list[NDArray[np.float32]]:
        """Draw all inputs as the published programs do; returns the scores."""
        found = []
        for _ in range(self.case.inputs):
            self.published_scores(N0)
            found.append(self.published_scores(self.case.n))
        return found

    def published_scores(self, n: int) -> NDArray[np.float32]:
        """Return the scores of n draws of the published programs."""
        x, scores = self.x.to(self.sampler.device), []
        with torch.no_grad():
            for start in range(0, n, 400):
                batch = x.repeat((min(400, n - start), 1, 1, 1))
                outputs = self.model(batch + torch.randn_like(batch) * SIGMA)
                scores.append(outputs.softmax(dim=1).cpu().numpy())
        return np.concatenate(scores)


class Sure(nn.Module):
    """A network whose first two logits also depend on a corner of the image."""

    def __init__(self, base: nn.Module) -> None:
        super().__init__()
        self.base = base

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.base(x)
        contrast = 40 * (x[:, 0, :8, :8] - 0.5).mean(dim=(1, 2))
        outputs[:, 0] += contrast
        outputs[:, 1] -= contrast
        return outputs


class AnytimeRace(Race):
    """The same, but an input is drawn until a question about it is answered.

    The inputs take 30 to 410 draws. Only the draws that they take count: neither the draws ahead of
    a job, which fill the last batches, nor those that nobody asked for.
    """

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self.plan = Plan(questions=(Decide(THRESHOLD, SIGMA / 2),), sigma=SIGMA, n=case.n)
        self.sample()

    def network(self) -> tuple[nn.Module, tuple[int, ...]]:
        base, shape = super().network()
        return Sure(base), shape

    def sample(self) -> list[Draws]:
        inputs = (Input(self._image(i), i, self.plan.start()) for i in range(self.case.inputs))
        drawn = self.sampler.sample(inputs, n0=N0, noise=self.noise, early_selection=True)
        found = [draws for _, draws in drawn if isinstance(draws, Draws)]
        self.total = sum(draws.n0 + len(draws.scores) for draws in found)
        return found

    def _image(self, i: int) -> torch.Tensor:
        return torch.full_like(self.x, (130 + 10 * (i % 4)) / 255)


@pytest.mark.parametrize("runs", ["bare model", "sampler"])
def test_anytime_draws(measure: Measure, runs: str) -> None:
    race = AnytimeRace(Case("cifar_resnet20", "cpu", 160, 400, {"channels_last": False}))
    rows = -(-race.total // race.size) * race.size if runs == "bare model" else race.total
    run = race.bare if runs == "bare model" else race.sample
    measure.benchmark.group = GROUP
    found = measure(
        run,
        row=f"{race.case.name}, adaptive",
        column=runs,
        items=rows,
        unit="µs",
        rounds=3,
        against="first column",
    )
    if runs == "sampler":
        assert len(found) == race.case.inputs
        assert {len(draws.scores) <= 400 for draws in found} == {True}
        assert min(draws.n0 for draws in found) == 10


@pytest.mark.parametrize("runs", ["bare model", "sampler", "published loop"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_sampler(measure: Measure, case: Case, runs: str) -> None:
    if runs == "published loop" and not case.rival:
        pytest.skip("compared at the defaults alone")
    race = Race(case)
    rows = -(-race.total // race.size) * race.size if runs == "bare model" else race.total
    run = {"bare model": race.bare, "sampler": race.sample, "published loop": race.published}[runs]
    measure.benchmark.group = GROUP
    found = measure(
        run,
        row=f"{case.name}, batches of {race.size}",
        column=runs,
        items=rows,
        unit="µs",
        rounds=10,
        against="first column",
    )
    if runs == "bare model":
        return
    assert len(found) == case.inputs
    classes = race.model(race.x[None].to(race.sampler.device)).shape[1]
    for one in found:
        if runs == "sampler":
            assert isinstance(one, Draws)
            assert one.selected < classes
        scores = one.scores if runs == "sampler" else one
        assert len(scores) == case.n
        assert 0 < scores.mean() < 1
