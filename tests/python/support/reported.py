"""Results folders of made-up certificates, for the tests of reports."""

from __future__ import annotations

import csv
import math
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from smoothbound import store
from smoothbound.bounds._method import Method
from smoothbound.noise._record import NoiseRecord
from smoothbound.sketch._score_sketch import ScoreSketch
from smoothbound.store._settings import RunSettings
from smoothbound.store._table import packed_counts
from smoothbound.store._table.schema import SKETCH_EDGES

SETTINGS = RunSettings(
    sigma=0.5,
    alpha=1e-3,
    n0=100,
    n=1000,
    seed=0,
    measure="score",
    score_range=(0.0, 1.0),
    cutoff=0.5,
    outputs="logits",
    methods=(Method("mean"), Method("cdf", "dkw", 500)),
    radii=(0.25, 0.0, 0.5, 1.0),
    thresholds=(0.5,),
    data="digits",
    split="test",
    skip=1,
    max_inputs=12,
    n_inputs=12,
    arch="digits_cnn",
    checkpoint="digits.pt",
    checkpoint_sha256="0" * 64,
    noise=NoiseRecord(kind="gaussian"),
    device="cpu",
    batch_size=100,
    precision="float32",
    channels_last=False,
    compile=None,
    versions={"smoothbound": "0"},
)
MARGIN = replace(SETTINGS, measure="margin", score_range=(-1.0, 1.0), cutoff=0.0, thresholds=(0.0,))

# Excerpts of published logs: of scores, and of certified radii of classes.
LOGS = Path(__file__).parent / "logs"
SCORES, CLASSES = LOGS / "kumar2020_excerpt.tsv", LOGS / "cohen2019_excerpt.tsv"


def counts(mean: float, settings: RunSettings) -> NDArray[np.uint32]:
    """Counts of scores around a mean, over the edges of a results folder."""
    scores = np.random.default_rng(1).beta(20 * mean, 20 * (1 - mean), settings.n)
    a, b = settings.score_range
    sketch = ScoreSketch(edges=SKETCH_EDGES - 1, score_range=(a, b))
    sketch.update(a + (b - a) * scores[None])
    return sketch.counts[0]


def make_run(
    folder: Path,
    settings: RunSettings = SETTINGS,
    finished: int = 12,
    *,
    failed: Collection[int] = (),
    means: tuple[float, float] = (0.45, 0.99),
) -> Path:
    """Write a results folder of made-up certificates that have the right shape.

    Below a mean of 0.5 the run abstains.
    """
    rng = np.random.default_rng(0)
    with store.Writer(folder, settings) as writer:
        for index in range(finished):
            mean = rng.uniform(*means)
            row: dict[str, object] = {
                "index": index,
                "label": index % 3,
                "selected": index % 3 if index % 5 else 7,
                "predicted": -1 if mean < 0.5 else (index % 3 if index % 5 else 7),
                "status": "abstained" if mean < 0.5 else "certified",
                "reason": "below the cut-off" if mean < 0.5 else "",
                "class_radius": math.nan
                if index == 1
                else max(0.0, float(norm.ppf(mean) * 0.5 + 0.1)),
                "n_selection": settings.n0,
                "n_draws": 1000,
                "top_count": 900,
                "mean_score": mean,
                "seconds": 0.1,
                "sketch": packed_counts.pack(counts(mean, settings)),
                "state": b"",
                "digest": b"",
            }
            a, b = settings.score_range
            for gain, method in enumerate(settings.methods):
                z = norm.ppf(mean) + 0.3 * gain
                lower = [a + (b - a) * norm.cdf(z - r / 0.5) for r in settings.radii]
                reach = [0.5 * (z - norm.ppf((c - a) / (b - a))) for c in settings.thresholds]
                row[f"lower_{method.name}"] = lower
                row[f"radius_{method.name}"] = [r if r >= 0 else math.nan for r in reach]
            if index in failed:
                nothing = {name: [math.nan] * len(x) for name, x in row.items() if type(x) is list}
                row |= {"n_draws": 0, "sketch": b"", "predicted": -1, "selected": -1} | nothing
                row["status"] = "failed"
            writer.append(row)
        if finished == settings.n_inputs:
            writer.finish()
    return folder


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "certified_accuracy.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def copies(folder: Path) -> list[Path]:
    """Two logs of the same inputs, whose names tell their sigma."""
    paths = [folder / f"log_sigma{sigma}.tsv" for sigma in ("0.25", "0.50")]
    for path in paths:
        path.write_bytes(SCORES.read_bytes())
    return paths


def images(written: Sequence[Path]) -> list[Path]:
    """Return the pictures among the files of a report."""
    return [path for path in written if path.suffix == ".png"]
