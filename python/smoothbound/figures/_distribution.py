"""The scores of one input: their distribution, their survival function and its bands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from smoothbound._display.axes import require_axes
from smoothbound._utils import checks
from smoothbound.analysis.evaluation import Evaluation
from smoothbound.backends import _select as backend
from smoothbound.bounds import _band as band
from smoothbound.figures._style import GREY, METHOD_LOOKS, plain
from smoothbound.sketch._content import cell_centers

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["score_distribution", "survival_function"]

_BARS = 64
_TICKS = (0.001, 0.02, 0.16, 0.5, 0.84, 0.98, 0.999, 0.9999)


def score_distribution(ax: Axes, evaluation: Evaluation, index: int) -> Axes:
    """Draw the distribution of the scores of one input, and their mean.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        The axes to draw on.
    evaluation : Evaluation
        An evaluation with the counted scores of this input.
    index : int
        The input's position in its data set.

    Returns
    -------
    matplotlib.axes.Axes
        `ax`.

    Raises
    ------
    ValueError
        If the evaluation has no counted scores of this input.
    """
    require_axes(ax)
    checks.instance("evaluation", evaluation, Evaluation)
    sketch = evaluation.sketch([checks.count("index", index, 0)])
    counts, n = sketch.counts[0].astype(np.float64), int(sketch.n_draws[0])
    edges = sketch.edges
    # A score at an edge belongs to the bar on its right, and one at the last edge to the last bar.
    within = counts[1::2] + counts[:-1:2]
    within[-1] += counts[-1]
    starts = np.linspace(0, within.size, min(_BARS, within.size), endpoint=False).astype(int)
    bars = np.add.reduceat(within, starts)
    places = np.append(edges[starts], edges[-1])
    ax.stairs(100 * bars / n, places, fill=True, color="#0072B2", alpha=0.55)
    mean = float(counts @ cell_centers(edges) / n)
    ax.axvline(mean, color=GREY, linewidth=0.9, linestyle=(0, (3, 2)))
    left = mean > (edges[0] + edges[-1]) / 2
    ax.annotate(
        f"mean {mean:.3f}",
        (mean, 0.97),
        xycoords=("data", "axes fraction"),
        xytext=(-3 if left else 3, 0),
        textcoords="offset points",
        ha="right" if left else "left",
        va="top",
        color=GREY,
        fontsize="small",
    )
    ax.set(
        xlabel=plain(evaluation.measure),
        ylabel=f"share of {n} draws (%)",
        xlim=evaluation.score_range,
        title="scores",
    )
    ax.grid(True)
    return ax


def survival_function(
    ax: Axes, evaluation: Evaluation, index: int, bands: Sequence[str] = ("dkw", "ell")
) -> Axes:
    """Draw the share of scores above each level, and lower confidence bands of its true value.

    The vertical axis has the scale of Phi^-1, on which a radius R shifts every point down by
    R / sigma. Each band holds at all levels at once with probability at least 1 - alpha.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        The axes to draw on.
    evaluation : Evaluation
        An evaluation with the counted scores of this input, and with `alpha`.
    index : int
        The input's position in its data set.
    bands : sequence of {"dkw", "ell"}
        Bands to draw.

    Returns
    -------
    matplotlib.axes.Axes
        `ax`.

    Raises
    ------
    ValueError
        If the evaluation has no counted scores of this input, or `alpha` is not known.
    """
    require_axes(ax)
    checks.instance("evaluation", evaluation, Evaluation)
    sketch = evaluation.sketch([checks.count("index", index, 0)])
    if evaluation.alpha is None:
        raise ValueError(f"alpha of {evaluation.name} is not known, so no band can be drawn")
    n = int(sketch.n_draws[0])
    above = np.cumsum(sketch.counts[0][::-1].astype(np.int64))[::-1][::2]  # >= each edge
    ax.plot(
        sketch.edges,
        ndtri(above / n),
        color=GREY,
        linewidth=0.9,
        drawstyle="steps-pre",
        label="share of the draws",
    )
    kind = backend.resolve(None)
    for name in checks.items("bands", bands, str):
        checks.choice("bands", name, ("dkw", "ell"))
        made = band.confidence_band(kind, name, n, evaluation.alpha, 0)
        levels = {int(k): made.quantile(int(k)) for k in np.unique(above)}
        look = METHOD_LOOKS[f"cdf_{name}"]
        ax.plot(
            sketch.edges,
            [levels[int(k)] for k in above],
            color=look.color,
            linestyle=look.line,
            drawstyle="steps-pre",
            label=f"band {name}",
        )
    ax.set_yticks(ndtri(_TICKS), [f"{100 * p:g}" for p in _TICKS])
    ax.set(
        xlabel=f"level s of the {plain(evaluation.measure)}",
        ylabel="share of scores ≥ s (%)",
        xlim=evaluation.score_range,
        ylim=(ndtri(_TICKS[0]), ndtri(0.99999)),
        title="survival function and its band",
    )
    ax.grid(True)
    return ax
