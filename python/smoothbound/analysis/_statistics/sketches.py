"""Counted scores of inputs, which are read when they are needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from smoothbound._utils import checks
from smoothbound.analysis._statistics.rows import Ints

if TYPE_CHECKING:
    from smoothbound.sketch._score_sketch import ScoreSketch

__all__ = ["StoredSketches"]


@dataclass(frozen=True, eq=False)
class StoredSketches:
    """Counted scores, read when they are needed, because those of many inputs take much memory.

    Parameters
    ----------
    index : ndarray of int64, shape (n_inputs,)
        Positions in the data set of the inputs whose scores were kept, ascending.
    read : callable
        A function that takes some of these positions, ascending, and returns the sketch of these
        inputs.
    stream : callable, optional
        A function of the same argument that yields the sketches of a few inputs at a time, in
        order.

    Examples
    --------
    >>> from smoothbound.sketch import ScoreSketch
    >>> sketch = ScoreSketch([3, 7])
    >>> StoredSketches.from_sketch(sketch).index
    array([3, 7])
    """

    index: Ints
    read: Callable[[Ints], ScoreSketch]
    stream: Callable[[Ints], Iterator[ScoreSketch]] | None = None

    @classmethod
    def from_sketch(cls, sketch: ScoreSketch) -> StoredSketches:
        """Return the counted scores of a sketch that is in memory."""
        from smoothbound.sketch._score_sketch import ScoreSketch

        checks.instance("sketch", sketch, ScoreSketch)
        return cls(np.array(sketch.index), sketch.select)
