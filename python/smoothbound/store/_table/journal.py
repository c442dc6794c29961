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

import os
import struct
import zlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, overload

import numpy as np
import pyarrow as pa

from smoothbound._files.plain import memory_limit
from smoothbound.errors import StoreError

__all__ = ["FileBytes", "Journal", "beginning", "frame", "schema_frames"]

_MAGIC = b"SMBOUND2"
_END = b"\xa5"  # last byte of a frame; one flipped bit does not turn it into 00 or ff
_UNWRITTEN = (b"\x00", b"\xff")  # bytes that a power failure leaves
_AT_A_TIME = 1 << 10  # rows that are read together
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

    def size(self, data: Bytes, at: int) -> int | None:
        """Return the length that the head of a frame states; None if it is damaged or cut."""
        if at + self.head.size > len(data):
            return None
        length, _, *checked = self.head.unpack(data[at : at + self.head.size])
        if checked and checked[0] != zlib.crc32(data[at : at + 8]):
            return None
        return self.head.size + int(length) + len(self.end)

    def payload(self, data: Bytes, at: int) -> bytes | None:
        """Return the payload of the frame that begins at a byte; None if it is not whole."""
        size = self.size(data, at)
        if size is None or at + size > len(data):
            return None
        payload = data[at + self.head.size : at + size - len(self.end)]
        whole = payload and data[at : at + size] == self.frame(payload)
        return payload if whole else None


_LAYOUT = _Layout(struct.Struct("<III"), _END)
_LAYOUTS = {_MAGIC: _LAYOUT, b"SMBOUND1": _Layout(struct.Struct("<II"), b"")}


class FileBytes:
    """The bytes of an open file, read on request, up to its present length."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._size = file, os.fstat(file.fileno()).st_size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice) -> bytes:
        start, stop, _ = part.indices(self._size)
        return os.pread(self._file.fileno(), max(stop - start, 0), start)


Bytes = bytes | FileBytes


class _Payloads(Sequence[bytes]):
    """The payloads that lie at some places of the bytes of a journal."""

    def __init__(self, data: Bytes, spans: list[tuple[int, int]]) -> None:
        self._data, self._spans = data, np.array(spans, np.int64).reshape(-1, 2)

    def __len__(self) -> int:
        return len(self._spans)

    @overload
    def __getitem__(self, i: int) -> bytes: ...
    @overload
    def __getitem__(self, i: slice) -> Sequence[bytes]: ...
    def __getitem__(self, i: int | slice) -> bytes | Sequence[bytes]:
        if isinstance(i, slice):
            return [self[j] for j in range(*i.indices(len(self)))]
        start, stop = self._spans[i].tolist()
        return self._data[start:stop]


@dataclass(frozen=True)
class Journal:
    """The whole frames of a journal.

    Attributes
    ----------
    schema : pyarrow.Schema or None
        The last schema; None if the run was stopped before it wrote one.
    rows : sequence of bytes
        The rows in the order in which they were written, each as the message of a record batch.
    end : int
        Number of bytes up to the end of the last whole frame. A kill cut the frame after it.
    """

    schema: pa.Schema | None
    rows: Sequence[bytes]
    end: int

    @classmethod
    def parse(cls, path: Path, data: Bytes) -> Journal:
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
        found, end = _Found(path, data), len(magic)
        while (payload := layout.payload(data, end)) is not None:
            found.take(payload, end + layout.head.size)
            end += layout.head.size + len(payload) + len(layout.end)
        journal = found.journal(end)
        if not _was_cut(layout, data, end, found.longest):
            raise StoreError(
                f"{path} is damaged at byte {end} of {len(data)}, after {len(journal.rows)} whole "
                "inputs. Nothing was changed. Restore it from a copy, or go on with --resume "
                "--salvage, which keeps every whole input and a copy of the damaged file"
            )
        return journal

    @classmethod
    def salvage(cls, path: Path, data: Bytes) -> Journal:
        """Return the whole frames of a damaged journal.

        Raises
        ------
        StoreError
            If no schema is among them.
        """
        found, at = _Found(path, data), 0
        while at < len(data):
            payload = _LAYOUT.payload(data, at)
            if payload is None:
                at += 1
            else:
                found.take(payload, at + _LAYOUT.head.size)
                at += _LAYOUT.head.size + len(payload) + len(_LAYOUT.end)
        journal = found.journal(len(data))
        if journal.schema is None:
            raise StoreError(f"{path} cannot be salvaged: both copies of its settings are damaged")
        return journal

    def tables(
        self, names: Collection[str] | None = None, order: Sequence[int] | None = None
    ) -> Iterator[pa.Table]:
        """Yield some columns of the rows, some rows at a time.

        Parameters
        ----------
        names : collection of str, optional
            By default all columns.
        order : sequence of int, optional
            Places of the rows to yield, in this order; by default all as they were written.
        """
        assert self.schema is not None
        places = range(len(self.rows)) if order is None else order
        for start in range(0, len(places), _AT_A_TIME):
            messages = [self.rows[i] for i in places[start : start + _AT_A_TIME]]
            yield _decoded(self.schema, messages, names)

    def table(self) -> pa.Table:
        """Return the rows in the order in which they were written.

        Raises
        ------
        MemoryError
            If they are more than memory holds.
        """
        assert self.schema is not None
        tables, room = [], memory_limit()
        for table in self.tables():
            room -= table.nbytes
            if room < 0:
                raise MemoryError("its rows are more than memory holds")
            tables.append(table)
        return pa.concat_tables([self.schema.empty_table(), *tables])

    def to_bytes(self) -> bytes:
        """Return the bytes of a journal with this schema and these rows."""
        assert self.schema is not None
        return b"".join([beginning(self.schema), *map(frame, self.rows)])


class _Found:
    """The frames that a reader has found so far; rows are checked some at a time."""

    def __init__(self, path: Path, data: Bytes) -> None:
        self.longest = 0
        self._path, self._data = path, data
        self._spans: list[tuple[int, int]] = []
        self._schema: pa.Schema | None = None
        self._waiting: list[bytes] = []

    def take(self, payload: bytes, start: int) -> None:
        """Take the payload of a whole frame, which begins at a byte."""
        self.longest = max(self.longest, len(payload))
        try:
            message = pa.ipc.read_message(pa.py_buffer(payload))
            if message.type == "schema":
                self._check()
                self._schema = pa.ipc.read_schema(message)
                return
        except Exception as error:  # pyarrow raises more kinds than it documents
            raise self._wrong(error) from error
        self._spans.append((start, start + len(payload)))
        self._waiting.append(payload)
        if len(self._waiting) >= _AT_A_TIME:
            self._check()

    def _check(self) -> None:
        if self._schema is not None and self._waiting:
            try:
                _decoded(self._schema, self._waiting)
            except Exception as error:  # pyarrow raises more kinds than it documents
                raise self._wrong(error) from error
            self._waiting = []

    def _wrong(self, error: Exception) -> StoreError:
        return StoreError(f"{self._path} cannot be read: {error}")

    def journal(self, end: int) -> Journal:
        """Return what was found."""
        self._check()
        rows = [] if self._schema is None else _Payloads(self._data, self._spans)
        return Journal(self._schema, rows, end)


def _decoded(
    schema: pa.Schema, messages: Sequence[bytes], names: Collection[str] | None = None
) -> pa.Table:
    """Return rows as one table; the messages of a schema and of rows are a stream of Arrow."""
    fields = None if names is None else [i for i, f in enumerate(schema) if f.name in names]
    options = pa.ipc.IpcReadOptions(included_fields=fields)
    stream = b"".join([schema.serialize().to_pybytes(), *messages])
    with pa.ipc.open_stream(pa.py_buffer(stream), options=options) as reader:
        table = reader.read_all()
    if len(table) != len(messages):
        raise ValueError(f"{len(messages)} rows are needed, got {len(table)}")
    table.validate(full=True)
    return table.combine_chunks()


def frame(payload: bytes) -> bytes:
    """Return the frame of a payload."""
    return _LAYOUT.frame(payload)


def schema_frames(schema: pa.Schema) -> bytes:
    """Return two frames of a schema, because all rows need it and one may be damaged."""
    return 2 * frame(schema.serialize().to_pybytes())


def beginning(schema: pa.Schema) -> bytes:
    """Return the bytes of a journal without rows."""
    return _MAGIC + schema_frames(schema)


def _was_cut(layout: _Layout, data: Bytes, end: int, longest: int) -> bool:
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
