"""One self-contained HTML page without scripts or network access, with figures as SVG."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Figure", "Section", "inline", "panels", "render"]

# Matplotlib's colours of text and axes and of the grid, and a blue that is too dark on a dark
# ground, are replaced by colours of the page.
_THEME = {
    "#000000": "currentColor",
    "#e3e3e3": "var(--rule)",
    "#555555": "var(--soft)",
    "#0072b2": "var(--blue)",
}
_LEAST, _MOST = 0.075, 0.12  # rem for each point of width: letters stay legible on a phone


@dataclass(frozen=True)
class Figure:
    """A figure of the page: its SVG, as `inline` adapts it, and its caption.

    `panels` are its panels and its legend, one by one, for narrow screens.
    """

    svg: str
    caption: str
    panels: Sequence[str] = ()


@dataclass(frozen=True)
class Section:
    """One section of the page; the first row of `table` is the header."""

    name: str
    notes: Sequence[str]
    figures: Sequence[Figure]
    table: Sequence[Sequence[str]]
    total: int


def inline(svg: str, caption: str, prefix: str) -> str:
    """Adapt an SVG file of Matplotlib to a page: give it a name, theme colours and unique ids.

    Parameters
    ----------
    svg : str
        The file.
    caption : str
        Its description for screen readers.
    prefix : str
        The beginning of each id, because ids must be unique on a page.

    Returns
    -------
    str
        The element ``<svg>``.
    """
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}-", svg)
    for color, themed in _THEME.items():
        svg = re.sub(rf"(stroke|fill): {color}", rf"\1: {themed}", svg)
    # Paths without their own fill, such as glyphs and the marks of the axes, get the ink's colour.
    width = re.search(r'width="([0-9.]+)pt"', svg)
    points = float(width[1]) if width else 0.0
    size = f"min-width: {_LEAST * points:.1f}rem; max-width: {_MOST * points:.1f}rem"
    label = f'role="img" aria-label="{escape(caption)}" fill="currentColor" style="{size}"'
    svg = re.sub(r' data-panels="[^"]*"', "", svg, count=1)
    svg = re.sub(r' (?:width|height)="[0-9.]+pt"', "", svg, count=2)
    return svg.replace("<svg ", f"<svg {label} ", 1)


def panels(svg: str, prefix: str) -> list[str]:
    """Show the panels of a figure and its legend one by one, for narrow screens.

    Parameters
    ----------
    svg : str
        The file, whose attribute ``data-panels`` has their places; without it there are none.
    prefix : str
        The prefix given to `inline`, whose element is shown.

    Returns
    -------
    list of str
        Elements ``<svg>``. A screen reader skips them and reads the element of `inline`.
    """
    found = re.search(r'<svg [^>]*?data-panels="([^"]*)"', svg)
    boxes = [box for box in found[1].split("; ") if box] if found else []
    if len(boxes) < 3:  # one panel and its legend are narrow already
        return []
    return [
        f'<svg viewBox="{box}" aria-hidden="true" fill="currentColor" '
        f'style="max-width: {_MOST * float(box.split()[2]):.1f}rem">'
        f'<use href="#{prefix}-figure_1"/></svg>'
        for box in boxes
    ]


def _emphasised(text: str) -> str:
    """Convert the emphasis of Markdown to HTML, and escape everything else."""
    return re.sub(r"\*\*(.*?)\*\*", r"<strong>\1</strong>", escape(text))


def render(
    paper: str,
    about: Sequence[tuple[str, str]],
    headline: Sequence[Sequence[str]],
    missing: str,
    sections: Sequence[Section],
    made: Sequence[tuple[str, str]],
) -> str:
    """Write the page.

    Parameters
    ----------
    paper : str
        A sentence that names the paper of the method.
    about : sequence of (str, str)
        Terms with explanations of what was certified and how; ``**`` marks emphasis.
    headline : sequence of sequence of str
        Table of the most important numbers; the first row is the header.
    missing : str
        A sentence about figures that the inputs do not allow.
    sections : sequence of Section
        One for each evaluation. The first figure of the first one comes first on the page.
    made : sequence of (str, str)
        How each of the results and the page were made.

    Returns
    -------
    str
        HTML.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("smoothbound.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    page = environment.get_template("report.html")
    return page.render(
        paper=paper,
        about=[(term, Markup(_emphasised(words))) for term, words in about],
        made=made,
        headline=headline,
        missing=missing,
        sections=sections,
    )
