"""Errors that are not about an argument: files, checkpoints, data and models.

Wrong arguments raise the built-in `ValueError` and `TypeError`.
"""

from __future__ import annotations

__all__ = [
    "CheckpointError",
    "ClusterError",
    "DataError",
    "ModelError",
    "SmoothboundError",
    "StoreError",
    "said",
]


class SmoothboundError(Exception):
    """Base of the errors below. The command line prints them without a traceback."""


class StoreError(SmoothboundError):
    """A results folder, or a file of scores or a curve, cannot be read, written or continued."""


class CheckpointError(SmoothboundError):
    """A file is not a checkpoint that can be loaded safely into the named network."""


class DataError(SmoothboundError):
    """A data set is missing, incomplete or not in a known layout."""


class ModelError(SmoothboundError):
    """A base classifier returned something that cannot be certified."""


class ClusterError(SmoothboundError):
    """A cluster cannot be reached, has no room for the workers of a run, or they die."""


_MOST_SAID = 2000  # largest number of characters of a message


def said(error: BaseException) -> str:
    """Return the message of an exception from other code, cut if it is long.

    Examples
    --------
    >>> said(ValueError("no such layer"))
    'no such layer'
    """
    try:
        text = str(error)
    except Exception as cause:  # other code made its __str__ too
        return f"(a message that cannot be shown: {type(cause).__name__})"
    return text if len(text) <= _MOST_SAID else f"{text[:_MOST_SAID]}... ({len(text)} characters)"
