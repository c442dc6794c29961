"""Results folders of made-up scores, which are certified as a run certifies them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import stored
from numpy.typing import NDArray

from smoothbound import store
from smoothbound._files import sealed
from smoothbound.anytime._record import AdaptiveRecord
from smoothbound.bounds._method import Method
from smoothbound.bounds._request import Request
from smoothbound.sampling._jobs import Draws, Failure
from smoothbound.sketch._score_sketch import ScoreSketch
from smoothbound.smoothing._one_input.fixed_draws import Procedure, radii_at_point
from smoothbound.smoothing._one_input.of_settings import recorded_procedure
from smoothbound.smoothing._one_input.result import InputResult
from smoothbound.store._settings import RunSettings
from smoothbound.store._table import packed_counts
from smoothbound.store._table.schema import SKETCH_EDGES

Scores = NDArray[np.float32]
Maker = Callable[[np.random.Generator, int, int], Scores]

FIXED = dataclasses.replace(
    stored.SETTINGS,
    methods=(Method("mean"), Method("cdf", "dkw"), Method("cdf", "ell")),
    radii=(0.0, 0.0625, 0.125, 0.25),
    skip=1,
    n_inputs=8,
    select="score",
)
DECIDE = dataclasses.replace(
    FIXED,
    methods=(Method("anytime"),),
    radii=(0.0, 0.125),
    adaptive=AdaptiveRecord(asked="Decide", strictness=0.25),
)
FIND = dataclasses.replace(
    DECIDE,
    radii=(0.0,),
    thresholds=(0.5,),
    adaptive=AdaptiveRecord(asked="FindRadius", precision=0.2, strictness=0.25),
)


def moved(settings: RunSettings, displacement: float) -> RunSettings:
    """Return the settings of a run whose inputs were moved to lattice points."""
    noise = dataclasses.replace(settings.noise, displacement=displacement)
    return dataclasses.replace(settings, noise=noise)


def scores_of(rng: np.random.Generator, index: int, n: int) -> Scores:
    """Make up scores in [0, 1]: of each input more confident than those of the one before."""
    return rng.beta(2 + 3 * index, 2, n).astype(np.float32)


def make(folder: Path, settings: RunSettings, maker: Maker = scores_of) -> Path:
    """Write a finished run of made-up scores."""
    with store.Writer(folder, settings) as writer:
        for index in range(settings.n_inputs):
            writer.append(_row(settings, index, maker))
        writer.finish()
    return folder


def _row(settings: RunSettings, index: int, maker: Maker) -> dict[str, object]:
    rng = np.random.default_rng([7, index])
    result, sketch = (_fixed if settings.adaptive is None else _adaptive)(
        settings, index, maker, rng
    )
    kept = {one.name for one in dataclasses.fields(result)} - {"bounds"}
    names = kept if settings.classes is not None else kept - {"class_counts"}
    row: dict[str, object] = {name: getattr(result, name) for name in names}
    for method, bounds in zip(settings.methods, result.bounds, strict=True):
        assert bounds.lower is not None
        assert bounds.radius is not None
        row[f"lower_{method.name}"] = bounds.lower.tolist()
        row[f"radius_{method.name}"] = bounds.radius.tolist()
    return row | {"index": index, "label": 1, "seconds": 0.1, "digest": b"", "sketch": sketch}


def _votes(settings: RunSettings, scores: Scores) -> int:
    middle = sum(settings.score_range) / 2
    return int((scores > middle).sum())


def _fixed(
    settings: RunSettings, index: int, maker: Maker, rng: np.random.Generator
) -> tuple[InputResult, bytes]:
    requests = tuple(
        Request(
            sigma=settings.sigma,
            alpha=settings.alpha,
            score_range=settings.score_range,
            radii=radii_at_point(settings.radii, settings.displacement),
            thresholds=settings.thresholds,
            method=method,
            order="drawn",
        )
        for method in settings.methods
    )
    procedure = Procedure(
        requests, settings.n, settings.cutoff, settings.measure, settings.displacement
    )
    scores = maker(rng, index, settings.n)
    if not len(scores):
        return procedure.certify(procedure.job(), Failure("none", "no scores")), b""
    draws = Draws(scores, 1, _votes(settings, scores), settings.n0)
    counted = ScoreSketch(edges=SKETCH_EDGES - 1, score_range=settings.score_range)
    counted.update(scores[None])
    return procedure.certify(procedure.job(), draws), packed_counts.pack(counted.counts[0])


def _adaptive(
    settings: RunSettings, index: int, maker: Maker, rng: np.random.Generator
) -> tuple[InputResult, bytes]:
    procedure = recorded_procedure(settings)
    job = procedure.job()
    job.begin(1, maker(rng, index, settings.n0))
    scores = np.empty(0, np.float32)
    while job.remaining:
        more = maker(rng, index, job.remaining)
        job.update(more)
        scores = np.append(scores, more)
    draws = Draws(scores, 1, _votes(settings, scores), settings.n0)
    return procedure.certify(job, draws), b""


def changed(folder: Path, change: Callable[[list[dict[str, Any]]], object]) -> Path:
    """Change rows of a finished run, and seal the file again as a forger would."""
    path = folder / "results.parquet"
    table = store.load(folder).table
    rows = table.to_pylist()
    change(rows)
    sealed.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
    return folder
