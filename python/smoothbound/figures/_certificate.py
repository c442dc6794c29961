"""A certificate as it comes from Python: the certified confidence of its inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from smoothbound._utils import checks
from smoothbound.bounds._certificate import Certificate
from smoothbound.figures._style import RADIUS, marker_size, radius_axis, require_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


__all__ = ["certified_inputs"]


def certified_inputs(ax: Axes, certificate: Certificate) -> Axes:
    """Draw the certified confidence of every input over the radius; upper bounds are dashed.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    certificate : Certificate
        ``cert[rows]`` chooses inputs.

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
    settings = certificate.settings
    if not settings.radii:
        raise ValueError("certificate has no radii to draw the confidence at; certify with radii")
    radii = np.asarray(settings.radii)
    ids = getattr(certificate, "index", range(len(certificate)))
    for row, name in enumerate(ids):
        for bounds, line in ((certificate.lower, "-"), (certificate.upper, "--")):
            if bounds is None:
                continue
            known = np.flatnonzero(np.isfinite(bounds[row]))
            order = known[np.argsort(radii[known], kind="stable")]
            ax.plot(
                radii[order],
                bounds[row, order],
                drawstyle="steps-pre",  # the bound of a radius holds within it
                color=f"C{row % 10}",
                linestyle=line,
                marker="o",
                markersize=marker_size(len(order)),
                clip_on=False,
                label=f"input {name}" if line == "-" or certificate.lower is None else None,
            )
    a, b = settings.score_range
    ax.set(
        xlabel=RADIUS, ylabel=f"certified {getattr(settings, 'measure', 'confidence')}", ylim=(a, b)
    )
    radius_axis(ax)
    ax.grid(True)
    return ax
