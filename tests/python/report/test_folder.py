"""The folder of a report holds one report, and nobody else's files are touched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from smoothbound.errors import StoreError
from smoothbound.report import _folder as folder


def names(out: Path) -> set[str]:
    return {path.name for path in out.iterdir() if not path.name.startswith(".")}


def test_files_of_an_older_report_do_not_stay(tmp_path: Path) -> None:
    out = tmp_path / "report"
    folder.write(out, {"report.html": b"old", "old.png": b"1", "changed.csv": b"2"})
    (out / "changed.csv").write_bytes(b"by hand")
    (out / "own.txt").write_bytes(b"mine")
    written = folder.write(out, {"report.html": b"new", "new.png": b"3"})
    assert names(out) == {"report.html", "new.png", "changed.csv", "own.txt"}
    assert folder.others(out, written) == ["changed.csv", "own.txt"]
    assert (out / "report.html").read_bytes() == b"new"
    folder.write(out, {"report.html": b"newer"})
    assert names(out) == {"report.html", "changed.csv", "own.txt"}


@pytest.mark.parametrize(
    "listed", ["", "[" * 100_000, "[]", '{"../outside": "%s", "": 3}', '{"pipe": null}']
)
def test_a_list_that_was_made_up_deletes_nothing(tmp_path: Path, listed: str) -> None:
    (tmp_path / "outside").write_bytes(b"kept")
    out = tmp_path / "report"
    folder.write(tmp_path / "sums", {"outside": b"kept"})
    made = json.loads((tmp_path / "sums" / ".report.json").read_text())["outside"]
    out.mkdir()
    (out / ".report.json").write_text(listed.replace("%s", made))
    folder.write(out, {"report.html": b"new"})
    assert (tmp_path / "outside").read_bytes() == b"kept"
    assert names(out) == {"report.html"}


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / "a\0b"):
        with pytest.raises(StoreError, match="cannot write"):
            folder.write(out, {"report.html": b""})
