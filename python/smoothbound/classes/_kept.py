"""The packed counts of all classes in certificates and results folders, one row for each input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from smoothbound.classes._arguments import Names, default_edges
from smoothbound.classes._class_sketch import ClassSketch
from smoothbound.classes._rows import ClassRows

if TYPE_CHECKING:
    from smoothbound.noise._record import NoiseRecord

__all__ = ["kept_sketch"]


class DrawnWithClasses(Protocol):
    """The settings of a run or a certificate that concern the counted draws."""

    @property
    def classes(self) -> Names | None: ...
    @property
    def sigma(self) -> float: ...
    @property
    def displacement(self) -> float: ...
    @property
    def noise(self) -> NoiseRecord: ...


def kept_sketch(
    packed: Sequence[bytes],
    index: NDArray[np.int64],
    n_draws: NDArray[np.int64],
    settings: DrawnWithClasses,
    sigma: NDArray[np.float64] | None = None,
    constant_within: NDArray[np.float64] | None = None,
) -> ClassSketch:
    """Return the sketch of inputs, sorted by index.

    Parameters
    ----------
    packed : sequence of bytes
        The packed counts of each input. Those of a failed input are empty, and it is left out.
    index, n_draws : ndarray of int64, shape (n_inputs,)
    settings : RunSettings or SmoothedSettings
    sigma : ndarray of float64, shape (n_inputs,), optional
        Noise level of each input; by default that of the settings.
    constant_within : ndarray of float64, shape (n_inputs,), optional
        Distance from each input within which sigma is constant.

    Raises
    ------
    ValueError
        If no classes were counted, no input has counts, or the counts are damaged.
    """
    if settings.classes is None:
        raise ValueError("the scores of other classes were not counted: certify with classes")
    order = [i for i in np.argsort(index, kind="stable").tolist() if packed[i]]
    if not order:
        raise ValueError("no input has counts of its classes: every input has failed")
    rows = [ClassRows.unpack(packed[i]) for i in order]
    ids, n = index[order], n_draws[order]
    return ClassSketch(
        rows,
        index=ids,
        draws=np.column_stack([ids, np.zeros_like(n), n]),
        classes=settings.classes,
        edges=default_edges(),
        sigma=settings.sigma if sigma is None else sigma[order],
        constant_within=None if constant_within is None else constant_within[order],
        displacement=settings.displacement,
        noise=settings.noise.kind,
    )
