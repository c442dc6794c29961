"""Certified accuracy of a classifier, from certificates of inputs with known labels.

**Certified accuracy** at radius R and threshold c is the share of *all* inputs whose predicted
class is the true one, without abstention, and whose confidence is certified to stay *strictly*
above c at every point within R. An `Evaluation` holds the numbers for this, from any kind of file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from smoothbound._display.printable import printable
from smoothbound._utils import checks
from smoothbound._utils.renamed import formerly
from smoothbound.analysis._statistics.accuracy import UNKNOWN, AccuracyCurves, share
from smoothbound.analysis._statistics.correlation import FEW, correlation
from smoothbound.analysis._statistics.rows import Bounds, Floats, Ints, Rows, require_shapes
from smoothbound.analysis._statistics.sketches import StoredSketches
from smoothbound.analysis._statistics.steps import Steps
from smoothbound.curves._curve import Curve
from smoothbound.curves._named import GAUSSIAN
from smoothbound.curves._named import curve as curve_of

if TYPE_CHECKING:
    from smoothbound.classes._class_sketch import ClassSketch
    from smoothbound.sketch._score_sketch import ScoreSketch

__all__ = [
    "FEW",
    "UNKNOWN",
    "WITHOUT_DRAWS",
    "AccuracyCurves",
    "Bounds",
    "Evaluation",
    "Rows",
    "StoredSketches",
    "correlation",
    "share",
]

WITHOUT_DRAWS = "inputs whose selected class is not the label took no draws (--correct-only)"
"""The reason why statistics of all inputs are not known for a run."""

_AT_A_TIME = 1000  # number of inputs whose counts are in memory together: 32 MiB


def _range_of_measure(name: str, value: Any) -> tuple[float, float]:
    """Return a range that may be infinite, as for a quantile."""
    ends = checks.vector(name, value)
    if len(ends) == 2 and np.isinf(ends).any() and ends[0] < ends[1]:
        return float(ends[0]), float(ends[1])
    return checks.score_range(name, value)


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "name": partial(checks.instance, kind=str),
    "score_range": _range_of_measure,
    "radii": checks.radii,
    "index": checks.positions,
    "label": checks.positions,
    "predicted": checks.positions,
    "bounds": lambda name, values: tuple(checks.items(name, values, Bounds)),
    "thresholds": checks.vector,
    "class_radius": lambda name, values: None if values is None else checks.vector(name, values),
    "scores": partial(checks.optional, kind=StoredSketches),
    "correct_only": checks.flag,
    "title": partial(checks.instance, kind=str),
    "curve": lambda _, value: curve_of(value),
}


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation(AccuracyCurves):
    """Certificates of labelled inputs, by one or more methods.

    Certified accuracy as a function of the radius and of the threshold is described at
    `AccuracyCurves`, whose methods an evaluation has.

    Parameters
    ----------
    name : str
        Its name in figures, tables and files.
    measure : str
        Name of the confidence measure, such as ``"score"``.
    score_range : tuple of float
        Range (a, b) of the measure; a quantile may have an infinite one.
    radii : ndarray, shape (n_radii,)
        Radii of `Bounds.lower`, increasing, in the units of the input.
    index, label, predicted : ndarray of int64, shape (n_inputs,)
        Position in the data set, true class and predicted class (-1: abstained).
    bounds : tuple of Bounds
        One for each method. The last one represents the evaluation if only one can be shown.
    thresholds : ndarray, shape (n_thresholds,)
        Thresholds of `Bounds.radius`.
    class_radius : ndarray, shape (n_inputs,), optional
        Certified radius of the predicted class (Cohen et al. 2019); NaN if it is unknown.
    sigma : float, optional
        Standard deviation of the noise, in the units of the input, if it is known; for another
        curve its scale.
    curve : Curve
        The noise, and the distance of the radii.
    notes : tuple of str
        How the certificates were made, one sentence each.
    alpha : float, optional
        Failure probability of each certificate, if it is known.
    scores : StoredSketches, optional
        The counted scores of the inputs, or of some of them, if they were kept.
    data, network : str, optional
        The names of the images and of the network, if they are known.
    adaptive : bool
        Whether drawing stopped once the question about `thresholds` was answered. The bounds hold
        for other thresholds too, but no draws were made for these, so they count as unknown.
    correct_only : bool
        Whether inputs whose selected class is not the label took no draws. Certified accuracy is
        then known, but not statistics of all inputs: abstention, mean confidence and calibration.
    labelled : bool
        Whether `label` is known. If not, it is the predicted class, or 0 if there is none.
    title : str
        The title of its figures; by default the name.
    origin : tuple of str
        How to make the certificates again and when they were made, one sentence each.
    sum_error : float
        Largest difference of the sum of the scores of all classes from 1; by default the error of a
        softmax of a thousand classes in float32.
    axis : tuple of float, optional
        The finite part of the range for figures and default thresholds; by default the range. It
        must be stated if the range is infinite.
    classes : callable, optional
        A function that takes positions in the data set of inputs whose scores were kept, ascending,
        and returns the counts of the scores of all classes of these inputs, if they were kept.

    Raises
    ------
    ValueError
        If there are no inputs, no radii or no methods, if shapes disagree, if `radii` do not
        increase, or if the range is infinite and there is no `axis`.

    Examples
    --------
    >>> from smoothbound.bounds import Method
    >>> evaluation = Evaluation(
    ...     name="four inputs", measure="score", score_range=(0.0, 1.0),
    ...     radii=np.array([0.0, 0.5]), index=np.arange(4),
    ...     label=np.array([1, 1, 1, 1]), predicted=np.array([1, 1, 2, -1]),
    ...     bounds=(Bounds(Method("mean"), np.array([[.9, .6], [.8, .5], [.9, .9], [.4, .1]])),))
    >>> evaluation.counts(evaluation.bounds[0], [0.5]).ravel()  # the 2nd is not *above* 0.5
    array([2, 1])
    """

    name: str
    measure: str
    score_range: tuple[float, float]
    radii: Floats
    index: Ints
    label: Ints
    predicted: Ints
    bounds: tuple[Bounds, ...]
    thresholds: Floats = field(default_factory=lambda: np.empty(0))
    class_radius: Floats | None = None
    sigma: float | None = None
    notes: tuple[str, ...] = ()
    alpha: float | None = None
    scores: StoredSketches | None = None
    data: str | None = None
    network: str | None = None
    adaptive: bool = False
    correct_only: bool = False
    labelled: bool = True
    title: str = ""
    origin: tuple[str, ...] = ()
    sum_error: float = 1e-4
    axis: tuple[float, float] | None = None
    classes: Callable[[Ints], ClassSketch] | None = None
    curve: Curve = GAUSSIAN

    def __repr__(self) -> str:
        labels = ", ".join(one.method.label for one in self.bounds)
        return printable(
            f"Evaluation of {self.n_inputs} inputs ({self.name}): {self.measure}, {labels}"
        )

    def __post_init__(self) -> None:
        for name, check in _CHECKS.items():
            object.__setattr__(self, name, check(name, getattr(self, name)))
        if not self.title:
            object.__setattr__(self, "title", self.name)
        checks.score_range("axis", self.shown_range)
        names = ("label", "predicted", "class_radius")
        by_input = {name: getattr(self, name) for name in names}
        require_shapes(self.name, self.index, self.radii, self.thresholds, self.bounds, by_input)

    def rows(
        self,
        bounds: Bounds | None = None,
        *,
        lower: bool = False,
        radius: bool = False,
        class_radius: bool = False,
    ) -> Iterator[Rows]:
        """Yield all inputs in order, in parts, with the requested data of `bounds`."""
        yield Rows(
            self.index,
            self.label,
            self.predicted,
            bounds.lower if lower and bounds is not None else None,
            bounds.radius if radius and bounds is not None else None,
            self.class_radius if class_radius else None,
        )

    def changed(self, **values: Any) -> Evaluation:
        """Return the evaluation with other values of fields that are not by input."""
        return replace(self, **values)

    @property
    def n_inputs(self) -> int:
        """Number of inputs."""
        return len(self.index)

    @property
    def sample(self) -> Evaluation:
        """The inputs, or as many evenly spread ones as fit in memory."""
        return self

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Whether the predicted class of each input is the true one, without abstention."""
        return Rows(self.index, self.label, self.predicted).correct

    @property
    def n_correct(self) -> int:
        """Number of correct inputs."""
        return sum(int(rows.correct.sum()) for rows in self.rows())

    @property
    def n_abstained(self) -> int:
        """Number of inputs on which the classifier abstains or sampling failed.

        Raises
        ------
        ValueError
            If it is unknown, because inputs with a wrong class took no draws.
        """
        self.require_all_classes("abstention")
        return sum(int((rows.predicted < 0).sum()) for rows in self.rows())

    @property
    def abstained(self) -> NDArray[np.bool_]:
        """Whether the classifier abstains on each input, or its sampling failed.

        Raises
        ------
        ValueError
            If it is unknown, because inputs with a wrong class took no draws.
        """
        self.require_all_classes("abstention")
        without: NDArray[np.bool_] = self.predicted < 0
        return without

    def require_all_classes(self, what: str) -> None:
        """Refuse statistics of all inputs if inputs with a wrong class took no draws.

        Raises
        ------
        ValueError
            If so. The error names the statistic `what`.
        """
        if self.correct_only:
            raise ValueError(
                f"{what} of {self.name} is not known: {WITHOUT_DRAWS}; certify without "
                "--correct-only"
            )

    @property
    def with_scores(self) -> Ints:
        """Positions in the data set of the inputs whose counted scores were kept, ascending."""
        kept = np.empty(0, np.int64) if self.scores is None else self.scores.index
        return np.intersect1d(self.index, kept)

    def sketch(self, index: Ints | Sequence[int]) -> ScoreSketch:
        """Return the counted scores of some inputs.

        Parameters
        ----------
        index : ndarray of int64
            Positions in the data set, ascending.

        Raises
        ------
        ValueError
            If there are no positions, or the scores of an input were not kept.
        """
        wanted = checks.positions("index", index)
        missing = np.setdiff1d(wanted, self.with_scores)
        if self.scores is None or len(missing) or not len(wanted):
            which = f"input {missing[0]}" if len(missing) else "any input"
            raise ValueError(f"index: {self.name} has no counted scores of {which}")
        return self.scores.read(wanted)

    def sketches(self, index: Ints | Sequence[int]) -> Iterator[ScoreSketch]:
        """Yield the counted scores of some inputs, a few at a time, in order.

        Parameters
        ----------
        index : ndarray of int64
            Positions in the data set, ascending; each is 32 KiB of counts.

        Raises
        ------
        ValueError
            If the scores of an input were not kept.
        """
        wanted = checks.positions("index", index)
        if len(wanted) and self.scores is not None and self.scores.stream is not None:
            yield from self.scores.stream(wanted)
            return
        for start in range(0, len(wanted), _AT_A_TIME):
            yield self.sketch(wanted[start : start + _AT_A_TIME])

    @property
    def paired(self) -> NDArray[np.bool_]:
        """Whether each input has both a certified confidence and a certified class radius."""
        if self.class_radius is None:
            return np.zeros(len(self.index), dtype=np.bool_)
        both: NDArray[np.bool_] = (self.predicted >= 0) & np.isfinite(self.class_radius)
        return both

    def row(self, index: int) -> int:
        """Return the position of the input with this `index` in the data set.

        Raises
        ------
        ValueError
            If that input was not certified.
        """
        rows = np.flatnonzero(self.index == checks.count("index", index, 0))
        if not len(rows):
            raise self._without(index)
        return int(rows[0])

    def require(self, index: int) -> None:
        """Raise a ValueError if this input was not certified."""
        if not any((rows.index == index).any() for rows in self.rows()):
            raise self._without(index)

    def _without(self, index: int) -> ValueError:
        """Return the error about an input that was not certified."""
        ends = [(rows.index.min(), rows.index.max()) for rows in self.rows() if len(rows.index)]
        return ValueError(
            f"index: {self.name} has no input {index}; it has {self.n_inputs} inputs "
            f"from {min(low for low, _ in ends)} to {max(high for _, high in ends)}"
        )

    def select(self, index: Ints) -> Evaluation:
        """Keep the inputs at these positions in the data set, in the order of `index`.

        Raises
        ------
        ValueError
            If an input was not certified.
        """
        wanted = checks.positions("index", index)
        order = np.argsort(self.index, kind="stable")
        places = np.searchsorted(self.index, wanted, sorter=order)
        rows = order[np.minimum(places, len(order) - 1)]
        unknown = wanted[self.index[rows] != wanted]
        if unknown.size:
            raise self._without(int(unknown[0]))
        return replace(
            self,
            index=self.index[rows],
            label=self.label[rows],
            predicted=self.predicted[rows],
            bounds=tuple(
                replace(
                    one,
                    lower=one.lower[rows],
                    radius=None if one.radius is None else one.radius[rows],
                )
                for one in self.bounds
            ),
            class_radius=None if self.class_radius is None else self.class_radius[rows],
        )

    only = formerly("only", "select")

    def typical(self) -> int | None:
        """Return the index of the correct input of median confidence at the smallest radius.

        The result is None if no input is correct.
        """
        steps = Steps()
        for values, _ in self._nearest():
            steps.add(values)
        total = steps.total
        if not total:
            return None
        # The value of this rank, and the position among the inputs with this value.
        rank = total // 2
        place = int(np.argmax(total - steps.above > rank))
        skipped = rank - (total - int(steps.at_least[place]))
        value = steps.values[place]
        for values, index in self._nearest():
            alike = index[values == value]
            if skipped < len(alike):
                return int(alike[skipped])
            skipped -= len(alike)
        return None

    def _nearest(self) -> Iterator[tuple[Floats, Ints]]:
        """Yield the confidence of correct inputs at the smallest radius, and their index."""
        for rows in self.rows(self.bounds[-1], lower=True):
            assert rows.lower is not None
            yield rows.lower[rows.correct, 0], rows.index[rows.correct]
