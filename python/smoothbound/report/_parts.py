"""The parts of a report, about one evaluation or several, as Markdown and for the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from smoothbound._display.printable import markdown
from smoothbound.report import _page as page
from smoothbound.report._drawing import Figure
from smoothbound.report._tables import markdown_rows

__all__ = ["Part", "markdown_section", "page_section"]


@dataclass(frozen=True)
class Part:
    """A part of the report.

    The first row of `table` is the header. `absent` names the missing figures. `title` is the
    heading, by default the name.
    """

    name: str
    notes: Sequence[str]
    figures: Sequence[Figure]
    table: Sequence[Sequence[str]]
    total: int
    absent: Sequence[str] = ()
    title: str = ""

    @property
    def heading(self) -> str:
        """The title, or the name if there is no title."""
        return self.title or self.name


def page_section(part: Part, number: int) -> page.Section:
    """Convert a part to the section of the page with a number."""
    shown = [
        page.Figure(
            page.inline(svg, figure.caption, prefix), figure.caption, page.panels(svg, prefix)
        )
        for k, figure in enumerate(part.figures)
        for svg, prefix in [(figure.svg.decode(), f"f{number}-{k}")]
    ]
    return page.Section(part.heading, part.notes, shown, part.table, part.total)


def markdown_section(part: Part) -> str:
    """Convert a part to a section in Markdown."""
    lines = [
        f"## {markdown(part.heading)}",
        "",
        *([markdown(" ".join(part.notes)), ""] if part.notes else []),
    ]
    for figure in part.figures:
        lines += [
            f"![{markdown(figure.stem.replace('_', ' '))}]({quote(figure.stem)}.png)",
            "",
            markdown(figure.caption),
            "",
        ]
    rows = markdown_rows(part.table)
    lines += [
        f"Certified accuracy of the {part.total} inputs, in percent, and its 95 % interval over "
        "inputs:",
        "",
        rows,
        "",
    ]
    return "\n".join(lines)
