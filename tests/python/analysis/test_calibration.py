from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from smoothbound.analysis.calibration import (
    Calibration,
    brier,
    certified,
    certified_classes,
    classwise,
    each_class,
    ece,
    mean_of_classes,
)

# Values on a coarse grid, so that ties with 1/2 and with the edges of bins occur, and between it.
SCORE = st.one_of(st.integers(0, 12).map(lambda k: k / 12), st.floats(0.0, 1.0))
Outcome = tuple[float, float]  # confidence, 1 if the class is the label


@st.composite
def intervals(
    draw: st.DrawFn, most: int = 3, n_radii: int = 1, least: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n = draw(st.integers(1, most))
    ends = draw(arrays(np.float64, (2, n, n_radii), elements=SCORE))
    ends = least + (1.0 - least) * ends
    return ends.min(axis=0), ends.max(axis=0), draw(arrays(np.bool_, n))


def allowed(low: float, high: float, right: bool) -> list[tuple[float, float, int]]:
    """What an input can become, as intervals of confidence and whether the class is the label."""
    sets = [(low, high, int(right))]
    if low <= 0.5:
        sets.append((low, 1.0 - low, 0))
        if not right:
            sets.append((low, 1.0 - low, 1))
    return sets


def outcomes(low: float, high: float, right: bool, m: int) -> list[tuple[float, int, int]]:
    """Confidence, whether right, and bin, at all ends of all intervals cut at the edges."""
    found = set()
    for start, stop, a in allowed(low, high, right):
        for b in range(m):
            lo, hi = max(start, b / m), min(stop, (b + 1) / m)
            if lo <= hi:
                found |= {(lo, a, b), (hi, a, b)}
    return sorted(found)


def slow_ece(points: tuple[tuple[float, int, int], ...], m: int) -> float:
    """Compute the calibration error of given confidences in given bins, bin by bin."""
    total = 0.0
    for b in range(m):
        total += abs(sum(a - c for c, a, at in points if at == b))
    return total / len(points)


def one(bounds: Calibration) -> tuple[float, float, float, float]:
    found = bounds.brier_lower, bounds.brier_upper, bounds.ece_lower, bounds.ece_upper
    low, high, least, most = (float(values[0]) for values in found)
    return low, high, least, most


@given(intervals(), st.integers(1, 3))
def test_the_largest_ece_is_that_of_the_worst_attack(
    case: tuple[np.ndarray, np.ndarray, np.ndarray], m: int
) -> None:
    lower, upper, right = case
    each = [outcomes(lower[i, 0], upper[i, 0], right[i], m) for i in range(len(right))]
    # |sum (a - c)| is convex in each c, so that the ends of the intervals in each bin suffice.
    values = [slow_ece(points, m) for points in product(*each)]
    *_, least, most = one(certified(lower, upper, right, n_bins=m))
    assert max(values) - 1e-14 <= most <= max(values) + 1e-12
    assert least <= min(values) + 1e-14


@given(intervals(most=8), st.integers(1, 6))
def test_ece_bounds_are_the_extremes_over_signs(
    case: tuple[np.ndarray, np.ndarray, np.ndarray], m: int
) -> None:
    lower, upper, right = case
    each = [outcomes(lower[i, 0], upper[i, 0], right[i], m) for i in range(len(right))]
    support = {
        s: sum(max(s[b] * (a - c) for c, a, b in points) for points in each) / len(each)
        for s in product((-1, 1), repeat=m)
    }
    *_, least, most = one(certified(lower, upper, right, n_bins=m))
    assert max(support.values()) - 1e-14 <= most <= max(support.values()) + 1e-12
    tried = [value for s, value in support.items() if 1 not in s[: m // 2]]
    assert -min(tried) - 1e-12 <= least <= max(-min(tried), 0.0) + 1e-14


@given(intervals(most=6), st.data())
def test_the_brier_scores_are_the_smallest_and_the_largest(
    case: tuple[np.ndarray, np.ndarray, np.ndarray], data: st.DataObject
) -> None:
    lower, upper, right = case
    low, high, *_ = one(certified(lower, upper, right))
    smallest, largest = [], []
    for i in range(len(right)):
        values = []
        for start, stop, a in allowed(lower[i, 0], upper[i, 0], right[i]):
            part = data.draw(st.floats(0.0, 1.0))
            values += [(c - a) ** 2 for c in (start, stop, start + part * (stop - start))]
        smallest.append(min(values))
        largest.append(max(values))
    assert np.mean(smallest) - 1e-12 <= low <= np.mean(smallest) + 1e-14
    assert np.mean(largest) - 1e-14 <= high <= np.mean(largest) + 1e-12


@st.composite
def attacked(draw: st.DrawFn, low: float, high: float, right: bool) -> Outcome:
    """Draw smoothed scores of K classes, class 0 in [low, high]; return those of the prediction."""
    n_classes = draw(st.integers(2, 5))
    mine = low + draw(st.floats(0.0, 1.0)) * (high - low)
    weights = draw(arrays(np.float64, n_classes - 1, elements=SCORE))
    if draw(st.booleans()):  # a single rival takes most of what is left
        weights[draw(st.integers(0, n_classes - 2))] += 10.0
    shares = weights / weights.sum() if weights.sum() > 0 else np.full_like(weights, 1.0)
    if not weights.sum() > 0:
        shares /= len(shares)
    scores = np.append(mine, (1.0 - mine) * shares)
    label = 0 if right else draw(st.integers(1, n_classes - 1))
    top = draw(st.sampled_from(np.flatnonzero(scores == scores.max()).tolist()))
    return float(scores[top]), float(top == label)


@given(intervals(most=8), st.integers(1, 12), st.data())
def test_no_attack_on_scores_of_many_classes_leaves_the_bounds(
    case: tuple[np.ndarray, np.ndarray, np.ndarray], m: int, data: st.DataObject
) -> None:
    lower, upper, right = case
    low, high, least, most = one(certified(lower, upper, right, n_bins=m))
    points = [data.draw(attacked(lower[i, 0], upper[i, 0], right[i])) for i in range(len(right))]
    confidence, correct = np.minimum([c for c, _ in points], 1.0), np.array(points)[:, 1] == 1.0
    assert low - 1e-14 <= brier(confidence, correct) <= high + 1e-14
    assert least - 1e-14 <= ece(confidence, correct, m) <= most + 1e-14
    # The other way to bin a confidence on an edge.
    bins = np.minimum(np.searchsorted(np.arange(1, m) / m, confidence, side="right"), m - 1)
    other = slow_ece(tuple(zip(confidence, correct, bins, strict=True)), m)
    assert least - 1e-14 <= other <= most + 1e-14


@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize(("low", "changes"), [(0.5, True), (np.nextafter(0.5, 1.0), False)])
def test_the_class_may_change_at_one_half_and_not_above(
    low: float, changes: bool, right: bool
) -> None:
    smallest, largest, *_ = one(certified([[low]], [[0.9]], [right]))
    # At 0.5 a rival is as confident as the class itself: no worse and no better for this score.
    expected = (0.01, 0.25) if right else (0.25, 0.81)
    assert (smallest, largest) == pytest.approx(expected, abs=1e-12)
    # Both kinds of error in one bin cancel only if the class can change.
    least = one(certified([[low], [low]], [[0.5001], [0.5001]], [right, right], n_bins=1))[2]
    assert least == pytest.approx(0.0 if changes else 0.5, abs=1e-3)


def test_nothing_known_is_nothing_certified() -> None:
    for right in (True, False):
        assert one(certified([[0.0]], [[1.0]], [right])) == (0.0, 1.0, 0.0, 1.0)


@given(arrays(np.float64, st.integers(1, 30), elements=st.floats(0.5001, 1.0)), st.data())
def test_known_confidence_above_one_half_gives_its_own_values(
    confidence: np.ndarray, data: st.DataObject
) -> None:
    right = data.draw(arrays(np.bool_, len(confidence)))
    column = confidence[:, None]
    low, high, least, most = one(certified(column, column, right))
    assert low <= brier(confidence, right) <= high <= low + 1e-12
    assert least - 1e-14 <= ece(confidence, right) <= most + 1e-14
    on_edge = np.abs(confidence * 10 - np.rint(confidence * 10)) < 1e-9
    if not on_edge.any():
        assert most <= least + 1e-12


@given(intervals(most=8, n_radii=4), st.integers(1, 11))
def test_wider_intervals_give_wider_bounds(
    case: tuple[np.ndarray, np.ndarray, np.ndarray], m: int
) -> None:
    lower, upper, right = case
    lower = np.minimum.accumulate(lower, axis=1)
    upper = np.maximum.accumulate(upper, axis=1)
    bounds = certified(lower, upper, right, n_bins=m)
    for falling in (bounds.brier_lower, bounds.ece_lower):
        assert (np.diff(falling) <= 1e-12).all()
    for rising in (bounds.brier_upper, bounds.ece_upper):
        assert (np.diff(rising) >= -1e-12).all()


@given(intervals(most=8, least=0.51), st.integers(1, 11))
def test_the_lower_ece_is_no_worse_than_the_triangle_inequality(
    case: tuple[np.ndarray, np.ndarray, np.ndarray], m: int
) -> None:
    lower, upper, right = case
    least = one(certified(lower, upper, right, n_bins=m))[2]
    gaps = (right - upper[:, 0]).mean(), (right - lower[:, 0]).mean()
    assert least >= max(gaps[0], -gaps[1]) - 1e-12


def test_a_lower_ece_where_bins_err_in_opposite_directions() -> None:
    lower, upper = np.array([[0.52], [0.95]]), np.array([[0.58], [0.98]])
    *_, least, _ = one(certified(lower, upper, [True, False]))
    assert least == pytest.approx((0.42 + 0.95) / 2, abs=1e-12)  # not |0.42 - 0.95| / 2


def test_an_input_is_wrong_only_up_to_where_another_class_can_get() -> None:
    # Nine inputs are right with a - c >= 0.2 in the last bin. The tenth reaches it only by being
    # right; elsewhere signs of (-, -, +) leave it with at most 0.5.
    lower, upper = np.array([[0.76]] * 9 + [[0.3]]), np.array([[0.8]] * 9 + [[0.9]])
    *_, least, _ = one(certified(lower, upper, np.ones(10, dtype=np.bool_), n_bins=4))
    assert least == pytest.approx((9 * 0.2 - 0.5) / 10, abs=1e-12)


def test_many_inputs_are_taken_in_parts() -> None:
    rng = np.random.default_rng(1)
    lower = rng.uniform(0.0, 1.0, (50_000, 2))
    upper = lower + (1.0 - lower) * rng.uniform(0.0, 1.0, lower.shape)
    right = rng.random(len(lower)) < 0.7
    whole = certified(lower, upper, right)
    twice = certified(np.tile(lower, (2, 1)), np.tile(upper, (2, 1)), np.tile(right, 2))
    np.testing.assert_allclose(twice.ece_upper, whole.ece_upper, atol=1e-9)
    assert (whole.ece_lower <= whole.ece_upper).all()
    assert whole.brier_upper.shape == (2,)


def test_plug_in_values_are_the_definition() -> None:
    rng = np.random.default_rng(2)
    confidence, right = rng.random(200), rng.random(200) < 0.5
    bins = np.ceil(confidence * 15).astype(int) - 1
    points = tuple(zip(confidence, right, bins, strict=True))
    assert ece(confidence, right, 15) == pytest.approx(slow_ece(points, 15), abs=1e-14)
    assert brier(confidence, right) == pytest.approx(
        sum((c - a) ** 2 for c, a, _ in points) / 200, abs=1e-14
    )
    assert ece([0.0, 1.0], [False, True]) == 0.0
    # An edge belongs to the bin below it: 0.5 and 0.4 are in one bin, 0.5 and 0.6 are not.
    assert ece([0.5, 0.4], [True, False], 2) == pytest.approx(0.05)
    assert ece([0.5, 0.6], [True, False], 2) == pytest.approx(0.55)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"lower": [0.6]}, ValueError, r"lower needs shape \(n_inputs, n_radii\).*got \(1,\)"),
        ({"lower": np.empty((1, 0))}, ValueError, "none of them 0"),
        ({"upper": [[0.9, 0.9]]}, ValueError, r"same shape, got \(1, 1\) and \(1, 2\)"),
        ({"upper": [["a"]]}, TypeError, "upper must be numbers"),
        ({"upper": [[1.5]]}, ValueError, r"upper\[0, 0\] = 1.5"),
        ({"lower": [[np.nan]]}, ValueError, r"lower\[0, 0\] = nan .*nothing is certified"),
        ({"lower": [[0.95]]}, ValueError, r"lower\[0, 0\] = 0.95 and upper\[0, 0\] = 0.9"),
        ({"right": [1]}, TypeError, "booleans, such as predicted == label"),
        ({"right": [True, False]}, ValueError, r"each of 1 inputs, got \(2,\)"),
        ({"n_bins": 0}, ValueError, "at least 1"),
        ({"n_bins": 31}, ValueError, "at most 30, got 31"),
        ({"n_bins": 2.0}, TypeError, "whole number"),
    ],
)
def test_arguments_are_checked(
    change: dict[str, object], error: type[Exception], message: str
) -> None:
    arguments = {"lower": [[0.6]], "upper": [[0.9]], "right": [True], "n_bins": 10} | change
    with pytest.raises(error, match=message):
        certified(**arguments)  # type: ignore[arg-type]


def test_plug_in_arguments_are_checked() -> None:
    with pytest.raises(ValueError, match=r"confidence needs shape \(n_inputs,\)"):
        brier([[0.5]], [True])
    with pytest.raises(ValueError, match=r"confidence\[1\] = -0.5"):
        ece([0.5, -0.5], [True, True])


# --- all classes ------------------------------------------------------------------------------


@st.composite
def of_classes(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    shape = draw(st.integers(1, 2)), draw(st.integers(1, 3)), 1
    ends = draw(arrays(np.float64, (2, *shape), elements=SCORE))
    labels = draw(arrays(np.int64, shape[:1], elements=st.integers(-1, shape[1] - 1)))
    return ends.min(axis=0), ends.max(axis=0), labels


def cut(start: float, stop: float, a: int, m: int) -> set[tuple[float, int, int]]:
    """The ends of an interval of confidence in each bin."""
    ends = [(max(start, b / m), min(stop, (b + 1) / m), b) for b in range(m)]
    return {(c, a, b) for lo, hi, b in ends if lo <= hi for c in (lo, hi)}


def worst(each: list[set[tuple[float, int, int]]], m: int) -> tuple[float, float, float, float]:
    """Brier scores and calibration errors over all choices."""
    attacks = [*product(*map(sorted, each))]
    scores = [float(np.mean([(c - a) ** 2 for c, a, _ in points])) for points in attacks]
    errors = [slow_ece(points, m) for points in attacks]
    return min(scores), max(scores), min(errors), max(errors)


@settings(max_examples=40)
@given(of_classes(), st.integers(1, 3))
def test_the_answer_among_all_classes_is_bounded(
    case: tuple[np.ndarray, np.ndarray, np.ndarray], m: int
) -> None:
    lower, upper, labels = case
    each = []
    for low, high, label in zip(lower[:, :, 0], upper[:, :, 0], labels, strict=True):
        least = low.max()
        able = [k for k in range(len(low)) if high[k] >= least]
        each.append(set().union(*(cut(least, high[k], int(k == label), m) for k in able)))
    low, high, _, most = worst(each, m)
    found = one(certified_classes(lower, upper, labels, n_bins=m))
    assert found[0] == pytest.approx(low, abs=1e-12)
    assert found[1] == pytest.approx(high, abs=1e-12)
    assert found[3] == pytest.approx(most, abs=1e-12)
    assert found[2] <= worst(each, m)[2] + 1e-12


@settings(max_examples=40)
@given(of_classes(), st.integers(1, 3))
def test_the_calibration_of_each_class_is_bounded(
    case: tuple[np.ndarray, np.ndarray, np.ndarray], m: int
) -> None:
    lower, upper, labels = case
    found, totals = one(classwise(lower, upper, labels, n_bins=m)), np.zeros(4)
    for k in range(lower.shape[1]):
        each = [
            cut(lower[i, k, 0], upper[i, k, 0], int(labels[i] == k), m) for i in range(len(labels))
        ]
        totals += worst(each, m)
    assert found[:2] == pytest.approx(totals[:2], abs=1e-12)
    assert found[3] == pytest.approx(totals[3] / lower.shape[1], abs=1e-12)
    assert found[2] <= totals[2] / lower.shape[1] + 1e-12


@settings(max_examples=20)
@given(of_classes(), st.integers(1, 3))
def test_the_classwise_bounds_are_put_together_from_those_of_each_class(
    case: tuple[np.ndarray, np.ndarray, np.ndarray], m: int
) -> None:
    lower, upper, labels = case
    each = each_class(lower, upper, labels, n_bins=m)
    for k in range(lower.shape[1]):
        column = np.where(labels == k, 0, -1)
        alone = one(classwise(lower[:, [k]], upper[:, [k]], column, n_bins=m))
        assert [x[k, 0] for x in vars(each).values()] == pytest.approx(alone, abs=1e-12)
    assert one(mean_of_classes(each)) == one(classwise(lower, upper, labels, n_bins=m))


def test_all_classes_bound_calibration_closer_than_one() -> None:
    lower, upper = np.array([[[0.4], [0.1], [0.1]]]), np.array([[[0.5], [0.3], [0.3]]])
    close = one(certified_classes(lower, upper, [1]))
    wide = one(certified(lower[:, 0], upper[:, 0], [False]))
    assert close[1] < wide[1]
    assert close[3] < wide[3]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lower": [[0.5]]}, r"lower needs shape \(n_inputs, n_classes, n_radii\)"),
        ({"upper": [[[0.1], [0.1]]]}, "lower must not exceed upper"),
        ({"upper": [[[1.0]]]}, "must have its shape"),
        ({"labels": [2]}, "labels must be columns of lower, from 0 to 1"),
        ({"labels": [0.0]}, "labels must be a whole number for each of 1 inputs"),
        ({"labels": [0, 1]}, "labels must be a whole number for each of 1 inputs"),
        ({"n_bins": 16}, "n_bins must be at most 15"),
    ],
)
def test_bad_bounds_of_classes_are_named(change: dict[str, Any], message: str) -> None:
    given = {"lower": [[[0.5], [0.2]]], "upper": [[[0.8], [0.4]]], "labels": [0]} | change
    for call in (certified_classes, classwise):
        with pytest.raises((TypeError, ValueError), match=message):
            call(**given)
