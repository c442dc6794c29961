"""Settings, looks and axes that the figures share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from smoothbound._display.axes import marker_size, radius_axis
from smoothbound._display.interval import interval_of
from smoothbound.analysis._statistics.rows import Bounds, Floats
from smoothbound.analysis.evaluation import Evaluation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "GREY",
    "LOOKS",
    "METHOD_LOOKS",
    "STYLE",
    "Look",
    "accuracy_axes",
    "accuracy_curve",
    "look_of",
    "name_of",
    "plain",
    "shade_interval",
    "steps_from_the_center",
]

STYLE: dict[Any, Any] = {  # the keys are Matplotlib's, which it types one by one
    "font.size": 8.0,
    "axes.titlesize": 8.0,
    "axes.labelsize": 8.0,
    "figure.titlesize": 8.5,
    "legend.fontsize": 8.0,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.axisbelow": True,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "grid.color": "#e3e3e3",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.3,
    "lines.markersize": 3.5,
    "legend.frameon": False,
    "axes.titlelocation": "left",
}

GREY = "#555555"
_MOST_SHADED = 400  # points; between two of them accuracy changes by 1/400 of the inputs


@dataclass(frozen=True)
class Look:
    """Colour, line and marker of a curve."""

    color: str
    line: str | tuple[int, tuple[float, ...]]
    marker: str


LOOKS = (
    Look("#D55E00", (0, (3.5, 1.5)), "s"),  # vermillion, dashed
    Look("#0072B2", "-", "o"),  # blue
    Look("#009E73", (0, (6, 1.5, 1, 1.5)), "^"),  # bluish green, dash-dotted
    Look("#CC79A7", (0, (1, 1)), "D"),  # reddish purple, dotted
    Look("#56B4E9", (0, (6, 2)), "v"),  # sky blue, long dashes
)
METHOD_LOOKS = dict(zip(("mean", "cdf_dkw", "cdf_ell", "tangent"), LOOKS, strict=False))
"""Looks of these methods. Other methods take the remaining looks."""


def look_of(evaluation: Evaluation, bounds: Bounds) -> Look:
    """Return the look of a method's curve, different from the others of its evaluation."""
    names = [one.method.name for one in evaluation.bounds]
    order = [*METHOD_LOOKS, *(name for name in names if name not in METHOD_LOOKS)]
    return LOOKS[order.index(bounds.method.name) % len(LOOKS)]


def plain(text: str) -> str:
    """Escape the dollar signs of a text, which Matplotlib would read as mathematics."""
    return text.replace("$", r"\$")


def name_of(evaluation: Evaluation) -> str:
    """Return the name of an evaluation for a legend, escaped for Matplotlib's math text.

    Matplotlib hides labels that begin with an underscore, so such a name gets a blank in front.
    """
    name = plain(evaluation.name)
    return f"\N{NO-BREAK SPACE}{name}" if name.startswith("_") else name


def accuracy_curve(
    ax: Axes,
    evaluation: Evaluation,
    bounds: Bounds,
    threshold: float,
    look: Look,
    label: str,
    *,
    with_interval: bool = False,
) -> None:
    """Draw certified accuracy against the radius, up to the radius at which it is 0.

    If the certified radius of every input is known, the curve is drawn from these radii, and down
    to 0, because no input is certified beyond the last. Otherwise it is drawn from the radii of the
    grid, which are marked. A threshold that is unknown to the evaluation is not drawn.
    `with_interval` shades the interval of the accuracy over inputs at each radius.
    """
    if not evaluation.tells(threshold):
        return
    radius, accuracy, exact = evaluation.by_radius(bounds, threshold)
    if exact and accuracy.any():
        radius, accuracy = np.append(radius, radius[-1]), np.append(accuracy, 0.0)
    end = np.count_nonzero(accuracy) + 1  # the first zero stands for all that follow
    if with_interval:
        start = radius[:1] > 0  # the first value holds from radius 0 on
        shade_interval(
            ax,
            np.append(np.zeros_like(radius[:1][start]), radius[:end]),
            np.append(accuracy[:1][start], accuracy[:end]),
            evaluation.n_inputs,
            color=look.color,
            step="pre",
        )
    steps_from_the_center(
        ax,
        radius[:end],
        100 * accuracy[:end],
        color=look.color,
        linestyle=look.line,
        marker="" if exact and accuracy.any() else look.marker,
        markersize=marker_size(len(evaluation.radii)),
        label=label,
    )


def shade_interval(
    ax: Axes, x: Floats, accuracy: Floats, total: int, *, color: str, step: Literal["pre", "post"]
) -> None:
    """Shade the interval over inputs of each accuracy, a share of `total` inputs.

    A curve with more than `_MOST_SHADED` points is shaded at this number of points, because a file
    stores every corner of an area. The error between these points is less than the width of a line.
    """
    shown = np.unique(np.linspace(0, len(x) - 1, _MOST_SHADED).astype(int))
    x, accuracy = x[shown], accuracy[shown]
    low, high = interval_of(np.rint(accuracy * total), total)
    ax.fill_between(
        x, 100 * low, 100 * high, step=step, color=color, alpha=0.15, linewidth=0, zorder=1
    )


def steps_from_the_center(ax: Axes, radius: Floats, values: Floats, **options: Any) -> None:
    """Draw each value up to its radius as steps, the first value from radius 0 on.

    There are markers only at the radii.
    """
    start = radius[0] > 0
    ax.plot(
        np.append(0.0, radius) if start else radius,
        np.append(values[0], values) if start else values,
        drawstyle="steps-pre",
        markevery=slice(int(start), None),
        clip_on=False,
        **options,
    )


def accuracy_axes(ax: Axes, evaluation: Evaluation, title: str) -> Axes:
    """Label the axes of certified accuracy over the radius."""
    ax.set(xlabel=evaluation.curve.axis, ylabel="certified accuracy (%)", title=title)
    radius_axis(ax)
    ax.set_ylim(bottom=0, top=max(1.0, ax.get_ylim()[1]))
    ax.grid(True)
    return ax
