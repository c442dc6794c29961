"""Inputs of an evaluation as statistics read them: many at a time, with the bounds of a method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothbound._utils import checks
from smoothbound.bounds._method import Method

__all__ = ["Bounds", "Floats", "Ints", "Rows", "require_shapes"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Bounds:
    """The certificates of every input by one method.

    Parameters
    ----------
    method : Method
        The bound and its band.
    lower : ndarray, shape (n_inputs, n_radii)
        Certified confidence within each radius.
    radius : ndarray, shape (n_inputs, n_thresholds), optional
        Certified radius of each threshold, in the units of the input; NaN if R = 0 fails.
    """

    method: Method
    lower: Floats
    radius: Floats | None = None

    @property
    def has_radius(self) -> bool:
        """Whether the certified radius of each threshold is known."""
        return self.radius is not None

    def __post_init__(self) -> None:
        checks.instance("method", self.method, Method)
        object.__setattr__(self, "lower", checks.numbers("lower", self.lower))
        if self.radius is not None:
            object.__setattr__(self, "radius", checks.numbers("radius", self.radius))


@dataclass(frozen=True, eq=False)
class Rows:
    """Some inputs of an evaluation, with the data that a statistic needs.

    Attributes
    ----------
    index, label, predicted : ndarray of int64, shape (n,)
    lower, radius, class_radius : ndarray or None
        Bounds of one method, and the class radius; None if they were not requested.
    """

    index: Ints
    label: Ints
    predicted: Ints
    lower: Floats | None = None
    radius: Floats | None = None
    class_radius: Floats | None = None

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Whether the predicted class of each input is the true one, without abstention."""
        right: NDArray[np.bool_] = (self.predicted >= 0) & (self.predicted == self.label)
        return right


def require_shapes(
    name: str,
    index: Ints,
    radii: Floats,
    thresholds: Floats,
    bounds: Sequence[Bounds],
    by_input: Mapping[str, NDArray[Any] | None],
) -> None:
    """Raise ValueError unless there are inputs, radii and bounds, and their shapes agree.

    Parameters
    ----------
    name : str
        Name of the evaluation, for errors.
    index, radii, thresholds, bounds
        Those of the evaluation.
    by_input : mapping of str to ndarray or None
        The other arrays with one entry for each input.
    """
    n, n_radii, n_thresholds = len(index), len(radii), len(thresholds)
    if not (n and n_radii and bounds):
        raise ValueError(
            f"index, radii and bounds of {name} must have one entry or more, got "
            f"{n}, {n_radii} and {len(bounds)}"
        )
    if (np.diff(radii) <= 0).any():
        raise ValueError(f"radii of {name} must increase, got {radii.tolist()}")
    shapes: list[tuple[str, NDArray[Any] | None, tuple[int, ...], str]] = [
        (what, array, (n,), "index") for what, array in by_input.items()
    ]
    for one in bounds:
        lower, radius = f"lower of {one.method.name}", f"radius of {one.method.name}"
        shapes.append((lower, one.lower, (n, n_radii), "index and radii"))
        shapes.append((radius, one.radius, (n, n_thresholds), "index and thresholds"))
    for what, array, shape, by in shapes:
        if array is not None and array.shape != shape:
            raise ValueError(
                f"{what} of {name} needs shape {shape}, got {array.shape}; that of {by} asks for it"
            )
