"""Reading of the header of a NumPy array, whose words are not trusted."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from smoothbound.errors import StoreError

__all__ = ["array_header"]

_LONGEST_HEADER = 9999  # bytes that NumPy reads of the header of an array
_HEADERS = {  # by version of the format: bytes of the header's length, and the parser of both
    (1, 0): (2, np.lib.format.read_array_header_1_0),
    (2, 0): (4, np.lib.format.read_array_header_2_0),
}


def array_header(what: str, stream: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read shape, storage order (True: column by column) and type from the start of an array.

    Raises
    ------
    StoreError
        If it is no array, or its header is damaged; names `what`.
    """
    try:
        version = np.lib.format.read_magic(stream)
    except ValueError as error:
        raise StoreError(f"{what} cannot be read: it is not an array ({error})") from error
    if version not in _HEADERS:
        raise StoreError(
            f"{what} has the format version {version}, which no array of numbers needs"
        )
    size_of_length, parse = _HEADERS[version]
    length = stream.read(size_of_length)
    text = stream.read(min(int.from_bytes(length, "little"), _LONGEST_HEADER))
    try:
        return parse(io.BytesIO(length + text))
    except Exception as error:  # NumPy evaluates the header, which can raise many types
        raise StoreError(f"{what} cannot be read: its header is damaged") from error
