"""A certificate in a few lines of text or HTML, whatever the number of inputs."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from smoothbound._display.printable import printable
from smoothbound._display.rounding import ceil_significant, exact, floor_significant
from smoothbound._utils import checks

if TYPE_CHECKING:
    from smoothbound.bounds._certificate import Certificate

__all__ = ["as_html", "as_text"]

_ROWS = 6
_COLUMNS = 8
_DIGITS = 4
_UPWARD = ("upper", "loss")  # what is certified not to be exceeded


def as_text(certificate: Certificate) -> str:
    """Return the title, the first rows as a table, and the names of the other columns."""
    table, others = _table(certificate)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in table
    ]
    return "\n".join([_title(certificate), *lines, *_more(certificate, others)])


def as_html(certificate: Certificate) -> str:
    """Return the same as a fragment of HTML, for notebooks."""
    table, others = _table(certificate)
    head, *body = ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in table]
    rows = "".join(f"<tr>{row}</tr>" for row in body)
    words = "".join(f"<p>{escape(line)}</p>" for line in _more(certificate, others))
    return (
        f"<div><p>{escape(_title(certificate))}</p><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{rows}</tbody></table>{words}</div>"
    )


def _title(certificate: Certificate) -> str:
    settings = certificate.settings
    measure = getattr(settings, "measure", None)
    gaussian = getattr(settings, "noise", {}).get("kind") == "gaussian"
    caveat = "; floating-point noise, so no proof" if gaussian else ""
    return printable(
        f"{type(certificate).__name__} of {len(certificate)} input{'s' * (len(certificate) != 1)}"
        + (f", {measure}" if measure else "")
        + f": {settings.method.label}, n = {settings.n}, sigma = {exact(settings.sigma)}, "
        f"alpha = {exact(settings.alpha)}{caveat}"
    )


def _table(certificate: Certificate) -> tuple[list[list[str]], list[str]]:
    """Return the cells of the first columns and rows, the names first; and the other names."""
    names, columns = certificate.flat()
    shown = [j for j, name in enumerate(names) if name in ("index", "predicted")]
    if shown and "reason" not in names and not np.any(np.asarray(columns[shown[-1]]) >= 0):
        shown.pop()  # a sketch that was told no class
    shown += [j for j, name in enumerate(names) if "@" in name]
    if len(shown) > _COLUMNS:
        shown = [*shown[: _COLUMNS - 2], *shown[-1:]]
    table = [[printable(names[j]) for j in shown]]
    for row in range(min(len(certificate), _ROWS)):
        table.append([_cell(names[j], columns[j][row]) for j in shown])
    return table, [printable(name) for j, name in enumerate(names) if j not in shown]


def _more(certificate: Certificate, others: list[str]) -> list[str]:
    lines = [f"... {len(certificate) - _ROWS} more inputs"] if len(certificate) > _ROWS else []
    if remark := checks.remark_on_alpha(certificate.settings.alpha):
        lines.append(remark)
    if len(others) > _COLUMNS:
        others = [*others[:_COLUMNS], f"{len(others) - _COLUMNS} more"]
    return [*lines, f"not shown: {', '.join(others)}"] if others else lines


def _cell(name: str, value: Any) -> str:
    if not isinstance(value, float | np.floating):
        return printable(value)
    upward = name.partition("@")[0] in _UPWARD
    return (ceil_significant if upward else floor_significant)(float(value), _DIGITS)
