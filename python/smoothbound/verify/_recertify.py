"""Other questions about a finished run, answered from its stored data without the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from smoothbound._display.rounding import exact
from smoothbound._files import sealed
from smoothbound._utils import checks
from smoothbound._utils.extras import name_the_extra
from smoothbound.backends._names import BANDS, Band
from smoothbound.bounds._method import Method
from smoothbound.errors import StoreError
from smoothbound.noise._displaced import inward
from smoothbound.smoothing._class_radius import class_radius
from smoothbound.smoothing._one_input.result import abstention
from smoothbound.store._folder import RESULTS, is_there
from smoothbound.store._results import as_array, sketch_of
from smoothbound.store._settings import FORMAT, RunSettings
from smoothbound.store._stored import StoredResults, opened
from smoothbound.store._table.schema import schema

__all__ = ["recertify_results"]

Columns = dict[str, Any]

_AT_A_TIME = 1000  # inputs whose counts are in memory together: 32 MiB


@name_the_extra()
def recertify_results(
    results: str | Path | StoredResults,
    out: str | Path,
    *,
    radii: Sequence[float] | None = None,
    thresholds: Sequence[float] | None = None,
    bands: Sequence[Band] | None = None,
    alpha: float | None = None,
    advance: Callable[[int], object] = lambda count: None,
) -> None:
    """Certify a finished run at other radii and thresholds, from its counted scores.

    The bounds are those of Theorem 2 with the edges of the counts as knots. They are below those
    from the scores by at most the width of a cell, 1/4096 of the range. A run with adaptive draws
    answers only the questions that it asked, and the arguments select some of them.

    Parameters
    ----------
    results : str, Path or StoredResults
        Folder of a finished run, or its opened results. It is read a few rows at a time.
    out : str or Path
        Results folder to write, which must be missing or empty. All commands can read it.
    radii, thresholds : sequence of float, optional
        Radii and thresholds; by default those of the run.
    bands : sequence of {"ell", "dkw"}, optional
        Bands of the bounds, by default "ell". The last one decides on abstention.
    alpha : float, optional
        Failure probability of each certificate; by default that of the run. Choose it and the band
        before you look at results.
    advance : callable
        A function that is called with the number of inputs just certified.

    Raises
    ------
    StoreError
        If the folder cannot be read, does not hold a finished run, or holds no counted scores, or
        if `out` holds files or cannot be written.
    TypeError, ValueError
        If an argument has the wrong type or is out of range, or adaptive draws were not asked about
        it.
    """
    folder = checks.path("out", out)
    _require_free(folder)
    with opened(results) as stored:
        if not stored.complete:
            raise StoreError(
                f"{stored.name} holds a run that is not finished; finish it with certify --resume, "
                "or a run in shards with certify --shard"
            )
        before = stored.settings
        made = replace(
            before,
            radii=_grid("radii", radii, before.radii),
            thresholds=_grid("thresholds", thresholds, before.thresholds),
            format=FORMAT,
        )
        if before.adaptive is None:
            chosen = ["ell"] if bands is None else list(bands)
            made = replace(
                made,
                methods=tuple(
                    Method("cdf", checks.choice("bands", band, BANDS)) for band in chosen
                ),
                alpha=before.alpha if alpha is None else checks.alpha("alpha", alpha),
                from_counts=True,
            )
            parts = _from_counts(stored, made)
        else:
            _refuse_other_questions(before, made, bands, alpha)
            parts = _chosen(stored, made)
        kinds = schema(made)
        with sealed.writing(folder / RESULTS, kinds) as write:
            for columns in parts:
                table = pa.table([_array(columns[f.name], f.type) for f in kinds], schema=kinds)
                write(table)
                advance(len(table))


def _require_free(folder: Path) -> None:
    """Refuse a folder that holds files, or a path that is not a folder."""
    try:
        if is_there(folder) and (
            not folder.is_dir() or any(not one.name.startswith(".") for one in folder.iterdir())
        ):
            raise StoreError(f"{folder} must be a folder that is missing or empty; choose another")
    except OSError as error:
        raise StoreError(f"cannot read {folder}: {error.strerror}") from error


def _grid(
    name: str, values: Sequence[float] | None, default: tuple[float, ...]
) -> tuple[float, ...]:
    if values is None:
        return default
    if not (grid := checks.floats(name, values)):
        raise ValueError(f"{name} must not be empty")
    return grid


def _array(values: Any, kind: pa.DataType) -> Any:
    if isinstance(values, pa.ChunkedArray):
        return values
    if isinstance(values, np.ndarray) and values.ndim == 2:
        flat: Any = pa.array(values.ravel())
        return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
    return pa.array(values, kind)


# --- a fixed number of draws --------------------------------------------------------------------


def _from_counts(stored: StoredResults, made: RunSettings) -> Iterator[Columns]:
    """Yield the columns of all inputs, certified from their counted scores."""
    certified = 0
    for table in stored.batches():
        for start in range(0, len(table), _AT_A_TIME):
            part = table.slice(start, _AT_A_TIME)
            kept = as_array(part["n_draws"]) > 0
            certified += int(kept.sum())
            yield _part_from_counts(stored.settings, made, part, kept)
    if not certified:
        raise StoreError(f"{stored.name} holds no counted scores: every input has failed")


def _part_from_counts(
    before: RunSettings, made: RunSettings, table: pa.Table, kept: NDArray[np.bool_]
) -> Columns:
    columns: Columns = {name: table[name] for name in table.column_names}
    n, rows = len(table), np.flatnonzero(kept)
    at_zero = np.full(n, np.nan)
    sketch = sketch_of(before, table.take(rows)) if len(rows) else None
    for method in made.methods:
        lower = np.full((n, len(made.radii)), np.nan)
        radius = np.full((n, len(made.thresholds)), np.nan)
        if sketch is not None:
            assert method.band is not None
            found = sketch.certify(
                radii=(0.0, *made.radii),
                thresholds=made.thresholds,
                alpha=made.alpha,
                band=method.band,
            )
            assert found.lower is not None
            at_zero[rows], lower[rows] = found.lower[:, 0], found.lower[:, 1:]
            radius[rows] = found.radius
        columns[f"lower_{method.name}"], columns[f"radius_{method.name}"] = lower, radius
    votes = np.full(n, np.nan)
    if len(rows):
        top = as_array(table["top_count"])[rows]
        votes[rows] = class_radius(top, made.n, sigma=made.sigma, alpha=made.alpha)
    columns["class_radius"] = inward(votes, made.displacement)
    return columns | _outcomes(made, table, kept, at_zero)


def _outcomes(
    made: RunSettings, table: pa.Table, kept: NDArray[np.bool_], at_zero: NDArray[np.float64]
) -> Columns:
    """Return status, reason and predicted class, which depend on the confidence at R = 0."""
    selected = as_array(table["selected"])
    reasons = table["reason"].to_pylist()
    for i in np.flatnonzero(kept).tolist():
        reasons[i] = abstention(
            int(selected[i]), float(at_zero[i]), made.cutoff, measure=made.measure
        )
    without = np.array([bool(reason) for reason in reasons]) | ~kept
    status = np.where(without, "abstained", "certified")
    return {
        "reason": reasons,
        "status": np.where(kept, status, as_array(table["status"])),
        "predicted": np.where(without, -1, selected),
    }


# --- adaptive draws -----------------------------------------------------------------------------


def _refuse_other_questions(
    before: RunSettings, made: RunSettings, bands: Sequence[Band] | None, alpha: float | None
) -> None:
    """Refuse arguments that the draws of an adaptive run do not answer.

    Raises
    ------
    ValueError
        If there is such an argument. The error states the reason.
    """
    if bands is not None:
        raise ValueError(
            "bands must be left out for adaptive draws: dkw and ell bound a number of draws that "
            "is fixed before the first, and here the scores decided when drawing stopped, so that "
            "their counts certify nothing (docs/anytime.md)"
        )
    if alpha is not None and alpha != before.alpha:
        raise ValueError(
            f"alpha must be left out for adaptive draws, whose questions were asked at alpha = "
            f"{exact(before.alpha)}"
        )
    for name in ("radii", "thresholds"):
        asked, wanted = getattr(before, name), getattr(made, name)
        if others := [value for value in wanted if value not in asked]:
            raise ValueError(
                f"{name} must be among those that the run asked about, "
                f"{', '.join(map(exact, asked))}, got {', '.join(map(exact, others))}: a question "
                "that is chosen after a look at the draws needs later draws (certify --continue "
                "--out)"
            )


def _next_of(grid: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the smallest number of a grid that is at least each value; NaN if there is none."""
    place = np.searchsorted(grid, np.nan_to_num(values, nan=np.inf))
    return np.ascontiguousarray(np.append(grid, np.nan)[place])


def _chosen(stored: StoredResults, made: RunSettings) -> Iterator[Columns]:
    """Yield the columns of all inputs, with the answers to some of the questions.

    A threshold is certified if a larger threshold of the run is, and a radius if a larger radius
    is.
    """
    before, (method,) = stored.settings, made.methods
    assert before.adaptive is not None
    found_radii = before.adaptive.asked == "FindRadius"
    a = made.score_range[0]
    cuts = np.array(sorted(set(made.thresholds)))
    stated = np.array([a, *np.nextafter(cuts, np.inf)])  # the next floats, as in runs
    grid = np.array([np.nan, *sorted(set(made.radii))])
    at_radii = [before.radii.index(radius) for radius in made.radii]
    at_cuts = [before.thresholds.index(c) for c in made.thresholds]
    for table in stored.batches():
        columns: Columns = {name: table[name] for name in table.column_names}
        lower = as_array(table[f"lower_{method.name}"])[:, at_radii]
        radius = as_array(table[f"radius_{method.name}"])[:, at_cuts]
        failed = np.isnan(lower)
        chosen = stated[np.searchsorted(stated[1:], lower, side="right")]
        columns[f"lower_{method.name}"] = np.where(failed, np.nan, chosen)
        if not found_radii:
            place = np.searchsorted(grid[1:], np.nan_to_num(radius, nan=-1.0), side="right")
            radius = grid[place]
        columns[f"radius_{method.name}"] = np.ascontiguousarray(radius)
        if made.both_answers:
            name = f"unreachable_{method.name}"
            columns[name] = _next_of(grid[1:], as_array(table[name])[:, at_cuts])
        yield columns
