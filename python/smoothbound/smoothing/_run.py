"""A run that certifies a data set into a results folder."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from smoothbound._display.outlook import Outlook
from smoothbound._files.atomic import missing_folders
from smoothbound._files.checksum import digest
from smoothbound._utils import checks
from smoothbound.anytime._record import FollowedRun
from smoothbound.classes._device_counts import counter_for
from smoothbound.data._loading import Dataset
from smoothbound.noise._noise import Noise
from smoothbound.sampling._jobs import Draws, Failure, Input
from smoothbound.smoothing._background import in_background
from smoothbound.smoothing._classifier import SmoothedClassifier
from smoothbound.smoothing._going_on import (
    Before,
    as_recorded,
    digest_of,
    family_of,
    require_same_inputs,
    rows_to_draw,
)
from smoothbound.smoothing._one_input.anytime_draws import AnytimeProcedure
from smoothbound.smoothing._one_input.fixed_draws import Procedure
from smoothbound.smoothing._one_input.of_settings import procedure_of
from smoothbound.smoothing._one_input.questions import AdaptiveDraws
from smoothbound.smoothing._run_rows import Items, RowWriter
from smoothbound.store._results import Results
from smoothbound.store._settings import RunSettings
from smoothbound.store._shards.parts import (
    join,
    record_first,
    require_same_run,
    withdrawn_if_refused,
)
from smoothbound.store._shards.record import SHARDS, RunRecord
from smoothbound.store._shards.shard import Shard
from smoothbound.store._stored import load
from smoothbound.store._writer import Writer

__all__ = [
    "PreparedRun",
    "Progress",
    "agreed",
    "certify_items",
    "run",
    "selected",
    "settled",
    "silent",
    "told_when_stopped",
]

_MOMENT = 0.5  # seconds between two updates of the progress

Progress = Callable[..., AbstractContextManager[Callable[[int], object]]]


class PreparedRun(NamedTuple):
    """The first arguments of `run` after `folder`.

    Parameters
    ----------
    settings : RunSettings
        The settings of the run.
    smoothed : SmoothedClassifier
        The smoothed model, made with these settings.
    dataset : Dataset
        The data that the settings name.
    adaptive : AdaptiveDraws, optional
        The rules of adaptive draws, without a budget.
    """

    settings: RunSettings
    smoothed: SmoothedClassifier
    dataset: Dataset
    adaptive: AdaptiveDraws | None = None


def silent(*_: object, **__: object) -> AbstractContextManager[Callable[[int], object]]:
    """Show nothing."""
    return nullcontext(lambda count: None)


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
    follow: str | Path | None = None,
    shard: Shard | None = None,
    progress: Progress | None = None,
) -> Results:
    """Certify the inputs that `settings` select, each by all methods from the same draws.

    Every finished input is written to the disk, so the run can be killed at any moment. An input on
    which the model fails gets the status "failed" and a reason, and is not tried again. If a run
    with adaptive draws is interrupted, the unfinished inputs are written too, with the status
    "stopped" and the certificates of their draws, and are continued from there.

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
        Their only method must be "anytime". The folder records these rules. A budget also counts
        draws that were made before the run was stopped. Inputs that it ends have the status
        "budget".
    resume : bool
        Whether to continue a run that was stopped, or to add inputs to a run with a smaller
        `max_inputs`. The automatic choices of the run are kept (`as_recorded`). All finished inputs
        are first read again and compared with those that were certified.
    salvage : bool
        Whether to continue with the complete rows of a damaged journal; see
        `smoothbound.store.Writer`.
    more_draws : bool
        Whether to continue a finished run with adaptive draws. Inputs with an open question that
        the larger ``settings.n`` may answer are drawn further at the same alpha, and the others
        keep their rows. With the same n, only inputs that a budget ended are drawn further. The
        budget of `adaptive` counts all draws of the folder, including the earlier ones. An input on
        which the model fails now keeps its earlier result. It implies `resume`.
    follow : str or Path, optional
        Results folder of a finished run with adaptive draws, whose results were known when the
        questions of `settings` were chosen. Each of its inputs that has a selected class takes
        further draws, numbered after those of that run, and only these count, at the alpha of
        `settings`. The other settings must be those of that run. It implies `resume`: the same call
        continues a run that was stopped.
    shard : Shard, optional
        The shard of the selected inputs to certify; `settings` are those of all inputs. All shards
        write files of their own to one folder, and have the settings and the automatic choices of
        the first shard. It implies `resume`: the same call continues a shard that was stopped. It
        excludes a budget, `more_draws` and `follow`.
    progress : callable, optional
        Shows the progress of the run. It is called as ``progress(what, total, done=...,
        steps=...)``, or with adaptive draws as ``progress(what, total, done=..., describe=...)``,
        where ``describe()`` returns a text about the progress. It returns a context manager that
        yields a function of the number of steps just done. By default nothing is shown.

    Returns
    -------
    Results
        The finished run, or the finished shard.

    Raises
    ------
    TypeError
        If an argument has the wrong type.
    ValueError
        If the settings cannot certify anything, for example with too few draws. The error is raised
        before the first draw.
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
    checks.share_of_alpha("settings.alpha", settings.alpha)
    for name, flag in (("resume", resume), ("salvage", salvage), ("more_draws", more_draws)):
        checks.flag(name, flag)
    before = None if follow is None else Before.load(checks.path("follow", follow), folder)
    with ExitStack() as stack:
        if shard is not None:
            _require_shardable(adaptive, more_draws, before)
            new_folders = missing_folders(folder / SHARDS)
            record, smoothed = agreed(folder, settings, smoothed, dataset, adaptive, shard.count)
            stack.enter_context(withdrawn_if_refused(folder, new_folders))
            folder, settings = join(folder, record, shard, salvage=salvage), record.of(shard)
        follows = family_of(folder, before, resume=resume and not more_draws)
        same_command = more_draws or before is not None or shard is not None  # goes on
        if resume := resume or same_command:
            smoothed = as_recorded(folder if before is None else before.folder, smoothed)
        settings, noise, procedure = settled(settings, smoothed, dataset, adaptive, follows)
        if shard is not None:
            settings = record.of(shard)  # the choices on this device may differ
        goes_on = _rows_to_draw(folder, settings, procedure) if more_draws else None
        if before is not None:
            before.require_same_draws(settings)
        writer = stack.enter_context(
            Writer(folder, settings, resume=resume, salvage=salvage, goes_on=goes_on)
        )
        indices = selected(settings, dataset)
        _require_unchanged(dataset, indices, before, writer)
        items = Items(dataset, indices, procedure, before, writer)
        if adaptive and adaptive.budget:
            adaptive.budget.resume(*writer.spent)
        with told_when_stopped(writer, same_command=same_command):
            known_good = len(writer.done) > 0
            certify_items(items, smoothed, noise, writer, progress, known_good=known_good)
        writer.finish()
    return load(folder)


def certify_items(
    items: Items,
    smoothed: SmoothedClassifier,
    noise: Noise,
    writer: Writer,
    progress: Progress | None = None,
    *,
    known_good: bool,
) -> None:
    """Draw the inputs that are not finished, and write a row of the results for each."""
    settings, procedure = writer.settings, items.procedure
    adaptive = isinstance(procedure, AnytimeProcedure)
    n_done, n_inputs = len(writer.done), settings.n_inputs
    left: list[tuple[Input, Draws | Failure]] = []
    shown: dict[str, Any] = {"steps": settings.n0 + settings.n}
    outlook = None
    if isinstance(procedure, AnytimeProcedure):  # the number of draws is not known in advance
        budget = procedure.rules.budget
        outlook = Outlook(n_inputs, n_done, limits=None if budget is None else lambda: budget.left)
        shown = {"describe": outlook.text}
    counter = counter_for(
        settings.classes, smoothed.sampler.device, smoothed.outputs, adaptive=adaptive
    )
    with (
        (progress or silent)("inputs certified", n_inputs, done=n_done, **shown) as advance,
        in_background(RowWriter(settings, procedure, writer, counter)) as write_later,
        _written_when_stopped(left, write_later),
        closing(
            # Nothing is written until one input succeeds or fails differently.
            smoothed.sampler.sample(
                items.waiting(outlook),
                n0=settings.n0,
                noise=noise,
                early_selection=procedure.early_selection,
                known_good=known_good,
                counter=counter,
                advance=advance if outlook is None else _now_and_then(lambda _: advance(0)),
                interrupted=left.extend if adaptive else None,
            )
        ) as outcomes,
    ):
        for item, outcome in chain(items.failed_before(), outcomes):
            write_later(item, outcome)
            if outlook is not None:
                outlook.end(item.index, _n_draws(outcome))
                advance(1)


def _n_draws(outcome: Draws | Failure) -> int:
    """Return how many draws were made, including those that selected the class."""
    return 0 if isinstance(outcome, Failure) else outcome.n0 + len(outcome.scores)


def _now_and_then(call: Callable[[int], object]) -> Callable[[int], object]:
    """Return a function that skips calls which follow another call within a moment."""
    last = time.monotonic()

    def called(count: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _MOMENT:
            last = now
            call(count)

    return called


def _require_shardable(
    adaptive: AdaptiveDraws | None, more_draws: bool, before: Before | None
) -> None:
    """Refuse arguments that a single shard cannot handle."""
    if more_draws or before is not None:
        raise ValueError(
            "shard must be left out with more_draws and follow: join the shards by "
            "smoothbound.store.merge, and go on with the joined run"
        )
    budget = adaptive and adaptive.budget
    if budget and (budget.draws is not None or budget.seconds is not None):
        raise ValueError(
            "shard must be left out with a budget, because shards do not know what the others have "
            "spent"
        )


def agreed(
    folder: Path,
    settings: RunSettings,
    smoothed: SmoothedClassifier,
    dataset: Dataset,
    adaptive: AdaptiveDraws | None,
    shards: int,
) -> tuple[RunRecord, SmoothedClassifier]:
    """Return the record of a run in shards, and the classifier with the first shard's choices."""
    indices = selected(settings, dataset)
    labels = np.ascontiguousarray(dataset.labels[indices]).tobytes()
    data = digest(digest_of(*dataset[indices[0]]), labels).hex()

    def own(smoothed: SmoothedClassifier) -> RunRecord:
        with_choices, _, _ = settled(settings, smoothed, dataset, adaptive, None)
        return RunRecord(shards, data, with_choices)

    record = record_first(folder, own(as_recorded(folder, smoothed)))
    smoothed = as_recorded(folder, smoothed)
    require_same_run(folder, record, own(smoothed))
    return record, smoothed


def selected(settings: RunSettings, dataset: Dataset) -> list[int]:
    """Return the indices of the inputs that settings select from a data set."""
    indices = dataset.select(settings.skip, settings.max_inputs, settings.indices).tolist()
    return indices if settings.shard is None else list(settings.shard.of(indices))


def settled(
    settings: RunSettings,
    smoothed: SmoothedClassifier,
    dataset: Dataset,
    adaptive: AdaptiveDraws | None,
    follows: FollowedRun | None,
) -> tuple[RunSettings, Noise, Procedure | AnytimeProcedure]:
    """Return settings with all automatic choices, the noise, and the procedure for each input."""
    kind, grid = settings.noise.kind, settings.noise.grid
    noise = smoothed.sampler.noise(kind, seed=settings.seed, grid=grid)
    first, _ = dataset[selected(settings, dataset)[0]]
    settings = replace(
        settings,
        # The bounds must allow for the displacement of this noise.
        noise=noise.describe(math.prod(dataset.shape)),
        **vars(smoothed.sampler.describe(first)),
    )
    procedure = procedure_of(settings, adaptive, follows)
    return replace(settings, adaptive=procedure.record()), noise, procedure


def _check_arguments(settings: object, smoothed: object, dataset: object, adaptive: object) -> None:
    checks.instance("settings", settings, RunSettings)
    checks.instance("smoothed", smoothed, SmoothedClassifier)
    checks.instance("dataset", dataset, Dataset)
    checks.optional("adaptive", adaptive, AdaptiveDraws)


def _require_unchanged(
    dataset: Dataset, indices: Sequence[int], before: Before | None, writer: Writer
) -> None:
    """Refuse to go on if an input is not the one that was certified."""
    if before is not None:
        require_same_inputs(before.folder, dataset, indices, before.digests)
        return
    stopped = {i: bytes(row["digest"]) for i, row in writer.stopped.items()}
    require_same_inputs(writer.folder, dataset, indices, stopped | writer.digests)


def _rows_to_draw(
    folder: Path, settings: RunSettings, procedure: Procedure | AnytimeProcedure
) -> Callable[[dict[str, Any]], bool]:
    if not isinstance(procedure, AnytimeProcedure):
        raise ValueError(
            "more_draws must be False for a fixed number of draws, to which none may be added "
            "after a look at the results; got True"
        )
    return rows_to_draw(folder, settings, procedure)


@contextmanager
def told_when_stopped(writer: Writer, *, same_command: bool) -> Iterator[None]:
    """Tell the user of an interrupted run how much is kept and how to continue."""
    try:
        yield
    except KeyboardInterrupt as stop:
        if not writer.done and not writer.stopped:
            raise type(stop)(
                f"no input is finished yet, and {writer.folder} is unchanged; start again with "
                "the same command"
            ) from None
        more = f", and {len(writer.stopped)} more with their draws" if writer.stopped else ""
        raise type(stop)(
            f"{len(writer.done)} of {writer.settings.n_inputs} inputs are finished and kept in "
            f"{writer.folder}{more}; "
            + ("the same command goes on" if same_command else "go on with --resume")
        ) from None


@contextmanager
def _written_when_stopped(
    left: list[tuple[Input, Draws | Failure]], write: Callable[..., None]
) -> Iterator[None]:
    """Write the inputs that an interrupted run was drawing, which the list then holds."""
    try:
        yield
    except KeyboardInterrupt:
        for item, outcome in left:
            write(item, outcome)
        raise
