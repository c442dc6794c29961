"""How a model is run: its mode, precision and device, and what of a run reaches the caller."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from drawn import CLASSES, X, linear, same
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from smoothbound.errors import ModelError
from smoothbound.measures import custom
from smoothbound.noise._noise import Noise
from smoothbound.sampling._jobs import FixedJob, Input
from smoothbound.sampling._sampler import Sampler


class Moody(nn.Module):
    """Dropout and batch normalisation: both behave differently in training."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.drop, self.head = nn.BatchNorm1d(3), nn.Dropout(0.5), nn.Linear(3, CLASSES)
        self.seen: set[tuple[bool, bool]] = set()

    def forward(self, x: Tensor) -> Tensor:
        self.seen.add((self.norm.training or self.drop.training, torch.is_grad_enabled()))
        out: Tensor = self.head(self.drop(self.norm(x)))
        return out


def test_module_runs_in_evaluation_mode_and_comes_back_as_it_was() -> None:
    model = Moody()
    model.norm.eval()  # a mixture of modes must survive
    modes = {name: part.training for name, part in model.named_modules()}
    state = {name: value.clone() for name, value in model.state_dict().items()}
    sampler = Sampler(model, 0.5, batch_size=16)
    draws = sampler.draw(X, n0=10, n=50)
    assert model.seen == {(False, False)}
    assert {name: part.training for name, part in model.named_modules()} == modes
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert same(draws, sampler.draw(X, n0=10, n=50))
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


def test_modes_come_back_after_an_error() -> None:
    model = Moody()
    with pytest.raises(ModelError, match=r"raised RuntimeError on a batch of shape \(9, 2\)"):
        Sampler(model, 0.5, batch_size=9).draw(X[:2], n0=5, n=10)
    assert all(part.training for part in model.modules())


class HostReads(TorchDispatchMode):
    """Counts the operations for which a host has to wait for its device."""

    # The noise, on the CPU alone, looks at its keys; that is not counted.
    WAITING = ("_local_scalar_dense", "is_nonzero", "nonzero", "_to_copy", "equal", "item")

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        moved = name != "_to_copy" or (kwargs or {}).get("device") is not None
        self.count += name in self.WAITING and moved  # a change of type alone waits for nothing
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("outputs", ["logits", "probabilities", "raw"])
@pytest.mark.parametrize("measure", ["score", "margin", "vote"])
def test_host_reads_do_not_grow_with_the_number_of_batches(
    outputs: Any, measure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = Noise.add

    def unseen(*arguments: Any) -> None:
        with _disable_current_modes():
            add(*arguments)

    monkeypatch.setattr(Noise, "add", unseen)

    def model(x: Tensor) -> Tensor:
        return x.sigmoid() / x.sigmoid().sum(dim=1, keepdim=True)

    def reads(batches: int) -> int:
        sampler = Sampler(model, 0.5, outputs=outputs, measure=measure, batch_size=10)
        with HostReads() as mode:
            sampler.draw(X, n0=10 * batches, n=10 * batches)
        return mode.count

    assert 1 <= reads(2) == reads(20) <= 16


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.filterwarnings("ignore:called a synchronizing CUDA operation")
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
def test_cuda_agrees_with_the_cpu_and_never_waits_for_a_batch() -> None:
    def waits(batches: int) -> int:
        sampler = Sampler(linear(), 0.5, device="cuda", measure="margin", batch_size=10)
        sampler.draw(X, n0=10, n=10)
        torch.cuda.set_sync_debug_mode("warn")
        try:
            with pytest.warns() as caught:
                sampler.draw(X, n0=10, n=10 * batches)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        return len(caught)

    assert waits(2) == waits(20)
    here, there = (
        Sampler(linear(), 0.5, device=device, batch_size=1000).draw(X, n0=100, n=50_000)
        for device in ("cpu", "cuda")
    )
    assert here.selected == there.selected
    np.testing.assert_allclose(here.scores, there.scores, atol=1e-5)  # the noise is the same


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_precision_is_that_of_the_model_alone(precision: str) -> None:
    seen: set[torch.dtype] = set()

    class Spy(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            out = super().forward(x)
            seen.add(out.dtype)
            return out

    def both(p: Tensor, y: Tensor) -> Tensor:
        seen.add((p @ p.T).dtype)  # would be halved under autocast
        return p.gather(1, y[:, None])[:, 0]

    torch.manual_seed(0)
    model = Spy(3, CLASSES)
    own = custom(both, (0.0, 1.0))
    draws = Sampler(model, 0.5, measure=own, precision=precision).draw(X, n0=5, n=300)
    assert seen == {getattr(torch, precision), torch.float32}
    full = Sampler(model, 0.5).draw(X, n0=5, n=300)
    assert not np.array_equal(draws.scores, full.scores)
    np.testing.assert_allclose(draws.scores, full.scores, atol=0.02)
    assert not torch.is_autocast_enabled("cpu")


def test_autocast_of_the_caller_does_not_reach_the_model() -> None:
    sampler = Sampler(linear(), 0.5)
    plain = sampler.draw(X, n0=5, n=50)
    with torch.autocast("cpu", torch.bfloat16):
        assert same(sampler.draw(X, n0=5, n=50), plain)


def test_nothing_of_the_run_reaches_the_caller_between_two_inputs() -> None:
    sampler = Sampler(linear(), 0.5, precision="bfloat16", batch_size=8)
    queue = [Input(X, i, FixedJob(20)) for i in range(3)]
    seen = 0
    for seen, _ in enumerate(sampler.sample(queue, n0=5, noise=sampler.noise()), 1):  # noqa: B007
        assert not torch.is_inference_mode_enabled()
        assert not torch.is_autocast_enabled("cpu")
    assert seen == 3


def test_channels_last_reaches_the_model_and_changes_only_rounding() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, CLASSES))
    x = torch.rand(3, 8, 8)
    plain = Sampler(model, 0.5, channels_last=False).draw(x, n0=10, n=100)
    orders: list[bool] = []
    model.register_forward_pre_hook(
        lambda _, args: orders.append(args[0].is_contiguous(memory_format=torch.channels_last))
    )
    last = Sampler(model, 0.5, channels_last=True).draw(x, n0=10, n=100)
    assert all(orders)
    np.testing.assert_allclose(last.scores, plain.scores, rtol=1e-5)


def test_a_compiled_model_gives_the_same_up_to_rounding() -> None:
    pytest.importorskip("torch._inductor")
    model = linear()
    plain = Sampler(model, 0.5, batch_size=64).draw(X, n0=10, n=100)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the compiler's own
        compiled = Sampler(model, 0.5, batch_size=64, compile="default").draw(X, n0=10, n=100)
    np.testing.assert_allclose(compiled.scores, plain.scores, rtol=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16", "float16"])
def test_cuda_options(precision: str) -> None:
    before = torch.backends.cudnn.allow_tf32
    sampler = Sampler(linear(), 0.5, device="cuda", precision=precision)
    size = sampler.model.batch_size_for(X)
    assert size & (size - 1) == 0
    draws = sampler.draw(X, n0=10, n=1000)
    plain = Sampler(linear(), 0.5).draw(X, n0=10, n=1000)
    atol = 1e-5 if precision == "float32" else 0.02
    np.testing.assert_allclose(draws.scores, plain.scores, atol=atol)
    assert torch.backends.cudnn.allow_tf32 == before


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.filterwarnings("ignore")  # the compiler's own
def test_cuda_graphs_change_only_rounding() -> None:
    model = nn.Sequential(linear(), nn.Softmax(dim=1))  # whose outputs are kept as they are
    options: dict[str, Any] = {"outputs": "probabilities", "device": "cuda"}
    plain = Sampler(model, 0.5, batch_size=64, **options).draw(X, n0=10, n=1000)
    graphs = Sampler(model, 0.5, batch_size=64, compile="reduce-overhead", **options)
    for _ in range(2):
        draws = graphs.draw(X, n0=10, n=1000)
        assert draws.selected == plain.selected
        np.testing.assert_allclose(draws.scores, plain.scores, atol=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
def test_a_gpu_that_is_not_the_current_one_gives_the_same() -> None:
    first, second = (
        Sampler(linear(), 0.5, device=f"cuda:{i}", batch_size=100).draw(X, n0=10, n=20_000)
        for i in range(2)
    )
    assert torch.cuda.current_device() == 0
    assert same(first, second)


@pytest.mark.parametrize("outer", [torch.inference_mode, torch.no_grad, torch.enable_grad])
def test_a_model_may_take_gradients_of_its_own(outer: Any) -> None:
    layer = linear()

    def model(x: Tensor) -> Tensor:
        with torch.enable_grad():
            x.requires_grad_()
            (step,) = torch.autograd.grad(layer(x).logsumexp(1).sum(), x)
        out: Tensor = layer(x - 0.1 * step)
        return out

    with outer():
        draws = Sampler(model, 0.5, batch_size=50).draw(X, n0=10, n=200)
    assert np.isfinite(draws.scores).all()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Linear(3, 2, device="meta"), "model must have its parameters, but 'weight' is on"),
        (nn.Sequential(nn.LazyLinear(2)), "model must have its parameters, but '0.weight' is lazy"),
    ],
)
def test_models_without_numbers_are_refused(model: nn.Module, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Sampler(model, 0.5)


def test_a_model_that_refuses_to_be_moved_is_left_where_it_is() -> None:
    class Fixed(nn.Linear):
        def to(self, *arguments: Any, **options: Any) -> Any:
            raise RuntimeError("`.to` is not supported for this model")

    assert len(Sampler(Fixed(3, 2), 0.5).draw(X, n0=5, n=50).scores) == 50


@pytest.mark.parametrize("device", ["cuda:99", "tpu", 10**30])
def test_a_device_that_is_not_there_is_named(device: Any) -> None:
    with pytest.raises(ValueError, match="device must be one that torch can use here"):
        Sampler(linear(), 0.5, device=device)
