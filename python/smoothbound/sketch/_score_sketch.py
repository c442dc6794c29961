"""Sketches: scores reduced to counts over fixed edges, small, mergeable and certifiable later."""

from __future__ import annotations

import sys
import threading
from array import array
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smoothbound._display.rounding import exact
from smoothbound._utils import checks
from smoothbound._utils.extras import name_the_extra
from smoothbound.backends import _select as backends
from smoothbound.backends._names import Backend, Band, Sides
from smoothbound.errors import StoreError
from smoothbound.noise import _kinds as noise_kinds
from smoothbound.scores._arrays import as_scores
from smoothbound.sketch import _arguments as sketch_checks
from smoothbound.sketch import _draw_numbers as sketch_draws
from smoothbound.sketch import _repeats as sketch_repeats
from smoothbound.sketch._certify import SketchCertificate, certify_counts
from smoothbound.sketch._draw_numbers import Draws

if TYPE_CHECKING:
    from smoothbound.sketch._file import SketchContent

__all__ = ["ScoreSketch"]

_ABOUT = ("measure", "sigma", "displacement", "noise")  # what is said of all draws
_MAX_DRAWS = 2**32 - 1  # counts are 32 bits wide
_ARRAYS = ("shape", "__array__", "__dlpack__", "__arrow_c_array__", "__arrow_c_stream__")
_NESTED = (list, tuple, array, bytes, bytearray, memoryview, str, dict)

Counts = NDArray[np.uint32]


class _Queued(NamedTuple):
    """What counts on another device are of: to name a bad score, and to find a repetition."""

    device: Any
    start: int
    new: Draws
    numbered: bool
    some: NDArray[np.int64]  # rows
    beginning: Any  # of these rows


class ScoreSketch:
    """Counts of the scores of one or many inputs over fixed edges.

    The edges cut the range [a, b] into cells: each edge is a cell, and so is each open interval
    between neighbours. Counts of cells tell exactly how many draws are >= an edge and how many
    are <= it, so that Theorem 2 with the edges as knots certifies any threshold, radius and alpha
    later, without the scores. A sketch of an input takes 32 KiB with the 4096 intervals of the
    default, however many draws there were. Sketches of different draws add up exactly, whatever
    the order: ``a + b == b + a`` and ``(a + b) + c == a + (b + c)``, bit for bit.

    Each draw of an input has a number, and a sketch records which it holds, as half-open
    intervals. A draw counted twice would make a certificate false, so that a number that comes
    again is refused. **To be safe, number the draws** (`first_draw`, or the `Draws` of a sampler).
    Scores without a number count as further draws, and the sketch looks at the scores themselves
    for a repetition. It finds

    - an array that begins like one of the latest 4096, also on another device (there it shows
      when the counts are first needed);
    - in host memory, a part of an earlier array, or scores twice in one array, with a probability
      of about 1 - exp(-1024 m / n), where m neighbouring scores of n are counted again: a sample
      of stretches of 32 draws is remembered.

    It cannot find scores of few different values, such as 0 and 1, because other draws look the
    same; nor single draws, draws in another order, or those of another input. Other draws are
    taken for a repetition with a probability below 2^-30, whatever ties they have.

    One sketch may be shared between threads: each array is counted as a whole, one after the other.

    Parameters
    ----------
    inputs : int or array-like of int, shape (n_inputs,)
        Ids of the inputs, strictly ascending; n stands for 0 ... n - 1.
    edges : int or array-like of float
        Number of equal intervals of the range, at most 2^20; or the edges themselves, strictly
        ascending from a to b.
    score_range : (float, float)
        Range [a, b] of the confidence measure.
    measure : str
        Name of the confidence measure.
    predicted : array-like of int, shape (n_inputs,), optional
        The class of each input whose scores these are.
    sigma : float, optional
        Noise level of the draws, in the units of the model's input; recorded here, it guards
        against a merge or a certificate with another.
    displacement : float, default 0
        Distance, at most, between an input and the lattice point that its draws were made around,
        in the same units; certificates allow for it (`smoothbound.noise._displaced`).
    noise : {"lattice", "gaussian"}, optional
        Kind of the noise of the draws, as `smoothbound.noise.Noise` has it; "gaussian" for every
        noise that was added in floating point. Certificates of Gaussian noise are no proof, and say
        so where the kind is known.

    What is not stated here, of class, sigma and kind of noise, is taken from the first `Draws` that
    are counted, or stated later by `state`.

    Raises
    ------
    TypeError, ValueError
        If an argument is not of the kind or in the range stated above.

    Examples
    --------
    >>> import numpy as np
    >>> scores = np.random.default_rng(0).beta(20, 1, size=(2, 10_000))
    >>> monday, tuesday = ScoreSketch(2), ScoreSketch(2)
    >>> monday.update(scores[:, :6000])
    >>> tuesday.update(scores[:, 6000:], first_draw=6000)
    >>> cert = (monday + tuesday).certify(sigma=0.25, radii=[0, 0.25], thresholds=[0.5])
    >>> cert.lower.shape, cert.n_draws.tolist(), bool((cert.loss < 1 / 4095).all())
    ((2, 2), [10000, 10000], True)
    """

    def __init__(
        self,
        inputs: int | ArrayLike = 1,
        *,
        edges: int | ArrayLike = 4096,
        score_range: tuple[float, float] = (0.0, 1.0),
        measure: str = "score",
        predicted: ArrayLike | None = None,
        sigma: float | None = None,
        displacement: float = 0.0,
        noise: str | None = None,
    ) -> None:
        self._inputs = sketch_checks.inputs(inputs)
        self._edges = sketch_checks.edges(edges, checks.score_range("score_range", score_range))
        if not isinstance(measure, str) or not measure:
            raise TypeError(
                f"measure must be the name of a confidence measure, got {checks.shown(measure)}"
            )
        self._measure = measure
        self._predicted = sketch_checks.predicted(predicted, self._inputs.size)
        self._sigma = None if sigma is None else checks.positive("sigma", sigma)
        self._displacement = checks.non_negative("displacement", displacement)
        self._noise = noise_kinds.stated(noise)
        self._counts: Counts = sketch_checks.no_counts(self._inputs.size, self._edges.size)
        self._draws: Draws = np.empty((0, 3), np.int64)
        self._key = self._edges.tobytes()
        self._on_devices: dict[Any, Any] = {}  # counts that have not come back yet
        self._queued: list[_Queued] = []
        self._spoiled = ""
        self._seen = sketch_repeats.Seen()
        self._lock = threading.RLock()

    # What it holds

    @property
    def inputs(self) -> NDArray[np.int64]:
        """Ids of the inputs, shape (n_inputs,), ascending."""
        return _frozen(self._inputs)

    @property
    def edges(self) -> NDArray[np.float64]:
        """The edges, shape (n_edges,), from a to b."""
        return _frozen(self._edges)

    @property
    def score_range(self) -> tuple[float, float]:
        """The range (a, b) of the scores."""
        return float(self._edges[0]), float(self._edges[-1])

    @property
    def measure(self) -> str:
        """Name of the confidence measure."""
        return self._measure

    @property
    def predicted(self) -> NDArray[np.int64]:
        """Class of each input, shape (n_inputs,); -1 where it was not stated."""
        return _frozen(self._predicted)

    @property
    def sigma(self) -> float | None:
        """Noise level of the draws, if it was stated."""
        return self._sigma

    @property
    def displacement(self) -> float:
        """Distance, at most, between an input and the point that its draws were made around."""
        return self._displacement

    @property
    def noise(self) -> str | None:
        """Kind of the noise of the draws, if it is known."""
        return self._noise

    @property
    def counts(self) -> Counts:
        """Counts of the cells, shape (n_inputs, 2 * n_edges - 1), in ascending order.

        Column 2 j counts the scores at edge j, column 2 j + 1 those strictly between the edges j
        and j + 1. Reading it waits for scores that are being counted on other devices. It shows the
        counts as they are at any time: to keep those of now, copy it.
        """
        with self._lock:
            self._collect()
            return _frozen(self._counts)

    @property
    def n_draws(self) -> NDArray[np.int64]:
        """Number of draws of each input, shape (n_inputs,)."""
        return sketch_draws.totals(self._draws, self._inputs)

    @property
    def draws(self) -> Draws:
        """The recorded draws, shape (n, 3): input, first draw, and the draw after the last.

        Sorted by input and draw; intervals that touch are one.
        """
        return _frozen(self._draws)

    def __repr__(self) -> str:
        a, b = self.score_range
        n = self.n_draws
        draws = f"{n.min()}" if n.min() == n.max() else f"{n.min()} to {n.max()}"
        return (
            f"ScoreSketch({self._inputs.size} inputs, {draws} draws each, "
            f"{self._edges.size} edges in [{exact(a)}, {exact(b)}], measure={self._measure!r}"
            + ("" if self._noise is None else f", {self._noise} noise")
            + ")"
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ScoreSketch):
            return NotImplemented
        with _held(self, other):
            return (
                self._why_not(other) is None
                and np.array_equal(self._inputs, other._inputs)
                and np.array_equal(self._draws, other._draws)
                and np.array_equal(self.counts, other.counts)
            )

    __hash__ = None  # type: ignore[assignment]

    def __getstate__(self) -> dict[str, Any]:
        with self._lock:
            state = self.__dict__ | {"_counts": self.counts.copy(), "_seen": self._seen.copy()}
        del state["_lock"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.RLock()

    def state(
        self,
        *,
        predicted: ArrayLike | None = None,
        sigma: float | None = None,
        noise: str | None = None,
    ) -> None:
        """State of the draws what the sketch was not told, so that it merges with one that was.

        Parameters
        ----------
        predicted : array-like of int, shape (n_inputs,), optional
            The class of each input whose scores these are; -1 leaves an input as it is.
        sigma : float, optional
            Noise level.
        noise : {"lattice", "gaussian"}, optional
            Kind of the noise.

        Raises
        ------
        TypeError, ValueError
            If an argument is not of the kind or in the range stated above, or the sketch was told
            otherwise; nothing is changed then.

        Examples
        --------
        >>> import numpy as np
        >>> monday, tuesday = ScoreSketch(predicted=[7]), ScoreSketch()
        >>> monday.update(np.full((1, 100), 0.9))
        >>> tuesday.update(np.full((1, 100), 0.8), first_draw=100)
        >>> tuesday.state(predicted=[7])
        >>> (monday + tuesday).predicted.tolist()
        [7]
        """
        classes = sketch_checks.predicted(predicted, self._inputs.size)
        sigma = None if sigma is None else checks.positive("sigma", sigma)
        noise = noise_kinds.stated(noise)
        with self._lock:
            columns = (part.tolist() for part in (self._inputs, self._predicted, classes))
            known = [
                _agreed(f"predicted of input {i}", mine, given, unknown=-1)
                for i, mine, given in zip(*columns, strict=True)
            ]
            sigma = _agreed("sigma", self._sigma, sigma)
            noise = _agreed("noise", self._noise, noise)
            self._predicted, self._sigma, self._noise = np.array(known, np.int64), sigma, noise

    # Counting

    def update(
        self,
        scores: Any,
        *,
        inputs: ArrayLike | None = None,
        first_draw: int | None = None,
        backend: Backend | None = None,
        threads: int | None = None,
    ) -> None:
        """Count the scores of further draws.

        Parameters
        ----------
        scores : array of floats, shape (n_inputs, n_draws), or an iterable of such arrays
            float16, float32 or float64, or bfloat16 in torch: NumPy of any layout, torch on any
            device, or anything with DLPack. A tensor on another device is counted there, and only
            the counts come back, when they are first needed. A generator, a DataLoader or another
            iterable that is no array itself is a stream: its arrays hold draws one after the
            other, and those before an error stay counted. `Draws` of a sampler are scores of the
            input `example`, under the numbers that they have.
        inputs : array-like of int, shape (n_inputs,), optional
            Ids of the inputs that the rows belong to, each at most once; by default all, in
            ascending order.
        first_draw : int, optional
            Number of the first of these draws; by default the one after the last that is
            recorded for the input, which says that these are other draws than those before. Where
            several machines draw, or a stream may begin again, give each draw its own number.
        backend : {"cpp", "numba"}, optional
            By default the C++ core, or numba where the core is missing.
        threads : int, optional
            Number of threads; by default as many as the work and the machine are good for.

        Raises
        ------
        TypeError, ValueError
            If the scores do not have this shape or type, one of them is NaN or outside the range,
            a draw is recorded already, or `first_draw` is not given and scores are, one by one,
            those of an earlier update, which no chance explains; nothing is counted then. For
            scores on another device all but the numbers of the draws shows when the counts are
            first needed; the sketch cannot be used any more.
        """
        rows = self._rows(inputs)
        chunks = scores if _is_stream(scores) else (scores,)
        for chunk in chunks:
            if _is_draws(chunk):
                n = self._update_draws(chunk, inputs, first_draw, backend, threads)
            else:
                n = self._update(chunk, rows, first_draw, backend, threads)
            first_draw = None if first_draw is None else first_draw + n

    def _update_draws(
        self,
        draws: Any,
        inputs: ArrayLike | None,
        first_draw: int | None,
        backend: Backend | None,
        threads: int | None,
    ) -> int:
        """Count draws of a sampler, which say of what they are.

        Whatever the sketch was not told, it takes from the first of them.
        """
        example = draws.example
        rows = self._rows([example] if inputs is None and example is not None else inputs)
        first = draws.first_draw if first_draw is None else first_draw
        with self._lock:
            self._refuse_others(draws, rows)
            n = self._update(draws.scores[None], rows, first, backend, threads, drawn=True)
            self._predicted[rows] = draws.predicted
            for name in ("sigma", "noise"):
                if getattr(draws, name) is not None:
                    setattr(self, f"_{name}", getattr(draws, name))
        return n

    def _refuse_others(self, draws: Any, rows: NDArray[np.int64]) -> None:
        """Refuse draws that do not belong to those of the sketch."""
        if draws.displacement > self._displacement:
            raise ValueError(
                f"scores were drawn around a point {draws.displacement} from the input: make the "
                f"sketch with displacement={draws.displacement} or more"
            )
        if draws.measure not in (None, self._measure):
            raise ValueError(
                f"scores must be of the measure {self._measure!r} of the sketch, got draws of "
                f"{draws.measure!r}"
            )
        held = self.n_draws[rows] > 0
        classes = self._predicted[rows]
        for mine in classes[held | (classes != -1)].tolist():
            _require_same("predicted", mine, draws.predicted, unknown=-1)
        for name in ("sigma", "noise"):
            mine, theirs = getattr(self, f"_{name}"), getattr(draws, name)
            if theirs is not None and (mine is not None or len(self._draws)):
                _require_same(name, mine, theirs)

    def _update(
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

        Those that a sampler has drawn are refused under other numbers too.
        """
        elsewhere = _is_elsewhere(scores)
        table = scores if elsewhere else as_scores(scores)
        if elsewhere:
            _check_tensor(table)
        if table.shape[0] != rows.size:
            raise ValueError(
                f"scores must have a row for each of the {rows.size} inputs, got the shape "
                f"{tuple(table.shape)}; name the inputs of the rows in inputs"
            )
        with self._lock:
            self._check_usable()
            new = self._number(rows, first_draw, int(table.shape[1]))
            draws = sketch_draws.join(self._draws, new)
            numbered = first_draw is not None and not drawn
            if elsewhere:
                with self._as_a_whole():
                    self._queue(table, rows, new, numbered)
                    self._draws = draws
            else:
                marks = self._seen.marks(self._inputs[rows], table)
                if not numbered and self._seen.has(marks):
                    raise ValueError(
                        "scores must be of other draws than those counted before, and are in part "
                        "the very same ones; a draw must be counted once only (if they are other "
                        "draws all the same, number them with first_draw)"
                    )
                with self._as_a_whole():
                    self._count(table, rows, new, backend, threads)
                    self._draws = draws
                self._seen.add(marks)
        return int(table.shape[1])

    @contextmanager
    def _as_a_whole(self) -> Iterator[None]:
        """Make the sketch unusable if what counts and records draws is stopped between the two."""
        self._spoiled = (
            "an update of the sketch was interrupted, so that its counts may be of other draws "
            "than it records; begin a new sketch"
        )
        try:
            yield
        except (TypeError, ValueError):  # raised before anything is counted
            self._spoiled = ""
            raise
        self._spoiled = ""

    def _rows(self, inputs: ArrayLike | None) -> NDArray[np.int64]:
        if inputs is None:
            return np.arange(self._inputs.size)
        ids = np.atleast_1d(checks.array("inputs", inputs))
        if ids.ndim != 1 or ids.dtype.kind not in "iu":
            raise TypeError(
                f"inputs must be whole numbers in one dimension, got {checks.shown(inputs)}"
            )
        rows = np.minimum(np.searchsorted(self._inputs, ids), self._inputs.size - 1)
        unknown = ids[self._inputs[rows] != ids]
        if unknown.size:
            raise ValueError(f"inputs must be among those of the sketch, got {unknown[0]}")
        if np.unique(rows).size != rows.size:
            raise ValueError("inputs must name each input at most once")
        return np.asarray(rows, np.int64)

    def _is_every(self, rows: NDArray[np.int64]) -> bool:
        """Say whether these are all rows in their order."""
        return rows.size == self._inputs.size and bool((rows[1:] > rows[:-1]).all())

    def _number(self, rows: NDArray[np.int64], first_draw: int | None, n: int) -> Draws:
        """Return the intervals of n draws for each of the rows."""
        if first_draw is None:
            first = sketch_draws.after_last(self._draws, self._inputs)[rows]
        else:
            first_draw = min(checks.count("first_draw", first_draw, 0), sketch_draws.LAST)
            first = np.full(rows.size, first_draw, np.int64)
        if (first > sketch_draws.LAST - n).any():
            raise ValueError(
                f"draws must have numbers below 2^63 - 1, got {n} from {first.max()} on; "
                "choose a smaller first_draw"
            )
        most = int(self.n_draws[rows].max(initial=0)) + n
        if most > _MAX_DRAWS:
            raise ValueError(f"an input can have at most {_MAX_DRAWS} draws, got {most}")
        return np.column_stack([self._inputs[rows], first, first + n])

    def _count(
        self,
        scores: NDArray[Any],
        rows: NDArray[np.int64],
        new: Draws,
        backend: Backend | None,
        threads: int | None,
    ) -> None:
        backend = backends.resolve(backend)
        every = self._is_every(rows)
        counts = self._counts if every else np.zeros((rows.size, self._counts.shape[1]), np.uint32)
        n_threads = backends.choose_threads(threads, scores.size)
        bad = _counter(backend, self._key).count(scores, counts, n_threads)
        if bad >= 0:
            a, b = self.score_range
            row = scores[bad].astype(np.float64)  # or NumPy would round a and b to its type
            j = checks.first_outside(row, a, b)
            raise ValueError(
                f"scores must be finite and within score_range [{a}, {b}], got scores[{bad}, {j}] "
                f"= {row[j]} (draw {new[bad, 1] + j} of input {new[bad, 0]}); none of these "
                f"{scores.size} scores was counted"
            )
        if not every:
            self._counts[rows] += counts

    # Counting elsewhere

    def _queue(self, scores: Any, rows: NDArray[np.int64], new: Draws, numbered: bool) -> None:
        import torch

        from smoothbound.sketch._device_counts import DeviceCounts

        device = scores.device
        if device not in self._on_devices:
            self._on_devices[device] = DeviceCounts(device, self._edges, self._inputs.size)
        # Rows are sent to the device only where they say something: it costs a wait.
        of = None if self._is_every(rows) else torch.from_numpy(rows).to(device)
        start = self._on_devices[device].add(scores, of)
        some, beginning = sketch_repeats.begin(scores.detach())
        wide = torch.stack(beginning).to(torch.promote_types(scores.dtype, torch.float32))
        self._queued.append(_Queued(device, start, new, numbered, some, wide))

    def _collect(self) -> None:
        """Wait for the counts from other devices and add them."""
        self._check_usable()
        taken = {device: pending.take() for device, pending in self._on_devices.items()}
        for device, (_, bad) in taken.items():
            if bad >= 0:
                self._spoiled = self._describe(device, bad)
                self._check_usable()
        for queued in self._queued:
            made = sketch_repeats.mark(queued.new[queued.some, 0], queued.beginning.cpu().numpy())
            marks = sketch_repeats.Marks(made)
            if not queued.numbered and self._seen.has(marks):
                self._spoiled = (
                    f"scores must be of other draws than those counted before: scores of draws "
                    f"{queued.new[0, 1]} to {queued.new[0, 2] - 1}, counted on {queued.device}, "
                    "begin with the very same ones; begin a new sketch"
                )
                self._check_usable()
            self._seen.add(marks)
        with self._as_a_whole():
            for counts, _ in taken.values():
                self._counts += counts
            self._on_devices, self._queued = {}, []

    def _describe(self, device: Any, bad: int) -> str:
        of = next(q for q in reversed(self._queued) if q.device == device and q.start <= bad)
        new = of.new
        row, j = divmod(bad - of.start, int(new[0, 2] - new[0, 1]))
        a, b = self.score_range
        return (
            f"scores must be finite and within score_range [{a}, {b}]: draw {new[row, 1] + j} of "
            f"input {new[row, 0]}, counted on {device}, is not; begin a new sketch"
        )

    def _check_usable(self) -> None:
        if self._spoiled:
            raise ValueError(self._spoiled)

    # Merging

    def _why_not(self, other: ScoreSketch) -> str | None:
        """Say why the draws of two sketches do not belong together; None if they do."""
        if self.score_range != other.score_range:
            return f"their score ranges differ: {self.score_range} and {other.score_range}"
        if not np.array_equal(self._edges, other._edges):
            if self._edges.size != other._edges.size:
                return f"they have {self._edges.size} and {other._edges.size} edges"
            j = int(np.argmax(self._edges != other._edges))
            return f"their edges differ: edge {j} is {self._edges[j]} and {other._edges[j]}"
        if self._measure != other._measure:
            return f"their measures differ: {self._measure!r} and {other._measure!r}"
        if self._sigma != other._sigma:
            return _differ("noise levels sigma", "sigma", self._sigma, other._sigma)
        if self._noise != other._noise:
            return _differ("kinds of noise", "noise", self._noise, other._noise)
        if self._displacement != other._displacement:
            return f"their displacements differ: {self._displacement} and {other._displacement}"
        shared, mine, theirs = np.intersect1d(
            self._inputs, other._inputs, assume_unique=True, return_indices=True
        )
        differ = self._predicted[mine] != other._predicted[theirs]
        if differ.any():
            i = int(np.argmax(differ))
            one, two = self._predicted[mine][i], other._predicted[theirs][i]
            one, two = (None if k == -1 else int(k) for k in (one, two))
            return _differ(f"classes of input {shared[i]}", "predicted", one, two)
        return None

    def __add__(self, other: ScoreSketch) -> ScoreSketch:
        """Merge two sketches of different draws; an input may be in both or in one of them.

        Raises
        ------
        ValueError
            If their edges, ranges, measures or noise differ, the classes of an input that is in
            both, or a draw is in both. What one was told and the other was not differs too, until
            `state` tells it.
        """
        if not isinstance(other, ScoreSketch):
            return NotImplemented
        with _held(self, other):
            return self._merged(other)

    def _merged(self, other: ScoreSketch) -> ScoreSketch:
        reason = self._why_not(other)
        if reason is not None:
            raise ValueError(f"cannot merge these sketches: {reason}")
        draws = sketch_draws.join(self._draws, other._draws)
        inputs = np.union1d(self._inputs, other._inputs)
        merged = ScoreSketch(inputs, edges=self._edges, score_range=self.score_range, **self._about)
        merged._draws = draws
        most = int(merged.n_draws.max())
        if most > _MAX_DRAWS:
            raise ValueError(f"an input can have at most {_MAX_DRAWS} draws, got {most}")
        for part in (self, other):
            rows = np.searchsorted(inputs, part._inputs)
            merged._counts[rows] += part.counts
            merged._predicted[rows] = part._predicted
        merged._seen = self._seen | other._seen
        return merged

    def only(self, inputs: ArrayLike) -> ScoreSketch:
        """Return the sketch of some of the inputs alone.

        Parameters
        ----------
        inputs : array-like of int
            Their ids, each once.

        Raises
        ------
        TypeError, ValueError
            If one of them is not in the sketch.
        """
        rows = np.sort(self._rows(inputs))
        chosen = ScoreSketch(
            self._inputs[rows],
            edges=self._edges,
            score_range=self.score_range,
            predicted=self._predicted[rows],
            **self._about,
        )
        with self._lock:
            chosen._draws = self._draws[np.isin(self._draws[:, 0], chosen._inputs)]
            chosen._counts = self.counts[rows]
            chosen._seen = self._seen.copy()
        return chosen

    def at(self, kept: ArrayLike) -> ScoreSketch:
        """Return the same draws counted over some of the edges alone.

        Parameters
        ----------
        kept : array-like of int
            Positions of these edges, strictly ascending, the first and the last among them.

        Raises
        ------
        TypeError, ValueError
            If they are no such positions, or an end is missing.

        Examples
        --------
        >>> import numpy as np
        >>> fine, coarse = ScoreSketch(edges=4), ScoreSketch(edges=2)
        >>> for sketch in (fine, coarse):
        ...     sketch.update(np.array([[0.1, 0.25, 0.3, 0.5, 0.9]]))
        >>> fine.at([0, 2, 4]) == coarse
        True
        """
        from smoothbound.sketch._file import SketchContent

        cells = 2 * sketch_checks.kept(kept, self._edges.size)
        with self._lock:
            counts, draws = self.counts.copy(), self._draws
        up_to = np.cumsum(counts, axis=1, dtype=np.int64)
        coarse = np.empty((counts.shape[0], 2 * cells.size - 1), np.uint32)
        coarse[:, ::2] = counts[:, cells]
        coarse[:, 1::2] = up_to[:, cells[1:] - 1] - up_to[:, cells[:-1]]
        parts = (self._inputs, self._predicted, draws, coarse, self._edges[cells // 2])
        return ScoreSketch.of(SketchContent(*parts, **self._about, seen=self._seen.copy()))

    @property
    def _about(self) -> dict[str, Any]:
        """Return what is said of all draws, by the names of the arguments."""
        return {name: getattr(self, f"_{name}") for name in _ABOUT}

    # Files

    def save(self, path: str | Path) -> None:
        """Write the sketch to a Parquet file, which takes the place of `path` once complete.

        Raises
        ------
        StoreError
            If it cannot be written; `path` is then as it was.
        """
        with name_the_extra():
            from smoothbound.sketch._file import SketchContent, write

        with self._lock:
            counts, draws = self.counts.copy(), self._draws
        parts = (self._inputs, self._predicted, draws, counts, self._edges)
        write(
            checks.path("path", path), SketchContent(*parts, **self._about, seen=self._seen.copy())
        )

    @classmethod
    def load(cls, path: str | Path) -> ScoreSketch:
        """Read a sketch that `save` wrote.

        Raises
        ------
        StoreError
            If there is no such file, it is not a sketch, is damaged, or contradicts itself.
        """
        with name_the_extra():
            from smoothbound.sketch._file import read

        content = read(checks.path("path", path))
        try:
            return cls.of(content)
        except (TypeError, ValueError) as error:
            raise StoreError(f"{path} is not a sound sketch: {error}") from error

    @classmethod
    def of(cls, content: SketchContent) -> ScoreSketch:
        """Make a sketch of its parts, as `save` writes them; the counts become its own.

        Raises
        ------
        TypeError, ValueError
            If they contradict each other.
        """
        edges, draws = content.edges, content.draws
        sketch = cls(
            content.inputs,
            edges=edges,
            score_range=(float(edges[0]), float(edges[-1])),
            predicted=content.predicted,
            **{name: getattr(content, name) for name in _ABOUT},
        )
        if not ((draws[:, 1] >= 0) & (draws[:, 1] < draws[:, 2])).all():
            raise ValueError("an interval of draws is empty or begins below 0")
        if (draws[:, 2] - draws[:, 1] > _MAX_DRAWS).any():
            raise ValueError(f"an interval holds more than {_MAX_DRAWS} draws")
        sketch._draws = sketch_draws.join(draws)
        sketch._seen = content.seen.copy()
        counts = np.asarray(content.counts, np.uint32)
        sketch._counts = counts if counts.flags.writeable else counts.copy()
        if not np.array_equal(sketch._counts.sum(axis=1, dtype=np.int64), sketch.n_draws):
            raise ValueError("its counts do not add up to its draws")
        return sketch

    # Certifying

    def certify(
        self,
        *,
        sigma: float | None = None,
        radii: ArrayLike = (0.0,),
        thresholds: ArrayLike = (),
        alpha: float = 1e-3,
        band: Band = "ell",
        sides: Sides = "lower",
        backend: Backend | None = None,
        threads: int | None = None,
    ) -> SketchCertificate:
        """Certify every input by Theorem 2, with the edges as knots.

        Parameters
        ----------
        sigma : float, optional
            Noise level of the draws; by default the recorded one, from which it must not differ.
        radii, thresholds, alpha, band, sides, backend, threads
            As in `certify_scores`.

        Returns
        -------
        SketchCertificate
            Never above (below, for `upper`) what `certify_scores` finds from the scores with
            every draw a knot, but for rounding, and within `loss` of it
            (`sketch_certificate.loss_of` says why).

        Raises
        ------
        TypeError, ValueError
            If an argument is not of the kind or in the range stated above, an input has no draws,
            or too few to certify anything at this alpha.
        """
        with self._lock:
            return certify_counts(
                self,
                sigma=self._check_sigma(sigma),
                radii=radii,
                thresholds=thresholds,
                alpha=alpha,
                band=band,
                sides=sides,
                backend=backend,
                threads=threads,
            )

    def _check_sigma(self, sigma: float | None) -> float:
        if sigma is None and self._sigma is None:
            raise ValueError("sigma must be given: the noise level of the draws is not recorded")
        if sigma is None:
            assert self._sigma is not None
            return self._sigma
        stated = checks.positive("sigma", sigma)
        if self._sigma not in (None, stated):
            raise ValueError(f"sigma must be that of the draws, {self._sigma}, got {stated}")
        return stated


def _differ(words: str, name: str, one: Any, two: Any) -> str:
    """Say that two sketches disagree, and how the one that was not told is told."""
    told = f"their {words} differ: {one!r} and {two!r}"
    if None not in (one, two):
        return told
    return f"{told}; if it is the same, call state({name}=...) of the sketch that was not told"


def _agreed(name: str, mine: Any, given: Any, *, unknown: Any = None) -> Any:
    """Return what is known from two statements; refuse two that differ."""
    if mine == unknown or given == mine:
        return given
    if given != unknown:
        raise ValueError(f"{name} must be {mine!r}, as it was stated before, got {given!r}")
    return mine


def _require_same(name: str, mine: Any, theirs: Any, *, unknown: Any = None) -> None:
    """Refuse draws of which something else is known than of those in a sketch."""
    of = "class {!r}" if name == "predicted" else f"{name} = {{!r}}"
    if mine == theirs:
        return
    if mine == unknown:
        raise ValueError(
            f"scores are draws of {of.format(theirs)}, and the sketch holds others of which that "
            f"was not stated; if it is the same, call state({name}=...) of the sketch first"
        )
    raise ValueError(
        f"scores must be of {of.format(mine)}, as those of the sketch, got draws of "
        f"{of.format(theirs)}"
    )


@contextmanager
def _held(*sketches: ScoreSketch) -> Iterator[None]:
    """Hold the locks of sketches, in one order for all threads."""
    with ExitStack() as stack:
        for sketch in sorted(sketches, key=id):
            stack.enter_context(sketch._lock)
        yield


@lru_cache(maxsize=16)
def _counter(backend: Backend, edges: bytes) -> Any:
    """Make a backend's counter, once for all sketches with these edges."""
    return backends.load(backend).ScoreCounter(np.frombuffer(edges))


def _is_elsewhere(scores: Any) -> bool:
    """Whether the scores are a torch tensor that the host cannot read in place."""
    is_tensor = type(scores).__module__.partition(".")[0] == "torch"
    return is_tensor and scores.device.type != "cpu"


def _is_draws(scores: Any) -> bool:
    """Whether they are draws of a sampler; its module, and torch with it, is imported then."""
    schedule = sys.modules.get("smoothbound.sampling._schedule")
    return schedule is not None and isinstance(scores, schedule.Draws)


def _is_stream(scores: Any) -> bool:
    """Whether arrays come out of it one after the other, and it is no array itself."""
    if isinstance(scores, Iterator):
        return True
    is_array = any(hasattr(scores, name) for name in _ARRAYS)
    return isinstance(scores, Iterable) and not is_array and not isinstance(scores, _NESTED)


def _check_tensor(scores: Any) -> None:
    if not scores.dtype.is_floating_point:
        raise TypeError(f"scores must be floats, got {scores.dtype}")
    if scores.ndim != 2 or scores.shape[1] == 0:
        raise ValueError(
            f"scores must have the shape (n_inputs, n_draws), got {tuple(scores.shape)}"
        )


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    array = array.view()
    array.flags.writeable = False
    return array
