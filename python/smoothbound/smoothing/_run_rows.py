"""The inputs of a run that are not finished, and the rows that it writes for them."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothbound._display.outlook import Outlook
from smoothbound.anytime._job.earlier import Earlier
from smoothbound.anytime._job.job import Job as AdaptiveJob
from smoothbound.classes._device_counts import ClassCounter
from smoothbound.data._loading import Dataset
from smoothbound.sampling._jobs import Draws, Failure, Input
from smoothbound.sketch._content import SketchContent, no_counts
from smoothbound.sketch._draws import counting
from smoothbound.smoothing._going_on import (
    Before,
    digest_of,
    kept_after_failure,
)
from smoothbound.smoothing._one_input.anytime_draws import AnytimeProcedure
from smoothbound.smoothing._one_input.fixed_draws import Procedure
from smoothbound.smoothing._one_input.kept_state import earlier_of
from smoothbound.smoothing._one_input.result import InputResult
from smoothbound.store._settings import RunSettings
from smoothbound.store._table import packed_counts
from smoothbound.store._table.schema import SKETCH_EDGES
from smoothbound.store._writer import Writer

__all__ = ["Items", "RowWriter"]


@dataclass(frozen=True, eq=False)
class _Labelled(Input):
    """An input of a data set, its label, and the digest of both."""

    label: int
    digest: bytes
    earlier: Mapping[str, Any] | None  # its row, if it was stopped

    def draws(self) -> tuple[float, float]:
        """Return the draws of an adaptive job so far, and an estimate of those that follow."""
        assert isinstance(self.job, AdaptiveJob)
        return self.job.test.next_draw - self.first_draw, self.job.forecast


class Items:
    """The inputs of a run that are not finished, each with its job.

    Parameters
    ----------
    dataset, indices
        The data set and the indices of the inputs.
    procedure : Procedure or AnytimeProcedure
        Makes the jobs.
    before : Before or None
        The run after which the inputs are drawn further.
    writer : Writer
        The writer, which knows the rows that its folder holds.
    """

    def __init__(
        self,
        dataset: Dataset,
        indices: Sequence[int],
        procedure: Procedure | AnytimeProcedure,
        before: Before | None,
        writer: Writer,
    ) -> None:
        self.procedure = procedure
        self._dataset, self._before = dataset, before
        self._stopped = dict(writer.stopped)
        self._failed = frozenset(before.failed if before is not None else ())
        done = frozenset(writer.done)
        self._left = [i for i in indices if i not in done]

    def waiting(self, outlook: Outlook | None = None) -> Iterator[_Labelled]:
        """Yield the inputs to draw, and add each to an outlook."""
        for i in self._left:
            if i not in self._failed:
                item = self._item(i)
                if outlook is not None:
                    outlook.begin(i, item.draws)
                yield item

    def failed_before(self) -> Iterator[tuple[_Labelled, Failure]]:
        """Yield the inputs that failed in the earlier run, and have no class to draw further."""
        for i in self._left:
            if i in self._failed:
                assert self._before is not None
                reason = self._before.row(i)["reason"]
                yield self._item(i), Failure("before", reason.removeprefix("failed: "))

    def _item(self, i: int) -> _Labelled:
        image, label = self._dataset[i]
        row, procedure = self._stopped.get(i), self.procedure
        job, first_draw = procedure.job(label), 0
        if isinstance(procedure, AnytimeProcedure):
            job = procedure.job(label, self._earlier(i, row, procedure))
            first_draw = job.test.next_draw
        return _Labelled(image, i, job, label, digest_of(image, label), row, first_draw=first_draw)

    def _earlier(
        self, i: int, row: Mapping[str, Any] | None, procedure: AnytimeProcedure
    ) -> Earlier | None:
        """Return the earlier draws of an input; None if it has none."""
        if row is not None:
            return earlier_of(row)
        if self._before is None or i in self._failed:
            return None
        return procedure.following(self._before.row(i))


class RowWriter:
    """Certifies sampled inputs and writes a row of the results for each."""

    def __init__(
        self,
        settings: RunSettings,
        procedure: Procedure | AnytimeProcedure,
        writer: Writer,
        counter: ClassCounter | None = None,
    ) -> None:
        self._settings, self._procedure, self._writer = settings, procedure, writer
        self._counter = counter
        self._follows = isinstance(procedure, AnytimeProcedure) and procedure.follows is not None
        self._last = time.perf_counter()

    def __call__(self, item: _Labelled, outcome: Draws | Failure) -> None:
        row = self._row(item, outcome)
        if row is None:
            return
        seconds = 0.0 if item.earlier is None else item.earlier["seconds"]
        now = time.perf_counter()
        self._writer.append(row | {"seconds": seconds + now - self._last})
        self._last = now

    def _row(self, item: _Labelled, outcome: Draws | Failure) -> dict[str, object] | None:
        """Return the row of an input; None if an interruption left its draws uncounted."""
        if isinstance(outcome, Failure) and item.earlier is not None and item.earlier["state"]:
            return kept_after_failure(item.earlier, outcome)
        result = self._result(item, outcome)
        if result is None:
            return None
        sketch = b""
        if isinstance(outcome, Draws) and isinstance(self._procedure, Procedure):
            sketch = _sketch(outcome.scores, self._settings)
        row: dict[str, object] = {
            "index": item.index,
            "label": item.label,
            "digest": item.digest,
            "sketch": sketch,
        }
        if self._counter is not None:
            result = replace(result, class_counts=self._counter.packed(outcome))
        row |= _columns(result, self._settings)
        if self._follows:
            assert isinstance(item.job, AdaptiveJob)
            row["first_draw"] = item.job.test.first_draw
        return row

    def _result(self, item: _Labelled, outcome: Draws | Failure) -> InputResult | None:
        """Return the result of an input; None if an interruption left its draws uncounted."""
        if isinstance(self._procedure, Procedure):
            return self._procedure.certify(item.job, outcome)
        assert isinstance(item.job, AdaptiveJob)
        n_draws = item.job.test.next_draw - item.first_draw
        if isinstance(outcome, Draws) and len(outcome.scores) != n_draws:
            return None
        top_count = item.earlier["top_count"] if item.earlier is not None else 0
        return self._procedure.certify(item.job, outcome, top_count)


def _columns(result: InputResult, settings: RunSettings) -> dict[str, object]:
    """Return the columns of the results table that hold the result of an input."""
    columns: dict[str, object] = {
        name: getattr(result, name)
        for name in (field.name for field in fields(result))
        if name != "bounds" and (name != "class_counts" or settings.classes is not None)
    }
    for method, bounds in zip(settings.methods, result.bounds, strict=True):
        assert bounds.lower is not None  # results are about the lower side alone
        assert bounds.radius is not None
        columns[f"lower_{method.name}"] = bounds.lower.tolist()
        columns[f"radius_{method.name}"] = bounds.radius.tolist()
        if settings.both_answers:
            none = [math.nan] * len(settings.thresholds)
            shown = bounds.unreachable
            columns[f"unreachable_{method.name}"] = none if shown is None else shown.tolist()
    return columns


def _sketch(scores: NDArray[np.float32], settings: RunSettings) -> bytes:
    """Count the scores of one input over the edges of a results folder, and pack the counts."""
    one = np.zeros(1, np.int64)
    content = SketchContent(
        index=one,
        selected=one,
        draws=np.array([[0, 0, scores.size]]),
        counts=no_counts(1, SKETCH_EDGES),
        edges=np.linspace(*settings.score_range, SKETCH_EDGES),
        measure=settings.measure,
        sigma=settings.sigma,
    )
    counting.count(content, scores[None], one, content.draws, backend=None, threads=None)
    return packed_counts.pack(content.counts[0])
