"""Counts of all classes: their bytes and what they lose, the two class radii, and the coverage.

    python benchmarks/studies/all_classes.py

The scores are made up: softmax of 1000 logits that are normal around fixed strengths. `ahead` says
how far the strength of the first class is ahead of the others. docs/classes.md has the tables.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtri

from smoothbound import ClassSketch, certify_scores
from smoothbound.backends._names import Band
from smoothbound.bounds._band import confidence_band
from smoothbound.classes._arguments import default_edges
from smoothbound.classes._certify import share_of_alpha
from smoothbound.classes._rows import ClassRows
from smoothbound.classes._votes import radius_of_two, vote_bounds
from smoothbound.smoothing import class_radius

EDGES = {
    "256 equal": np.linspace(0, 1, 257),
    "1024 equal": np.linspace(0, 1, 1025),
    "4096 equal": np.linspace(0, 1, 4097),
    "default": default_edges(),
}
SPREAD = 1.5  # standard deviation of a logit under the noise


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float32]:
    scores = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return (scores / scores.sum(axis=-1, keepdims=True)).astype(np.float32)


def drawn(ahead: float, n: int, classes: int, seed: int) -> NDArray[np.float32]:
    """Return the scores of one input, shape (1, n, classes)."""
    rng = np.random.default_rng(seed)
    strength = np.sort(rng.normal(0, 2.5, classes))[::-1].copy()
    strength[0] = strength[1] + ahead
    return softmax(strength + rng.normal(0, SPREAD, (1, n, classes)))


def bytes_and_loss(n: int = 10_000, classes: int = 1000) -> None:
    """Print bytes of an input, and what the counts lose against the scores themselves."""
    print("| ahead | edges | cells a class | bytes | packed | loss below | loss above | median |")
    print("|---|---|---|---|---|---|---|---|")
    for ahead in (1.5, 3.0, 6.0):
        scores = drawn(ahead, n, classes, seed=1)
        alpha = 1e-3 / (2 * classes)
        exact = {
            side: certify_scores(
                np.ascontiguousarray(scores[0, :, :50].T), sigma=1, alpha=alpha, sides=side
            )
            for side in ("lower", "upper")
        }
        for name, edges in EDGES.items():
            sketch = ClassSketch.from_scores(scores, sigma=1, edges=edges)
            (rows,) = sketch._rows
            assert isinstance(rows, ClassRows)
            cert = sketch.certify()
            below = (exact["lower"].lower[:, 0] - cert.lower[0, :50, 0]).max()
            above = cert.upper[0, :50, 0] - exact["upper"].upper[:, 0]
            cells = rows.columns.size / classes
            print(
                f"| {ahead} | {name} | {cells:.1f} | {sketch.nbytes:,} | {len(rows.pack()):,} | "
                f"{below:.5f} | {above.max():.5f} | {np.median(above):.6f} |"
            )


def radii(n: int = 100_000, alpha: float = 1e-3) -> None:
    """Print the class radius from 1 - p_A and from bounds on all classes, in multiples of sigma."""
    print("\n| share of A | share of B | classes | one-sided, alpha | both, alpha / 2k |")
    print("|---|---|---|---|---|")
    for p_a, p_b in ((0.999, 0.001), (0.9, 0.05), (0.7, 0.2), (0.55, 0.2), (0.45, 0.3), (0.3, 0.2)):
        for k in (10, 1000):
            a, b = int(n * p_a), int(n * p_b)
            votes = np.zeros(k, np.int64)
            votes[:2] = a, b
            votes[2:] = (n - a - b) // (k - 2)
            votes[2] += n - votes.sum()
            bounds = vote_bounds(votes[None], np.array([n]), alpha / (2 * k))
            two = radius_of_two(*bounds, np.array([0]), sigma=1.0)
            one = class_radius([a], n, sigma=1.0, alpha=alpha)
            print(f"| {p_a} | {p_b} | {k} | {one[0]:.3f} | {two[0]:.3f} |")


def broken(sketch: ClassSketch, atoms: NDArray[np.float64], band: Band, alpha: float) -> int:
    """Return of how many inputs one of the bands of all classes is broken at an edge."""
    n = int(sketch.n_draws[0])
    made = confidence_band("cpp", band, n, share_of_alpha(alpha, 2 * sketch.n_classes), 0)
    levels = np.array([made.quantile(count) for count in range(n + 1)])
    edges = sketch.edges[:, None, None]
    above, below = ndtri((atoms >= edges).mean(axis=1)), ndtri((atoms <= edges).mean(axis=1))
    found = 0
    for i in range(len(sketch)):
        counts = sketch.counts(i)
        least = np.cumsum(counts[:, ::-1], axis=1)[:, ::-1][:, ::2].T
        most = np.cumsum(counts, axis=1)[:, ::2].T
        found += bool((levels[least] > above).any() or (levels[most] > below).any())
    return found


def coverage(repetitions: int = 4000) -> None:
    """Print how often one of all bounds is false, at alpha = 0.2."""
    print("\n| classes | draws | band | one of the bands | scores | votes | margins |")
    print("|---|---|---|---|---|---|---|")
    rng = np.random.default_rng(5)
    bands: tuple[Band, ...] = ("ell", "dkw")
    for k, n in ((2, 100), (5, 200), (20, 200)):
        atoms = softmax(np.linspace(1.0, -1.0, k) + rng.normal(0, 1.5, (60, k)))
        exact = atoms.astype(np.float64)
        mean, share = exact.mean(axis=0), np.bincount(atoms.argmax(axis=1), minlength=k) / 60
        for band in bands:
            wrong = np.zeros(4)
            for _ in range(repetitions // 200):
                draws = atoms[rng.integers(0, 60, (200, n))]
                sketch = ClassSketch.from_scores(draws, sigma=1, edges=256)
                cert = sketch.certify(alpha=0.2, band=band)
                scores = (cert.lower[:, :, 0] > mean) | (cert.upper[:, :, 0] < mean)
                votes = (cert.vote_lower > share) | (cert.vote_upper < share)
                others = np.where(np.arange(k) == cert.top[:, None], -np.inf, mean).max(axis=1)
                margin = cert.margin()[:, 0] > mean[cert.top] - others
                wrong += (
                    broken(sketch, exact, band, 0.2),
                    scores.any(axis=1).sum(),
                    votes.any(axis=1).sum(),
                    margin.sum(),
                )
            shares = " | ".join(f"{one:.4f}" for one in wrong / repetitions)
            print(f"| {k} | {n} | {band} | {shares} |")


KINDS = {
    "0 or 1": lambda z: (z > 0).astype(float),
    "steep": lambda z: expit(6 * z),
    "flat": lambda z: expit(z),
}


def radii_at_truth(
    kind: str, at: float, n: int, band: Band, alpha: float, repetitions: int, seed: int = 5
) -> NDArray[np.float64]:
    """Return shares of false radii of two classes, and the mean of the radii, at sigma = 1.

    The score of class 0 is a function s(z) of one coordinate that grows, with s(z) + s(-z) = 1, and
    that of class 1 is 1 - s(z). So both have the same mean, and the same share of votes, where the
    coordinate is 0: the radius around a point at `at` > 0 is `at`, for scores and for votes. A
    radius is false if it is greater, or if it is of class 1.

    Returns
    -------
    ndarray of float64, shape (4,)
        The shares of false `top_radius` and `class_radius`, and their means; none counts as 0.
    """
    rng, found = np.random.default_rng(seed), np.zeros(4)
    for start in range(0, repetitions, 500):
        z = at + rng.normal(size=(min(500, repetitions - start), n))
        scores = np.stack([KINDS[kind](z), KINDS[kind](-z)], axis=2)
        cert = ClassSketch.from_scores(scores, sigma=1).certify(alpha=alpha, band=band)
        assert cert.top_radius is not None
        assert cert.class_radius is not None
        for j, (of, radius) in enumerate(
            ((cert.top, cert.top_radius), (cert.voted, cert.class_radius))
        ):
            truth = np.where(of == 0, at, -1.0)
            found[j] += (radius > truth).sum()  # NaN is none
            found[j + 2] += np.nansum(radius)
    return found / repetitions


def coverage_of_radii(repetitions: int = 20_000, alpha: float = 0.2) -> None:
    """Print how often the radii of two classes are false, where the truth is known."""
    print("\n| scores | truth | draws | band | top false | class false | top mean | class mean |")
    print("|---|---|---|---|---|---|---|---|")
    bands: tuple[Band, ...] = ("ell", "dkw")
    for kind in KINDS:
        for at in (0.25, 1.0):
            for band in bands:
                found = radii_at_truth(kind, at, 200, band, alpha, repetitions)
                false = " | ".join(f"{one:.4f}" for one in found[:2])
                means = " | ".join(f"{one:.3f}" for one in found[2:])
                print(f"| {kind} | {at} | 200 | {band} | {false} | {means} |")


if __name__ == "__main__":
    start = time.perf_counter()
    bytes_and_loss()
    radii()
    coverage()
    coverage_of_radii()
    print(f"\n{time.perf_counter() - start:.0f} s", file=sys.stderr)
