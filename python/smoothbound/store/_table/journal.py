"""The journal of an unfinished run: a file of frames, of which a kill can cut only the last.

The file begins with eight bytes that identify it. Two equal frames with the schema of the table
follow, because all rows need the schema and one of the frames may be damaged. Then each row has a
frame. If inputs are added to the run, two frames with the new schema come before their rows.

A frame has a head, the payload, and a last byte. The head holds the length of the payload, its
CRC-32, and the CRC-32 of these eight bytes.

A reader distinguishes a cut from damage as follows. A killed program leaves a file that ends within
its last frame: the head of this frame states a length beyond the end of the file. A power failure
leaves bytes that were never written, which are all zeros or all ones, up to the end of the file.
All other bytes that are not whole frames are damage.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from smoothbound._files.plain import memory_limit
from smoothbound.errors import StoreError

__all__ = ["Journal", "beginning", "frame", "schema_frames"]

_MAGIC = b"SMBOUND2"
_END = b"\xa5"  # last byte of a frame; one flipped bit does not turn it into 00 or ff
_UNWRITTEN = (b"\x00", b"\xff")  # bytes that a power failure leaves
_MOST_UNWRITTEN = 1 << 16  # by how many bytes a lost frame may exceed the longest whole one


@dataclass(frozen=True)
class _Layout:
    """The layout of frames in one version of the file."""

    head: struct.Struct
    end: bytes

    def frame(self, payload: bytes) -> bytes:
        sums = (len(payload), zlib.crc32(payload))
        checked = (zlib.crc32(struct.pack("<II", *sums)),) if self.end else ()
        return self.head.pack(*sums, *checked) + payload + self.end

    def size(self, data: bytes, at: int) -> int | None:
        """Return the length that the head of a frame states; None if it is damaged or cut."""
        if at + self.head.size > len(data):
            return None
        length, _, *checked = self.head.unpack_from(data, at)
        if checked and checked[0] != zlib.crc32(data[at : at + 8]):
            return None
        return self.head.size + int(length) + len(self.end)

    def payload(self, data: bytes, at: int) -> bytes | None:
        """Return the payload of the frame that begins at a byte; None if it is not whole."""
        size = self.size(data, at)
        if size is None or at + size > len(data):
            return None
        payload = data[at + self.head.size : at + size - len(self.end)]
        whole = payload and data[at : at + size] == self.frame(payload)
        return payload if whole else None


_LAYOUT = _Layout(struct.Struct("<III"), _END)
_LAYOUTS = {_MAGIC: _LAYOUT, b"SMBOUND1": _Layout(struct.Struct("<II"), b"")}


@dataclass(frozen=True)
class Journal:
    """The whole frames of a journal.

    Attributes
    ----------
    schema : pyarrow.Schema or None
        The last schema; None if the run was stopped before it wrote one.
    rows : list of pyarrow.RecordBatch
        The rows in the order in which they were written.
    end : int
        Number of bytes up to the end of the last whole frame. A kill cut the frame after it.
    """

    schema: pa.Schema | None
    rows: list[pa.RecordBatch]
    end: int

    @classmethod
    def parse(cls, path: Path, data: bytes) -> Journal:
        """Split the bytes of a journal into its frames.

        Raises
        ------
        StoreError
            If the bytes are not a journal, or are damaged anywhere.
        """
        magic = data[: len(_MAGIC)]
        if not any(known.startswith(magic) for known in _LAYOUTS):
            raise StoreError(
                f"{path} was not written by smoothbound certify, or is damaged at byte 0"
            )
        if magic not in _LAYOUTS:
            return cls(None, [], 0)
        layout = _LAYOUTS[magic]
        payloads, end = [], len(magic)
        while (payload := layout.payload(data, end)) is not None:
            payloads.append(payload)
            end += len(layout.frame(payload))
        journal = cls._of(path, payloads, end)
        if not _was_cut(layout, data, end, max(map(len, payloads), default=0)):
            raise StoreError(
                f"{path} is damaged at byte {end} of {len(data)}, after {len(journal.rows)} whole "
                "inputs. Nothing was changed. Restore it from a copy, or go on with --resume "
                "--salvage, which keeps every whole input and a copy of the damaged file"
            )
        return journal

    @classmethod
    def salvage(cls, path: Path, data: bytes) -> Journal:
        """Return the whole frames of a damaged journal.

        Raises
        ------
        StoreError
            If no schema is among them.
        """
        payloads, at = [], 0
        while at < len(data):
            payload = _LAYOUT.payload(data, at)
            if payload is None:
                at += 1
            else:
                payloads.append(payload)
                at += len(_LAYOUT.frame(payload))
        journal = cls._of(path, payloads, len(data))
        if journal.schema is None:
            raise StoreError(f"{path} cannot be salvaged: both copies of its settings are damaged")
        return journal

    @classmethod
    def _of(cls, path: Path, payloads: list[bytes], end: int) -> Journal:
        try:
            messages = [pa.ipc.read_message(pa.py_buffer(payload)) for payload in payloads]
            schemas = [pa.ipc.read_schema(one) for one in messages if one.type == "schema"]
            if not schemas:
                return cls(None, [], end)
            rows, room = [], memory_limit()
            for one in messages:
                if one.type != "schema":
                    rows.append(pa.ipc.read_record_batch(one, schemas[-1]))
                    rows[-1].validate(full=True)
                    room -= rows[-1].nbytes
                    if room < 0:
                        raise MemoryError("its rows are more than memory holds")
        except Exception as error:  # pyarrow raises more kinds than it documents
            raise StoreError(f"{path} cannot be read: {error}") from error
        return cls(schemas[-1], rows, end)

    def table(self) -> pa.Table:
        """Return the rows in the order in which they were written."""
        return pa.Table.from_batches(self.rows, self.schema)

    def to_bytes(self) -> bytes:
        """Return the bytes of a journal with this schema and these rows."""
        assert self.schema is not None
        rows = [frame(row.serialize().to_pybytes()) for row in self.rows]
        return b"".join([beginning(self.schema), *rows])


def frame(payload: bytes) -> bytes:
    """Return the frame of a payload."""
    return _LAYOUT.frame(payload)


def schema_frames(schema: pa.Schema) -> bytes:
    """Return two frames of a schema, because all rows need it and one may be damaged."""
    return 2 * frame(schema.serialize().to_pybytes())


def beginning(schema: pa.Schema) -> bytes:
    """Return the bytes of a journal without rows."""
    return _MAGIC + schema_frames(schema)


def _was_cut(layout: _Layout, data: bytes, end: int, longest: int) -> bool:
    """Return whether the bytes after `end` are the rest of one frame that was cut.

    Parameters
    ----------
    layout : _Layout
    data : bytes
        The whole journal.
    end : int
        Number of bytes up to the end of the last whole frame.
    longest : int
        Length of the longest payload before `end`.
    """
    rest = len(data) - end
    if rest < layout.head.size:
        return True
    size = layout.size(data, end)
    if layout is _LAYOUT:
        if size is not None and size > rest:
            return True  # the head is right, and states more bytes than there are
        last = data[end + (size or layout.head.size) - 1 :]
        unwritten = any(not last.strip(byte) for byte in _UNWRITTEN)
        return unwritten and len(last) <= _MOST_UNWRITTEN + longest
    # The head of the older version has no checksum of its own.
    if size is None or size <= rest or rest > 2 * longest + _MOST_UNWRITTEN:
        return False
    return not any(layout.payload(data, at) for at in range(end + 1, len(data)))
