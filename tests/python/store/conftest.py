"""Results folders that several files of tests read."""

from __future__ import annotations

from pathlib import Path

import pytest
from stored import INDICES, SETTINGS, row, write

from smoothbound import store


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    with store.Writer(folder, SETTINGS) as writer:
        for index in INDICES:
            writer.append(row(index))
        writer.finish()
    return folder


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("journal")
    write(folder, INDICES)
    return (folder / "journal.bin").read_bytes()
