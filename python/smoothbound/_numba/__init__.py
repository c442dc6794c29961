"""The bounds in numba, where there is no C++ core: the names of ``_core``, a module each idea."""

from smoothbound._numba.anytime import EProcess, estimate_functional, test_rows
from smoothbound._numba.bounds import ConfidenceBand, ScoreCounter, certifier, certify_counts
from smoothbound._numba.draw_record import DrawRecord, record_from_bytes

__all__ = [
    "ConfidenceBand",
    "DrawRecord",
    "EProcess",
    "ScoreCounter",
    "certifier",
    "certify_counts",
    "estimate_functional",
    "record_from_bytes",
    "test_rows",
]
