"""The choice of knots, on counted scores, against scores counted over those knots alone."""

from __future__ import annotations

import numpy as np
import pytest

from smoothbound.analysis import knots
from smoothbound.bounds import _certify as engine
from smoothbound.sketch._score_sketch import ScoreSketch


def scores(n_inputs: int = 3, n: int = 2000) -> np.ndarray:
    rng = np.random.default_rng(5)
    return rng.beta([[8.0], [2.0], [0.5]][:n_inputs], 1.0, size=(n_inputs, n))


def test_means_are_those_of_sketches_with_these_edges() -> None:
    rows = scores()
    fine = ScoreSketch(3, sigma=0.5)
    fine.update(rows)
    found = knots.choices(fine, radius=0.3, alpha=0.01, band="ell", n_bins=(8, 64))
    for size, mean in zip(found.n_bins, found.equal_width, strict=True):
        coarse = ScoreSketch(3, edges=size, sigma=0.5)
        coarse.update(rows)
        lower = coarse.certify(radii=[0.3], alpha=0.01).lower
        assert lower is not None
        assert mean == lower.mean()
    assert found.every_draw == fine.certify(radii=[0.3], alpha=0.01).lower.mean()  # type: ignore[union-attr]
    assert (found.n_inputs, found.radius, found.band) == (3, 0.3, "ell")


def test_equal_count_comes_close_to_the_bins_of_the_engine() -> None:
    """A knot stands at most one interval below its order statistic, where no fewer draws reach it.

    So the bound loses at most one interval, and gains at most what the draws between the two add to
    the level of a knot: these are no more than the fullest interval holds.
    """
    rows = scores()
    sketch = ScoreSketch(3, sigma=0.5)
    sketch.update(rows)
    found = knots.choices(sketch, radius=0.3, n_bins=(10, 100))
    for size, mean in zip(found.n_bins, found.equal_count, strict=True):
        exact = engine.certify_scores(rows, sigma=0.5, radii=[0.3], band="dkw", n_bins=size).lower
        assert exact is not None
        between = int(sketch.counts.max()) / rows.shape[1]
        slope = np.exp(0.6 * 3.1)  # of psi_r below its largest possible level, r = 0.3 / 0.5
        assert exact.mean() - 1 / 4096 - slope / size <= mean <= exact.mean() + slope * between


def test_equal_parts_hold_equal_counts() -> None:
    rows = scores(1, 10_000)
    sketch = ScoreSketch(1)
    sketch.update(rows)
    kept = knots.equal_count(sketch.counts[0], 8)
    counts, _ = np.histogram(rows[0], sketch.edges[kept])
    # a knot is off by at most the draws of an interval of the sketch
    np.testing.assert_allclose(counts, 10_000 / 8, atol=int(sketch.counts.max()))


def test_ties_share_a_knot_and_one_value_leaves_none() -> None:
    sketch = ScoreSketch(1, edges=4)
    sketch.update(np.full((1, 100), 0.6))
    assert knots.equal_count(sketch.counts[0], 16).tolist() == [0, 2, 4]


def test_least_intervals_to_come_within_a_share_of_the_range() -> None:
    found = knots.KnotChoices(0.1, "dkw", (4, 8), (-0.3, -0.11), (-0.4, -0.13), -0.1, 1, (-1, 1))
    assert found.bins_for(found.equal_count) == 8  # 0.01 below, of a range of 2
    assert found.bins_for((-0.4, -0.13)) is None


def test_wrong_arguments_are_named() -> None:
    sketch = ScoreSketch(1)
    sketch.update(scores(1))
    with pytest.raises(ValueError, match="sigma must be given"):
        knots.choices(sketch, radius=0.1)
    with pytest.raises(ValueError, match="n_bins"):
        knots.choices(sketch, radius=0.1, n_bins=(1,))
