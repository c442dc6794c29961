"""The state of a test as bytes: its settings as JSON, and its records as the core writes them.

The bytes are "SBAT", the version, the lengths of the parts, the parts, and a checksum of everything
before it.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

from smoothbound._files.checksum import DIGEST, digest
from smoothbound._utils import checks

__all__ = ["VERSION", "OtherVersionError", "pack", "unpack"]

VERSION = 2

_START = struct.Struct("<4sBB")  # the magic word, the version, the number of parts
_LENGTH = struct.Struct("<Q")
_MAGIC = b"SBAT"


class OtherVersionError(ValueError):
    """The state has a version that this release does not read."""

    def __init__(self, found: int) -> None:
        super().__init__(
            f"state must be of version {VERSION} (or read it with the smoothbound that wrote it, "
            f"or make the draws again), got {found}"
        )
        self.found = found


def pack(about: dict[str, Any], records: Sequence[bytes]) -> bytes:
    """Return the bytes of a state.

    Parameters
    ----------
    about : dict
        Values that JSON can hold.
    records : list of bytes
    """
    parts = [json.dumps(about, sort_keys=True).encode(), *records]
    body = b"".join(
        [
            _START.pack(_MAGIC, VERSION, len(parts)),
            *(_LENGTH.pack(len(part)) for part in parts),
            *parts,
        ]
    )
    return body + digest(body)


def unpack(state: object) -> tuple[dict[str, Any], list[bytes]]:
    """Return the arguments of `pack`.

    Raises
    ------
    TypeError, ValueError
        If the state is not bytes, was not written by `pack`, or is damaged.

    Examples
    --------
    >>> unpack(pack({"sigma": 0.5}, [b"one", b"two"]))
    ({'sigma': 0.5}, [b'one', b'two'])
    """
    if not isinstance(state, bytes | bytearray | memoryview):
        raise TypeError(f"state must be bytes that to_bytes made, got {checks.shown(state)}")
    whole = bytes(state)
    body = whole[:-DIGEST]
    if len(body) < _START.size or whole[: len(_MAGIC)] != _MAGIC:
        raise ValueError(
            f"state must be bytes that to_bytes made, got {len(whole)} bytes of something else"
        )
    _, version, n_parts = _START.unpack_from(body)
    if version != VERSION:
        raise OtherVersionError(version)
    if digest(body) != whole[-DIGEST:]:
        raise ValueError("state is damaged: its checksum does not match")
    begin = _START.size + n_parts * _LENGTH.size
    if begin > len(body):
        raise ValueError("state is damaged: the lengths of its parts do not match")
    lengths = [_LENGTH.unpack_from(body, _START.size + i * _LENGTH.size)[0] for i in range(n_parts)]
    if n_parts == 0 or begin + sum(lengths) != len(body):
        raise ValueError("state is damaged: the lengths of its parts do not match")
    ends = list(accumulate(lengths, initial=begin))
    parts = [body[i:j] for i, j in pairwise(ends)]
    try:
        return dict(json.loads(parts[0])), parts[1:]
    except (RecursionError, TypeError, ValueError) as error:
        raise ValueError(f"state is damaged: its settings cannot be read: {error}") from error
