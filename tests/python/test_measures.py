"""Confidence measures: values, ranges, and what `custom` accepts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from smoothbound import measures
from smoothbound.measures import BUILT_IN, MARGIN, SCORE, VOTE, Measure, custom, measure

logits = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=6),
    elements=st.floats(-200, 200, width=32),
)


@given(logits, st.data())
def test_score_and_margin_follow_their_definitions_and_ranges(
    values: np.ndarray, data: st.DataObject
) -> None:
    predicted = data.draw(st.integers(0, values.shape[1] - 1))
    p = torch.softmax(torch.tensor(values), dim=1)
    classes = torch.full((len(p),), predicted)
    score = SCORE.function(p, classes).tolist()
    margin = MARGIN.function(p, classes).tolist()
    for row, s, m in zip(p.tolist(), score, margin, strict=True):
        others = row[:predicted] + row[predicted + 1 :]
        assert s == row[predicted]
        assert m == pytest.approx(row[predicted] - max(others), abs=1e-7)
        assert 0.0 <= s <= 1.0
        assert -1.0 <= m <= 1.0


@given(logits, st.data())
def test_mean_margin_is_at_most_the_margin_between_the_means(
    values: np.ndarray, data: st.DataObject
) -> None:
    predicted = data.draw(st.integers(0, values.shape[1] - 1))
    p = torch.softmax(torch.tensor(values), dim=1).double()
    mean_margin = MARGIN.function(p, torch.full((len(p),), predicted)).mean()
    margin_of_means = MARGIN.function(p.mean(dim=0, keepdim=True), torch.tensor([predicted]))
    assert mean_margin <= margin_of_means + 1e-12


@given(logits, st.data())
def test_a_vote_is_one_for_the_first_of_the_largest_outputs(
    values: np.ndarray, data: st.DataObject
) -> None:
    predicted = data.draw(st.integers(0, values.shape[1] - 1))
    votes = VOTE.function(torch.tensor(values), torch.full((len(values),), predicted))
    assert votes.tolist() == [row.index(max(row)) == predicted for row in values.tolist()]


@given(logits, st.data())
def test_rows_may_be_about_different_classes(values: np.ndarray, data: st.DataObject) -> None:
    rows, columns = values.shape
    classes = data.draw(st.lists(st.integers(0, columns - 1), min_size=rows, max_size=rows))
    p = torch.softmax(torch.tensor(values), dim=1)
    for known in BUILT_IN:
        alone = [
            known.function(p[i : i + 1], torch.tensor([y])).item() for i, y in enumerate(classes)
        ]
        assert known.function(p, torch.tensor(classes)).tolist() == alone


def test_measures_leave_their_arguments_alone() -> None:
    p = torch.tensor([[0.2, 0.8], [0.6, 0.4]])
    before = p.clone()
    for known in BUILT_IN:
        known.function(p, torch.tensor([1, 0]))
    assert torch.equal(p, before)


def test_measure_finds_names_and_passes_measures_on() -> None:
    assert measure("score") is SCORE
    assert measure("margin") is MARGIN
    assert measure("vote") is VOTE
    own = custom(lambda p, y: p[:, 0], (0.0, 1.0), name="first")
    assert measure(own) is own
    assert (SCORE.score_range, SCORE.cutoff) == ((0.0, 1.0), 0.5)
    assert (MARGIN.score_range, MARGIN.cutoff) == ((-1.0, 1.0), 0.0)
    assert (VOTE.score_range, VOTE.cutoff) == ((0.0, 1.0), 0.5)


def test_unknown_measures_are_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'score', 'margin', 'vote'; got 'margins'"):
        measure("margins")
    with pytest.raises(TypeError, match="custom"):
        measure(lambda p, y: p)  # type: ignore[arg-type]


def test_custom_keeps_what_it_is_given() -> None:
    own = custom(torch.Tensor.sum, (-2, 3), name="sum", cutoff=0)
    assert own == Measure("sum", (-2.0, 3.0), 0.0, torch.Tensor.sum)
    assert custom(torch.Tensor.sum, (0.0, 1.0)).cutoff is None


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"function": 3}, TypeError, "function must be callable"),
        ({"name": ""}, TypeError, "name must be a non-empty string"),
        ({"name": "score"}, ValueError, "name must not be that of a measure of the library"),
        ({"name": "top class"}, ValueError, "name must not be that of a measure of the library"),
        ({"score_range": (1.0, 1.0)}, ValueError, "a < b"),
        ({"score_range": (0.0, float("inf"))}, ValueError, "finite"),
        ({"score_range": 1.0}, TypeError, "pair"),
        ({"cutoff": 1.0}, ValueError, "cutoff must be below the top"),
        ({"cutoff": float("nan")}, ValueError, "cutoff"),
        ({"cutoff": "0.5"}, TypeError, "cutoff must be a number"),
    ],
)
def test_custom_refuses(arguments: dict, error: type[Exception], message: str) -> None:
    good = {"function": torch.Tensor.sum, "score_range": (0.0, 1.0)}
    with pytest.raises(error, match=message):
        custom(**(good | arguments))


@given(st.floats(-100, 100).filter(lambda v: float(np.float32(v)) != v and abs(v) > 1e-30))
def test_a_range_that_float32_cannot_hold_is_refused_with_the_next_wider_one(end: float) -> None:
    with pytest.raises(ValueError, match="float32") as error:
        custom(torch.Tensor.sum, (-1000.0, end))
    wider = float(str(error.value).rsplit(" ", 1)[1])
    assert wider > end
    assert float(np.float32(wider)) == wider
    assert float(np.nextafter(np.float32(wider), np.float32(-np.inf))) < end
    custom(torch.Tensor.sum, (-1000.0, wider))


def test_cutoffs_may_be_minus_infinity() -> None:
    assert measures.check_cutoff(-np.inf, (0.0, 1.0)) == -np.inf
    assert measures.check_cutoff(np.float32(0.25), (0.0, 1.0)) == 0.25


def test_at_least_is_an_indicator_and_fails_where_the_other_measure_does():
    outputs = torch.tensor([[0.7, 0.3], [0.3, 0.7], [torch.nan, 1.0], [1.5, -0.5]])
    made = measures.at_least(0.3).function(outputs, torch.zeros(4, dtype=torch.int64))
    assert made[:2].tolist() == [1.0, 1.0]  # float32(0.3) is above 0.3
    assert made[2:].isnan().all()
    # float32(0.7) is below 0.7
    assert measures.at_least(0.7).function(outputs[:1], torch.zeros(1, dtype=torch.int64)) == 0.0
    doubles = torch.tensor([[0.7, 0.3], [np.nextafter(0.7, 0), 0.3]], dtype=torch.float64)
    made = measures.at_least(0.7).function(doubles, torch.zeros(2, dtype=torch.int64))
    assert made.tolist() == [1.0, 0.0]
    margin = measures.at_least(0.25, "margin")
    assert margin.name == "margin >= 0.25"
    assert margin.function(outputs[:2], torch.zeros(2, dtype=torch.int64)).tolist() == [1.0, 0.0]
    for level in (np.nan, np.inf, 1e300):
        with pytest.raises(ValueError, match="level must be finite"):
            measures.at_least(level)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_a_score_at_the_level_is_at_least_the_level(dtype):
    outputs = torch.tensor([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]], dtype=dtype)
    selected = torch.zeros(3, dtype=torch.int64)
    for level, reached in ((1.0, [1, 0, 0]), (0.5, [1, 1, 0]), (0.0, [1, 1, 1])):
        assert measures.at_least(level).function(outputs, selected).tolist() == reached
    assert measures.at_least(1, "vote").function(outputs, selected).tolist()[::2] == [1, 0]
