"""Checks of the numbers of a results folder: each must be one that a run can write."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothbound.errors import StoreError
from smoothbound.store._schema import STATUSES
from smoothbound.store._settings import RunSettings

__all__ = ["require_sound"]

_ROUNDING = 1e-6  # of the range: how far outside it a mean of float32 scores may lie
Columns = Callable[[str], NDArray[Any]]


def require_sound(where: str | Path, settings: RunSettings, column: Columns) -> None:
    """Check every number of a results table.

    Parameters
    ----------
    where : str or Path
        Place of the table, for the error.
    settings : RunSettings
    column : callable
        Returns a column of the table by its name.

    Raises
    ------
    StoreError
        If an input is there twice, or a number cannot be right. The error names the input and the
        column.
    """
    index = column("index")
    for name, values, right, needed in _rules(settings, column):
        if not right.all():
            row = np.unravel_index(int(np.argmin(right)), right.shape)
            raise StoreError(
                f"{where}: {name} of input {index[row[0]]} must be {needed}, got {values[row]}"
            )


def _rules(
    settings: RunSettings, column: Columns
) -> Iterator[tuple[str, NDArray[Any], NDArray[np.bool_], str]]:
    """Yield for each column its name, its values, a mask of the right ones, and the rule."""
    a, b = settings.score_range
    n = settings.n

    index, selected, predicted = column("index"), column("selected"), column("predicted")
    yield "index", index, (index >= 0) & (np.diff(index, prepend=-1) != 0), "at least 0, and once"
    yield "selected", selected, selected >= -1, "a class, or -1"
    status = column("status")
    yield "status", status, np.isin(status, STATUSES), f"one of {', '.join(STATUSES)}"
    has_class = np.isin(status, ("certified", "misclassified"))
    has_class |= np.isin(status, ("budget", "stopped")) & (predicted != -1)
    right = predicted == np.where(has_class, selected, -1)
    yield "predicted", predicted, right, "the selected class, or -1, as the status says"
    selection = column("n_selection")
    right = (selection >= 0) & (selection <= settings.n0)
    yield "n_selection", selection, right, f"from 0 to {settings.n0}"
    draws, top = column("n_draws"), column("top_count")
    yield "n_draws", draws, (draws >= 0) & (draws <= n), f"from 0 to {n}"
    yield "top_count", top, (top >= 0) & (top <= n), f"from 0 to {n}"
    seconds = column("seconds")
    yield "seconds", seconds, (seconds >= 0) & np.isfinite(seconds), "finite and at least 0"
    mean, slack = column("mean_score"), _ROUNDING * (b - a)
    right = np.isnan(mean) | ((mean >= a - slack) & (mean <= b + slack))
    yield "mean_score", mean, right, f"in [{a}, {b}], or NaN"
    radii = ["class_radius", *(f"radius_{method.name}" for method in settings.methods)]
    for name in radii:
        values = column(name)
        right = np.isnan(values) | ((values >= 0) & np.isfinite(values))
        yield name, values, right, "finite and at least 0, or NaN"
    for name in (f"lower_{method.name}" for method in settings.methods):
        values = column(name)
        right = np.isnan(values) | ((values >= a - slack) & (values <= b))
        yield name, values, right, f"in [{a}, {b}], or NaN"
