"""Runs of certify on a cluster of Ray, which hands the inputs out to workers.

Ray starts the workers, hands out the inputs in small batches, and replaces workers that die. All
else is the contract of files in docs/clusters.md: the run is the only shard of a run in shards,
which the driver holds. Each worker writes its rows to a part of its own, and the driver copies them
into the part of the shard. So a run goes on from its files, and never from what Ray keeps.
"""

from __future__ import annotations

import io
import math
import os
import secrets
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, redirect_stderr, redirect_stdout
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from smoothbound._display.outlook import about
from smoothbound._files.atomic import is_locked
from smoothbound._utils import checks
from smoothbound._utils.extras import name_the_extra
from smoothbound.data._loading import Dataset
from smoothbound.errors import (
    CheckpointError,
    ClusterError,
    DataError,
    ModelError,
    StoreError,
    said,
)
from smoothbound.sampling._jobs import FixedJob, Input
from smoothbound.smoothing._classifier import SmoothedClassifier
from smoothbound.smoothing._going_on import require_same_inputs
from smoothbound.smoothing._one_input.questions import AdaptiveDraws
from smoothbound.smoothing._run import (
    Progress,
    agreed,
    certify_items,
    selected,
    settled,
    silent,
    told_when_stopped,
)
from smoothbound.smoothing._run_rows import Items
from smoothbound.store._results import JOURNAL, Results, as_array, read_single
from smoothbound.store._settings import RunSettings
from smoothbound.store._shards.parts import gather, join, machine, parts_of
from smoothbound.store._shards.record import SHARDS, RunRecord, read_record
from smoothbound.store._shards.shard import Shard
from smoothbound.store._stored import load, open_folder
from smoothbound.store._writer import Writer

if TYPE_CHECKING:
    import ray.data
    from numpy.typing import NDArray

__all__ = ["PreparedRun", "certify_on_ray"]

_ALL = Shard(0, 1)
_TRIED = 8  # inputs, one of which the model must take
_MOST_AT_ONCE = 8  # inputs that a worker is handed at once
_BATCHES = 4  # that each worker is handed at least, if there are as many inputs
_MOST_DEATHS = 3  # of a worker that finishes no input; lost nodes are no reason to end the run
_PATIENCE = 30.0  # seconds for the workers of a driver that was killed, which Ray ends
_ERRORS = {
    kind.__name__: kind
    for kind in (
        *(CheckpointError, ClusterError, DataError, ModelError, StoreError),
        *(TypeError, ValueError),
    )
}  # which a worker tells the driver of
_SHOWN, _LONGEST = 3, 60  # reasons of failures that the progress shows, and letters of each


class PreparedRun(NamedTuple):
    """What a run is made of: the first arguments of `smoothbound.smoothing.run` after `folder`.

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


def certify_on_ray(
    folder: str | Path,
    prepare: Callable[[], PreparedRun],
    inputs: ray.data.Dataset | None = None,
    *,
    workers: int | None = None,
    cpus: float = 1.0,
    gpus: float = 0.0,
    first: Callable[[], PreparedRun] | None = None,
    progress: Progress | None = None,
    show: Callable[[str], object] | None = None,
) -> Results:
    """Certify inputs that Ray hands out to workers on a cluster, into a results folder.

    The results are those of `smoothbound.smoothing.run` in one process bit for bit, on the same
    kind of hardware, whatever the number of workers and their order. A run that was stopped goes
    on by the same call.

    Parameters
    ----------
    folder : str or Path
        Results folder to write, on a file system that all nodes share.
    prepare : callable
        Makes what the run is made of. It is called once in each worker, where it loads the model,
        in the current folder of this process.
    inputs : ray.data.Dataset, optional
        The inputs, of which the column `index` has the positions in the data set. No other column
        is read: each worker reads the images itself. By default all that the settings select.
    workers : int, optional
        Number of workers. By default as many as the cluster has room for. One CPU is left for Ray
        Data, which hands out the inputs and would wait forever without it.
    cpus, gpus : float
        CPUs and GPUs of each worker. With ``gpus=0.5`` two workers share a GPU.
    first : callable, optional
        Called instead of `prepare` in the first worker, which decides on the automatic choices.
    progress : callable, optional
        Shows the progress of the run, as for `smoothbound.smoothing.run`.
    show : callable, optional
        Called with the text that `first` has printed.

    Returns
    -------
    Results
        The finished run. It is not complete if `inputs` lack some that the settings select.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong, or the cluster has no room for so many workers.
    ClusterError
        If the cluster has no room for a worker, or workers die again and again on the same inputs.
        Finished inputs are kept.
    StoreError, DataError, ModelError
        As for `smoothbound.smoothing.run`.

    Examples
    --------
    >>> import ray
    >>> import smoothbound as sb
    >>> ids = ray.data.range(50_000).rename_columns({"id": "index"})  # doctest: +SKIP
    >>> sb.harness.certify_on_ray("results/", prepare, ids, gpus=1)  # doctest: +SKIP
    """
    folder = checks.path("folder", folder).resolve()
    with name_the_extra():
        import ray
        import ray.data
    if inputs is not None:
        checks.instance("inputs", inputs, ray.data.Dataset)
        if "index" not in (names := inputs.columns() or []):
            raise ValueError(f"inputs must have a column index, got the columns {names}")
    pool = _Pool.of(workers, checks.positive("cpus", cpus), checks.non_negative("gpus", gpus))
    _wait_for_earlier_workers(folder)
    prepare, first = (partial(_here, Path.cwd(), one) for one in (prepare, first or prepare))
    text = _first_worker(pool, first, folder)
    if show is not None and text:
        show(text)
    record = _record(folder, "the machine of the driver")
    part = join(folder, record, _ALL)
    with (
        Writer(part, record.of(_ALL), resume=True) as writer,
        told_when_stopped(writer, same_command=True),
    ):
        try:
            if len(writer.done) < writer.settings.n_inputs:
                _hand_out(pool, prepare, folder, inputs, writer, progress or silent)
        except ray.exceptions.RayTaskError:
            raise  # a fault of the program, with its traceback
        except ray.exceptions.RayError as error:
            raise ClusterError(
                f"Ray gave up: {said(error)} Finished inputs are kept in {folder}, and the same "
                "command goes on"
            ) from error
        finally:
            gather([one for one in parts_of(folder, _ALL) if one != part], record, writer)
        if inputs is None or len(writer.done) == writer.settings.n_inputs:
            writer.finish()
    return load(folder)


def _here(folder: Path, prepare: Callable[[], PreparedRun]) -> PreparedRun:
    """Prepare a run in the folder of the driver, from which paths may be named."""
    try:
        os.chdir(folder)
    except OSError as error:
        raise StoreError(
            f"a worker cannot enter {folder}: {error.strerror}. Start the run in a folder that all "
            "nodes share"
        ) from error
    return PreparedRun(*prepare())


def _record(folder: Path, where: str) -> RunRecord:
    """Return the record of a run, which the first worker wrote."""
    record = read_record(folder)
    if record is None:
        raise StoreError(
            f"{folder} is not the same folder on {where} as on the first worker, which has written "
            f"{SHARDS} there: the results folder must be on a file system that all nodes share"
        )
    return record


def _wait_for_earlier_workers(folder: Path) -> None:
    """Wait for the workers of a driver that was killed: Ray ends them a moment later."""
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end and any(
        is_locked(part / JOURNAL) for part in parts_of(folder, _ALL) if _of_worker(part)
    ):
        time.sleep(0.2)


# --- the workers --------------------------------------------------------------------------------


class _Pool(NamedTuple):
    """The workers: how many there are, and what each takes."""

    size: int
    cpus: float
    gpus: float

    @classmethod
    def of(cls, workers: int | None, cpus: float, gpus: float) -> _Pool:
        """Return the pool that the cluster has room for, with a CPU left for Ray Data.

        Raises
        ------
        ValueError, ClusterError
            If it has no room.
        """
        import ray

        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        total, total_gpus = (sum(node.get(name, 0.0) for node in nodes) for name in ("CPU", "GPU"))
        most = sum(
            min(_times(node.get("CPU", 0.0), cpus), _times(node.get("GPU", 0.0), gpus))
            for node in nodes
        )
        most = int(min(most, _times(total - 1.0, cpus)))
        room = (
            f"the cluster has {total:g} CPUs and {total_gpus:g} GPUs; a worker takes {cpus:g} and "
            f"{gpus:g} of them, and one CPU stays free for Ray Data, which hands out the inputs"
        )
        if most < 1:
            raise ClusterError(
                f"there is no room for a worker: {room}. Add a node, start the node with a greater "
                "--num-cpus, or take less for a worker"
            )
        if workers is not None and checks.count("workers", workers) > most:
            raise ValueError(
                f"workers must be at most {most} because {room}; got {workers}. Take fewer workers "
                "or less for each, or start nodes with a greater --num-cpus"
            )
        return cls(workers or most, cpus, gpus)

    @property
    def resources(self) -> dict[str, Any]:
        """What a worker takes, in Ray's words."""
        return {"num_cpus": self.cpus, "num_gpus": self.gpus}


def _times(whole: float, share: float) -> float:
    return math.inf if share == 0 else math.floor(whole / share + 1e-9)


def _first_worker(pool: _Pool, prepare: Callable[[], PreparedRun], folder: Path) -> str:
    import ray

    # Ray would try again forever if there is too little memory.
    call = ray.remote(max_retries=0, **pool.resources)(_agree)
    try:
        return str(ray.get(call.remote(prepare, folder)))
    except ray.exceptions.RayTaskError as error:
        cause = getattr(error, "cause", error)
        raise cause if type(cause).__name__ in _ERRORS else error from None
    except ray.exceptions.RayError as error:
        raise ClusterError(
            f"the first worker died, before any input was certified: {said(error)}"
        ) from error


def _agree(prepare: Callable[[], PreparedRun], folder: Path) -> str:
    """Write the record of the run or compare it, compare finished inputs, and try the model.

    Returns
    -------
    str
        What `prepare` has printed.
    """
    printed = io.StringIO()
    with redirect_stdout(printed), redirect_stderr(printed):
        settings, smoothed, dataset, adaptive = prepare()
    if read_record(folder) is None:
        _try_model(settings, smoothed, dataset, adaptive)
    record, _ = agreed(folder, settings, smoothed, dataset, adaptive, _ALL.count)
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


def _of_worker(part: Path) -> bool:
    return part.name.count(".") > 1


class _Worker:
    """An actor: it holds the model, and certifies the inputs that it is handed."""

    def __init__(self, prepare: Callable[[], PreparedRun], folder: Path) -> None:
        self._prepare, self._folder = prepare, folder

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Certify inputs, and return each with its failure or ""; an error of the run is a row."""
        index, kind = list(dict.fromkeys(batch["index"].tolist())), ""
        try:
            reason = self._part.certify(index)
        except tuple(_ERRORS.values()) as error:
            index, reason, kind = [-1], [str(error)], type(error).__name__
        return {
            "index": np.array(index, np.int64),
            "reason": np.array(reason, object),
            "kind": np.array([kind] * len(index), object),
        }

    @cached_property
    def _part(self) -> _Part:
        """The model and the part, made in a call, because Ray tells no reason of errors before."""
        return _Part(self._prepare, self._folder)


class _Part:
    """The part of a worker, and the model whose certificates it takes."""

    def __init__(self, prepare: Callable[[], PreparedRun], folder: Path) -> None:
        import ray

        context = ray.get_runtime_context()
        record = _record(folder, f"node {context.get_node_id()}")
        # A worker that Ray starts again keeps its id: it goes on with what it had finished.
        own = f".{context.get_actor_id()}-"
        earlier = [part for part in parts_of(folder, _ALL) if own in part.name]
        name = f"{_ALL.name}.{machine()}{own}{secrets.token_hex(4)}"
        self._writer = Writer(folder / SHARDS / name, record.settings)
        gather(earlier, record, self._writer)
        self._deaths = sum(_n_rows(part) == len(self._writer.done) for part in earlier)
        if self._deaths > _MOST_DEATHS:
            return
        settings, smoothed, self._dataset, adaptive = prepare()
        record, self._smoothed = agreed(
            folder, settings, smoothed, self._dataset, adaptive, _ALL.count
        )
        _, self._noise, self._procedure = settled(
            record.settings, self._smoothed, self._dataset, adaptive, None
        )
        self._selected = frozenset(selected(record.settings, self._dataset))

    def certify(self, index: Sequence[int]) -> list[str]:
        """Certify those of some inputs that are not finished; return the failure of each or "".

        Raises
        ------
        ClusterError
            If the worker has died again and again without finishing one.
        ValueError
            If the settings do not select one.
        """
        if self._deaths > _MOST_DEATHS:
            left = ", ".join(str(one) for one in index if one not in self._writer.done)
            raise ClusterError(
                f"a worker died {self._deaths} times and finished none of the inputs {left}. The "
                "system kills a worker that takes too much memory: take fewer workers or a smaller "
                "batch size, or start nodes with more memory. The log of Ray has the reason. "
                "Finished inputs are kept, and the same command goes on"
            )
        if others := sorted(set(index) - self._selected):
            raise ValueError(f"inputs must be selected by the settings, got index {others[0]}")
        items = Items(self._dataset, index, self._procedure, None, self._writer)
        certify_items(items, self._smoothed, self._noise, self._writer, known_good=True)
        return [self._writer.failed.get(one, "") for one in index]


def _n_rows(part: Path) -> int:
    held = read_single(part)
    return 0 if held is None else len(held)


# --- the driver ---------------------------------------------------------------------------------


def _hand_out(
    pool: _Pool,
    prepare: Callable[[], PreparedRun],
    folder: Path,
    inputs: ray.data.Dataset | None,
    writer: Writer,
    progress: Progress,
) -> None:
    """Let the workers certify the inputs that are not finished."""
    import ray.data

    settings, done = writer.settings, np.array(sorted(writer.done), np.int64)
    if inputs is None:
        every = pa.table({"index": pa.array(settings.inputs, pa.int64())})
        inputs = ray.data.from_arrow(every)
    at_once = (settings.n_inputs - len(done)) // (_BATCHES * pool.size)
    at_once = min(max(1, at_once), _MOST_AT_ONCE)
    outcomes = _outcomes(pool, prepare, folder, inputs, done, at_once)
    tally = _Tally(settings.n_inputs, len(done), Counter(writer.failed.values()))
    with progress(
        "inputs certified", settings.n_inputs, done=len(done), describe=tally.text
    ) as advance:
        for batch in outcomes:
            reasons = batch["reason"].tolist()
            if batch["kind"][0]:
                raise _ERRORS[batch["kind"][0]](reasons[0])
            tally.add(reasons)
            advance(len(reasons))


def _outcomes(
    pool: _Pool,
    prepare: Callable[[], PreparedRun],
    folder: Path,
    inputs: ray.data.Dataset,
    done: NDArray[np.int64],
    at_once: int,
) -> Iterator[dict[str, NDArray[Any]]]:
    """Yield what the workers return for the inputs that are not done, so many inputs at once."""
    import ray.data

    with warnings.catch_warnings():
        # Ray warns that 2.64 will have other words for restarts, and if there are few inputs.
        warnings.simplefilter("ignore")
        left = inputs.map_batches(
            _without, batch_format="numpy", batch_size=None, fn_kwargs={"done": done}
        ).repartition(target_num_rows_per_block=at_once)
        made = left.map_batches(
            _Worker,
            batch_format="numpy",
            batch_size=at_once,
            compute=ray.data.ActorPoolStrategy(size=pool.size, max_tasks_in_flight_per_actor=1),
            fn_constructor_args=(prepare, folder),
            max_restarts=-1,  # the worker itself counts how often, because Ray also
            max_task_retries=-1,  # counts that it cannot reach one that is starting
            **pool.resources,
        )
        made.context.enable_progress_bars = False  # there is one already
        yield from made.iter_batches(batch_format="numpy", batch_size=None, prefetch_batches=0)


def _without(batch: dict[str, Any], done: NDArray[np.int64]) -> dict[str, Any]:
    """Return the inputs of a batch that are not done."""
    index = batch["index"]
    return {"index": index[~np.isin(index, done)]}


class _Tally:
    """Counts the inputs that are done, and those that failed by their reason."""

    def __init__(self, total: int, done: int, failed: Counter[str]) -> None:
        self._total, self._done, self._failed = total, done, failed
        self._before, self._start = done, math.nan  # of the rate, without loading the model

    def add(self, reasons: Sequence[str]) -> None:
        """Count inputs, with the reason why each failed or ""."""
        self._done += len(reasons)
        if math.isnan(self._start):
            self._before, self._start = self._done, time.monotonic()
        self._failed.update(filter(None, reasons))

    def text(self) -> str:
        """Return in words how far the run is."""
        shown = f"{self._done} of {self._total} inputs"
        if self._done > self._before:
            rate = (self._done - self._before) / max(time.monotonic() - self._start, 1e-3)
            shown += f", {rate:.3g} a second, {about((self._total - self._done) / rate)} left"
        for reason, count in self._failed.most_common(_SHOWN):
            shown += f"; {count} {reason[:_LONGEST]}"
        return shown
