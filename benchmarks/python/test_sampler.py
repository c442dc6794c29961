"""What the sampler adds to the bare model: noise, softmax, checks, votes and scores.

The bare model runs on the same batches, ready-made in memory. Its runs alternate with those of
the sampler, so that a busy machine slows both; "overhead" in the table's extra information is the
median over the pairs of (sampler / bare model - 1).
"""

from __future__ import annotations

import statistics
from time import perf_counter

import numpy as np
import pytest
import torch

from smoothbound.models import ARCHITECTURES, build
from smoothbound.noise import Noise, Stream
from smoothbound.sampler import Draws, Sampler

SIGMA, N0 = 0.25, 100
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def ready_batches(sampler: Sampler, x: torch.Tensor, n: int) -> list[torch.Tensor]:
    noise, batches = Noise("gaussian", SIGMA, device=sampler.device), []
    points = noise.point(x)[None]
    for stream, count in ((Stream.SELECTION, N0), (Stream.ESTIMATION, n)):
        for draws in torch.arange(count, device=x.device).split(sampler.batch_size):
            batch = torch.empty((len(draws), *x.shape), device=x.device)
            noise.add(points, 0 * draws, 0 * draws, draws, 0 * draws + stream, batch)
            batches.append(batch)
    return batches


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("arch", "n", "batch_size"), [("cifar_resnet20", 500, 100), ("digits_cnn", 20_000, 1000)]
)
@pytest.mark.benchmark(group="sampler over the bare model")
def test_overhead(benchmark, arch: str, n: int, batch_size: int, device: str) -> None:
    torch.manual_seed(0)
    model = build(arch).eval()
    sampler = Sampler(model, SIGMA, device=device, batch_size=batch_size)
    x = torch.rand(ARCHITECTURES[arch].shape, device=sampler.device)
    batches = ready_batches(sampler, x, n)
    bare: list[float] = []

    def run_model() -> torch.Tensor:
        with torch.inference_mode():
            outputs = [model(batch) for batch in batches]
        if device == "cuda":
            torch.cuda.synchronize()
        return torch.cat(outputs)

    def time_model() -> None:
        start = perf_counter()
        run_model()
        bare.append(perf_counter() - start)

    def run_sampler() -> Draws:
        return sampler.draw(x, n0=N0, n=n)

    draws = benchmark.pedantic(run_sampler, setup=time_model, rounds=9, warmup_rounds=2)

    rounds = benchmark.stats.stats.data
    pairs = zip(rounds, bare[-len(rounds) :], strict=True)
    benchmark.extra_info["bare model, s"] = round(statistics.median(bare), 4)
    benchmark.extra_info["overhead"] = round(statistics.median(s / b for s, b in pairs) - 1.0, 4)
    logits = run_model()[N0:]
    scores = logits.softmax(dim=1)[:, draws.predicted].cpu().numpy()
    np.testing.assert_allclose(draws.scores, scores, rtol=1e-6)
    assert draws.top_count == int((logits.argmax(dim=1) == draws.predicted).sum())
