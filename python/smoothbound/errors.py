"""Errors that are not about an argument: files, checkpoints, data and models.

Wrong arguments raise the built-in `ValueError` and `TypeError`.
"""

from __future__ import annotations

__all__ = [
    "BUDGET_SPENT",
    "FAILED",
    "CheckpointError",
    "DataError",
    "ModelError",
    "SmoothboundError",
    "StoreError",
]

BUDGET_SPENT = "budget spent"  # in the reason of every input that a budget ended
FAILED = "failed: "
"""How the reason begins, in results, for an input on which the model or the measure failed."""


class SmoothboundError(Exception):
    """Base of the errors below; the command line prints them without a traceback."""


class StoreError(SmoothboundError):
    """A results folder or a score file cannot be read, written or continued."""


class CheckpointError(SmoothboundError):
    """A file is not a checkpoint that can be loaded safely into the named network."""


class DataError(SmoothboundError):
    """A data set is missing, incomplete or not in a known layout."""


class ModelError(SmoothboundError):
    """A base classifier returned something that cannot be certified."""
