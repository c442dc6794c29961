"""How the tests of stopped runs of certify stop one, and compare what it left."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from smoothbound import store
from smoothbound.sampling._batches import Batches
from smoothbound.store._settings import RunSettings


def stop_after(count: int, patch: pytest.MonkeyPatch) -> None:
    """Let a run stop, as by Ctrl-C, when this many inputs are finished."""
    append = store.Writer.append

    def stopped(self: store.Writer, row: Any) -> None:
        if len(self.done) == count:
            raise KeyboardInterrupt
        append(self, row)

    patch.setattr(store.Writer, "append", stopped)


def interrupt_at(batch: int, patch: pytest.MonkeyPatch) -> None:
    """Let a run stop, as by Ctrl-C, instead of its batch of this number."""
    launch, launched = Batches.launch, iter(range(1, batch + 1))

    def interrupted(self: Batches, segments: Any) -> Any:
        if next(launched, batch) == batch:
            raise KeyboardInterrupt
        return launch(self, segments)

    patch.setattr(Batches, "launch", interrupted)


def kill_after(count: int) -> None:
    """Let this process be killed when this many inputs were appended.

    By itself, because another process would see too late on a busy machine how far it is.
    """
    append, appended = store.Writer.append, []

    def killed(self: store.Writer, row: Any) -> None:
        append(self, row)
        appended.append(row)
        if len(appended) == count:
            os.kill(os.getpid(), signal.SIGKILL)

    store.Writer.append = killed  # type: ignore[method-assign]


def terminate_at(batch: int) -> None:
    """Let this process get SIGTERM when it begins its batch of this number."""
    launch, launched = Batches.launch, []

    def terminated(self: Batches, segments: Any) -> Any:
        launched.append(segments)
        if len(launched) == batch:
            os.kill(os.getpid(), signal.SIGTERM)
        return launch(self, segments)

    Batches.launch = terminated  # type: ignore[method-assign]


def fill_the_disk(size: int) -> None:
    """Let this process write no file of more than this many bytes."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def contents(folder: Path) -> tuple[RunSettings, str]:
    """Return what a finished folder holds, apart from timings."""
    assert [path.name for path in folder.iterdir()] == ["results.parquet"]
    results = store.load(folder)
    assert results.complete
    return results.settings, repr(results.table.drop_columns(["seconds"]).to_pylist())
