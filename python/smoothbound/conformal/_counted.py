"""Counts of the scores of every class, with the interface that the methods need."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothbound.classes._class_sketch import ClassSketch
from smoothbound.conformal._draws import FEWEST_VALUES, ClassDraws, MeanBound
from smoothbound.conformal._guarantee.shift import ONE_LEVEL

__all__ = ["CountedDraws"]

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]


class CountedDraws(ClassDraws):
    """The scores of each class in the draws of each input, counted over edges.

    Scores of calibration points are rounded down to an edge. The sets of test inputs equal those
    from the scores themselves if the calibration had the same edges. Otherwise they are larger.

    Parameters
    ----------
    sketch : ClassSketch
        Counts of all classes in their order, with the same number of draws for each input.
    sigma : float
        Noise level that the draws must have, if the sketch records one.

    Raises
    ------
    ValueError
        If the sketch does not meet these conditions.
    """

    def __init__(self, sketch: ClassSketch, sigma: float) -> None:
        classes = sketch.classes
        if not (sketch.is_complete and np.array_equal(classes, np.arange(classes.size))):
            raise ValueError(
                "scores must be a sketch of all classes in their order, because any may be in a "
                f"set, got {sketch!r}; count them with classes='all'"
            )
        _require_level(sketch, sigma)
        n_draws = sketch.n_draws
        if n_draws.min() != n_draws.max():
            raise ValueError(
                "scores must hold the same number of draws of each input, got "
                f"{n_draws.min()} to {n_draws.max()}"
            )
        self._sketch = sketch
        self.n_inputs, self.n_draws = sketch.n_inputs, int(n_draws[0])
        self.n_classes, self.displacement = sketch.n_classes, sketch.displacement
        self.digests = [_digest(sketch.counts(i)) for i in range(self.n_inputs)]

    def reached(self, labels: Ints, k: int) -> Floats:
        edges, found = self._sketch.edges, np.empty(self.n_inputs)
        for i, label in enumerate(labels.tolist()):
            counts = self._sketch.counts(i, label)
            at_least = np.cumsum(counts[::-1])[::-1][::2]  # of each edge
            found[i] = edges[np.flatnonzero(at_least >= k)[-1]]
        return found

    def at_least(self, score: float) -> Ints:
        return self._sketch.at_least(score, side="upper")

    def lower_means(self, labels: Ints, alpha: float, ask: MeanBound) -> Floats:
        self._check_range(ask)
        found = np.empty(self.n_inputs)
        for label in np.unique(labels).tolist():
            rows = labels == label
            lower = (
                self._sketch.select(self._sketch.index[rows])
                .sketch_of(label)
                .certify(radii=[ask.psi.radius], alpha=alpha, band=ask.band, **_noise(ask))
                .lower
            )
            assert lower is not None
            found[rows] = lower[:, 0]
        return found

    def upper_means(self, alpha: float, ask: MeanBound) -> Floats:
        self._check_range(ask)
        columns = []
        for k in range(self.n_classes):
            upper = (
                self._sketch.sketch_of(k)
                .certify(radii=[0.0], alpha=alpha, band=ask.band, sides="upper", **_noise(ask))
                .upper
            )
            assert upper is not None
            columns.append(upper[:, 0])
        return np.column_stack(columns)

    def _check_range(self, ask: MeanBound) -> None:
        a, b = self._sketch.edges[0], self._sketch.edges[-1]
        if ask.score_range != (a, b):
            raise ValueError(
                f"score_range must be ({a}, {b}), that of the sketch, got {ask.score_range}"
            )


def _require_level(sketch: ClassSketch, sigma: float) -> None:
    """Refuse draws with another noise level than the sets, or with a limit on the radius."""
    if sketch.constant_within is not None:
        raise ValueError(
            "scores must be a sketch without constant_within, because a set is for perturbations "
            "up to one radius at every point; if sigma is constant that far around each of them, "
            "make the sketch without it"
        )
    known = sketch.sigma
    if not isinstance(known, np.ndarray):
        if known not in (None, sigma):
            raise ValueError(f"scores must be draws at sigma = {sigma}, got {known}")
        return
    for i in np.flatnonzero(known != sigma)[:1]:
        raise ValueError(
            f"scores must be draws at sigma = {sigma}, got {known[i]} for input "
            f"{sketch.index[i]}; {ONE_LEVEL}"
        )


def _noise(ask: MeanBound) -> dict[str, Any]:
    return {"sigma": ask.psi.stated_sigma, "curve": ask.psi.curve}


def _digest(counts: NDArray[Any]) -> bytes | None:
    """Return a digest of the counts of an input; None if they are too simple to identify it.

    A class whose draws all lie in one cell does not count, because two inputs with confident
    predictions may well have the same cells.
    """
    if np.count_nonzero(counts) - counts.shape[0] < FEWEST_VALUES:
        return None
    return blake2b(np.ascontiguousarray(counts).tobytes(), digest_size=16).digest()
