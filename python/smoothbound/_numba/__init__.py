"""The bounds in numba, for machines without the C++ core, under the names of ``_core``."""

from smoothbound._numba.anytime import EProcess, estimate_functional, test_rows
from smoothbound._numba.bounds import ConfidenceBand, Plan, ScoreCounter, bound_counts
from smoothbound._numba.draw_record import DrawRecord, record_from_bytes
from smoothbound._numba.knots import KNOTS

__all__ = [
    "ConfidenceBand",
    "DrawRecord",
    "EProcess",
    "Plan",
    "ScoreCounter",
    "anytime_knots",
    "bound_counts",
    "estimate_functional",
    "record_from_bytes",
    "test_rows",
]

anytime_knots = KNOTS
