"""The average score against the margin, of the same inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from smoothbound.concentration import relative_spread
from smoothbound.evaluation import Evaluation
from smoothbound.figures.style import GREY, LOOKS, RADIUS, marker_size, radius_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["score_and_margin_by_radius", "score_vs_margin_spread"]


def score_vs_margin_spread(ax: Axes, score: Evaluation, margin: Evaluation) -> Axes:
    """Draw the spread of each input's margins against that of its scores.

    Both are standard deviations as shares of the range: below the diagonal, the margin is the more
    concentrated.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    score, margin : Evaluation
        Of the same inputs, with their counted scores (`sketch`).

    Returns
    -------
    matplotlib.axes.Axes
        `ax`.

    Raises
    ------
    ValueError
        If one of them has no counted scores, or not of every input.
    """
    spreads = []
    for one in (score, margin):
        if one.sketch is None:
            raise ValueError(f"{one.name} has no counted scores")
        spreads.append(relative_spread(one.sketch, score.index))
    ax.plot(*spreads, linestyle="none", marker="o", markeredgewidth=0, color="#0072B2", alpha=0.5)
    ax.plot([0, 0.5], [0, 0.5], color=GREY, linewidth=0.8, linestyle=(0, (3, 2)))
    below = int(np.count_nonzero(spreads[1] < spreads[0]))
    ax.set(
        xlabel="spread of the score (share of its range)",
        ylabel="spread of the margin (of its range)",
        xlim=(0, 0.5),
        ylim=(0, 0.5),
        title=f"margin less spread: {below} of {len(score.index)}",
    )
    ax.grid(True)
    return ax


def score_and_margin_by_radius(
    ax: Axes, score: Evaluation, margin: Evaluation, fraction: float
) -> Axes:
    """Draw certified accuracy against the radius, by the score and by the margin.

    Each at the threshold at the same place in its range: for ``fraction=0.5``, score > 0.5 and
    margin > 0, which both say that the class stays the predicted one. Each by its last method.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    score, margin : Evaluation
        Of the same inputs.
    fraction : float
        Place of the threshold in the range, in (0, 1).

    Returns
    -------
    matplotlib.axes.Axes
        `ax`.

    Raises
    ------
    ValueError
        If `fraction` is not in (0, 1).
    """
    words = []
    for look, one in zip(LOOKS, (score, margin), strict=False):
        a, b = one.score_range
        threshold = round(a + (b - a) * fraction, 12)
        radius, accuracy, exact = one.by_radius(one.bounds[-1], threshold)
        end = np.count_nonzero(accuracy) + 1
        ax.plot(
            radius[:end],
            100 * accuracy[:end],
            drawstyle="steps-pre",
            color=look.color,
            linestyle=look.line,
            marker="" if exact else look.marker,
            markersize=marker_size(len(one.radii)),
            clip_on=False,
            label=f"{one.measure}, {one.bounds[-1].method.label}",
        )
        words.append(f"{one.measure} > {threshold:g}")
    ax.set(xlabel=RADIUS, ylabel="certified accuracy (%)", title=", ".join(words))
    radius_axis(ax)
    ax.set_ylim(bottom=0)
    ax.grid(True)
    return ax
