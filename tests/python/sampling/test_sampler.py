"""Sampling: which draws are made, how they are numbered, and what is refused."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from drawn import Recorder, X, copies, linear, same
from torch import Tensor

from smoothbound.measures import MARGIN, SCORE, custom
from smoothbound.noise._streams import Stream
from smoothbound.sampling._jobs import Draws, FixedJob, Input
from smoothbound.sampling._sampler import Sampler


@pytest.mark.parametrize("measure", [SCORE, MARGIN])
@pytest.mark.parametrize("n", [1, 63, 64, 65, 200])
def test_draws_equal_a_plain_loop(measure, n: int) -> None:
    model, sigma, size = linear(), 0.7, 64
    draws = Sampler(model, sigma, measure=measure, batch_size=size).draw(
        X, n0=100, n=n, seed=5, index=9
    )

    def outputs(stream: Stream, count: int) -> Tensor:
        with torch.no_grad():
            return torch.softmax(model(copies(count, sigma, stream, 5, 9)), dim=1)

    votes = Counter(outputs(Stream.SELECTION, 100).argmax(dim=1).tolist())
    selected = min(votes, key=lambda y: (-votes[y], y))
    p = outputs(Stream.ESTIMATION, n)
    assert draws.selected == selected
    assert draws.n0 == 100
    assert draws.top_count == sum(row.argmax() == selected for row in p)
    assert draws.scores.dtype == np.float32
    assert draws.scores.shape == (n,)
    expected = measure.function(p, torch.full((n,), selected))
    np.testing.assert_allclose(draws.scores, expected, rtol=1e-5, atol=1e-6)


def test_selection_and_estimation_see_different_draws_of_the_stated_numbers() -> None:
    model = Recorder()
    Sampler(model, 1.0, batch_size=8, check_rows=False).draw(X, n0=10, n=20)
    assert [len(batch) for batch in model.batches] == [8, 8, 8, 8]  # the last one padded
    rows = torch.cat(model.batches)
    assert len(torch.unique(rows, dim=0)) == 30


def test_a_batch_that_is_tried_again_holds_draws_of_one_input_and_no_others() -> None:
    model, far = Recorder(), np.full(3, 1000.0, np.float32)

    def failing(batch: Tensor) -> Tensor:
        if (batch > 500).any():
            raise ValueError("far")
        return model(batch)

    sampler = Sampler(failing, 0.5, batch_size=10, check_rows=False)
    queue = [Input(far, 1, FixedJob(3)), Input(X, 0, FixedJob(3))]
    outcomes = list(sampler.sample(queue, n0=2, noise=sampler.noise()))
    assert [isinstance(draws, Draws) for _, draws in outcomes] == [False, True]
    (batch,) = model.batches  # the rows of X after those of the other, which are filled
    draws = torch.cat([copies(2, 0.5, Stream.SELECTION), copies(3, 0.5, Stream.ESTIMATION)])
    assert torch.equal(batch[5:], draws)
    assert torch.equal(batch[:5], draws[:1].expand(5, 3))


def test_noise_is_gaussian_around_the_input_with_the_stated_sigma() -> None:
    model, sigma, n = Recorder(), 0.3, 30_000
    Sampler(model, sigma, batch_size=4096, check_rows=False).draw(X, n0=1, n=n)
    z = (torch.cat(model.batches)[1 : n + 1].double() - torch.tensor(X)) / sigma
    assert z.mean(dim=0).abs().max() < 5 / math.sqrt(n)
    covariance = torch.cov(z.T)
    assert (covariance - torch.eye(3)).abs().max() < 5 * math.sqrt(2 / n)


def test_draws_belong_to_the_example_and_repeat() -> None:
    sampler = Sampler(linear(), 0.5, batch_size=32)
    alone = sampler.draw(X, n0=10, n=100, seed=1, index=3)
    for example in (0, 4):
        other = sampler.draw(X, n0=50, n=70, seed=1, index=example)
        assert not np.array_equal(other.scores, alone.scores[:70])
    again = Sampler(linear(), 0.5, batch_size=32).draw(X, n0=10, n=100, seed=1, index=3)
    assert same(alone, again)
    assert not same(alone, sampler.draw(X, n0=10, n=100, seed=2, index=3))


def test_estimation_does_not_depend_on_the_number_of_selection_draws() -> None:
    sampler = Sampler(linear(), 0.5, batch_size=32)
    few, many = (sampler.draw(X, n0=n0, n=100) for n0 in (40, 400))
    np.testing.assert_array_equal(few.scores, many.scores)


@pytest.mark.parametrize("shape", [(), (5,), (1, 8, 8), (2, 3, 4, 5)])
def test_any_input_shape(shape: tuple[int, ...]) -> None:
    model = Recorder()
    draws = Sampler(model, 0.1, batch_size=16).draw(np.ones(shape, np.float32), n0=5, n=40)
    assert draws.selected == 0
    assert {batch.shape[1:] for batch in model.batches} == {shape}


def test_votes_pick_the_class_and_top_count_counts_it() -> None:
    # Class 1 wins where x0 > 0: with x0 = 0.5 and sigma = 1 that is Phi(0.5) = 0.6915 of draws.
    def model(x: Tensor) -> Tensor:
        return torch.stack([torch.zeros(len(x)), x[:, 0]], dim=1)

    draws = Sampler(model, 1.0).draw(X, n0=1000, n=20_000)
    assert draws.selected == 1
    assert abs(draws.top_count / 20_000 - 0.69146) < 5 * math.sqrt(0.69 * 0.31 / 20_000)


def test_a_tie_of_votes_goes_to_the_smallest_class() -> None:
    def model(x: Tensor) -> Tensor:
        return torch.eye(3)[[2, 1] * (len(x) // 2)]

    sampler = Sampler(model, 1.0, outputs="probabilities", check_rows=False)
    assert sampler.draw(X, n0=10, n=10).selected == 1


def test_input_may_be_a_tensor_or_a_read_only_array_and_is_left_alone() -> None:
    sampler = Sampler(linear(), 0.5)
    frozen = X.copy()
    frozen.setflags(write=False)
    tensor = torch.tensor(X, requires_grad=True)
    draws = [sampler.draw(x, n0=5, n=20) for x in (X, frozen, tensor, X[::-1][::-1])]
    assert all(same(draws[0], other) for other in draws[1:])
    np.testing.assert_array_equal(tensor.detach(), frozen)


def test_double_precision_throughout() -> None:
    sampler = Sampler(linear().double(), 0.5)
    assert sampler.draw(X.astype(np.float64), n0=5, n=20).scores.dtype == np.float32


def test_inputs_of_different_shapes_are_refused() -> None:
    sampler = Sampler(linear(), 0.5)
    queue = [Input(X, 0, FixedJob(5)), Input(X[:2], 1, FixedJob(5))]
    with pytest.raises(ValueError, match="inputs must all be of one shape and type"):
        list(sampler.sample(queue, n0=5, noise=sampler.noise()))


def test_no_inputs_give_no_outcomes() -> None:
    sampler = Sampler(linear(), 0.5)
    assert list(sampler.sample([], n0=5, noise=sampler.noise())) == []


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"model": 3}, TypeError, "model must be a torch.nn.Module or a callable"),
        ({"sigma": 0.0}, ValueError, "sigma must be positive"),
        ({"sigma": math.nan}, ValueError, "sigma must be positive"),
        ({"sigma": "1"}, TypeError, "sigma must be a number"),
        ({"measure": "scores"}, ValueError, "measure must be one of 'score', 'margin'"),
        ({"outputs": "guess"}, ValueError, "outputs must be one of 'logits'"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
        ({"batch_size": "all"}, TypeError, "batch_size must be a whole number"),
        ({"precision": "half"}, ValueError, "precision must be one of 'float32', 'tf32'"),
        ({"compile": "fast"}, ValueError, "compile must be one of 'default'"),
    ],
)
def test_sampler_refuses(arguments: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Sampler(**({"model": linear(), "sigma": 1.0} | arguments))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"x": [0.0, 1.0, 2.0]}, TypeError, "NumPy array or a torch tensor, got list"),
        ({"x": np.ones(3, np.uint8)}, TypeError, "float32 or float64, got uint8"),
        ({"x": np.ones(3, np.float16)}, TypeError, "half precision is too coarse"),
        ({"x": np.ones(3)}, TypeError, "float64 and the model computes in torch.float32"),
        ({"x": np.ones((0, 3), np.float32)}, ValueError, "x is empty"),
        ({"x": np.array([1, np.nan, 0], np.float32)}, ValueError, "x must be finite"),
        ({"n0": 0}, ValueError, "n0 must be at least 1"),
        ({"n": 0}, ValueError, "n must be at least 1"),
        ({"n": 1e5}, TypeError, "n must be a whole number"),
        ({"seed": -1}, ValueError, "seed must be at least 0"),
        ({"index": -1}, ValueError, "index must be at least 0"),
        ({"index": 2**31}, ValueError, "index must be at most 2147483647"),
        ({"noise": "white"}, ValueError, "noise must be one of 'lattice', 'gaussian'"),
        ({"x": np.array([1e30], np.float32)}, ValueError, "x must lie within"),
        ({"grid": 3}, ValueError, "must lie on the grid"),
    ],
)
def test_draw_refuses(arguments: dict, error: type[Exception], message: str) -> None:
    sampler = Sampler(linear(), 1.0)
    with pytest.raises(error, match=message):
        sampler.draw(**({"x": X, "n0": 5, "n": 5} | arguments))


@pytest.mark.parametrize(
    "turned",
    [
        lambda x: x[::-1][::-1],
        lambda x: np.flip(x)[::-1],
        lambda x: x.astype(">f4"),
        lambda x: np.repeat(x, 2)[::2],
        lambda x: np.broadcast_to(x, x.shape),
    ],
)
def test_arrays_of_any_strides_and_byte_order(turned: Any) -> None:
    sampler = Sampler(linear(), 0.5)
    assert same(sampler.draw(turned(X), n0=5, n=50), sampler.draw(X, n0=5, n=50))


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.ma.masked_array(X, mask=[1, 0, 0]), "x must not have a mask"),
        (np.ma.masked_array(X, mask=[1, 1, 1]), "x must not have a mask"),
        (torch.eye(3).to_sparse(), "x must be a dense tensor"),
        (torch.zeros(3, device="meta"), "x must hold numbers"),
    ],
)
def test_inputs_of_other_kinds_are_refused_by_name(x: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        Sampler(linear(), 0.5).draw(x, n0=5, n=50)


def test_draws_go_on_where_earlier_ones_ended() -> None:
    sampler = Sampler(linear(), 0.5, batch_size=32)
    whole = sampler.draw(X, n0=10, n=100, seed=3, index=4)
    first = sampler.draw(X, n0=10, n=30, seed=3, index=4)
    later = sampler.draw(X, n0=10, n=70, seed=3, index=4, first_draw=first.next_draw)
    assert (later.first_draw, later.next_draw) == (30, 100)
    joined = first + later
    np.testing.assert_allclose(joined.scores, whole.scores, atol=1e-6)
    assert (joined.selected, joined.top_count) == (whole.selected, whole.top_count)
    assert (joined.first_draw, joined.next_draw) == (0, 100)
    assert joined.displacement == first.displacement > 0


def test_draws_are_never_joined_twice() -> None:
    sampler = Sampler(linear(), 0.5)
    one = sampler.draw(X, n0=10, n=30)
    with pytest.raises(ValueError, match=r"must begin with number 30.* draw with first_draw=30"):
        one + sampler.draw(X, n0=10, n=30)
    with pytest.raises(ValueError, match="must have the same seed, got 0 and 1"):
        one + sampler.draw(X, n0=10, n=30, seed=1, first_draw=30)
    with pytest.raises(ValueError, match="must have the same index"):
        one + sampler.draw(X, n0=10, n=30, index=1, first_draw=30)
    with pytest.raises(ValueError, match="first_draw must be at least 0"):
        sampler.draw(X, n=30, first_draw=-1)
    with pytest.raises(ValueError, match=r"first_draw \+ n must be at most 4294967296"):
        sampler.draw(X, n=30, first_draw=2**32 - 29)


def disputed(x: Tensor) -> Tensor:
    """Class 1 is on top in three draws of four, by a little; class 0 in the others, by much."""
    often = x[:, :1] < 0.6745  # the upper quartile of a standard normal
    little = torch.tensor([[0.45, 0.55, 0.0]]).expand(len(x), 3)
    much = torch.tensor([[1.0, 0.0, 0.0]]).expand(len(x), 3)
    return torch.where(often, little, much)


@pytest.mark.parametrize(
    ("options", "how", "selected"),
    [
        ({}, "score", 0),
        ({"measure": "margin"}, "score", 0),
        ({"measure": "vote"}, "votes", 1),
        ({"select": "score"}, "score", 0),
        ({"select": "votes"}, "votes", 1),
        ({"measure": custom(lambda p, y: p[:, 0], (0.0, 1.0))}, "votes", 1),
        ({"measure": custom(lambda p, y: p[:, 0], (0.0, 1.0)), "select": "score"}, "score", 0),
    ],
)
def test_the_class_is_selected_by_mean_score_or_by_votes(
    options: dict[str, Any], how: str, selected: int
) -> None:
    sampler = Sampler(disputed, 1.0, outputs="probabilities", **options)
    draws = sampler.draw(np.zeros(1, np.float32), n0=400, n=2000)
    assert sampler.describe(np.zeros(1, np.float32)).select == how
    assert draws.selected == selected
    assert draws.top_count == pytest.approx(2000 * (0.75 if selected else 0.25), abs=120)


@pytest.mark.parametrize("size", [1, 7, 400, 1000])
def test_selection_by_score_does_not_depend_on_the_batches(size: int) -> None:
    sampler = Sampler(linear(), 0.5, batch_size=size)
    classes = {sampler.draw(X, n0=37, n=1, index=e).selected for e in range(3)}
    whole = Sampler(linear(), 0.5, batch_size=50)
    assert classes == {whole.draw(X, n0=37, n=1, index=e).selected for e in range(3)}


def test_raw_outputs_are_no_scores_to_select_by() -> None:
    first = custom(lambda out, y: out[:, 0].sigmoid(), (0.0, 1.0))
    with pytest.raises(ValueError, match="select must be 'votes' for outputs='raw'"):
        Sampler(lambda x: x, 0.5, measure=first, outputs="raw", select="score")
    with pytest.raises(ValueError, match="select must be one of 'score', 'votes'"):
        Sampler(linear(), 0.5, select="mean")  # type: ignore[arg-type]


def test_the_old_names_work_and_warn() -> None:
    sampler = Sampler(linear(), 0.5, batch_size=32)
    draws = sampler.draw(X, n0=10, n=50, index=3)
    with pytest.warns(DeprecationWarning, match="example is now called index"):
        before = sampler.draw(X, n0=10, n=50, example=3)  # type: ignore[call-arg]
    assert same(before, draws)
    with pytest.warns(DeprecationWarning, match="example is now called index"):
        assert draws.example == 3
    with pytest.warns(DeprecationWarning, match="predicted is now called selected"):
        assert draws.predicted == draws.selected
    with pytest.raises(TypeError, match="example is now called index: give one of the two"):
        sampler.draw(X, n0=10, n=50, example=3, index=3)  # type: ignore[call-arg]
