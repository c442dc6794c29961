"""Certify a quantile with draws that stop by themselves.

All q-quantiles are at least t within R if the probability of a score of at least t is above 1 - q
there. The example searches for the largest such t in a list of levels, with the anytime test of
this probability. The score is the prediction of a linear regressor, so the exact answer is known.

    python docs/examples/adaptive_quantile.py
"""

import numpy as np
from scipy.stats import norm

from smoothbound.anytime import AnytimeTest, Decide

WEIGHTS, SIGMA, RADIUS, MOST = np.array([2.0, -1.0, 0.5]), 0.5, 0.25, 20_000


def find_quantile(draw, levels, q, *, alpha=0.001, most=MOST):
    """Return the last level that the q-quantile is certified to reach, None if none, and the draws.

    `draw(n)` returns the scores of n further noisy copies. The levels ascend and are fixed before
    the draws. Each level implies the levels below it, so the answer is false only if the first
    false level is certified. This has probability at most alpha.
    """
    question = Decide(1.0 - q, radius=RADIUS)  # is P(score >= level) above 1 - q within R?
    guess, scores, reached = draw(10), draw(10), None
    for level in levels:
        test = AnytimeTest(question, sigma=SIGMA, alpha=alpha, guess=(guess >= level) * 1.0)
        test.update((scores >= level) * 1.0)
        while not test.answers[0].certified:
            if len(scores) >= most or (len(scores) >= 500 and test.answers[0].remaining > most):
                return reached, len(scores)  # out of draws, or by a forecast out of reach
            new = draw(10)
            scores = np.append(scores, new)
            test.update((new >= level) * 1.0)
        reached = float(level)
    return reached, len(scores)


def exact_quantile(x, q):
    """Return the least q-quantile within R: the prediction is normal, and falls by R |w|."""
    return float(WEIGHTS @ x + np.linalg.norm(WEIGHTS) * (SIGMA * norm.ppf(q) - RADIUS))


if __name__ == "__main__":
    rng, x = np.random.default_rng(0), np.array([1.0, 0.5, -0.5])

    def draw(n):
        """Return the predictions of n noisy copies."""
        return (x + rng.normal(0.0, SIGMA, size=(n, len(x)))) @ WEIGHTS

    for q, least in ((0.5, 0.0), (0.1, -1.5)):
        for levels in ([least], np.arange(-40, 40) / 10):
            found, n = find_quantile(draw, levels, q)
            exact = f"{exact_quantile(x, q):.3f} exactly"
            print(f"{q}-quantile within {RADIUS}: {found} or more after {n} draws, {exact}")
