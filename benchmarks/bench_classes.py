"""The cost of counting the scores and votes of all classes beside the draws of the selected class.

The plain loop makes the same number of noisy copies, keeps the scores of every class on the host,
and counts each class over the same edges with np.searchsorted and np.bincount. `linear` has one
layer and 1000 classes, which is the worst case: it computes hardly more than the counts do.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bench_sampler import N0, network
from measure import SIGMA, Measure
from smoothbound.classes._arguments import default_edges
from smoothbound.classes._device_counts import ClassCounter
from smoothbound.sampling._jobs import FixedJob, Input
from smoothbound.sampling._sampler import Sampler
from smoothbound.sketch._content import n_cells

CASES = {"digits_cnn, 10 classes": (3, 3900), "linear, 1000 classes": (1, 1900)}


class Race:
    """Draws with and without counts of all classes, and the plain loop, on the same inputs."""

    def __init__(self, name: str) -> None:
        self.inputs, self.n = CASES[name]
        self.model, shape = network("digits_cnn")
        if name.startswith("linear"):
            self.model = nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape)), 1000)).eval()
        self.x = (torch.rand(shape) * 255).round() / 255
        self.sampler = Sampler(self.model, SIGMA, check_rows=False)
        self.edges = default_edges()
        self.total = self.inputs * (N0 + self.n)

    def sampled(self, counter: ClassCounter | None = None) -> list[Any]:
        inputs = (Input(self.x, i, FixedJob(self.n)) for i in range(self.inputs))
        noise = self.sampler.noise(grid=255)
        drawn = self.sampler.sample(inputs, n0=N0, noise=noise, counter=counter)
        return [draws.class_counts for _, draws in drawn]  # type: ignore[union-attr]

    def counted(self) -> list[Any]:
        return self.sampled(ClassCounter(torch.device("cpu"), "all", self.edges))

    def loop(self) -> list[Any]:
        return [self._loop() for _ in range(self.inputs)]

    def _loop(self) -> Any:
        scores = []
        with torch.no_grad():
            for start in range(0, N0 + self.n, 400):
                batch = self.x.repeat((min(400, N0 + self.n - start), 1, 1, 1))
                outputs = self.model(batch + torch.randn_like(batch) * SIGMA)
                scores.append(outputs.softmax(dim=1).numpy())
        every = np.concatenate(scores)[N0:]
        at, size = self.edges.astype(np.float32), n_cells(self.edges.size)
        counts = np.zeros((every.shape[1], size + 1), np.int64)
        for k in range(every.shape[1]):
            last = np.searchsorted(at, every[:, k], side="right") - 1
            on_edge = every[:, k] == at[last]
            counts[k, :-1] = np.bincount(2 * last + 1 - on_edge, minlength=size)
        counts[:, -1] = np.bincount(every.argmax(axis=1), minlength=len(counts))
        return counts


@pytest.mark.benchmark(group="All classes, µs a draw")
@pytest.mark.parametrize("runs", ["selected class alone", "all classes", "plain loop"])
@pytest.mark.parametrize("name", CASES)
def test_all_classes(measure: Measure, name: str, runs: str) -> None:
    race = Race(name)
    run = {
        "selected class alone": race.sampled,
        "all classes": race.counted,
        "plain loop": race.loop,
    }[runs]
    found = measure(
        run,
        row=name,
        column=runs,
        items=race.total,
        unit="µs",
        rounds=5,
        against="first column",
    )
    if runs == "selected class alone":
        return
    for counts in found:
        assert (counts[:, :-1].sum(axis=1) == race.n).all()
        assert counts[:, -1].sum() == race.n
