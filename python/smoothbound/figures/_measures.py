"""The score against the margin of the same inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from smoothbound._display.axes import require_axes
from smoothbound._display.rounding import exact
from smoothbound._utils import checks
from smoothbound.analysis.concentration import Spreads
from smoothbound.analysis.evaluation import Evaluation
from smoothbound.figures._style import GREY, LOOKS, accuracy_axes, accuracy_curve, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["score_and_margin_by_radius", "score_vs_margin_spread"]


def score_vs_margin_spread(ax: Axes, found: Spreads) -> Axes:
    """Draw the spread of each input's margins against that of its scores.

    Both are standard deviations as shares of the range. Below the diagonal, the margin is more
    concentrated than the score.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        The axes to draw on.
    found : Spreads
        The result of `smoothbound.analysis.concentration.spreads`.

    Returns
    -------
    matplotlib.axes.Axes
        `ax`.
    """
    require_axes(ax)
    checks.instance("found", found, Spreads)
    ax.plot(
        found.score,
        found.margin,
        linestyle="none",
        marker="o",
        markeredgewidth=0,
        color="#0072B2",
        alpha=0.5,
    )
    ax.plot([0, 0.5], [0, 0.5], color=GREY, linewidth=0.8, linestyle=(0, (3, 2)))
    below = int(np.count_nonzero(found.margin < found.score))
    ax.set(
        xlabel="spread of the score (share of its range)",
        ylabel="spread of the margin (of its range)",
        xlim=(0, 0.5),
        ylim=(0, 0.5),
        title=f"margin less spread: {below} of {len(found.index)}",
    )
    ax.grid(True)
    return ax


def score_and_margin_by_radius(
    ax: Axes, score: Evaluation, margin: Evaluation, fraction: float
) -> Axes:
    """Draw certified accuracy against the radius, by the score and by the margin.

    Both thresholds are at the same fraction of their ranges. For ``fraction=0.5`` these are score >
    0.5 and margin > 0, which both mean that the predicted class does not change. Each evaluation is
    shown by its last method. The 95 % interval over inputs is shaded.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        The axes to draw on.
    score, margin : Evaluation
        Evaluations of the same inputs.
    fraction : float
        Threshold as a fraction of the range, in (0, 1).

    Returns
    -------
    matplotlib.axes.Axes
        `ax`.

    Raises
    ------
    ValueError
        If `fraction` is not in (0, 1).
    """
    require_axes(ax)
    checks.instance("score", score, Evaluation)
    checks.instance("margin", margin, Evaluation)
    titles = []
    for look, one in zip(LOOKS, (score, margin), strict=False):
        threshold = one.threshold_at(fraction)
        label = f"{plain(one.measure)}, {one.bounds[-1].method.label}"
        accuracy_curve(ax, one, one.bounds[-1], threshold, look, label, with_interval=True)
        titles.append(f"{plain(one.measure)} > {exact(threshold)}")
    return accuracy_axes(ax, score, ", ".join(titles))
