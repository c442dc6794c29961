"""Runs of certify on Ray whose workers and drivers are killed; workers import this file too."""

from __future__ import annotations

import math
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stopped_runs import kill_after

from smoothbound import store
from smoothbound.cli._commands._prepare import prepare
from smoothbound.cli._network import Network
from smoothbound.cli._run_options import DrawOptions, Inputs, Question
from smoothbound.harness import certify_on_ray
from smoothbound.smoothing import PreparedRun
from smoothbound.store._settings import RunSettings


def prepared(network: Path, *, adaptive: bool = False, skip: int = 10, n: int = 300) -> PreparedRun:
    """Return what a small run on digits is made of, with all choices made."""
    question = Question(
        sigma=0.25, alpha=0.001, radii="0,0.25", thresholds="0.4,0.7", bound=None, band=None,
        n_bins=None, adaptive=adaptive, radius_precision=None, strictness=None, correct_only=False,
        both_answers=False, budget_draws=None, budget_seconds=None,
    )  # fmt: skip
    how = Network(
        checkpoint=network, arch=None, state_dict=None, measure="score", outputs=None, select=None,
        cutoff=None, batch_size="100", precision="float32", channels_last=False, compile=None,
        device="cpu", threads=1,
    )  # fmt: skip
    inputs = Inputs("digits", "test", skip, None, None)
    run, _ = prepare(inputs, DrawOptions(n, 10, 0, None), question, how, None, look=False)
    return run


def once(marker: Path) -> bool:
    """Return whether this is the first process that asks."""
    try:
        marker.open("x").close()
    except FileExistsError:
        return False
    return True


def with_a_kill(network: Path, marker: Path) -> PreparedRun:
    """Prepare a run; one worker is killed when it has written two inputs."""
    if once(marker):
        kill_after(2)
    return prepared(network)


def changed(network: Path, change: Callable[[Any, int], Any], **options: Any) -> PreparedRun:
    """Prepare a run on inputs that a function of image and index changes."""
    run = prepared(network, **options)
    kind = type(run.dataset)
    read = kind.__getitem__

    class Changed(kind):  # type: ignore[misc,valid-type]
        def __getitem__(self, index: int) -> Any:
            image, label = read(self, index)
            return change(image, int(index)), label

    object.__setattr__(run.dataset, "__class__", Changed)
    return run


def fragile(network: Path) -> PreparedRun:
    """Prepare a run with a network that returns NaN for every fourth input."""
    run = changed(network, lambda image, index: image + 1024 * (index % 40 == 0))
    run.smoothed.sampler.model.base.register_forward_hook(
        lambda _, images, out: out.where(images[0].flatten(1).mean(1, keepdim=True) < 512, math.nan)
    )
    return run


def broken(network: Path) -> PreparedRun:
    """Prepare a run with a network that always raises."""
    run = prepared(network)
    run.smoothed.sampler.model.base.register_forward_pre_hook(_raise)
    return run


def dying(network: Path) -> PreparedRun:
    """End the process, as the system does if a network takes too much memory."""
    os.kill(os.getpid(), signal.SIGKILL)
    return prepared(network)


def _raise(*_: Any) -> None:
    raise RuntimeError("out of order")


def deadly(image: Any, index: int) -> Any:
    """End the process at one input, as the system does if there is no memory."""
    if index == 50:
        os.kill(os.getpid(), signal.SIGKILL)
    return image


def mirrored(image: Any, index: int) -> Any:
    """Return another image."""
    return image.flip(-1)


@contextmanager
def killed(what: str, total: int, **_: Any) -> Iterator[Callable[[int], object]]:
    """End the driver when the first inputs are done, in place of a display of progress."""
    yield lambda count: os.kill(os.getpid(), signal.SIGKILL)


def contents(folder: Path) -> tuple[RunSettings, str]:
    """Return what a folder holds, apart from timings."""
    results = store.load(folder)
    assert results.complete
    return results.settings, repr(results.table.drop_columns(["seconds"]).to_pylist())


if __name__ == "__main__":
    from functools import partial

    import ray

    address, folder, network = sys.argv[1:]
    ray.init(address=address)
    certify_on_ray(folder, partial(prepared, Path(network)), workers=2, progress=killed)
