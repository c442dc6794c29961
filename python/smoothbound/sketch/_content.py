"""The data of a sketch: inputs, draws and counts, with the class, sigma and noise of the draws.

The edges divide the range into cells: each edge is a cell, and so is each open interval between two
neighbours. Cells are in ascending order: edge, interval, edge, ..., edge.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smoothbound._files.plain import memory_limit
from smoothbound._utils import checks
from smoothbound.noise._kinds import Kind
from smoothbound.sketch import _sigma as levels
from smoothbound.sketch._draws import draw_numbers
from smoothbound.sketch._draws.draw_numbers import Draws
from smoothbound.sketch._draws.repeats import Seen

__all__ = [
    "MAX_DRAWS",
    "SketchContent",
    "ascending_rows_of",
    "cell_centers",
    "cells_of_edges",
    "frozen",
    "n_cells",
    "no_counts",
    "rows_of",
]

MAX_DRAWS = 2**32 - 1  # counts are 32 bits wide

Counts = NDArray[np.uint32]
Ints = NDArray[np.int64]


def n_cells(n_edges: int) -> int:
    """Return the number of cells for a number of edges.

    Examples
    --------
    >>> n_cells(3)
    5
    """
    return 2 * n_edges - 1


def cells_of_edges(kept: Ints) -> Ints:
    """Return the cells of the edges at these positions."""
    return 2 * kept


def cell_centers(edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return one score for each cell: the edge itself, or the middle of the interval.

    Examples
    --------
    >>> cell_centers(np.array([0.0, 0.5, 1.0]))
    array([0.  , 0.25, 0.5 , 0.75, 1.  ])
    """
    centers = np.empty(n_cells(edges.size))
    centers[::2], centers[1::2] = edges, (edges[1:] + edges[:-1]) / 2
    return centers


def frozen(array: NDArray[Any]) -> NDArray[Any]:
    """Return a view of an array through which nobody can write to it."""
    view: NDArray[Any] = array.view()
    view.flags.writeable = False
    return view


def no_counts(n_inputs: int, n_edges: int) -> Counts:
    """Return counts of zero, if they fit in memory."""
    size = 4 * n_inputs * n_cells(n_edges)
    if size > 2 * memory_limit():
        raise ValueError(
            f"inputs and edges must be fewer: counts of {n_inputs} inputs over {n_edges} edges "
            f"take {size / 1e9:.0f} GB, which is more than the memory of this machine"
        )
    return np.zeros((n_inputs, n_cells(n_edges)), np.uint32)


def rows_of(held: Ints, name: str, index: ArrayLike | None) -> Ints:
    """Return the positions of inputs in a sketch, by default of all inputs.

    Parameters
    ----------
    held : ndarray of int64, shape (n_inputs,)
        The ids of the sketch, ascending.
    name : str
        Name of the argument, for errors.
    index : array-like of int, optional
        Ids of inputs.
    """
    if index is None:
        return np.arange(held.size)
    ids = np.atleast_1d(checks.array(name, index))
    if ids.ndim != 1 or ids.dtype.kind not in "iu":
        raise TypeError(f"{name} must be whole numbers in one dimension, got {checks.shown(index)}")
    rows = np.minimum(np.searchsorted(held, ids), held.size - 1)
    unknown = ids[held[rows] != ids]
    if unknown.size:
        raise ValueError(f"{name} must be among those of the sketch, got {unknown[0]}")
    return np.asarray(rows, np.int64)


def ascending_rows_of(held: Ints, name: str, index: ArrayLike) -> Ints:
    """Return the positions of inputs that must be in the order of a sketch, each once.

    Parameters
    ----------
    held, name, index
        As for `rows_of`.
    """
    rows = rows_of(held, name, index)
    if (np.diff(rows) <= 0).any():
        raise ValueError(
            f"{name} must ascend and name each input at most once, because a sketch holds its "
            f"inputs in the order of their ids; got {checks.shown(index)}: pass "
            f"np.unique({name}), and take rows of the certificate for another order"
        )
    return rows


@dataclass(eq=False)
class SketchContent:
    """The data of a sketch.

    Attributes
    ----------
    index : ndarray of int64, shape (n_inputs,)
        Ids of the inputs, strictly ascending.
    selected : ndarray of int64, shape (n_inputs,)
        The class that the scores measure; -1 if it is not known.
    draws : ndarray of int64, shape (n, 3)
        The intervals of counted draws: the id of the input, the number of the first draw, and the
        number after the last draw.
    counts : ndarray of uint32, shape (n_inputs, n_cells)
    edges : ndarray of float64, shape (n_edges,)
    sigma : float, tuple of float, or None
        Noise level of all draws or of those of each input.
    measure, displacement, noise
        The arguments of `ScoreSketch`.
    seen : Seen
        Recognises scores that were counted before, which are refused.
    """

    index: Ints
    selected: Ints
    draws: Draws
    counts: Counts
    edges: NDArray[np.float64]
    measure: str
    sigma: levels.Sigma
    displacement: float = 0.0
    noise: Kind | None = None
    seen: Seen = field(default_factory=Seen)

    @property
    def score_range(self) -> tuple[float, float]:
        """The range (a, b) of the scores."""
        return float(self.edges[0]), float(self.edges[-1])

    @property
    def n_draws(self) -> Ints:
        """Number of draws of each input, shape (n_inputs,)."""
        return draw_numbers.totals(self.draws, self.index)

    def copy(self) -> SketchContent:
        """Return a copy that later updates of this object do not change."""
        return replace(
            self, selected=self.selected.copy(), counts=self.counts.copy(), seen=self.seen.copy()
        )

    def check(self) -> None:
        """Raise a ValueError if draws and counts are inconsistent."""
        first, after = self.draws[:, 1], self.draws[:, 2]
        if not ((first >= 0) & (first < after)).all():
            raise ValueError("an interval of draws is empty or begins below 0")
        if (after - first > MAX_DRAWS).any():
            raise ValueError(f"an interval holds more than {MAX_DRAWS} draws")
        if not np.array_equal(self.counts.sum(axis=1, dtype=np.int64), self.n_draws):
            raise ValueError("its counts do not add up to its draws")

    # Inputs and draws

    def rows(self, name: str, index: ArrayLike | None) -> Ints:
        """Return the rows of inputs that are named at most once; see `rows_of`."""
        rows = rows_of(self.index, name, index)
        if index is not None and np.unique(rows).size != rows.size:
            raise ValueError(f"{name} must name each input at most once")
        return rows

    def next_draws(self, rows: Ints, first_draw: int | None, n: int) -> Draws:
        """Return the intervals of n more draws of each row, by default after its last draw."""
        if first_draw is None:
            first = draw_numbers.after_last(self.draws, self.index)[rows]
        else:
            first_draw = min(checks.count("first_draw", first_draw, 0), draw_numbers.LAST)
            first = np.full(rows.size, first_draw, np.int64)
        if (first > draw_numbers.LAST - n).any():
            raise ValueError(
                f"draws must have numbers below 2^63 - 1, got {n} from {first.max()} on; "
                "choose a smaller first_draw"
            )
        most = int(self.n_draws[rows].max(initial=0)) + n
        if most > MAX_DRAWS:
            raise ValueError(f"an input can have at most {MAX_DRAWS} draws, got {most}")
        return np.column_stack([self.index[rows], first, first + n])

    # Facts about the draws

    def told(self, selected: Ints, sigma: levels.Sigma, noise: Kind | None) -> SketchContent:
        """Return the same data with this class, sigma and noise; refuse contradictions."""
        columns = (part.tolist() for part in (self.index, self.selected, selected))
        known = [
            _agreed(f"selected of input {i}", mine, given, unknown=-1)
            for i, mine, given in zip(*columns, strict=True)
        ]
        return replace(
            self,
            selected=np.array(known, np.int64),
            sigma=self._agreed_sigma(sigma),
            noise=_agreed("noise", self.noise, noise),
        )

    def _agreed_sigma(self, stated: levels.Sigma) -> levels.Sigma:
        """Return the noise level of the sketch or that given, which must agree."""
        same = levels.first_difference(self.sigma, stated, self.index.size) < 0
        return self.sigma if same else _agreed("sigma", self.sigma, stated)

    def refuse_others(self, draws: Any, rows: Ints) -> None:
        """Refuse draws of a sampler that do not belong to the draws that were counted."""
        if draws.displacement > self.displacement:
            raise ValueError(
                f"scores were drawn around a point {draws.displacement} from the input: make the "
                f"sketch with displacement={draws.displacement} or more"
            )
        if draws.measure not in (None, self.measure):
            raise ValueError(
                f"scores must be of the measure {self.measure!r} of the sketch, got draws of "
                f"{draws.measure!r}"
            )
        held = self.n_draws[rows] > 0
        classes = self.selected[rows]
        for mine in classes[held | (classes != -1)].tolist():
            _require_same("selected", mine, draws.selected, unknown=-1)
        sigmas = set(levels.of_each(levels.of_rows(self.sigma, rows), rows.size))
        for name, known in (("sigma", sigmas), ("noise", {self.noise})):
            theirs = getattr(draws, name)
            for mine in known:
                if theirs is not None and (mine is not None or len(self.draws)):
                    _require_same(name, mine, theirs)

    # Other sketches made from this data

    def select(self, index: ArrayLike) -> SketchContent:
        """Return the data of some inputs."""
        rows = ascending_rows_of(self.index, "index", index)
        chosen = self.index[rows]
        return replace(
            self,
            index=chosen,
            selected=self.selected[rows],
            sigma=levels.of_rows(self.sigma, rows),
            draws=self.draws[np.isin(self.draws[:, 0], chosen)],
            counts=self.counts[rows],
            seen=self.seen.copy(),
        )

    def coarsen(self, kept: Ints) -> SketchContent:
        """Return the same draws, counted over the edges at these positions."""
        cells = cells_of_edges(kept)
        up_to = np.cumsum(self.counts, axis=1, dtype=np.int64)
        counts = np.empty((self.index.size, n_cells(kept.size)), np.uint32)
        counts[:, ::2] = self.counts[:, cells]
        counts[:, 1::2] = up_to[:, cells[1:] - 1] - up_to[:, cells[:-1]]
        return replace(self.copy(), counts=counts, edges=self.edges[kept])

    def merge(self, other: SketchContent) -> SketchContent:
        """Return the data of a sketch of the draws of both sketches.

        Raises
        ------
        ValueError
            If the draws cannot be merged, or a draw is in both sketches.
        """
        reason = self.difference(other)
        if reason is not None:
            raise ValueError(f"cannot merge these sketches: {reason}")
        index = np.union1d(self.index, other.index)
        merged = replace(
            self,
            index=index,
            selected=np.full(index.size, -1, np.int64),
            sigma=levels.merged([(one.sigma, one.index) for one in (self, other)], index),
            draws=draw_numbers.join(self.draws, other.draws),
            counts=no_counts(index.size, self.edges.size),
            seen=self.seen | other.seen,
        )
        most = int(merged.n_draws.max())
        if most > MAX_DRAWS:
            raise ValueError(f"an input can have at most {MAX_DRAWS} draws, got {most}")
        for part in (self, other):
            rows = np.searchsorted(index, part.index)
            merged.counts[rows] += part.counts
            merged.selected[rows] = part.selected
        return merged

    def difference(self, other: SketchContent) -> str | None:
        """Return the reason why the draws of two sketches cannot be merged; None if they can."""
        if self.score_range != other.score_range:
            return f"their score ranges differ: {self.score_range} and {other.score_range}"
        if not np.array_equal(self.edges, other.edges):
            if self.edges.size != other.edges.size:
                return f"they have {self.edges.size} and {other.edges.size} edges"
            j = int(np.argmax(self.edges != other.edges))
            return f"their edges differ: edge {j} is {self.edges[j]} and {other.edges[j]}"
        if self.measure != other.measure:
            return f"their measures differ: {self.measure!r} and {other.measure!r}"
        if self.noise != other.noise:
            return _differ("kinds of noise", "noise", self.noise, other.noise)
        if self.displacement != other.displacement:
            return f"their displacements differ: {self.displacement} and {other.displacement}"
        shared, mine, theirs = np.intersect1d(
            self.index, other.index, assume_unique=True, return_indices=True
        )
        if told := levels.difference(self.sigma, other.sigma, shared, mine, theirs):
            return _advised(told, "sigma", self.sigma, other.sigma)
        differ = self.selected[mine] != other.selected[theirs]
        if differ.any():
            i = int(np.argmax(differ))
            one, two = self.selected[mine][i], other.selected[theirs][i]
            one, two = (None if k == -1 else int(k) for k in (one, two))
            return _differ(f"classes of input {shared[i]}", "selected", one, two)
        return None

    def same_as(self, other: SketchContent) -> bool:
        """Return whether both hold the same counts of the same draws."""
        return (
            self.difference(other) is None
            and np.array_equal(self.index, other.index)
            and np.array_equal(self.draws, other.draws)
            and np.array_equal(self.counts, other.counts)
        )


def _differ(words: str, name: str, one: Any, two: Any) -> str:
    """Return a text about a difference of two sketches; see `_advised`."""
    return _advised(f"their {words} differ: {one!r} and {two!r}", name, one, two)


def _advised(text: str, name: str, one: Any, two: Any) -> str:
    """Return a text about a difference, with advice if one of the sketches lacks the value."""
    if None not in (one, two):
        return text
    return f"{text}; if it is the same, call state({name}=...) of the sketch without it"


def _agreed(name: str, mine: Any, given: Any, *, unknown: Any = None) -> Any:
    """Return one of two values that must agree; one of them may be unknown."""
    if mine == unknown or given == mine:
        return given
    if given != unknown:
        raise ValueError(f"{name} must be {mine!r}, as stated before, got {given!r}")
    return mine


def _require_same(name: str, mine: Any, theirs: Any, *, unknown: Any = None) -> None:
    """Refuse draws if their class, sigma or noise differs from that of the sketch."""
    if mine == theirs:
        return
    words = "class {!r}" if name == "selected" else f"{name} = {{!r}}"
    if mine == unknown:
        raise ValueError(
            f"scores are draws of {words.format(theirs)}, and the sketch holds draws for which "
            f"this was not stated; if it is the same, call state({name}=...) of the sketch first"
        )
    raise ValueError(
        f"scores must be of {words.format(mine)}, like those of the sketch, got draws of "
        f"{words.format(theirs)}"
    )
