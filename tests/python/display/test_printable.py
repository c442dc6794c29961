"""Text of files is shown, never obeyed: by a terminal, a viewer of Markdown, a spreadsheet."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import reported
import torch
from typer.testing import CliRunner

from smoothbound._display.console import print_error, say
from smoothbound._display.printable import file_stem, markdown, printable, spreadsheet_cell
from smoothbound.cli._app import app
from smoothbound.report import _write as report
from smoothbound.report._tables import csv_of

HOSTILE = "\x1b[2J\x1b]0;title\x07\x9b31m\u202e\r\n"  # clears the screen, sets the title, reverses


@pytest.mark.parametrize("character", [*map(chr, range(32)), "\x7f", "\x9b", "\u202e", "\udc80"])
def test_what_cannot_be_seen_is_escaped(character: str) -> None:
    shown = printable(f"a{character}b")
    assert character not in shown
    assert shown.startswith("a\\")
    assert shown.isprintable()
    assert shown.isascii()


def test_what_can_be_seen_stays() -> None:
    text = "σ = 0.25, ℓ₂ – “näher” 模型 \N{NO-BREAK SPACE}"
    assert printable(text) == text


@pytest.mark.parametrize("show", [say, print_error])
def test_a_terminal_obeys_nothing_that_is_printed(show, capsys: pytest.CaptureFixture[str]) -> None:
    show(f"[red]name[/red] :smile: {HOSTILE}")
    captured = capsys.readouterr()
    shown = captured.out + captured.err
    assert "[red]name[/red] :smile: \\x1b[2J" in shown  # neither markup nor pictures
    assert not set("\x1b\x07\x9b\u202e\r") & set(shown)


def test_keys_of_a_checkpoint_are_not_obeyed(tmp_path: Path) -> None:
    torch.save({f"layer{HOSTILE}": torch.zeros(1)}, tmp_path / "model.pt")
    words = ["certify", "--checkpoint", str(tmp_path / "model.pt"), "--data", "digits"]
    words += ["--arch", "digits_cnn", "--sigma", "0.25", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert not set("\x1b\x07\x9b\u202e\r") & set(result.output)


@pytest.mark.usefixtures("undrawn")
def test_settings_and_names_are_not_obeyed_in_a_report(tmp_path: Path) -> None:
    settings = replace(
        reported.SETTINGS,
        arch="[click](javascript:1) ![](https://x.org/i.png) <script>",
        checkpoint=f"c{HOSTILE}.pt",
        data="npz:`code`|$x$",
    )
    folder = reported.make_run(tmp_path / "=cmd|' a*b", settings)
    written = report.write_report([folder], tmp_path / "report")
    text = (tmp_path / "report" / "report.md").read_text()
    page = (tmp_path / "report" / "report.html").read_text()
    for shown in (text, page):
        assert not set("\x1b\x07\x9b\u202e\r") & set(shown)
        assert "<script" not in shown
        assert "\\x1b[2J" in shown.replace("\\\\", "\\").replace("\\[", "[")
    assert "\\[click\\]" in text
    assert "https\\://x.org" in text
    assert "\\`code\\`\\|\\$x\\$" in text
    assert {path.name for path in written if "*" in path.name or "|" in path.name} == set()
    names = {row["name"] for row in reported.table(tmp_path / "report")}
    assert names == {"'=cmd|' a*b"}


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_spreadsheet_computes_no_text(start: str) -> None:
    [row] = csv.DictReader(io.StringIO(csv_of([{"name": f"{start}1+1", "radius": -0.5}])))
    assert row["name"].startswith("'")
    assert row["radius"] == "-0.5"


def test_numbers_and_plain_words_stay_as_they_are_in_a_table() -> None:
    values = [-0.5, 3, None, "66.6", "digits"]
    assert [spreadsheet_cell(value) for value in values] == values


def test_a_line_of_markdown_is_no_table_code_or_link() -> None:
    assert markdown("a|b`c`[d](e)<f>&amp;") == "a\\|b\\`c\\`\\[d\\](e)&lt;f>&amp;amp;"
    assert markdown("see www.x.org, HTTP://x.org") == "see www\\.x.org, HTTP\\://x.org"


def test_files_of_a_report_have_names_for_every_system() -> None:
    assert file_stem('a/b\\c:d*e?f"g<h>i|j') == "a_b_c_d_e_f_g_h_i_j"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_letters_that_a_terminal_lacks_are_spelled(encoding: str) -> None:
    script = (
        "from smoothbound._display.console import readable_anywhere, say\n"
        "readable_anywhere()\nsay('σ ≥ 1, 模 \\udc80')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONIOENCODING": encoding, "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        check=True,
    )
    expected = "σ ≥ 1, 模 \\x80\n" if encoding == "utf-8" else "sigma >= 1, ? \\x80\n"
    assert done.stdout.decode(encoding) == expected


@pytest.mark.parametrize("width", ["20", "50", "200"])
def test_no_terminal_is_too_narrow_for_the_numbers_of_a_table(width: str) -> None:
    script = (
        "from rich.table import Table\nfrom smoothbound._display.console import say_table\n"
        "table = Table('R =', *(str(k / 7) for k in range(9)))\n"
        "table.add_row('Theorem 2 (ell)', *(str(k / 3) for k in range(9)))\nsay_table(table)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"COLUMNS": width, "PYTHONPATH": ":".join(sys.path), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        check=True,
        text=True,
        encoding="utf-8",
    )
    for k in range(9):
        assert f" {k / 7} " in done.stdout
        assert f" {k / 3} " in done.stdout
