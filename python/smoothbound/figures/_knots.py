"""Certified confidence by the choice of knots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smoothbound._display.axes import require_axes
from smoothbound._display.rounding import exact
from smoothbound._utils import checks
from smoothbound.analysis.knots import KnotChoices
from smoothbound.figures._style import GREY, LOOKS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["choice_of_knots"]


def choice_of_knots(ax: Axes, found: KnotChoices) -> Axes:
    """Draw the mean certified confidence against the number of intervals, for each choice of knots.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        The axes to draw on.
    found : KnotChoices
        The result of `smoothbound.analysis.knots.choices`.

    Returns
    -------
    matplotlib.axes.Axes
        `ax`.
    """
    require_axes(ax)
    checks.instance("found", found, KnotChoices)
    curves = (("equal count", found.equal_count), ("equal width", found.equal_width))
    for look, (label, means) in zip(LOOKS, curves, strict=False):
        ax.plot(
            found.n_bins,
            means,
            color=look.color,
            linestyle=look.line,
            marker=look.marker,
            clip_on=False,
            label=label,
        )
    ax.axhline(
        found.every_draw, color=GREY, linewidth=0.9, linestyle=(0, (1, 2)), label="every draw"
    )
    ax.set_xscale("log", base=2)
    ax.set_xticks(found.n_bins[::2], [f"{bins}" for bins in found.n_bins[::2]])
    ax.minorticks_off()
    ax.set(
        xlabel="intervals",
        ylabel="mean certified confidence",
        title=f"Theorem 2 ({found.band}), R = {exact(found.radius)}",
    )
    ax.grid(True)
    return ax
