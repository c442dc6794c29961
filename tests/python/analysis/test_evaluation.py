from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.figure import Figure

from smoothbound import figures
from smoothbound._display.rounding import percent
from smoothbound.analysis.comparison import best_by_radius
from smoothbound.analysis.evaluation import (
    UNKNOWN,
    Bounds,
    Evaluation,
    StoredSketches,
    correlation,
    share,
)
from smoothbound.analysis.reading import of_certificate
from smoothbound.bounds._method import Method
from smoothbound.sketch._score_sketch import ScoreSketch

RADII = np.array([0.0, 0.5, 1.0])
# Values on a coarse grid, so that ties with thresholds occur.
GRID = st.integers(0, 10).map(lambda k: k / 10)


@st.composite
def evaluations(draw: st.DrawFn) -> Evaluation:
    n = draw(st.integers(1, 12))
    lower = draw(arrays(np.float64, (n, 3), elements=GRID))
    lower = np.minimum.accumulate(lower, axis=1)
    classes = st.integers(-1, 2)
    return Evaluation(
        name="drawn",
        measure="score",
        score_range=(0.0, 1.0),
        radii=RADII,
        index=np.arange(n),
        label=draw(arrays(np.int64, n, elements=st.integers(0, 2))),
        predicted=draw(arrays(np.int64, n, elements=classes)),
        bounds=(Bounds(Method("cdf", "dkw"), lower),),
    )


def naive(evaluation: Evaluation, radius: float, threshold: float) -> float:
    """Certified accuracy by its definition, with a bound valid up to the radius it stands for."""
    good = 0
    for i in range(len(evaluation.index)):
        if evaluation.predicted[i] == -1 or evaluation.predicted[i] != evaluation.label[i]:
            continue
        for j, known in enumerate(evaluation.radii):
            if known >= radius and evaluation.bounds[0].lower[i, j] > threshold:
                good += 1
                break
    return good / len(evaluation.index)


@given(evaluations(), st.sampled_from([0.1, 0.3, 0.5, 0.9]))
def test_counts_are_the_definition(evaluation: Evaluation, threshold: float) -> None:
    counts = evaluation.counts(evaluation.bounds[0], [threshold])
    assert counts.shape == (3, 1)
    for radius, count in zip(RADII, counts[:, 0], strict=True):
        assert count / len(evaluation.index) == naive(evaluation, radius, threshold)


@given(evaluations(), st.sampled_from([0.1, 0.35, 0.5, 0.9]), st.floats(0.0, 1.0))
def test_steps_between_radii_show_what_is_certified_and_no_more(
    evaluation: Evaluation, threshold: float, radius: float
) -> None:
    steps, accuracy, exact = evaluation.by_radius(evaluation.bounds[0], threshold)
    assert not exact
    drawn = accuracy[np.searchsorted(steps, radius, side="left")]  # constant on (R_i-1, R_i]
    assert drawn == naive(evaluation, radius, threshold)


@given(evaluations(), st.sampled_from([0.0, 0.5, 1.0]), st.floats(0.0, 1.0))
def test_steps_over_the_threshold_are_exact(
    evaluation: Evaluation, radius: float, threshold: float
) -> None:
    steps, accuracy = evaluation.by_threshold(evaluation.bounds[0], radius)
    assert (steps[0], steps[-1]) == (0.0, 1.0)
    drawn = accuracy[np.searchsorted(steps, threshold, side="right") - 1]  # on [c_i, c_i+1)
    assert drawn == naive(evaluation, radius, threshold)


@pytest.fixture
def four() -> Evaluation:
    lower = np.array([[0.9, 0.7, 0.3], [0.8, 0.4, 0.1], [0.9, 0.9, 0.9], [0.4, 0.1, 0.0]])
    radius = np.array([[0.71], [0.33], [2.0], [math.nan]])
    return Evaluation(
        name="four",
        measure="score",
        score_range=(0.0, 1.0),
        radii=RADII,
        index=np.array([10, 20, 30, 40]),
        label=np.array([1, 1, 1, 1]),
        predicted=np.array([1, 1, 2, -1]),
        bounds=(Bounds(Method("cdf", "dkw"), lower, radius),),
        thresholds=np.array([0.5]),
        class_radius=np.array([1.0, math.nan, 1.5, 0.2]),
    )


def test_an_evaluation_shows_itself_in_a_line(four: Evaluation) -> None:
    assert repr(four) == "Evaluation of 4 inputs (four): score, Theorem 2 (dkw)"
    assert "\x1b" not in repr(replace(four, name="\x1b[31m"))


def test_certified_radii_give_the_exact_curve(four: Evaluation) -> None:
    steps, accuracy, exact = four.by_radius(four.bounds[0], 0.5)
    assert exact
    assert steps.tolist() == [0.0, 0.33, 0.71]  # not the 2.0 of the wrong class
    assert accuracy.tolist() == [0.5, 0.5, 0.25]


def test_a_threshold_without_certified_radii_uses_the_grid(four: Evaluation) -> None:
    steps, accuracy, exact = four.by_radius(four.bounds[0], 0.6)
    assert not exact
    assert steps.tolist() == RADII.tolist()
    assert accuracy.tolist() == [0.5, 0.25, 0.0]


def test_nothing_certified_is_a_curve_at_zero(four: Evaluation) -> None:
    none = replace(four, predicted=np.full(4, -1))
    steps, accuracy, _ = none.by_radius(none.bounds[0], 0.5)
    assert (steps.tolist(), accuracy.tolist()) == ([0.0], [0.0])
    assert none.by_threshold(none.bounds[0], 0.5)[1].max() == 0
    assert none.typical() is None


def test_typical_is_a_correct_input_and_rows_are_found_by_index(four: Evaluation) -> None:
    assert four.typical() == 10
    assert four.row(30) == 2
    with pytest.raises(ValueError, match="no input 3; it has 4 inputs from 10 to 40"):
        four.row(3)


def test_paired_needs_a_prediction_and_a_class_radius(four: Evaluation) -> None:
    assert four.paired.tolist() == [True, False, True, False]
    assert not replace(four, class_radius=None).paired.any()


def test_unknown_radii_and_thresholds_are_refused(four: Evaluation) -> None:
    with pytest.raises(ValueError, match=r"no bound at 0.25; it has 0, 0.5, 1"):
        four.by_threshold(four.bounds[0], 0.25)
    with pytest.raises(ValueError, match="inside the range"):
        four.by_radius(four.bounds[0], 1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": np.array([1])}, r"label of four needs shape \(4,\), got \(1,\)"),
        ({"radii": np.array([0.0, 1.0, 0.5])}, "must increase"),
        ({"radii": np.array([0.0, 1.0])}, r"lower of cdf_dkw of four needs shape \(4, 2\)"),
        ({"thresholds": np.empty(0)}, "radius of cdf_dkw"),
        ({"class_radius": np.empty(3)}, "class_radius of four"),
        ({"bounds": ()}, "bounds of four must have one entry or more, got 4, 3 and 0"),
    ],
)
def test_shapes_are_checked(four: Evaluation, change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(four, **change)  # type: ignore[arg-type]


@given(st.integers(1, 10**6), st.data())
def test_percent_is_the_floor(total: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, total))
    whole, tenth = percent(count, total).split(".")
    tenths = int(whole) * 10 + int(tenth)
    assert tenths * total <= 1000 * count < (tenths + 1) * total


def test_correlation() -> None:
    x = np.array([1.0, 2.0, 2.0, 3.0])
    y = np.array([0.1, 0.2, 0.4, 0.9])
    ranks = np.array([1.0, 2.5, 2.5, 4.0]), np.array([1.0, 2.0, 3.0, 4.0])
    expected = (np.corrcoef(x, y)[0, 1], np.corrcoef(*ranks)[0, 1])
    assert correlation(x, y) == pytest.approx(expected)
    assert all(map(math.isnan, correlation(x, np.ones(4))))
    assert all(map(math.isnan, correlation(x[:2], y[:2])))  # two always lie on a line
    assert np.isfinite(correlation(x[:3], y[:3])).all()
    assert correlation(1e300 * x, y) == pytest.approx(correlation(x, y))


def test_a_radius_is_called_what_was_certified_not_what_is_near_it() -> None:
    lower = np.array([[0.9, 0.8, 0.7]])
    one = Evaluation(
        name="near",
        measure="score",
        score_range=(0.0, 1.0),
        radii=np.array([0.3, 0.3 * (1 + 3e-10), 0.5]),
        index=np.arange(1),
        label=np.arange(1),
        predicted=np.arange(1),
        bounds=(Bounds(Method("mean"), lower),),
    )
    assert [one.column(radius) for radius in one.radii] == [0, 1, 2]
    ax = Figure().subplots()
    figures.certified_accuracy_vs_threshold(ax, one, 0.5 * (1 + 1e-10))
    assert ax.get_title() == "R = 0.5"


def decided(lower: list[float], *, adaptive: bool = True) -> Evaluation:
    """Make an evaluation whose draws decided one question: is the score above 0.7 within 0.25."""
    n = len(lower)
    return Evaluation(
        name="decided",
        measure="score",
        score_range=(0.0, 1.0),
        radii=np.array([0.25]),
        index=np.arange(n),
        label=np.arange(n),
        predicted=np.arange(n),
        bounds=(Bounds(Method("tangent"), np.array(lower)[:, None]),),
        thresholds=np.array([0.7]),
        adaptive=adaptive,
    )


def test_what_was_not_computed_is_unknown_and_not_zero() -> None:
    one = decided([0.8, 0.75, 0.2])
    bounds = one.bounds[0]
    assert one.counts_at(bounds, 0.7, [0.0, 0.25, 0.2500001]).tolist() == [2, 2, UNKNOWN]
    assert one.counts_at(bounds, 0.5, [0.0, 0.25]).tolist() == [UNKNOWN, UNKNOWN]  # not asked
    fixed = decided([0.8, 0.75, 0.2], adaptive=False)
    assert fixed.counts_at(bounds, 0.5, [0.0, 0.25, 1.0]).tolist() == [2, 2, UNKNOWN]
    nothing = decided([0.6, 0.5, 0.2])
    assert nothing.counts_at(bounds=nothing.bounds[0], threshold=0.7, radii=[0.5]).tolist() == [0]
    assert share(UNKNOWN, 3) == "–"
    assert share(0, 3) == "0.0"


def test_without_draws_of_wrong_classes_abstention_is_not_known() -> None:
    one = replace(decided([0.8, 0.6, 0.6]), predicted=np.array([0, -1, 0]))
    assert one.abstained.tolist() == [False, True, False]
    with pytest.raises(ValueError, match=r"decided is not known: .* without --correct-only"):
        replace(one, correct_only=True).abstained  # noqa: B018
    with pytest.raises(TypeError, match="correct_only must be True or False"):
        replace(one, correct_only="yes")


def test_the_best_is_never_one_that_is_unknown() -> None:
    reached = np.array([[0.9, 0.8], [0.6, 0.5], [0.6, 0.5]])
    other = replace(
        decided([0.8, 0.8, 0.2], adaptive=False),
        name="other",
        radii=np.array([0.25, 0.5]),
        bounds=(Bounds(Method("cdf", "ell"), reached),),
        thresholds=np.empty(0),
    )
    found = best_by_radius([decided([0.8, 0.75, 0.2]), other], 0.7)
    assert found.radius.tolist() == [0.25, 0.5]
    assert found.best.tolist() == [0, 1]
    assert found.counts.tolist() == [[2, UNKNOWN], [1, 1]]


def test_counted_scores_are_read_a_few_inputs_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    sketch = ScoreSketch(7)
    sketch.update(np.random.default_rng(0).random((7, 50)))
    read: list[int] = []

    def only(index: Any) -> ScoreSketch:
        read.append(len(index))
        return sketch.select(index)

    monkeypatch.setattr("smoothbound.analysis.evaluation._AT_A_TIME", 3)
    one = replace(decided([0.8] * 7), scores=StoredSketches(np.arange(7), only))
    parts = list(one.sketches(np.arange(7)))
    assert read == [3, 3, 1]
    np.testing.assert_array_equal(np.concatenate([p.counts for p in parts]), sketch.counts)


def test_certificates_keep_the_ids_of_their_inputs() -> None:
    sketch = ScoreSketch([3, 8], sigma=0.25, selected=[1, 0])
    sketch.update(np.random.default_rng(0).beta(9, 1, (2, 500)))
    one = of_certificate(sketch.certify(radii=[0.0, 0.1]), "kept")
    assert (one.index.tolist(), one.predicted.tolist()) == ([3, 8], [1, 0])
    assert one.select(np.array([8])).bounds[0].lower.tolist() == [one.bounds[0].lower[1].tolist()]
    assert one.select(np.array([8, 3, 8])).predicted.tolist() == [0, 1, 0]
    for unknown in (4, 9, -1):
        with pytest.raises(ValueError, match=f"has no input {unknown}; it has 2 inputs from 3 to"):
            one.select(np.array([3, unknown]))
    with pytest.warns(DeprecationWarning, match="only is now called select"):
        assert one.only(np.array([8])).index.tolist() == [8]
