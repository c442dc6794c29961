"""Comparisons of several evaluations of the same inputs.

Evaluations belong together if they have common inputs (positions in one data set) with the same
labels. Each evaluation is then reduced to the common inputs, because shares of different inputs
cannot be compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from smoothbound._utils import checks
from smoothbound.analysis._statistics.rows import Floats, Ints
from smoothbound.analysis.evaluation import Evaluation

__all__ = ["BestByRadius", "best_by_radius", "on_common_inputs", "side_by_side"]


def side_by_side(evaluations: Sequence[Evaluation]) -> list[list[Evaluation]]:
    """Group evaluations of one measure by their common inputs, and reduce each group to these.

    A group has at least two evaluations.

    Examples
    --------
    >>> from smoothbound.analysis.evaluation import Bounds
    >>> from smoothbound.bounds._method import Method
    >>> first, second, other = (
    ...     Evaluation(
    ...         name=name, measure="score", score_range=(0.0, 1.0), radii=np.array([0.0]),
    ...         index=np.array(index), label=np.array(label), predicted=np.array(label),
    ...         bounds=(Bounds(Method("mean"), np.full((2, 1), 0.8)),))
    ...     for name, index, label in (
    ...         ("first", [0, 1], [5, 6]), ("second", [1, 2], [6, 7]), ("other", [0, 1], [3, 4])))
    >>> [[(one.name, one.index.tolist()) for one in group]
    ...  for group in side_by_side([first, other, second])]
    [[('first', [1]), ('second', [1])]]
    """
    groups: list[list[Evaluation]] = []
    for one in checks.items("evaluations", evaluations, Evaluation):
        for group in groups:
            kind = (group[0].measure, group[0].score_range) == (one.measure, one.score_range)
            if kind and (joined := on_common_inputs([*group, one])):
                group[:] = joined
                break
        else:
            groups.append([one])
    return [group for group in groups if len(group) > 1]


def on_common_inputs(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """Reduce evaluations to their common inputs.

    The result is [] if there are no common inputs, if labels disagree, or if the data sets differ.
    """
    checks.items("evaluations", evaluations, Evaluation, least=1)
    if len({one.data for one in evaluations} - {None}) > 1:
        return []
    if len(evaluations) == 1:
        return list(evaluations)
    common = reduce(np.intersect1d, (one.index for one in evaluations))
    reduced = [one.select(common) for one in evaluations] if len(common) else []
    labels = [one.label for one in reduced]
    return [] if any((one != labels[0]).any() for one in labels) else reduced


@dataclass(frozen=True, eq=False)
class BestByRadius:
    """The evaluation that certifies most, of several, at each radius.

    Parameters
    ----------
    radius : ndarray, shape (n_steps,)
        Radii R_i at which a certified accuracy changes, increasing.
    counts : ndarray of int64, shape (n_evaluations, n_steps)
        Number of inputs certified at each R_i, constant on (R_i-1, R_i]. It is
        `evaluation.UNKNOWN`, and never the best, if an evaluation computed nothing.
    best : ndarray of int64, shape (n_steps,)
        Position of the evaluation with the largest count, or of the first of several; -1 if no
        evaluation certifies an input.
    """

    radius: Floats
    counts: Ints
    best: Ints

    def runs(self) -> Iterator[tuple[int, slice]]:
        """Yield each best evaluation with the steps at which it is best, in order of the radius."""
        ends = [*(np.flatnonzero(np.diff(self.best)) + 1), len(self.best)]
        start = 0
        for end in ends:
            if self.best[start] >= 0:
                yield int(self.best[start]), slice(start, int(end))
            start = int(end)


def best_by_radius(evaluations: Sequence[Evaluation], threshold: float) -> BestByRadius:
    """Find the evaluation that certifies most, by its last method, at a threshold for each radius.

    Raises
    ------
    ValueError
        If `threshold` is not inside the range of the measure.
    """
    checks.items("evaluations", evaluations, Evaluation, least=1)
    threshold = evaluations[0].checked_threshold(threshold)
    told = [one for one in evaluations if one.tells(threshold)] or evaluations
    steps = [one.by_radius(one.bounds[-1], threshold)[0] for one in told]
    radius = np.unique(np.concatenate(steps))
    counts = np.stack([one.counts_at(one.bounds[-1], threshold, radius) for one in evaluations])
    best = np.where((counts > 0).any(axis=0), counts.argmax(axis=0), -1)
    return BestByRadius(radius, counts, best)
