"""Scores from a CSV file with a line for each input, with or without a header.

In a file with a header the scores are the columns whose names are one word with a number after it,
such as s0, s1, s2 or 0, 1, 2. The other columns identify the input of a line. The choice of the
columns never depends on the values, because leaving out scores by their values would make a
certificate false.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from smoothbound.errors import StoreError
from smoothbound.scores._score_file import ScoreFile, choose, readable, rows_per_chunk

__all__ = ["open_csv"]

_DIGITS = "0123456789"
_LINES_LOOKED_AT = 100
_NAMES_SHOWN = 5  # names of a header in an error
_LONGEST_NAME = 30  # characters of such a name


def open_csv(path: Path, key: str | None) -> ScoreFile:
    """Open a CSV file of scores; see `open_scores`."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        lines = _lines(path, file)
        head = list(islice(lines, 1 + _LINES_LOOKED_AT))
        if not head:
            raise StoreError(f"{path} has no rows")
        names, scores = _columns(path, key, [cells for _, cells in head])
        first = 0 if names is None else 1  # line after the header
        others = sorted(set(range(len(head[0][1]))).difference(scores))
        ids: list[list[str]] = [[] for _ in others]
        n_inputs = 0
        for _, cells in islice(chain(head, lines), first, None):
            n_inputs += 1
            for column, j in zip(ids, others, strict=True):
                column.append(cells[j])
    if not n_inputs:
        raise StoreError(f"{path} has no rows after its header")
    rows = rows_per_chunk(len(scores), 8)

    def chunks() -> Iterator[NDArray[np.float64]]:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = islice(_lines(path, file), first, None)
            while block := [_numbers(path, *line, scores) for line in islice(lines, rows)]:
                yield np.array(block)

    table = pa.table({(names or [])[j]: column for j, column in zip(others, ids, strict=True)})
    dtype = np.dtype(np.float64)
    return ScoreFile(n_inputs, len(scores), dtype, readable(path, chunks()), table)


def _lines(path: Path, file: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the cells of each line that is not empty, all of the same length."""
    reader = csv.reader(file, strict=True)
    wanted = 0
    for cells in reader:
        if not cells:
            continue
        wanted = wanted or len(cells)
        if len(cells) != wanted:
            raise StoreError(
                f"{path} must have the same number of cells in each line: line {reader.line_num} "
                f"has {len(cells)}, the first has {wanted}"
            )
        yield reader.line_num, cells


def _columns(
    path: Path, key: str | None, head: list[list[str]]
) -> tuple[list[str] | None, list[int]]:
    """Return the names in the header, or None, and the positions of the columns of scores."""
    first = head[0]
    # pandas writes such a header.
    counted = first == [str(j) for j in range(len(first))] and len(first) > 2
    if all(map(_is_number, first)) and not counted:
        _refuse_whole_columns(path, head)
        if key is not None:
            raise StoreError(f"{path} has no header with names; leave out the key {key!r}")
        return None, list(range(len(first)))
    numbers = [cell for cell in first if _is_number(cell) and not cell.isdigit()]
    if numbers or "" in first[1:]:
        raise StoreError(
            f"{path} has a first line that is neither only numbers nor a header, because it holds "
            f"{(numbers or [''])[0]!r} beside text; add a header that names the columns of scores "
            "by a word and a number, such as s0,s1,s2"
        )
    _refuse_other_separators(path, first)
    if len(set(first)) < len(first):
        twice = next(name for name in first if first.count(name) > 1)
        raise StoreError(
            f"{path} has two columns of the same name in its header, {_short(twice)}; its first "
            "line is a header, because it does not hold numbers alone"
        )
    groups: dict[str, list[int]] = {}
    for j, name in enumerate(first):
        word = name.rstrip(_DIGITS)
        if word != name:
            groups.setdefault(word, []).append(j)
    several = [word for word, columns in groups.items() if len(columns) > 1]
    kind = "columns of scores, named by a word and a number such as s0, s1, s2"
    if not several:
        found = ", ".join(map(_short, first[:_NAMES_SHOWN]))
        more = ", ..." if len(first) > _NAMES_SHOWN else ""
        raise StoreError(
            f"{path} has no {kind}: its header has {found}{more}. It must have one line for each "
            "input, a header with such names or none, and commas between the cells"
        )
    word = choose(path, kind, key, several)
    order = [int(first[j].removeprefix(word)) for j in groups[word]]
    if order != sorted(set(order)):
        raise StoreError(f"{path} has columns of scores whose numbers in the header do not ascend")
    return first, groups[word]


def _short(name: str) -> str:
    """Quote a name of a header, or its beginning if it is long."""
    return repr(name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 3] + "...")


def _refuse_other_separators(path: Path, first: list[str]) -> None:
    """Refuse a file with another separator than a comma, with advice how to convert it."""
    for sign in (";", "\t"):
        if any(sign in cell for cell in first):
            decimal = ", decimal=','" if len(first) > 1 else ""
            raise StoreError(
                f"{path} must have commas between the cells, and its first line has {sign!r}; "
                f"pandas.read_csv(FILE, sep={sign!r}{decimal}, header=None) reads it, and its "
                "method to_csv(OTHER, header=False, index=False) writes it with commas"
            )


def _refuse_whole_columns(path: Path, lines: list[list[str]]) -> None:
    """Refuse a column of whole numbers among other columns, because it may hold ids or labels."""
    whole = [all(cell.strip().isdigit() for cell in column) for column in zip(*lines, strict=True)]
    if any(whole) and not all(whole):
        raise StoreError(
            f"{path} has no header, and its column {whole.index(True) + 1} holds whole numbers "
            "alone, as ids and labels do; add a header that names the columns of scores by a word "
            "and a number, such as s0,s1,s2"
        )


def _numbers(path: Path, line: int, cells: list[str], columns: list[int]) -> NDArray[np.float64]:
    try:
        return np.fromiter(map(float, map(cells.__getitem__, columns)), np.float64, len(columns))
    except ValueError:
        j = next(j for j in columns if not _is_number(cells[j]))
        raise StoreError(
            f"{path} must hold numbers: line {line} has {cells[j]!r} in column {j + 1}"
        ) from None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
