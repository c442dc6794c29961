"""Certified probabilities and quantiles from counts, beside those from the scores."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import smoothbound as sb

EDGES = np.array([-3.0, -1.0, -0.5, 0.0, 0.25, 1.0, 4.0])
OPTIONS = {"sigma": 0.5, "alpha": 0.05, "radii": [0.0, 0.1], "sides": "both"}


def counted(scores, **options):
    sketch = sb.ScoreSketch(edges=EDGES, score_range=(-3.0, 4.0), index=len(scores), **options)
    sketch.update(np.asarray(scores, np.float64))
    return sketch


def both(scores, **options):
    """Return the certificates from counts and from scores."""
    options = OPTIONS | {"score_range": (-3.0, 4.0)} | options
    exact = sb.certify_scores(scores, **options)
    del options["score_range"]
    return counted(scores).certify(**options), exact


@settings(max_examples=40)
@given(
    st.lists(
        st.lists(st.sampled_from(EDGES.tolist()) | st.floats(-3, 4), min_size=40, max_size=40),
        min_size=1,
        max_size=3,
    )
)
def test_probabilities_at_edges_are_exact_and_others_safe(backend, rows):
    rows = np.array(rows)
    found, exact = both(
        rows, statistic="probability", levels=EDGES, thresholds=[0.3], backend=backend
    )
    for part in ("lower", "upper", "radius"):
        np.testing.assert_array_equal(getattr(found, part), getattr(exact, part))
    between = [-9.0, -2.0, -0.75, 0.1, 0.2, 3.9, 9.0]
    found, exact = both(rows, statistic="probability", levels=between, backend=backend)
    assert (found.lower <= exact.lower).all()
    assert (found.upper >= exact.upper).all()


@settings(max_examples=40)
@given(
    row=st.lists(st.sampled_from(EDGES.tolist()) | st.floats(-3, 4), min_size=60, max_size=60),
    q=st.floats(0.2, 0.8),
)
def test_quantiles_are_the_next_edge_on_the_safe_side(backend, row, q):
    found, exact = both(np.array([row]), statistic="quantile", levels=[q], backend=backend)
    edges_below = EDGES[np.searchsorted(EDGES, exact.lower, side="right") - 1]
    edges_above = EDGES[np.searchsorted(EDGES, exact.upper, side="left")]
    np.testing.assert_array_equal(found.lower, edges_below)
    np.testing.assert_array_equal(found.upper, edges_above)


def test_inputs_may_have_different_numbers_of_draws(tmp_path):
    rng = np.random.default_rng(0)
    sketch = counted(rng.uniform(-1, 1, size=(2, 100)))
    sketch.update(rng.uniform(-1, 1, size=(1, 900)), index=[1])
    options = OPTIONS | {"statistic": "quantile", "levels": [0.5], "thresholds": [-0.9]}
    made = sketch.certify(**options)
    assert made.n_draws.tolist() == [100, 1000]
    assert made.settings.n == 100
    for i in (0, 1):
        alone = sketch.select([i]).certify(**options)
        np.testing.assert_array_equal(alone.lower, made.lower[i : i + 1])
        np.testing.assert_array_equal(alone.radius, made.radius[i : i + 1])
    made.save(tmp_path / "made.parquet")
    assert sb.SketchLevelCertificate.load(tmp_path / "made.parquet") == made


def test_a_displacement_costs_twice_its_length():
    scores = np.random.default_rng(1).uniform(-1, 1, size=(1, 500))
    options = {"sigma": 0.5, "statistic": "probability", "levels": [0.0], "thresholds": [0.3]}
    moved = counted(scores, displacement=0.01).certify(radii=[0.1], **options)
    plain = counted(scores).certify(radii=[0.12], **options)
    np.testing.assert_allclose(moved.lower, plain.lower, rtol=1e-9)
    np.testing.assert_allclose(moved.radius, plain.radius - 0.02, rtol=1e-9)


def test_too_few_draws_are_refused():
    sketch = counted(np.zeros((1, 3)))
    with pytest.raises(ValueError, match=r"n = 3 draws are too few to certify the 0\.5-quantile"):
        sketch.certify(sigma=1, statistic="quantile", levels=[0.5])
    with pytest.raises(ValueError, match="has no draws"):
        sb.ScoreSketch().certify(sigma=1, statistic="quantile", levels=[0.5])
