"""Scores of a base classifier under Gaussian noise.

Inputs go in, the scores of their noisy copies come out. `Schedule` packs the draws of
many inputs into batches of one size; here they are made. Noise, model, softmax, votes and measure
run on the device one batch after the other, and the scores follow to the host behind them, so that
a GPU is never kept waiting for Python.
"""

from __future__ import annotations

import math
import re
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from copy import copy
from dataclasses import dataclass, field, replace
from itertools import chain, groupby
from statistics import median
from threading import RLock
from time import perf_counter
from typing import Any, Literal, TypeVar, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from smoothbound._utils import checks
from smoothbound._utils.devices import resolved
from smoothbound._utils.threads import checked as checked_threads
from smoothbound._utils.threads import multiplications, running_in, suited
from smoothbound.adapters._base import BaseClassifier, Model, Outputs, TensorModel, adapt
from smoothbound.errors import ModelError, said
from smoothbound.measures import MARGIN, SCORE, Measure
from smoothbound.measures import measure as measure_of
from smoothbound.noise._noise import DEFAULT, MAX_DRAWS, Noise, Stream, check_example
from smoothbound.sampling._evaluating import evaluating, modules_behind
from smoothbound.sampling._schedule import Draws, Failure, FixedJob, Job, Schedule, Segment

__all__ = [
    "Draws",
    "Failure",
    "Input",
    "Model",
    "Outlook",
    "Outputs",
    "Precision",
    "Sampler",
    "Select",
    "tensor_of",
]

Precision = Literal["float32", "tf32", "bfloat16", "float16"]
Compile = Literal["default", "reduce-overhead", "max-autotune"]
Select = Literal["score", "votes"]

_HALF = {"bfloat16": torch.bfloat16, "float16": torch.float16}
_AHEAD = 2  # batches that a GPU has before it while the host looks at the scores of another
_ALIKE = 8  # so many first inputs that fail alike are no fault of the inputs
_UNITS = 2.0**32  # of a score, in the sums that select a class
_MOST_ROWS = 2**24  # of a batch
_PROBE = 1  # the row that is given to the model alone, and
_ALONE_TOLERANCE = 0.03  # how far what is seen of its outputs may move by rounding
_LEAST_SEEN = 1e-5  # probabilities below count as equal
_PAIRS = 3  # of batches that compare the memory formats, and
_WORTH_A_CHANGE = 1.1  # how many times faster channels-last has to be
_NO_MEMORY = re.compile(
    "DefaultCPUAllocator|out of memory|not enough memory|bad_alloc|ALLOC_FAILED|"
    "nable to allocate|annot allocate memory|an't allocate memory"
)

_T = TypeVar("_T")
_choosing = RLock()  # so that threads that share a sampler share what it chose


@dataclass(frozen=True, eq=False)
class Input:
    """One input to be sampled.

    Parameters
    ----------
    x : ndarray or Tensor of float32 or float64
        Shaped as the model takes it but without the batch axis.
    example : int
        The number that its noise belongs to; for a data set, its index there.
    job : Job
        How many draws it needs.
    first_draw : int
        Number of the first estimation draw: those before were made earlier.
    """

    x: NDArray[np.floating] | Tensor
    example: int
    job: Job
    first_draw: int = field(default=0, kw_only=True)


class Sampler:
    """Draws the scores of a base classifier around inputs.

    The parameters are those of `smoothbound.SmoothedClassifier`, which adds the certificate.
    The class is selected on n0 draws, by their mean score or by their votes; see `select`. On a
    tie it is the smallest number.

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
        outputs: Outputs | None = None,
        device: torch.device | str | None = None,
        batch_size: int | Literal["auto"] = "auto",
        precision: Precision = "float32",
        channels_last: bool | Literal["auto"] = "auto",
        compile: Compile | None = None,
        check_rows: bool = True,
        select: Select | None = None,
        threads: int | None = None,
    ) -> None:
        base, self.outputs = adapt(model, outputs, device)
        self._stated = outputs is not None or isinstance(base, BaseClassifier)
        self.sigma = checks.positive("sigma", sigma)
        self.measure = measure_of(measure)
        if not _is_auto("batch_size", batch_size, "a whole number"):
            checks.count("batch_size", batch_size, maximum=_MOST_ROWS)
        self.batch_size = batch_size
        self.precision: str = checks.choice("precision", precision, get_args(Precision))
        automatic = _is_auto("channels_last", channels_last, "True, False")
        self.channels_last = "auto" if automatic else checks.flag("channels_last", channels_last)
        if compile is not None:
            checks.choice("compile", compile, get_args(Compile))
        self.compile = compile
        self.check_rows = checks.flag("check_rows", check_rows)
        self.select = self._select(select)
        self.threads = None if threads is None else checked_threads("threads", threads)
        usual = precision == "float32" and channels_last is not True and compile is None
        if isinstance(base, BaseClassifier) and not usual:
            raise ValueError(
                "precision, channels_last and compile are for torch modules; this model is of the "
                f"kind {base.kind}: set its library to what you want, and leave them out"
            )
        if isinstance(base, nn.Module):
            _check_parameters(base)
        self.device = resolved(_device_of(base) if device is None else device)
        if self.device.type == "meta":
            raise ValueError("device must hold numbers, got 'meta', which holds shapes alone")
        if isinstance(base, nn.Module):
            base = _moved(base, self.device)
        self.model = base
        self._forward: TensorModel = base
        if compile is not None:
            self._forward = torch.compile(base, mode=compile, dynamic=False)
        self._chosen: dict[tuple[str, ...], Any] = {}

    def __repr__(self) -> str:
        """Say in one line what is sampled and how."""
        return f"{type(self).__name__}({self.summary})"

    @property
    def summary(self) -> str:
        """Model, noise and settings in one line."""
        kind = self.model.kind if isinstance(self.model, BaseClassifier) else None
        name = kind or getattr(self.model, "__name__", type(self.model).__name__)
        return (
            f"{name}, sigma={self.sigma!r}, measure={self.measure.name!r}, "
            f"outputs={self.outputs!r}, select={self.select!r}, device='{self.device}', "
            f"batch_size={self.batch_size!r}, precision={self.precision!r}"
        )

    def settled(self, *, batch_size: int, channels_last: bool, threads: int | None) -> Sampler:
        """Return a sampler of the same model with the given values in place of automatic ones."""
        made = copy(self)
        made.batch_size = batch_size if self.batch_size == "auto" else self.batch_size
        made.channels_last = channels_last if self.channels_last == "auto" else self.channels_last
        made.threads = threads if self.threads is None else self.threads
        return made

    def _select(self, select: str | None) -> str:
        """Return how the class is selected: by default as the measure has it."""
        if select is None:
            known = self.measure in (SCORE, MARGIN) and self.outputs != "raw"
            return "score" if known else "votes"
        checks.choice("select", select, get_args(Select))
        if select == "score" and self.outputs == "raw":
            raise ValueError("select must be 'votes' for outputs='raw', which are no scores")
        return select

    def noise(self, kind: str | None = None, *, seed: int = 0, grid: int | None = None) -> Noise:
        """Make the noise of a run on the device of the model.

        Parameters
        ----------
        kind : {"lattice", "gaussian"}, optional
            By default lattice noise, whose certificates hold in floating point.
        seed, grid
            As for `smoothbound.noise.Noise`.
        """
        wanted: Any = DEFAULT if kind is None else kind
        return Noise(wanted, self.sigma, seed=seed, grid=grid, device=self.device)

    def draw(
        self,
        x: NDArray[np.floating] | Tensor,
        *,
        n0: int = 100,
        n: int = 100_000,
        seed: int = 0,
        example: int = 0,
        first_draw: int = 0,
        noise: str | None = None,
        grid: int | None = None,
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
            own `example`. The same seed, example and numbers give the same draws again, which count
            once.
        first_draw : int, default 0
            Number of the first of the `n` draws. To go on where earlier draws ended, give their
            `Draws.next_draw`; ``earlier + later`` joins them. How many there are to be has to be
            decided before a look at the earlier ones (docs/choices.md).
        noise, grid
            The kind of noise and the grid of the inputs, as for `noise`.

        Returns
        -------
        Draws
            `ScoreSketch.update` takes them as they are. Their scores alone, given to
            `certify_scores`, are about the lattice point next to the input: what holds there within
            R + 2 `Draws.displacement` holds for the input within R.

        Raises
        ------
        TypeError, ValueError
            If an argument is of the wrong kind or outside its range.
        ModelError
            If the model raised, or it or the measure returned something other than was stated:
            another shape, NaN, values outside the range.
        """
        made = self.noise(noise, seed=seed, grid=grid)
        first = checks.count("first_draw", first_draw, minimum=0)
        if first + checks.count("n", n) > MAX_DRAWS:
            raise ValueError(
                f"first_draw + n must be at most {MAX_DRAWS}, got {checks.shown(first + n)}: draw "
                "with another seed"
            )
        ((_, outcome),) = self.sample(
            [Input(x, example, FixedJob(n), first_draw=first)], n0=n0, noise=made
        )
        assert isinstance(outcome, Draws)  # all inputs failed otherwise
        return replace(
            outcome,
            displacement=made.displacement(int(np.prod(x.shape))),
            first_draw=first,
            seed=made.seed,
            example=int(example),
            sigma=self.sigma,
            measure=self.measure.name,
            noise=made.kind,
        )

    def sample(
        self,
        inputs: Iterable[Input],
        *,
        n0: int,
        noise: Noise,
        proven: bool = False,
        advance: Callable[[int], object] | None = None,
    ) -> Generator[tuple[Input, Draws | Failure]]:
        """Draw the scores of many inputs of one shape, packed into shared batches.

        The noise of an input is the same bits in any company and order. Batches have one shape,
        the last one padded, for a network's own rounding may depend on it.

        Parameters
        ----------
        inputs : iterable of Input
            Read as there is room for them.
        n0 : int
            Selection draws of each.
        noise : Noise
            As `noise` makes it.
        proven : bool, default False
            Whether the model is known to work on other inputs: then it is never an error that the
            first inputs fail alike.
        advance : callable, optional
            Called with the number of draws that have just come back.

        Yields
        ------
        input, outcome : Input, Draws or Failure
            Each input as it ends. One on which the model or the measure fails ends with the
            reason, and the others go on.

        Raises
        ------
        TypeError, ValueError
            If an argument or an input is of the wrong kind or outside its range.
        ModelError
            If the first inputs, eight or all there are, fail in the same way, unless `proven`.
        """
        queue = iter(inputs)
        first = next(queue, None)
        if first is None:
            return
        self.check_inputs(first.x)
        size = self.rows(first.x)
        ahead = _AHEAD if self.device.type == "cuda" else 0
        # Each input in flight has n0 draws or more in some batch that is not looked at yet.
        places = (ahead + 1) * -(-size // checks.count("n0", n0, 1, MAX_DRAWS)) + 1
        schedule = Schedule(
            ((item, item.job) for item in chain([first], queue)), n0=n0, size=size, places=places
        )
        with torch.inference_mode(False):  # for a model may need gradients of its own
            batches = _Batches(self, noise, tensor_of(first.x), size, places)
        with evaluating(self.model):
            outcomes = _outcomes(schedule, batches, ahead, advance)
            yield from outcomes if proven else _unless_all_fail(outcomes)

    def look(self, x: NDArray[np.floating] | Tensor, noise: Noise) -> Outlook:
        """Run the model on one batch of noisy copies of an input, to see what it returns.

        Parameters
        ----------
        x, noise
            As for `sample`.

        Raises
        ------
        TypeError, ValueError
            If the input is of the wrong kind.
        ModelError
            If the model raised, or returned no floating-point tensor of a row for each copy.

        Examples
        --------
        >>> sampler = Sampler(lambda x: torch.cat([x, 1 - x], dim=1).sigmoid(), sigma=0.5)
        >>> str(sampler.look(np.array([0.0], dtype=np.float32), sampler.noise()))
        '2 outputs in [0.139, 0.944], taken as logits'
        """
        self.check_inputs(x)
        with torch.inference_mode(False), evaluating(self.model):
            batches = _Batches(self, noise, tensor_of(x), self.rows(x), places=1)
            with batches.running():
                return batches.look(tensor_of(x))

    def rows(self, x: NDArray[np.floating] | Tensor) -> int:
        """Return the number of rows of a batch of inputs like `x`.

        With ``batch_size="auto"``: on a GPU it is doubled as long as that makes the model faster
        and memory holds it, measured once for each shape; elsewhere as many as fit into a
        megabyte, from 16 to 1000.
        """
        if self.batch_size != "auto":
            return self.batch_size
        if self.device.type != "cuda":
            return max(16, min(1000, 2**18 // int(np.prod(x.shape))))
        return self._once("rows", x, lambda: fastest(lambda size: self._speed(x, size)))

    def in_channels_last(self, x: NDArray[np.floating] | Tensor) -> bool:
        """Tell whether batches of inputs like `x` go to the model in channels-last order.

        With ``channels_last="auto"``: where a module with convolutions in two dimensions is faster
        so by 10 % or more and returns the same up to rounding. This is measured once for each
        shape, on batches as they will run. A compiled module chooses for itself.
        """
        if isinstance(self.channels_last, bool):
            return self.channels_last
        if x.ndim != 3 or self.compile is not None or not _convolves(self.model):
            return False
        return self._once("channels_last", x, lambda: self._faster_in_channels_last(x))

    def threads_for(self, x: NDArray[np.floating] | Tensor) -> int | None:
        """Return in how many threads of the CPU inputs like `x` are sampled; None elsewhere.

        With ``threads=None``: one where a batch is little work for the modules behind the model,
        which is counted once for each shape by a call with one row; otherwise as many as torch is
        set to, also where the work is not known.
        """
        if self.device.type != "cpu" or self.threads is not None:
            return self.threads if self.device.type == "cpu" else None
        return self._once("threads", x, lambda: self._suited(x))

    def _once(self, what: str, x: NDArray[np.floating] | Tensor, choose: Callable[[], _T]) -> _T:
        """Choose once for inputs of one shape and type, whichever thread asks first."""
        key = (what, str(tuple(x.shape)), _name_of(x.dtype))
        with _choosing:
            if key not in self._chosen:
                self._chosen[key] = choose()
            chosen: _T = self._chosen[key]
            return chosen

    def describe(self, x: NDArray[np.floating] | Tensor) -> dict[str, Any]:
        """Return what a result says about how the model ran on inputs like `x`."""
        return {
            "batch_size": self.rows(x),
            "precision": self.precision,
            "channels_last": self.in_channels_last(x),
            "compile": self.compile,
            "select": self.select,
            "device": str(self.device),
            "threads": self.threads_for(x),
        }

    def _copies(self, x: NDArray[np.floating] | Tensor, size: int) -> Tensor:
        """Return copies of an input, which a model may change in place."""
        point = tensor_of(x).to(self.device)
        return point.expand(size, *point.shape).clone(memory_format=torch.contiguous_format)

    def _suited(self, x: NDArray[np.floating] | Tensor) -> int:
        """Return how many threads suit a batch; torch's own where its work cannot be counted."""
        row = 0
        if modules_behind(self.model) and not isinstance(self.model, BaseClassifier):
            with suppress(Exception), self.running(), evaluating(self.model):
                batch = _formatted(self._copies(x, 1), self.channels_last is True)
                row = multiplications(lambda: self.model(batch))
        return suited(self.rows(x) * row) if row else torch.get_num_threads()

    def _faster_in_channels_last(self, x: NDArray[np.floating] | Tensor) -> bool:
        """Run batches in both memory formats in turns, and compare them."""
        size, threads = self.rows(x), self.threads_for(x)

        def timed(channels_last: bool) -> tuple[float, Tensor]:
            batch = self._copies(x, size)
            self._wait()
            start = perf_counter()
            outputs = self._forward(_formatted(batch, channels_last))
            self._wait()
            return perf_counter() - start, outputs

        try:
            with self.running(threads), evaluating(self.model):
                (_, plain), (_, last) = timed(False), timed(True)  # which warms up, too
                scale = max(1.0, float(plain.abs().max()))
                if not float((plain - last).abs().max()) <= _ALONE_TOLERANCE * scale:
                    return False  # it looks at the order in memory, or is random
                gains = [timed(False)[0] / timed(True)[0] for _ in range(_PAIRS)]
        except Exception:  # of a model that takes one order only; sampling will say what is wrong
            return False
        return median(gains) >= _WORTH_A_CHANGE

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def _speed(self, x: NDArray[np.floating] | Tensor, size: int) -> float | None:
        """Measure the model's rows per second in batches of `size`; None: they do not fit."""
        try:
            with self.running(), evaluating(self.model):
                batch = _formatted(self._copies(x, size), self.channels_last is True)
                for timed in (False, True):
                    torch.cuda.synchronize(self.device)
                    start = perf_counter()
                    for _ in range(3):
                        self._forward(batch)
                    torch.cuda.synchronize(self.device)
                    if timed:
                        return 3 * size / (perf_counter() - start)
        except Exception as error:
            if not _is_out_of_memory(error):
                return 0.0  # sampling will say what is wrong
        torch.cuda.empty_cache()
        return None

    @contextmanager
    def running(self, threads: int | None = None) -> Iterator[None]:
        """Hold the precision that was stated; record only the gradients that a model asks for.

        Parameters
        ----------
        threads : int, optional
            Of the CPU, to compute in; torch's setting is put back. None leaves it.
        """
        half = _HALF.get(self.precision)
        with ExitStack() as stack:
            stack.enter_context(running_in(threads))
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.no_grad())
            stack.enter_context(
                torch.autocast(self.device.type, dtype=half, enabled=half is not None)
            )
            if self.device.type == "cuda":
                stack.enter_context(_tensor_float(self.precision == "tf32"))
            yield

    def measuring(self) -> AbstractContextManager[object]:
        """Leave autocast, within `running`, for what comes after the model."""
        half = self.precision in _HALF
        return torch.autocast(self.device.type, enabled=False) if half else nullcontext()

    def check_inputs(self, x: object) -> None:
        """Refuse what noise cannot be added to, for one input or a stack of them."""
        if not isinstance(x, np.ndarray | Tensor):
            raise TypeError(
                f"x must be a NumPy array or a torch tensor, got {type(x).__name__}; torch.stack "
                "makes one of a list of images, such as [dataset[i][0] for i in range(100)]"
            )
        if isinstance(x, np.ma.MaskedArray):
            raise TypeError("x must have no mask: put values in the masked places, x.filled(value)")
        if isinstance(x, Tensor) and (x.is_nested or x.layout is not torch.strided):
            raise TypeError(f"x must be a dense tensor, got layout {x.layout}: pass x.to_dense()")
        if isinstance(x, Tensor) and x.is_meta:
            raise TypeError("x must hold numbers, got a tensor on the device 'meta'")
        shape = tuple(x.shape)
        dtype = _name_of(x.dtype)
        if dtype not in ("float32", "float64"):
            raise TypeError(
                f"x must be float32 or float64, got {dtype}: integers need the scaling that the "
                "model was trained with, and half precision is too coarse for Gaussian noise"
            )
        computes = _dtype_of(self.model) if self.precision == "float32" else self.precision
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


def fastest(speed: Callable[[int], float | None], start: int = 64, most: int = 2**14) -> int:
    """Double a batch size as long as that brings 5 % or more; halve one that does not fit.

    Parameters
    ----------
    speed : callable
        Rows per second at a size; None if it does not fit into memory.

    Examples
    --------
    >>> fastest(lambda size: min(size, 300) if size < 1000 else None)
    512
    >>> fastest(lambda size: size if size <= 8 else None)
    8
    """
    best = speed(start)
    while best is None and start > 1:
        start //= 2
        best = speed(start)
    size = start
    while best and size < most:
        faster = speed(2 * size)
        if faster is None or faster < 1.05 * best:
            break
        best, size = faster, 2 * size
    return size


@dataclass(frozen=True)
class Outlook:
    """What a model returned for one batch of noisy copies.

    Attributes
    ----------
    classes : int
        Columns of its outputs.
    low, high : float
        Least and largest of them.
    normalised : bool
        Whether every row lies in [0, 1] and sums to 1, as probabilities do.
    outputs : {"logits", "probabilities", "raw"}
        What they are taken as.
    """

    classes: int
    low: float
    high: float
    normalised: bool
    outputs: str

    @classmethod
    def of(cls, values: Tensor, outputs: str) -> Outlook:
        """Look at outputs of shape (batch, classes)."""
        values = values.double()
        low, high = float(values.min()), float(values.max())
        drift = (values.sum(dim=1) - 1.0).abs().max()
        normalised = low >= 0.0 and high <= 1.0 and float(drift) <= checks.SUM_TOLERANCE
        return cls(values.shape[1], low, high, normalised, outputs)

    def __str__(self) -> str:
        """Say it in one line."""
        sums = " with rows that sum to 1" if self.normalised else ""
        return (
            f"{self.classes} outputs in [{self.low:.3g}, {self.high:.3g}]{sums}, taken as "
            f"{self.outputs}"
        )


class _FailedError(Exception):
    """Ends an attempt at a batch."""

    def __init__(self, kind: str, reason: str, error: BaseException | None = None) -> None:
        super().__init__(reason)
        self.failure = Failure(kind, reason, error)


@dataclass(frozen=True, eq=False)
class _Attempt:
    """Segments whose scores are on their way to the host, or that failed."""

    segments: list[Segment[Input]]
    record: Tensor | Failure
    arrived: torch.cuda.Event | None = None


def _outcomes(
    schedule: Schedule[Input],
    batches: _Batches,
    ahead: int,
    advance: Callable[[int], object] | None,
) -> Iterator[tuple[Input, Draws | Failure]]:
    """Launch batches, and look at the scores of those that are `ahead` batches old."""
    flights: deque[list[_Attempt]] = deque()
    more = True
    while more:
        # Nothing is yielded from within, for the caller's torch must be as it left it.
        with batches.running():
            while more and not schedule.finished:
                while flights and (len(flights) > ahead or schedule.fill() < schedule.size):
                    _land(flights.popleft(), schedule, batches, advance)
                more = schedule.fill() > 0
                if more:
                    flights.append(batches.launch(schedule.next_batch()))
        while schedule.finished:
            yield schedule.finished.popleft()


def _land(
    attempts: list[_Attempt],
    schedule: Schedule[Input],
    batches: _Batches,
    advance: Callable[[int], object] | None,
) -> None:
    """Hand the scores of a batch to the inputs that they belong to."""
    for attempt in attempts:
        if isinstance(attempt.record, Failure):
            schedule.fail(attempt.segments[0].visit, attempt.record)
            continue
        if attempt.arrived is not None:
            attempt.arrived.synchronize()
        record = attempt.record.numpy()
        for segment in attempt.segments:
            if failure := batches.fault(record[:, segment.rows], segment):
                schedule.fail(segment.visit, failure)
            scores, top, predicted = record[:3, segment.rows]
            schedule.deliver(
                segment, scores.astype(np.float32), top.astype(np.int64), int(predicted[-1])
            )
            if advance is not None:
                advance(len(scores))


def _unless_all_fail(
    outcomes: Iterator[tuple[Input, Draws | Failure]],
) -> Iterator[tuple[Input, Draws | Failure]]:
    """Raise `ModelError` if the first inputs all fail alike: then the model is at fault."""
    held: list[tuple[Input, Failure]] = []
    for item, outcome in outcomes:
        alike = isinstance(outcome, Failure) and all(f.kind == outcome.kind for _, f in held)
        if not alike:
            yield from held
            yield item, outcome
            yield from outcomes
            return
        assert isinstance(outcome, Failure)
        held.append((item, outcome))
        if len(held) == _ALIKE:
            break
    if held:
        _, failure = held[0]
        raise ModelError(failure.reason) from failure.error


class _Batches:
    """Makes the noisy copies, runs the model and measures, all on the device.

    A batch leaves a record on the host, shape (columns, rows), of what is known of each draw: its
    score, the class with the largest output, the class selected so far, and the largest output; but
    for logits, which may be -inf, also the smallest output and their sum.
    """

    def __init__(
        self,
        sampler: Sampler,
        noise: Noise,
        like: Tensor,
        size: int,
        places: int,
    ) -> None:
        self.sampler = sampler
        self._noise = noise
        self._like, self._places = like, places
        self._points: Tensor | None = None
        self._noisy = _room(size, like, sampler.device)
        self._channels_last = sampler.in_channels_last(like)
        self._threads = sampler.threads_for(like)
        self._compared = not sampler.check_rows
        self._piece = size  # rows that go through the model at once
        self._votes: Tensor | None = None
        self._predicted: Tensor | None = None

    def running(self) -> AbstractContextManager[None]:
        """Hold what the model runs in, while batches are made."""
        return self.sampler.running(self._threads)

    def launch(self, segments: list[Segment[Input]]) -> list[_Attempt]:
        """Run a batch; if it fails, each of its inputs alone, in the rows where it was."""
        self._place(segments)
        try:
            return [self._attempt(segments)]
        except _FailedError as error:
            failure = error.failure
        by_visit = [list(own) for _, own in groupby(segments, key=lambda s: id(s.visit))]
        if len(by_visit) == 1:
            return [_Attempt(segments, failure)]
        return [attempt for own in by_visit for attempt in self.launch(own)]

    def fault(self, record: NDArray[np.floating], segment: Segment[Input]) -> Failure | None:
        """Return what is wrong with the draws of a segment, if anything is."""
        kind, measure = self.sampler.outputs, self.sampler.measure
        scores, _, _, high, *rest = record
        low = rest[0] if rest else high
        if not (low.min() > -np.inf and high.max() < np.inf):  # both False with a NaN
            return Failure(
                "not finite",
                "the model returned NaN or infinity (in a logit, -inf is fine where another class "
                "is finite): it must return finite numbers for the noisy copies of every input",
            )
        if kind == "probabilities":
            drift = float(np.abs(rest[1] - 1.0).max())
            if low.min() < 0.0 or high.max() > 1.0 or drift > checks.SUM_TOLERANCE:
                return Failure(
                    "no probabilities",
                    "the model was stated to return probabilities, in [0, 1] with rows that sum to "
                    f"1; they lie in [{low.min():.6g}, {high.max():.6g}] and the sum of a row is "
                    f"off by {drift:.3g}. State outputs='logits' if they are logits, or "
                    "outputs='raw' for a custom measure",
                )
        if segment.stream is Stream.SELECTION:  # measured, but of no use
            return None
        a, b = measure.score_range
        if float(scores.min()) >= a and float(scores.max()) <= b:  # both False with a NaN
            return None
        outside = ~((scores >= a) & (scores <= b))
        worst = int(np.argmax(outside))
        return Failure(
            "outside the range",
            f"measure {measure.name!r} has the range [{a}, {b}], and {int(outside.sum())} of "
            f"{scores.size} values are outside it, the first {scores[worst]} at draw "
            f"{segment.first + worst}: state a range that holds every value",
        )

    def _place(self, segments: list[Segment[Input]]) -> None:
        """Bring the inputs that are new to their places on the device."""
        for segment in segments:
            if segment.stream is Stream.SELECTION and segment.first == 0:
                x, place = tensor_of(segment.visit.item.x), segment.visit.place
                if x.shape != self._like.shape or x.dtype != self._like.dtype:
                    raise ValueError(
                        "inputs must all be of one shape and type, got "
                        f"{tuple(x.shape)} of {x.dtype} after {tuple(self._like.shape)} of "
                        f"{self._like.dtype}"
                    )
                check_example(segment.visit.item.example)
                point = self._noise.point(x)
                if self._points is None:
                    self._points = point.new_empty((self._places, *point.shape))
                self._points[place] = point
                if self._votes is not None:
                    self._votes[place] = 0

    def _attempt(self, segments: list[Segment[Input]]) -> _Attempt:
        key = self._key(segments)
        outputs = self._outputs(key)
        row = None if self._compared else outputs[_PROBE % len(outputs)].clone()
        if row is not None:
            self._warn_of_probabilities(outputs)
        selects = any(segment.stream is Stream.SELECTION for segment in segments)
        with self.sampler.measuring():
            record = self._record(outputs, key[0], key[4] if selects else None)
            if row is not None:
                self._compare(key, row)
        if record.device.type != "cuda":
            return _Attempt(segments, record)
        host = torch.empty(record.shape, dtype=record.dtype, pin_memory=True)
        host.copy_(record, non_blocking=True)
        arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
        arrived.record()
        return _Attempt(segments, host, arrived)

    def _key(self, segments: list[Segment[Input]]) -> Tensor:
        """Return place, example, draw, stream and vote of each row; rows of nobody repeat one."""
        key = np.empty((5, len(self._noisy)), np.int64)
        first = segments[0]
        if sum(s.rows.stop - s.rows.start for s in segments) < len(self._noisy):
            key[:] = np.array(_name(first, 0))[:, None]
        for s in segments:
            vote = int(s.stream is Stream.SELECTION)
            for column, number in zip(key, _name(s, vote), strict=True):
                column[s.rows] = number
            start = _name(s, vote)[2]
            key[2, s.rows] = np.arange(start, start + s.rows.stop - s.rows.start)
        rows = torch.from_numpy(key)
        if self.sampler.device.type == "cuda":
            rows = rows.pin_memory().to(self.sampler.device, non_blocking=True)
        return rows

    def _record(self, outputs: Tensor, place: Tensor, vote: Tensor | None) -> Tensor:
        sampler = self.sampler
        if sampler.outputs == "logits" or outputs.dtype in (torch.float16, torch.bfloat16):
            outputs = outputs.float()
        classes = outputs.shape[1]
        high, top = outputs.max(dim=1)  # these, and the minimum, pass NaN on
        if sampler.outputs == "logits":  # the softmax; six times as fast as torch's for ten classes
            outputs = (outputs - high.unsqueeze(1)).exp_()
            outputs /= outputs.sum(dim=1, keepdim=True)
        rest = []
        if sampler.outputs != "logits":
            rest = [outputs.amin(dim=1), outputs.sum(dim=1)]
        votes, predicted = self._votes, self._predicted
        if votes is None:
            votes = torch.zeros((self._places, classes), dtype=torch.int64, device=top.device)
        if vote is not None:
            if sampler.select == "votes":
                votes = votes.flatten().scatter_add(0, place * classes + top, vote).view_as(votes)
            else:  # in whole units, so that the sum does not depend on its order
                units = (outputs.double() * _UNITS).round().long()
                units = torch.where(vote.unsqueeze(1) == 1, units, 0)
                votes = votes.index_add(0, place, units)
            predicted = votes.argmax(dim=1)
        assert predicted is not None  # selection comes first
        values = self._measured(outputs, predicted[place])
        self._votes, self._predicted = votes, predicted
        return torch.stack(
            [column.to(outputs.dtype) for column in (values, top, predicted[place], high, *rest)]
        )

    def _measured(self, outputs: Tensor, chosen: Tensor) -> Tensor:
        """Measure the chosen class of each row."""
        measure = self.sampler.measure
        try:
            # A copy, because the measure may change it and the model may keep what it returned.
            values = measure.function(outputs.clone(), chosen)
        except Exception as error:
            name = type(error).__name__
            raise _FailedError(
                name, f"measure {measure.name!r} raised {name}: {said(error)}", error
            ) from error
        _check_values(values, len(outputs), measure)
        return values

    def _copies(self, key: Tensor) -> Tensor:
        """Make the noisy copies that a key names, for a model to do with as it likes."""
        assert self._points is not None
        rows, examples, draws, streams = key[:4]
        self._noise.add(self._points, rows, examples, draws, streams, self._noisy)
        return _formatted(self._noisy.detach(), self._channels_last)

    def look(self, x: Tensor) -> Outlook:
        """Run the model on copies of one input."""
        self._points = self._noise.point(x)[None]
        key = torch.zeros((5, len(self._noisy)), dtype=torch.int64)
        key[2] = torch.arange(len(self._noisy))
        try:
            outputs = self._outputs(key.to(self.sampler.device))
        except _FailedError as error:
            raise ModelError(error.failure.reason) from error.failure.error
        return Outlook.of(outputs, self.sampler.outputs)

    def _warn_of_probabilities(self, outputs: Tensor) -> None:
        """Say so where what is taken for logits looks like probabilities."""
        if self.sampler._stated or self.sampler.outputs != "logits":
            return
        seen = Outlook.of(outputs, "logits")
        if seen.normalised:
            warnings.warn(
                f"the model returned {seen}: these are probabilities, and a second softmax makes "
                "every score small. State outputs='probabilities', or outputs='logits' if they "
                "are logits all the same",
                stacklevel=2,
            )

    def _compare(self, key: Tensor, row: Tensor) -> None:
        """Give the model one row again and again, and compare with the same row in company.

        A row of the outputs may depend on nothing but the same row of the batch: draws would not be
        independent otherwise. Where the row has no numbers to compare, the next batch is looked at.
        """
        probe = key[:, _PROBE % key.shape[1]].unsqueeze(1).expand_as(key).contiguous()
        try:
            outputs = torch.cat([row.unsqueeze(0), self._outputs(probe)])
            seen = self._seen(outputs, probe[0, 0])
        except _FailedError:  # what is wrong with it will show where it matters
            return
        if not bool(torch.isfinite(seen).all()):
            return
        self._compared = True
        company, alone = seen[0], seen[1:]
        if float((alone - alone[0]).abs().max()) > _ALONE_TOLERANCE:
            raise ModelError(
                "the model returned different outputs for equal rows of one batch: it is random "
                "(dropout in training mode?) or treats rows by their place. Put it into evaluation "
                "mode; or, from Python, pass check_rows=False for a model that is random on "
                "purpose, with randomness of its own for each row"
            )
        if float((alone[0] - company).abs().max()) > _ALONE_TOLERANCE:
            raise ModelError(
                "the outputs of a row depend on the other rows of its batch (batch normalisation "
                "in training mode?), so that the draws are not independent and certify nothing. "
                "Put the model into evaluation mode: pass the module itself, or call its eval()"
            )

    def _seen(self, outputs: Tensor, place: Tensor) -> Tensor:
        """Return what is compared of outputs, on scales on which rounding moves it little.

        The measure as a share of its range; and probabilities with their logarithms, so that
        neither a class ruled out by a logit of -inf or -1e4 nor a constant added to all logits
        hides what moves. Raw outputs are compared relative to their size.
        """
        kind, (a, b) = self.sampler.outputs, self.sampler.measure.score_range
        if kind == "logits" or outputs.dtype in (torch.float16, torch.bfloat16):
            outputs = outputs.float()
        if kind == "logits":
            outputs = outputs.softmax(dim=1)
        assert self._predicted is not None
        values = self._measured(outputs, self._predicted[place].expand(len(outputs)))
        outputs = outputs.double()
        if kind == "raw":
            columns = [outputs.sign() * outputs.abs().log1p()]
        else:
            columns = [outputs, outputs.clamp(min=_LEAST_SEEN).log() / -math.log(_LEAST_SEEN)]
        return torch.cat([*columns, values.double().unsqueeze(1) / (b - a)], dim=1)

    def _outputs(self, key: Tensor) -> Tensor:
        """Run the model, in smaller pieces if it runs out of memory.

        Every try gets copies of its own, because a model may change its batch in place.
        """
        piece = self._piece
        while True:
            batch = self._copies(key)
            try:
                outputs = self._in_pieces(batch, piece)
            except _FailedError as error:
                if piece == 1 or error.failure.kind != "out of memory":
                    raise
            else:
                break
            piece = (piece + 1) // 2  # out of the handler, which holds on to what filled the memory
            if batch.device.type == "cuda":
                torch.cuda.empty_cache()
        if piece != self._piece:
            self._piece = piece
            warnings.warn(
                f"out of memory with batches of {len(batch)}: from now on they go through the "
                f"model {piece} rows at a time",
                RuntimeWarning,
                stacklevel=2,
            )
        return outputs

    def _in_pieces(self, batch: Tensor, piece: int) -> Tensor:
        if piece >= len(batch):
            return self._call(batch)
        # Copied, for a CUDA graph puts every result into the same memory.
        return torch.cat([self._call(part).clone() for part in torch.split(batch, piece)])

    def _call(self, batch: Tensor) -> Tensor:
        try:
            outputs: object = self.sampler._forward(batch)
        except (Exception, SystemExit) as error:
            kind = "out of memory" if _is_out_of_memory(error) else type(error).__name__
            raise _FailedError(
                kind,
                f"the model raised {type(error).__name__} on a batch of shape "
                f"{tuple(batch.shape)}, {batch.dtype} on {batch.device} (noisy copies, "
                f"batch_size={len(self._noisy)}): {said(error)}",
                error,
            ) from error
        return self._checked(outputs, len(batch))

    def _checked(self, outputs: object, rows: int) -> Tensor:
        device, kind = self.sampler.device, self.sampler.outputs
        wanted = f"a floating-point tensor of shape ({rows}, classes) on {device}"
        if not isinstance(outputs, Tensor):
            raise _FailedError(
                "no tensor",
                f"the model returned {type(outputs).__name__}; it must return {wanted} (a function "
                "over NumPy or JAX arrays: see smoothbound.adapters)",
            )
        shape = tuple(outputs.shape)
        if not outputs.is_floating_point() or outputs.device != device:
            raise _FailedError(
                "type",
                f"the model returned {outputs.dtype} on {outputs.device}; it must return {wanted}",
            )
        fewest = 1 if kind == "raw" else 2
        if outputs.ndim != 2 or shape[0] != rows or shape[1] < fewest:
            raise _FailedError(
                "shape",
                f"the model returned shape {shape} for a batch of {rows}; it must return {wanted}"
                f", with at least {fewest} of them",
            )
        if self._votes is not None and shape[1] != self._votes.shape[1]:
            raise _FailedError(
                "classes",
                f"the model returned {self._votes.shape[1]} classes for one batch and {shape[1]} "
                "for another; it must return the same number for every batch",
            )
        return outputs.detach()


def tensor_of(x: NDArray[np.floating] | Tensor) -> Tensor:
    """Return an input as a tensor; an array of any strides and byte order is copied."""
    if isinstance(x, Tensor):
        return x.detach()
    return torch.tensor(np.ascontiguousarray(x, dtype=x.dtype.newbyteorder("=")).reshape(x.shape))


def _is_auto(name: str, value: object, otherwise: str) -> bool:
    """Tell whether an argument is to be chosen here; refuse another text."""
    if isinstance(value, str) and value != "auto":
        raise TypeError(f"{name} must be {otherwise} or 'auto', got {checks.shown(value)}")
    return isinstance(value, str)


def _formatted(batch: Tensor, channels_last: bool) -> Tensor:
    """Return a batch in the memory format that a model is given.

    The module's parameters stay as they are, because they may be the user's: torch brings them to
    the order of the batch where it computes.
    """
    if channels_last and batch.ndim == 4:
        return batch.to(memory_format=torch.channels_last)  # also where there is one channel
    return batch


def _convolves(model: TensorModel) -> bool:
    """Tell whether a module has weights of convolutions in two dimensions."""
    return isinstance(model, nn.Module) and any(p.ndim == 4 for p in model.parameters())


def _name_of(dtype: np.dtype[Any] | torch.dtype) -> str:
    return str(dtype).removeprefix("torch.") if isinstance(dtype, torch.dtype) else dtype.name


def _room(size: int, like: Tensor, device: torch.device) -> Tensor:
    """Make room for a batch of inputs."""
    try:
        return torch.empty((size, *like.shape), dtype=like.dtype, device=device)
    except (RuntimeError, MemoryError, OverflowError, TypeError) as error:
        gigabytes = size * like.numel() * like.element_size() / 1e9
        raise ValueError(
            f"batch_size must be so small that memory holds a batch, got {size}: {size} inputs of "
            f"shape {tuple(like.shape)} take {gigabytes:.3g} GB"
        ) from error


def _name(segment: Segment[Input], vote: int) -> tuple[int, ...]:
    """Return the key of the first draw of a segment, and how often it votes."""
    visit = segment.visit
    draw = segment.first
    if segment.stream is Stream.ESTIMATION:
        draw += visit.item.first_draw
    return visit.place, visit.item.example, draw, segment.stream, vote


def _check_values(values: object, rows: int, measure: Measure) -> None:
    """Refuse a measure that did not return one floating-point value per row."""
    if not isinstance(values, Tensor):
        got = type(values).__name__
    elif values.shape == (rows,) and values.is_floating_point():
        return
    else:
        got = f"{values.dtype} of shape {tuple(values.shape)}"
    raise _FailedError(
        "measure",
        f"measure {measure.name!r} returned {got}; it must return a floating-point tensor of "
        f"shape ({rows},), one value per row",
    )


def _is_out_of_memory(error: BaseException) -> bool:
    """Tell whether a smaller batch might do."""
    if isinstance(error, torch.cuda.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and bool(_NO_MEMORY.search(said(error)))


@contextmanager
def _tensor_float(allowed: bool) -> Iterator[None]:
    """Let float32 matrix products and convolutions round their factors to TF32, or forbid it."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = allowed
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


def _check_parameters(module: nn.Module) -> None:
    """Refuse a module that has no numbers yet."""
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if is_lazy(tensor):
            raise ValueError(
                f"model must have its parameters, and {name!r} is lazy: call the model once on an "
                "example batch before"
            )
        if tensor.is_meta:
            raise ValueError(
                f"model must have its parameters, and {name!r} is on the device 'meta': load them "
                "with load_state_dict(..., assign=True)"
            )


def _moved(module: nn.Module, device: torch.device) -> nn.Module:
    """Return a module on a device; one that is there is left alone, because some refuse to()."""
    if all(tensor.device == device for tensor in (*module.parameters(), *module.buffers())):
        return module
    try:
        return module.to(device)
    except Exception as error:
        raise ValueError(
            f"device must be one that the model can be moved to, got '{device}': {said(error)}"
        ) from error


def _device_of(model: TensorModel) -> torch.device:
    """Return where a module's numbers are; the CPU for what has none."""
    if isinstance(model, nn.Module):
        for tensor in (*model.parameters(), *model.buffers()):
            return tensor.device
    return model.device if isinstance(model, BaseClassifier) else torch.device("cpu")


def _dtype_of(model: TensorModel) -> torch.dtype | None:
    """Return the type of a module's first floating-point parameter, None if it has none."""
    if isinstance(model, nn.Module):
        for parameter in model.parameters():
            if parameter.is_floating_point():
                return parameter.dtype
    return model.dtype if isinstance(model, BaseClassifier) else None
