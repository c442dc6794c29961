"""Figures of certificates, each drawn on a Matplotlib Axes that you give.

Nothing here touches pyplot or its global state. Artists carry labels; call ``ax.legend()`` where
you want a legend. `STYLE` holds the settings that the report is drawn with; to draw with them,
use ``with matplotlib.rc_context(STYLE): ...``. Colours are those of Okabe and Ito, which remain
distinct to colour-blind readers; each method also has its own line and marker.

No curve shows more than is certified: between two radii R_i-1 < R_i at which a bound is known, it
is drawn at the value of the larger one, R_i, since the bound of R_i holds everywhere within R_i.
"""

from smoothbound.figures.accuracy import (
    certified_accuracy_vs_radius,
    certified_accuracy_vs_threshold,
)
from smoothbound.figures.calibration import certified_calibration
from smoothbound.figures.certificate import certified_inputs
from smoothbound.figures.class_radius import score_vs_class_radius
from smoothbound.figures.confidence import certified_confidence
from smoothbound.figures.distribution import score_distribution, survival_function
from smoothbound.figures.knots import choice_of_knots
from smoothbound.figures.measures import score_and_margin_by_radius, score_vs_margin_spread
from smoothbound.figures.side_by_side import best_by_radius, compared_by_radius
from smoothbound.figures.style import STYLE

__all__ = [
    "STYLE",
    "best_by_radius",
    "certified_accuracy_vs_radius",
    "certified_accuracy_vs_threshold",
    "certified_calibration",
    "certified_confidence",
    "certified_inputs",
    "choice_of_knots",
    "compared_by_radius",
    "score_and_margin_by_radius",
    "score_distribution",
    "score_vs_class_radius",
    "score_vs_margin_spread",
    "survival_function",
]
