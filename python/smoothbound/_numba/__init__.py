"""The bounds in numba, where there is no C++ core: the names of ``_core``, a module each idea."""

from smoothbound._numba.bounds import ConfidenceBand, ScoreCounter, certifier, certify_counts

__all__ = ["ConfidenceBand", "ScoreCounter", "certifier", "certify_counts"]
