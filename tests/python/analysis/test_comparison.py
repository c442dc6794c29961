from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from smoothbound.analysis.comparison import best_by_radius, on_common_inputs, side_by_side
from smoothbound.analysis.evaluation import UNKNOWN, Bounds, Evaluation
from smoothbound.bounds._method import Method


def made(seed: int, radii: tuple[float, ...], name: str = "made", n: int = 12) -> Evaluation:
    rng = np.random.default_rng(seed)
    lower = np.sort(rng.random((n, len(radii))))[:, ::-1]
    index = rng.permutation(n)
    return Evaluation(
        name=name,
        measure="score",
        score_range=(0.0, 1.0),
        radii=np.asarray(radii),
        index=index,
        label=index % 3,
        predicted=np.where(rng.random(n) < 0.3, -1, index % 3),
        bounds=(Bounds(Method("mean"), lower),),
    )


def certified(one: Evaluation, threshold: float, radius: float) -> int:
    """Count by the definition: within R, the bound of the next radius that is not smaller.

    Beyond the last radius nothing was computed; but nothing is certified where nothing was nearer.
    """
    beyond = [i for i, r in enumerate(one.radii) if r >= radius]
    if not beyond:
        return UNKNOWN if certified(one, threshold, one.radii[-1]) else 0
    rows = zip(one.label, one.predicted, one.bounds[0].lower[:, beyond[0]], strict=True)
    return sum(bool(p == y and p != -1 and low > threshold) for y, p, low in rows)


@pytest.mark.parametrize("seed", range(20))
def test_best_at_each_radius_by_a_plain_loop(seed: int) -> None:
    group = [made(seed, (0.0, 0.25, 0.5, 1.0)), made(seed + 100, (0.0, 0.4, 0.5, 2.0))]
    reach = best_by_radius(group, 0.4)
    for i, radius in enumerate(reach.radius):
        counts = [certified(one, 0.4, radius) for one in group]
        assert reach.counts[:, i].tolist() == counts
        assert reach.best[i] == (counts.index(max(counts)) if max(counts) > 0 else -1)
    covered = [(place, k) for place, steps in reach.runs() for k in range(99)[steps]]
    assert covered == [(place, k) for k, place in enumerate(reach.best) if place >= 0]


def test_counts_between_and_beyond_the_radii() -> None:
    one = made(3, (0.25, 0.5))
    asked = [0.0, 0.25, 0.26, 0.5, 0.51]
    expected = [certified(one, 0.2, radius) for radius in asked]
    assert one.counts_at(one.bounds[0], 0.2, asked).tolist() == expected
    assert expected[-1] == UNKNOWN < 0 < expected[0]


def test_groups_hold_one_measure_and_the_same_inputs() -> None:
    one, two = made(1, (0.0,), "one"), made(2, (0.0, 1.0), "two", n=20)
    margin = replace(one, name="margin", measure="margin", score_range=(-1.0, 1.0))
    relabelled = replace(one, name="relabelled", label=one.label + 1)
    [group] = side_by_side([one, margin, relabelled, two])
    assert [each.name for each in group] == ["one", "two"]
    for each, whole in zip(group, (one, two), strict=True):
        assert each.index.tolist() == list(range(12))
        for k in range(12):
            row = whole.row(k)
            assert each.predicted[k] == whole.predicted[row]
            np.testing.assert_array_equal(each.bounds[0].lower[k], whole.bounds[0].lower[row])


def test_nothing_in_common_is_no_group() -> None:
    one = made(1, (0.0,))
    assert on_common_inputs([one, replace(one, index=one.index + 100)]) == []
    assert side_by_side([one]) == []
