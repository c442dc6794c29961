"""Certify a data set into a results folder."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothbound._display.progress import progress
from smoothbound._files.checksum import digest
from smoothbound._utils import checks
from smoothbound.adaptive import Budget, Decide, FindRadius, Plan
from smoothbound.adaptive import Job as AdaptiveJob
from smoothbound.bounds._certify import certify_rows
from smoothbound.bounds._method import Method
from smoothbound.bounds._request import Request
from smoothbound.data._loading import Dataset
from smoothbound.errors import StoreError
from smoothbound.noise._displaced import inward
from smoothbound.sampling._jobs import Draws, Failure, FixedJob, Input, Job
from smoothbound.sketch._score_sketch import ScoreSketch
from smoothbound.smoothing._background import in_background
from smoothbound.smoothing._class_radius import class_radius
from smoothbound.smoothing._classifier import (
    SmoothedClassifier,
    check_feasible,
    judge,
    plan_draws,
    record,
    verdict,
    with_center,
)
from smoothbound.store import _packed_counts as packed_counts
from smoothbound.store._results import Results, load
from smoothbound.store._schema import SKETCH_EDGES
from smoothbound.store._settings import RunSettings
from smoothbound.store._writer import Writer

__all__ = ["as_recorded", "run"]


def as_recorded(folder: str | Path, smoothed: SmoothedClassifier) -> SmoothedClassifier:
    """Run a classifier as in the run of a folder, where it was left to be chosen.

    Parameters
    ----------
    folder : str or Path
        Results folder of the run that goes on. Without a run in it the classifier stays.
    smoothed : SmoothedClassifier
        Its batch size and memory format, where they are "auto", and its threads, where they are
        None, are taken from the folder, because the bits of the numbers depend on them.

    Returns
    -------
    SmoothedClassifier
        Another one, of the same model.
    """
    try:
        before = load(folder, salvage=True).settings
    except StoreError:  # the writer says what is wrong with it
        return smoothed
    made = copy(smoothed)
    made.sampler = smoothed.sampler.with_choices(
        batch_size=before.batch_size,
        channels_last=before.channels_last,
        threads=before.threads,
    )
    return made


def run(
    folder: str | Path,
    settings: RunSettings,
    smoothed: SmoothedClassifier,
    dataset: Dataset,
    *,
    question: Decide | FindRadius | None = None,
    budget: Budget | None = None,
    resume: bool = False,
    salvage: bool = False,
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
    question : Decide or FindRadius, optional
        Draw adaptively to answer this, at most ``settings.n`` draws of an input, by the only method
        of the settings at their only radius and threshold. The folder keeps the plan.
    budget : Budget, optional
        For all adaptive draws of the run, those before it was stopped included. Inputs that it does
        not reach abstain with that reason, and are not tried again.
    resume : bool
        Go on with a run that was stopped, or that took fewer inputs of the same (`max_inputs`),
        with what was chosen for it (`as_recorded`). All finished inputs are read again first, and
        compared with what was certified.
    salvage : bool
        Go on with what is whole of a damaged journal; see `smoothbound.store.Writer`.

    Returns
    -------
    Results
        The finished run.

    Raises
    ------
    TypeError
        If an argument is not of the kind stated above.
    ValueError
        If the settings can certify nothing, such as with too few draws; before any draw.
    StoreError
        If the folder cannot be written or continued, or an input is not what it was when it was
        certified; what is finished is kept.
    DataError
        If an input cannot be read; what is finished is kept.
    ModelError
        If the model fails in the same way on the first inputs, eight or all there are.
    """
    folder = checks.path("folder", folder)
    checks.instance("settings", settings, RunSettings)
    checks.instance("smoothed", smoothed, SmoothedClassifier)
    checks.instance("dataset", dataset, Dataset)
    if not isinstance(question, Decide | FindRadius | None):
        raise TypeError(f"question must be a Decide or a FindRadius, got {checks.shown(question)}")
    checks.optional("budget", budget, Budget)
    checks.flag("resume", resume)
    checks.flag("salvage", salvage)
    indices = dataset.select(settings.skip, settings.max_inputs, settings.indices).tolist()
    checks.count("n0", settings.n0)
    checks.count("n", settings.n)
    noise = smoothed.sampler.noise(
        settings.noise["kind"], seed=settings.seed, grid=settings.noise.get("grid")
    )
    # What the bounds allow for is what this noise needs, whatever the settings say.
    settings = replace(settings, noise=noise.describe(math.prod(dataset.shape)))
    if resume:
        smoothed = as_recorded(folder, smoothed)
        settings = replace(settings, **smoothed.sampler.describe(dataset[indices[0]][0]))
    plan = None if question is None else _plan(settings, question)
    if plan is not None:
        settings = replace(settings, adaptive=record(plan, budget))
    for method in settings.methods:
        request = _request(settings, method)
        if plan is not None:
            request = replace(request, alpha=plan.stages[-1].alpha)
        request = with_center(request, settings.displacement)
        check_feasible(smoothed, settings.n, partial(certify_rows, request=request))
    with (
        Writer(folder, settings, resume=resume, salvage=salvage) as writer,
        progress(
            "inputs certified",
            len(indices),
            done=len(writer.done),
            steps=1 if plan else settings.n0 + settings.n,
        ) as advance,
    ):
        done = frozenset(writer.done)
        _require_same_inputs(folder, dataset, indices, writer.digests)
        if budget is not None:
            budget.resume(*writer.spent)

        def job() -> Job:  # made when its input is admitted, for it pays for its first stage
            return FixedJob(settings.n) if plan is None else plan.start(budget)

        queue = (_labelled(dataset, i, job) for i in indices if i not in done)
        finish = _Finisher(settings, writer)
        try:
            with (
                in_background(finish) as store,
                closing(
                    # Nothing is written before an input came through or failed unlike the others.
                    smoothed.sampler.sample(
                        queue,
                        n0=settings.n0,
                        noise=noise,
                        known_good=bool(done),
                        advance=None if plan else advance,
                    )
                ) as outcomes,
            ):
                for item, outcome in outcomes:
                    store(item, outcome)
                    if plan is not None:  # how many draws there will be is not known
                        advance(1)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"{len(writer.done)} of {len(indices)} inputs are finished and kept in {folder}; "
                "go on with --resume"
            ) from None
        writer.finish()
    return load(folder)


@dataclass(frozen=True, eq=False)
class _Labelled(Input):
    """An input of a data set, its label, and the digest of both."""

    label: int
    digest: bytes


def _labelled(dataset: Dataset, index: int, job: Callable[[], Job]) -> _Labelled:
    image, label = dataset[index]
    return _Labelled(image, index, job(), label, _digest(image, label))


def _digest(image: Any, label: int) -> bytes:
    """Tell an input and its label from any other."""
    pixels = np.ascontiguousarray(image)
    kind = f"{pixels.dtype.str} {pixels.shape} {label}"
    return digest(kind.encode(), pixels.tobytes())


def _require_same_inputs(
    folder: str | Path, dataset: Dataset, indices: Sequence[int], digests: Mapping[int, bytes]
) -> None:
    """Refuse to go on where an input that was certified is another now."""
    if other := sorted(digests.keys() - set(indices)):
        raise StoreError(f"{folder} holds input {other[0]}, which the data set does not select now")
    for index in sorted(digests):
        if _digest(*dataset[index]) != digests[index]:
            raise StoreError(
                f"cannot resume {folder}: input {index} of {dataset.name} is not the one that was "
                "certified: its image or its label was changed, or images are decoded by another "
                "version; certify into another folder"
            )


class _Finisher:
    """Certifies sampled inputs and writes them down."""

    def __init__(self, settings: RunSettings, writer: Writer) -> None:
        self._settings, self._writer = settings, writer
        self._last = time.perf_counter()

    def __call__(self, item: Input, outcome: Draws | Failure) -> None:
        assert isinstance(item, _Labelled)
        row: dict[str, object] = {
            "index": item.index,
            "label": item.label,
            "digest": item.digest,
        }
        if isinstance(outcome, Failure):
            row |= _failed(self._settings, outcome)
        elif isinstance(item.job, AdaptiveJob):
            row |= _answered(self._settings, item.job, outcome)
        else:
            row |= _certified(self._settings, outcome)
        now = time.perf_counter()
        self._writer.append(row | {"seconds": now - self._last})
        self._last = now


def _plan(settings: RunSettings, question: Decide | FindRadius) -> Plan:
    """Plan the adaptive draws of a run, by its only method."""
    if len(settings.methods) != 1:
        names = ", ".join(method.name for method in settings.methods)
        raise ValueError(f"adaptive draws take one method, got {names}")
    request = _request(settings, settings.methods[0])
    return plan_draws(question, settings.n, request, settings.displacement)


def _request(settings: RunSettings, method: Method) -> Request:
    """Return what a run asks of the scores of an input by one of its methods."""
    return Request(
        sigma=settings.sigma,
        alpha=settings.alpha,
        score_range=settings.score_range,
        radii=settings.radii,
        thresholds=settings.thresholds,
        method=method,
        order="drawn",
    )


def _certified(settings: RunSettings, draws: Draws) -> dict[str, object]:
    """Certify one input; return its columns of the results."""
    bounds = {
        method.name: _bounds(
            draws.scores, with_center(_request(settings, method), settings.displacement)
        )
        for method in settings.methods
    }
    lower, _ = bounds[settings.methods[-1].name]
    predicted, reason = judge(
        [draws.predicted], lower[:1], settings.cutoff, measure=settings.measure
    )
    vote = class_radius(draws.top_count, settings.n, sigma=settings.sigma, alpha=settings.alpha)
    return {
        "selected": draws.predicted,
        "predicted": int(predicted[0]),
        "status": "abstained" if predicted[0] < 0 else "certified",
        "reason": reason[0],
        "class_radius": float(inward(vote, settings.displacement)),
        "n_draws": settings.n,
        "top_count": draws.top_count,
        "mean_score": draws.mean,
        "sketch": _sketch(draws.scores, settings.score_range),
        **{f"lower_{name}": lower[1:].tolist() for name, (lower, _) in bounds.items()},
        **{
            f"radius_{name}": inward(radius, settings.displacement).tolist()
            for name, (_, radius) in bounds.items()
        },
    }


def _answered(settings: RunSettings, job: AdaptiveJob, draws: Draws) -> dict[str, object]:
    """Return the columns of an input whose draws were adaptive."""
    answer = job.answer
    assert answer is not None
    predicted, reason, vote = verdict(
        answer,
        draws,
        settings.cutoff,
        sigma=settings.sigma,
        measure=settings.measure,
        displacement=settings.displacement,
    )
    (method,) = settings.methods
    return {
        "selected": draws.predicted,
        "predicted": predicted,
        "status": "budget"
        if answer.outcome == "budget"
        else "abstained"
        if predicted < 0
        else "certified",
        "reason": reason,
        "class_radius": vote,
        "n_draws": answer.n_draws,
        "top_count": draws.top_count,
        "mean_score": draws.mean,
        "sketch": b"",
        f"lower_{method.name}": [answer.lower],
        f"radius_{method.name}": [answer.radius],
    }


def _failed(settings: RunSettings, failure: Failure) -> dict[str, object]:
    """Return the columns of an input that could not be sampled."""
    return {
        "selected": -1,
        "predicted": -1,
        "status": "failed",
        "reason": str(failure).encode(errors="backslashreplace").decode(),  # it may quote a path
        "class_radius": math.nan,
        "n_draws": 0,
        "top_count": 0,
        "mean_score": math.nan,
        "sketch": b"",
        **{f"lower_{m.name}": [math.nan] * len(settings.radii) for m in settings.methods},
        **{f"radius_{m.name}": [math.nan] * len(settings.thresholds) for m in settings.methods},
    }


def _sketch(scores: NDArray[np.float32], score_range: tuple[float, float]) -> bytes:
    """Count the scores of one input over the edges of a results folder, and pack the counts."""
    sketch = ScoreSketch(edges=SKETCH_EDGES - 1, score_range=score_range)
    sketch.update(scores[None])
    return packed_counts.pack(sketch.counts[0])


def _bounds(
    scores: NDArray[np.float32], request: Request
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the certified confidences and the certified radii of one input."""
    certificate = certify_rows(scores[None], request)
    assert certificate.lower is not None
    assert certificate.radius is not None
    return certificate.lower[0], certificate.radius[0]
