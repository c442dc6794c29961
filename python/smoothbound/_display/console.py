"""Printing of plain text: escape sequences are made visible, missing letters are spelled out."""

from __future__ import annotations

import codecs
import io
import sys
from typing import Any

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from smoothbound._display.printable import printable

__all__ = ["note", "print_error", "readable_anywhere", "say", "say_table"]

_NO_LIMIT = 100_000  # letters
_SPELLED = {
    "σ": "sigma",
    "α": "alpha",
    "ℓ": "l",
    "₂": "2",
    "Φ": "Phi",
    "⁻": "^-",
    "¹": "1",
    "≥": ">=",
    "≤": "<=",
    "×": "x",
    "·": "*",
    "±": "+-",
    "−": "-",
    "–": "-",
    "—": "-",
    "…": "...",
    "“": '"',
    "”": '"',
    "’": "'",
    "\N{NO-BREAK SPACE}": " ",
}


def say(text: object, console: Console | None = None, style: str = "") -> None:
    """Print text without wrapping, on the standard output or on another console."""
    shown = Text(printable(text, keep="\n\t"), style)
    (console or Console()).print(shown, soft_wrap=True, highlight=False)


def say_table(table: Table) -> None:
    """Print a table on the standard output; one that is too wide is not cut."""
    console = Console()
    size = Measurement.get(console, console.options.update(max_width=_NO_LIMIT), table)
    if size.minimum > console.width:
        console.width = size.maximum
    console.print(table)


def note(text: object) -> None:
    """Print a line that the user should know, on the standard error stream."""
    say(f"note: {text}", Console(stderr=True))


def print_error(text: object) -> None:
    """Print why a command ends, on the standard error stream."""
    shown = Text.assemble(("error: ", "bold red"), (printable(text, keep="\n\t"), "red"))
    Console(stderr=True).print(shown, soft_wrap=True)


def readable_anywhere() -> None:
    """Spell out letters that a terminal lacks: σ as sigma, unknown ones as a question mark."""
    codecs.register_error("smoothbound", _spelled)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="smoothbound")


def _spelled(error: Any) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return _SPELLED.get(error.object[error.start], "?"), error.start + 1
