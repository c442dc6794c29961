"""One self-contained HTML page: no scripts, no network, figures inside as SVG."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Figure", "Section", "inline", "render"]

# What Matplotlib writes for text and axes, for the grid, and a blue that is too dark on a dark
# ground, become colours of the page.
_THEME = {
    "#000000": "currentColor",
    "#e3e3e3": "var(--rule)",
    "#555555": "var(--soft)",
    "#0072b2": "var(--blue)",
}
_LEAST, _MOST = 0.075, 0.12  # rem for each point of width: letters stay legible on a phone


@dataclass(frozen=True)
class Figure:
    """A figure of the page: its SVG, made fit for it by `inline`, and its caption."""

    svg: str
    caption: str


@dataclass(frozen=True)
class Section:
    """What the page says of one evaluation; `table` has its header first."""

    name: str
    notes: Sequence[str]
    figures: Sequence[Figure]
    table: Sequence[Sequence[str]]
    total: int


def inline(svg: str, caption: str, prefix: str) -> str:
    """Make an SVG file of Matplotlib part of a page: named, themed, with ids of its own.

    Parameters
    ----------
    svg : str
        The file.
    caption : str
        What a screen reader says of it.
    prefix : str
        Put before each id, for ids must be unique on a page.

    Returns
    -------
    str
        The element ``<svg>``.
    """
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}-", svg)
    for color, themed in _THEME.items():
        svg = re.sub(rf"(stroke|fill): {color}", rf"\1: {themed}", svg)
    # A path without a fill of its own is black: glyphs, and the marks of the axes.
    width = re.search(r'width="([0-9.]+)pt"', svg)
    points = float(width[1]) if width else 0.0
    size = f"min-width: {_LEAST * points:.1f}rem; max-width: {_MOST * points:.1f}rem"
    label = f'role="img" aria-label="{escape(caption)}" fill="currentColor" style="{size}"'
    svg = re.sub(r' (?:width|height)="[0-9.]+pt"', "", svg, count=2)
    return svg.replace("<svg ", f"<svg {label} ", 1)


def _emphasised(text: str) -> str:
    """Make Markdown's emphasis HTML's, and everything else harmless."""
    return re.sub(r"\*\*(.*?)\*\*", r"<strong>\1</strong>", escape(text))


def render(
    about: Sequence[tuple[str, str]],
    headline: Sequence[Sequence[str]],
    missing: str,
    sections: Sequence[Section],
) -> str:
    """Write the page.

    Parameters
    ----------
    about : sequence of (str, str)
        What was certified and how: terms and what they stand for; ``**`` marks emphasis.
    headline : sequence of sequence of str
        Table of the numbers to see first, its header first.
    missing : str
        Which figures the inputs could not give.
    sections : sequence of Section
        One for each evaluation.

    Returns
    -------
    str
        HTML.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("smoothbound.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    page = environment.get_template("report.html")
    return page.render(
        about=[(term, _emphasised(words)) for term, words in about],
        headline=headline,
        missing=missing,
        sections=sections,
    )
