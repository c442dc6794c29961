"""Certified accuracy against the radius and against the threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smoothbound._display.axes import require_axes
from smoothbound._display.rounding import exact
from smoothbound._utils import checks
from smoothbound.analysis.evaluation import Evaluation
from smoothbound.figures._style import accuracy_axes, accuracy_curve, look_of, plain, shade_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["certified_accuracy_vs_radius", "certified_accuracy_vs_threshold"]

_LONG = 12  # letters of a measure that takes a line of its own below an axis


def certified_accuracy_vs_radius(ax: Axes, evaluation: Evaluation, threshold: float) -> Axes:
    """Draw certified accuracy against the radius, at one threshold, for every method.

    If the evaluation has the certified radius of every input for this threshold, the curve is drawn
    from these radii. Otherwise it is drawn from the radii on the grid, which are then marked. The
    95 % interval of Clopper and Pearson over inputs is shaded, for each radius by itself.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        The axes to draw on.
    evaluation : Evaluation
        Certificates of labelled inputs.
    threshold : float
        The confidence c to stay strictly above, inside the range of the measure.

    Returns
    -------
    matplotlib.axes.Axes
        `ax`.

    Raises
    ------
    ValueError
        If `threshold` is not inside the range of the measure.
    """
    require_axes(ax)
    checks.instance("evaluation", evaluation, Evaluation)
    threshold = evaluation.checked_threshold(threshold)
    for bounds in evaluation.bounds:
        look = look_of(evaluation, bounds)
        label = bounds.method.label
        accuracy_curve(ax, evaluation, bounds, threshold, look, label, with_interval=True)
    return accuracy_axes(ax, evaluation, f"{plain(evaluation.measure)} > {exact(threshold)}")


def certified_accuracy_vs_threshold(ax: Axes, evaluation: Evaluation, radius: float) -> Axes:
    """Draw certified accuracy against the threshold, at one radius, for every method.

    Inputs are counted at every threshold, not on a grid. The 95 % interval over inputs is shaded.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        The axes to draw on.
    evaluation : Evaluation
        Certificates of labelled inputs.
    radius : float
        One of the radii of the evaluation.

    Returns
    -------
    matplotlib.axes.Axes
        `ax`.

    Raises
    ------
    ValueError
        If the evaluation has no bounds at `radius`.
    """
    require_axes(ax)
    checks.instance("evaluation", evaluation, Evaluation)
    for bounds in evaluation.bounds:
        threshold, accuracy = evaluation.by_threshold(bounds, radius)
        look = look_of(evaluation, bounds)
        total = evaluation.n_inputs
        shade_interval(ax, threshold, accuracy, total, color=look.color, step="post")
        ax.plot(
            threshold,
            100 * accuracy,
            drawstyle="steps-post",
            color=look.color,
            linestyle=look.line,
            label=bounds.method.label,
        )
    gap = "\n" if len(evaluation.measure) > _LONG else " "
    ax.set(
        xlabel=f"threshold c of the{gap}{plain(evaluation.measure)}",
        ylabel="certified accuracy (%)",
        title=f"R = {exact(evaluation.radii[evaluation.column(radius)])}",
        xlim=evaluation.shown_range,
    )
    ax.set_ylim(bottom=0, top=max(1.0, ax.get_ylim()[1]))
    ax.grid(True)
    return ax
