"""The results of a run as one table, with the counted scores of its inputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike, NDArray

from smoothbound._display.printable import printable
from smoothbound._display.rounding import exact
from smoothbound._utils import checks
from smoothbound._utils.extras import name_the_extra
from smoothbound._utils.renamed import formerly, renamed
from smoothbound.errors import StoreError
from smoothbound.store._settings import RunSettings
from smoothbound.store._table import packed_counts
from smoothbound.store._table.flat import flat
from smoothbound.store._table.schema import (
    SKETCH_EDGES,
    Status,
)

if TYPE_CHECKING:
    import pandas as pd

    from smoothbound.classes._class_sketch import ClassSketch
    from smoothbound.sketch._score_sketch import ScoreSketch

__all__ = [
    "Counted",
    "Results",
    "Totals",
    "as_array",
    "class_sketch_of",
    "sketch_of",
    "summary",
]


@dataclass(frozen=True)
class Totals:
    """Sums over the inputs of results.

    Attributes
    ----------
    by_status : dict of str to int
        Number of inputs with each status.
    n_selection, n_draws : int
        Number of selection draws and of estimation draws.
    seconds : float
    first_draws : tuple of int
        The smallest and the largest number of a first draw; 0 where the table has none.
    """

    by_status: dict[str, int]
    n_selection: int
    n_draws: int
    seconds: float
    first_draws: tuple[int, int]

    names: ClassVar[tuple[str, ...]] = (
        *("status", "n_selection", "n_draws", "seconds", "first_draw"),
    )

    @classmethod
    def of(cls, tables: Iterable[pa.Table]) -> Totals:
        """Add up those of the columns `names` that tables have."""
        by_status: Counter[str] = Counter()
        selection = draws = 0
        seconds, first = 0.0, list[int]()
        for table in tables:
            by_status.update(map(str, table["status"].to_pylist()))
            selection += int(as_array(table["n_selection"]).sum())
            draws += int(as_array(table["n_draws"]).sum())
            seconds += float(as_array(table["seconds"]).sum())
            if "first_draw" in table.column_names and len(table):
                numbers = as_array(table["first_draw"])
                first += [int(numbers.min()), int(numbers.max())]
        ends = (min(first, default=0), max(first, default=0))
        return cls(dict(by_status), selection, draws, seconds, ends)


class Counted:
    """Counts of inputs by their status."""

    totals: Totals

    @property
    def failed(self) -> int:
        """Number of inputs on which the model or the measure failed."""
        return self._count("failed")

    @property
    def stopped_by_budget(self) -> int:
        """Number of inputs whose adaptive draws a budget ended."""
        return self._count("budget")

    @property
    def stopped(self) -> int:
        """Number of inputs that were being drawn when the run was stopped."""
        return self._count("stopped")

    def _count(self, status: Status) -> int:
        return self.totals.by_status.get(status, 0)


@dataclass(frozen=True)
class Results(Counted):
    """The contents of a results folder. They never change, so threads may share them.

    Parameters
    ----------
    settings : RunSettings
        The settings of the run.
    table : pyarrow.Table
        One row per input, in the order of `index`; see `schema`. An unfinished run has the inputs
        that are finished, and those that were drawn when it was stopped.
    complete : bool
        Whether the run is finished.
    """

    settings: RunSettings
    table: pa.Table
    complete: bool

    def __len__(self) -> int:
        """Return the number of inputs in the table."""
        return self.table.num_rows

    def __repr__(self) -> str:
        return printable(f"Results of {summary(self.settings, len(self), self.complete)}")

    @cached_property
    def totals(self) -> Totals:  # type: ignore[override]
        """Sums over the inputs."""
        return Totals.of([self.table])

    unpaid = formerly("unpaid", "stopped_by_budget")

    @property
    def with_scores(self) -> NDArray[np.int64]:
        """Index of each input whose counted scores were kept; none if the draws were adaptive."""
        drawn = self.array("n_draws") > 0
        return np.asarray(self.array("index")[drawn & (self.settings.adaptive is None)])

    @renamed(inputs="index")
    def sketch(self, index: ArrayLike | None = None) -> ScoreSketch:
        """Return the counted scores of inputs, to certify them again.

        Each input takes 32 KiB. Certificates hold for all thresholds and radii. Choose alpha and
        the band before you look at the results, because the best of several choices fails more
        often than each of them.

        Parameters
        ----------
        index : array-like of int, optional
            Index of each input, each once; by default of all that did not fail.

        Raises
        ------
        StoreError
            If the draws were adaptive, no input has counted scores, or the counts are damaged.
            Counts of adaptive draws certify nothing by themselves, because the scores decided how
            many draws there are.
        """
        if self.settings.adaptive is not None:
            raise StoreError("adaptive draws leave no sketch: certify without --adaptive")
        if not len(self.with_scores):
            raise StoreError("no input has a sketch: none is finished, or all have failed")
        wanted = (
            self.with_scores
            if index is None
            else np.sort(np.atleast_1d(checks.array("index", index)))
        )
        if missing := np.setdiff1d(wanted, self.with_scores).tolist():
            raise StoreError(f"input {missing[0]} has no sketch: it is not there, or has failed")
        return sketch_of(
            self.settings, self.table.take(np.searchsorted(self.array("index"), wanted))
        )

    def class_sketch(self) -> ClassSketch:
        """Return the counts of all classes of the inputs that did not fail.

        Raises
        ------
        StoreError
            If the run did not count classes (``certify --classes``), no input has counts, or the
            counts are damaged.
        """
        return class_sketch_of(self.settings, self.table)

    def array(self, name: str) -> NDArray[Any]:
        """Return a column as an array of shape (n_inputs,), or (n_inputs, k) for a list column.

        Raises
        ------
        ValueError
            If there is no such column.
        """
        checks.choice("name", name, self.table.column_names)
        return as_array(self.table.column(name))

    def to_pandas(self) -> pd.DataFrame:
        """Return a data frame with one row for each input and one column for each number.

        Columns are named ``lower_<method>@R`` by the radius and ``radius_<method>@c`` by the
        threshold, both with all their digits. Counted scores and digests are left out.
        """
        with name_the_extra():
            import pandas as pd

        made = flat(self.table, self.settings)
        frame: pd.DataFrame = pd.DataFrame(
            {name: as_array(made[name]) for name in made.column_names}
        )
        return frame


def summary(settings: RunSettings, n_inputs: int, complete: bool) -> str:
    """Describe results in a line."""
    names = ", ".join(method.name for method in settings.methods)
    state = "complete" if complete else f"of {settings.n_inputs}, not complete"
    return (
        f"{n_inputs} inputs ({state}): {settings.measure} of {settings.arch} on "
        f"{settings.data}, {names}, n = {settings.n}, sigma = {exact(settings.sigma)}, "
        f"alpha = {exact(settings.alpha)}"
    )


def class_sketch_of(settings: RunSettings, table: pa.Table) -> ClassSketch:
    """Return the counts of all classes of the inputs of a table.

    Raises
    ------
    StoreError
        If there are none, or they are damaged.
    """
    from smoothbound.classes._kept import kept_sketch

    index, n_draws = as_array(table["index"]), as_array(table["n_draws"])
    packed = [b""] * len(table)
    if "class_counts" in table.column_names:
        packed = [bytes(one or b"") for one in table["class_counts"].to_pylist()]
    try:
        return kept_sketch(packed, index, n_draws, settings)
    except ValueError as error:
        raise StoreError(str(error)) from error


def sketch_of(settings: RunSettings, table: pa.Table) -> ScoreSketch:
    """Return the counted scores of the inputs of a table, all of which were kept.

    Raises
    ------
    StoreError
        If the counts are damaged, or more than memory holds.
    """
    from smoothbound.sketch._content import SketchContent, no_counts
    from smoothbound.sketch._score_sketch import ScoreSketch

    index, selected, n = (as_array(table[name]) for name in ("index", "selected", "n_draws"))
    try:
        counts = no_counts(len(table), SKETCH_EDGES)
    except ValueError as error:
        raise StoreError(f"name fewer inputs: {error}") from error
    try:
        for k, packed in enumerate(table["sketch"]):
            counts[k] = packed_counts.unpack(packed.as_py() or b"", counts.shape[1])
        return ScoreSketch.from_content(
            SketchContent(
                index=index,
                selected=selected,
                draws=np.column_stack([index, np.zeros_like(n), n]),
                counts=counts,
                edges=np.linspace(*settings.score_range, SKETCH_EDGES),
                measure=settings.measure,
                sigma=settings.sigma,
                displacement=settings.displacement,
                noise=settings.noise.kind,
            )
        )
    except (TypeError, ValueError) as error:
        raise StoreError(f"the sketches of the results are damaged: {error}") from error


def as_array(column: pa.ChunkedArray[Any]) -> NDArray[Any]:
    """Return a column as `Results.array` does."""
    if isinstance(column.type, pa.FixedSizeListType):
        values = pc.list_flatten(column).to_numpy()
        return np.asarray(values).reshape(len(column), column.type.list_size)
    return np.asarray(column.to_numpy())
