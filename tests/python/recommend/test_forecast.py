"""Forecasts: what few draws say of many, on the safe side of themselves and near the truth."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from sketches import sketched

import smoothbound as sb
from smoothbound import ScoreSketch
from smoothbound.recommend import _forecast as forecasts
from smoothbound.recommend._forecast import MOST_DRAWS, forecast, scaled
from smoothbound.recommend._recommendation import draw_counts

RADII = np.array([0.0, 0.1, 0.25, 0.5])


def pilot_of(scores: np.ndarray, **options: object) -> ScoreSketch:
    sketch = ScoreSketch(len(scores), **{"sigma": 0.25, **options})  # type: ignore[arg-type]
    sketch.update(scores)
    return sketch


def population(seed: int, inputs: int = 100, spread: float = 1.5):  # type: ignore[no-untyped-def]
    """Return what draws n scores of each input, logistic(mu + spread * N)."""
    rng = np.random.default_rng(seed)
    mu = rng.normal(2.5, 2.0, (inputs, 1))
    return lambda n: expit(mu + spread * rng.standard_normal((inputs, n))).astype(np.float32)


counts = st.lists(st.integers(0, 5), min_size=1, max_size=20).filter(any)


@given(counts, st.integers(1, 300))
def test_scaled_counts_move_less_than_a_draw_and_only_down(cells: list[int], n: int) -> None:
    before = np.array([cells], np.uint32)
    after = scaled(before, n)
    assert after.dtype == np.uint32
    assert after.sum() == n
    m, reached = sum(cells), [sum(cells[j:]) for j in range(len(cells))]
    found = [int(after[0, j:].sum()) for j in range(len(cells))]
    assert found == [n * k // m for k in reached]  # whole numbers of Python, of any size
    np.testing.assert_array_equal(scaled(before, m), before)
    np.testing.assert_array_equal(scaled(before, 7 * m), 7 * before)


def test_scaled_counts_do_not_overflow() -> None:
    most = np.array([[2**32 - 2, 1]], np.uint32)
    assert scaled(most, MOST_DRAWS).tolist() == [[MOST_DRAWS, 0]]
    assert scaled(most[:, ::-1], MOST_DRAWS).tolist() == [[1, MOST_DRAWS - 1]]


@given(sketched(), st.sampled_from(["dkw", "ell"]))
def test_as_many_draws_give_the_certificate_itself(
    backend: str, case: tuple[object, np.ndarray], band: str
) -> None:
    edges, scores = case
    sketch = pilot_of(scores[None], edges=edges)
    options = {"radii": RADII, "thresholds": [0.1], "alpha": 0.05, "band": band}
    expected = sketch.certify(backend=backend, **options)  # type: ignore[arg-type]
    found = forecast(sketch, scores.size, backend=backend, **options)  # type: ignore[arg-type]
    np.testing.assert_array_equal(found.lower, expected.lower)
    np.testing.assert_array_equal(found.radius, expected.radius)


def test_inputs_may_have_different_numbers_of_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forecasts, "_ROWS", 2)
    scores = np.random.default_rng(0).beta(9, 1, (5, 900))
    sketch = ScoreSketch([1, 3, 4, 7, 9], sigma=0.25)
    for i, n in enumerate([900, 300, 900, 50, 1]):
        sketch.update(scores[i : i + 1, :n], index=[sketch.index[i]])
    found = forecast(sketch, 2000, radii=RADII).lower
    for i, n in enumerate([900, 300, 900, 50, 1]):
        alone = forecast(pilot_of(scores[i : i + 1, :n]), 2000, radii=RADII).lower
        np.testing.assert_array_equal(found[i], alone[0])
    some = forecast(sketch, 2000, radii=RADII, index=[9, 3]).lower
    np.testing.assert_array_equal(some, found[[4, 1]])


@pytest.mark.parametrize("band", ["dkw", "ell"])
def test_more_draws_forecast_no_less(band: str) -> None:
    sketch = pilot_of(population(0)(700))
    steps = [forecast(sketch, n, radii=RADII, band=band).lower for n in draw_counts(0.5, 20_000)]
    for fewer, more in pairwise(steps):
        assert (more >= fewer).all()
    assert (steps[-1] > steps[0]).any()


@pytest.mark.parametrize("spread", [1.0, 1.5, 3.0])
def test_a_thousand_draws_foretell_what_ten_thousand_certify(spread: float) -> None:
    """Shares of 100 inputs: within 4 points each, and 1 on average; measured: 3 and 0.2."""
    thresholds = np.array([0.5, 0.7, 0.9])
    differences = []
    for seed in range(3):
        draw = population(seed, spread=spread)
        told = forecast(pilot_of(draw(1000)), 10_000, radii=RADII).lower
        came = sb.certify_scores(draw(10_000), sigma=0.25, radii=RADII).lower
        assert came is not None
        shares = [(lower[..., None] > thresholds).mean(axis=0) for lower in (told, came)]
        differences.append(shares[0] - shares[1])
    assert np.abs(differences).max() <= 0.04
    assert abs(np.mean(differences)) <= 0.01


@pytest.mark.parametrize(
    ("sketch", "arguments", "message"),
    [
        (pilot_of(np.ones((1, 50))), {"n": 0}, "n must be at least 1"),
        (pilot_of(np.ones((1, 50))), {"n": 10**7 + 1}, "n must be at most 10000000"),
        (pilot_of(np.ones((1, 50)), sigma=None), {}, "must record the sigma"),
        (pilot_of(np.ones((1, 50))), {"alpha": 1.0}, "alpha must lie strictly"),
        (pilot_of(np.ones((1, 50))), {"band": "tight"}, "band must be one of"),
        (pilot_of(np.ones((1, 50))), {"radii": [-1]}, "radii must be finite"),
        (pilot_of(np.ones((1, 50))), {"thresholds": [1]}, "thresholds must lie strictly inside"),
        (pilot_of(np.ones((1, 50))), {"index": [0, 4]}, "among those of the sketch, got 4"),
        (ScoreSketch(sigma=1), {}, "input 0 has no draws"),
    ],
)
def test_arguments_are_checked(sketch: ScoreSketch, arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        forecast(sketch, **{"n": 100, **arguments})
