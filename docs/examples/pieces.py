"""Count scores in pieces on two machines, send the counts as small files, add and certify them."""

import tempfile
from pathlib import Path

import numpy as np

import smoothbound as sb

INPUTS, SIGMA = 3, 0.25


def draw(machine, n):
    """Return scores of n noisy copies of each input, as a model on a machine would."""
    return np.random.default_rng(machine).beta(20, 1, size=(INPUTS, n)).astype(np.float32)


folder = Path(tempfile.mkdtemp())
for machine in (0, 1):
    sketch = sb.ScoreSketch(INPUTS, sigma=SIGMA)
    for first in range(0, 5_000, 1_000):  # draws have numbers, so that none is counted twice
        sketch.update(draw((machine, first), 1_000), first_draw=machine * 5_000 + first)
    sketch.save(folder / f"{machine}.parquet")

total = sb.ScoreSketch.load(folder / "0.parquet") + sb.ScoreSketch.load(folder / "1.parquet")
cert = total.certify(radii=[0, 0.25], thresholds=[0.5, 0.8])  # any question, without a new draw
print("draws of each input:", total.n_draws)
print(cert.lower.round(4))
print(cert.radius.round(4))
