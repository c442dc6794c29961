"""Sampling: which draws are made, what is made of them, and what is refused."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from itertools import count
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from smoothbound.errors import ModelError
from smoothbound.measures import MARGIN, SCORE, custom
from smoothbound.noise._noise import Noise
from smoothbound.noise._streams import Stream
from smoothbound.sampling._batch_size import fastest, in_format
from smoothbound.sampling._jobs import Draws, FixedJob, Input
from smoothbound.sampling._sampler import Sampler

CLASSES = 4
X = np.array([0.5, -0.25, 1.0], dtype=np.float32)


def linear(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Linear(3, CLASSES)


def copies(n: int, sigma: float, stream: Stream, seed: int = 0, index: int = 0) -> Tensor:
    """X with the noise of its first n draws, one draw at a time."""
    noise, out = Noise("lattice", sigma, seed=seed), torch.empty(n, 3)
    point = noise.point(torch.tensor(X))[None]
    for i in range(n):
        key = (torch.tensor([number]) for number in (0, index, i, stream))
        noise.add(point, *key, out[i : i + 1])
    return out


class Recorder:
    """A callable that keeps the batches it was given and returns logits."""

    def __init__(self) -> None:
        self.batches: list[Tensor] = []

    def __call__(self, batch: Tensor) -> Tensor:
        self.batches.append(batch.clone())
        flat = batch.reshape(len(batch), -1).sum(dim=1)
        return torch.stack([flat, -flat], dim=1)


def same(one: Draws, two: Draws) -> bool:
    return (one.selected, one.top_count, one.n0) == (
        two.selected,
        two.top_count,
        two.n0,
    ) and np.array_equal(one.scores, two.scores)


# --- what is drawn ---------------------------------------------------------------------------


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


# --- kinds of outputs and of inputs ----------------------------------------------------------


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


# --- how the model is run --------------------------------------------------------------------


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


# --- the options of running it ------------------------------------------------------------------


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


def test_inputs_of_different_shapes_are_refused() -> None:
    sampler = Sampler(linear(), 0.5)
    queue = [Input(X, 0, FixedJob(5)), Input(X[:2], 1, FixedJob(5))]
    with pytest.raises(ValueError, match="inputs must all be of one shape and type"):
        list(sampler.sample(queue, n0=5, noise=sampler.noise()))


def test_no_inputs_give_no_outcomes() -> None:
    sampler = Sampler(linear(), 0.5)
    assert list(sampler.sample([], n0=5, noise=sampler.noise())) == []


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


# --- what is refused -------------------------------------------------------------------------


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


# --- models and inputs as people have them -----------------------------------------------------


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


def test_a_measure_that_changes_the_outputs_hides_nothing() -> None:
    zero = custom(lambda out, y: out.zero_()[:, 0], (0.0, 1.0))
    sampler = Sampler(lambda x: x + 100, 0.5, measure=zero, outputs="probabilities")
    with pytest.raises(ModelError, match="stated to return probabilities"):
        sampler.draw(X, n0=3, n=9)


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
        (np.ma.masked_array(X, mask=[1, 0, 0]), "x must have no mask"),
        (np.ma.masked_array(X, mask=[1, 1, 1]), "x must have no mask"),
        (torch.eye(3).to_sparse(), "x must be a dense tensor"),
        (torch.zeros(3, device="meta"), "x must hold numbers"),
    ],
)
def test_inputs_of_other_kinds_are_refused_by_name(x: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        Sampler(linear(), 0.5).draw(x, n0=5, n=50)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Linear(3, 2, device="meta"), "model must have its parameters, and 'weight' is on"),
        (nn.Sequential(nn.LazyLinear(2)), "model must have its parameters, and '0.weight' is lazy"),
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


# --- draws have numbers -------------------------------------------------------------------------


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


# --- what the model returns ---------------------------------------------------------------------


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


# --- which class is selected --------------------------------------------------------------------


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
