"""The journal of a run that goes on: frames of which a kill can cut the last one only.

It begins with eight bytes that tell what it is; then comes a frame for the schema of the table and
one for each row. A frame is the length and the CRC-32 of its payload, and the payload.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from smoothbound.errors import StoreError

__all__ = ["MAGIC", "Journal", "frame"]

MAGIC = b"SMBOUND1"
_HEAD = struct.Struct("<II")  # length and CRC-32 of the bytes that follow
_LONGEST_SKETCH = 40_000  # bytes: rows differ by the length of their packed sketch
_SHORTEST = 64  # bytes: every row has more


@dataclass(frozen=True)
class Journal:
    """The complete frames of a journal; what follows byte `end` was cut by a kill."""

    schema: pa.Schema | None
    batches: list[pa.RecordBatch]
    end: int

    @classmethod
    def parse(cls, path: Path, data: bytes) -> Journal:
        """Take a journal's bytes apart.

        Raises
        ------
        StoreError
            If they are not a journal, or damaged before the last frame.
        """
        if not data.startswith(MAGIC[: len(data)]):
            raise StoreError(f"{path} was not written by smoothbound certify")
        frames, end = _complete_frames(data)
        # One write at a time: nothing whole follows what a kill has cut, nor much. (Only the
        # settings stand before the first input, and no input is lost with them.)
        most = 2 * max(map(len, frames), default=0) + _LONGEST_SKETCH
        if len(frames) > 1 and (len(data) - end > most or _holds_frame(data, end + 1, most)):
            raise StoreError(
                f"{path} is damaged at byte {end} of {len(data)}, after {len(frames) - 1} inputs; "
                "restore it from a copy, or move it away and start again"
            )
        if not frames:
            return cls(None, [], 0)
        try:
            table_schema = pa.ipc.read_schema(pa.py_buffer(frames[0]))
            batches = [
                pa.ipc.read_record_batch(pa.py_buffer(frame), table_schema) for frame in frames[1:]
            ]
        except (OSError, pa.ArrowException) as error:
            raise StoreError(f"{path} cannot be read: {error}") from error
        return cls(table_schema, batches, end)

    def table(self) -> pa.Table:
        """Return the rows in the order in which they were written."""
        return pa.Table.from_batches(self.batches, self.schema)


def frame(payload: bytes) -> bytes:
    """Return a payload as it stands in a journal."""
    return _HEAD.pack(len(payload), zlib.crc32(payload)) + payload


def _holds_frame(data: bytes, start: int, most: int) -> bool:
    """Say whether a whole frame, of at most so many bytes, begins anywhere from `start` on."""
    for at in range(start, len(data) - _HEAD.size - _SHORTEST):
        length, checksum = _HEAD.unpack_from(data, at)
        if _SHORTEST <= length <= min(most, len(data) - at - _HEAD.size):
            payload = memoryview(data)[at + _HEAD.size : at + _HEAD.size + length]
            if zlib.crc32(payload) == checksum:
                return True
    return False


def _complete_frames(data: bytes) -> tuple[list[bytes], int]:
    frames, end = [], len(MAGIC)
    while end + _HEAD.size <= len(data):
        length, checksum = _HEAD.unpack_from(data, end)
        payload = data[end + _HEAD.size : end + _HEAD.size + length]
        # A block of zeros, as a power failure can leave, would pass for an empty frame.
        if not length or len(payload) < length or zlib.crc32(payload) != checksum:
            break
        frames.append(payload)
        end += _HEAD.size + length
    return frames, end
