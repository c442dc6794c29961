"""Draws per second end to end, beside the bare model on ready batches and the published loop.

The published loop is that of `bench_sampler.py`. It runs as torch is set up by default, where
convolutions on CUDA may use TF32.
"""

from __future__ import annotations

import gc
import math
import sys
from collections.abc import Iterator
from dataclasses import replace
from time import perf_counter
from typing import Any

import torch

import records
from bench_noise import Filler
from bench_sampler import N0, Case, Race

NETWORKS = ("cifar_resnet110", "resnet50")
PRECISIONS = ("bfloat16", "tf32", "float32")
ROUNDS = 5
SECONDS = 0.6  # that a turn of the sampler lasts, about


def cases(step: records.Step, compiled: bool) -> Iterator[Case]:
    """Yield the settings, the most telling first; in the small mode those of a small network."""
    for precision in ("float32",) if step.small else PRECISIONS:
        for arch in ("digits_cnn",) if step.small else NETWORKS:
            options: dict[str, Any] = {"precision": precision}
            options["channels_last"] = precision == "bfloat16"
            if step.small:
                options["batch_size"] = 50
            if compiled:
                options["compile"] = "default" if step.small else "reduce-overhead"
            yield Case(arch, str(step.device), 2, N0, options)


def lengthen(race: Race, seconds: float) -> None:
    """Make a turn last so long, about, in whole batches."""
    batches = 2
    while True:
        race.total = batches * race.size
        start = perf_counter()
        race.bare()
        elapsed = perf_counter() - start
        if elapsed >= seconds / 4:
            break
        batches *= 2
    least = math.ceil((N0 + 1) * race.case.inputs / race.size)
    batches = max(2, least, round(batches * seconds / elapsed))
    batches += -batches % race.case.inputs
    race.total = batches * race.size
    race.case = replace(race.case, n=race.total // race.case.inputs - N0)


def published(race: Race, n: int) -> float:
    """Return the draws per second of the published loop."""
    start = perf_counter()
    race.published_scores(n)
    return n / (perf_counter() - start)


def measure(step: records.Step, case: Case) -> None:
    """Let the three take turns, and write their draws per second."""
    seconds = 0.05 if step.small else SECONDS
    start = perf_counter()
    race = Race(case)
    race.total = race.size
    race.bare()  # compiles
    prepared = perf_counter() - start
    lengthen(race, seconds)
    filler = Filler("grid", tuple(race.x.shape), race.size, case.device)
    noise = records.seconds_a_call(filler, step.device, seconds / 4)
    race.sample()
    published(race, 400)
    loop_draws = 400 * max(1, round(published(race, 400) / 400 * seconds / 2))
    rates: dict[str, list[float]] = {"bare": [], "sampler": [], "loop": []}
    for _ in range(2 if step.small else ROUNDS):
        for name, run in (("bare", race.bare), ("sampler", race.sample)):
            start = perf_counter()
            found = run()
            rates[name].append(records.rounded(race.total / (perf_counter() - start)))
        for draws in found:
            assert len(draws.scores) == race.case.n
            assert 0 <= draws.scores.mean() <= 1
        rates["loop"].append(records.rounded(published(race, loop_draws)))
    model = race.size / max(rates["bare"])
    step.write(
        network=case.arch,
        precision=case.options["precision"],
        channels_last=race.last,
        compile=case.options.get("compile"),
        batch=race.size,
        prepared_in_seconds=records.rounded(prepared),
        noise_share=records.rounded(noise / (noise + model)),
        **rates,
    )


def main() -> None:
    step, given = records.step("speed", compiled={"action": "store_true"})
    if given.compiled:
        step = records.Step("compiled", step.path, step.small, step.data)
    failed = 0
    for case in cases(step, given.compiled):
        try:
            measure(step, case)
        except Exception as error:  # the other settings are measured all the same
            failed += 1
            step.write(network=case.arch, options=case.options, error=f"{error!r:.400}")
        gc.collect()
        torch.compiler.reset()
        if case.device == "cuda":
            torch.cuda.empty_cache()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
