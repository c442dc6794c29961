"""The memory format of batches is measured, recorded, and the same wherever it is stated."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from smoothbound.sampling._model import batch_size
from smoothbound.sampling._model.running_model import RunningModel
from smoothbound.sampling._sampler import Sampler
from smoothbound.smoothing._classifier import SmoothedClassifier

X = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0))


class Paced(nn.Module):
    """A network that takes a stated time in each memory format, by a clock of its own."""

    def __init__(self, plain: float, last: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5))
        self.seconds = {False: plain, True: last}
        self.now = 0.0
        self.batches: list[tuple[int, bool]] = []

    def forward(self, x: Tensor) -> Any:
        last = x.is_contiguous(memory_format=torch.channels_last)
        self.now += self.seconds[last]
        self.batches.append((len(x), last))
        return self.layers(x)


def paced(patch: pytest.MonkeyPatch, plain: float, last: float) -> Paced:
    model = Paced(plain, last)
    patch.setattr(batch_size, "perf_counter", lambda: model.now)
    return model


@pytest.mark.parametrize(
    ("plain", "last", "expected"),
    [(1.0, 0.7, True), (1.0, 0.88, True), (1.0, 0.95, False), (1.0, 1.0, False), (0.5, 1.0, False)],
)
def test_channels_last_is_chosen_where_it_is_clearly_faster(
    monkeypatch: pytest.MonkeyPatch, plain: float, last: float, expected: bool
) -> None:
    model = paced(monkeypatch, plain, last)
    smoothed = SmoothedClassifier(model, 0.5, batch_size=40)
    assert len(smoothed.draw(X, n=110).scores) == 110
    assert smoothed.sampler.describe(X).channels_last is expected
    measured = [batch for batch in model.batches if batch[0] == 40]
    assert {kind for _, kind in measured} == {False, True}
    assert all(kind is expected for _, kind in measured[8:])
    assert len(measured) > 8


def test_one_classifier_measures_once_for_each_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    model = paced(monkeypatch, 1.0, 0.5)
    smoothed = SmoothedClassifier(model, 0.5, batch_size=40)
    first = smoothed.certify(X[None], n0=10, n=5000)
    assert first.settings.channels_last is True
    model.seconds = {False: 0.5, True: 1.0}
    model.batches.clear()
    again = smoothed.certify(X[None].numpy(), n0=10, n=5000)
    assert again.settings == first.settings
    assert again.lower is not None
    assert first.lower is not None
    assert again.lower.tolist() == first.lower.tolist()
    assert {last for _, last in model.batches} == {True}
    assert not smoothed.sampler.model.channels_last_for(
        torch.rand(3, 8, 8).double()
    )  # measured for itself


@pytest.mark.parametrize("fast", [False, True])
def test_the_recorded_format_repeats_the_numbers(
    monkeypatch: pytest.MonkeyPatch, fast: bool
) -> None:
    with monkeypatch.context() as patch:
        model = paced(patch, 1.0, 0.5 if fast else 2.0)
        made = SmoothedClassifier(model, 0.5).certify(X[None], n0=10, n=5000)
    assert made.settings.channels_last is fast
    model.batches.clear()
    fixed = SmoothedClassifier(model, 0.5, channels_last=made.settings.channels_last)
    again = fixed.certify(X[None], n0=10, n=5000)
    assert again.settings == made.settings
    assert {last for rows, last in model.batches} == {fast}  # nothing is measured
    for name in ("lower", "mean_score"):
        assert getattr(again, name).tolist() == getattr(made, name).tolist()


def test_threads_that_share_a_classifier_share_the_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    model = Sampler(Paced(1.0, 1.0), 0.5).model

    def slowly(self: RunningModel, x: object) -> bool:
        asked.append(0)
        threading.Event().wait(0.05)
        return len(asked) == 1

    monkeypatch.setattr(RunningModel, "_prefers_channels_last", slowly)
    seen: list[bool] = []
    work = [
        threading.Thread(target=lambda: seen.append(model.channels_last_for(X))) for _ in range(4)
    ]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert seen == [True] * 4
    assert len(asked) == 1


class Views(nn.Module):
    """Takes no batch in channels-last order."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 8)

    def forward(self, x: Tensor) -> Any:
        return self.conv(x.view(len(x), -1).view(x.shape)).flatten(1)


class ByMemory(nn.Module):
    """Reads the numbers as they lie in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 8)

    def forward(self, x: Tensor) -> Any:
        return 10 * self.conv(torch.as_strided(x, x.shape, (192, 64, 8, 1))).flatten(1)


@pytest.mark.parametrize("kind", [Views, ByMemory])
def test_a_module_that_depends_on_the_order_gets_the_usual_one(
    monkeypatch: pytest.MonkeyPatch, kind: type[nn.Module]
) -> None:
    torch.manual_seed(0)
    model, ticks = kind(), iter(range(10**6))
    monkeypatch.setattr(batch_size, "median", lambda gains: 2.0)  # however fast it is
    monkeypatch.setattr(batch_size, "perf_counter", lambda: next(ticks))
    smoothed = Sampler(model, 0.5)
    assert not smoothed.model.channels_last_for(X)
    assert len(smoothed.draw(X, n0=10, n=100).scores) == 100


def test_only_modules_with_convolutions_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(self: RunningModel, x: object) -> bool:
        raise AssertionError("measured")

    monkeypatch.setattr(RunningModel, "_prefers_channels_last", never)
    monkeypatch.setattr(torch, "compile", lambda model, **_: model)
    net, dense = Paced(1.0, 1.0), nn.Sequential(nn.Flatten(), nn.Linear(192, 5))
    assert not Sampler(dense, 0.5).model.channels_last_for(X)
    assert not Sampler(lambda x: net(x), 0.5).model.channels_last_for(X)
    assert not Sampler(net, 0.5, compile="default").model.channels_last_for(X)
    assert not Sampler(net, 0.5, channels_last=False).model.channels_last_for(X)
    assert Sampler(net, 0.5, channels_last=True).model.channels_last_for(X)
    with pytest.raises(AssertionError, match="measured"):
        Sampler(net, 0.5).model.channels_last_for(X)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_users_module_stays_as_it_was(channels: int) -> None:
    """Also with one channel, where both orders are one and torch has to be told which it is."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(channels, 8, 3), nn.Conv2d(8, 4, 3), nn.Flatten())
    inner: list[bool] = []
    model[1].register_forward_pre_hook(
        lambda _, args: inner.append(args[0].is_contiguous(memory_format=torch.channels_last))
    )
    x = torch.rand(channels, 6, 6)
    before = [(p.stride(), p.data_ptr()) for p in model.parameters()]
    plain = Sampler(model, 0.5, channels_last=False).draw(x, n0=10, n=100)
    assert not any(inner)
    inner.clear()
    last = Sampler(model, 0.5, channels_last=True).draw(x, n0=10, n=100)
    assert inner
    assert all(inner)
    assert [(p.stride(), p.data_ptr()) for p in model.parameters()] == before
    np.testing.assert_allclose(last.scores, plain.scores, rtol=1e-4)


@pytest.mark.parametrize("value", ["last", 1, None])
def test_what_is_no_choice_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="channels_last must be True"):
        Sampler(Paced(1.0, 1.0), 0.5, channels_last=value)
