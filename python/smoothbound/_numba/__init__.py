"""The bounds in numba, for machines without the C++ core, under the names of ``_core``."""

from smoothbound._numba.anytime import EProcess, estimate_functional
from smoothbound._numba.bounds import ConfidenceBand, ScoreCounter, certifier, certify_counts
from smoothbound._numba.draw_record import DrawRecord, first_look_from

__all__ = [
    "ConfidenceBand",
    "DrawRecord",
    "EProcess",
    "ScoreCounter",
    "certifier",
    "certify_counts",
    "estimate_functional",
    "first_look_from",
]
