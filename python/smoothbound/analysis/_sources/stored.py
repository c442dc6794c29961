"""An evaluation whose inputs are on the disk and are read in parts for each statistic."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from smoothbound._utils import checks
from smoothbound.analysis._statistics.rows import Bounds, Floats, Ints, Rows
from smoothbound.analysis._statistics.sketches import StoredSketches
from smoothbound.analysis.evaluation import Evaluation
from smoothbound.bounds._method import Method
from smoothbound.store._results import as_array
from smoothbound.store._stored import StoredResults

__all__ = ["MOST_IN_MEMORY", "StoredEvaluation", "in_memory"]

MOST_IN_MEMORY = 2**17
"""The largest number of inputs whose certificates are held in memory."""

_SAMPLE = 2**14  # inputs that represent all inputs in figures of single inputs


def in_memory(
    stored: StoredResults,
    fields: dict[str, Any],
    *,
    searched: bool,
    every: int = 1,
    only: Ints | None = None,
) -> Evaluation:
    """Read the certificates of a results folder into memory.

    Parameters
    ----------
    stored : StoredResults
    fields : dict
        The fields of the evaluation that are not by input.
    searched : bool
        Whether the certified radii of thresholds are part of it.
    every : int
        Read every `every`-th input.
    only : ndarray of int64, optional
        Positions of the inputs to read, ascending; by default all.
    """
    methods = [method.name for method in stored.settings.methods]
    names = ["index", "label", "predicted", "class_radius", "n_draws"]
    names += [f"{kind}_{method}" for method in methods for kind in ("lower", "radius")]
    parts: list[pa.Table] = []
    before = 0
    for table in stored.batches(names, index=only):
        parts.append(table.take(np.arange(-before % every, len(table), every)))
        before += len(table)
    whole = pa.concat_tables(parts)

    def column(name: str) -> NDArray[Any]:
        return as_array(whole[name])

    order = _columns(stored)
    kept = column("index")[column("n_draws") > 0]
    if stored.settings.adaptive is not None:
        kept = kept[:0]
    return Evaluation(
        **fields,
        index=column("index"),
        label=column("label"),
        predicted=column("predicted"),
        class_radius=column("class_radius"),
        bounds=tuple(
            Bounds(
                method,
                column(f"lower_{method.name}")[:, order],
                column(f"radius_{method.name}") if searched else None,
            )
            for method in stored.settings.methods
        ),
        scores=StoredSketches(kept, stored.sketch, stored.sketches),
        classes=None if stored.settings.classes is None else stored.class_sketch,
    )


def _columns(stored: StoredResults) -> Ints:
    """Return the positions of the different radii among those of the settings, ascending."""
    _, places = np.unique(np.asarray(stored.settings.radii), return_index=True)
    return np.asarray(places)


class _StoredBounds(Bounds):
    """The certificates of every input by one method, which are read on request."""

    _inputs: _Inputs
    _searched: bool

    def __init__(self, inputs: _Inputs, method: Method, searched: bool) -> None:
        vars(self).update(method=method, _inputs=inputs, _searched=searched)

    @property
    def has_radius(self) -> bool:
        return self._searched

    @property
    def lower(self) -> Floats:
        parts = self._inputs.rows(self, lower=True)
        return np.concatenate([rows.lower for rows in parts if rows.lower is not None])

    @property
    def radius(self) -> Floats | None:
        if not self.has_radius:
            return None
        parts = self._inputs.rows(self, radius=True)
        return np.concatenate([rows.radius for rows in parts if rows.radius is not None])


@dataclass(frozen=True, eq=False)
class _Inputs:
    """The inputs of stored results, or those at some positions."""

    stored: StoredResults
    only: Ints | None

    def rows(
        self,
        bounds: Bounds | None = None,
        *,
        lower: bool = False,
        radius: bool = False,
        class_radius: bool = False,
    ) -> Iterator[Rows]:
        """Yield all inputs; see `Evaluation.rows`."""
        names = ["index", "label", "predicted"]
        of_lower = f"lower_{bounds.method.name}" if lower and bounds is not None else None
        of_radius = f"radius_{bounds.method.name}" if radius and bounds is not None else None
        names += [name for name in (of_lower, of_radius) if name is not None]
        names += ["class_radius"] if class_radius else []
        order = _columns(self.stored)
        for table in self.stored.batches(names, index=self.only):
            index, label, predicted = (as_array(table[name]) for name in names[:3])
            yield Rows(
                index,
                label,
                predicted,
                None if of_lower is None else as_array(table[of_lower])[:, order],
                None if of_radius is None else as_array(table[of_radius]),
                as_array(table["class_radius"]) if class_radius else None,
            )


class StoredEvaluation(Evaluation):
    """An evaluation of more inputs than are held in memory.

    Every statistic reads the inputs once, in parts. Arrays by input, such as `index`, are read
    completely on request.

    Parameters
    ----------
    stored : StoredResults
        The results, which must stay open.
    fields : dict
        The fields of the evaluation that are not by input, all of them.
    searched : bool
        Whether the certified radii of thresholds are part of it.
    only : ndarray of int64, optional
        Positions of the inputs of the evaluation, ascending; by default all.
    """

    _stored: StoredResults
    _fields: dict[str, Any]
    _has_radii: bool
    _only: Ints | None
    _counted: dict[tuple[str, float], Ints]  # by method and threshold: at each radius
    _radial: dict[tuple[str, float], tuple[Floats, Floats, bool]]  # by method and threshold
    _within: dict[tuple[str, int, bytes], Ints]  # by method, place of the threshold, and radii

    def __init__(
        self,
        stored: StoredResults,
        fields: dict[str, Any],
        *,
        searched: bool,
        only: Ints | None = None,
    ) -> None:
        methods = stored.settings.methods
        inputs = _Inputs(stored, only)
        bounds = tuple(_StoredBounds(inputs, method, searched) for method in methods)
        vars(self).update(fields, bounds=bounds, _stored=stored, _fields=fields, _only=only)
        vars(self).update(_has_radii=searched, _counted={}, _radial={}, _within={})

    def __repr__(self) -> str:
        return f"Stored{super().__repr__()}"

    def rows(self, bounds: Bounds | None = None, **which: bool) -> Iterator[Rows]:
        """Yield all inputs in order, in parts, with the requested data of `bounds`."""
        yield from _Inputs(self._stored, self._only).rows(bounds, **which)

    def changed(self, **values: Any) -> Evaluation:
        """Return the evaluation with other values of some fields, none of which is by input."""
        return self._made(self._fields | values, self._only)

    @property
    def n_inputs(self) -> int:
        """Number of inputs."""
        return len(self._stored) if self._only is None else len(self._only)

    @cached_property
    def sample(self) -> Evaluation:
        """Evenly spread inputs, as many as are held in memory."""
        every = -(-self.n_inputs // _SAMPLE)
        if self._only is None:
            return self._read(every=every)
        return self._read(only=self._only[::every])

    def _read(self, **which: Any) -> Evaluation:
        return in_memory(self._stored, self._fields, searched=self._has_radii, **which)

    def counts(self, bounds: Bounds, thresholds: Sequence[float]) -> Ints:
        """Count the correct inputs certified strictly above each threshold at each radius."""
        known = self._counted
        at = checks.vector("thresholds", thresholds).tolist()
        new = sorted({c for c in at if (bounds.method.name, c) not in known})
        if new:
            found = super().counts(bounds, new)
            known.update({(bounds.method.name, c): found[:, j] for j, c in enumerate(new)})
        return np.stack([known[bounds.method.name, c] for c in at], axis=1)

    def by_radius(self, bounds: Bounds, threshold: float) -> tuple[Floats, Floats, bool]:
        """Return the certified accuracy at a threshold as a function of the radius."""
        checks.instance("bounds", bounds, Bounds)
        key = bounds.method.name, self.checked_threshold(threshold)
        if key not in self._radial:
            self._radial[key] = super().by_radius(bounds, threshold)
        radius, accuracy, exact = self._radial[key]
        return radius.copy(), accuracy.copy(), exact

    def _reached(self, bounds: Bounds, place: int, radii: Floats) -> Ints:
        key = bounds.method.name, place, radii.tobytes()
        if key not in self._within:
            self._within[key] = super()._reached(bounds, place, radii)
        found: Ints = self._within[key].copy()
        return found

    def select(self, index: Ints) -> Evaluation:
        """Keep the inputs at these positions in the data set, ascending.

        Raises
        ------
        ValueError
            If an input was not certified, or the positions do not ascend.
        """
        wanted = checks.positions("index", index)
        if (np.diff(wanted) <= 0).any():
            raise ValueError(f"index must ascend, because {self.name} is read from the disk")
        tables = self._stored.batches(["index"], index=wanted)
        held = np.concatenate([np.empty(0, np.int64), *(as_array(one["index"]) for one in tables)])
        if self._only is not None:
            held = np.intersect1d(held, self._only)
        if (unknown := np.setdiff1d(wanted, held)).size:
            raise self._without(int(unknown[0]))
        if len(wanted) <= MOST_IN_MEMORY:
            return self._read(only=wanted)
        return self._made(self._fields, wanted)

    def _made(self, fields: dict[str, Any], only: Ints | None) -> StoredEvaluation:
        return StoredEvaluation(self._stored, fields, searched=self._has_radii, only=only)

    # The arrays by input, read whole

    @property
    def index(self) -> Ints:
        """Position of each input in the data set."""
        return np.concatenate([rows.index for rows in self.rows()])

    @property
    def label(self) -> Ints:
        """True class of each input."""
        return np.concatenate([rows.label for rows in self.rows()])

    @property
    def predicted(self) -> Ints:
        """Predicted class of each input."""
        return np.concatenate([rows.predicted for rows in self.rows()])

    @property
    def class_radius(self) -> Floats:
        """Certified radius of the class of each input."""
        parts = [rows.class_radius for rows in self.rows(class_radius=True)]
        return np.concatenate([part for part in parts if part is not None])

    @property
    def scores(self) -> StoredSketches | None:
        """The counted scores of the inputs of `sample`."""
        return self.sample.scores

    @property
    def with_scores(self) -> Ints:
        """Positions of the inputs of `sample` whose counted scores were kept, ascending."""
        return self.sample.with_scores
