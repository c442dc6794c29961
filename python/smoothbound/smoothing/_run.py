"""A run that certifies a data set into a results folder."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from copy import copy
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothbound._files.checksum import digest
from smoothbound._utils import checks
from smoothbound.anytime._job import Job as AdaptiveJob
from smoothbound.bounds._method import Method
from smoothbound.bounds._request import Request
from smoothbound.data._loading import Dataset
from smoothbound.errors import StoreError
from smoothbound.sampling._jobs import Draws, Failure, Input
from smoothbound.sketch import _counting as counting
from smoothbound.sketch._content import SketchContent, no_counts
from smoothbound.smoothing._anytime_input import AdaptiveDraws, AnytimeProcedure, earlier_of
from smoothbound.smoothing._background import in_background
from smoothbound.smoothing._classifier import SmoothedClassifier
from smoothbound.smoothing._one_input import InputResult, Procedure, radii_at_point
from smoothbound.store._results import Results, require_anytime
from smoothbound.store._settings import RunSettings
from smoothbound.store._stored import load
from smoothbound.store._table import packed_counts
from smoothbound.store._table.schema import SKETCH_EDGES
from smoothbound.store._writer import Writer

__all__ = ["as_recorded", "run"]

Progress = Callable[..., AbstractContextManager[Callable[[int], object]]]


def _silent(*_: object, **__: object) -> AbstractContextManager[Callable[[int], object]]:
    """Show nothing."""
    return nullcontext(lambda count: None)


def as_recorded(folder: str | Path, smoothed: SmoothedClassifier) -> SmoothedClassifier:
    """Return a classifier with the automatic choices that the run of a folder made.

    Parameters
    ----------
    folder : str or Path
        Results folder of the run to resume.
    smoothed : SmoothedClassifier
        The classifier. The folder decides its batch size and memory format if they are "auto", and
        its threads if they are None, because the bits of the numbers depend on them.

    Returns
    -------
    SmoothedClassifier
        A new object with the same model; `smoothed` itself if the folder holds no run.
    """
    try:
        before = load(folder, salvage=True).settings
    except StoreError:  # the writer will say why
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
    adaptive: AdaptiveDraws | None = None,
    resume: bool = False,
    salvage: bool = False,
    more_draws: bool = False,
    progress: Progress | None = None,
) -> Results:
    """Certify the inputs that `settings` select, each by all methods from the same draws.

    Every finished input is on the disk, so the run can be killed at any moment. An input on which
    the model fails gets the status "failed" and a reason, and is not tried again. If a run with
    adaptive draws is interrupted, the inputs that it draws are on the disk too, with the status
    "stopped" and what their draws certify, and go on from there.

    Parameters
    ----------
    folder : str or Path
        Results folder to write.
    settings : RunSettings
        The settings of the run, which the folder records.
    smoothed : SmoothedClassifier
        The smoothed model, made with these settings.
    dataset : Dataset
        The data that the settings name.
    adaptive : AdaptiveDraws, optional
        Draw each input, at most ``settings.n`` times, until its questions are answered or seem out
        of reach: whether the confidence is above each threshold within each radius of the settings.
        Their only method must be "anytime". The folder records these rules. A budget counts the
        draws before the run was stopped too. Inputs that it ends have the status "budget".
    resume : bool
        Whether to go on with a run that was stopped, or to add inputs to a run with a smaller
        `max_inputs`. Its automatic choices are kept (`as_recorded`). All finished inputs are read
        again first, and compared with the ones that were certified.
    salvage : bool
        Whether to go on with the whole rows of a damaged journal; see `smoothbound.store.Writer`.
    more_draws : bool
        Whether to go on with a finished run with adaptive draws: inputs with an open question that
        the larger ``settings.n`` may answer are drawn further, at the same alpha, and the others
        keep their rows. It implies `resume`.
    progress : callable, optional
        Shows the progress of the run. It is called as ``progress(what, total, done=...,
        steps=...)`` and returns a context manager, which yields a function of the number of steps
        just done. By default nothing is shown.

    Returns
    -------
    Results
        The finished run.

    Raises
    ------
    TypeError
        If an argument is not of the kind stated above.
    ValueError
        If the settings can certify nothing, for example with too few draws. It is raised before any
        draw.
    StoreError
        If the folder cannot be written or continued, or an input has changed since it was
        certified. Finished inputs are kept.
    DataError
        If an input cannot be read. Finished inputs are kept.
    ModelError
        If the model fails in the same way on the first eight inputs, or on all if there are fewer.
    """
    folder = checks.path("folder", folder)
    _check_arguments(settings, smoothed, dataset, adaptive)
    checks.flag("resume", resume)
    checks.flag("salvage", salvage)
    indices = dataset.select(settings.skip, settings.max_inputs, settings.indices).tolist()
    kind, grid = settings.noise.kind, settings.noise.grid
    noise = smoothed.sampler.noise(kind, seed=settings.seed, grid=grid)
    # The bounds must allow for the displacement of this noise, so it replaces that of the settings.
    settings = replace(settings, noise=noise.describe(math.prod(dataset.shape)))
    resume = resume or more_draws
    if more_draws:
        _require_more_draws(folder, settings)
    if resume:
        smoothed = as_recorded(folder, smoothed)
        settings = replace(settings, **vars(smoothed.sampler.describe(dataset[indices[0]][0])))
    procedure = _procedure(settings, adaptive)
    settings = replace(settings, adaptive=procedure.record())
    with (
        Writer(
            folder,
            settings,
            resume=resume,
            salvage=salvage,
            goes_on=_goes_on(procedure) if more_draws else None,
        ) as writer,
        (progress or _silent)(
            "inputs certified",
            len(indices),
            done=len(writer.done),
            steps=1 if adaptive else settings.n0 + settings.n,
        ) as advance,
    ):
        done = frozenset(writer.done)
        stopped = dict(writer.stopped)
        digests = {i: bytes(row["digest"]) for i, row in stopped.items()}
        _require_same_inputs(folder, dataset, indices, writer.digests | digests)
        if adaptive and adaptive.budget:
            adaptive.budget.resume(*writer.spent)
        queue = (_labelled(dataset, i, procedure, stopped.get(i)) for i in indices if i not in done)
        left: list[tuple[Input, Draws | Failure]] = []
        with (
            _told_when_stopped(folder, writer, len(indices), more_draws),
            in_background(_RowWriter(settings, procedure, writer)) as write_later,
            _written_when_stopped(left, write_later),
            closing(
                # Nothing is written until one input succeeds or fails differently.
                smoothed.sampler.sample(
                    queue,
                    n0=settings.n0,
                    noise=noise,
                    early_selection=procedure.early_selection,
                    known_good=bool(done),
                    advance=None if adaptive else advance,
                    interrupted=left.extend if adaptive else None,
                )
            ) as outcomes,
        ):
            for item, outcome in outcomes:
                write_later(item, outcome)
                if adaptive is not None:  # the number of draws is not known in advance
                    advance(1)
        writer.finish()
    return load(folder)


def _check_arguments(settings: object, smoothed: object, dataset: object, adaptive: object) -> None:
    checks.instance("settings", settings, RunSettings)
    checks.instance("smoothed", smoothed, SmoothedClassifier)
    checks.instance("dataset", dataset, Dataset)
    checks.optional("adaptive", adaptive, AdaptiveDraws)


def _require_more_draws(folder: Path, settings: RunSettings) -> None:
    """Refuse to go on with a run that is not finished, is not adaptive, or has as many draws."""
    before = load(folder)
    require_anytime(folder, before)
    if settings.n <= before.settings.n:
        raise ValueError(
            f"n must be larger than the n = {before.settings.n} of {folder} to go on with it, got "
            f"{settings.n}"
        )


def _goes_on(procedure: Procedure | AnytimeProcedure) -> Callable[[dict[str, Any]], bool]:
    """Return a function of a row: whether more draws may answer a question about its input."""
    assert isinstance(procedure, AnytimeProcedure)  # a fixed number of draws was refused before
    return procedure.goes_on


@contextmanager
def _told_when_stopped(
    folder: Path, writer: Writer, n_inputs: int, more_draws: bool
) -> Iterator[None]:
    """Say of a run that is stopped by hand how much is kept, and how it goes on."""
    try:
        yield
    except KeyboardInterrupt as stop:
        more = f", and {len(writer.stopped)} more with their draws" if writer.stopped else ""
        raise type(stop)(
            f"{len(writer.done)} of {n_inputs} inputs are finished and kept in {folder}{more}; "
            + ("the same command goes on" if more_draws else "go on with --resume")
        ) from None


@contextmanager
def _written_when_stopped(
    left: list[tuple[Input, Draws | Failure]], write: Callable[..., None]
) -> Iterator[None]:
    """Write the inputs that an interrupted run was drawing, which are then in the list."""
    try:
        yield
    except KeyboardInterrupt:
        for item, outcome in left:
            write(item, outcome)
        raise


@dataclass(frozen=True, eq=False)
class _Labelled(Input):
    """An input of a data set, its label, and the digest of both."""

    label: int
    digest: bytes
    earlier: Mapping[str, Any] | None  # its row, if it was stopped


def _labelled(
    dataset: Dataset,
    index: int,
    procedure: Procedure | AnytimeProcedure,
    row: Mapping[str, Any] | None,
) -> _Labelled:
    image, label = dataset[index]
    job, first_draw = procedure.job(label), 0
    if row is not None and isinstance(procedure, AnytimeProcedure):
        earlier = earlier_of(row)
        job, first_draw = procedure.job(label, earlier), earlier.test.n_draws
    return _Labelled(image, index, job, label, _digest(image, label), row, first_draw=first_draw)


def _digest(image: Any, label: int) -> bytes:
    """Return a digest of an input and its label."""
    pixels = np.ascontiguousarray(image)
    kind = f"{pixels.dtype.str} {pixels.shape} {label}"
    return digest(kind.encode(), pixels.tobytes())


def _require_same_inputs(
    folder: str | Path, dataset: Dataset, indices: Sequence[int], digests: Mapping[int, bytes]
) -> None:
    """Refuse to go on if an input has changed since it was certified."""
    if other := sorted(digests.keys() - set(indices)):
        raise StoreError(f"{folder} holds input {other[0]}, which the data set does not select now")
    for index in sorted(digests):
        if _digest(*dataset[index]) != digests[index]:
            raise StoreError(
                f"cannot resume {folder}: input {index} of {dataset.name} is not the one that was "
                "certified: its image or its label was changed, or images are decoded by another "
                "version; certify into another folder"
            )


def _procedure(
    settings: RunSettings, adaptive: AdaptiveDraws | None
) -> Procedure | AnytimeProcedure:
    """Return the procedure of a run: all methods certify the same draws.

    Raises
    ------
    ValueError
        If it can certify nothing.
    """
    measure, displacement = settings.measure, settings.displacement
    procedure: Procedure | AnytimeProcedure
    if adaptive is None:
        radii = radii_at_point(settings.radii, displacement)
        requests = tuple(_request(settings, method, radii) for method in settings.methods)
        procedure = Procedure(requests, settings.n, settings.cutoff, measure, displacement)
    else:
        (method,) = settings.methods
        procedure = AnytimeProcedure.of(
            _request(settings, method, settings.radii),
            adaptive,
            n=settings.n,
            cutoff=settings.cutoff,
            measure=measure,
            displacement=displacement,
        )
    procedure.check_feasible()
    return procedure


def _request(settings: RunSettings, method: Method, radii: tuple[float, ...]) -> Request:
    """Return what one method is asked for."""
    return Request(
        sigma=settings.sigma,
        alpha=settings.alpha,
        score_range=settings.score_range,
        radii=radii,
        thresholds=settings.thresholds,
        method=method,
        order="drawn",
    )


class _RowWriter:
    """Certifies sampled inputs and writes a row of the results for each."""

    def __init__(
        self, settings: RunSettings, procedure: Procedure | AnytimeProcedure, writer: Writer
    ) -> None:
        self._settings, self._procedure, self._writer = settings, procedure, writer
        self._last = time.perf_counter()

    def __call__(self, item: _Labelled, outcome: Draws | Failure) -> None:
        result, seconds = self._result(item, outcome), 0.0
        if result is None:
            return
        if item.earlier is not None:
            seconds = item.earlier["seconds"]
        sketch = b""
        if isinstance(outcome, Draws) and isinstance(self._procedure, Procedure):
            sketch = _sketch(outcome.scores, self._settings)
        row: dict[str, object] = {
            "index": item.index,
            "label": item.label,
            "digest": item.digest,
            "sketch": sketch,
        }
        now = time.perf_counter()
        row |= _columns(result, self._settings.methods) | {"seconds": seconds + now - self._last}
        self._writer.append(row)
        self._last = now

    def _result(self, item: _Labelled, outcome: Draws | Failure) -> InputResult | None:
        """Return the result of an input; None if an interruption left its draws uncounted."""
        if isinstance(self._procedure, Procedure):
            return self._procedure.certify(item.job, outcome)
        assert isinstance(item.job, AdaptiveJob)
        n_draws = item.job.test.n_draws - item.first_draw
        if isinstance(outcome, Draws) and len(outcome.scores) != n_draws:
            return None
        top_count = item.earlier["top_count"] if item.earlier is not None else 0
        return self._procedure.certify(item.job, outcome, top_count)


def _columns(result: InputResult, methods: Sequence[Method]) -> dict[str, object]:
    """Return the columns of the results table that hold the result of an input."""
    columns: dict[str, object] = {
        name: getattr(result, name)
        for name in (field.name for field in fields(result))
        if name != "bounds"
    }
    for method, bounds in zip(methods, result.bounds, strict=True):
        assert bounds.lower is not None  # results are about the lower side alone
        assert bounds.radius is not None
        columns[f"lower_{method.name}"] = bounds.lower.tolist()
        columns[f"radius_{method.name}"] = bounds.radius.tolist()
    return columns


def _sketch(scores: NDArray[np.float32], settings: RunSettings) -> bytes:
    """Count the scores of one input over the edges of a results folder, and pack the counts."""
    one = np.zeros(1, np.int64)
    content = SketchContent(
        index=one,
        selected=one,
        draws=np.array([[0, 0, scores.size]]),
        counts=no_counts(1, SKETCH_EDGES),
        edges=np.linspace(*settings.score_range, SKETCH_EDGES),
        measure=settings.measure,
        sigma=settings.sigma,
    )
    counting.count(content, scores[None], one, content.draws, backend=None, threads=None)
    return packed_counts.pack(content.counts[0])
