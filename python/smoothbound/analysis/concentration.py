"""The concentration of the score and the margin of the same inputs.

Kumar et al. find that the margin is often more concentrated than the score, and its certificates
stronger. A score above c implies a margin above 2 c - 1 of the same draw. This module therefore
compares thresholds at the same fraction of their ranges: score > 0.5 and margin > 0 both mean that
the predicted class does not change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from smoothbound._utils import checks
from smoothbound.analysis.comparison import on_common_inputs
from smoothbound.analysis.evaluation import Evaluation
from smoothbound.sketch._content import cell_centers

if TYPE_CHECKING:
    from smoothbound.sketch._score_sketch import ScoreSketch

__all__ = ["Spreads", "pairs", "relative_spread", "spreads"]


@dataclass(frozen=True, eq=False)
class Spreads:
    """How concentrated the score and the margin of the same inputs are.

    Parameters
    ----------
    index : ndarray of int64, shape (n_inputs,)
        Positions in the data set of the inputs whose scores both evaluations kept, ascending.
    score, margin : ndarray of float64, shape (n_inputs,)
        Standard deviations as shares of the range; see `relative_spread`.
    """

    index: NDArray[np.int64]
    score: NDArray[np.float64]
    margin: NDArray[np.float64]


def relative_spread(sketch: ScoreSketch) -> NDArray[np.float64]:
    """Return the standard deviation of the scores of each input, as a share of their range.

    Parameters
    ----------
    sketch : ScoreSketch
        Counted scores. A score between two edges counts as the middle of their interval.

    Returns
    -------
    ndarray of float64, shape (n_inputs,)
        Numbers in [0, 1/2]. It is 1/2 if half of the draws lie at each end of the range.

    Examples
    --------
    >>> from smoothbound.sketch import ScoreSketch
    >>> sketch = ScoreSketch(2, score_range=(-1.0, 1.0))
    >>> sketch.update(np.array([[-1.0, 1.0], [0.5, 0.5]]))
    >>> relative_spread(sketch)
    array([0.5, 0. ])
    """
    from smoothbound.sketch._score_sketch import ScoreSketch

    edges = checks.instance("sketch", sketch, ScoreSketch).edges
    places = (cell_centers(edges) - edges[0]) / (edges[-1] - edges[0])
    counts = sketch.counts.astype(np.float64)
    total = counts.sum(axis=1)
    mean = counts @ places / total
    square = counts @ places**2 / total
    spread: NDArray[np.float64] = np.sqrt(np.maximum(square - mean**2, 0.0))
    return spread


def spreads(score: Evaluation, margin: Evaluation) -> Spreads | None:
    """Compare the concentration of the score and the margin on inputs with both counts.

    Parameters
    ----------
    score, margin : Evaluation
        Evaluations of the same inputs.

    Returns
    -------
    Spreads or None
        None if there is no such input.
    """
    checks.instance("score", score, Evaluation)
    checks.instance("margin", margin, Evaluation)
    index = np.intersect1d(score.with_scores, margin.with_scores)
    if not len(index):
        return None
    found = (
        np.concatenate([relative_spread(sketch) for sketch in one.sketches(index)])
        for one in (score, margin)
    )
    return Spreads(index, *found)


def pairs(evaluations: Sequence[Evaluation]) -> list[tuple[Evaluation, Evaluation]]:
    """Pair evaluations of the score and of the margin of one network, sigma and set of inputs.

    Both are reduced to their common inputs. Sigma must be known.

    Examples
    --------
    >>> from smoothbound.analysis.evaluation import Bounds
    >>> from smoothbound.bounds._method import Method
    >>> score, margin = (
    ...     Evaluation(
    ...         name=measure, measure=measure, score_range=(a, 1.0), radii=np.array([0.0]),
    ...         index=np.arange(2), label=np.arange(2), predicted=np.arange(2),
    ...         sigma=0.25, bounds=(Bounds(Method("mean"), np.full((2, 1), 0.8)),))
    ...     for measure, a in (("score", 0.0), ("margin", -1.0)))
    >>> [(one.name, two.name) for one, two in pairs([margin, score])]
    [('score', 'margin')]
    """
    checks.items("evaluations", evaluations, Evaluation)
    margins = [one for one in evaluations if one.measure == "margin"]
    found: list[tuple[Evaluation, Evaluation]] = []
    for score in evaluations:
        if score.measure != "score":
            continue
        for margin in margins:
            alike = score.sigma is not None and margin.sigma == score.sigma
            alike = alike and len({score.network, margin.network} - {None}) < 2
            if alike and (both := on_common_inputs([score, margin])):
                found.append((both[0], both[1]))
                margins.remove(margin)
                break
    return found
