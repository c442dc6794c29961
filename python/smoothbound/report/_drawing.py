"""Panels of figures as files: PNG for documents, SVG for the page and for print."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from textwrap import fill
from typing import TYPE_CHECKING, Any

from smoothbound._display.printable import file_stem

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

__all__ = ["Figure", "Panel", "Rows", "draw", "rendered"]

Panel = Callable[["Axes"], "Axes"]
Rows = Sequence[Mapping[str, object]]

_COLUMNS = 3  # largest number of panels side by side
_DPI = 200
_LINE = 0.17  # inches: the height of a line of a legend
_LETTER = 0.065  # inches: the width of a letter of a legend
_HANDLE = 0.55  # inches: the line before the words of a legend, and the gap after them
_PAD = 3.0  # points around a panel that is shown by itself


@dataclass(frozen=True)
class Figure:
    """A figure as files. `stem` is the name of the files without its ending.

    `rows` are the plotted numbers, for the CSV `table`; empty if another table has them.
    """

    stem: str
    caption: str
    png: bytes = field(repr=False)
    svg: bytes = field(repr=False)
    table: str = ""
    rows: Rows = ()


def draw(
    stem: str,
    title: str,
    caption: str,
    panels: Sequence[Panel],
    *,
    alike: bool = True,
    table: str = "",
    rows: Rows = (),
) -> Figure:
    """Draw panels side by side.

    Parameters
    ----------
    stem : str
        Name of the files, without their ending.
    title, caption : str
        The title above the figure, and a description of it.
    panels : sequence of callable
        Functions that draw on an Axes.
    alike : bool
        Whether the panels show the same quantities. Then they share axes and one legend.
    table, rows
        The plotted numbers, as rows of the table of that name.
    """
    png, svg = rendered(title, caption, panels, alike=alike)
    return Figure(file_stem(stem), caption, png, svg, table, rows)


def rendered(
    title: str, caption: str, panels: Sequence[Panel], *, alike: bool = True
) -> tuple[bytes, bytes]:
    """Return the panels as PNG, and as SVG on a transparent ground.

    The attribute ``data-panels`` of the SVG has the places of its panels and its legend: "x y width
    height" in points for each of them, separated by semicolons.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    from smoothbound.figures._style import STYLE

    n_columns = min(len(panels), _COLUMNS)
    n_rows = -(-len(panels) // n_columns)
    with mpl.rc_context(STYLE):
        width, height = max(2.5 * n_columns, 3.6), (2.4 if n_columns == 1 else 1.9) * n_rows
        figure = Canvas(figsize=(width, height + 0.6), dpi=_DPI, layout="constrained")
        FigureCanvasAgg(figure)
        axes = list(figure.subplots(n_rows, n_columns, sharey=alike, squeeze=False).ravel())
        for ax, panel in zip(axes, panels, strict=False):
            panel(ax)
        for ax in axes[len(panels) :]:
            ax.remove()
        axes = axes[: len(panels)]
        if alike:
            _join(axes, n_columns)
        lines = _legends(figure, axes, alike)
        figure.set_size_inches(width, height + 0.6 + _LINE * lines)
        figure.suptitle(title, parse_math=False)
        drawn, vector = io.BytesIO(), io.BytesIO()
        figure.savefig(drawn, format="png")
        boxes = _boxes(figure, axes)
        with mpl.rc_context({"svg.hashsalt": "smoothbound"}):  # so that the file is always the same
            about = {"Date": None, "Description": caption}
            figure.savefig(vector, format="svg", transparent=True, metadata=about)
    marked = vector.getvalue().replace(b"<svg ", f'<svg data-panels="{boxes}" '.encode(), 1)
    return _packed(drawn, caption), marked


def _packed(drawn: io.BytesIO, caption: str) -> bytes:
    """Reduce a PNG to 256 colours, which looks the same and takes a third of the bytes."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    info, packed = PngInfo(), io.BytesIO()
    info.add_itxt("Description", caption)
    image = Image.open(drawn).convert("RGB").quantize(256)
    image.save(packed, "PNG", dpi=(_DPI, _DPI), pnginfo=info, optimize=True)
    return packed.getvalue()


def _join(axes: Sequence[Axes], n_columns: int) -> None:
    """Give panels of the same quantities one scale, with one label of the vertical axis per row.

    Each panel has its own numbers along this axis, because a phone shows one panel at a time.
    """
    right = max(ax.get_xlim()[1] for ax in axes)
    for place, ax in enumerate(axes):
        ax.set_xlim(right=right)
        ax.tick_params(labelleft=True)
        if place % n_columns:
            ax.set_ylabel("")


def _legends(figure: Canvas, axes: Sequence[Axes], alike: bool) -> int:
    """Put one legend below all panels, or one below each; return their number of lines."""
    width = figure.get_size_inches()[0]
    if not alike:
        letters = int((width / len(axes) - _HANDLE) / _LETTER)
        lines = 0
        for ax in axes:
            handles, labels = _labelled([ax], letters)
            if labels:
                ax.legend(handles, labels, loc="upper center", bbox_to_anchor=(0.5, -0.24))
                lines = max(lines, sum(1 + label.count("\n") for label in labels))
        return lines
    handles, labels = _labelled(axes, int((width - _HANDLE) / _LETTER))
    if not labels:
        return 0
    widest = max(len(line) for label in labels for line in label.split("\n"))
    columns = max(1, min(3, int(width / (_HANDLE + _LETTER * widest))))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns)
    tallest = 1 + max(label.count("\n") for label in labels)
    return tallest * -(-len(labels) // columns) - 1  # the height of the panels leaves room for one


def _labelled(axes: Sequence[Axes], letters: int) -> tuple[list[Any], list[str]]:
    """Return each labelled artist once, and its label in lines of at most `letters` letters."""
    found = {
        label: handle
        for ax in axes
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)
    }
    return list(found.values()), [fill(label, letters) for label in found]


def _boxes(figure: Canvas, axes: Sequence[Axes]) -> str:
    """Return the place of each panel and of the common legend, from the top left, in points."""
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    height = figure.get_size_inches()[1] * 72
    boxes = []
    for artist in (*axes, *figure.legends):
        box = artist.get_tightbbox(renderer)
        if box is not None:
            x, y, w, h = (value * 72 / figure.dpi for value in box.bounds)
            x, y = x - _PAD, height - y - h - _PAD
            boxes.append(f"{x:.1f} {y:.1f} {w + 2 * _PAD:.1f} {h + 2 * _PAD:.1f}")
    return "; ".join(boxes)
