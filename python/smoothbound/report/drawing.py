"""Panels of figures as files: PNG for documents, SVG for the page and for print."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from smoothbound.printable import file_stem

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Figure", "Panel", "Rows", "draw", "rendered"]

Panel = Callable[["Axes"], "Axes"]
Rows = Sequence[Mapping[str, object]]

_COLUMNS = 3  # at most, side by side
_DPI = 200
_LINE = 0.17  # inches: the height of a line of a legend


@dataclass(frozen=True)
class Figure:
    """A figure as files; `stem` is their name without its ending.

    `rows` are the numbers it shows, for the table of this name, where no other table has them.
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
        What stands above, and what it shows.
    panels : sequence of callable
        Each draws on the Axes that it is given.
    alike : bool
        Whether the panels show the same quantities: they then share axes and one legend.
    table, rows
        The numbers it shows, as rows of the table of that name.
    """
    return Figure(
        file_stem(stem), caption, *rendered(title, caption, panels, alike=alike), table, rows
    )


def rendered(
    title: str, caption: str, panels: Sequence[Panel], *, alike: bool = True
) -> tuple[bytes, bytes]:
    """Return the panels as PNG, and as SVG on a transparent ground."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    from smoothbound.figures import STYLE

    n_columns = min(len(panels), _COLUMNS)
    n_rows = -(-len(panels) // n_columns)
    with mpl.rc_context(STYLE):
        size = (max(2.3 * n_columns, 3.4), 0.6 + (2.4 if n_columns == 1 else 1.9) * n_rows)
        figure = Canvas(figsize=size, dpi=_DPI, layout="constrained")
        FigureCanvasAgg(figure)
        axes = list(figure.subplots(n_rows, n_columns, sharey=alike, squeeze=False).ravel())
        for ax, panel in zip(axes, panels, strict=False):
            panel(ax)
        for ax in axes[len(panels) :]:
            ax.remove()
        if alike:
            _join(axes[: len(panels)], n_columns)
        if not alike:  # room for the longest legend
            lines = max(len(ax.get_legend_handles_labels()[1]) for ax in axes[: len(panels)])
            figure.set_size_inches(size[0], size[1] + _LINE * lines)
        _legends(axes[: len(panels)], alike)
        figure.suptitle(title, parse_math=False)
        drawn, packed, vector = io.BytesIO(), io.BytesIO(), io.BytesIO()
        figure.savefig(drawn, format="png")
        with mpl.rc_context({"svg.hashsalt": "smoothbound"}):  # the same file each time
            about = {"Date": None, "Description": caption}
            figure.savefig(vector, format="svg", transparent=True, metadata=about)
    info = PngInfo()
    info.add_itxt("Description", caption)
    image = Image.open(drawn).convert("RGB").quantize(256)  # a third of the bytes, same look
    image.save(packed, "PNG", dpi=(_DPI, _DPI), pnginfo=info, optimize=True)
    return packed.getvalue(), vector.getvalue()


def _join(axes: Sequence[Axes], n_columns: int) -> None:
    """Give panels that show the same quantities one scale, and name the upward axis once a row."""
    right = max(ax.get_xlim()[1] for ax in axes)
    for place, ax in enumerate(axes):
        ax.set_xlim(right=right)
        if place % n_columns:
            ax.set_ylabel("")


def _legends(axes: Sequence[Axes], alike: bool) -> None:
    """Put one legend below all panels, or its own below each."""
    if not alike:
        for ax in axes:
            if ax.get_legend_handles_labels()[1]:
                ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.24))
        return
    found = {
        label: handle
        for ax in axes
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)
    }
    handles, labels = list(found.values()), list(found)
    if labels:
        width = 60 if len(axes) == 1 else 100  # letters that there is room for
        columns = max(1, min(3, width // (6 + max(map(len, labels)))))
        axes[0].figure.legend(handles, labels, loc="outside lower center", ncols=columns)
