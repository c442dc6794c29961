"""The noise level of the draws of a sketch: one for all inputs, one for each, or unknown."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smoothbound._utils import checks

__all__ = [
    "Sigma",
    "checked",
    "difference",
    "first_difference",
    "merged",
    "of_draws",
    "of_each",
    "of_rows",
]

Sigma = float | tuple[float, ...] | None
Ints = NDArray[np.int64]


def checked(value: object, n_inputs: int) -> Sigma:
    """Return a level, or one for each input, after checks that all are positive and finite.

    Examples
    --------
    >>> checked(0.5, 2), checked([0.25, 0.5], 2)
    (0.5, (0.25, 0.5))
    """
    if value is None:
        return None
    each = checks.levels("sigma", value, n_inputs)
    return checks.positive("sigma", value) if each is None else tuple(each.tolist())


def of_draws(known: Sigma, value: object, index: Ints) -> float | tuple[float, ...]:
    """Return the level at which draws are certified; a given level must be the recorded one.

    Parameters
    ----------
    known : float, tuple of float, or None
        The recorded level.
    value : object
        The argument `sigma` of the caller.
    index : ndarray of int64, shape (n_inputs,)
        Ids of the inputs.

    Raises
    ------
    TypeError, ValueError
        If the value is not a level, differs from the recorded one, or neither is known.
    """
    stated = checked(value, index.size)
    if stated is None:
        if known is None:
            raise ValueError("sigma must be given: the noise level of the draws is not recorded")
        return known
    if known is not None and (i := first_difference(known, stated, index.size)) >= 0:
        drawn, got = (of_each(one, index.size)[i] for one in (known, stated))
        whose = f" of input {index[i]}" if isinstance(known, tuple) else ""
        raise ValueError(f"sigma must be that of the draws{whose}, {drawn}, got {got}")
    return stated


def of_each(sigma: Sigma, n_inputs: int) -> tuple[float | None, ...]:
    """Return the level of each input; None if it is not known."""
    return sigma if isinstance(sigma, tuple) else (sigma,) * n_inputs


def first_difference(one: Sigma, other: Sigma, n_inputs: int) -> int:
    """Return the row of the first input whose level differs; -1 if there is none.

    Examples
    --------
    >>> first_difference(0.5, (0.5, 0.25), 2), first_difference(0.5, (0.5, 0.5), 2)
    (1, -1)
    """
    if not (isinstance(one, tuple) or isinstance(other, tuple)):
        return -1 if one == other else 0
    pairs = zip(of_each(one, n_inputs), of_each(other, n_inputs), strict=True)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), -1)


def of_rows(sigma: Sigma, rows: Ints) -> Sigma:
    """Return the level of some inputs, by their rows."""
    return tuple(sigma[row] for row in rows.tolist()) if isinstance(sigma, tuple) else sigma


def difference(one: Sigma, other: Sigma, shared: Ints, mine: Ints, theirs: Ints) -> str | None:
    """Return the reason why draws with these levels cannot be merged; None if they can.

    A level for all inputs holds for later inputs too, so two such levels must be equal. Otherwise
    the levels of the inputs in both sketches must be equal.

    Parameters
    ----------
    one, other : float, tuple of float, or None
    shared, mine, theirs : ndarray of int64
        Ids of the inputs that are in both, and their rows in each.
    """
    if None in (one, other) or not (isinstance(one, tuple) or isinstance(other, tuple)):
        if one == other:
            return None
        return f"their noise levels sigma differ: {one!r} and {other!r}"
    pairs = (
        of_each(of_rows(levels, rows), len(rows)) for levels, rows in ((one, mine), (other, theirs))
    )
    for i, ours, others in zip(shared.tolist(), *pairs, strict=True):
        if ours != others:
            return f"their noise levels sigma of input {i} differ: {ours!r} and {others!r}"
    return None


def merged(parts: list[tuple[Sigma, Ints]], index: Ints) -> Sigma:
    """Return the level of the inputs of several sketches, between which there is no `difference`.

    Parameters
    ----------
    parts : list of (float, tuple of float, or None; ndarray of int64)
        The levels of each sketch, and the ids of its inputs.
    index : ndarray of int64
        All ids, ascending.
    """
    if not any(isinstance(sigma, tuple) for sigma, _ in parts):
        return parts[0][0]
    levels = np.empty(index.size)
    for sigma, ids in parts:
        levels[np.searchsorted(index, ids)] = of_each(sigma, ids.size)
    return tuple(levels.tolist())
