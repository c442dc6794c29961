"""The bounds in numba, for machines without the C++ core, under the names of ``_core``."""

from smoothbound._numba.bounds import ConfidenceBand, ScoreCounter, certifier, certify_counts

__all__ = ["ConfidenceBand", "ScoreCounter", "certifier", "certify_counts"]
