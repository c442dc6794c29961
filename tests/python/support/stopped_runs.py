"""How the tests of stopped runs of certify stop one, and compare what it left."""

from __future__ import annotations

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


def contents(folder: Path) -> tuple[RunSettings, str]:
    """Return what a finished folder holds, apart from timings."""
    assert [path.name for path in folder.iterdir()] == ["results.parquet"]
    results = store.load(folder)
    assert results.complete
    return results.settings, repr(results.table.drop_columns(["seconds"]).to_pylist())
