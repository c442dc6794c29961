"""The class that wins the majority vote, and the certified radius within which it wins.

The radius is that of Cohen, Rosenfeld, Kolter, *Certified Adversarial Robustness via Randomized
Smoothing*, ICML 2019, Theorem 1, with p_B bounded by 1 - p_A (their section 3.2.2). It is computed
from the draws that bound the confidence. It is not a statement about the confidence.
"""

from __future__ import annotations

from itertools import count
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaln, ndtri, xlog1py, xlogy

from smoothbound._utils import checks
from smoothbound.backends._binomial import clopper_pearson

__all__ = [
    "anytime_class_radius",
    "class_radius",
    "clopper_pearson_lower",
    "least_votes",
    "majority_class",
    "require_enough_votes",
]

_MOST_DRAWS = 2**32 - 1  # the limit of the core
_LOG_SLACK = 1e-12  # per draw; the logarithms of the gamma function have smaller errors


def clopper_pearson_lower(successes: ArrayLike, n: int, alpha: float) -> NDArray[np.float64]:
    """Bound a probability from below, from the number of successes in `n` draws.

    The bound is the p at which `successes` or more of `n` draws succeed with probability `alpha`,
    rounded down. It is the lower end of the one-sided interval of Clopper & Pearson (Biometrika
    1934). With k successes it is the alpha-quantile of Beta(k, n - k + 1), and 0 for k = 0. For
    `alpha` below 1e-200 it is Chernoff's bound instead, which is a little lower.

    Parameters
    ----------
    successes : array_like of int
        Number of successes among the `n` draws, from 0 to `n`.
    n : int
        Number of draws, 1 to 2^32 - 1.
    alpha : float
        Largest probability that the bound is above the true probability, in (0, 1).

    Returns
    -------
    ndarray of float64
        The bounds, in [0, 1), of the same shape as `successes`.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is out of range.

    Examples
    --------
    >>> round(float(clopper_pearson_lower(100_000, 100_000, alpha=0.001)), 9)
    0.999930925
    """
    n, alpha = checks.count("n", n, 1, _MOST_DRAWS), checks.share_of_alpha("alpha", alpha)
    return clopper_pearson(_counts("successes", successes, n), n, alpha)


def _counts(name: str, values: ArrayLike, n: int) -> NDArray[np.integer[Any]]:
    """Return `values` as an array after checks that they are whole numbers from 0 to `n`."""
    k = checks.array(name, values)
    if k.dtype.kind not in "iu":
        raise TypeError(f"{name} must be whole numbers, got {k.dtype}")
    if k.size and (k.min() < 0 or k.max() > n):
        raise ValueError(f"{name} must lie between 0 and n = {n}, got {k.min()} to {k.max()}")
    return k


def majority_class(counts: ArrayLike, alpha: float) -> int:
    """Return the class that wins the majority vote, or -1 if the votes do not decide.

    Let n_A and n_B be the numbers of votes of the two classes with the most votes. The class A is
    returned if a fair coin gives n_A or more heads in n_A + n_B tosses with probability at most
    alpha / 2. This is the two-sided binomial test of Predict of Cohen et al. 2019. The probability
    that it returns a class other than the most probable one is at most alpha (Hung & Fithian 2019).

    Parameters
    ----------
    counts : array_like of int, shape (n_classes,)
        Number of draws in which each class had the largest output.
    alpha : float
        Largest probability that a class other than the most probable one is returned, in (0, 1).

    Returns
    -------
    int
        The class, or -1 if the classifier abstains.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is out of range.

    References
    ----------
    Cohen, Rosenfeld, Kolter, "Certified Adversarial Robustness via Randomized Smoothing",
    ICML 2019, section 3.2.1. Hung & Fithian, "Rank verification for exponential families", Annals
    of Statistics 47, 2019.

    Examples
    --------
    >>> majority_class([3, 90, 7], alpha=0.001), majority_class([50, 45, 5], alpha=0.001)
    (1, -1)
    """
    votes, alpha = _counts("counts", counts, _MOST_DRAWS), checks.alpha("alpha", alpha)
    if votes.ndim != 1 or not votes.size:
        raise ValueError(f"counts must hold one number a class, got shape {votes.shape}")
    first, second = np.sort(np.append(votes, 0))[:-3:-1].tolist()
    if first == 0 or clopper_pearson(np.array([first]), first + second, alpha / 2)[0] <= 0.5:
        return -1
    return int(votes.argmax())


def least_votes(alpha: float) -> int:
    """Return how many unanimous votes `majority_class` needs to return a class.

    Examples
    --------
    >>> least_votes(0.001)
    11
    """
    below = max(1, int(-np.log2(alpha)))  # 2^(1 - n) must be less than alpha
    return next(n for n in count(below) if majority_class([n], alpha) == 0)


def require_enough_votes(n: int, alpha: float) -> None:
    """Refuse a number of draws with which `majority_class` always abstains.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is out of range, or `n` is too small.
    """
    n, needed = checks.count("n", n, 1, _MOST_DRAWS), least_votes(checks.alpha("alpha", alpha))
    if n < needed:
        raise ValueError(
            f"n = {n} draws are too few to predict any class at alpha = {alpha:g}, even if all "
            f"of them agree; at least n = {needed} are needed"
        )


def class_radius(
    top_count: ArrayLike, n: int, *, sigma: float, alpha: float
) -> NDArray[np.float64]:
    """Return the certified l2 radius of the class, sigma Phi^-1(p_A).

    p_A is the lower bound of `clopper_pearson_lower` on the probability of the class.

    Parameters
    ----------
    top_count : array_like of int
        Number of the `n` estimation draws in which the selected class had the largest output.
    n : int
        Number of estimation draws, 1 to 2^32 - 1.
    sigma : float
        Standard deviation of the noise, > 0, in the units of the model's input.
    alpha : float
        Largest probability that the certificate is wrong, in (0, 1).

    Returns
    -------
    ndarray of float64
        The radii, rounded down, in the units of `sigma`, of the same shape as `top_count`. A radius
        is NaN if p_A is not above 1/2, because then the class is not certified.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is out of range.

    References
    ----------
    Cohen et al. 2019, Theorem 1; see `majority_class`.

    Examples
    --------
    >>> class_radius([100_000, 99_000, 50_000], 100_000, sigma=0.25, alpha=0.001).round(4)
    array([0.9529, 0.5725,    nan])
    """
    sigma = checks.positive("sigma", sigma)
    n, alpha = checks.count("n", n, 1, _MOST_DRAWS), checks.share_of_alpha("alpha", alpha)
    return _radius(clopper_pearson(_counts("top_count", top_count, n), n, alpha), sigma)


def _radius(p: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Return sigma Phi^-1(p), rounded down; NaN if p is not above 1/2."""
    z = ndtri(p * (1.0 - 1e-14)) - 1e-15  # the slack outweighs the rounding of ndtri
    with np.errstate(over="ignore"):
        radius = np.maximum(np.nextafter(sigma * z, -np.inf), 0.0)
    return np.where((p > 0.5) & (z > 0.0), radius, np.nan)


# A mixture of two Beta distributions: one for all shares of votes, and one for shares near 1.
_MIXTURE = ((0.5, 0.5), (10.0, 0.5))


def anytime_class_radius(
    top_count: ArrayLike, n: int, *, sigma: float, alpha: float
) -> NDArray[np.float64]:
    """Return the radius of `class_radius` for draws that may have stopped at any time.

    The votes are 0 or 1 with an unknown probability q of 1. Let B(a, b) be the beta function, and k
    the number of votes of 1 among n. For every p,

        W(p) = mean over (a, b) of B(a + k, b + n - k) / (B(a, b) p^k (1 - p)^(n - k))

    is a likelihood ratio of a mixture to p. W(q) is a martingale in n that starts at 1, so the
    probability that it ever reaches 1 / alpha is at most alpha (Ville 1939). The bound p_A is the
    least p at which W(p) is below 1 / alpha. The mixture has equal parts of the parameters (1/2,
    1/2), which are those of Jeffreys, and (10, 1/2).

    Parameters
    ----------
    top_count, n, sigma, alpha
        As for `class_radius`. The reason why drawing stopped at `n` draws does not matter.

    Returns
    -------
    ndarray of float64
        The radii, rounded down, as in `class_radius`.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is out of range.

    References
    ----------
    Robbins, "Statistical methods related to the law of the iterated logarithm", Annals of
    Mathematical Statistics 41, 1970. Cohen et al. 2019, Theorem 1.

    Examples
    --------
    >>> anytime_class_radius([100_000, 99_000, 50_000], 100_000, sigma=0.25, alpha=0.001).round(4)
    array([0.9179, 0.5675,    nan])
    """
    sigma = checks.positive("sigma", sigma)
    n, alpha = checks.count("n", n, 1, _MOST_DRAWS), checks.share_of_alpha("alpha", alpha)
    k = _counts("top_count", top_count, n).astype(np.float64)
    evidence = _log_mixture(k, n) - np.log(1.0 / alpha)
    # W decreases up to p = k / n. 60 halvings leave less than a unit in the last place.
    low, high = np.zeros_like(k), k / n
    for _ in range(60):
        middle = (low + high) / 2.0
        above = evidence - xlogy(k, middle) - xlog1py(n - k, -middle) > _LOG_SLACK * n
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return _radius(low, sigma)


def _log_mixture(k: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Return the logarithm of the mean over the mixture of B(a + k, b + n - k) / B(a, b)."""
    parts = [betaln(a + k, b + n - k) - betaln(a, b) for a, b in _MIXTURE]
    return np.asarray(np.logaddexp(*parts) - np.log(len(parts)))
