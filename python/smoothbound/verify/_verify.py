"""Verification of a whole folder, row by row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from smoothbound._utils.extras import name_the_extra
from smoothbound.errors import StoreError
from smoothbound.store._results import as_array
from smoothbound.store._stored import StoredResults, opened
from smoothbound.verify._classes import ClassesVerifier
from smoothbound.verify._counts import CountsVerifier
from smoothbound.verify._states import StatesVerifier
from smoothbound.verify._verification import Finding, Verification

__all__ = ["verify_results"]

_NOT_READ = {"label", "reason", "seconds", "digest"}


@name_the_extra()
def verify_results(
    results: str | Path | StoredResults,
    *,
    advance: Callable[[int], object] = lambda count: None,
) -> Verification:
    """Compute every certificate of a results folder again, without the model and the data.

    The slow reference (`smoothbound.backends.reference`) computes them from the counted scores, or
    from the states of adaptive draws. The counts of all classes are compared with the other
    numbers. docs/results.md describes the comparison.

    Parameters
    ----------
    results : str, Path or StoredResults
        Results folder, finished or not, or its opened results. It is read a few rows at a time.
    advance : callable
        A function that is called with the number of inputs just verified.

    Returns
    -------
    Verification

    Raises
    ------
    StoreError
        If the folder cannot be read, its bytes have changed, or it holds no input.
    """
    found = Verification()
    with opened(results) as stored:
        if not len(stored):
            raise StoreError(f"{stored.name} has no finished input yet")
        settings = stored.settings
        verifier = (CountsVerifier if settings.adaptive is None else StatesVerifier)(
            settings, found
        )
        classes = None if settings.classes is None else ClassesVerifier(settings, found)
        names = [name for name in stored.column_names if name not in _NOT_READ]
        for table in stored.batches(names):
            for row in _rows(table):
                findings: list[Finding] = verifier.row(row)
                findings += [] if classes is None else classes.row(row)
                found.found(findings)
                found.n_inputs += 1
                advance(1)
    return found


def _rows(table: pa.Table) -> Iterator[Mapping[str, Any]]:
    """Yield each row; lists are arrays."""
    columns = {
        name: table[name]
        if pa.types.is_binary(table.schema.field(name).type)
        else as_array(table[name])
        for name in table.column_names
    }
    for i in range(len(table)):
        yield {
            name: column[i].as_py() if isinstance(column, pa.ChunkedArray) else column[i]
            for name, column in columns.items()
        }
