"""Draws of unknown history: permuted by a key before any of them is set aside."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, chi2

import smoothbound as sb
from smoothbound._numba import order as _order
from smoothbound.backends import gaussian, reference

ALPHA = 0.05
METHODS = [
    ("tangent", "betting"),
    ("tangent", "bernstein"),
    ("joint", "betting"),
    ("mean", "betting"),
]
seeds = st.integers(0, 2**64 - 1)
row_numbers = st.integers(0, 2**63 - 1)


def certify(scores, bound="tangent", mean="betting", **options):
    options = {"sigma": 1.0, "alpha": ALPHA, "bound": bound, "mean": mean, **options}
    return sb.certify_scores(np.atleast_2d(scores), **options)


def test_philox_gives_the_published_words():
    # Known answers of the authors' Random123.
    assert reference.philox((0, 0, 0, 0), 0) == (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)
    ones = 2**32 - 1
    assert reference.philox((ones,) * 4, 2**64 - 1) == (
        0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD,
    )  # fmt: skip


@given(st.integers(2, 300), seeds, row_numbers, st.data())
def test_the_fallback_permutes_as_the_oracle(n, seed, row, data):
    steps = data.draw(st.integers(1, n))
    order = reference.permutation(n, seed, row)
    assert sorted(order) == list(range(n))
    found = _order.permuted(np.arange(n, dtype=np.float32), steps, seed, row)
    np.testing.assert_array_equal(found[:steps], order[:steps])
    np.testing.assert_array_equal(np.sort(found), np.arange(n))


@pytest.mark.parametrize(("bound", "mean"), METHODS)
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("layout", ["rows", "columns", "reversed", "every other"])
def test_rows_of_unknown_history_are_those_of_the_oracle(backend, bound, mean, dtype, layout):
    rng = np.random.default_rng(0)
    scores = rng.beta(8, 1, size=(3, 150)).astype(dtype)
    scores = {
        "rows": lambda: scores,
        "columns": lambda: np.asfortranarray(scores),
        "reversed": lambda: scores[:, ::-1],
        "every other": lambda: np.repeat(scores, 2, axis=1)[:, ::2],
    }[layout]()
    options = {"radii": [0.0, 0.4], "backend": backend, "sides": "both"}
    for seed, first_row in [(0, 0), (7, 5), (2**64 - 1, 2**63 - 3)]:
        found = certify(scores, bound, mean, seed=seed, first_row=first_row, **options)
        rows = [
            row[reference.permutation(len(row), seed, first_row + i)]
            for i, row in enumerate(scores)
        ]
        expected = certify(np.stack(rows), bound, mean, order="drawn", **options)
        np.testing.assert_array_equal(found.lower, expected.lower)
        np.testing.assert_array_equal(found.upper, expected.upper)


def test_a_long_row_is_permuted_as_the_oracle_says(backend):
    scores = np.sort(np.random.default_rng(1).beta(8, 1, size=50_000)).astype("f4")
    order = reference.permutation(scores.size, 3, 0)
    found = certify(scores, thresholds=[0.5], radii=[0, 1], seed=3, backend=backend)
    expected = certify(
        scores[order], thresholds=[0.5], radii=[0, 1], order="drawn", backend=backend
    )
    np.testing.assert_array_equal(found.lower, expected.lower)
    np.testing.assert_array_equal(found.radius, expected.radius)


def test_every_permutation_is_as_frequent_as_any_other():
    repeats = 24_000
    names = {order: i for i, order in enumerate(permutations(range(4)))}
    for seed, row in [(0, None), (None, 0)]:  # by rows of one seed, and by seeds of one row
        counts = np.zeros(len(names))
        for i in range(repeats):
            draws = _order.permuted(np.arange(4.0), 3, seed or i, row or i)
            counts[names[tuple(draws.astype(int))]] += 1
        expected = repeats / len(names)
        assert ((counts - expected) ** 2 / expected).sum() < chi2.ppf(1 - 1e-4, len(names) - 1)


def test_every_position_is_set_aside_as_often_as_any_other():
    n, pilot, repeats = 1000, 100, 3000
    counts = np.zeros(n)
    for row in range(repeats):
        counts[_order.permuted(np.arange(float(n)), pilot, 1, row)[:pilot].astype(int)] += 1
    share = pilot / n
    z = (counts - repeats * share) / np.sqrt(repeats * share * (1 - share))
    assert (z**2).sum() < chi2.ppf(1 - 1e-4, n)
    assert np.abs(z).max() < 5


@pytest.mark.parametrize(("bound", "mean"), METHODS)
def test_rows_in_parts_get_what_they_get_together(backend, bound, mean):
    scores = np.random.default_rng(0).beta(5, 1, size=(7, 200))
    options = {"bound": bound, "mean": mean, "radii": [0, 0.5], "backend": backend, "seed": 9}
    together = certify(scores, **options)
    parts = [certify(scores[i:j], first_row=i, **options) for i, j in [(0, 3), (3, 4), (4, 7)]]
    np.testing.assert_array_equal(np.concatenate([p.lower for p in parts]), together.lower)
    assert (parts[1].lower != certify(scores[3:4], **options).lower).any()  # another key


def test_equal_rows_have_permutations_of_their_own(backend):
    scores = np.tile(np.random.default_rng(0).beta(5, 1, size=300), (20, 1))
    lower = certify(scores, backend=backend).lower
    assert len(np.unique(lower)) > 10
    other = certify(scores, backend=backend, seed=1).lower
    assert (lower != other).any()


def test_an_order_that_is_said_to_be_drawn_is_kept(backend):
    scores = np.random.default_rng(0).beta(5, 1, size=(2, 300))
    kept = certify(scores, order="drawn", backend=backend)
    for seed in (1, 2):
        other = certify(scores, order="drawn", seed=seed, backend=backend)
        np.testing.assert_array_equal(kept.lower, other.lower)


@pytest.mark.parametrize("method", [{"bound": "cdf"}, {"bound": "mean"}, {"mean": "bernstein"}])
def test_methods_without_a_pilot_know_no_order(backend, method):
    scores = np.random.default_rng(0).beta(5, 1, size=(2, 300))
    options = {"sigma": 1.0, "radii": [0, 1], "backend": backend, "bound": "mean", **method}
    plain = sb.certify_scores(scores, **options).lower
    for other in ({"order": "drawn"}, {"seed": 5}, {"first_row": 3}):
        np.testing.assert_array_equal(sb.certify_scores(scores, **options, **other).lower, plain)


def test_order_and_seed_are_recorded():
    scores = np.random.default_rng(0).beta(5, 1, size=(1, 300))
    settings = certify(scores, seed=12).settings
    assert (settings.order, settings.order_seed) == ("unknown", 12)
    assert certify(scores, order="drawn").settings.order == "drawn"


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"order": "sorted"}, "order must be one of 'unknown', 'drawn'"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"seed": 2**64}, "seed must be at most 18446744073709551615"),
        ({"first_row": -1}, "first_row must be at least 0"),
        ({"first_row": 2**63}, "first_row must be at most"),
    ],
)
def test_bad_orders(options, match):
    with pytest.raises(ValueError, match=match):
        certify(np.full(100, 0.5), **options)


# Rows in an order that depends on their values: the failure rate over draws and keys. The low
# scores decide, so that a tenth without them, or of nothing else, is no sample of the row.

REPEATS, M = 3000, 200


def mixture(rng):
    """Return rows of 0.9 Beta(50, 1) + 0.1 uniform, and their mean."""
    high = rng.uniform(size=(REPEATS, M)) < 0.9
    rows = np.where(high, rng.beta(50, 1, (REPEATS, M)), rng.uniform(size=(REPEATS, M)))
    return rows, 0.9 * 50 / 51 + 0.1 * 0.5


def binary(rng):
    return (rng.uniform(size=(REPEATS, M)) < 0.9) * 1.0, 0.9


def ten_levels(rng):
    low = rng.uniform(size=(REPEATS, M)) < 0.1
    return np.where(low, rng.integers(0, 9, (REPEATS, M)) / 9, 1.0), 0.9 + 0.1 * 4 / 9


def swapped(rows):
    rows = np.sort(rows, axis=1)
    rows[:, [0, -1]] = rows[:, [-1, 0]]
    return rows


def lowest_first(rows):
    """Put the lowest tenth first, where a pilot would be, and leave the others as drawn."""
    n_pilot = rows.shape[1] // 10
    order = np.argsort(rows, axis=1, kind="stable")
    rest = np.sort(order[:, n_pilot:], axis=1)
    return np.take_along_axis(rows, np.hstack([order[:, :n_pilot], rest]), axis=1)


def ascending(rows):
    return np.sort(rows, axis=1)


ARRANGED = {
    "0/1 scores, sorted": (binary, ascending),
    "ten levels, sorted": (ten_levels, ascending),
    "sorted, two swapped": (mixture, swapped),
    "lowest first": (mixture, lowest_first),
}


def share_of_failures(scores, truth, bound, mean, **options):
    """Return how often the lower bound is false, and the upper bound of the reflected rows."""
    options = {"radii": [0.0], **options}
    lower = certify(scores, bound, mean, **options).lower[:, 0]
    upper = certify(1 - scores, bound, mean, sides="upper", **options).upper[:, 0]
    return (lower > truth).mean(), (upper < 1 - truth).mean()


@pytest.mark.parametrize(("bound", "mean"), METHODS)
@pytest.mark.parametrize("arranged", ARRANGED)
def test_arranged_rows_fail_at_most_as_often_as_stated(arranged, bound, mean):
    draw, arrange = ARRANGED[arranged]
    rows, truth = draw(np.random.default_rng(11))
    scores = arrange(rows)
    allowed = binom.ppf(1 - 1e-4, REPEATS, ALPHA) / REPEATS
    for seed in (0, 1):
        assert max(share_of_failures(scores, truth, bound, mean, seed=seed)) <= allowed
    # ... which the order that the rows have does not do, so the test can fail.
    if mean == "betting":
        kept = min(share_of_failures(scores, truth, bound, mean, order="drawn"))
        if bound != "mean":
            assert kept > 0.2
        elif draw is binary:  # whose bound on the mean depends on the number of ones alone
            assert kept <= allowed
        else:
            assert kept > allowed


def test_certified_radii_of_arranged_rows_cover():
    # 0/1 scores with P(1) = p: the confidence at radius r is exactly Phi(Phi^-1(p) - r).
    rows, p = binary(np.random.default_rng(12))
    threshold = 0.6
    truth = float(np.diff(gaussian.quantile(np.array([threshold, p])))[0])
    scores = ascending(rows)
    radius = np.nan_to_num(certify(scores, radii=[], thresholds=[threshold]).radius)
    assert 0 < (radius >= truth).sum() <= binom.ppf(1 - 1e-4, REPEATS, ALPHA)
    assert 0.5 * truth < np.median(radius) < truth
