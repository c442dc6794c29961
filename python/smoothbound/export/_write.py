"""One results folder as one file, which is complete or not there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Literal, get_args

from smoothbound._files.atomic import atomic_write
from smoothbound._utils import checks
from smoothbound._utils.extras import name_the_extra
from smoothbound.errors import StoreError
from smoothbound.export._latex import latex_table
from smoothbound.export._log import log_parts
from smoothbound.export._rows import csv_parts, jsonl_parts
from smoothbound.store._stored import StoredResults, opened

__all__ = ["FORMATS", "Format", "settings_beside", "write_export"]

Format = Literal["csv", "jsonl", "tsv", "latex"]
FORMATS: tuple[Format, ...] = get_args(Format)


@name_the_extra()
def write_export(
    results: str | Path | StoredResults,
    out: str | Path,
    format: Format,
    *,
    method: str | None = None,
    thresholds: Sequence[float] = (),
    advance: Callable[[int], object] = lambda count: None,
) -> None:
    """Write a results folder as a file for other programs.

    The rows are read and written a few at a time, so that a folder can be larger than memory. The
    file takes its name once it is complete and on the disk.

    Parameters
    ----------
    results : str, Path or StoredResults
        Results folder, finished or not, or one that is open.
    out : str or Path
        File to write. The settings of the run are written beside it, as `settings_beside` names
        them, but for LaTeX.
    format : {"csv", "jsonl", "tsv", "latex"}
        - csv: one line for each input and one column for each number, as in `Results.to_pandas`. A
          cell is empty where there is no number.
        - jsonl: one JSON object an input, with the names and lists of the results table, and null
          where there is no number.
        - tsv: the columns of the logs of Kumar et al. 2020 and of Cohen et al. 2019, with all their
          digits; `smoothbound.analysis.read_log` reads it. Bounds stand at radii that are whole
          hundredths, because a column is named by the hundredths.
        - latex: the table of certified accuracy, rounded down, for the package booktabs.
    method : str, optional
        For tsv: name of the method whose bounds stand in the columns ``exp_cdf_*``. By default the
        last one by Theorem 2.
    thresholds : sequence of float
        For latex: thresholds of the table; by default those of a report.
    advance : callable
        Is called with the number of inputs that were just written.

    Raises
    ------
    StoreError
        If the folder cannot be read, has no finished input, `out` exists or cannot be written.
    ValueError
        If an argument is not of the kind stated above, or the run has nothing to write in this
        format.
    """
    format = checks.choice("format", format, FORMATS)
    path = checks.path("out", out)
    if method is not None and format != "tsv":
        raise ValueError(f"method is for format 'tsv', which has one; got format {format!r}")
    if len(thresholds) and format != "latex":
        raise ValueError(f"thresholds are for format 'latex', got format {format!r}")
    files = [path] if format == "latex" else [path, settings_beside(path)]
    for one in files:
        if one.exists() or one.is_symlink():
            raise StoreError(f"{one} exists; delete it or choose another name")
    with opened(results) as stored:
        if not len(stored):
            raise StoreError(f"{stored.name} has no finished input yet")
        if format == "latex":
            parts = latex_table(stored, thresholds, advance)
        else:
            parts = _parts(stored, format, method, advance)
        with ExitStack() as stack:
            file, *beside = [stack.enter_context(atomic_write(one)) for one in files]
            for about in beside:
                settings = json.loads(stored.settings.to_json())
                about.write(f"{json.dumps(settings, indent=2)}\n".encode())
            for part in parts:
                file.write(part)


def _parts(
    stored: StoredResults,
    format: Format,
    method: str | None,
    advance: Callable[[int], object],
) -> Iterator[bytes]:
    """Yield a file with one line for each input, some lines at a time."""
    if format == "csv":
        return csv_parts(stored, advance)
    return jsonl_parts(stored, advance) if format == "jsonl" else log_parts(stored, method, advance)


def settings_beside(path: Path) -> Path:
    """Return the file with the settings of an export: its name followed by .json."""
    return path.with_name(f"{path.name}.json")
