"""Easy, hard and hopeless inputs, whose draws stop when one question is answered."""

import numpy as np

from smoothbound.anytime import AnytimeTest, Decide

MOST = 20_000
rng = np.random.default_rng(0)


def draw(n, mean_logit):
    """Return scores of n noisy copies of an input, as a model would."""
    return 1 / (1 + np.exp(-(mean_logit + rng.normal(size=n))))


for name, mean_logit in {"easy": 6.0, "fair": 3.0, "hard": 1.9, "out of reach": 0.5}.items():
    question = Decide(0.5, radius=0.25)  # is the confidence above 0.5 everywhere within 0.25?
    test = AnytimeTest(question, sigma=0.25, guess=draw(10, mean_logit))
    n, answer = 0, test.answers[0]
    while not answer.certified and (n < 100 or answer.remaining < MOST):  # a forecast
        test.update(draw(10, mean_logit))
        n, answer = n + 10, test.answers[0]
    print(f"{name:14}", "certified" if answer.certified else "given up", f"after {n} draws")
