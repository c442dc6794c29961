"""The counts of all classes of a run, compared with each other and with the other numbers.

No certificate of a run depends on them, but later certificates are computed from them. They are
verified by facts about draws: each class has a score in every draw, each draw has one vote, the
scores of a draw sum to 1, and the selected class is one of the counted classes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothbound._utils.checks import SUM_TOLERANCE
from smoothbound.classes._arguments import default_edges
from smoothbound.classes._rows import ClassRows
from smoothbound.sketch._content import n_cells
from smoothbound.store._settings import RunSettings
from smoothbound.store._table import packed_counts
from smoothbound.store._table.schema import SKETCH_EDGES
from smoothbound.verify._verification import Finding, Verification

__all__ = ["ClassesVerifier"]

Counts = NDArray[np.int64]

_KIND = "class_counts"


class ClassesVerifier:
    """Verifies the counts of all classes of a run, row by row.

    Parameters
    ----------
    settings : RunSettings
        Settings of a run that counted classes.
    found : Verification
        Receives the outcomes.
    """

    def __init__(self, settings: RunSettings, found: Verification) -> None:
        self._settings, self._found = settings, found
        self._edges = default_edges()
        self._n_model_classes: int | None = None  # from the first input with counts

    def row(self, row: Mapping[str, Any]) -> list[Finding]:
        """Verify the row of one input; return the findings."""
        index, tally = int(row["index"]), self._found.tally(_KIND)
        words = list(self._faults(row))
        tally.wrong += bool(words)
        tally.proved += not words
        return [Finding(index, _KIND, one) for one in words]

    def _faults(self, row: Mapping[str, Any]) -> list[str]:
        packed, n = row[_KIND] or b"", int(row["n_draws"])
        if row["status"] == "failed" or n == 0:
            return ["are there, and the input failed"] if packed else []
        try:
            rows = ClassRows.unpack(packed)
            rows.check(self._n_classes(rows), n_cells(self._edges.size) + 1)
        except ValueError as error:
            return [f"are damaged: {error}"]
        if self._n_model_classes is None:
            self._n_model_classes = rows.n_model_classes
        if rows.n_model_classes != self._n_model_classes:
            words = f"are of a model with {rows.n_model_classes} classes, and those of other inputs"
            return [f"{words} of one with {self._n_model_classes}"]
        votes = n_cells(self._edges.size)
        draws = rows.sums(0, votes)
        if (wrong := np.flatnonzero(draws != n)).size:
            k = int(wrong[0])
            return [f"are of {draws[k]} draws of class {self._name(k)}, and n_draws is {n}"]
        table = rows.table(votes + 1)
        # The draws of each class at or above each edge, and those above it.
        reached = np.cumsum(table[:, votes - 1 :: -1], axis=1)[:, ::-1]
        at_least, above = reached[:, ::2], np.append(reached[:, 1::2], 0 * reached[:, :1], axis=1)
        return [
            *self._of_votes(table[:, votes], at_least, above, n),
            *self._of_sums(table[:, :votes], n),
            *self._of_the_selected(row, table[:, votes], at_least, above),
        ]

    def _n_classes(self, rows: ClassRows) -> int:
        named = self._settings.classes
        return rows.n_model_classes if named is None or named == "all" else len(named)

    def _name(self, k: int) -> int:
        named = self._settings.classes
        return k if named is None or named == "all" else int(named[k])

    def _is_complete(self, n_classes: int) -> bool:
        return n_classes == self._n_model_classes

    def _of_votes(self, votes: Counts, at_least: Counts, above: Counts, n: int) -> list[str]:
        """Hold votes against scores: each draw has one, for at least 1/K, and surely above 1/2."""
        cast, total = int(votes.sum()), self._n_model_classes or 1
        if cast > n or (self._is_complete(votes.size) and cast != n):
            return [f"have {cast} votes in {n} draws"]
        least = above[:, np.searchsorted(self._edges, min(0.5 + SUM_TOLERANCE, 1.0))]
        share = max(0.0, (1.0 - SUM_TOLERANCE) / total)
        most = at_least[:, np.searchsorted(self._edges, share, side="right") - 1]
        wrong = np.flatnonzero((votes < least) | (votes > most))
        return [
            f"have {votes[k]} votes of class {self._name(k)}, and its scores allow {least[k]} to "
            f"{most[k]}"
            for k in wrong[:1].tolist()
        ]

    def _of_sums(self, cells: Counts, n: int) -> list[str]:
        """Compare the sum of the mean scores with 1, up to a cell for each class."""
        if not self._is_complete(len(cells)):
            return []
        lower = np.repeat(self._edges, 2)[:-1]  # the lower edge of each cell
        upper = np.append(self._edges[0], np.repeat(self._edges[1:], 2))
        low, high = (math.fsum(cells.sum(axis=0) * ends) / n for ends in (lower, upper))
        if low <= 1.0 + SUM_TOLERANCE and high >= 1.0 - SUM_TOLERANCE:
            return []
        return [f"give mean scores whose sum lies between {low:.6g} and {high:.6g}, and not at 1"]

    def _of_the_selected(
        self, row: Mapping[str, Any], votes: Counts, at_least: Counts, above: Counts
    ) -> list[str]:
        """Compare the selected class with its votes and scores that were counted separately."""
        named = self._settings.classes
        names = range(votes.size) if named == "all" else list(named or ())
        selected = int(row["selected"])
        if selected not in names:
            return []
        k, words = names.index(selected), []
        if votes[k] != int(row["top_count"]):
            words.append(
                f"have {votes[k]} votes of the selected class {selected}, and top_count is "
                f"{row['top_count']}"
            )
        if self._settings.measure != "score" or not row["sketch"]:
            return words
        try:
            own = packed_counts.unpack(row["sketch"], 2 * SKETCH_EDGES - 1).astype(np.int64)
        except ValueError:  # the counts of the scores are verified separately
            return words
        reached = np.cumsum(own[::-1])[::-1]
        place = self._edges * (SKETCH_EDGES - 1)
        shared = np.flatnonzero(place == np.rint(place))  # edges of both
        cells = 2 * place[shared].astype(np.int64)
        other = np.append(reached, 0)
        pairs = ((at_least[k, shared], other[cells]), (above[k, shared], other[cells + 1]))
        for mine, theirs in pairs:
            if (wrong := np.flatnonzero(mine != theirs)).size:
                j = int(wrong[0])
                words.append(
                    f"have {mine[j]} scores of the selected class {selected} from "
                    f"{self._edges[shared[j]]:.6g} on, and its own counts have {theirs[j]}"
                )
                break
        return words
