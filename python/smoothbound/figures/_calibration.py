"""Bounds on the calibration under attack, over the radius."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from smoothbound._display.axes import RADIUS, radius_axis, require_axes
from smoothbound._utils import checks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["certified_calibration"]


def certified_calibration(
    ax: Axes,
    radii: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    error: str,
) -> Axes:
    """Draw the range in which a calibration error stays if every input is changed by up to R.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        The axes to draw on.
    radii : ndarray, shape (n_radii,)
        Radii of the bounds, increasing, in the units of the input.
    lower, upper : ndarray, shape (n_radii,)
        Bounds on the error, such as those of `smoothbound.analysis.calibration.certified`.
    error : str
        Name of the error, such as ``"Brier score"``.

    Returns
    -------
    matplotlib.axes.Axes
        `ax`.
    """
    require_axes(ax)
    radii = checks.radii("radii", radii)
    lower, upper = checks.vector("lower", lower), checks.vector("upper", upper)
    for name, bound in (("lower", lower), ("upper", upper)):
        if bound.shape != radii.shape:
            raise ValueError(f"{name} must have one value for each of the radii, got {bound.size}")
    checks.instance("error", error, str)
    ax.fill_between(radii, lower, upper, step="pre", color="#0072B2", alpha=0.2, linewidth=0)
    for bound, line, label in (
        (upper, "-", "at most"),
        (lower, (0, (3.5, 1.5)), "at least"),
    ):
        ax.plot(
            radii,
            bound,
            drawstyle="steps-pre",
            color="#0072B2",
            linestyle=line,
            marker="o" if len(radii) == 1 else "",
            clip_on=False,
            label=label,
        )
    top = float(np.max(upper, initial=1.0, where=np.isfinite(upper)))  # sums over classes exceed 1
    ax.set(xlabel=RADIUS, ylabel=error, ylim=(0, top))
    radius_axis(ax)
    ax.grid(True)
    return ax
