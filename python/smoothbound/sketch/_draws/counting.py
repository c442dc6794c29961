"""Counting of scores into the data of a sketch that threads may share."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smoothbound._utils import checks
from smoothbound.backends import _select as backends
from smoothbound.backends._names import Backend
from smoothbound.noise._kinds import Kind
from smoothbound.scores._arrays import as_scores
from smoothbound.sketch import _arguments as arguments
from smoothbound.sketch._content import SketchContent
from smoothbound.sketch._draws import draw_numbers
from smoothbound.sketch._draws.draw_numbers import Draws
from smoothbound.sketch._sigma import Sigma

if TYPE_CHECKING:
    from smoothbound.sketch._draws.device_counts import PendingCounts

__all__ = ["SharedContent", "count", "locked"]


def count(
    content: SketchContent,
    scores: NDArray[np.floating],
    rows: NDArray[np.int64],
    draws: Draws,
    *,
    backend: Backend | None,
    threads: int | None,
) -> None:
    """Add scores to the counts of a sketch. If a score is bad, none is added.

    Parameters
    ----------
    content : SketchContent
        The sketch. Its counts change, its draws do not.
    scores : ndarray, shape (n_rows, n_draws)
    rows : ndarray of int64, shape (n_rows,)
        The input that each row belongs to.
    draws : ndarray of int64, shape (n_rows, 3)
        The interval of draws of each row, for errors.
    backend, threads
        As in `ScoreSketch.update`.

    Raises
    ------
    ValueError
        If a score is NaN or out of range.
    """
    every = np.array_equal(rows, np.arange(content.index.size))
    width = content.counts.shape[1]
    counts = content.counts if every else np.zeros((rows.size, width), np.uint32)
    counter = _counter(backends.resolve(backend), content.edges.tobytes())
    bad = counter.count(scores, counts, backends.choose_threads(threads, scores.size))
    if bad >= 0:
        a, b = content.score_range
        row = scores[bad].astype(np.float64)  # the type of the row would round a and b
        j = checks.first_outside(row, a, b)
        raise ValueError(
            f"scores must be finite and within score_range [{a}, {b}], got scores[{bad}, {j}] "
            f"= {row[j]} (draw {draws[bad, 1] + j} of input {draws[bad, 0]}); none of these "
            f"{scores.size} scores was counted"
        )
    if not every:
        content.counts[rows] += counts


@lru_cache(maxsize=16)
def _counter(backend: Backend, edges: bytes) -> Any:
    """Return a backend's counter, which all sketches with these edges share."""
    return backends.load(backend).ScoreCounter(np.frombuffer(edges))


class SharedContent:
    """The data of a sketch to which threads add scores, one whole array after the other.

    Attributes
    ----------
    content : SketchContent
        The data, without counts that are still on other devices; see `current`.
    unusable : str
        The reason why the sketch cannot be used any more; empty if it can be used.
    lock : threading.RLock
        Held while scores are added.
    """

    def __init__(self, content: SketchContent, unusable: str = "") -> None:
        self.content = content
        self.unusable = unusable
        self.lock = threading.RLock()
        self._pending: PendingCounts | None = None  # counts that are still on other devices

    def tell(self, selected: NDArray[np.int64], sigma: Sigma, noise: Kind | None) -> None:
        """Record the class, sigma or noise of the draws; see `SketchContent.told`."""
        with self.lock:
            self.content = self.content.told(selected, sigma, noise)

    def add_draws(
        self,
        draws: Any,
        index: ArrayLike | None,
        first_draw: int | None,
        backend: Backend | None,
        threads: int | None,
    ) -> int:
        """Count draws of a sampler, which carry their class, sigma and kind of noise.

        The arguments and the result are those of `add`, with the `index` of `ScoreSketch.update`.
        """
        if index is None and draws.index is not None:
            index = [draws.index]
        rows = self.content.rows("index", index)
        first = draws.first_draw if first_draw is None else first_draw
        with self.lock:
            self.content.refuse_others(draws, rows)
            n = self.add(draws.scores[None], rows, first, backend, threads, drawn=True)
            self.content.selected[rows] = draws.selected
            for name in ("sigma", "noise"):
                if getattr(self.content, name) is None:
                    setattr(self.content, name, getattr(draws, name))
        return n

    def add(
        self,
        scores: Any,
        rows: NDArray[np.int64],
        first_draw: int | None,
        backend: Backend | None,
        threads: int | None,
        *,
        drawn: bool = False,
    ) -> int:
        """Count the scores of one array; return the number of draws of an input.

        Draws of a sampler (`drawn`) are refused even if they come again with other numbers.
        """
        elsewhere = arguments.is_elsewhere(scores)
        table: Any = arguments.checked_tensor(scores) if elsewhere else as_scores(scores)
        if table.shape[0] != rows.size:
            raise ValueError(
                f"scores must have a row for each of the {rows.size} inputs, got the shape "
                f"{tuple(table.shape)}; name the inputs of the rows in index"
            )
        numbered = first_draw is not None and not drawn
        with self.lock:
            self._check_usable()
            new = self.content.next_draws(rows, first_draw, int(table.shape[1]))
            draws = draw_numbers.join(self.content.draws, new)
            if elsewhere:
                with self._as_a_whole():
                    self._on_devices().add(table, rows, new, numbered)
                    self.content.draws = draws
                return int(table.shape[1])
            seen = self.content.seen
            marks = seen.marks(new[:, 0], table)
            if not numbered and seen.has(marks):
                raise ValueError(
                    "scores must be of other draws than those counted before, but are in part "
                    "the same ones; a draw must be counted only once (if they are other "
                    "draws nevertheless, number them with first_draw)"
                )
            with self._as_a_whole():
                count(self.content, table, rows, new, backend=backend, threads=threads)
                self.content.draws = draws
            seen.add(marks)
        return int(table.shape[1])

    @contextmanager
    def _as_a_whole(self) -> Iterator[None]:
        """Make the sketch unusable if it is interrupted between counting and recording draws."""
        self.unusable = (
            "an update of the sketch was interrupted, so its counts may be of other draws "
            "than it records; begin a new sketch"
        )
        try:
            yield
        except (TypeError, ValueError):  # raised before anything is counted
            self.unusable = ""
            raise
        self.unusable = ""

    def _check_usable(self) -> None:
        if self.unusable:
            raise ValueError(self.unusable)

    def _on_devices(self) -> PendingCounts:
        """Return the counts that are still on other devices."""
        from smoothbound.sketch._draws.device_counts import PendingCounts

        if self._pending is None:
            self._pending = PendingCounts(self.content.edges, self.content.index.size)
        return self._pending

    def _collect(self) -> None:
        """Wait for the counts from other devices and add them."""
        self._check_usable()
        if self._pending is None:
            return
        try:
            from_devices = self._pending.take(self.content.seen)
        except ValueError as error:
            self.unusable = str(error)
            raise
        with self._as_a_whole():
            for counts in from_devices:
                self.content.counts += counts
            self._pending = None

    def current(self) -> SketchContent:
        """Return the data with the counts of all devices. The caller must hold the lock."""
        self._collect()
        return self.content

    def copy(self) -> SketchContent:
        """Return a copy of the data with the counts of all devices."""
        with self.lock:
            return self.current().copy()


@contextmanager
def locked(*shared: SharedContent) -> Iterator[None]:
    """Hold the locks of sketches, in an order that is the same for all threads."""
    with ExitStack() as stack:
        for one in sorted(shared, key=id):
            stack.enter_context(one.lock)
        yield
