"""A whole run: images certified from a fixed number of draws each, and more of them adaptively.

The network is `cifar_resnet20` after two epochs of training, or with random weights where there are
no images to train on.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from time import perf_counter
from types import TracebackType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import records
import smoothbound as sb
from bench_sampler import network, run_bare
from measure import ALPHA, SIGMA, THRESHOLD

ARCH, GRID = "cifar_resnet20", 255
EPOCHS = 2
RADII = (0.0, SIGMA)
BATCHES = 4  # in one call of the bare model, whose start takes time


class Busy:
    """Asks the driver five times a second how busy the GPU is."""

    def __init__(self, device: torch.device) -> None:
        self.percent: float | None = None
        self._process: subprocess.Popen[str] | None = None
        self._asks = device.type == "cuda"

    def __enter__(self) -> Busy:
        command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
        if self._asks:
            try:
                self._process = subprocess.Popen(
                    [*command, "--loop-ms=200"], stdout=subprocess.PIPE, text=True
                )
            except OSError:
                self._process = None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if self._process is None:
            return
        self._process.terminate()
        said, _rest = self._process.communicate()
        seen = [int(line) for line in said.split() if line.isdigit()]
        self.percent = records.rounded(statistics.mean(seen)) if seen else None


def trained(step: records.Step) -> nn.Module:
    """Return the network."""
    images = None if step.small else step.images("train")
    if images is None:
        return network(ARCH)[0]
    start = perf_counter()
    model = sb.train.train(images, ARCH, sigma=SIGMA, epochs=EPOCHS, device=step.device)
    step.write(what="training", epochs=EPOCHS, seconds=records.rounded(perf_counter() - start))
    return model


def inputs(step: records.Step, count: int) -> Tensor:
    """Return test images."""
    images = None if step.small else step.images("test", count)
    if images is None:
        return records.random_images((3, 32, 32), count)
    return torch.stack([images[i][0] for i in range(len(images))])


def bare_rate(smoothed: sb.SmoothedClassifier, x: Tensor, seconds: float) -> float:
    """Return the draws per second of the model on ready batches."""
    sampler = smoothed.sampler
    size = sampler.model.batch_size_for(x)
    batch = torch.rand((size, *x.shape), device=sampler.device)
    if sampler.model.channels_last_for(x):
        batch = batch.to(memory_format=torch.channels_last)
    return (
        BATCHES
        * size
        / records.seconds_a_call(lambda: run_bare(sampler, batch, BATCHES), sampler.device, seconds)
    )


def certify(
    step: records.Step, smoothed: sb.SmoothedClassifier, x: Tensor, what: str, **how: Any
) -> int:
    """Certify images, and write time, draws, and how busy the GPU was; return how many failed."""
    with Busy(step.device) as busy:
        start = perf_counter()
        found = smoothed.certify(x, grid=GRID, alpha=ALPHA, radii=RADII, **how)
        elapsed = perf_counter() - start
    failed = int(np.count_nonzero(np.array(found.status) == "failed"))
    draws = int(found.n_draws.sum() + found.n_selection.sum())
    step.write(
        what=what,
        inputs=len(x),
        n=how["n"],
        seconds=records.rounded(elapsed),
        draws=draws,
        of_bare=records.rounded(
            draws / elapsed / bare_rate(smoothed, x[0], 0.02 if step.small else 0.5)
        ),
        busy_percent=busy.percent,
        certified=int((found.lower[:, -1] > THRESHOLD).sum()),
        failed=failed,
    )
    return failed


def main() -> None:
    step, _ = records.step("run")
    model = trained(step)
    x = inputs(step, 2 if step.small else 500)
    few, n = (1, 500) if step.small else (50, 100_000)
    smoothed = sb.SmoothedClassifier(
        model,
        SIGMA,
        device=step.device,
        precision="float32" if step.small else "bfloat16",
        batch_size=50 if step.small else "auto",
    )
    start = perf_counter()
    sb.certify_scores(np.full((1, n), 0.9), sigma=SIGMA, alpha=ALPHA)  # calibrates the band
    band = perf_counter() - start
    smoothed.draw(x[0], n=100 if step.small else 20_000, grid=GRID)  # chooses the size of batches
    model_too = perf_counter() - start - band
    step.write(
        what="prepared",
        band_in_seconds=records.rounded(band),
        model_in_seconds=records.rounded(model_too),
        batch=smoothed.sampler.model.batch_size_for(x[0]),
    )
    failed = certify(step, smoothed, x[:few], "fixed", n=n)
    failed += certify(step, smoothed, x, "adaptive", n=n, thresholds=(THRESHOLD,), adaptive=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
