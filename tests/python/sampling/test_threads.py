"""Sampling runs in the threads that suit it, and torch's own setting comes back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from smoothbound._utils import threads
from smoothbound._utils.threads import multiplications, running_in
from smoothbound.sampling._sampler import Sampler
from smoothbound.smoothing._classifier import SmoothedClassifier

X = torch.ones(1, 4)


@pytest.fixture(autouse=True)
def _torch_has_three() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    assert torch.get_num_threads() == 3
    torch.set_num_threads(before)


class Watched(nn.Module):
    """Remembers in how many threads it ran."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2)
        self.seen: list[int] = []

    def forward(self, x: Tensor) -> Any:
        if len(x) > 1:
            self.seen.append(torch.get_num_threads())
        return self.layer(x)


@pytest.mark.parametrize("worth", [10**9, 100])
def test_the_size_of_the_work_chooses(monkeypatch: pytest.MonkeyPatch, worth: int) -> None:
    """Batches of 50 rows with 8 multiplications each."""
    monkeypatch.setattr(threads, "_WORTH_THREADS", worth)
    model = Watched()
    expected = 1 if worth > 400 else 3
    for one in (model, lambda x: model(x)):
        model.seen.clear()
        smoothed = SmoothedClassifier(one, 0.5, batch_size=50, outputs="logits")
        cert = smoothed.certify(X, n0=10, n=3000)
        assert set(model.seen) == {expected}
        assert cert.settings.threads == expected


def test_work_that_is_not_known_gets_torchs_own_number() -> None:
    sampler = Sampler(lambda x: torch.cat([x, -x], dim=1), 0.5)
    assert sampler.model.threads_for(X[0]) == 3

    class OfTwoRows(Watched):
        def forward(self, x: Tensor) -> Any:
            if len(x) == 1:
                raise RuntimeError("a batch of one")
            return super().forward(x)

    assert Sampler(OfTwoRows(), 0.5).model.threads_for(X[0]) == 3


def test_the_threads_asked_for_are_used_between_the_callers_own() -> None:
    model = Watched()
    smoothed = SmoothedClassifier(model, 0.5, batch_size=50, threads=2)
    outside: list[int] = []
    cert = smoothed.certify(
        X, n0=10, n=3000, progress=lambda *_: outside.append(torch.get_num_threads())
    )
    assert set(model.seen) == {2}
    assert outside == [3]
    assert cert.settings.threads == 2
    smoothed.sampler.preview(X[0], smoothed.sampler.noise())
    assert set(model.seen) == {2}


def test_the_setting_comes_back_where_the_model_fails() -> None:
    class Fails(nn.Module):
        def forward(self, x: Tensor) -> Any:
            raise RuntimeError("no")

    with pytest.raises(Exception, match="no"):
        SmoothedClassifier(Fails(), 0.5, threads=2).certify(X, n0=10, n=3000)
    assert torch.get_num_threads() == 3


def test_users_at_one_time_leave_the_setting_of_before_the_first() -> None:
    """A thread begins with the number of another that samples, and must not leave that behind."""
    began, may_end = threading.Event(), threading.Event()
    seen: dict[str, int] = {}

    def first() -> None:
        with running_in(1):
            began.set()
            may_end.wait(60)
            with running_in(2):
                seen["inner"] = torch.get_num_threads()
            seen["first"] = torch.get_num_threads()

    def second() -> None:
        with running_in(2):
            may_end.set()
            early.join()
            seen["second"] = torch.get_num_threads()

    early, late = threading.Thread(target=first), threading.Thread(target=second)
    early.start()
    began.wait(60)
    late.start()
    late.join()
    fresh = threading.Thread(target=lambda: seen.update(fresh=torch.get_num_threads()))
    fresh.start()
    fresh.join()
    assert seen == {"inner": 2, "first": 1, "second": 2, "fresh": 3}


@pytest.mark.parametrize(
    ("model", "shape", "expected"),
    [
        (nn.Linear(7, 3), (1, 7), 21),
        (nn.Conv2d(3, 4, 3), (1, 3, 8, 8), 36 * 4 * 27),
        (nn.ReLU(), (1, 7), 0),
    ],
)
def test_multiplications_are_counted(
    model: nn.Module, shape: tuple[int, ...], expected: int
) -> None:
    with torch.no_grad():
        assert multiplications(lambda: model(torch.ones(shape))) == expected


@pytest.mark.parametrize(
    ("count", "error"), [(0, ValueError), (1025, ValueError), (1.5, TypeError)]
)
def test_numbers_that_cannot_be_are_refused(count: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="threads must be"):
        Sampler(Watched(), 0.5, threads=count)
