"""The certified confidence of inputs over the radius."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from smoothbound._display.axes import marker_size, radius_axis, require_axes
from smoothbound._display.rounding import exact
from smoothbound._utils import checks
from smoothbound.analysis._statistics.rows import Bounds
from smoothbound.analysis.evaluation import Evaluation
from smoothbound.bounds._certificate import Certificate
from smoothbound.figures._style import GREY, look_of, plain, steps_from_the_center

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["certified_confidence", "certified_inputs"]


def certified_inputs(ax: Axes, certificate: Certificate) -> Axes:
    """Draw the certified confidence of every input over the radius; upper bounds are dashed.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        The axes to draw on.
    certificate : Certificate
        The certificate; ``cert[rows]`` selects inputs.

    Returns
    -------
    matplotlib.axes.Axes
        `ax`.

    Raises
    ------
    ValueError
        If the certificate has no radii.
    """
    require_axes(ax)
    checks.instance("certificate", certificate, Certificate)
    return certificate.plot(ax, np.arange(len(certificate)))


def certified_confidence(
    ax: Axes, evaluation: Evaluation, index: int, thresholds: Sequence[float] = ()
) -> Axes:
    """Draw the certified confidence of one input over the radius, for every method.

    Markers show the computed values. If the evaluation has the certified radius of one of the
    `thresholds`, this point is used too.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        The axes to draw on.
    evaluation : Evaluation
        Certificates.
    index : int
        The input's position in its data set.
    thresholds : sequence of float
        Confidences to mark by a horizontal line.

    Returns
    -------
    matplotlib.axes.Axes
        `ax`.

    Raises
    ------
    ValueError
        If the evaluation does not have the input.
    """
    require_axes(ax)
    checks.instance("evaluation", evaluation, Evaluation)
    row = evaluation.row(index)
    thresholds = checks.vector("thresholds", thresholds).tolist()
    for bounds in evaluation.bounds:
        radius, lower = _confidence_steps(evaluation, bounds, row, thresholds)
        look = look_of(evaluation, bounds)
        steps_from_the_center(
            ax,
            radius,
            lower,
            color=look.color,
            linestyle=look.line,
            marker=look.marker,
            markersize=marker_size(len(radius)),
            label=bounds.method.label,
        )
    for threshold in thresholds:
        ax.axhline(threshold, color=GREY, linewidth=0.7, linestyle=(0, (1, 2)))
        ax.annotate(
            f"c = {exact(threshold)}",
            (1.0, threshold),
            xycoords=("axes fraction", "data"),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            color=GREY,
            fontsize="small",
        )
    predicted = evaluation.predicted[row]
    outcome = f"predicted {predicted}" if predicted >= 0 else "abstained"
    ax.set(
        xlabel=evaluation.curve.axis,
        ylabel=f"certified {plain(evaluation.measure)}",
        title=f"input {index}: class {evaluation.label[row]}, {outcome}"
        if evaluation.labelled
        else f"input {index}",
        ylim=_shown(evaluation, thresholds),
    )
    radius_axis(ax)
    ax.grid(True)
    return ax


def _shown(evaluation: Evaluation, thresholds: Sequence[float]) -> tuple[float, float]:
    """Return the range of the axis. If it comes from the data, it holds the thresholds too."""
    if evaluation.axis is None:
        return evaluation.score_range
    ends = (*evaluation.axis, *filter(np.isfinite, thresholds))
    return min(ends), max(ends)


def _confidence_steps(
    evaluation: Evaluation, bounds: Bounds, row: int, thresholds: Sequence[float]
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Join the bounds on the grid and the certified radii of `thresholds`, by radius.

    If a method bounds one radius at a time, each point is a certificate of its own and is not
    changed.
    """
    radius, lower = evaluation.radii, bounds.lower[row]
    if bounds.radius is not None:
        asked = np.isin(evaluation.thresholds, thresholds) & np.isfinite(bounds.radius[row])
        radius = np.append(radius, bounds.radius[row, asked])
        lower = np.append(lower, evaluation.thresholds[asked])
    order = np.lexsort((-lower, radius))
    if not bounds.method.holds_at_all_radii:
        return radius[order], lower[order]
    # The bound at a radius holds within it, so no point may be lower than one at a larger radius.
    return radius[order], np.maximum.accumulate(lower[order][::-1])[::-1]
