"""Print how often the intervals of forecasts of adaptive runs hold, for docs/command-line.md.

Run it as `OMP_NUM_THREADS=1 python benchmarks/studies/forecasts.py`. It makes up populations of
inputs whose scores are logistic(m + 1.5 N), m normal with mean 2.5 and standard deviation 2. What
a run gives is known from 5000 inputs of each population. A hundred times it makes pilots of 50
inputs, forecasts a run from each, and counts the intervals that miss. It takes half an hour on one
core.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

import smoothbound as sb
from smoothbound import _core
from smoothbound.anytime import Decide, Job, Plan
from smoothbound.recommend import AdaptiveForecast, Pilot, recommend_adaptive

SIGMA, ALPHA, N0, LEAD = 0.25, 1e-3, 100, 10
INPUTS, TIMES, KNOWN = 50, 100, 5000
Values = NDArray[np.float64]


class Setting(NamedTuple):
    """A question, the most draws of an input, and the draws of each input of a pilot."""

    threshold: float
    r: float
    n: int
    n_pilot: int


SETTINGS = (
    Setting(0.5, 0.0, 10_000, 1000),
    Setting(0.5, 1.0, 10_000, 1000),
    Setting(0.8, 1.0, 10_000, 1000),
    Setting(0.5, 2.0, 10_000, 1000),
    Setting(0.5, 1.0, 10_000, 200),
    Setting(0.5, 1.0, 100_000, 1000),
)


def scores(mean: float, n: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw scores of one input; the class is on top where its score is above 1/2."""
    return expit(mean + 1.5 * rng.standard_normal(n)).astype(np.float32)


def means(n: int, rng: np.random.Generator) -> Values:
    """Take inputs from the population."""
    return rng.normal(2.5, 2.0, n)


def run(plan: Plan, mean: float, rng: np.random.Generator) -> tuple[bool, int]:
    """Select the class of one input, and draw until its question is answered."""
    selection = scores(mean, N0, rng)
    lead = np.cumsum(np.where(selection > 0.5, 1, -1))
    n_selection = int(np.argmax(lead == LEAD)) + 1 if (lead == LEAD).any() else N0
    job: Job = plan.start()
    job.begin(0, selection[:n_selection])
    while job.remaining:
        job.update(scores(mean, job.remaining, rng))
    return job.test.answers[0].certified, n_selection + job.test.n_draws


def truth(setting: Setting, rng: np.random.Generator) -> tuple[float, float, float]:
    """Return the share certified and the mean and median draws of a run."""
    question = Decide(setting.threshold, setting.r * SIGMA)
    plan = Plan(questions=(question,), sigma=SIGMA, alpha=ALPHA, n=setting.n)
    certified, n_draws = np.array([run(plan, mean, rng) for mean in means(KNOWN, rng)]).T
    return float(certified.mean()), float(n_draws.mean()), float(np.median(n_draws))


def pilot(setting: Setting, rng: np.random.Generator) -> Pilot:
    """Make a pilot."""
    sketch = sb.ScoreSketch(INPUTS, sigma=SIGMA)
    drawn = [scores(mean, setting.n_pilot, rng) for mean in means(INPUTS, rng)]
    sketch.update(np.array(drawn))
    index = np.arange(INPUTS)
    return Pilot("pilot", sketch, index, np.zeros_like(index), np.zeros_like(index))


def limit(setting: Setting, one: Pilot) -> Iterator[float]:
    """Yield ln(1/alpha) / KL_inf of the counted scores of each input."""
    edges = one.sketch.edges
    lower = np.empty(2 * edges.size - 1, np.float32)
    lower[::2], lower[1::2] = edges, edges[:-1]
    for counts in one.sketch.counts:
        record = _core.DrawRecord(0.0, 1.0, "lower")
        record.guess(np.repeat(lower, counts)[None])
        process = _core.EProcess(setting.threshold, setting.r)
        process.advance(record, ALPHA)
        yield np.log(1.0 / ALPHA) / process.growth if process.growth > 0.0 else np.inf


def row(setting: Setting, seed: int) -> str:
    """Return a row of the table."""
    rng = np.random.default_rng(seed)
    true = truth(setting, rng)
    told, limits, misses = [], [], np.zeros((3, 2), np.int64)
    for time in range(TIMES):
        one = pilot(setting, rng)
        forecast: AdaptiveForecast = recommend_adaptive(
            [one],
            thresholds=[setting.threshold],
            radii=[setting.r * SIGMA],
            max_draws=setting.n,
            alpha=ALPHA,
            seed=time,
        ).together[0]
        estimates = (forecast.certified, forecast.mean, forecast.median)
        told.append([estimate.value for estimate in estimates])
        misses += [(e.low > x, e.high < x) for e, x in zip(estimates, true, strict=True)]
        found = np.array(list(limit(setting, one)))
        limits.append(np.mean(found <= setting.n))
    share, mean, median = np.mean(told, axis=0)
    missed = " | ".join(f"{low} + {high}" for low, high in misses)
    return (
        f"| {setting.threshold}, {setting.r:g}σ | {setting.n} | {setting.n_pilot} "
        f"| {100 * true[0]:.1f}, {100 * share:.1f}, {100 * np.mean(limits):.1f} "
        f"| {true[1]:.0f}, {mean:.0f} | {true[2]:.0f}, {median:.0f} "
        f"| {missed} |"
    )


def main() -> None:
    """Print the table."""
    print(
        "| c, R | n | draws of the pilot | % certified: truth, forecast, by the limit "
        "| mean draws: truth, forecast | median: truth, forecast "
        "| misses of % | of the mean | of the median |"
    )
    print(f"|{'---|' * 9}")
    for seed, setting in enumerate(SETTINGS):
        print(row(setting, seed), flush=True)


if __name__ == "__main__":
    main()
