"""Files that are either whole or not there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from smoothbound._files.atomic import atomic_write, clear_drafts
from smoothbound.errors import StoreError


def test_a_file_that_cannot_be_completed_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "table"
    path.write_text("old")

    class StopError(Exception):
        pass

    def stop_half_way() -> None:
        with atomic_write(path) as file:
            file.write(b"half")
            raise StopError

    with pytest.raises(StopError):
        stop_half_way()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    with atomic_write(path) as file:
        file.write(b"new")
    assert path.read_text() == "new"
    with pytest.raises(StoreError, match="cannot write"), atomic_write(path / "below"):
        pass
    with atomic_write(tmp_path / "made" / "if need be" / "table") as file:
        file.write(b"new")


def test_the_draft_of_a_killed_run_is_deleted_by_the_next_and_no_other(tmp_path: Path) -> None:
    killed = """
import os, pathlib, signal, sys
from smoothbound._files.atomic import atomic_write
with atomic_write(pathlib.Path(sys.argv[1])) as file:
    file.write(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    path = tmp_path / "table"
    subprocess.run([sys.executable, "-c", killed, str(path)], check=False)
    (draft,) = tmp_path.iterdir()
    assert draft.name.startswith(".table.")
    with atomic_write(tmp_path / "table2"):
        assert draft.exists()
    with atomic_write(path) as file:
        assert not draft.exists()
        (in_use,) = (one for one in tmp_path.iterdir() if one.name.startswith(".table."))
        clear_drafts(path)
        assert in_use.exists()
        file.write(b"whole")
    assert path.read_bytes() == b"whole"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["table", "table2"]
