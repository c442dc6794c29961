"""Scores of a base classifier under Gaussian noise.

One input goes in, n float32 scores come out. Between the two nothing is read back from the
device: outputs are checked, votes counted and scores collected there, and copied to the host once
at the end, so that a GPU is never kept waiting for Python.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from smoothbound import checks
from smoothbound.errors import ModelError
from smoothbound.measures import Measure
from smoothbound.measures import measure as measure_of
from smoothbound.noise import Noise, Stream, check_example

__all__ = ["Draws", "Model", "Outputs", "Sampler"]

Model = nn.Module | Callable[[Tensor], Tensor]
Outputs = Literal["logits", "probabilities", "raw"]

_SUM_TOLERANCE = 4e-3  # rounding to bfloat16 moves the sum of a row by up to half of this


@dataclass(frozen=True)
class Draws:
    """What one input's noisy copies scored.

    Attributes
    ----------
    scores : ndarray of float32, shape (n,)
        The measure of the predicted class in each of the n estimation draws.
    predicted : int
        The class chosen on the selection draws, none of which are in `scores`.
    top_count : int
        In how many of the n estimation draws the predicted class had the largest output.
    n0 : int
        Number of selection draws.
    """

    scores: NDArray[np.float32]
    predicted: int
    top_count: int
    n0: int


class Sampler:
    """Draws the scores of a base classifier around an input.

    The parameters are those of `smoothbound.SmoothedClassifier`, which adds the certificate.
    The class is the one that most of the n0 selection draws vote for (Cohen et al. 2019, section
    3.2.2), the smallest such number on a tie.

    Examples
    --------
    >>> sampler = Sampler(lambda x: torch.stack([x[:, 0], -x[:, 0]], dim=1), sigma=0.5)
    >>> draws = sampler.draw(np.array([2.0], dtype=np.float32), n0=10, n=100)
    >>> draws.scores.shape, draws.predicted, draws.top_count
    ((100,), 0, 100)
    """

    def __init__(
        self,
        model: Model,
        sigma: float,
        *,
        measure: str | Measure = "score",
        outputs: Outputs = "logits",
        device: torch.device | str | None = None,
        batch_size: int = 1000,
    ) -> None:
        if not callable(model):
            raise TypeError(
                "model must be a torch.nn.Module or a callable that turns a batch of inputs into "
                f"a tensor of shape (batch, classes), got {type(model).__name__}"
            )
        self.sigma = checks.positive("sigma", sigma)
        self.measure = measure_of(measure)
        self.outputs: str = checks.choice("outputs", outputs, get_args(Outputs))
        self.batch_size = checks.count("batch_size", batch_size)
        wanted = _device_of(model) if device is None else torch.device(device)
        self.device = torch.empty(0, device=wanted).device  # "cuda" as the "cuda:0" that it means
        self.model = model.to(self.device) if isinstance(model, nn.Module) else model

    def draw(
        self,
        x: NDArray[np.floating] | Tensor,
        *,
        n0: int = 100,
        n: int = 100_000,
        seed: int = 0,
        example: int = 0,
    ) -> Draws:
        """Select the class of one input on `n0` draws and score it on `n` others.

        Parameters
        ----------
        x : ndarray or Tensor of float32 or float64
            One input, shaped as the model takes it but without the batch axis.
        n0, n : int
            Number of draws that select the class, and of those that are scored.
        seed, example : int
            What the noise belongs to; see `smoothbound.noise`. Give every input of a data set its
            own `example`.

        Returns
        -------
        Draws

        Raises
        ------
        TypeError, ValueError
            If an argument is of the wrong kind or outside its range.
        ModelError
            If the model raised, or it or the measure returned something other than was stated:
            another shape, NaN, values outside the range.
        """
        n0, n = checks.count("n0", n0), checks.count("n", n)
        noise = Noise("gaussian", self.sigma, seed=seed, device=self.device)
        copies = _Copies(noise, self._point(x), check_example(example), self.batch_size)
        watch = _Watch(self.outputs, self.device)
        with torch.inference_mode(), _evaluating(self.model):
            predicted = self._select(copies, n0, watch)
            scores, top_count = self._score(copies, n, watch, predicted)
        watch.raise_if_bad()
        host = scores.cpu().numpy()
        _check_range(host, self.measure)
        return Draws(host, int(predicted), int(top_count), n0)

    def _select(self, copies: _Copies, n0: int, watch: _Watch) -> Tensor:
        votes: Tensor | None = None
        for _, outputs in self._outputs(copies, Stream.SELECTION, n0, watch):
            if votes is None:
                votes = torch.zeros(outputs.shape[1], dtype=torch.int64, device=self.device)
            top = outputs.argmax(dim=1)
            votes.scatter_add_(0, top, torch.ones_like(top))
        assert votes is not None
        return votes.argmax()

    def _score(
        self, copies: _Copies, n: int, watch: _Watch, predicted: Tensor
    ) -> tuple[Tensor, Tensor]:
        scores = torch.empty(n, dtype=torch.float32, device=self.device)
        top_count = torch.zeros((), dtype=torch.int64, device=self.device)
        for rows, outputs in self._outputs(copies, Stream.ESTIMATION, n, watch):
            values = self.measure.function(outputs, predicted)
            _check_values(values, len(outputs), self.measure)
            scores[rows] = values
            top_count += (outputs.argmax(dim=1) == predicted).sum()
        return scores, top_count

    def _outputs(
        self, copies: _Copies, stream: Stream, n: int, watch: _Watch
    ) -> Iterator[tuple[slice, Tensor]]:
        """Yield the watched outputs on the first `n` noisy copies of a stream, batch by batch."""
        for draws, batch in copies.batches(stream, n):
            yield draws, watch(self._call(batch), batch)

    def _call(self, batch: Tensor) -> object:
        try:
            return self.model(batch)
        except Exception as error:
            raise ModelError(
                f"the model raised {type(error).__name__} on a batch of shape "
                f"{tuple(batch.shape)}, {batch.dtype} on {batch.device} (batch_size="
                f"{self.batch_size} copies of one input, noise added): {error}"
            ) from error

    def _point(self, x: NDArray[np.floating] | Tensor) -> Tensor:
        self._check_inputs(x)
        point = x.detach() if isinstance(x, Tensor) else torch.tensor(x)
        return point.to(self.device)

    def _check_inputs(self, x: object) -> None:
        """Refuse what noise cannot be added to, for one input or a stack of them."""
        if not isinstance(x, np.ndarray | Tensor):
            raise TypeError(f"x must be a NumPy array or a torch tensor, got {type(x).__name__}")
        shape, dtype = tuple(x.shape), str(x.dtype).removeprefix("torch.")
        if dtype not in ("float32", "float64"):
            raise TypeError(
                f"x must be float32 or float64, got {dtype}: integers need the scaling that the "
                "model was trained with, and half precision is too coarse for Gaussian noise"
            )
        computes = _dtype_of(self.model)
        if dtype == "float64" and computes not in (None, torch.float64):
            raise TypeError(
                f"x is float64 and the model computes in {computes}: pass x as float32, so that "
                "what is certified is what the model sees"
            )
        if 0 in shape:
            raise ValueError(f"x is empty: its shape is {shape}")
        finite = np.isfinite(x) if isinstance(x, np.ndarray) else torch.isfinite(x)
        if not bool(finite.all()):
            raise ValueError("x must be finite, got NaN or infinity in it")


class _Copies:
    """Noisy copies of one input, in batches that share their memory."""

    def __init__(self, noise: Noise, point: Tensor, example: int, batch_size: int) -> None:
        self.noise = noise
        self.points = noise.point(point)[None]
        self.numbers = torch.arange(batch_size, device=noise.device)
        self.examples = torch.full_like(self.numbers, example)
        self.batch = torch.empty((batch_size, *point.shape), dtype=point.dtype, device=noise.device)

    def batches(self, stream: Stream, n: int) -> Iterator[tuple[slice, Tensor]]:
        rows, streams = torch.zeros_like(self.numbers), torch.full_like(self.numbers, stream)
        for start in range(0, n, len(self.numbers)):
            size = min(len(self.numbers), n - start)
            batch = self.batch[:size]
            draws = self.numbers[:size] + start
            self.noise.add(
                self.points, rows[:size], self.examples[:size], draws, streams[:size], batch
            )
            yield slice(start, start + size), batch


class _Watch:
    """Turns outputs into what the measure takes, and keeps an eye on them.

    Shapes are checked at once, for they are known without waiting; values leave their extremes on
    the device, which `raise_if_bad` reads when all draws are done.
    """

    def __init__(self, kind: str, device: torch.device) -> None:
        self.kind = kind
        self.device = device
        self.classes: int | None = None
        self.low = torch.full((), torch.inf, device=device)
        self.high = torch.full((), -torch.inf, device=device)
        self.drift = torch.zeros((), device=device)

    def __call__(self, outputs: object, batch: Tensor) -> Tensor:
        outputs = self._checked(outputs, len(batch))
        if self.kind == "logits":
            outputs = torch.softmax(outputs, dim=1, dtype=torch.float32)
        elif outputs.dtype in (torch.float16, torch.bfloat16):
            outputs = outputs.float()
        low, high = outputs.aminmax()  # these, minimum and maximum all pass NaN on
        self.low, self.high = torch.minimum(self.low, low), torch.maximum(self.high, high)
        if self.kind == "probabilities":
            self.drift = torch.maximum(self.drift, (outputs.sum(dim=1) - 1.0).abs().amax())
        return outputs

    def _checked(self, outputs: object, rows: int) -> Tensor:
        wanted = f"a floating-point tensor of shape ({rows}, classes) on {self.device}"
        if not isinstance(outputs, Tensor):
            raise ModelError(
                f"the model returned {type(outputs).__name__}; it must return {wanted}"
            )
        shape = tuple(outputs.shape)
        if not outputs.is_floating_point() or outputs.device != self.device:
            raise ModelError(
                f"the model returned {outputs.dtype} on {outputs.device}; it must return {wanted}"
            )
        fewest = 1 if self.kind == "raw" else 2
        if outputs.ndim != 2 or shape[0] != rows or shape[1] < fewest:
            raise ModelError(
                f"the model returned shape {shape} for a batch of {rows}; it must return {wanted}"
                f", with at least {fewest} of them"
            )
        if self.classes is None:
            self.classes = shape[1]
        if shape[1] != self.classes:
            raise ModelError(
                f"the model returned {self.classes} classes for one batch and {shape[1]} for "
                "another; it must return the same number for every batch"
            )
        return outputs

    def raise_if_bad(self) -> None:
        """Raise `ModelError` if any output so far was not what was stated."""
        low, high, drift = torch.stack(
            [value.double() for value in (self.low, self.high, self.drift)]
        ).tolist()
        if not np.isfinite([low, high]).all():
            raise ModelError(
                "the model returned NaN or infinity (in a logit, -inf is fine where another class "
                "is finite): it must return finite numbers for the noisy copies of every input"
            )
        if self.kind == "probabilities" and (low < 0.0 or high > 1.0 or drift > _SUM_TOLERANCE):
            raise ModelError(
                "the model was stated to return probabilities, in [0, 1] with rows that sum to 1; "
                f"they lie in [{low:.6g}, {high:.6g}] and the sum of a row is off by {drift:.3g}. "
                "State outputs='logits' if they are logits, or outputs='raw' for a custom measure"
            )


def _check_values(values: object, rows: int, measure: Measure) -> None:
    """Raise `ModelError` unless a measure returned one floating-point value per row."""
    if not isinstance(values, Tensor):
        got = type(values).__name__
    elif values.shape == (rows,) and values.is_floating_point():
        return
    else:
        got = f"{values.dtype} of shape {tuple(values.shape)}"
    raise ModelError(
        f"measure {measure.name!r} returned {got}; it must return a floating-point tensor of "
        f"shape ({rows},), one value per row"
    )


def _check_range(scores: NDArray[np.float32], measure: Measure) -> None:
    """Raise `ModelError` unless every score lies in the range of the measure."""
    a, b = measure.score_range
    if float(scores.min()) >= a and float(scores.max()) <= b:  # both False with a NaN
        return
    outside = ~((scores >= a) & (scores <= b))
    first = int(np.argmax(outside))
    raise ModelError(
        f"measure {measure.name!r} has the range [{a}, {b}], and {int(outside.sum())} of "
        f"{scores.size} values are outside it, the first {scores[first]} at draw {first}: state "
        "a range that holds every value"
    )


@contextmanager
def _evaluating(model: Model) -> Iterator[None]:
    """Put a module into evaluation mode, and every part back as it was afterwards."""
    if not isinstance(model, nn.Module):
        yield
        return
    modes = [(part, part.training) for part in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for part, training in modes:  # parents first, for each also sets the parts below it
            part.train(training)


def _device_of(model: Model) -> torch.device:
    """Return where a module's numbers are; the CPU for what has none."""
    if isinstance(model, nn.Module):
        for tensor in (*model.parameters(), *model.buffers()):
            return tensor.device
    return torch.device("cpu")


def _dtype_of(model: Model) -> torch.dtype | None:
    """Return the type of a module's first floating-point parameter, None if it has none."""
    if isinstance(model, nn.Module):
        for parameter in model.parameters():
            if parameter.is_floating_point():
                return parameter.dtype
    return None
