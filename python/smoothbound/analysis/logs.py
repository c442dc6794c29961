"""The logs of published experiments, as the authors' programs printed them.

- Certified confidence, Kumar et al. 2020: a table with columns ``idx label predict``, then
  ``exp_cdf_25`` (Theorem 2) and ``exp_25`` (Theorem 1) for the radius 0.25, and so on. The bounds
  were printed to three significant digits, rounded to nearest, so they may exceed the certified
  value by half a unit of the last digit.
- Class radius, Cohen et al. 2019: columns ``idx label predict radius``.

In both, columns are separated by tabs and a `predict` of -1 is an abstention.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smoothbound._files.plain import read_plain
from smoothbound._utils import checks
from smoothbound.analysis._statistics.rows import Bounds
from smoothbound.analysis.evaluation import Evaluation
from smoothbound.bounds._method import Method
from smoothbound.errors import DataError

__all__ = ["named", "read_log", "with_class_radius"]

_METHODS = {"exp": Method("mean"), "exp_cdf": Method("cdf", "dkw", 10_000)}
_SIGMA = re.compile(r"(?:sigma|noise)_?(\d{1,9}(?:\.\d{1,99})?)$")
_PRINTED = 3  # significant digits of a bound in a published log
_BOUND = re.compile(r"(exp(?:_cdf)?)_(\d{1,9})")


def read_log(path: str | Path) -> Evaluation:
    """Read a log of certified confidence.

    The log does not name its measure. Negative bounds make it the margin, with range (-1, 1), and
    so does a folder called ``margin``, as in ``log_files/cifar10/margin/noise_0.25``. Otherwise
    it is the average score, with range (0, 1). Sigma is known if the name of the file ends in it,
    as in ``imagenet_sigma0.25.tsv`` or, as it was published, ``noise_0.25``.

    Parameters
    ----------
    path : str or Path
        A tab-separated file as described above.

    Returns
    -------
    Evaluation
        The evaluation, with Theorem 1 first and Theorem 2 second. Its name is that of the file
        without the ending.

    Raises
    ------
    DataError
        If the file cannot be read, columns are missing or a row is damaged.
    """
    path = checks.path("path", path)
    columns = _read_columns(path)
    by_method = _bound_columns(path, columns)
    radii = sorted(next(iter(by_method.values())))
    bounds = tuple(
        Bounds(method, np.stack([_numbers(path, columns, by_method[key][r]) for r in radii], 1))
        for key, method in _METHODS.items()
        if key in by_method
    )
    low = min(float(one.lower.min()) for one in bounds)
    high = max(float(one.lower.max()) for one in bounds)
    if low < -1.0 or high > 1.0:
        raise DataError(
            f"{path}: bounds must lie in [0, 1] (score) or [-1, 1] (margin), got {low} to {high}"
        )
    is_margin, sigma = named(path)
    is_margin |= low < 0
    return Evaluation(
        name=path.name.removesuffix(".tsv"),
        measure="margin" if is_margin else "score",
        score_range=(-1.0 if is_margin else 0.0, 1.0),
        radii=np.asarray(radii) / 100,
        index=_identifiers(path, columns),
        label=_integers(path, columns, "label"),
        predicted=_integers(path, columns, "predict"),
        bounds=bounds,
        sigma=sigma,
        notes=(_note(columns[name] for by_r in by_method.values() for name in by_r.values()),),
    )


def named(path: Path) -> tuple[bool, float | None]:
    """Return whether a log is of the margin, and sigma if it is known, from its path.

    Examples
    --------
    >>> named(Path("margin/noise_0.25")), named(Path("imagenet_sigma0.5.tsv")), named(Path("a.tsv"))
    ((True, 0.25), (False, 0.5), (False, None))
    """
    sigma = _SIGMA.search(path.name.removesuffix(".tsv"))
    return path.absolute().parent.name == "margin", float(sigma[1]) if sigma else None


def _note(bounds: Iterable[list[str]]) -> str:
    """Return a text about how the bounds were printed."""
    if any(len(_digits(cell)) > _PRINTED for column in bounds for cell in column):
        return "Read from a log that prints bounds with all their digits."
    return (
        "Read from a log that prints bounds to three significant digits, rounded to nearest: "
        "they may exceed the certified value by half a unit of the last digit."
    )


def _digits(cell: str) -> str:
    """Return the significant digits of a number as it was printed.

    Examples
    --------
    >>> _digits("-0.00407"), _digits("5.15e-05"), _digits("0.8123456")
    ('407', '515', '8123456')
    """
    return re.sub(r"\D", "", cell.lower().partition("e")[0]).lstrip("0")


def with_class_radius(evaluation: Evaluation, path: str | Path) -> Evaluation:
    """Join a log of class radii to an evaluation of the same model and inputs, on `idx`.

    An input has a class radius if neither log abstains and both predict the same class. A radius of
    nan means that none is certified.

    Parameters
    ----------
    evaluation : Evaluation
        Certificates of confidence.
    path : str or Path
        A tab-separated log of class radii.

    Returns
    -------
    Evaluation
        The evaluation with `class_radius`.

    Raises
    ------
    DataError
        If the file is not such a log, shares no input with `evaluation`, or has another label for
        an input.
    """
    checks.instance("evaluation", evaluation, Evaluation)
    path = checks.path("path", path)
    columns = _read_columns(path)
    label = _integers(path, columns, "label")
    predicted = _integers(path, columns, "predict")
    radius = _numbers(path, columns, "radius", nan=True)
    if (radius < 0).any():
        raise DataError(f"{path}: column 'radius' must not be negative, got {radius.min()}")
    _, ours, theirs = np.intersect1d(
        evaluation.index, _identifiers(path, columns), return_indices=True
    )
    if not len(ours):
        raise DataError(f"{path} shares no idx with {evaluation.name}: is it of the same inputs?")
    differ = np.flatnonzero(evaluation.label[ours] != label[theirs])
    if len(differ):
        i, j = ours[differ[0]], theirs[differ[0]]
        raise DataError(
            f"{path} labels idx {evaluation.index[i]} as {label[j]} and {evaluation.name} as "
            f"{evaluation.label[i]}: they are not of the same data set"
        )
    same = (predicted[theirs] >= 0) & (predicted[theirs] == evaluation.predicted[ours])
    joined = np.full(len(evaluation.index), np.nan)
    joined[ours[same]] = radius[theirs[same]]
    return replace(evaluation, class_radius=joined)


def _read_columns(path: Path) -> dict[str, list[str]]:
    try:
        text = io.StringIO(read_plain(path, DataError).decode(), newline="")
        header, *rows = [
            row for row in csv.reader(text, "excel-tab", quoting=csv.QUOTE_NONE) if row
        ]
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} cannot be read, because it is not text in UTF-8 (byte {error.start})"
        ) from error
    except csv.Error as error:
        raise DataError(f"{path} cannot be read as a table: {error}") from error
    except ValueError:
        raise DataError(f"{path} is empty; a header and rows are needed") from None
    missing = [name for name in ("idx", "label", "predict") if name not in header]
    if missing:
        raise DataError(f"{path} is not a log: it lacks the tab-separated columns {missing}")
    if not rows:
        raise DataError(f"{path} has a header and no inputs")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise DataError(f"{path}: row {number} needs {len(header)} fields, got {len(row)}")
    return dict(zip(header, map(list, zip(*rows, strict=True)), strict=True))


def _bound_columns(path: Path, columns: dict[str, list[str]]) -> dict[str, dict[int, str]]:
    """Map "exp" and "exp_cdf" to their columns by hundredths of the radius."""
    found: dict[str, dict[int, str]] = {}
    for name in columns:
        if match := _BOUND.fullmatch(name):
            found.setdefault(match[1], {})[int(match[2])] = name
    if not found:
        hint = " (it holds class radii: give it with --class-radius)" if "radius" in columns else ""
        raise DataError(f"{path} has no columns such as exp_25 or exp_cdf_25{hint}")
    if len({frozenset(radii) for radii in found.values()}) > 1:
        raise DataError(f"{path}: exp_ and exp_cdf_ columns must be of the same radii")
    return found


def _numbers(
    path: Path, columns: dict[str, list[str]], name: str, *, nan: bool = False
) -> NDArray[np.float64]:
    if name not in columns:
        raise DataError(f"{path} has no column {name!r}; it has {', '.join(columns)}")
    try:
        values = np.array(columns[name], dtype=np.float64)
    except ValueError as error:
        raise DataError(f"{path}: column {name!r} must be numbers: {error}") from error
    right = np.isfinite(values) | (nan & np.isnan(values))
    if not right.all():
        row = int(np.argmin(right)) + 1
        raise DataError(f"{path}: column {name!r} must be finite, got {values[row - 1]}, row {row}")
    return values


def _integers(path: Path, columns: dict[str, list[str]], name: str) -> NDArray[np.int64]:
    values = _numbers(path, columns, name)
    if (values != np.rint(values)).any() or np.abs(values).max() > 2**53:
        raise DataError(f"{path}: column {name!r} must be whole numbers")
    return values.astype(np.int64)


def _identifiers(path: Path, columns: dict[str, list[str]]) -> NDArray[np.int64]:
    index = _integers(path, columns, "idx")
    values, repeats = np.unique(index, return_counts=True)
    if (repeats > 1).any():
        raise DataError(f"{path}: idx {values[np.argmax(repeats > 1)]} occurs twice")
    return index
