"""Outputs of a model: how scores are made of them, and which outputs are refused."""

from __future__ import annotations

from itertools import count
from typing import Any

import numpy as np
import pytest
import torch
from drawn import CLASSES, X, copies, linear
from torch import Tensor, nn

from smoothbound.errors import ModelError
from smoothbound.measures import custom
from smoothbound.noise._streams import Stream
from smoothbound.sampling._sampler import Sampler


def test_probabilities_equal_the_softmax_of_logits() -> None:
    model = linear()
    logits = Sampler(model, 0.5).draw(X, n0=10, n=50)
    stated = Sampler(lambda x: model(x).softmax(dim=1), 0.5, outputs="probabilities")
    draws = stated.draw(X, n0=10, n=50)
    assert (draws.selected, draws.top_count) == (logits.selected, logits.top_count)
    np.testing.assert_allclose(draws.scores, logits.scores, rtol=1e-6)


def test_raw_outputs_reach_a_custom_measure_unchanged() -> None:
    norm = custom(lambda out, y: out.square().sum(dim=1), (0.0, 1e6), name="norm")
    model = linear()
    raw = Sampler(model, 0.5, measure=norm, outputs="raw").draw(X, n0=10, n=50)
    with torch.no_grad():
        expected = model(copies(50, 0.5, Stream.ESTIMATION)).square().sum(dim=1)
    np.testing.assert_allclose(raw.scores, expected, rtol=1e-5)


def test_raw_outputs_may_have_one_column() -> None:
    first = custom(lambda out, y: out[:, 0].sigmoid(), (0.0, 1.0))
    draws = Sampler(lambda x: x[:, :1], 0.5, measure=first, outputs="raw").draw(X, n0=3, n=9)
    assert (draws.selected, draws.top_count) == (0, 9)


def test_half_precision_logits_are_scored_in_float32() -> None:
    model = linear()
    draws = Sampler(lambda x: model(x).bfloat16(), 0.5).draw(X, n0=10, n=50)
    with torch.no_grad():
        logits = model(copies(50, 0.5, Stream.ESTIMATION)).bfloat16().float()
    expected = logits.softmax(dim=1)[:, draws.selected]
    np.testing.assert_allclose(draws.scores, expected, rtol=0.01)  # a step of bfloat16


def test_extreme_logits_stay_within_the_range() -> None:
    def model(x: Tensor) -> Tensor:
        logits = torch.full((len(x), 3), -torch.inf)
        logits[:, 1] = 3e38
        return logits

    for measure in ("score", "margin"):
        draws = Sampler(model, 0.5, measure=measure).draw(X, n0=3, n=10)
        assert (draws.selected, set(draws.scores.tolist())) == (1, {1.0})


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda x: x.numpy(), "returned ndarray; it must return a floating-point tensor"),
        (lambda x: (x, x), "returned tuple"),
        (lambda x: x.argmax(dim=1), "returned torch.int64"),
        (lambda x: x[:, 0], r"returned shape \(7,\) for a batch of 7"),
        (lambda x: x[:, :1], r"returned shape \(7, 1\).*at least 2"),
        (lambda x: x[:3], r"returned shape \(3, 3\) for a batch of 7"),
        (lambda x: x[None], r"returned shape \(1, 7, 3\)"),
        (lambda x: x.to("meta"), "on meta; it must return .* on cpu"),
        (lambda x: x * torch.nan, "NaN or infinity"),
        (lambda x: x + torch.inf, "NaN or infinity"),
        (lambda x: x - torch.inf, "NaN or infinity"),
    ],
)
def test_bad_outputs_are_named(model: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        Sampler(model, 1.0, batch_size=7).draw(X, n0=7, n=7)


@pytest.mark.parametrize("bad", [12, 32])  # the last of the selection, the last of all
def test_one_bad_row_among_many_is_found(bad: int) -> None:
    calls = count()

    def model(x: Tensor) -> Tensor:
        logits = x.clone()
        logits[bad % 10, 0] = torch.nan if next(calls) == bad // 10 else 0.0
        return logits

    with pytest.raises(ModelError, match="NaN"):
        Sampler(model, 1.0, batch_size=10, check_rows=False).draw(X, n0=13, n=20)


def test_what_a_padded_row_gives_is_not_looked_at() -> None:
    def model(x: Tensor) -> Tensor:
        x[7:] = torch.nan
        return x

    draws = Sampler(model, 1.0, batch_size=10).draw(X, n0=3, n=4)
    assert np.isfinite(draws.scores).all()


def test_the_number_of_classes_may_not_change() -> None:
    calls = count()

    def model(x: Tensor) -> Tensor:
        return x[:, : 2 if next(calls) else 3]

    with pytest.raises(ModelError, match="3 classes for one batch and 2 for another"):
        Sampler(model, 1.0, batch_size=10).draw(X, n0=10, n=15)


@pytest.mark.parametrize(
    "model",
    [
        lambda x: x,  # logits
        lambda x: x.sigmoid(),  # scores that do not sum to 1
        lambda x: torch.tensor([1.1, -0.1]).repeat(len(x), 1),
    ],
)
def test_what_is_not_probabilities_is_found_out(model: Any) -> None:
    with pytest.raises(ModelError, match="stated to return probabilities"):
        Sampler(model, 1.0, outputs="probabilities").draw(X, n0=5, n=20)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("classes", [2, 1000])
def test_probabilities_may_be_rounded_to_another_precision(dtype: Any, classes: int) -> None:
    torch.manual_seed(0)
    head = nn.Linear(3, classes)

    def model(x: Tensor) -> Tensor:
        return head(x).softmax(dim=1).to(dtype)

    draws = Sampler(model, 1.0, outputs="probabilities").draw(X, n0=5, n=2000)
    assert draws.scores.dtype == np.float32


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda p, y: p.sum(), r"torch.float32 of shape \(\); it must return"),
        (lambda p, y: p, "of shape"),
        (lambda p, y: p.argmax(dim=1), "returned torch.int64"),
        (lambda p, y: 0.5, "returned float"),
        (lambda p, y: p[:, 0] + 1.0, r"range \[0.0, 1.0\], and 20 of 20 values are outside it"),
        (lambda p, y: p[:, 0] * torch.nan, "the first nan at draw 0"),
    ],
)
def test_bad_measures_are_named(function: Any, message: str) -> None:
    own = custom(function, (0.0, 1.0), name="own")
    with pytest.raises(ModelError, match=f"measure 'own'.*{message}"):
        Sampler(linear(), 1.0, measure=own).draw(X, n0=5, n=20)


def test_a_measure_that_changes_the_outputs_hides_nothing() -> None:
    zero = custom(lambda out, y: out.zero_()[:, 0], (0.0, 1.0))
    sampler = Sampler(lambda x: x + 100, 0.5, measure=zero, outputs="probabilities")
    with pytest.raises(ModelError, match="stated to return probabilities"):
        sampler.draw(X, n0=3, n=9)


def test_probabilities_taken_for_logits_are_noticed() -> None:
    layer = linear()

    def model(x: Tensor) -> Tensor:
        return layer(x).softmax(dim=1)

    with pytest.warns(UserWarning, match=r"sum to 1, taken as logits.*outputs='probabilities'"):
        Sampler(model, 0.5).draw(X, n0=10, n=50)
    for outputs in ("logits", "probabilities"):
        Sampler(model, 0.5, outputs=outputs).draw(X, n0=10, n=50)  # stated: no warning


@pytest.mark.parametrize(
    "model",
    [
        lambda x: torch.stack([x[:, 0], 1 - x[:, 0]], dim=1),  # rows sum to 1, not all in [0, 1]
        lambda x: x.sigmoid(),  # all in [0, 1], and rows do not sum to 1
        lambda x: x.log_softmax(dim=1),
    ],
)
def test_logits_that_look_a_little_like_probabilities_are_taken_as_they_are(model: Any) -> None:
    draws = Sampler(model, 0.5).draw(X, n0=10, n=50)  # warnings are errors here
    assert len(draws.scores) == 50


def test_a_look_says_what_the_model_returns() -> None:
    layer = linear()
    sampler = Sampler(lambda x: layer(x).softmax(dim=1), 0.5)
    seen = sampler.preview(X, sampler.noise())
    assert (seen.classes, seen.normalised, seen.outputs) == (CLASSES, True, "logits")
    assert 0 <= seen.low < seen.high <= 1
    assert "sum to 1, taken as logits" in str(seen)
    failing = Sampler(lambda x: x[0], 0.5)
    with pytest.raises(ModelError, match="the model returned shape"):
        failing.preview(X, failing.noise())
