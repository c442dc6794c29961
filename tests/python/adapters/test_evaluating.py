"""Modules behind callables are found, evaluated with, and put back, whoever shares them."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from smoothbound import adapters
from smoothbound.adapters._evaluating import evaluating, modules_behind
from smoothbound.errors import ModelError
from smoothbound.measures import custom
from smoothbound.smoothing._classifier import SmoothedClassifier

SHARED = nn.BatchNorm1d(4)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.last = nn.BatchNorm1d(4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(self.norm(x))
        return out


class Caller:
    """A callable that is no module, around one."""

    def __init__(self, net: nn.Module) -> None:
        self.nets = {"first": [net]}

    def __call__(self, x: Tensor) -> Any:
        return self.nets["first"][0](x)

    def method(self, x: Tensor) -> Any:
        return self(x)


def by_global(x: Tensor) -> Any:
    return SHARED(x)


WRAPPERS: dict[str, Callable[[nn.Module], Callable[..., Any]]] = {
    "lambda": lambda net: lambda b: net(b),
    "nested functions": lambda net: lambda b: (lambda c: net(c))(b),
    "bound method": lambda net: net.forward,
    "partial": functools.partial,
    "partial of a lambda": lambda net: functools.partial(lambda scale, b: net(b) * scale, 1.0),
    "keyword of a partial": lambda net: functools.partial(lambda b, m: m(b), m=net),
    "default": lambda net: lambda b, m=net: m(b),
    "callable object": Caller,
    "method of an object": lambda net: Caller(net).method,
    "adapter": lambda net: adapters.numpy(lambda a: net(torch.from_numpy(a)).numpy()),
}


@pytest.mark.parametrize("name", WRAPPERS)
def test_a_wrapped_module_is_evaluated_with_and_learns_nothing(name: str) -> None:
    torch.manual_seed(0)
    net = Net()
    model = WRAPPERS[name](net)
    x = np.array([[5.0, 0, 0, 0], [-5.0, 0, 0, 0]], np.float32)
    plain = SmoothedClassifier(net, 0.5).certify(x, n=500, n0=20)
    wrapped = SmoothedClassifier(model, 0.5, outputs="logits").certify(x, n=500, n0=20)
    np.testing.assert_array_equal(wrapped.lower, plain.lower)
    assert int(net.norm.num_batches_tracked or 0) == 0
    assert all(part.training for part in net.modules())


def test_a_module_behind_a_global_name_is_found() -> None:
    assert modules_behind(by_global) == [SHARED]


def test_functions_of_libraries_are_not_searched() -> None:
    assert modules_behind(torch.nn.functional.softmax) == []
    assert modules_behind(np.tanh) == []


@pytest.mark.parametrize("size", [2, 100])
def test_rows_that_depend_on_each_other_are_refused(size: int) -> None:
    hidden = torch.nn.functional.batch_norm  # no module to be found

    def model(x: Tensor) -> Tensor:
        return hidden(x, None, None, training=True)

    with pytest.raises(ModelError, match="depend on the other rows of its batch"):
        SmoothedClassifier(model, 0.5, batch_size=size).certify(torch.ones(1, 4), n=200, n0=20)


def minus_infinity(x: Tensor) -> Tensor:
    return torch.full((len(x), 1), -torch.inf)


@pytest.mark.parametrize(
    ("outputs", "beside"),
    [
        ("logits", minus_infinity),  # a class that is ruled out
        ("logits", lambda x: torch.full((len(x), 1), -1e4)),
        ("raw", lambda x: torch.full((len(x), 1), 1e4)),
    ],
)
def test_rows_that_depend_on_each_other_are_seen_beside_large_outputs(
    outputs: Any, beside: Callable[[Tensor], Tensor]
) -> None:
    def model(x: Tensor) -> Tensor:
        normed = torch.nn.functional.batch_norm(x, None, None, training=True)
        return torch.cat([normed, beside(x)], dim=1)

    measure = (
        custom(lambda out, _: out[:, 0].sigmoid(), (0.0, 1.0)) if outputs == "raw" else "score"
    )
    smoothed = SmoothedClassifier(model, 0.5, outputs=outputs, measure=measure)
    with pytest.raises(ModelError, match="depend on the other rows of its batch"):
        smoothed.certify(torch.ones(1, 4), n=200, n0=20)


def test_a_constant_added_to_all_logits_hides_no_dependence() -> None:
    def model(x: Tensor) -> Tensor:
        return 1000.0 + torch.nn.functional.batch_norm(x, None, None, training=True)

    with pytest.raises(ModelError, match="depend on the other rows of its batch"):
        SmoothedClassifier(model, 0.5).certify(torch.ones(1, 4), n=200, n0=20)


def test_rows_are_compared_at_the_first_input_that_has_numbers() -> None:
    def model(x: Tensor) -> Tensor:
        normed = torch.nn.functional.batch_norm(x, None, None, training=True)
        return torch.where(x[:, :1] > 100.0, torch.nan, normed)

    x = torch.stack([torch.full((4,), 1e3), torch.ones(4)])
    with pytest.raises(ModelError, match="depend on the other rows of its batch"):
        SmoothedClassifier(model, 0.5, batch_size=50).certify(x, n=200, n0=20)


def test_a_measure_that_changes_what_it_is_given_leaves_the_model_as_it_was() -> None:
    kept = torch.tensor([[0.6, 0.3, 0.1]]).repeat(1000, 1)  # what the model returns, every time

    def change(outputs: Tensor, chosen: Tensor) -> Tensor:
        return outputs.mul_(1.2).gather(1, chosen.unsqueeze(1)).squeeze(1) / 1.2

    smoothed = SmoothedClassifier(
        lambda x: kept[: len(x)], 0.5, outputs="probabilities", measure=custom(change, (0.0, 1.0))
    )
    certificate = smoothed.certify(torch.ones(1, 4), n=5000, n0=100)
    assert certificate.mean_score[0] == pytest.approx(0.6, abs=1e-6)
    assert kept[0].tolist() == pytest.approx([0.6, 0.3, 0.1])


def test_a_model_that_is_random_is_refused_unless_that_is_meant() -> None:
    def model(x: Tensor) -> Tensor:
        return torch.nn.functional.dropout(x, 0.5, training=True)

    x = torch.tensor([[9.0, 1.0, 0.0]])
    with pytest.raises(ModelError, match="different outputs for equal rows"):
        SmoothedClassifier(model, 0.5).certify(x, n=200, n0=20)
    meant = SmoothedClassifier(model, 0.5, check_rows=False).certify(x, n=200, n0=20)
    assert 0 < meant.mean_score[0] < 1


def test_a_model_that_changes_its_batch_in_place_passes_the_comparison() -> None:
    smoothed = SmoothedClassifier(lambda b: b.sub_(0.5).mul_(4.0), 0.5)
    apart = SmoothedClassifier(lambda b: (b - 0.5) * 4.0, 0.5)
    x = torch.tensor([[2.0, 1.0, 0.0]])
    assert smoothed.certify(x, n=200).lower == apart.certify(x, n=200).lower


def test_modes_are_counted_where_threads_share_parts() -> None:
    part = nn.Dropout()
    one, two = nn.Sequential(part, nn.BatchNorm1d(2)), nn.Sequential(nn.ReLU(), part)
    two[0].eval()
    first, second = evaluating(one), evaluating(lambda b: two(b))
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert (part.training, one[1].training, one.training) == (False, True, True)
    second.__exit__(None, None, None)
    assert (part.training, two.training, two[0].training) == (True, True, False)


def test_threads_that_share_a_module_get_the_numbers_of_one_alone() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3))
    smoothed = SmoothedClassifier(net, 0.5, batch_size=100)
    x = torch.ones(2, 4)
    alone = smoothed.certify(x, n=4000, n0=20)
    net.train()
    mean = net[1].running_mean
    before, found = mean.clone(), {}

    def run(n: int) -> None:
        found[n] = smoothed.certify(x, n=n, n0=20)

    threads = [threading.Thread(target=run, args=(n,)) for n in (500, 4000, 1000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(found[4000].lower, alone.lower)
    assert torch.equal(before, mean)
    assert all(part.training for part in net.modules())
