"""A metric of inspect_ai: a lower bound on the mean score, from the epochs of an evaluation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from inspect_ai.scorer import Metric, SampleScore, Value, metric, value_to_float

from smoothbound._utils import checks
from smoothbound.bounds._certify import certify_scores

__all__ = ["certified_mean"]


@metric(scores="unreduced")  # type: ignore[untyped-decorator]
def certified_mean(
    epochs: int,
    alpha: float = 0.05,
    to_float: Callable[[Value], float] | None = None,
    samples: int = 1,
) -> Metric:
    """Bound the mean score from below, as a metric of inspect_ai.

    The epochs of a sample are draws: a model with random answers gets the same question again. The
    metric is a lower bound on the mean score over the samples in infinitely many epochs. The bound
    is above this mean with probability at most alpha.

    For scores of 0 and 1 it is the bound of Clopper and Pearson (1934), which is exact for one
    sample. The scores of a single sample may be any numbers in [0, 1]. If no score is missing,
    their mean is bounded by ``mean="betting"`` of `smoothbound.certify_scores`, which depends on
    their order. Otherwise it is bounded by ``bound="cdf"``, which does not.

    Parameters
    ----------
    epochs : int
        Number of epochs of the evaluation, fixed before the first one. A missing score counts as 0.
        Scores are missing if an epoch is not scored, or not scored yet while the evaluation runs.
    alpha : float, default 0.05
        Largest probability that the bound is above the mean, in (0, 1).
    to_float : callable, optional
        A function that converts the value of a score to a number in [0, 1]; by default
        ``value_to_float()`` of inspect_ai, which makes "C" 1 and "I" 0.
    samples : int, default 1
        Number of samples of the evaluation. inspect_ai does not pass samples without any scored
        epoch to a metric. Their scores count as 0.

    Returns
    -------
    Metric
        The metric, which inspect_ai calls with the score of each sample in each epoch. It raises a
        ValueError if a score is not a number in [0, 1], if one of several samples has a score other
        than 0 and 1, if a sample has more scores than epochs, or if there are more samples than
        stated.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is out of range.

    Notes
    -----
    The bound is about these samples, and not about other samples that they may represent. The
    epochs must be independent: do not cache the answers of the model across epochs, and do not stop
    when the scores look good.

    With several samples, the n scores are 1 with different probabilities, whose mean is p. Let k be
    the number of scores that are 1. For every j >= n p + 1, the probability of j or more ones is at
    most that of Bin(n, p) (Hoeffding 1956, Theorem 4). The bound is the smaller one of the bound of
    Clopper and Pearson, c_k, and (k - 1) / n. Let j be the least number of ones with a bound above
    p. Then j > n p + 1 and p < c_j, so the probability of j or more ones is at most alpha.

    References
    ----------
    Hoeffding, "On the distribution of the number of successes in independent trials", Annals of
    Mathematical Statistics 27, 1956.

    Examples
    --------
    19 correct answers to one question in 20 epochs:

    >>> from inspect_ai.scorer import Score
    >>> answers = ["C"] * 19 + ["I"]
    >>> scores = [SampleScore(score=Score(value=one), sample_id=1) for one in answers]
    >>> round(certified_mean(epochs=20)(scores), 4)
    0.7839
    """
    epochs = checks.count("epochs", epochs, 1, 2**31)
    samples = checks.count("samples", samples, 1, 2**31)
    alpha = checks.alpha("alpha", alpha)
    number = value_to_float() if to_float is None else checks.function("to_float", to_float)

    def bound(scores: list[SampleScore]) -> float:
        rows: dict[Any, list[float]] = {}
        for one in scores:
            rows.setdefault(one.sample_id, []).append(_number(one, number))
        return _bound(rows, epochs, alpha, samples)

    return bound


def _number(one: SampleScore, to_float: Callable[[Value], float]) -> float:
    value = one.score.value
    if not isinstance(value, str | int | float):
        raise ValueError(
            f"scores must be single values, got the {type(value).__name__} {value!r} of sample "
            f"{one.sample_id!r}: state the metric of each of its values, as in "
            '@scorer(metrics={"*": [certified_mean(epochs=20)]})'
        )
    found = to_float(value)
    if not 0.0 <= found <= 1.0:
        raise ValueError(
            f"scores must be in [0, 1], got {found!r} of sample {one.sample_id!r}: state a "
            "to_float that scales them"
        )
    return float(found)


def _bound(rows: dict[Any, list[float]], epochs: int, alpha: float, samples: int) -> float:
    """Bound the mean of the scores of each sample in `epochs` epochs."""
    for sample, found in rows.items():
        if len(found) > epochs:
            raise ValueError(
                f"epochs must be that of the evaluation, got {epochs}, and sample {sample!r} has "
                f"{len(found)} scores"
            )
    if len(rows) > samples:
        raise ValueError(
            f"samples must be the number of samples of the evaluation, got {samples}, and "
            f"{len(rows)} have scores"
        )
    known = np.array([score for found in rows.values() for score in found], np.float64)
    if not known.any():
        return 0.0
    draws = np.concatenate([known, np.zeros(epochs * samples - known.size)])
    votes = bool(np.isin(draws, (0.0, 1.0)).all())
    if samples > 1 and not votes:
        raise ValueError(
            f"the scores of several samples, here {samples}, must be 0 or 1, got "
            f"{draws[(draws > 0.0) & (draws < 1.0)][0]!r}: state a to_float such as "
            "lambda value: float(value >= 0.5)"
        )
    # of fractions the order counts, and nothing tells the places of those that are missing
    ordered = votes or known.size == draws.size
    method: dict[str, Any] = {"bound": "mean", "mean": "betting"} if ordered else {"bound": "cdf"}
    made = certify_scores(draws[None], sigma=1.0, alpha=alpha, radii=[0.0], **method)
    assert made.lower is not None
    lower = float(made.lower[0, 0])
    if samples > 1:  # see the notes of `certified_mean`
        lower = min(lower, float(np.nextafter((draws.sum() - 1.0) / draws.size, -1.0)))
    return max(lower, 0.0)
