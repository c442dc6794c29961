"""The first worker of a run, which makes the automatic choices and tries the model."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import closing, redirect_stderr, redirect_stdout
from pathlib import Path

from smoothbound.data._loading import Dataset
from smoothbound.errors import ClusterError, said
from smoothbound.harness._ray.pool import Pool
from smoothbound.harness._ray.shared import TOLD, WHOLE
from smoothbound.sampling._jobs import FixedJob, Input
from smoothbound.smoothing._classifier import SmoothedClassifier
from smoothbound.smoothing._going_on import require_same_inputs
from smoothbound.smoothing._one_input.questions import AdaptiveDraws
from smoothbound.smoothing._run import PreparedRun, agreed, selected, settled
from smoothbound.store._results import as_array
from smoothbound.store._settings import RunSettings
from smoothbound.store._shards.record import read_record
from smoothbound.store._stored import open_folder

__all__ = ["first_worker"]

_TRIED = 8  # inputs, one of which the model must take


def first_worker(pool: Pool, prepare: Callable[[], PreparedRun], folder: Path) -> str:
    import ray

    # Ray would retry forever if there is too little memory.
    call = ray.remote(max_retries=0, **pool.resources)(_agree)
    try:
        return str(ray.get(call.remote(prepare, folder)))
    except ray.exceptions.RayTaskError as error:
        cause = getattr(error, "cause", error)
        raise cause if type(cause).__name__ in TOLD else error from None
    except ray.exceptions.RayError as error:
        raise ClusterError(
            f"the first worker died, before any input was certified: {said(error)}"
        ) from error


def _agree(prepare: Callable[[], PreparedRun], folder: Path) -> str:
    """Write or compare the record of the run, compare finished inputs, and try the model.

    Returns
    -------
    str
        The text that `prepare` printed.
    """
    printed = io.StringIO()
    with redirect_stdout(printed), redirect_stderr(printed):
        settings, smoothed, dataset, adaptive = prepare()
    if read_record(folder) is None:
        _try_model(settings, smoothed, dataset, adaptive)
    record, _ = agreed(folder, settings, smoothed, dataset, adaptive, WHOLE.count)
    indices = selected(record.settings, dataset)
    with open_folder(folder) as stored:
        for rows in stored.batches(["index", "digest"]):
            pairs = zip(as_array(rows["index"]), as_array(rows["digest"]), strict=True)
            digests = {int(i): bytes(one) for i, one in pairs}
            require_same_inputs(folder, dataset, indices, digests)
    return printed.getvalue()


def _try_model(
    settings: RunSettings,
    smoothed: SmoothedClassifier,
    dataset: Dataset,
    adaptive: AdaptiveDraws | None,
) -> None:
    """Refuse a model that fails in the same way on the first inputs, before anything is written."""
    settings, noise, _ = settled(settings, smoothed, dataset, adaptive, None)
    first = (Input(dataset[i][0], i, FixedJob(1)) for i in selected(settings, dataset)[:_TRIED])
    with closing(smoothed.sampler.sample(first, n0=1, noise=noise)) as outcomes:
        next(outcomes)
