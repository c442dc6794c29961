"""Batches have the size that memory and speed allow, and are tried again where memory runs out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from drawn import CLASSES, X, linear
from torch import Tensor, nn

from smoothbound.sampling._model.batch_size import fastest, in_format
from smoothbound.sampling._sampler import Sampler


@pytest.mark.parametrize(
    ("shape", "rows"), [((1, 8, 8), 1000), ((3, 32, 32), 85), ((3, 224, 224), 16), ((), 1000)]
)
def test_automatic_batches_on_the_cpu_depend_on_the_shape_alone(
    shape: tuple[int, ...], rows: int
) -> None:
    sampler = Sampler(linear(), 0.5)
    assert sampler.model.batch_size_for(torch.zeros(shape)) == rows
    assert sampler.describe(torch.zeros(shape)).batch_size == rows
    assert Sampler(linear(), 0.5, batch_size=7).model.batch_size_for(torch.zeros(shape)) == 7


@pytest.mark.parametrize(
    ("speed", "expected"),
    [
        (lambda size: 1.0, 64),  # no gain
        (lambda size: size, 2**14),  # ever faster
        (lambda size: size if size <= 512 else None, 512),  # memory
        (lambda size: size if size <= 3 else None, 2),
        (lambda size: None, 1),
        (lambda size: 0.0, 64),  # the model fails: sampling will tell
    ],
)
def test_batches_grow_to_what_memory_or_speed_holds(speed: Any, expected: int) -> None:
    assert fastest(speed) == expected


@pytest.mark.parametrize("words", ["CUDA out of memory.", "std::bad_alloc", "Unable to allocate"])
def test_a_retry_after_out_of_memory_gets_fresh_copies(words: str) -> None:
    layer = linear()

    def model_with(limit: int) -> Any:
        def model(x: Tensor) -> Tensor:
            x = x.sub_(0.5).div_(0.25)  # in place, as torchvision's normalize can be told to
            if len(x) > limit:
                raise RuntimeError(words)
            out: Tensor = layer(x)
            return out

        return model

    whole = Sampler(model_with(10**9), 0.5, batch_size=100).draw(X, n0=20, n=300)
    with pytest.warns(RuntimeWarning, match="25 rows at a time"):
        pieces = Sampler(model_with(30), 0.5, batch_size=100).draw(X, n0=20, n=300)
    np.testing.assert_allclose(pieces.scores, whole.scores, atol=1e-6)
    assert pieces.selected == whole.selected


def test_the_order_of_channels_may_take_more_memory_than_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4, CLASSES))
    x = torch.rand(3, 3, 3)

    def small(batch: Tensor, channels_last: bool) -> Tensor:
        if len(batch) > 30:
            raise torch.cuda.OutOfMemoryError("no memory for so many rows")
        return in_format(batch, channels_last)

    options: dict[str, Any] = {"batch_size": 100, "channels_last": True}
    whole = Sampler(model, 0.5, **options).draw(x, n0=20, n=300)
    monkeypatch.setattr("smoothbound.sampling._batches.in_format", small)
    with pytest.warns(RuntimeWarning, match="25 rows at a time"):
        pieces = Sampler(model, 0.5, **options).draw(x, n0=20, n=300)
    np.testing.assert_allclose(pieces.scores, whole.scores, atol=1e-6)


def test_a_batch_that_no_memory_holds_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for size in (2**24 + 1, 10**400):
        with pytest.raises(ValueError, match="batch_size must be at most 16777216, got"):
            Sampler(linear(), 0.5, batch_size=size)
    sampler = Sampler(linear(), 0.5, batch_size=2**24)

    empty = torch.empty

    def full(*arguments: Any, **options: Any) -> Any:
        if arguments[0] == 0:
            return empty(*arguments, **options)
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(torch, "empty", full)
    with pytest.raises(ValueError, match=r"16777216 inputs of shape \(3,\) take 0.201 GB"):
        sampler.draw(X, n0=5, n=50)
