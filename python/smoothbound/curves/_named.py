"""The names of curves."""

from __future__ import annotations

import re
from typing import Any

from smoothbound._utils import checks
from smoothbound.curves._ablation import Ablation
from smoothbound.curves._curve import Curve
from smoothbound.curves._gaussian import Gaussian
from smoothbound.curves._l1 import L1Laplace, L1Uniform
from smoothbound.curves._tabulated import Tabulated, table_of

__all__ = ["GAUSSIAN", "NAMES", "curve"]

GAUSSIAN = Gaussian()
_NAMED: dict[str, Curve] = {each.name: each for each in (GAUSSIAN, L1Uniform(), L1Laplace())}
_KINDS = (Gaussian, L1Uniform, L1Laplace, Ablation, Tabulated)
_ABLATION = re.compile(r"ablation-([0-9]{1,9})-of-([0-9]{1,9})", re.ASCII)

NAMES = (*_NAMED, "ablation-K-of-D")
"""The names that `curve` knows; K and D stand for whole numbers."""


def curve(value: object) -> Curve:
    """Return the curve with a name, or a curve itself.

    Parameters
    ----------
    value : str, dict or Curve
        "gaussian", "l1-uniform", "l1-laplace", or "ablation-K-of-D", which keeps K of D pixels. A
        dict holds the arguments of `Tabulated`, as in files: radii, p and values.

    Returns
    -------
    Curve

    Raises
    ------
    TypeError, ValueError
        If the curve does not exist, one of its arguments is out of range, or it is an object of a
        class of your own.

    Examples
    --------
    >>> curve("ablation-45-of-784"), curve("l1-laplace").distance
    (Ablation(pixels=784, kept=45), 'l1')
    """
    if isinstance(value, _KINDS):
        return value
    if isinstance(value, Curve):
        raise TypeError(
            "curve must be of a class of smoothbound.curves, which every backend computes, got "
            f"{type(value).__name__}; give the values of your own curve as a Tabulated"
        )
    if isinstance(value, dict):
        return _table(value)
    if isinstance(value, str) and (numbers := _ABLATION.fullmatch(value)):
        return _ablation(value, kept=int(numbers[1]), pixels=int(numbers[2]))
    if isinstance(value, str) and value in _NAMED:
        return _NAMED[value]
    words = ", ".join(map(repr, NAMES))
    kind = ValueError if isinstance(value, str) else TypeError
    raise kind(
        f"curve must be one of {words} with numbers for K and D, or a Tabulated "
        f"(its .json or .npz file for a command); got {checks.shown(value)}"
    )


def _ablation(name: str, *, kept: int, pixels: int) -> Ablation:
    """Return the ablation with a name, with errors that name the curve."""
    try:
        return Ablation(pixels=pixels, kept=kept)
    except ValueError as error:
        raise ValueError(
            f"curve must keep 1 or more of its pixels, got {name!r}: {error}"
        ) from None


def _table(values: dict[Any, Any]) -> Tabulated:
    """Return the table of a dict, with errors that name the curve."""
    try:
        return table_of(values)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"curve must be a table, if it is a dict: {error}") from error
