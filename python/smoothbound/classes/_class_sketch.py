"""Counts of the scores of all classes: a few numbers per class, to merge and to certify later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smoothbound._utils import checks
from smoothbound._utils.extras import name_the_extra
from smoothbound._version import __version__
from smoothbound.backends import _select as backends
from smoothbound.backends._names import Backend, Band, Side
from smoothbound.bounds._method import Method
from smoothbound.bounds._request import Request
from smoothbound.bounds._sample_size import require_draws
from smoothbound.classes import _arguments as arguments
from smoothbound.classes._certify import (
    ClassCertificate,
    ClassSettings,
    certify_tables,
    share_of_alpha,
    within,
)
from smoothbound.classes._counting import count_scores
from smoothbound.classes._rows import ClassRows
from smoothbound.errors import StoreError
from smoothbound.noise._kinds import Kind, stated
from smoothbound.noise._record import NoiseRecord
from smoothbound.sketch import _sigma as levels_of
from smoothbound.sketch._arguments import checked_index
from smoothbound.sketch._content import (
    MAX_DRAWS,
    SketchContent,
    ascending_rows_of,
    frozen,
    n_cells,
)
from smoothbound.sketch._draws import draw_numbers
from smoothbound.sketch._draws.draw_numbers import Draws
from smoothbound.sketch._score_sketch import ScoreSketch

__all__ = ["ClassSketch"]

_SIDES: tuple[Side, ...] = ("lower", "upper")


class ClassSketch:
    """Counts of the scores and votes of many classes over fixed edges, for one or many inputs.

    `ClassSketch.from_scores` and ``SmoothedClassifier.certify(..., classes="all")`` make one. It
    never changes, so threads may share it.

    The edges divide [0, 1] into cells, as in a `ScoreSketch`: each edge is a cell, and so is each
    open interval between two neighbours. Only counts above 0 are kept, in 4 bytes each, or in 8
    bytes from 65 536 on. A class with scores in m cells takes 2 + 4 m bytes, and 4 more if it has
    votes.

    Attributes
    ----------
    index : ndarray of int64, shape (n_inputs,)
        Ids of the inputs, strictly ascending.
    classes : ndarray of int64, shape (n_classes,)
        The classes that were counted, in the order of the columns of all results.
    n_model_classes : int
        Number of classes of the model.
    edges : ndarray of float64, shape (n_edges,)
        They ascend from 0 to 1.
    draws : ndarray of int64, shape (n, 3)
        The intervals of counted draws: the id of the input, the number of the first draw, and the
        number after the last.
    sigma : float, ndarray of float64 of shape (n_inputs,), or None
        Noise level of all draws or of those of each input; None if it is not recorded.
    constant_within : ndarray of float64, shape (n_inputs,), or None
        Distance from each input within which sigma is constant. Nothing is certified beyond it.
        None if there is no limit.
    displacement : float
        Largest distance between an input and the lattice point around which its draws were made.
    noise : {"lattice", "gaussian"} or None
        Kind of the noise, if it is recorded.

    Examples
    --------
    >>> import numpy as np
    >>> logits = np.random.default_rng(0).normal([2.0, 0.0, -2.0], 1.0, size=(1, 1000, 3))
    >>> scores = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    >>> sketch = ClassSketch.from_scores(scores, sigma=0.25)
    >>> sketch.votes.tolist(), sketch.at_least(0.5).tolist()
    ([[913, 87, 0]], [[904, 74, 0]])
    """

    def __init__(
        self,
        rows: Sequence[ClassRows],
        *,
        index: ArrayLike,
        draws: Draws,
        classes: ArrayLike,
        edges: ArrayLike,
        sigma: float | ArrayLike | None,
        constant_within: ArrayLike | None = None,
        displacement: float = 0.0,
        noise: Kind | None = None,
    ) -> None:
        self.index = frozen(checked_index(index))
        self._rows = list(rows)
        totals = {rows.n_model_classes for rows in self._rows}
        if len(totals) != 1:
            raise ValueError("its inputs must be of models with one number of classes")
        (self.n_model_classes,) = totals
        if self.n_model_classes > arguments.MOST_CLASSES:
            raise ValueError(
                f"a model has at most {arguments.MOST_CLASSES} classes, got {self.n_model_classes}"
            )
        names = arguments.checked_names("classes", classes)
        self.classes = frozen(arguments.among("classes", names, self.n_model_classes))
        self.edges = frozen(arguments.checked_edges_of_classes(edges))
        self._levels = levels_of.checked(sigma, self.n_inputs)
        reach = arguments.checked_reach(constant_within, self.n_inputs)
        self.constant_within = None if reach is None else frozen(reach)
        self.displacement = checks.non_negative("displacement", displacement)
        self.noise = stated(noise)
        self.draws = frozen(draw_numbers.join(np.asarray(draws, np.int64)))
        self._check()

    def _check(self) -> None:
        """Refuse counts that are inconsistent with the draws, classes or edges."""
        first, after = self.draws[:, 1], self.draws[:, 2]
        if not ((first >= 0) & (first < after)).all():
            raise ValueError("an interval of draws is empty or begins below 0")
        if not np.isin(self.draws[:, 0], self.index).all() or len(self._rows) != self.index.size:
            raise ValueError("its draws and counts are not those of its inputs")
        if (self.n_draws > MAX_DRAWS).any():
            raise ValueError(f"an input has more than {MAX_DRAWS} draws")
        for i, rows, n in zip(self.index, self._rows, self.n_draws.tolist(), strict=True):
            try:
                rows.check(self.classes.size, self._n_columns)
            except ValueError as error:
                raise ValueError(f"the counts of input {i} are damaged: {error}") from error
            votes = rows.sums(self._votes)
            if not (rows.sums(0, self._votes) == n).all():
                raise ValueError(f"the counts of input {i} do not add up to its {n} draws")
            if votes.sum() > n or (self.is_complete and votes.sum() != n):
                raise ValueError(f"the votes of input {i} do not add up to its {n} draws")

    @classmethod
    def from_scores(
        cls,
        scores: Any,
        *,
        classes: Literal["all"] | ArrayLike = "all",
        sigma: float | ArrayLike | None = None,
        constant_within: ArrayLike | None = None,
        edges: int | ArrayLike | None = None,
        index: int | ArrayLike | None = None,
        first_draw: int = 0,
        noise: Kind | None = None,
        backend: Backend | None = None,
        threads: int | None = None,
    ) -> ClassSketch:
        """Count the scores of all classes, or of some of them.

        Parameters
        ----------
        scores : array of floats, shape (n_inputs, n_draws, n_model_classes)
            Scores of every class of the model in [0, 1], as an array of NumPy or of torch on any
            device, or with DLPack. The vote of a draw goes to the class with the largest score, and
            on a tie to the one with the smallest number.
        classes : "all" or array-like of int, default "all"
            The classes to keep, each once. The votes are always those among all classes.
        sigma : float or array-like, shape (n_inputs,), optional
            Noise level of all draws or of those of each input, > 0, in the units of the model's
            input.
        constant_within : float or array-like, shape (n_inputs,), optional
            Radius, >= 0, of a ball around each input on which sigma is constant; see
            `certify_scores` for its role with a noise level for each input.
        edges : int or array-like of float, optional
            Number of equal intervals, at most 8192, or the edges themselves, from 0 to 1. The
            default is 1024 equal intervals, of which the first and the last are divided further by
            halving.
        index : int or array-like of int, optional
            Ids of the inputs, strictly ascending; by default 0 ... n_inputs - 1.
        first_draw : int, default 0
            Number of the first draw. Give each draw of an input a number of its own: sketches with
            the same draw cannot be merged.
        noise : {"lattice", "gaussian"}, optional
            Kind of the noise of the draws.
        backend, threads
            As in `ScoreSketch.update`.

        Raises
        ------
        TypeError, ValueError
            If an argument has the wrong type or is outside the range stated above, the model lacks
            one of the classes, or a score is NaN or outside [0, 1].
        """
        table = arguments.checked_scores(scores)
        n_inputs, n_draws, total = table.shape
        wanted = arguments.among("classes", arguments.checked_names("classes", classes), total)
        at = arguments.checked_edges_of_classes(edges)
        ids = checked_index(n_inputs if index is None else index)
        if ids.size != n_inputs:
            raise ValueError(f"index must name the {n_inputs} inputs of scores, got {ids.size}")
        first = checks.count("first_draw", first_draw, 0, draw_numbers.LAST - n_draws)
        after = np.full_like(ids, first + n_draws)
        return cls(
            count_scores(table, wanted, at, backend=backend, threads=threads),
            index=ids,
            draws=np.column_stack([ids, np.full_like(ids, first), after]),
            classes=wanted,
            edges=at,
            sigma=sigma,
            constant_within=constant_within,
            noise=noise,
        )

    # Sizes

    def __repr__(self) -> str:
        n = self.n_draws
        draws = f"{n.min()}" if n.min() == n.max() else f"{n.min()} to {n.max()}"
        return (
            f"ClassSketch({self.n_inputs} inputs, {self.n_classes} of {self.n_model_classes} "
            f"classes, {draws} draws each, {self.edges.size} edges, {self.nbytes} bytes)"
        )

    def __len__(self) -> int:
        """Return the number of inputs."""
        return self.n_inputs

    @property
    def n_inputs(self) -> int:
        """Number of inputs."""
        return int(self.index.size)

    @property
    def n_classes(self) -> int:
        """Number of classes that were counted."""
        return int(self.classes.size)

    @property
    def is_complete(self) -> bool:
        """Whether every class of the model was counted."""
        return self.n_classes == self.n_model_classes

    @property
    def sigma(self) -> float | NDArray[np.float64] | None:
        """Noise level of all draws or of those of each input; None if it is not recorded."""
        known = self._levels
        return frozen(np.array(known)) if isinstance(known, tuple) else known

    @property
    def n_draws(self) -> NDArray[np.int64]:
        """Number of draws of each input, shape (n_inputs,)."""
        return draw_numbers.totals(self.draws, self.index)

    @property
    def nbytes(self) -> int:
        """Number of bytes of the counts in memory."""
        return sum(rows.nbytes for rows in self._rows)

    @property
    def _n_columns(self) -> int:
        return self._votes + 1

    @property
    def _votes(self) -> int:
        """The column of the votes, after those of the cells."""
        return n_cells(self.edges.size)

    # Counts

    @property
    def votes(self) -> NDArray[np.int64]:
        """Number of draws in which a class has the largest output, shape (n_inputs, n_classes)."""
        return np.stack([rows.sums(self._votes) for rows in self._rows])

    def counts(self, i: int, k: int | None = None) -> NDArray[np.int64]:
        """Return the counts of an input.

        Parameters
        ----------
        i : int
            Row of the input, from 0 to n_inputs - 1.
        k : int, optional
            Column of the class, from 0 to n_classes - 1; by default all classes.

        Returns
        -------
        ndarray of int64, shape (n_cells,) or (n_classes, n_cells)
            Cell 2 j is edge j, and cell 2 j + 1 is the open interval between edges j and j + 1.

        Raises
        ------
        TypeError, ValueError
            If the input or the class does not exist.
        """
        i = checks.count("i", i, 0, self.n_inputs - 1)
        table = self._rows[i].table(self._n_columns)[:, :-1]
        return table if k is None else table[checks.count("k", k, 0, self.n_classes - 1)]

    def at_least(
        self, level: float, *, side: Side = "lower", strict: bool = False
    ) -> NDArray[np.int64]:
        """Count the draws of each input and class with a score >= a level.

        The number is exact if the level is an edge. Otherwise, with ``side="lower"`` it is the
        number of scores >= the next edge above the level, which is never too large. With
        ``side="upper"`` it is the number of scores > the edge below the level, which is never too
        small.

        Parameters
        ----------
        level : float
            From 0 to 1.
        side : {"lower", "upper"}
            The side of the bound on the probability for which the number is used.
        strict : bool, default False
            Count the scores > the level instead, with the same guarantees.

        Returns
        -------
        ndarray of int64, shape (n_inputs, n_classes)

        Raises
        ------
        TypeError, ValueError
            If an argument has the wrong type or is outside the range stated above.

        Examples
        --------
        >>> import numpy as np
        >>> scores = np.array([[[0.25, 0.75], [0.375, 0.625], [0.5, 0.5]]])
        >>> sketch = ClassSketch.from_scores(scores, edges=4)
        >>> sketch.at_least(0.5).tolist(), sketch.at_least(0.5, strict=True).tolist()
        ([[1, 3]], [[0, 2]])
        >>> sketch.at_least(0.3).tolist(), sketch.at_least(0.3, side="upper").tolist()
        ([[1, 3]], [[2, 3]])
        """
        first = self._first_cell(level, checks.choice("side", side, _SIDES), strict)
        return np.stack([rows.sums(first, self._votes) for rows in self._rows])

    def _first_cell(self, level: float, side: Side, strict: bool) -> int:
        """Return the first cell that `at_least` counts."""
        at = checks.number("level", level)
        if not 0.0 <= at <= 1.0:
            raise ValueError(f"level must lie in [0, 1], got {level}")
        j = int(np.searchsorted(self.edges, at))  # the first edge >= the level
        if self.edges[j] == at:
            return 2 * j + int(checks.flag("strict", strict))
        # Scores in the interval before edge j may lie on either side of the level.
        return 2 * j if side == "lower" else 2 * j - 1

    def sketch_of(self, k: int) -> ScoreSketch:
        """Return the counts of one class as a `ScoreSketch`.

        Its certificates hold one by one. To state those of several classes, split alpha between
        them.

        Parameters
        ----------
        k : int
            Column of the class, from 0 to n_classes - 1.

        Raises
        ------
        TypeError, ValueError
            If the class does not exist, or the sketch has `constant_within`.
        """
        if self.constant_within is not None:
            raise ValueError(
                "a sketch with constant_within has no sketch of one class, because a ScoreSketch "
                "does not record that limit: certify all classes, or count the scores of the class "
                "in a ScoreSketch and pass constant_within to its certify"
            )
        k = checks.count("k", k, 0, self.n_classes - 1)
        return ScoreSketch.from_content(
            SketchContent(
                index=self.index.copy(),
                selected=np.full(self.n_inputs, self.classes[k]),
                draws=self.draws.copy(),
                counts=np.stack([self.counts(i, k) for i in range(self.n_inputs)]).astype(
                    np.uint32
                ),
                edges=self.edges.copy(),
                measure="score",
                sigma=self._levels,
                displacement=self.displacement,
                noise=self.noise,
            )
        )

    # Certifying

    def certify(
        self,
        *,
        sigma: float | ArrayLike | None = None,
        radii: ArrayLike = (0.0,),
        alpha: float = 1e-3,
        band: Band = "ell",
        backend: Backend | None = None,
        threads: int | None = None,
        constant_within: ArrayLike | None = None,
    ) -> ClassCertificate:
        """Bound the average scores of all counted classes at once, by Theorem 2.

        Each of the 2 n_classes bounds, a lower and an upper one for each class, holds with
        probability at least 1 - alpha / (2 n_classes), so that all hold with probability at least
        1 - alpha. docs/classes.md has the proof.

        Parameters
        ----------
        sigma : float or array-like, shape (n_inputs,), optional
            Noise level of all draws or of those of each input; by default the recorded one, which
            it must equal.
        radii, alpha, band, backend, threads
            As in `certify_scores`.
        constant_within : float or array-like, shape (n_inputs,), optional
            Radius of a ball around each input on which sigma is constant, as in `certify_scores`;
            by default the recorded one, which it must equal.

        Raises
        ------
        TypeError, ValueError
            If an argument has the wrong type or is outside the range stated above, or if an input
            has too few draws to certify anything at this alpha.

        Examples
        --------
        >>> import numpy as np
        >>> scores = np.tile([[0.75, 0.25, 0.0]], (1, 10_000, 1))
        >>> cert = ClassSketch.from_scores(scores, sigma=0.5).certify(radii=[0.0, 0.25])
        >>> cert.margin().round(3), cert.top_radius.round(3)
        (array([[0.498, 0.491]]), array([1.284]))
        """
        levels = levels_of.of_draws(self._levels, sigma, self.index)
        each = np.array(levels_of.of_each(levels, self.n_inputs), np.float64)
        reach = arguments.checked_reach(constant_within, self.n_inputs, self.constant_within)
        share = share_of_alpha(checks.alpha("alpha", alpha), 2 * self.n_classes)
        request = Request(
            sigma=float(each.min()),
            alpha=share,
            radii=checks.floats("radii", radii),
            method=Method("cdf", band),
        )
        require_draws(int(self.n_draws.min()), request)
        settings = ClassSettings(
            alpha=float(alpha),
            n_bounds=2 * self.n_classes,
            alpha_each=share,
            radii=request.radii,
            band=band,
            sigma=request.sigma,
            n=int(self.n_draws.min()),
            classes=tuple(self.classes.tolist()),
            n_model_classes=self.n_model_classes,
            n_edges=self.edges.size,
            displacement=self.displacement,
            noise=NoiseRecord.of_kind(self.noise),
            backend=backends.resolve(backend),
            version=__version__,
        )
        cores = backends.choose_threads(threads, self.n_classes * self._n_columns)
        tables = (rows.table(self._n_columns) for rows in self._rows)
        made = certify_tables(
            tables, settings, self.edges, self.index, self.n_draws, sigma=each, threads=cores
        )
        if isinstance(levels, tuple):
            made = replace(made, sigma=each)
        return made if reach is None else within(made, reach)

    # Other sketches

    def select(self, index: ArrayLike) -> ClassSketch:
        """Return the counts of some of the inputs.

        Parameters
        ----------
        index : array-like of int
            Ids of the inputs, strictly ascending.

        Raises
        ------
        TypeError, ValueError
            If an id is not in the sketch, or the ids do not ascend.
        """
        rows = ascending_rows_of(self.index, "index", index)
        ids = self.index[rows]
        return self._with(
            [self._rows[row] for row in rows],
            ids,
            self.draws[np.isin(self.draws[:, 0], ids)],
            levels_of.of_rows(self._levels, rows),
            None if self.constant_within is None else self.constant_within[rows],
        )

    def __add__(self, other: ClassSketch) -> ClassSketch:
        """Merge two sketches of different draws. An input may be in one of them or in both.

        Raises
        ------
        ValueError
            If their edges, classes or noise differ, if the sigma or `constant_within` of an input
            in both differs, or if a draw is in both.
        """
        if not isinstance(other, ClassSketch):
            return NotImplemented
        for name in ("edges", "classes", "n_model_classes", "displacement", "noise"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if not np.array_equal(mine, theirs):
                raise ValueError(
                    f"cannot merge these sketches: {name} is {checks.shown(mine)} in one and "
                    f"{checks.shown(theirs)} in the other"
                )
        shared = np.intersect1d(self.index, other.index, True, return_indices=True)
        if told := levels_of.difference(self._levels, other._levels, *shared):
            raise ValueError(f"cannot merge these sketches: {told}")
        index = np.union1d(self.index, other.index)
        both = (self, other)
        levels = levels_of.merged([(one._levels, one.index) for one in both], index)
        reach = arguments.merged_reach([(one.constant_within, one.index) for one in both], index)
        draws = draw_numbers.join(self.draws, other.draws)
        parts = [dict(zip(one.index.tolist(), one._rows, strict=True)) for one in both]
        rows = [self._joined([part[i] for part in parts if i in part]) for i in index.tolist()]
        return self._with(rows, index, draws, levels, reach)

    def _joined(self, parts: list[ClassRows]) -> ClassRows:
        if len(parts) == 1:
            return parts[0]
        one, other = (part.table(self._n_columns) for part in parts)
        return ClassRows.of_table(one + other, self.n_model_classes)

    def _with(
        self,
        rows: list[ClassRows],
        index: NDArray[np.int64],
        draws: Draws,
        sigma: levels_of.Sigma,
        constant_within: NDArray[np.float64] | None,
    ) -> ClassSketch:
        return ClassSketch(
            rows,
            index=index,
            draws=draws,
            classes=self.classes,
            edges=self.edges,
            sigma=sigma,
            constant_within=constant_within,
            displacement=self.displacement,
            noise=self.noise,
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ClassSketch):
            return NotImplemented
        names = ("index", "draws", "classes", "n_model_classes", "edges", "constant_within")
        return (
            all(np.array_equal(getattr(self, n), getattr(other, n)) for n in names)
            and levels_of.first_difference(self._levels, other._levels, self.n_inputs) < 0
            and self.displacement == other.displacement
            and self.noise == other.noise
            and all(
                np.array_equal(getattr(one, name), getattr(two, name))
                for one, two in zip(self._rows, other._rows, strict=True)
                for name in ("lengths", "columns", "counts")
            )
        )

    __hash__ = None  # type: ignore[assignment]

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():  # a pickle does not record that arrays are frozen
            vars(self)[name] = frozen(value) if isinstance(value, np.ndarray) else value

    # Files

    def save(self, path: str | Path) -> None:
        """Write the sketch to a Parquet file, which replaces `path` once it is complete.

        Raises
        ------
        StoreError
            If the file cannot be written. `path` then keeps its old content.
        """
        with name_the_extra():
            from smoothbound.classes._file import ABOUT, write

        about = {name: getattr(self, name) for name in ABOUT}
        packed = [rows.pack() for rows in self._rows]
        write(checks.path("path", path), self.index, self.draws, packed, about)

    @classmethod
    def load(cls, path: str | Path) -> ClassSketch:
        """Read a sketch that `save` wrote.

        Raises
        ------
        StoreError
            If the file does not exist, is not a sketch, or is damaged or inconsistent.
        """
        with name_the_extra():
            from smoothbound.classes._file import read

        where = checks.path("path", path)
        packed, about = read(where)
        try:
            return cls([ClassRows.unpack(one) for one in packed], **about)
        except (ArithmeticError, TypeError, ValueError) as error:
            raise StoreError(f"{path} is not a valid sketch of classes: {error}") from error
