"""Certify the return of a policy whose observations are attacked.

A cart drives to the right for ten steps, and slows down as the observed place grows. The noise is
added to the ten observations, so an attack is a vector of ten numbers, and the radius limits its
length over the whole episode. The bound holds for an attack that is fixed before the episode; Kumar
et al. (2022) prove the same bound for an attack that depends on the course of the episode. In this
example the return is linear in the observations, so the exact answer is known.

    python docs/examples/policy_returns.py
"""

import numpy as np

import smoothbound as sb

STEPS, GAIN = 10, 0.2
SIGMA, RADII, N = 0.5, [0.0, 0.25, 0.5, 0.75], 10_000


def returns(shifts):
    """Return how far the cart gets in each episode, from the shifts of its observations."""
    place = np.zeros(len(shifts))
    for shift in shifts.T:
        seen = place + shift
        place = place + 1.0 - GAIN * seen  # the policy: slow down as the observed place grows
    return place


def certify(rng, n=N, **options):
    """Certify quantiles of the return, or probabilities of returns, at every radius."""
    episodes = returns(rng.normal(0.0, SIGMA, size=(n, STEPS)))
    return sb.certify_scores(episodes[None], sigma=SIGMA, radii=RADII, alpha=0.001, **options)


if __name__ == "__main__":
    random = np.random.default_rng(0)
    worst = certify(random, statistic="quantile", levels=[0.05, 0.5]).lower[0]
    print(f"without noise: {returns(np.zeros((1, STEPS)))[0]:.3f}")
    chance = certify(random, statistic="probability", levels=[3.5]).lower[0, 0]
    for j, radius in enumerate(RADII):
        print(
            f"within {radius}: median at least {worst[1, j]:.3f}, 5 % quantile at least "
            f"{worst[0, j]:.3f}, 3.5 reached with probability at least {chance[j]:.3f}"
        )
