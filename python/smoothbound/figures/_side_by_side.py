"""Several evaluations of the same inputs in one figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from smoothbound._display.axes import require_axes
from smoothbound._display.rounding import exact
from smoothbound._utils import checks
from smoothbound.analysis import comparison
from smoothbound.analysis.evaluation import Evaluation
from smoothbound.figures._style import LOOKS, accuracy_axes, accuracy_curve, name_of, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["best_by_radius", "compared_by_radius"]


def compared_by_radius(ax: Axes, evaluations: Sequence[Evaluation], threshold: float) -> Axes:
    """Draw certified accuracy against the radius of several evaluations, at one threshold.

    Each is shown by its last method. Radii on the grid are marked, and the interval over inputs is
    shaded, as in `certified_accuracy_vs_radius`.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        The axes to draw on.
    evaluations : sequence of Evaluation
        Certificates of the same inputs, by the same measure.
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
    evaluations = checks.items("evaluations", evaluations, Evaluation, least=1)
    threshold = evaluations[0].checked_threshold(threshold)
    for place, one in enumerate(evaluations):
        label = f"{name_of(one)}, {one.bounds[-1].method.label}"
        look = LOOKS[place % len(LOOKS)]
        accuracy_curve(ax, one, one.bounds[-1], threshold, look, label, with_interval=True)
    return accuracy_axes(
        ax, evaluations[0], f"{plain(evaluations[0].measure)} > {exact(threshold)}"
    )


def best_by_radius(ax: Axes, evaluations: Sequence[Evaluation], threshold: float) -> Axes:
    """Draw the largest certified accuracy at each radius, in the colour of its evaluation.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        The axes to draw on.
    evaluations : sequence of Evaluation
        Certificates of the same inputs by the same measure, for example with several values of
        sigma.
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
    evaluations = checks.items("evaluations", evaluations, Evaluation, least=1)
    threshold = evaluations[0].checked_threshold(threshold)
    reach = comparison.best_by_radius(evaluations, threshold)
    edges = np.append(0.0, reach.radius)
    shares = 100 * reach.counts / evaluations[0].n_inputs
    for place, one in enumerate(evaluations):
        height = np.where(reach.best == place, shares[place], np.nan)
        ax.stairs(
            height,
            edges,
            fill=True,
            facecolor=LOOKS[place % len(LOOKS)].color,
            alpha=0.75,
            label=f"{name_of(one)}, {one.bounds[-1].method.label}",
        )
    return accuracy_axes(
        ax, evaluations[0], f"{plain(evaluations[0].measure)} > {exact(threshold)}"
    )
