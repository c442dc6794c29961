"""The counts of all classes of a folder are held against the other numbers of the run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scored import FIXED, changed, make, scores_of

from smoothbound.bounds._method import Method
from smoothbound.classes._class_sketch import ClassSketch
from smoothbound.classes._rows import ClassRows
from smoothbound.verify import verify_results

SETTINGS = dataclasses.replace(FIXED, methods=(Method("mean"),), classes="all")
N_COLUMNS = 2 * 1037 - 1 + 1  # cells of the default edges, and the votes
Row = dict[str, Any]


def counts_of(index: int) -> ClassRows:
    """Count the scores that `scored.make` makes up for class 1, and 1 - score for class 0."""
    score = scores_of(np.random.default_rng([7, index]), index, SETTINGS.n)
    return ClassSketch.from_scores(np.stack([1 - score, score], axis=1)[None])._rows[0]


def made(tmp_path: Path, change: Callable[[list[Row]], object] = lambda rows: None) -> Path:
    def put(rows: list[Row]) -> None:
        for index, row in enumerate(rows):
            row["class_counts"] = counts_of(index).pack()
        change(rows)

    return changed(make(tmp_path / "run", SETTINGS), put)


def table_changed(edit: Callable[[np.ndarray], object], n: int = 2) -> Callable[[list[Row]], None]:
    """Change the table of counts of input 6, whose last column has the votes."""

    def change(rows: list[Row]) -> None:
        table = ClassRows.unpack(rows[6]["class_counts"]).table(N_COLUMNS)
        edit(table)
        rows[6]["class_counts"] = ClassRows.of_table(table, n).pack()

    return change


def a_vote_changes_sides(table: np.ndarray) -> None:
    table[:, -1] += [1, -1]


def a_vote_more(table: np.ndarray) -> None:
    table[0, -1] += 1


def a_draw_more(table: np.ndarray) -> None:
    table[1, 1500] += 1


def a_score_falls(table: np.ndarray) -> None:
    cell = np.flatnonzero(table[1, :-1])[-1]
    table[1, cell] -= 1
    table[1, cell - 20] += 1


def the_other_class_is_raised(table: np.ndarray) -> None:
    table[0, :-1] = 0
    table[0, 1500] = SETTINGS.n
    table[:, -1] = table[::-1, -1]


def swapped(rows: list[Row]) -> None:
    rows[6]["class_counts"] = rows[0]["class_counts"]


def set_to(value: bytes) -> Callable[[list[Row]], None]:
    return lambda rows: rows[6].update(class_counts=value)


FORGED = [
    (swapped, "votes of the selected class 1, and top_count is"),
    (set_to(b""), "are damaged: they are cut short"),
    (set_to(b"12345678 no counts"), "are damaged"),
    (table_changed(a_vote_changes_sides), "votes of the selected class 1, and top_count is"),
    (table_changed(a_vote_more), "have 1001 votes in 1000 draws"),
    (table_changed(a_draw_more), "are of 1001 draws of class 1, and n_draws is 1000"),
    (table_changed(a_score_falls), "scores of the selected class 1 from"),
    (table_changed(the_other_class_is_raised), "give mean scores whose sum lies between"),
    (table_changed(lambda table: None, 3), "are damaged: they are of 2 classes and not of 3"),
]


def test_counts_that_fit_hold(tmp_path: Path) -> None:
    found = verify_results(made(tmp_path))
    assert [str(one) for one in found.findings] == []
    assert found.tallies["class_counts"].proved == 8


@pytest.mark.parametrize(("change", "words"), FORGED, ids=[words for _, words in FORGED])
def test_counts_that_were_changed_are_found(
    tmp_path: Path, change: Callable[[list[Row]], None], words: str
) -> None:
    found = verify_results(made(tmp_path, change))
    assert {(one.index, one.column) for one in found.findings} == {(6, "class_counts")}
    assert any(words in one.words for one in found.findings), found.findings
    assert found.tallies["class_counts"].wrong == found.n_wrong_inputs == 1


def test_votes_that_the_scores_do_not_allow_are_found(tmp_path: Path) -> None:
    def change(rows: list[Row]) -> None:
        table_changed(lambda table: np.copyto(table[:, -1], [SETTINGS.n, 0]))(rows)
        rows[6] |= {"selected": 7, "predicted": 7}  # not counted: its votes are not known

    found = verify_results(made(tmp_path, change))
    assert "its scores allow" in found.findings[-1].words


def test_counts_of_a_failed_input_are_found(tmp_path: Path) -> None:
    def change(rows: list[Row]) -> None:
        rows[6] |= {"status": "failed", "class_radius": float("nan"), "predicted": -1}
        rows[6] |= {name: [float("nan")] * 4 for name in ("lower_mean",)}
        rows[6] |= {"radius_mean": [float("nan")] * len(SETTINGS.thresholds)}

    found = verify_results(made(tmp_path, change))
    assert [str(one) for one in found.findings] == [
        "input 6: class_counts are there, and the input failed"
    ]
