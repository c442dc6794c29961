"""Checks of the numbers of a results folder: each must be one that a run can write."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothbound.errors import StoreError
from smoothbound.store._settings import RunSettings
from smoothbound.store._table.schema import STATUSES

__all__ = ["require_sound"]

_ROUNDING = 1e-6  # of the range: how far outside it a mean of float32 scores may lie
Columns = Callable[[str], NDArray[Any]]


def require_sound(
    where: str | Path,
    settings: RunSettings,
    column: Columns,
    *,
    names: Collection[str] | None = None,
    after: int = -1,
) -> None:
    """Check the numbers of a results table, or of some of its rows.

    Parameters
    ----------
    where : str or Path
        Place of the table, for the error.
    settings : RunSettings
    column : callable
        Returns a column of the table by its name.
    names : collection of str, optional
        The columns to check; by default all. `index` must be there, and `selected` and `status`
        with `predicted`.
    after : int
        Largest index before these rows.

    Raises
    ------
    StoreError
        If an input is there twice, or a number cannot be right. The error names the input and the
        column.
    """
    index = column("index")
    for name, values, right, needed in _rules(settings, column, names, after):
        if not right.all():
            row = np.unravel_index(int(np.argmin(right)), right.shape)
            raise StoreError(
                f"{where}: {name} of input {index[row[0]]} must be {needed}, got {values[row]}"
            )


def _rules(
    settings: RunSettings, column: Columns, names: Collection[str] | None, after: int
) -> Iterator[tuple[str, NDArray[Any], NDArray[np.bool_], str]]:
    """Yield for each column its name, its values, a mask of the right ones, and the rule."""

    def those_of(*wanted: str) -> Iterator[tuple[str, NDArray[Any]]]:
        return ((name, column(name)) for name in wanted if names is None or name in names)

    a, b = settings.score_range
    slack, n = _ROUNDING * (b - a), settings.n
    for name, index in those_of("index"):
        right = (index >= 0) & (np.diff(index, prepend=after) > 0)
        yield name, index, right, "at least 0, and once"
    for name, selected in those_of("selected"):
        yield name, selected, selected >= -1, "a class, or -1"
    for name, status in those_of("status"):
        yield name, status, np.isin(status, STATUSES), f"one of {', '.join(STATUSES)}"
    for name, predicted in those_of("predicted"):
        status = column("status")
        has_class = np.isin(status, ("certified", "misclassified"))
        has_class |= np.isin(status, ("budget", "stopped")) & (predicted != -1)
        right = predicted == np.where(has_class, column("selected"), -1)
        yield name, predicted, right, "the selected class, or -1, as the status says"
    for name, selection in those_of("n_selection"):
        right = (selection >= 0) & (selection <= settings.n0)
        yield name, selection, right, f"from 0 to {settings.n0}"
    for name, draws in those_of("n_draws", "top_count"):
        yield name, draws, (draws >= 0) & (draws <= n), f"from 0 to {n}"
    if settings.adaptive is not None and settings.adaptive.follows is not None:
        for name, first in those_of("first_draw"):
            yield name, first, first >= 0, "at least 0"
    for name, seconds in those_of("seconds"):
        yield name, seconds, (seconds >= 0) & np.isfinite(seconds), "finite and at least 0"
    for name, mean in those_of("mean_score"):
        right = np.isnan(mean) | ((mean >= a - slack) & (mean <= b + slack))
        yield name, mean, right, f"in [{a}, {b}], or NaN"
    of_methods = [method.name for method in settings.methods]
    radii = ["class_radius", *(f"radius_{one}" for one in of_methods)]
    radii += [f"unreachable_{one}" for one in of_methods if settings.both_answers]
    for name, radius in those_of(*radii):
        right = np.isnan(radius) | ((radius >= 0) & np.isfinite(radius))
        yield name, radius, right, "finite and at least 0, or NaN"
    for name, lower in those_of(*(f"lower_{one}" for one in of_methods)):
        right = np.isnan(lower) | ((lower >= a - slack) & (lower <= b))
        yield name, lower, right, f"in [{a}, {b}], or NaN"
