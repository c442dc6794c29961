"""Results in the layout of the published logs, so that scripts for these go on working.

One file has the columns of both papers: ``idx label predict``, the certified confidence by
Theorem 2 (``exp_cdf_25`` for the radius 0.25) and by Theorem 1 (``exp_25``) of Kumar et al. 2020,
the class radius (``radius``) of Cohen et al. 2019, and their ``correct`` and ``time``. As in these
logs, an input on which the classifier abstains has the prediction -1, and zeros. A class radius
that is not certified is nan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from smoothbound._display.rounding import exact
from smoothbound.bounds._method import Method
from smoothbound.export._rows import csv_of
from smoothbound.store._results import as_array
from smoothbound.store._settings import RunSettings
from smoothbound.store._stored import StoredResults

__all__ = ["left_out_radii", "log_parts"]

_CLOSE = 1e-9  # how far a radius may be from whole hundredths, because decimals are rounded


def left_out_radii(settings: RunSettings) -> list[float]:
    """Return the radii that a log cannot name, because they are not whole hundredths."""
    return sorted({radius for radius in settings.radii if _hundredths(radius) is None})


def _hundredths(radius: float) -> int | None:
    whole = round(100.0 * radius)
    return whole if abs(100.0 * radius - whole) <= _CLOSE * max(1.0, whole) else None


def log_parts(
    stored: StoredResults, method: str | None, advance: Callable[[int], object]
) -> Iterator[bytes]:
    """Return the parts of a log; what cannot be written is refused at once.

    Raises
    ------
    ValueError
        If the run has no such method, or no bounds for the columns of a log.
    """
    settings = stored.settings
    by_prefix = {"exp_cdf": _second(settings, method).name}
    if any(one.name == "mean" for one in settings.methods):
        by_prefix["exp"] = "mean"
    places = {
        whole: place
        for place, radius in enumerate(settings.radii)
        if (whole := _hundredths(radius)) is not None
    }
    if not places:
        raise ValueError(
            "format 'tsv' names a column by the hundredths of its radius, and none of the radii "
            f"{', '.join(map(exact, settings.radii))} is whole hundredths: certify with --radii "
            "0,0.25,0.5, or export as csv"
        )
    return _lines(stored, by_prefix, dict(sorted(places.items())), advance)


def _second(settings: RunSettings, name: str | None) -> Method:
    """Return the method whose bounds stand in the columns of Theorem 2."""
    names = ", ".join(one.name for one in settings.methods)
    if name is None:
        found = [one for one in settings.methods if one.bound == "cdf"]
        why = f"the run has no bounds by Theorem 2 for the columns exp_cdf_*, only {names}"
    else:
        found = [one for one in settings.methods if one.name == name]
        why = f"method must be one of {names}, got {name!r}"
    if not found:
        advice = f"; choose one, as in method={settings.methods[-1].name!r}"
        raise ValueError(why + ("" if name is not None else advice))
    return found[-1]


def _lines(
    stored: StoredResults,
    by_prefix: dict[str, str],
    places: dict[int, int],
    advance: Callable[[int], object],
) -> Iterator[bytes]:
    bounds = [f"lower_{name}" for name in by_prefix.values()]
    names = ["index", "label", "predicted", "class_radius", "seconds", *bounds]
    header = True
    for table in stored.batches(names):
        index, label, predicted, radius, seconds = (as_array(table[name]) for name in names[:5])
        without = predicted < 0
        columns: dict[str, Any] = {"idx": index, "label": label, "predict": predicted}
        for prefix, name in by_prefix.items():
            lower = as_array(table[f"lower_{name}"])
            for whole, place in places.items():
                columns[f"{prefix}_{whole:02d}"] = np.where(without, 0.0, lower[:, place])
        columns["radius"] = np.where(without, 0.0, radius)
        columns["correct"] = (predicted == label).astype(np.int64)
        columns["time"] = [str(timedelta(seconds=one)) for one in seconds.tolist()]
        made = pa.table({name: pa.array(values) for name, values in columns.items()})
        yield csv_of(made, header=header, delimiter="\t", quotes=False)
        header = False
        advance(len(table))
