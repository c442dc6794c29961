"""The numbers that identify a draw, with their ranges: seed, index of the input, stream, number."""

from __future__ import annotations

from enum import IntEnum

from smoothbound._utils import checks

__all__ = ["MAX_DRAWS", "MAX_INDEX", "MAX_SEED", "Stream", "check_index"]

MAX_SEED = 2**64 - 1
MAX_INDEX = 2**31 - 1  # of an input
MAX_DRAWS = 2**32  # of an input and a stream


class Stream(IntEnum):
    """Purpose of a draw; draws of different streams are independent."""

    SELECTION = 0
    ESTIMATION = 1


def check_index(index: int) -> int:
    """Return `index` if it can identify an input: a whole number from 0 to 2^31 - 1."""
    return checks.count("index", index, minimum=0, maximum=MAX_INDEX)
