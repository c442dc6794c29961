"""The choice of knots in Theorem 2: equal counts, equal widths, or every draw.

Kumar et al. 2020 choose the knots so that every interval holds the same number of sampled scores,
because knots at equal distances would leave many intervals empty. They note that other choices may
be as good. This module compares choices on the counted scores of real inputs. Knots are edges of
the sketch. "Every draw" means every edge, which loses at most the width of an interval
(`smoothbound.sketch._certify.loss_of`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from smoothbound._utils import checks
from smoothbound.backends._names import Band
from smoothbound.sketch import _arguments as sketch_checks

if TYPE_CHECKING:
    from smoothbound.sketch._score_sketch import ScoreSketch

__all__ = ["KnotChoices", "choices", "equal_count", "equal_width"]


@dataclass(frozen=True)
class KnotChoices:
    """Mean certified confidence of some inputs at one radius, by the choice of knots.

    Parameters
    ----------
    radius : float
        The radius, in the units of sigma.
    band : str
        Confidence band. All choices use the one that holds at all draws at once.
    n_bins : tuple of int, length k
        Numbers of intervals.
    equal_count, equal_width : tuple of float, length k
        The mean for each number of intervals.
    every_draw : float
        The mean for all edges of the sketch.
    n_inputs : int
        Number of the inputs.
    score_range : (float, float)
        Range of the measure.
    """

    radius: float
    band: Band
    n_bins: tuple[int, ...]
    equal_count: tuple[float, ...]
    equal_width: tuple[float, ...]
    every_draw: float
    n_inputs: int
    score_range: tuple[float, float] = (0.0, 1.0)

    def bins_for(self, means: Sequence[float], loss: float = 0.01) -> int | None:
        """Return the smallest number of intervals whose loss against every draw is at most `loss`.

        `loss` is a share of the range. The result is None if no number tried is enough.
        """
        a, b = self.score_range
        enough = (
            bins
            for bins, mean in zip(self.n_bins, means, strict=True)
            if mean >= self.every_draw - loss * (b - a)
        )
        return next(enough, None)


def equal_width(n_intervals: int, n_bins: int) -> NDArray[np.int64]:
    """Return the edges nearest to those of `n_bins` equal intervals, including both ends.

    Examples
    --------
    >>> equal_width(4096, 4).tolist()
    [0, 1024, 2048, 3072, 4096]
    """
    return np.unique(np.rint(np.linspace(0, n_intervals, n_bins + 1)).astype(np.int64))


def equal_count(counts: NDArray[np.uint32], n_bins: int) -> NDArray[np.int64]:
    """Return the edges just below the order statistics that divide the draws into equal parts.

    Parameters
    ----------
    counts : ndarray of uint32, shape (2 * n_edges - 1,)
        Counts of the cells of one input, as in `ScoreSketch.counts`.
    n_bins : int
        Number of parts. Order statistics between the same two edges share an edge. Tied ones always
        do.

    Examples
    --------
    Draws at edges 0 to 4, most of them at the last two:

    >>> equal_count(np.array([1, 0, 1, 0, 2, 0, 4, 0, 8], np.uint32), 4).tolist()
    [0, 3, 4]
    """
    below = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])[:-1:2]
    wanted = np.arange(1, n_bins) * int(counts.sum(dtype=np.int64)) // n_bins
    inner = np.searchsorted(below, wanted, side="right") - 1
    return np.unique(np.concatenate([[0], inner, [len(below) - 1]]))


def choices(
    sketch: ScoreSketch,
    *,
    radius: float,
    sigma: float | None = None,
    alpha: float = 1e-3,
    band: Band = "dkw",
    n_bins: Sequence[int] = (4, 8, 16, 32, 64, 128, 256, 512, 1024),
) -> KnotChoices:
    """Compare equal counts, equal widths and every draw.

    Parameters
    ----------
    sketch : ScoreSketch
        Counted scores.
    radius : float
        Radius at which the confidence is certified, in the units of sigma.
    sigma : float, optional
        Noise level of the draws; by default the recorded one.
    alpha : float
        Failure probability of each certificate.
    band : {"dkw", "ell"}
        Confidence band of the survival function.
    n_bins : sequence of int
        Numbers of intervals to try.

    Raises
    ------
    ValueError
        If an argument is out of its range, or sigma is neither given nor recorded.

    Examples
    --------
    >>> from smoothbound.sketch import ScoreSketch
    >>> sketch = ScoreSketch(sigma=0.25)
    >>> sketch.update(np.random.default_rng(0).beta(20, 1, size=(1, 10_000)))
    >>> found = choices(sketch, radius=0.25, n_bins=(16, 64))
    >>> found.equal_count[0] < found.equal_count[1] < found.every_draw
    True
    >>> found.equal_width[0] < found.equal_width[1] < found.every_draw
    True
    """
    from smoothbound.sketch._score_sketch import ScoreSketch

    wanted = np.atleast_1d(checks.array("n_bins", n_bins)).tolist()
    sizes = [checks.count("n_bins", size, 2, sketch_checks.MAX_BINS) for size in wanted]
    radius = checks.non_negative("radius", radius)
    n_intervals = checks.instance("sketch", sketch, ScoreSketch).edges.size - 1

    def mean(*parts: ScoreSketch) -> float:
        lower = [
            part.certify(sigma=sigma, radii=[radius], alpha=alpha, band=band).lower
            for part in parts
        ]
        return float(np.mean(np.concatenate([one[:, 0] for one in lower if one is not None])))

    alone = [sketch.select([i]) for i in sketch.index]
    return KnotChoices(
        radius=radius,
        band=band,
        n_bins=tuple(sizes),
        equal_count=tuple(
            mean(*(one.coarsen(equal_count(one.counts[0], size)) for one in alone))
            for size in sizes
        ),
        equal_width=tuple(mean(sketch.coarsen(equal_width(n_intervals, size))) for size in sizes),
        every_draw=mean(sketch),
        n_inputs=len(alone),
        score_range=sketch.score_range,
    )
