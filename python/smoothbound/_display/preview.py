"""A certificate of any number of inputs in a few lines of text or HTML."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from smoothbound._display.printable import printable
from smoothbound._display.rounding import ceil_significant, floor_significant

__all__ = ["Preview"]

_ROWS = 6
_COLUMNS = 8
_DIGITS = 4
_UPWARD = ("upper", "loss")  # upper limits, which are rounded up


@dataclass(frozen=True, eq=False)
class Preview:
    """The first rows and columns of a table.

    Parameters
    ----------
    title : str
    n_inputs : int
        Rows of the table.
    names : list of str
        Names of the columns. Those with an "@" are bounds, which are shown first.
    columns : list of arrays
    remark : str
        A line below the table; may be empty.
    """

    title: str
    n_inputs: int
    names: list[str]
    columns: list[Any]
    remark: str = ""

    def text(self) -> str:
        """Return the title, the first rows as a table, and the names of the other columns."""
        table, others = self._table()
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [
            "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
            for row in table
        ]
        return "\n".join([printable(self.title), *lines, *self._more(others)])

    def html(self) -> str:
        """Return the same as a fragment of HTML, for notebooks."""
        table, others = self._table()
        head, *body = table
        names = "".join(f"<th>{escape(cell)}</th>" for cell in head)
        lines = ("".join(f"<td>{escape(cell)}</td>" for cell in row) for row in body)
        rows = "".join(f"<tr>{line}</tr>" for line in lines)
        words = "".join(f"<p>{escape(line)}</p>" for line in self._more(others))
        return (
            f"<div><p>{escape(printable(self.title))}</p><table><thead><tr>{names}</tr></thead>"
            f"<tbody>{rows}</tbody></table>{words}</div>"
        )

    def _table(self) -> tuple[list[list[str]], list[str]]:
        """Return a table of the first rows below the names, and the names that are not shown."""
        names, columns = self.names, self.columns
        classes = "predicted" if "predicted" in names else "selected"
        shown = [j for j, name in enumerate(names) if name in ("index", classes)]
        if classes == "selected" and shown and not np.any(np.asarray(columns[shown[-1]]) >= 0):
            shown.pop()  # the sketch does not know the classes
        shown += [j for j, name in enumerate(names) if "@" in name]
        if len(shown) > _COLUMNS:
            shown = [*shown[: _COLUMNS - 2], *shown[-1:]]
        table = [[printable(names[j]) for j in shown]]
        for row in range(min(self.n_inputs, _ROWS)):
            table.append([_cell(names[j], columns[j][row]) for j in shown])
        return table, [printable(name) for j, name in enumerate(names) if j not in shown]

    def _more(self, others: list[str]) -> list[str]:
        lines = [f"... {self.n_inputs - _ROWS} more inputs"] if self.n_inputs > _ROWS else []
        if self.remark:
            lines.append(self.remark)
        if len(others) > _COLUMNS:
            others = [*others[:_COLUMNS], f"{len(others) - _COLUMNS} more"]
        return [*lines, f"not shown: {', '.join(others)}"] if others else lines


def _cell(name: str, value: Any) -> str:
    value = value.as_py() if hasattr(value, "as_py") else value
    if not isinstance(value, float | np.floating):
        return printable(value)
    upward = name.partition("@")[0] in _UPWARD
    return (ceil_significant if upward else floor_significant)(float(value), _DIGITS)
