"""Sketches: counts of scores over fixed edges, which are small and can be certified later."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smoothbound._display.rounding import exact
from smoothbound._utils import checks
from smoothbound._utils.extras import name_the_extra
from smoothbound._utils.renamed import formerly, renamed
from smoothbound.backends._names import Backend, Band, Sides, Statistic
from smoothbound.bounds._method import Method
from smoothbound.bounds._per_input import within
from smoothbound.bounds._request import Request, sigma_of
from smoothbound.curves._curve import Curve
from smoothbound.curves._named import curve as curve_of
from smoothbound.errors import StoreError
from smoothbound.noise._kinds import Kind, stated
from smoothbound.sketch import _arguments as arguments
from smoothbound.sketch import _sigma as levels_of
from smoothbound.sketch._certify import SketchCertificate, certify_content
from smoothbound.sketch._content import SketchContent, frozen
from smoothbound.sketch._draws import draw_numbers
from smoothbound.sketch._draws.counting import SharedContent, locked
from smoothbound.sketch._draws.draw_numbers import Draws
from smoothbound.sketch._levels import SketchLevelCertificate, certify_levels
from smoothbound.sketch._per_input import certify_each

__all__ = ["ScoreSketch"]

Counts = NDArray[np.uint32]


class ScoreSketch:
    """Counts of the scores of one or many inputs over fixed edges.

    The edges divide the range [a, b] into cells: each edge is a cell, and so is each open interval
    between two neighbours. The counts of the cells give the exact numbers of draws that are >= an
    edge and <= an edge. Theorem 2 with the edges as knots can therefore certify any threshold,
    radius and alpha later, without the scores. The sketch of an input takes 32 KiB with the default
    of 4096 intervals, whatever the number of draws. Sketches of different draws can be added
    exactly and in any order: ``a + b == b + a`` and ``(a + b) + c == a + (b + c)``, bit for bit.

    Each draw of an input has a number, and a sketch records the numbers that it holds as half-open
    intervals. A number that occurs again is refused, because a draw that is counted twice would
    make a certificate false. **To be safe, number the draws** (`first_draw`, or the `Draws` of a
    sampler). Scores without a number count as further draws. The sketch then searches the scores
    themselves for repetitions. It finds

    - an array that begins like one of the latest 4096 arrays. For scores on another device this
      shows when the counts are first needed.
    - in host memory, a part of an earlier array, or scores that occur twice in one array. If n
      scores are counted, and m consecutive ones among them a second time, the probability of
      finding this is about 1 - exp(-1024 m / n), because a sample of stretches of 32 draws is kept.

    It cannot find repeated scores with few different values, such as 0 and 1, because other draws
    look the same. It cannot find single draws, draws in another order, or draws of another input
    either. The probability that it mistakes other draws for a repetition is below 2^-30, even with
    ties.

    Threads may share a sketch: whole arrays are counted one after the other.

    Parameters
    ----------
    index : int or array-like of int, shape (n_inputs,)
        Ids of the inputs, strictly ascending; n stands for 0 ... n - 1.
    edges : int or array-like of float
        Number of equal intervals of the range, at most 2^20, or the edges themselves, strictly
        ascending from a to b.
    score_range : (float, float)
        Range [a, b] of the confidence measure.
    measure : str
        Name of the confidence measure.
    selected : array-like of int, shape (n_inputs,), optional
        The class of each input that the scores measure, at least 0; -1 if it is not known.
    sigma : float or array-like, shape (n_inputs,), optional
        Noise level of all draws or of those of each input, > 0, in the units of the model's input.
        A merge or a certificate with another sigma is refused.
    displacement : float, default 0
        Largest distance between an input and the lattice point around which its draws were made, in
        the same units. Certificates allow for it (docs/noise.md).
    noise : {"lattice", "gaussian"}, optional
        Kind of the noise of the draws, as in `smoothbound.noise.Noise`; "gaussian" stands for all
        noise that was added in floating point. Certificates of such noise are not a proof, and
        state this if the kind is known.

    A class, sigma or kind of noise that is not given here is taken from the first `Draws` that are
    counted, or can be given later by `state`.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is outside the range stated above.

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

    @renamed(inputs="index", predicted="selected")
    def __init__(
        self,
        index: int | ArrayLike = 1,
        *,
        edges: int | ArrayLike = 4096,
        score_range: tuple[float, float] = (0.0, 1.0),
        measure: str = "score",
        selected: ArrayLike | None = None,
        sigma: float | ArrayLike | None = None,
        displacement: float = 0.0,
        noise: Kind | None = None,
    ) -> None:
        content = arguments.no_draws(
            index,
            edges=edges,
            score_range=score_range,
            measure=measure,
            selected=selected,
            sigma=sigma,
            displacement=displacement,
            noise=noise,
        )
        self._hold(content)

    def _hold(self, content: SketchContent, unusable: str = "") -> None:
        """Hold consistent data that no other object changes."""
        self._shared = SharedContent(content, unusable)

    @property
    def _content(self) -> SketchContent:
        """The data, without counts that are still on other devices."""
        return self._shared.content

    # Contents

    @property
    def index(self) -> NDArray[np.int64]:
        """Ids of the inputs, shape (n_inputs,), ascending."""
        return frozen(self._content.index)

    inputs = formerly("inputs", "index")

    @property
    def edges(self) -> NDArray[np.float64]:
        """The edges, shape (n_edges,), from a to b."""
        return frozen(self._content.edges)

    @property
    def score_range(self) -> tuple[float, float]:
        """The range (a, b) of the scores."""
        return self._content.score_range

    @property
    def measure(self) -> str:
        """Name of the confidence measure."""
        return self._content.measure

    @property
    def selected(self) -> NDArray[np.int64]:
        """Class of each input, shape (n_inputs,); -1 if it was not stated."""
        return frozen(self._content.selected)

    predicted = formerly("predicted", "selected")

    @property
    def sigma(self) -> float | NDArray[np.float64] | None:
        """Noise level of all draws or of those of each input; None if it was not stated."""
        known = self._content.sigma
        return frozen(np.array(known)) if isinstance(known, tuple) else known

    @property
    def displacement(self) -> float:
        """Largest distance between an input and the point around which its draws were made."""
        return self._content.displacement

    @property
    def noise(self) -> Kind | None:
        """Kind of the noise of the draws, if it is known."""
        return self._content.noise

    @property
    def counts(self) -> Counts:
        """Counts of the cells, shape (n_inputs, 2 * n_edges - 1), in ascending order.

        Column 2 j counts the scores at edge j, and column 2 j + 1 those strictly between the edges
        j and j + 1. Reading this property waits for scores that are being counted on other devices.
        Later updates change the array, so copy it to keep the present counts.
        """
        with self._shared.lock:
            return frozen(self._shared.current().counts)

    @property
    def n_draws(self) -> NDArray[np.int64]:
        """Number of draws of each input, shape (n_inputs,)."""
        return self._content.n_draws

    @property
    def draws(self) -> Draws:
        """The recorded intervals of draws, shape (n, 3), sorted by input and draw.

        The columns are the id of the input, the number of the first draw, and the number after the
        last draw. Adjacent intervals are joined.
        """
        return frozen(self._content.draws)

    def __repr__(self) -> str:
        a, b = self.score_range
        n = self.n_draws
        draws = f"{n.min()}" if n.min() == n.max() else f"{n.min()} to {n.max()}"
        return (
            f"ScoreSketch({self.index.size} inputs, {draws} draws each, "
            f"{self.edges.size} edges in [{exact(a)}, {exact(b)}], measure={self.measure!r}"
            + ("" if self.noise is None else f", {self.noise} noise")
            + ")"
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ScoreSketch):
            return NotImplemented
        with locked(self._shared, other._shared):
            return self._shared.current().same_as(other._shared.current())

    __hash__ = None  # type: ignore[assignment]

    def __getstate__(self) -> dict[str, Any]:
        return {"content": self._shared.copy(), "unusable": self._shared.unusable}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._hold(**state)

    @renamed(predicted="selected")
    def state(
        self,
        *,
        selected: ArrayLike | None = None,
        sigma: float | ArrayLike | None = None,
        noise: Kind | None = None,
    ) -> None:
        """Record the class, sigma or noise of the draws, if the sketch was made without them.

        Two sketches can be merged only if they record the same class, sigma and noise.

        Parameters
        ----------
        selected : array-like of int, shape (n_inputs,), optional
            The class of each input that the scores measure; -1 does not change an input.
        sigma : float or array-like, shape (n_inputs,), optional
            Noise level, or that of each input.
        noise : {"lattice", "gaussian"}, optional
            Kind of the noise.

        Raises
        ------
        TypeError, ValueError
            If an argument has the wrong type or is outside the range stated above, or contradicts
            the recorded values. Then nothing is changed.

        Examples
        --------
        >>> import numpy as np
        >>> monday, tuesday = ScoreSketch(selected=[7]), ScoreSketch()
        >>> monday.update(np.full((1, 100), 0.9))
        >>> tuesday.update(np.full((1, 100), 0.8), first_draw=100)
        >>> tuesday.state(selected=[7])
        >>> (monday + tuesday).selected.tolist()
        [7]
        """
        classes = arguments.checked_classes(selected, self.index.size)
        self._shared.tell(classes, levels_of.checked(sigma, self.index.size), stated(noise))

    # Counting

    @renamed(inputs="index")
    def update(
        self,
        scores: Any,
        *,
        index: ArrayLike | None = None,
        first_draw: int | None = None,
        backend: Backend | None = None,
        threads: int | None = None,
    ) -> None:
        """Count the scores of further draws.

        Parameters
        ----------
        scores : array of floats, shape (n_inputs, n_draws), or an iterable of such arrays
            Scores in float16, float32 or float64, or in bfloat16 with torch: a NumPy array of any
            layout, a torch tensor on any device, or an object with DLPack. A tensor on another
            device is counted there, and only the counts are copied to the host when they are first
            needed. A generator, a DataLoader or another iterable of arrays is a stream. Its arrays
            hold consecutive draws, and those before an error stay counted. `Draws` of a sampler are
            scores of one input with the numbers of these draws.
        index : array-like of int, shape (n_inputs,), optional
            Ids of the inputs of the rows, each at most once; by default all, in ascending order.
        first_draw : int, optional
            Number of the first of these draws, at least 0. By default it follows the last recorded
            draw of the input, which states that these are new draws. If several machines draw, or
            if a stream may start again, give each draw a number of its own.
        backend : {"cpp", "numba"}, optional
            The implementation to use: by default the C++ core, or numba if the core is missing.
        threads : int, optional
            Number of threads, from 1 to 1024. By default it depends on the work and the machine.

        Raises
        ------
        TypeError, ValueError
            If the scores do not have this shape or type, one of them is NaN or outside the range, a
            draw is already recorded, or scores without `first_draw` repeat earlier ones in a way
            that chance cannot explain. Then nothing is counted. For scores on another device, bad
            scores and repetitions show when the counts are first needed, and the sketch cannot be
            used any more.
        """
        rows = self._content.rows("index", index)
        chunks = scores if arguments.is_stream(scores) else (scores,)
        for chunk in chunks:
            if arguments.is_draws(chunk):
                n = self._shared.add_draws(chunk, index, first_draw, backend, threads)
            else:
                n = self._shared.add(chunk, rows, first_draw, backend, threads)
            first_draw = None if first_draw is None else first_draw + n

    # Merging

    def __add__(self, other: ScoreSketch) -> ScoreSketch:
        """Merge two sketches of different draws. An input may be in one of them or in both.

        Raises
        ------
        ValueError
            If their edges, ranges, measures, sigma or noise differ, if the classes of an input in
            both differ, or if a draw is in both. A value that only one sketch records counts as a
            difference until `state` records it in the other.
        """
        if not isinstance(other, ScoreSketch):
            return NotImplemented
        with locked(self._shared, other._shared):
            return self._holding(self._shared.current().merge(other._shared.current()))

    @renamed(inputs="index")
    def select(self, index: ArrayLike) -> ScoreSketch:
        """Return the sketch of some of the inputs.

        Parameters
        ----------
        index : array-like of int
            Ids of the inputs, strictly ascending.

        Raises
        ------
        TypeError, ValueError
            If an id is not in the sketch, or the ids do not ascend.
        """
        with self._shared.lock:
            return self._holding(self._shared.current().select(index))

    only = formerly("only", "select")

    def coarsen(self, kept: ArrayLike) -> ScoreSketch:
        """Return the same draws counted over some of the edges.

        Parameters
        ----------
        kept : array-like of int
            Positions of these edges, strictly ascending, including the first and the last.

        Raises
        ------
        TypeError, ValueError
            If these are not positions of edges, or an end is missing.

        Examples
        --------
        >>> import numpy as np
        >>> fine, coarse = ScoreSketch(edges=4), ScoreSketch(edges=2)
        >>> for sketch in (fine, coarse):
        ...     sketch.update(np.array([[0.1, 0.25, 0.3, 0.5, 0.9]]))
        >>> fine.coarsen([0, 2, 4]) == coarse
        True
        """
        places = arguments.checked_kept(kept, self.edges.size)
        with self._shared.lock:
            return self._holding(self._shared.current().coarsen(places))

    at = formerly("at", "coarsen")

    @classmethod
    def _holding(cls, content: SketchContent) -> ScoreSketch:
        """Return the sketch of this data; see `_hold`."""
        sketch = cls.__new__(cls)
        sketch._hold(content)
        return sketch

    # Files

    def save(self, path: str | Path) -> None:
        """Write the sketch to a Parquet file, which replaces `path` once it is complete.

        Raises
        ------
        StoreError
            If it cannot be written; `path` is then as it was.
        """
        with name_the_extra():
            from smoothbound.sketch._file import write

        write(checks.path("path", path), self._shared.copy())

    @classmethod
    def load(cls, path: str | Path) -> ScoreSketch:
        """Read a sketch that `save` wrote.

        Raises
        ------
        StoreError
            If the file does not exist, is not a sketch, or is damaged or inconsistent.
        """
        with name_the_extra():
            from smoothbound.sketch._file import read

        content = read(checks.path("path", path))
        try:
            return cls.from_content(content)
        except (TypeError, ValueError) as error:
            raise StoreError(f"{path} is not a valid sketch: {error}") from error

    @classmethod
    def from_content(cls, content: SketchContent) -> ScoreSketch:
        """Make a sketch from its data, as written by `save`. The sketch takes over the counts.

        Raises
        ------
        TypeError, ValueError
            If the data is not consistent.
        """
        counts = np.asarray(content.counts, np.uint32)
        sound = replace(
            arguments.no_draws(
                content.index,
                edges=content.edges,
                score_range=content.score_range,
                measure=content.measure,
                selected=content.selected,
                sigma=content.sigma,
                displacement=content.displacement,
                noise=content.noise,
            ),
            draws=draw_numbers.join(content.draws),
            counts=counts if counts.flags.writeable else counts.copy(),
            seen=content.seen.copy(),
        )
        sound.check()
        return cls._holding(sound)

    # Certifying

    @overload
    def certify(
        self,
        *,
        sigma: float | ArrayLike | None = None,
        curve: str | Curve = "gaussian",
        radii: ArrayLike = (0.0,),
        thresholds: ArrayLike = (),
        alpha: float = 1e-3,
        band: Band | None = None,
        sides: Sides = "lower",
        statistic: Literal["mean"] = "mean",
        backend: Backend | None = None,
        threads: int | None = None,
        constant_within: ArrayLike | None = None,
    ) -> SketchCertificate: ...

    @overload
    def certify(
        self,
        *,
        sigma: float | ArrayLike | None = None,
        curve: str | Curve = "gaussian",
        radii: ArrayLike = (0.0,),
        thresholds: ArrayLike = (),
        alpha: float = 1e-3,
        band: Band | None = None,
        sides: Sides = "lower",
        statistic: Literal["probability", "quantile"],
        levels: ArrayLike,
        backend: Backend | None = None,
        threads: int | None = None,
        constant_within: ArrayLike | None = None,
    ) -> SketchLevelCertificate: ...

    def certify(
        self,
        *,
        sigma: float | ArrayLike | None = None,
        curve: str | Curve = "gaussian",
        radii: ArrayLike = (0.0,),
        thresholds: ArrayLike = (),
        alpha: float = 1e-3,
        band: Band | None = None,
        sides: Sides = "lower",
        statistic: Statistic = "mean",
        levels: ArrayLike = (),
        backend: Backend | None = None,
        threads: int | None = None,
        constant_within: ArrayLike | None = None,
    ) -> SketchCertificate | SketchLevelCertificate:
        """Certify every input by Theorem 2 with the edges as knots, or levels of its scores.

        `certify_scores` has the formula.

        Parameters
        ----------
        sigma : float or array-like, shape (n_inputs,), optional
            Noise level of all draws or of those of each input; by default the recorded one, which
            it must equal.
        curve, radii, thresholds, alpha, band, sides, statistic, levels, backend, threads
            As in `certify_scores`.
        constant_within : float or array-like, shape (n_inputs,), optional
            Radius of a ball around each input on which sigma is constant, as in `certify_scores`.

        Returns
        -------
        SketchLevelCertificate
            The result for a probability or a quantile. At edges, bounds on probabilities are those
            of `certify_scores` from the scores. Other levels and quantiles are moved to an edge on
            the safe side.
        SketchCertificate
            The result for the mean. Up to rounding, a lower bound is at most that of
            `certify_scores` from the scores with every draw as a knot, and below it by at most
            `loss`. An upper bound is at least that of `certify_scores`, and above it by at most
            `loss`. `smoothbound.sketch._certify.loss_of` has the proof.

        Raises
        ------
        TypeError, ValueError
            If an argument has the wrong type or is outside the range stated above, or if an input
            has no draws or too few to certify anything at this alpha.
        """
        with self._shared.lock:
            content = self._shared.current()
            noise, n_inputs = curve_of(curve), len(content.index)
            level = (
                levels_of.of_draws(content.sigma, sigma, content.index)
                if noise.has_scale
                else sigma_of(noise, sigma)
            )
            each = np.array(level) if isinstance(level, tuple) else None
            request = Request(
                sigma=min(level) if isinstance(level, tuple) else level,
                alpha=checks.alpha("alpha", alpha),
                score_range=content.score_range,
                radii=checks.floats("radii", radii),
                thresholds=checks.floats("thresholds", thresholds),
                method=Method.for_statistic(statistic, band=band) or Method("cdf", "ell"),
                sides=sides,
                statistic=statistic,
                levels=checks.floats("levels", levels),
                curve=noise,
            )
            how: dict[str, Any] = {"backend": backend, "threads": threads}
            made: SketchCertificate | SketchLevelCertificate
            if statistic == "mean":
                made = certify_each(partial(certify_content, **how), content, request, each)
            else:
                made = certify_each(partial(certify_levels, **how), content, request, each)
        if constant_within is None:
            return made
        return within(made, checks.distances("constant_within", constant_within, n_inputs))
