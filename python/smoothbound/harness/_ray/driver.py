"""The driver of a run on Ray, which distributes the inputs and collects the rows of the workers."""

from __future__ import annotations

import os
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from smoothbound._files.atomic import is_locked
from smoothbound._utils import checks
from smoothbound._utils.extras import name_the_extra
from smoothbound.errors import ClusterError, StoreError, said
from smoothbound.harness._ray.first_worker import first_worker
from smoothbound.harness._ray.pool import Pool
from smoothbound.harness._ray.shared import TOLD, WHOLE, is_of_worker, record_of
from smoothbound.harness._ray.tally import Tally
from smoothbound.harness._ray.worker import Worker
from smoothbound.smoothing._run import PreparedRun, Progress, silent, told_when_stopped
from smoothbound.store._folder import JOURNAL
from smoothbound.store._results import Results
from smoothbound.store._shards.parts import gather, join, parts_of
from smoothbound.store._stored import load
from smoothbound.store._writer import Writer

if TYPE_CHECKING:
    import ray.data
    from numpy.typing import NDArray

__all__ = ["certify_on_ray"]

_MOST_AT_ONCE = 8  # inputs that a worker is handed at once
_BATCHES = 4  # that each worker is handed at least, if there are as many inputs
_PATIENCE = 30.0  # seconds for the workers of a driver that was killed, which Ray ends


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
    """Certify inputs on a cluster of Ray into a results folder.

    On the same kind of hardware, the results have the same bits as those of
    `smoothbound.smoothing.run` in one process, whatever the number of workers and their order. The
    same call continues a run that was stopped.

    Parameters
    ----------
    folder : str or Path
        Results folder to write, on a file system that all nodes share.
    prepare : callable
        A function that returns the prepared run. It is called once in each worker, where it loads
        the model, in the current folder of this process.
    inputs : ray.data.Dataset, optional
        The inputs. The column `index` has their positions in the data set. No other column is read,
        because each worker reads the images itself. By default all inputs that the settings select.
    workers : int, optional
        Number of workers. By default as many as the cluster has room for. One CPU is left for Ray
        Data, which distributes the inputs and would wait forever without it.
    cpus, gpus : float
        CPUs and GPUs of each worker. With ``gpus=0.5`` two workers share a GPU.
    first : callable, optional
        A function that is called instead of `prepare` in the first worker, which makes the
        automatic choices.
    progress : callable, optional
        Shows the progress of the run, as for `smoothbound.smoothing.run`.
    show : callable, optional
        A function that is called with the text that `first` printed.

    Returns
    -------
    Results
        The finished run. It is not complete if `inputs` lacks some inputs that the settings select.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong, or the cluster has no room for so many workers.
    ClusterError
        If the cluster has no room for a worker, or workers die repeatedly on the same inputs.
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
    pool = Pool.of(workers, checks.positive("cpus", cpus), checks.non_negative("gpus", gpus))
    _wait_for_earlier_workers(folder)
    prepare, first = (partial(in_folder, Path.cwd(), one) for one in (prepare, first or prepare))
    text = first_worker(pool, first, folder)
    if show is not None and text:
        show(text)
    record = record_of(folder, "the machine of the driver")
    part = join(folder, record, WHOLE)
    with (
        Writer(part, record.of(WHOLE), resume=True) as writer,
        told_when_stopped(writer, same_command=True),
    ):
        try:
            if len(writer.done) < writer.settings.n_inputs:
                _hand_out(pool, prepare, folder, inputs, writer, progress or silent)
        except ray.exceptions.RayTaskError:
            raise  # a bug, which needs its traceback
        except ray.exceptions.RayError as error:
            raise ClusterError(
                f"Ray gave up: {said(error)} Finished inputs are kept in {folder}, and the same "
                "command goes on"
            ) from error
        finally:
            gather([one for one in parts_of(folder, WHOLE) if one != part], record, writer)
        if inputs is None or len(writer.done) == writer.settings.n_inputs:
            writer.finish()
    return load(folder)


def in_folder(folder: Path, prepare: Callable[[], PreparedRun]) -> PreparedRun:
    """Prepare a run in the folder of the driver, from which paths may be named."""
    try:
        os.chdir(folder)
    except OSError as error:
        raise StoreError(
            f"a worker cannot enter {folder}: {error.strerror}. Start the run in a folder that all "
            "nodes share"
        ) from error
    return PreparedRun(*prepare())


def _wait_for_earlier_workers(folder: Path) -> None:
    """Wait for the workers of a driver that was killed, which Ray ends a moment later."""
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end and any(
        is_locked(part / JOURNAL) for part in parts_of(folder, WHOLE) if is_of_worker(part)
    ):
        time.sleep(0.2)


def _hand_out(
    pool: Pool,
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
    tally = Tally(settings.n_inputs, len(done), Counter(writer.failed.values()))
    with progress(
        "inputs certified", settings.n_inputs, done=len(done), describe=tally.text
    ) as advance:
        for batch in outcomes:
            reasons = batch["reason"].tolist()
            if batch["kind"][0]:
                raise TOLD[batch["kind"][0]](reasons[0])
            tally.add(reasons)
            advance(len(reasons))


def _outcomes(
    pool: Pool,
    prepare: Callable[[], PreparedRun],
    folder: Path,
    inputs: ray.data.Dataset,
    done: NDArray[np.int64],
    at_once: int,
) -> Iterator[dict[str, NDArray[Any]]]:
    """Yield the results of the workers for the inputs that are not done, `at_once` inputs each."""
    import ray.data

    with warnings.catch_warnings():
        # Ray warns that 2.64 will have other words for restarts, and if there are few inputs.
        warnings.simplefilter("ignore")
        left = inputs.map_batches(
            _without, batch_format="numpy", batch_size=None, fn_kwargs={"done": done}
        ).repartition(target_num_rows_per_block=at_once)
        made = left.map_batches(
            Worker,
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
