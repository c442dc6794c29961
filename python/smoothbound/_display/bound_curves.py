"""The certified confidence of inputs over the radius, on Matplotlib's axes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from smoothbound._display.axes import RADIUS, marker_size, radius_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_bounds"]


def draw_bounds(
    ax: Axes,
    radii: tuple[float, ...],
    lower: NDArray[np.float64] | None,
    upper: NDArray[np.float64] | None,
    names: Iterable[object],
    *,
    what: str = "input",
) -> None:
    """Draw the bounds of each input, or class, over the radius; upper bounds are dashed.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    radii : tuple of float
    lower, upper : ndarray of float64, shape (n_inputs, n_radii), or None
        NaN where there is no bound.
    names : iterable
        What the legend calls each input, after the word `what`.
    what : str
    """
    places = np.asarray(radii)
    for row, name in enumerate(names):
        for bounds, line in ((lower, "-"), (upper, "--")):
            if bounds is None:
                continue
            known = np.flatnonzero(np.isfinite(bounds[row]))
            order = known[np.argsort(places[known], kind="stable")]
            ax.plot(
                places[order],
                bounds[row, order],
                drawstyle="steps-pre",  # the bound of a radius holds within it
                color=f"C{row % 10}",
                linestyle=line,
                marker="o",
                markersize=marker_size(len(order)),
                clip_on=False,
                label=f"{what} {name}" if line == "-" or lower is None else None,
            )
    ax.set(xlabel=RADIUS)
    radius_axis(ax)
    ax.grid(True)
