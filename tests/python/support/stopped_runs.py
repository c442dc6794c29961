"""How the tests of stopped runs of certify stop one, and compare what it left."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from smoothbound import store
from smoothbound.cli._app import app
from smoothbound.sampling._batches import Batches
from smoothbound.store._settings import RunSettings

# The options of adaptive runs with four questions about each of ten inputs, but for "--n".
FOUR_QUESTIONS = ["--sigma", "0.25", "--no-channels-last", "--batch-size", "100", "--skip", "30"]
FOUR_QUESTIONS += ["--n0", "20", "--radii", "0,0.2", "--thresholds", "0.6,0.7"]


def certify_words(network: Path, *flags: str, **options: Any) -> list[str]:
    """Return the words of a run of certify on digits; an option of None is left out."""
    options = {"data": "digits", "checkpoint": network, **options}
    words = (str(part) for k, v in options.items() if v is not None for part in (f"--{k}", v))
    # In a stated memory format, because a measured one may differ from run to run.
    return ["certify", "--no-channels-last", *flags, *words]


def certify(network: Path, *words: object) -> Result:
    """Run certify on digits, with these words."""
    command = ["certify", "--data", "digits", "--checkpoint", network, *words]
    return CliRunner().invoke(app, [str(word) for word in command])


def said(result: Result) -> str:
    """Return the output of a command without its line breaks."""
    return " ".join(result.output.split())


@contextmanager
def stopped_after(count: int) -> Iterator[None]:
    """Stop runs inside, as by Ctrl-C, when this many inputs are finished."""
    append = store.Writer.append

    def stopped(self: store.Writer, row: Any) -> None:
        if len(self.done) == count:
            raise KeyboardInterrupt
        append(self, row)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store.Writer, "append", stopped)
        yield


@contextmanager
def interrupted_at(batch: int) -> Iterator[None]:
    """Stop runs inside, as by Ctrl-C, instead of their batch of this number."""
    launch, launched = Batches.launch, iter(range(1, batch + 1))

    def interrupted(self: Batches, segments: Any) -> Any:
        if next(launched, batch) == batch:
            raise KeyboardInterrupt
        return launch(self, segments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Batches, "launch", interrupted)
        yield


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


def files(folder: Path) -> dict[str, bytes]:
    """Return every file in a folder."""
    return {
        str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()
    }


def contents(folder: Path) -> tuple[RunSettings, str]:
    """Return what a finished folder holds, apart from timings."""
    assert [path.name for path in folder.iterdir()] == ["results.parquet"]
    results = store.load(folder)
    assert results.complete
    return results.settings, repr(results.table.drop_columns(["seconds"]).to_pylist())
