"""The interval of a share of inputs, beside SciPy's and by its coverage."""

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from smoothbound._display.interval import CONFIDENCE, interval_ends, interval_of, product


@pytest.mark.parametrize("total", [1, 2, 17, 500])
def test_it_is_that_of_clopper_and_pearson(total):
    low, high = interval_of(range(total + 1), total)
    for k in range(total + 1):
        exact = binomtest(k, total).proportion_ci(CONFIDENCE, method="exact")
        assert (low[k], high[k]) == pytest.approx((exact.low, exact.high), abs=1e-12)


@pytest.mark.parametrize("share", [0.003, 0.2, 0.5, 0.97])
def test_it_covers_the_share_often_enough(share):
    counts = np.arange(301)
    low, high = interval_of(counts, 300)
    missed = (low > share) | (high < share)
    assert binom.pmf(counts[missed], 300, share).sum() <= 1 - CONFIDENCE


def test_it_is_printed_outward():
    for k in (0, 1, 250, 499, 500):
        low, high = interval_of(k, 500)
        text = [float(end) for end in interval_ends(k, 500)]
        assert text[0] <= 100 * low < text[0] + 0.1
        assert text[1] - 0.1 < 100 * high <= text[1]


def test_products_have_all_their_decimals():
    assert product(10_000, 0.001) == "10"
    assert product(500, 0.001) == "0.5"
    assert product(7, 0.05) == "0.35"
    assert product(3, 1e-300) == "3e-300"
