"""The draws of the inputs of an array, and the result of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from smoothbound.classes._device_counts import ClassCounter
from smoothbound.errors import ModelError
from smoothbound.sampling._jobs import Draws, Failure, Input
from smoothbound.sampling._sampler import Sampler
from smoothbound.smoothing._array.levels import Way
from smoothbound.smoothing._background import in_background
from smoothbound.smoothing._one_input.anytime_draws import AnytimeProcedure
from smoothbound.smoothing._one_input.fixed_draws import Procedure
from smoothbound.smoothing._one_input.result import InputResult

__all__ = ["Row", "sample"]


@dataclass(frozen=True, eq=False)
class Row(Input):
    """An input with its row in the certificate and its procedure."""

    row: int
    procedure: Procedure | AnytimeProcedure
    top_count: int = 0  # votes among the earlier draws


def sample(
    sampler: Sampler,
    x: NDArray[np.floating] | Tensor,
    rows: Iterable[Row],
    n_rows: int,
    way: Way,
    n0: int,
    progress: Callable[[int, int], object] | None,
    counter: ClassCounter | None = None,
) -> dict[int, InputResult]:
    """Sample rows of `x`, certify each in the background, and return the results by row.

    Parameters
    ----------
    sampler, x, n0, progress, counter
        As for `SmoothedClassifier.certify`.
    rows : iterable of Row
        The rows, each of which may have noise of its own.
    n_rows : int
        Number of the rows.
    way : Way
        The way of some of the rows, for everything that is the same for all rows.
    """
    results: dict[int, InputResult] = {}

    def certify(item: Row, outcome: Draws | Failure) -> None:
        votes = {"earlier_top_count": item.top_count} if item.top_count else {}
        result = item.procedure.certify(item.job, outcome, **votes)  # type: ignore[arg-type]
        if counter is not None:
            result = replace(result, class_counts=counter.packed(outcome))
        results[item.row] = result

    early = way.procedure.early_selection
    drawn = sampler.sample(rows, n0=n0, noise=way.noise, early_selection=early, counter=counter)
    try:
        with in_background(certify) as certify_later, closing(drawn) as outcomes:
            for done, (item, outcome) in enumerate(outcomes, 1):
                certify_later(item, outcome)
                if progress is not None:
                    progress(done, n_rows)
    except ModelError as error:
        if error.__cause__ is None:  # the model ran, so the shape is right
            raise
        one, most = tuple(x.shape[1:]), len(x)
        raise ModelError(
            f"{error}; x of shape {tuple(x.shape)} was read as {most} inputs of shape {one}. "
            "A single input is x[None]"
        ) from error.__cause__
    return results
