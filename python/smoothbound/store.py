"""A folder of results: written input by input, killed and continued at will, read as one table.

While a run goes on, the folder holds a journal: one frame for the settings and one for each
finished input, forced to the disk before the next input begins. A kill can cut the last frame
only; it is dropped when the run is continued. A finished run is one Parquet file,
`results.parquet`, with the settings as JSON in its metadata (key ``smoothbound``), and no journal.
"""

from __future__ import annotations

import fcntl
import glob
import json
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from smoothbound.errors import BUDGET_SPENT, FAILED, StoreError
from smoothbound.method import Method

__all__ = ["FORMAT", "Results", "RunSettings", "Writer", "load", "replacing", "schema"]

FORMAT = 2
RESULTS, JOURNAL = "results.parquet", "journal.bin"
_KEY = b"smoothbound"
_MAGIC = b"SMBOUND1"
_HEAD = struct.Struct("<II")  # length and CRC-32 of the bytes that follow


# ---------------------------------------------------------------------------------------------
# Settings


@dataclass(frozen=True)
class RunSettings:
    """Everything that decides the numbers of a run, and so everything needed to repeat it.

    Parameters
    ----------
    sigma : float
        Standard deviation of the noise, in the units of the input before normalisation.
    alpha : float
        Failure probability of each stated certificate.
    n0, n : int
        Draws that select the class, and other draws that bound its score; with adaptive draws the
        most of an input.
    seed : int
        Seed of the noise.
    measure : str
        Confidence measure, ``"score"`` or ``"margin"``.
    score_range : tuple of float
        Range (a, b) of the measure.
    cutoff : float or None
        The run abstains where the certificate at R = 0 is not above it; None: never.
    outputs : str
        What the model returns: ``"logits"`` or ``"probabilities"``.
    methods : tuple of Method
        Ways to certify the same draws, the strongest last.
    radii : tuple of float
        Radii of the columns ``lower_*``, in the units of sigma.
    thresholds : tuple of float
        Thresholds of the columns ``radius_*``.
    data, split : str
        Name of the data set and its part.
    skip, max_inputs : int, int or None
        Every `skip`-th example is taken, at most `max_inputs` of them.
    n_inputs : int
        Number of inputs that this selects.
    arch, checkpoint, checkpoint_sha256 : str
        Network, name of its file, and the file's hash.
    noise : dict
        Kind of the noise, its grid, and where it entered; see `smoothbound.noise.Noise.describe`.
    device : str
        Where the noise was drawn and the model ran.
    batch_size, precision, channels_last, compile : int, str, bool, str or None
        How it ran, which its rounding depends on; see `smoothbound.SmoothedClassifier`.
    versions : dict of str to str
        Versions of the software.
    adaptive : dict or None
        Plan and budget of adaptive draws, as `smoothbound.smoothed.record` returns them; None for n
        draws of each input.
    format : int
        Version of the layout of the folder.
    indices : tuple of int or None
        Positions of the examples that `skip` and `max_inputs` choose from; None: of all.

    Raises
    ------
    ValueError
        If there is no method, no radius or no threshold.
    """

    sigma: float
    alpha: float
    n0: int
    n: int
    seed: int
    measure: str
    score_range: tuple[float, float]
    cutoff: float | None
    outputs: str
    methods: tuple[Method, ...]
    radii: tuple[float, ...]
    thresholds: tuple[float, ...]
    data: str
    split: str
    skip: int
    max_inputs: int | None
    n_inputs: int
    arch: str
    checkpoint: str
    checkpoint_sha256: str
    noise: dict[str, Any]
    device: str
    batch_size: int
    precision: str
    channels_last: bool
    compile: str | None
    versions: dict[str, str]
    adaptive: dict[str, Any] | None = None
    format: int = FORMAT
    indices: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("methods", "radii", "thresholds"):
            if not getattr(self, name):
                raise ValueError(f"{name} must not be empty")

    def to_json(self) -> str:
        """Write the settings as one line of JSON; floats keep every digit."""
        return json.dumps(asdict(self), allow_nan=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> RunSettings:
        """Read what `to_json` wrote.

        Raises
        ------
        StoreError
            If the text is not JSON, is of another format, or lacks or adds a setting.
        """
        try:
            values = json.loads(text)
            if values["format"] != FORMAT:
                raise StoreError(
                    f"the results have format {values['format']!r}, this version of smoothbound "
                    f"reads format {FORMAT}"
                )
            values["methods"] = tuple(Method(**method) for method in values["methods"])
            if not isinstance(values.get("adaptive"), dict | None):
                raise TypeError("adaptive must be an object or null")
            a, b = values["score_range"]
            values["score_range"] = (float(a), float(b))
            for name in ("radii", "thresholds"):
                values[name] = tuple(float(value) for value in values[name])
            if values.get("indices") is not None:
                values["indices"] = tuple(int(value) for value in values["indices"])
            return cls(**values)
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(f"the settings of the results cannot be read: {error!r}") from error

    def differences(self, other: RunSettings) -> list[str]:
        """Name each setting that differs, as ``"sigma: was 0.25, now 0.5"``.

        Parameters
        ----------
        other : RunSettings
            The settings now wanted; `self` are those recorded.
        """
        before, now = asdict(self), asdict(other)
        for values in (before, now):
            versions, noise = values.pop("versions"), values.pop("noise")
            plan = values.pop("adaptive") or {}
            values.update({f"adaptive {name}": v for name, v in plan.items() if name not in values})
            values.update({f"version of {name}": text for name, text in versions.items()})
            values.update({f"noise {name}": v for name, v in noise.items() if name not in values})
        return [
            f"{name}: was {before.get(name)!r}, now {now.get(name)!r}"
            for name in before | now
            if before.get(name) != now.get(name)
        ]


def schema(settings: RunSettings) -> pa.Schema:
    """Columns of a results table, with the settings in its metadata.

    `predicted` is -1 where the run abstained and `reason` then says why; with adaptive draws each
    reason ends with why drawing stopped; `class_radius` is
    Cohen's radius of the class (NaN: not certified). Where sampling failed, `reason` begins with
    "failed: ", and the numbers are NaN or 0. For each method, ``lower_<name>`` holds the
    certified confidence at each radius and ``radius_<name>`` the certified radius for each
    threshold (NaN where even R = 0 fails).
    """
    columns = [
        ("index", pa.int64()),
        ("label", pa.int64()),
        ("predicted", pa.int64()),
        ("reason", pa.string()),
        ("class_radius", pa.float64()),
        ("n_draws", pa.int64()),
        ("top_count", pa.int64()),
        ("mean_score", pa.float64()),
        ("seconds", pa.float64()),
    ]
    for method in settings.methods:
        columns += [
            (f"lower_{method.name}", pa.list_(pa.float64(), len(settings.radii))),
            (f"radius_{method.name}", pa.list_(pa.float64(), len(settings.thresholds))),
        ]
    return pa.schema(
        [pa.field(name, kind, nullable=False) for name, kind in columns],
        metadata={_KEY: settings.to_json().encode()},
    )


# ---------------------------------------------------------------------------------------------
# Reading


@dataclass(frozen=True)
class Results:
    """What a results folder holds.

    Parameters
    ----------
    settings : RunSettings
        What the run was started with.
    table : pyarrow.Table
        One row per finished input, in the order of `index`; see `schema`.
    complete : bool
        Whether the run came to its end.
    """

    settings: RunSettings
    table: pa.Table
    complete: bool

    @property
    def failed(self) -> int:
        """Number of inputs on which the model or the measure failed."""
        return sum(str(reason).startswith(FAILED) for reason in self.table["reason"].to_pylist())

    @property
    def unpaid(self) -> int:
        """Number of inputs whose adaptive draws a budget ended."""
        return sum(BUDGET_SPENT in str(reason) for reason in self.table["reason"].to_pylist())

    def array(self, name: str) -> NDArray[Any]:
        """Return a column as an array: (n_inputs,), or (n_inputs, k) for a list column."""
        column = self.table.column(name)
        if isinstance(column.type, pa.FixedSizeListType):
            values = pc.list_flatten(column).to_numpy()
            return np.asarray(values).reshape(len(column), column.type.list_size)
        return np.asarray(column.to_numpy())


def load(folder: str | Path) -> Results:
    """Read a results folder, finished or not, without disturbing a run that writes to it.

    Raises
    ------
    StoreError
        If there is no such folder, it holds no results, or they are damaged.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise StoreError(f"there is no results folder {folder}")
    if (folder / RESULTS).exists():
        return _load_parquet(folder / RESULTS)
    if not (folder / JOURNAL).exists():
        raise StoreError(f"{folder} holds no results: neither {RESULTS} nor {JOURNAL} is in it")
    journal = _Journal.parse(folder / JOURNAL, _read_bytes(folder / JOURNAL))
    if journal.schema is None:
        raise StoreError(f"{folder} holds no results yet: its run was stopped at the very start")
    return _results(folder / JOURNAL, journal.table(), complete=False)


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}") from error


def _load_parquet(path: Path) -> Results:
    try:
        # Not read_table: it takes a parent folder such as sigma=0.25 for a column.
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            table = file.read()
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{path} is cut short, damaged or not Parquet: {error}") from error
    return _results(path, table, complete=True)


def _results(path: Path, table: pa.Table, *, complete: bool) -> Results:
    try:
        settings = RunSettings.from_json((table.schema.metadata or {})[_KEY])
    except KeyError:
        raise StoreError(f"{path} was not written by smoothbound certify: no settings") from None
    except StoreError as error:
        raise StoreError(f"{path}: {error}") from error
    if not table.schema.equals(schema(settings)):
        raise StoreError(
            f"{path} does not have the columns of its settings; expected\n{schema(settings)}\n"
            f"found\n{table.schema}"
        )
    if complete and len(table) != settings.n_inputs:
        raise StoreError(f"{path} holds {len(table)} inputs, its settings say {settings.n_inputs}")
    return Results(settings, table.sort_by("index"), complete)


@dataclass(frozen=True)
class _Journal:
    """The complete frames of a journal; what follows byte `end` was cut by a kill."""

    schema: pa.Schema | None
    batches: list[pa.RecordBatch]
    end: int

    @classmethod
    def parse(cls, path: Path, data: bytes) -> _Journal:
        if not data.startswith(_MAGIC[: len(data)]):
            raise StoreError(f"{path} was not written by smoothbound certify")
        frames, end = _complete_frames(data)
        # One write at a time: what a kill cuts is about as long as one frame. (Only the settings
        # stand before the first input, and no input is lost with them.)
        if len(frames) > 1 and len(data) - end > 2 * max(map(len, frames)) + _HEAD.size:
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
        return pa.Table.from_batches(self.batches, self.schema)


def _frame(payload: bytes) -> bytes:
    return _HEAD.pack(len(payload), zlib.crc32(payload)) + payload


def _complete_frames(data: bytes) -> tuple[list[bytes], int]:
    frames, end = [], len(_MAGIC)
    while end + _HEAD.size <= len(data):
        length, checksum = _HEAD.unpack_from(data, end)
        payload = data[end + _HEAD.size : end + _HEAD.size + length]
        # A block of zeros, as a power failure can leave, would pass for an empty frame.
        if not length or len(payload) < length or zlib.crc32(payload) != checksum:
            break
        frames.append(payload)
        end += _HEAD.size + length
    return frames, end


# ---------------------------------------------------------------------------------------------
# Writing


class Writer:
    """Write a results folder, one finished input at a time; use it in a ``with`` statement.

    Parameters
    ----------
    folder : str or Path
        Made if need be; at most one writer at a time holds it.
    settings : RunSettings
        What decides the numbers.
    resume : bool
        Go on with a run that was stopped; an empty or missing folder starts a new one.

    Attributes
    ----------
    done : set of int
        Indices of the inputs that are finished and on the disk.
    spent : tuple of int and float
        Draws and seconds that those took which were there when the folder was opened.

    Raises
    ------
    StoreError
        If another run writes to the folder, it already holds results and `resume` is false, its
        settings differ from `settings`, or it cannot be read or written.
    """

    def __init__(self, folder: str | Path, settings: RunSettings, *, resume: bool = False) -> None:
        self.folder = Path(folder)
        self.settings = settings
        self.done: set[int] = set()
        self.spent = 0, 0.0
        self._schema = schema(settings)
        self._end = 0
        self._fd = _lock(self.folder / JOURNAL)
        try:
            self._begin(resume)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the folder free; what was appended is already on the disk."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def append(self, row: Mapping[str, object]) -> None:
        """Add a finished input; on return it is on the disk.

        Parameters
        ----------
        row : mapping
            One value for each column of `schema`.

        Raises
        ------
        StoreError
            If it cannot be written; the inputs before it are kept.
        ValueError
            If a column is missing, unknown, of the wrong type or length, or the input was
            appended before.
        """
        if set(row) != set(self._schema.names):
            wrong = sorted(set(row) ^ set(self._schema.names))
            raise ValueError(f"row must have exactly the columns of the table; see {wrong}")
        if empty := [name for name, value in row.items() if value is None]:
            raise ValueError(f"row needs a value in each column, got None in {empty}")
        index = row["index"]
        if not isinstance(index, int) or index in self.done:
            raise ValueError(f"index must be an int that is not done yet, got {index!r}")
        batch = pa.RecordBatch.from_pylist([dict(row)], schema=self._schema)
        self._write(_frame(batch.serialize().to_pybytes()))
        self.done.add(index)

    def finish(self) -> Path:
        """Turn the journal into `results.parquet` and return its path.

        Raises
        ------
        StoreError
            If inputs are missing, or the file cannot be written; the journal is then kept.
        """
        path = self.folder / RESULTS
        if path.exists():
            return path
        if len(self.done) != self.settings.n_inputs:
            raise StoreError(
                f"{self.folder} holds {len(self.done)} of {self.settings.n_inputs} inputs"
            )
        table = _Journal.parse(self.folder / JOURNAL, self._read()).table()
        try:
            with replacing(path) as file:
                pq.write_table(table.sort_by("index"), file, write_page_checksum=True)
        except StoreError as error:
            raise StoreError(f"{error}. {self._kept()}") from error
        (self.folder / JOURNAL).unlink(missing_ok=True)
        return path

    def _begin(self, resume: bool) -> None:
        results = self.folder / RESULTS
        _clear_drafts(results)
        if results.exists():
            found = _load_parquet(results)
            # Left by a kill between the last two steps of `finish`, or made by the lock just now.
            (self.folder / JOURNAL).unlink(missing_ok=True)
            self._go_on(found, resume)
            return
        journal = _Journal.parse(self.folder / JOURNAL, self._read())
        if journal.batches:
            found = _results(self.folder / JOURNAL, journal.table(), complete=False)
            self._go_on(found, resume)
            self._end = journal.end
            self._truncate()
        else:
            self._truncate()
            self._write(_MAGIC + _frame(self._schema.serialize().to_pybytes()))

    def _go_on(self, found: Results, resume: bool) -> None:
        if not resume:
            state = "a finished run" if found.complete else "a run that was stopped"
            raise StoreError(
                f"{self.folder} already holds the results of {state} ({len(found.table)} of "
                f"{found.settings.n_inputs} inputs); go on with --resume, or choose another folder"
            )
        differences = found.settings.differences(self.settings)
        if differences:
            raise StoreError(
                f"cannot resume {self.folder} with other settings: {'; '.join(differences)}"
            )
        self.done = set(found.array("index").tolist())
        self.spent = int(found.array("n_draws").sum()), float(found.array("seconds").sum())

    def _read(self) -> bytes:
        return _read_bytes(self.folder / JOURNAL)

    def _truncate(self) -> None:
        os.ftruncate(self._fd, self._end)
        os.lseek(self._fd, self._end, os.SEEK_SET)

    def _write(self, data: bytes) -> None:
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._fd, rest) :]
            os.fsync(self._fd)
        except OSError as error:
            with suppress(OSError):
                self._truncate()
            raise StoreError(
                f"cannot write {self.folder / JOURNAL}: {error.strerror}. {self._kept()}"
            ) from error
        self._end += len(data)

    def _kept(self) -> str:
        return (
            f"The {len(self.done)} finished inputs of {self.settings.n_inputs} are kept; "
            "put it right and go on with --resume"
        )


def _lock(path: Path) -> int:
    """Make and open `path`, and hold it alone until it is closed."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise StoreError(f"cannot write to {path.parent}: {error.strerror}") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        raise StoreError(f"another run is writing to {path.parent}: {error.strerror}") from error
    return fd


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file that takes the place of `path` only once it is complete and on the disk.

    The folder is made if need be, and what runs that were killed have left of `path` is deleted.

    Raises
    ------
    StoreError
        If it cannot be written; `path` is then as it was, and nothing else is left behind.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _clear_drafts(path)
        with draft.open("wb") as file:
            with suppress(OSError):  # a file system without locks keeps its stale drafts
                fcntl.flock(file, fcntl.LOCK_EX)
            yield file
            file.flush()
            os.fsync(file.fileno())
            draft.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def _clear_drafts(path: Path) -> None:
    """Delete the drafts that runs which were killed have left; those in use are locked."""
    for draft in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        with suppress(OSError), draft.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            draft.unlink()


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
