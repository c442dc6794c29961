"""Distributions of scores of several shapes, and rows of any scores."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

__all__ = ["DRAWS", "scores_of_a_row"]

DRAWS = {
    "saturated": lambda rng, size: np.full(size, 0.9999),
    "beta(20, 1)": lambda rng, size: rng.beta(20, 1, size),
    "beta(3, 1.5)": lambda rng, size: rng.beta(3, 1.5, size),
    "mixture": lambda rng, size: np.where(
        rng.uniform(size=size) < 0.9, rng.beta(50, 1, size), rng.uniform(size=size)
    ),
    "logistic": lambda rng, size: 1 / (1 + np.exp(-4 - 1.5 * rng.standard_normal(size))),
    "bernoulli": lambda rng, size: (rng.uniform(size=size) < 0.9) * 1.0,
}

scores_of_a_row = st.one_of(
    hnp.arrays(np.float64, st.integers(2, 200), elements=st.floats(0, 1)),
    hnp.arrays(np.float32, st.integers(2, 200), elements=st.floats(0, 1, width=32)),
    hnp.arrays(np.float64, st.integers(2, 200), elements=st.sampled_from([0.0, 0.25, 1.0])),
)
