"""The axis of the radius, which many figures share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smoothbound._utils import checks
from smoothbound._utils.extras import name_the_extra

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["RADIUS", "marker_size", "radius_axis", "require_axes"]

RADIUS = "ℓ₂ radius R (units of the input)"


def require_axes(ax: object) -> None:
    """Refuse an object that is not an Axes of Matplotlib."""
    with name_the_extra():
        from matplotlib.axes import Axes

    checks.instance("ax", ax, Axes)


def radius_axis(ax: Axes) -> None:
    """Begin the axis of the radius at 0, with ticks that are easy to read."""
    from matplotlib.ticker import MaxNLocator

    ax.set_xlim(left=0)
    ax.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2.5, 5, 10]))


def marker_size(n_points: int) -> float:
    """Return the size of the markers of a curve, in points: smaller if there are many."""
    return 3.5 if n_points < 10 else 2.2
