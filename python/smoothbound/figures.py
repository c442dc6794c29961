"""Figures of certificates, each drawn on a Matplotlib Axes that you give.

Nothing here touches pyplot or its global state. Artists carry labels; call ``ax.legend()`` where
you want a legend. `STYLE` holds the settings that the report is drawn with; to draw with them,
use ``with matplotlib.rc_context(STYLE): ...``. Colours are those of Okabe and Ito, which remain
distinct to colour-blind readers; each method also has its own line and marker.

No curve shows more than is certified: between two radii R_i-1 < R_i at which a bound is known, it
is drawn at the value of the larger one, R_i, since the bound of R_i holds everywhere within R_i.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from smoothbound import comparison
from smoothbound.evaluation import Bounds, Evaluation, correlation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "STYLE",
    "best_by_radius",
    "certified_accuracy_vs_radius",
    "certified_accuracy_vs_threshold",
    "certified_confidence",
    "compared_by_radius",
    "score_vs_class_radius",
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

_RADIUS = "ℓ₂ radius R (units of the input)"
_GREY = "#555555"


@dataclass(frozen=True)
class _Look:
    color: str
    line: str | tuple[int, tuple[float, ...]]
    marker: str


_LOOKS = (
    _Look("#D55E00", (0, (3.5, 1.5)), "s"),  # vermillion, dashed
    _Look("#0072B2", "-", "o"),  # blue
    _Look("#009E73", (0, (6, 1.5, 1, 1.5)), "^"),  # bluish green, dash-dotted
    _Look("#CC79A7", (0, (1, 1)), "D"),  # reddish purple, dotted
    _Look("#56B4E9", (0, (6, 2)), "v"),  # sky blue, long dashes
)
_KNOWN = ("mean", "cdf_dkw")  # always look the same; other methods take the looks that are left


def _look(evaluation: Evaluation, bounds: Bounds) -> _Look:
    names = [one.method.name for one in evaluation.bounds]
    order = [*_KNOWN, *(name for name in names if name not in _KNOWN)]
    return _LOOKS[order.index(bounds.method.name) % len(_LOOKS)]


def _radius_axis(ax: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.set_xlim(left=0)
    ax.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2.5, 5, 10]))


def _marker_size(n_points: int) -> float:
    return 3.5 if n_points < 10 else 2.2  # points


def certified_accuracy_vs_radius(ax: Axes, evaluation: Evaluation, threshold: float) -> Axes:
    """Draw certified accuracy against the radius, at one threshold, for every method.

    Drawn from the certified radius of every input where the evaluation has it for this threshold;
    otherwise from the radii on the grid, which are then marked.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
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
    for bounds in evaluation.bounds:
        radius, accuracy, exact = evaluation.by_radius(bounds, threshold)
        look = _look(evaluation, bounds)
        end = np.count_nonzero(accuracy) + 1  # the first zero says all of those that follow
        ax.plot(
            radius[:end],
            100 * accuracy[:end],
            drawstyle="steps-pre",
            color=look.color,
            linestyle=look.line,
            marker="" if exact else look.marker,
            markersize=_marker_size(len(evaluation.radii)),
            clip_on=False,
            label=bounds.method.label,
        )
    return _accuracy_axes(ax, evaluation.measure, threshold)


def certified_accuracy_vs_threshold(ax: Axes, evaluation: Evaluation, radius: float) -> Axes:
    """Draw certified accuracy against the threshold, at one radius, for every method.

    The curves are exact at every threshold.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
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
    for bounds in evaluation.bounds:
        threshold, accuracy = evaluation.by_threshold(bounds, radius)
        look = _look(evaluation, bounds)
        ax.plot(
            threshold,
            100 * accuracy,
            drawstyle="steps-post",
            color=look.color,
            linestyle=look.line,
            label=bounds.method.label,
        )
    ax.set(
        xlabel=f"threshold c of the {evaluation.measure}",
        ylabel="certified accuracy (%)",
        title=f"R = {radius:g}",
        xlim=evaluation.score_range,
    )
    ax.set_ylim(bottom=0)
    ax.grid(True)
    return ax


def compared_by_radius(ax: Axes, evaluations: Sequence[Evaluation], threshold: float) -> Axes:
    """Draw certified accuracy against the radius of several evaluations, at one threshold.

    Each is shown by its last method. Radii on the grid are marked, as in
    `certified_accuracy_vs_radius`.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
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
    for place, one in enumerate(evaluations):
        radius, accuracy, exact = one.by_radius(one.bounds[-1], threshold)
        look = _LOOKS[place % len(_LOOKS)]
        end = np.count_nonzero(accuracy) + 1
        ax.plot(
            radius[:end],
            100 * accuracy[:end],
            drawstyle="steps-pre",
            color=look.color,
            linestyle=look.line,
            marker="" if exact else look.marker,
            markersize=_marker_size(len(one.radii)),
            clip_on=False,
            label=f"{one.name}, {one.bounds[-1].method.label}",
        )
    return _accuracy_axes(ax, evaluations[0].measure, threshold)


def best_by_radius(ax: Axes, evaluations: Sequence[Evaluation], threshold: float) -> Axes:
    """Draw the largest certified accuracy at each radius, in the colour of what certifies it.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    evaluations : sequence of Evaluation
        Certificates of the same inputs, by the same measure, such as of several sigma.
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
    reach = comparison.best_by_radius(evaluations, threshold)
    edges = np.append(0.0, reach.radius)
    shares = 100 * reach.counts / len(evaluations[0].index)
    for place, one in enumerate(evaluations):
        height = np.where(reach.best == place, shares[place], np.nan)
        ax.stairs(
            height,
            edges,
            fill=True,
            facecolor=_LOOKS[place % len(_LOOKS)].color,
            alpha=0.75,
            label=f"{one.name}, {one.bounds[-1].method.label}",
        )
    return _accuracy_axes(ax, evaluations[0].measure, threshold)


def _accuracy_axes(ax: Axes, measure: str, threshold: float) -> Axes:
    ax.set(
        xlabel=_RADIUS,
        ylabel="certified accuracy (%)",
        title=f"{measure} > {threshold:g}",
    )
    _radius_axis(ax)
    ax.set_ylim(bottom=0)
    ax.grid(True)
    return ax


def score_vs_class_radius(ax: Axes, evaluation: Evaluation) -> Axes:
    """Draw each input's certified confidence at R = 0 against its certified class radius.

    The last method of the evaluation is shown; the title states Pearson's and Spearman's
    correlation. Figure 4 of Kumar et al. 2020.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
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
    if evaluation.class_radius is None:
        raise ValueError(f"{evaluation.name} has no class radii")
    confidence = evaluation.bounds[-1].lower[:, evaluation.column(0.0)]
    shown = evaluation.paired
    groups = (
        ("correct class", evaluation.correct & shown, "#0072B2", "o", 0.45),
        ("wrong class", ~evaluation.correct & shown, "#D55E00", "x", 0.9),
    )
    for label, rows, color, marker, opacity in groups:
        ax.plot(
            evaluation.class_radius[rows],
            confidence[rows],
            linestyle="none",
            marker=marker,
            markeredgewidth=0.9 if marker == "x" else 0.0,
            color=color,
            alpha=opacity,
            label=f"{label} ({rows.sum()})",
            clip_on=False,
        )
    pearson, spearman = correlation(evaluation.class_radius[shown], confidence[shown])
    ax.set(
        xlabel="certified class radius (units of the input)",
        ylabel=f"certified {evaluation.measure} at R = 0",
        title=f"Pearson {pearson:.2f}, Spearman {spearman:.2f}",
    )
    _radius_axis(ax)
    ax.grid(True)
    return ax


def certified_confidence(
    ax: Axes, evaluation: Evaluation, index: int, thresholds: Sequence[float] = ()
) -> Axes:
    """Draw the certified confidence of one input over the radius, for every method.

    Markers are what was computed. Where the evaluation has the certified radius of one of the
    `thresholds`, that point is used too.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
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
        If the evaluation has no such input.
    """
    row = evaluation.row(index)
    for bounds in evaluation.bounds:
        radius, lower = _confidence_steps(evaluation, bounds, row, thresholds)
        look = _look(evaluation, bounds)
        ax.plot(
            radius,
            lower,
            drawstyle="steps-pre",
            color=look.color,
            linestyle=look.line,
            marker=look.marker,
            markersize=_marker_size(len(radius)),
            clip_on=False,
            label=bounds.method.label,
        )
    for threshold in thresholds:
        ax.axhline(threshold, color=_GREY, linewidth=0.7, linestyle=(0, (1, 2)))
        ax.annotate(
            f"c = {threshold:g}",
            (1.0, threshold),
            xycoords=("axes fraction", "data"),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            color=_GREY,
            fontsize="small",
        )
    predicted = evaluation.predicted[row]
    ax.set(
        xlabel=_RADIUS,
        ylabel=f"certified {evaluation.measure}",
        title=f"input {index}: class {evaluation.label[row]}, "
        + (f"predicted {predicted}" if predicted >= 0 else "abstained"),
        ylim=evaluation.score_range,
    )
    _radius_axis(ax)
    ax.grid(True)
    return ax


def _confidence_steps(
    evaluation: Evaluation, bounds: Bounds, row: int, thresholds: Sequence[float]
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Join the bounds on the grid and the certified radii of `thresholds`, by radius."""
    radius, lower = evaluation.radii, bounds.lower[row]
    if bounds.radius is not None:
        asked = np.isin(evaluation.thresholds, thresholds) & np.isfinite(bounds.radius[row])
        radius = np.append(radius, bounds.radius[row, asked])
        lower = np.append(lower, evaluation.thresholds[asked])
    order = np.lexsort((-lower, radius))
    # The bound of a radius holds within it: no point may stand below one further out.
    return radius[order], np.maximum.accumulate(lower[order][::-1])[::-1]
