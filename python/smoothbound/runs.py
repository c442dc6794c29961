"""Certify a data set into a results folder."""

from __future__ import annotations

import math
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from smoothbound import checks
from smoothbound.background import in_background
from smoothbound.class_radius import class_radius
from smoothbound.data import Dataset
from smoothbound.engine import certify_scores
from smoothbound.method import Method
from smoothbound.progress import progress
from smoothbound.sampler import Input
from smoothbound.schedule import Draws, Failure, FixedJob
from smoothbound.smoothed import SmoothedClassifier, judge
from smoothbound.store import Results, RunSettings, Writer, load

__all__ = ["run"]


def run(
    folder: str | Path,
    settings: RunSettings,
    smoothed: SmoothedClassifier,
    dataset: Dataset,
    *,
    resume: bool = False,
) -> Results:
    """Certify the inputs that `settings` select, each by all methods from the same draws.

    Progress is shown on the standard error stream. Every finished input is on the disk, so the
    run can be killed at any moment. Inputs on which the model fails are kept as failed, with the
    reason, and not tried again.

    Parameters
    ----------
    folder : str or Path
        Results folder to write.
    settings : RunSettings
        What to certify and how; the folder keeps them.
    smoothed : SmoothedClassifier
        The model, smoothed as the settings say.
    dataset : Dataset
        The data that the settings name.
    resume : bool
        Go on with a run that was stopped.

    Returns
    -------
    Results
        The finished run.

    Raises
    ------
    ValueError
        If the settings can certify nothing, such as with too few draws; before any draw.
    StoreError
        If the folder cannot be written or continued; what is finished is kept.
    DataError
        If an input cannot be read; what is finished is kept.
    ModelError
        If the model fails in the same way on the first inputs, eight or all there are.
    """
    indices = dataset.select(settings.skip, settings.max_inputs, settings.indices).tolist()
    checks.count("n0", settings.n0)
    checks.count("n", settings.n)
    noise = smoothed.noise(
        settings.noise["kind"], seed=settings.seed, grid=settings.noise.get("grid")
    )
    for method in settings.methods:
        smoothed.rehearse(settings.n, _options(settings, method))
    with (
        Writer(folder, settings, resume=resume) as writer,
        progress(
            "inputs certified",
            len(indices),
            done=len(writer.done),
            steps=settings.n0 + settings.n,
        ) as advance,
    ):
        done = frozenset(writer.done)
        queue = (_labelled(settings, dataset, i) for i in indices if i not in done)
        finish = _Finisher(settings, writer)
        try:
            with (
                in_background(finish) as store,
                closing(
                    # Nothing is written before an input came through or failed unlike the others.
                    smoothed.sample(
                        queue, n0=settings.n0, noise=noise, proven=bool(done), advance=advance
                    )
                ) as outcomes,
            ):
                for item, outcome in outcomes:
                    store(item, outcome)
        except KeyboardInterrupt:
            Console(stderr=True).print(
                f"stopped: {len(writer.done)} of {len(indices)} inputs are finished and kept in "
                f"{folder}; go on with --resume",
                soft_wrap=True,
                markup=False,
            )
            raise
        writer.finish()
    return load(folder)


@dataclass(frozen=True, eq=False)
class _Labelled(Input):
    """An input of a data set and its label."""

    label: int


def _labelled(settings: RunSettings, dataset: Dataset, index: int) -> _Labelled:
    image, label = dataset[index]
    return _Labelled(image, index, FixedJob(settings.n), label)


class _Finisher:
    """Certifies sampled inputs and writes them down."""

    def __init__(self, settings: RunSettings, writer: Writer) -> None:
        self._settings, self._writer = settings, writer
        self._last = time.perf_counter()

    def __call__(self, item: Input, outcome: Draws | Failure) -> None:
        assert isinstance(item, _Labelled)
        row: dict[str, object] = {"index": item.example, "label": item.label}
        if isinstance(outcome, Failure):
            row |= _failed(self._settings, outcome)
        else:
            row |= _certified(self._settings, outcome)
        now = time.perf_counter()
        self._writer.append(row | {"seconds": now - self._last})
        self._last = now


def _options(settings: RunSettings, method: Method) -> dict[str, Any]:
    """Return the arguments of `certify_scores`, with R = 0 before the radii, to be judged by."""
    return {
        "sigma": settings.sigma,
        "alpha": settings.alpha,
        "score_range": settings.score_range,
        "radii": (0.0, *settings.radii),
        "thresholds": settings.thresholds,
        "bound": method.bound,
        "band": method.band or "dkw",
        "n_bins": method.n_bins,
        "mean": method.mean,
    }


def _certified(settings: RunSettings, draws: Draws) -> dict[str, object]:
    """Certify one input; return its columns of the results."""
    bounds = {
        method.name: _bounds(draws.scores, _options(settings, method))
        for method in settings.methods
    }
    lower, _ = bounds[settings.methods[-1].name]
    predicted, reason = judge(
        [draws.predicted], lower[:1], settings.cutoff, measure=settings.measure
    )
    vote = class_radius(draws.top_count, settings.n, sigma=settings.sigma, alpha=settings.alpha)
    return {
        "predicted": int(predicted[0]),
        "reason": reason[0],
        "class_radius": float(vote),
        "n_draws": settings.n,
        "top_count": draws.top_count,
        "mean_score": float(draws.scores.mean(dtype=np.float64)),
        **{f"lower_{name}": lower[1:].tolist() for name, (lower, _) in bounds.items()},
        **{f"radius_{name}": radius.tolist() for name, (_, radius) in bounds.items()},
    }


def _failed(settings: RunSettings, failure: Failure) -> dict[str, object]:
    """Return the columns of an input that could not be sampled."""
    return {
        "predicted": -1,
        "reason": str(failure),
        "class_radius": math.nan,
        "n_draws": 0,
        "top_count": 0,
        "mean_score": math.nan,
        **{f"lower_{m.name}": [math.nan] * len(settings.radii) for m in settings.methods},
        **{f"radius_{m.name}": [math.nan] * len(settings.thresholds) for m in settings.methods},
    }


def _bounds(
    scores: NDArray[np.float32], options: dict[str, Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the certified confidences and the certified radii of one input."""
    certificate = certify_scores(scores[None], **options)
    assert certificate.lower is not None
    assert certificate.radius is not None
    return certificate.lower[0], certificate.radius[0]
