"""The bounds in numba, for machines without the C++ core, under the names of ``_core``."""

from smoothbound._numba._anytime.draw_record import DrawRecord, record_from_bytes
from smoothbound._numba._anytime.e_process import EProcess, estimate_functional, test_rows
from smoothbound._numba._anytime.knots import KNOTS
from smoothbound._numba._means.joint import JointBound
from smoothbound._numba.bounds import ConfidenceBand, Plan, ScoreCounter, bound_counts
from smoothbound._numba.levels import binomial_quantile, bound_level_counts, bound_levels

__all__ = [
    "ConfidenceBand",
    "DrawRecord",
    "EProcess",
    "JointBound",
    "Plan",
    "ScoreCounter",
    "anytime_knots",
    "binomial_quantile",
    "bound_counts",
    "bound_level_counts",
    "bound_levels",
    "estimate_functional",
    "record_from_bytes",
    "test_rows",
]

anytime_knots = KNOTS
