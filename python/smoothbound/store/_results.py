"""A folder of results: written input by input, killed and continued at will, read as one table.

While a run goes on, the folder holds a journal (`_journal`): the settings, and one frame
for each finished input, forced to the disk before the next input begins. A kill can cut the last
frame only; it is dropped when the run is continued. A finished run is one Parquet file,
`results.parquet`, with the settings as JSON in its metadata (key ``smoothbound``), and no journal.
Where a finished run goes on with more inputs, both are there until it has finished again.

Every byte is under a checksum, and every setting and number is checked when it is read.
"""

from __future__ import annotations

import os
from collections.abc import KeysView, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike, NDArray

from smoothbound._display.printable import printable
from smoothbound._display.rounding import exact
from smoothbound._files import sealed
from smoothbound._files.atomic import atomic_write, clear_drafts, file_identity, lock, sync_folder
from smoothbound._files.plain import read_plain
from smoothbound._utils import checks
from smoothbound.errors import BUDGET_SPENT, FAILED, StoreError
from smoothbound.store import _checks as store_checks
from smoothbound.store import _packed_counts as packed_counts
from smoothbound.store._journal import Journal, beginning, frame, schema_frames
from smoothbound.store._settings import RunSettings

if TYPE_CHECKING:
    from smoothbound.sketch._score_sketch import ScoreSketch

__all__ = ["SKETCH_EDGES", "Results", "Writer", "load", "schema"]

RESULTS, JOURNAL, DAMAGED = "results.parquet", "journal.bin", "journal.damaged"
SKETCH_EDGES = 4097
_KEY = b"smoothbound"


def schema(settings: RunSettings) -> pa.Schema:
    """Columns of a results table, with the settings in its metadata.

    `selected` is the class chosen on the selection draws, -1 where there were none; `predicted` is
    that class, or -1 where the run abstained, and `reason` then says why; with adaptive draws each
    reason ends with why drawing stopped. `class_radius` is Cohen's radius of the class (NaN: not
    certified). Where sampling failed, `reason` begins with "failed: ", and the numbers are NaN or
    0. `sketch` holds the counts of the scores over `SKETCH_EDGES` equally spaced edges, packed;
    nothing where drawing was adaptive or failed. `digest` is that of the input and its label, as
    they were read. For each method, ``lower_<name>`` holds the
    certified confidence at each radius and ``radius_<name>`` the certified radius for each
    threshold (NaN where even R = 0 fails).
    """
    columns = [
        ("index", pa.int64()),
        ("label", pa.int64()),
        ("selected", pa.int64()),
        ("predicted", pa.int64()),
        ("reason", pa.string()),
        ("class_radius", pa.float64()),
        ("n_draws", pa.int64()),
        ("top_count", pa.int64()),
        ("mean_score", pa.float64()),
        ("sketch", pa.binary()),
        ("seconds", pa.float64()),
    ]
    if settings.format >= 4:
        columns.append(("digest", pa.binary()))
    for method in settings.methods:
        columns += [
            (f"lower_{method.name}", pa.list_(pa.float64(), len(settings.radii))),
            (f"radius_{method.name}", pa.list_(pa.float64(), len(settings.thresholds))),
        ]
    return pa.schema(
        [pa.field(name, kind, nullable=False) for name, kind in columns],
        metadata={_KEY: settings.to_json().encode()},
    )


@dataclass(frozen=True)
class Results:
    """What a results folder holds. Nothing changes it, so that threads may share it.

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

    def __len__(self) -> int:
        """Return the number of finished inputs."""
        return self.table.num_rows

    def __repr__(self) -> str:
        settings = self.settings
        names = ", ".join(method.name for method in settings.methods)
        state = "complete" if self.complete else f"of {settings.n_inputs}, not complete"
        return printable(
            f"Results of {len(self)} inputs ({state}): {settings.measure} of {settings.arch} on "
            f"{settings.data}, {names}, n = {settings.n}, sigma = {exact(settings.sigma)}, "
            f"alpha = {exact(settings.alpha)}"
        )

    @property
    def failed(self) -> int:
        """Number of inputs on which the model or the measure failed."""
        return sum(str(reason).startswith(FAILED) for reason in self.table["reason"].to_pylist())

    @property
    def unpaid(self) -> int:
        """Number of inputs whose adaptive draws a budget ended."""
        return sum(BUDGET_SPENT in str(reason) for reason in self.table["reason"].to_pylist())

    @property
    def with_scores(self) -> NDArray[np.int64]:
        """Indices of the inputs whose counted scores were kept: none if draws were adaptive."""
        drawn = self.array("n_draws") > 0
        return np.asarray(self.array("index")[drawn & (self.settings.adaptive is None)])

    def sketch(self, inputs: ArrayLike | None = None) -> ScoreSketch:
        """Return the counted scores of inputs, to be certified anew.

        Each input takes 32 KiB. A certificate of any threshold and radius holds, but alpha and the
        band have to be chosen without a look at the results: the best of several choices fails more
        often than each.

        Parameters
        ----------
        inputs : array-like of int, optional
            Indices, each once; by default all that did not fail.

        Raises
        ------
        StoreError
            If draws were adaptive (the scores decided how many there are, so that they certify
            nothing by themselves), no input has any, or they are damaged.
        """
        from smoothbound.sketch._content import SketchContent, no_counts
        from smoothbound.sketch._score_sketch import ScoreSketch

        settings = self.settings
        if settings.adaptive is not None:
            raise StoreError("adaptive draws leave no sketch: certify without --adaptive")
        if not len(self.with_scores):
            raise StoreError("no input has a sketch: none is finished, or all have failed")
        wanted = (
            self.with_scores
            if inputs is None
            else np.sort(np.atleast_1d(checks.array("inputs", inputs)))
        )
        if missing := np.setdiff1d(wanted, self.with_scores).tolist():
            raise StoreError(f"input {missing[0]} has no sketch: it is not there, or has failed")
        rows = np.searchsorted(self.array("index"), wanted)
        n, packed = self.array("n_draws")[rows], self.table["sketch"]
        try:
            counts = no_counts(len(rows), SKETCH_EDGES)
        except ValueError as error:
            raise StoreError(f"name fewer inputs: {error}") from error
        try:
            for at, i in enumerate(rows.tolist()):
                counts[at] = packed_counts.unpack(packed[i].as_py() or b"", counts.shape[1])
            return ScoreSketch.from_content(
                SketchContent(
                    index=wanted,
                    predicted=self.array("selected")[rows],
                    draws=np.column_stack([wanted, np.zeros_like(n), n]),
                    counts=counts,
                    edges=np.linspace(*settings.score_range, SKETCH_EDGES),
                    measure=settings.measure,
                    sigma=settings.sigma,
                    displacement=settings.displacement,
                    noise=settings.noise.get("kind"),
                )
            )
        except (TypeError, ValueError) as error:
            raise StoreError(f"the sketches of the results are damaged: {error}") from error

    def array(self, name: str) -> NDArray[Any]:
        """Return a column as an array: (n_inputs,), or (n_inputs, k) for a list column.

        Raises
        ------
        ValueError
            If there is no such column.
        """
        checks.choice("name", name, self.table.column_names)
        return _array(self.table.column(name))


def _array(column: pa.ChunkedArray[Any]) -> NDArray[Any]:
    if isinstance(column.type, pa.FixedSizeListType):
        values = pc.list_flatten(column).to_numpy()
        return np.asarray(values).reshape(len(column), column.type.list_size)
    return np.asarray(column.to_numpy())


def load(folder: str | Path, *, salvage: bool = False) -> Results:
    """Read a results folder, finished or not, without disturbing a run that writes to it.

    Parameters
    ----------
    folder : str or Path
    salvage : bool
        Return what is whole, where the journal of an unfinished run is damaged.

    Raises
    ------
    StoreError
        If there is no such folder, it holds no results, or they are damaged.
    """
    folder = checks.path("folder", folder)
    if not _is_there(folder) or not folder.is_dir():
        raise StoreError(f"there is no results folder {folder}")
    finished, path = folder / RESULTS, folder / JOURNAL
    if _is_there(finished):
        return _load_parquet(finished)
    if not _is_there(path) and not _is_there(finished):
        raise StoreError(f"{folder} holds no results: neither {RESULTS} nor {JOURNAL} is in it")
    try:
        data = read_plain(path)
    except StoreError:
        if _is_there(finished):  # the run has finished since, and deleted its journal
            return _load_parquet(finished)
        raise
    journal = _parse(path, data, salvage=salvage)
    if journal.schema is None:
        raise StoreError(f"{folder} holds no results yet: its run was stopped at the very start")
    return _results(path, journal.table(), complete=False)


def _parse(path: Path, data: bytes, *, salvage: bool) -> Journal:
    try:
        return Journal.parse(path, data)
    except StoreError:
        if not salvage:
            raise
        return Journal.salvage(path, data)


def _is_there(path: Path) -> bool:
    """Say whether there is anything of this name, a link to nothing included."""
    try:
        return path.is_symlink() or path.exists()
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}") from error


def _load_parquet(path: Path) -> Results:
    table, is_sealed = sealed.read_table(path)
    results = _results(path, table, complete=True)
    if results.settings.format >= 4:
        sealed.require(path, is_sealed)
    return results


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
    results = Results(settings, table.sort_by("index"), complete)
    store_checks.require_sound(path, settings, results.array)
    return results


class Writer:
    """Write a results folder, one finished input at a time; use it in a ``with`` statement.

    Parameters
    ----------
    folder : str or Path
        Made if need be; at most one writer at a time holds it.
    settings : RunSettings
        What decides the numbers.
    resume : bool
        Go on with a run that was stopped, or with more inputs than it had; an empty or missing
        folder starts a new one.
    salvage : bool
        If the journal is damaged, go on with what is whole of it, and keep a copy of the damaged
        file as `journal.damaged`.

    Attributes
    ----------
    digests : dict of int to bytes
        Digest of what was read of each input that is finished and on the disk, by index.
    spent : tuple of int and float
        Draws and seconds that those took which were there when the folder was opened.

    Raises
    ------
    StoreError
        If another run writes to the folder, it already holds results and `resume` is false, its
        settings differ from `settings`, it holds files of other programs, or it is damaged or
        cannot be read or written. Nothing in the folder is changed then.

    Notes
    -----
    A writer is for one thread at a time, and one process at a time has one of a folder.
    """

    def __init__(
        self,
        folder: str | Path,
        settings: RunSettings,
        *,
        resume: bool = False,
        salvage: bool = False,
    ) -> None:
        self.folder = checks.path("folder", folder)
        self.settings = settings
        self.digests: dict[int, bytes] = {}
        self.spent = 0, 0.0
        self._schema = schema(settings)
        self._finished: Results | None = None  # of the same run, with as many inputs or fewer
        self._end = 0
        self._fd = -1
        try:
            self._open(resume, salvage)
        except BaseException:
            self.close()
            raise

    @property
    def done(self) -> KeysView[int]:
        """Indices of the inputs that are finished and on the disk."""
        return self.digests.keys()

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
            If it cannot be written, or one of its numbers cannot be right; the inputs before it are
            kept.
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
        table = pa.Table.from_batches([batch])
        store_checks.require_sound("row", self.settings, lambda name: _array(table.column(name)))
        self._write(frame(batch.serialize().to_pybytes()))
        self.digests[index] = bytes(row["digest"])  # type: ignore[call-overload]

    def finish(self) -> Path:
        """Turn the journal into `results.parquet` and return its path.

        Raises
        ------
        StoreError
            If inputs are missing, or the file cannot be written; the journal is then kept.
        """
        path = self.folder / RESULTS
        if self._fd < 0 and path.exists():  # it was finished before
            return path
        if len(self.done) != self.settings.n_inputs:
            raise StoreError(
                f"{self.folder} holds {len(self.done)} of {self.settings.n_inputs} inputs"
            )
        table = self._new(Journal.parse(self.folder / JOURNAL, self._read()).table())
        if self._finished is not None:
            table = pa.concat_tables([self._finished.table.cast(table.schema), table])
        try:
            sealed.write_table(table.sort_by("index"), path)
        except StoreError as error:
            raise StoreError(f"{error}. {self._kept()}") from error
        (self.folder / JOURNAL).unlink(missing_ok=True)
        self.close()
        return path

    def _open(self, resume: bool, salvage: bool) -> None:
        """Compare with what is there, then lock the folder, and only then write."""
        results, path = self.folder / RESULTS, self.folder / JOURNAL
        seen = file_identity(results)
        if _is_there(results):
            self._finished = _load_parquet(results)
            self._go_on(self._finished, resume)
        if not _is_there(path):
            if self._finished is None:
                _refuse_foreign_files(self.folder)
            elif self._has_finished():
                return
        self._fd = lock(path)
        if file_identity(results) != seen:
            if not os.fstat(self._fd).st_size:  # made by the lock
                path.unlink()
            raise StoreError(
                f"another run has just finished in {self.folder}; look at its results, then try "
                "again or choose another folder"
            )
        clear_drafts(results)
        if salvage:
            self._salvage()
        journal = Journal.parse(path, self._read())
        left = _results(path, journal.table(), complete=False) if journal.rows else None
        if left is not None and self._finished is not None:
            self._require_same_run(left)
            left = replace(left, table=self._new(left.table))
        if self._has_finished():
            # An empty journal is left if a kill comes between the last two steps of `finish`. One
            # with further inputs is of a run with more of them, which is not asked for now.
            if left is None or not len(left.table):
                path.unlink(missing_ok=True)
            self.close()
            return
        if left is None:
            self._truncate()
            self._write(beginning(self._schema))
            sync_folder(self.folder)
            return
        self._go_on(left, resume)
        self._end = journal.end
        self._truncate()
        if left.settings.differences(self.settings):
            self._write(schema_frames(self._schema))

    def _has_finished(self) -> bool:
        finished = self._finished
        return finished is not None and not finished.settings.differences(self.settings)

    def _new(self, table: pa.Table) -> pa.Table:
        """Return the rows of inputs that the finished run did not have."""
        if self._finished is None:
            return table
        return table.filter(pc.invert(pc.is_in(table["index"], self._finished.table["index"])))

    def _require_same_run(self, left: Results) -> None:
        assert self._finished is not None
        settings = self._finished.settings
        if not settings.goes_on_as(left.settings):
            differences = settings.differences(left.settings)
            raise StoreError(
                f"{self.folder} holds two runs: {JOURNAL} is not of the run that finished in "
                f"{RESULTS} ({'; '.join(differences)}). Nothing was changed; move one of them away"
            )

    def _go_on(self, found: Results, resume: bool) -> None:
        if not resume:
            state = "a finished run" if found.complete else "a run that was stopped"
            raise StoreError(
                f"{self.folder} already holds the results of {state} ({len(found.table)} of "
                f"{found.settings.n_inputs} inputs); go on with --resume, or choose another folder"
            )
        if not found.settings.goes_on_as(self.settings):
            differences = found.settings.differences(self.settings)
            raise StoreError(
                f"cannot resume {self.folder} with other settings: {'; '.join(differences)}"
            )
        digests = found.array("digest").tolist() if found.settings.format >= 4 else []
        self.digests |= dict(zip(found.array("index").tolist(), digests, strict=True))
        draws, seconds = self.spent
        self.spent = (
            draws + int(found.array("n_draws").sum()),
            seconds + float(found.array("seconds").sum()),
        )

    def _salvage(self) -> None:
        """Replace a damaged journal by what is whole of it; a copy of the damaged one stays."""
        path, data = self.folder / JOURNAL, self._read()
        try:
            Journal.parse(path, data)
        except StoreError:
            whole = Journal.salvage(path, data)
        else:
            return
        with atomic_write(self.folder / DAMAGED) as file:
            file.write(data)
        with atomic_write(path) as file:
            file.write(whole.to_bytes())
        held, self._fd = self._fd, lock(path)
        os.close(held)

    def _read(self) -> bytes:
        return read_plain(self.folder / JOURNAL)

    def _truncate(self) -> None:
        os.ftruncate(self._fd, self._end)

    def _write(self, data: bytes) -> None:
        try:
            rest, end = memoryview(data), self._end
            while rest:
                written = os.pwrite(self._fd, rest, end)
                rest, end = rest[written:], end + written
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


def _refuse_foreign_files(folder: Path) -> None:
    """Refuse to begin a run in a folder that holds anything else."""
    try:
        others = sorted(one.name for one in folder.iterdir()) if folder.is_dir() else []
    except OSError as error:
        raise StoreError(f"cannot read {folder}: {error.strerror}") from error
    others = [name for name in others if not name.startswith(".")]
    if others:
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        raise StoreError(
            f"{folder} must be empty or missing for a new run, and holds {others[0]}{more}; choose "
            "another folder"
        )
