"""Confidence against the radius of the class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from smoothbound._display.axes import radius_axis, require_axes
from smoothbound._utils import checks
from smoothbound._utils.spread import evenly_spread
from smoothbound.analysis._statistics.correlation import correlation
from smoothbound.analysis.evaluation import Evaluation
from smoothbound.figures._style import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["MOST_MARKERS", "score_vs_class_radius"]

MOST_MARKERS = 2000
"""The largest number of inputs that are drawn, because more take space and show no more."""


def score_vs_class_radius(ax: Axes, evaluation: Evaluation) -> Axes:
    """Draw each input's certified confidence at R = 0 against its certified class radius.

    This is Figure 4 of Kumar et al. 2020. The certificates are those of the last method of the
    evaluation. The title states Pearson's and Spearman's correlation, if there are enough inputs.
    If there are many inputs, `MOST_MARKERS` evenly spread ones are drawn. Legend and title are
    about all inputs, or about all of `Evaluation.sample` if not all fit in memory.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        The axes to draw on.
    evaluation : Evaluation
        Certificates with class radii, and with R = 0 among the radii.

    Returns
    -------
    matplotlib.axes.Axes
        `ax`.

    Raises
    ------
    ValueError
        If the evaluation has no class radii, or no bounds at R = 0.
    """
    require_axes(ax)
    checks.instance("evaluation", evaluation, Evaluation)
    evaluation = evaluation.sample
    if evaluation.class_radius is None:
        raise ValueError(f"{evaluation.name} has no class radii")
    confidence = evaluation.bounds[-1].lower[:, evaluation.column(0.0)]
    shown = evaluation.paired
    drawn = np.flatnonzero(shown)[evenly_spread(int(shown.sum()), MOST_MARKERS)]
    groups = (
        ("correct class", evaluation.correct, "#0072B2", "o", 0.45),
        ("wrong class", ~evaluation.correct, "#D55E00", "x", 0.9),
    )
    for label, rows, color, marker, opacity in groups:
        marked = drawn[rows[drawn]]
        ax.plot(
            evaluation.class_radius[marked],
            confidence[marked],
            linestyle="none",
            marker=marker,
            markeredgewidth=0.9 if marker == "x" else 0.0,
            color=color,
            alpha=opacity,
            label=f"{label} ({(rows & shown).sum()})",
            clip_on=False,
        )
    pearson, spearman = correlation(evaluation.class_radius[shown], confidence[shown])
    known = np.isfinite([pearson, spearman]).all()
    ax.set(
        xlabel="certified class radius (units of the input)",
        ylabel=f"certified {plain(evaluation.measure)} at R = 0",
        title=f"Pearson {pearson:.2f}, Spearman {spearman:.2f}"
        if known
        else f"{shown.sum()} inputs: too few, or too alike, for a correlation",
    )
    radius_axis(ax)
    ax.grid(True)
    return ax
