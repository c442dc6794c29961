"""Scores as NumPy arrays, from NumPy, torch, Arrow, DLPack, the buffer protocol and lists.

Memory is shared if the producer allows it, with any strides. It is only read.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothbound._utils import checks

__all__ = ["as_floats", "as_scores", "look_like_logs", "outside_range"]

_TYPES = (np.float16, np.float32, np.float64)  # not dtype.name, which takes microseconds
_FLOATS = ("f", "halffloat", "float", "double", "float16", "float32", "float64")  # of columns
_SHAPES = {
    1: "; for one input pass scores[None, :]",
    3: "; for the scores of class k among those of all pass scores[:, :, k]",
}
_EXACT = 2.0**53  # below it every whole number is a float64


def as_scores(scores: Any) -> NDArray[Any]:
    """View `scores` as a two-dimensional NumPy array of floats, without losing a digit.

    Parameters
    ----------
    scores : array, shape (n_inputs, n_draws)
        A NumPy array; a torch tensor on any device; an Arrow tensor or array of lists; an object
        with DLPack, the buffer protocol or the array interface; a data frame or an Arrow table with
        only columns of floats; or nested lists. Scores on another device, in bfloat16 (widened to
        float32) or in another byte order, Arrow arrays in several chunks, tables and lists are
        copied. Other objects share their memory with the result if possible.

    Returns
    -------
    ndarray of float16, float32 or float64, shape (n_inputs, n_draws)

    Raises
    ------
    TypeError
        If the scores, or those of any column or row, are not floats of 16, 32 or 64 bits, or if
        they cannot be read.
    ValueError
        If the scores do not have the shape (n_inputs, n_draws), there are no draws, or some scores
        are masked or null.

    Examples
    --------
    >>> import numpy as np
    >>> draws = np.random.default_rng(0).random((1000, 4))  # (n_draws, n_inputs)
    >>> scores = as_scores(memoryview(draws).toreadonly()).T
    >>> scores.shape, np.shares_memory(scores, draws)
    ((4, 1000), True)
    """
    array = as_floats(scores)
    if array.ndim != 2:
        raise ValueError(
            f"scores must have the shape (n_inputs, n_draws), got {array.shape}"
            + _SHAPES.get(array.ndim, "")
        )
    if array.shape[1] == 0:
        raise ValueError("scores must hold at least one draw for each input, got none")
    return array


def as_floats(scores: Any) -> NDArray[Any]:
    """View `scores` as a NumPy array of floats of any shape; see `as_scores`.

    Examples
    --------
    >>> as_floats([[[0.5, 0.25]]]).shape
    (1, 1, 2)
    """
    array = _to_numpy(scores)
    if array.dtype.type not in _TYPES and array.dtype.name == "bfloat16":
        array = array.astype(np.float32)  # of the package ml_dtypes; float32 holds every value
    _check_type(array.dtype)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def outside_range(
    row: NDArray[Any],
    score_range: tuple[float, float],
    *,
    name: str = "scores",
    i: int | None = None,
) -> ValueError:
    """Return the error about row i, which has a score that is NaN or outside the range."""
    a, b = score_range
    row = row.astype(np.float64)  # its own type would round a and b
    j = checks.first_outside(row, a, b)
    hint = "state the range of the measure in score_range: the margin's is from -1 to 1"
    if np.isnan(row[j]):
        hint = "the model or the data is at fault"
    elif a >= 0.0 and look_like_logs(row):
        hint = f"if these are log-probabilities, pass np.exp({name}); otherwise {hint}"
    elif np.isinf(row[j]):
        hint = (
            "certify_scores takes infinite scores for statistic='quantile' and 'probability', "
            "without a score_range"
        )
    elif (a, b) == (0, 1) and 1 < row.max() <= 100 and row.min() >= 0:
        hint = f"divide percent by 100, or {hint}"
    need = "finite and within" if np.isfinite([a, b]).all() else "numbers within"
    place = f"{j}" if i is None else f"{i}, {j}"
    return ValueError(
        f"{name} must be {need} score_range [{a}, {b}], got {name}[{place}] = {row[j]}; {hint}"
    )


def look_like_logs(scores: NDArray[Any]) -> bool:
    """Return whether scores may be logarithms of probabilities: none above 0, and some below.

    Examples
    --------
    >>> look_like_logs(np.array([-0.1, -np.inf])), look_like_logs(np.array([0.9, -np.inf]))
    (True, False)
    """
    known = scores[~np.isnan(scores)]
    return bool((known <= 0.0).all() and (known < 0.0).any())


def _check_type(dtype: np.dtype[Any]) -> None:
    if dtype.type not in _TYPES:
        raise TypeError(
            f"scores must be float16, float32 or float64, got {dtype}; "
            "convert them yourself if nothing is lost, e.g. scores.astype('float64')"
        )


def _to_numpy(scores: Any) -> NDArray[Any]:
    if isinstance(scores, np.ndarray):
        if np.ma.is_masked(scores):
            raise ValueError("scores must not be masked; drop the masked rows or draws yourself")
        return np.asarray(scores)
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(scores, torch.Tensor):
        return _from_torch(scores)
    if isinstance(scores, list | tuple):
        return _from_list(scores)
    if type(scores).__module__.partition(".")[0] == "pyarrow":
        return _from_arrow(scores)
    if hasattr(scores, "__dlpack__"):
        return _from_dlpack(scores)
    return _from_protocols(scores)


def _from_torch(tensor: Any) -> NDArray[Any]:
    try:
        host = tensor.detach().cpu().resolve_neg()
        wide = host.float() if str(host.dtype) == "torch.bfloat16" else host
        return np.asarray(wide.numpy())
    except (TypeError, ValueError, RuntimeError) as error:  # sparse, quantised, without data, ...
        raise TypeError(
            f"scores must be a dense tensor of floats, got {tensor.dtype} with layout "
            f"{tensor.layout} on {tensor.device}: {error}"
        ) from error


def _from_arrow(scores: Any) -> NDArray[Any]:
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(scores, pa.Table | pa.RecordBatch):
        _check_columns(scores.schema.names, scores.schema.types)
        if any(column.null_count for column in scores.columns):
            raise ValueError("scores must not be null")
    if isinstance(scores, pa.ChunkedArray):
        scores = scores.chunk(0) if scores.num_chunks == 1 else scores.combine_chunks()
    if isinstance(scores, pa.FixedShapeTensorArray):
        if scores.null_count:
            raise ValueError("scores must not be null")
        return np.asarray(scores.to_numpy_ndarray())
    if not isinstance(scores, pa.ListArray | pa.LargeListArray | pa.FixedSizeListArray):
        return _from_protocols(scores)
    lengths = np.asarray(pc.list_value_length(scores).fill_null(-1))
    values = scores.flatten()
    if scores.null_count or values.null_count:
        raise ValueError("scores must not be null")
    if lengths.size and (lengths != lengths[0]).any():
        raise ValueError(
            "scores must hold the same number of draws for each input, "
            f"got lists of {lengths.min()} to {lengths.max()}"
        )
    flat = values.to_numpy(zero_copy_only=False)
    return np.asarray(flat.reshape(len(scores), lengths[0] if lengths.size else 0))


def _from_dlpack(scores: Any) -> NDArray[Any]:
    try:
        return np.from_dlpack(scores)
    except Exception as error:  # producers raise errors of many types
        reason = error
    try:  # on another device: ask for a copy (NumPy 2.1)
        return np.from_dlpack(scores, device="cpu")
    except Exception:  # another protocol may have a type that DLPack or NumPy lacks
        array = _asarray(scores) if hasattr(scores, "__array__") else np.array(None)
    if array.dtype == object:
        raise TypeError(
            f"scores of type {type(scores).__name__} cannot be read through DLPack ({reason}); "
            "copy them to the host as float16, float32 or float64 first"
        ) from reason
    return array


def _from_list(scores: list[Any] | tuple[Any, ...]) -> NDArray[Any]:
    rows = [_to_numpy(row) if hasattr(row, "dtype") else row for row in scores]
    for row in rows:
        if isinstance(row, np.ndarray):  # NumPy would convert a row of another type
            _check_type(row.dtype)
    array = _asarray(rows)
    checks.refuse_booleans("scores", rows)
    if array.dtype == np.float64:
        large = np.abs(array) >= _EXACT
        if large.any():  # a list may mix whole numbers with floats
            exact = np.asarray(scores, dtype=object)
            if (exact[large] != array[large]).any():
                raise TypeError("scores must be floats, got whole numbers that no float64 holds")
    return array


def _from_protocols(scores: Any) -> NDArray[Any]:
    if hasattr(scores, "columns") and hasattr(scores, "dtypes"):  # pandas, polars, ...
        _check_columns(scores.columns, scores.dtypes)
        array = _asarray(scores)  # of objects if pandas allows missing values
        return _asarray(scores, np.float64) if array.dtype == object else array
    return _asarray(scores)


def _check_columns(names: Iterable[Any], dtypes: Iterable[Any]) -> None:
    """Refuse a table with a column that is not of floats, because it would count as draws."""
    for name, dtype in zip(names, dtypes, strict=True):
        if getattr(dtype, "kind", str(dtype).lower()) not in _FLOATS:
            raise TypeError(
                f"scores must be float16, float32 or float64 in every column, got {dtype} in the "
                f"column {name!r}; pass only the columns of scores"
            )


def _asarray(scores: Any, dtype: type[np.float64] | None = None) -> NDArray[Any]:
    try:
        return np.asarray(scores, dtype=dtype)
    except MemoryError:
        raise
    except Exception as error:  # producers raise errors of many types
        raise TypeError(
            f"scores must be a rectangular array of floats, got {type(scores).__name__}: {error}"
        ) from error
