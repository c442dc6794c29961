"""Scores of a base classifier under Gaussian noise.

`Schedule` packs the draws of many inputs into batches of one size, and `Batches` runs them. Noise,
model, softmax, votes and measure run on the device, one batch after the other. The scores are
copied to the host while the next batches run, so that a GPU does not wait for Python.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from copy import copy
from dataclasses import dataclass, replace
from itertools import chain
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from smoothbound._utils import checks
from smoothbound._utils.renamed import renamed
from smoothbound.adapters._names import Compile, Outputs, Precision, Select
from smoothbound.adapters._recognise import Model
from smoothbound.measures import Measure
from smoothbound.measures import measure as measure_of
from smoothbound.noise._kinds import DEFAULT, Kind
from smoothbound.noise._noise import Noise
from smoothbound.noise._streams import MAX_DRAWS
from smoothbound.sampling._batches import Batches
from smoothbound.sampling._jobs import Counter, Draws, FixedJob, Input, as_budgeted
from smoothbound.sampling._model.inputs import tensor_of
from smoothbound.sampling._model.outputs import OutputSummary, Scorer, select_for
from smoothbound.sampling._model.running_model import RunningModel
from smoothbound.sampling._outcomes import Outcome, outcomes_of, unless_all_fail
from smoothbound.sampling._schedule import Schedule

__all__ = ["Sampler", "SamplerRecord"]

_BATCHES_AHEAD = 2  # batches queued on a GPU while the host reads the scores of an earlier one
_FEW_DRAWS = 4  # approximate draws in flight of an input whose selection may end early
_MOST_WAITING = 4096  # inputs that need many draws and wait while others use a budget
_WAITING_BYTES = 1 << 26  # for these inputs


@dataclass(frozen=True, kw_only=True)
class SamplerRecord:
    """The settings with which inputs were sampled, including automatic choices.

    Attributes
    ----------
    batch_size, precision, channels_last, compile, device, threads
        How the model ran; see `RunningModel`.
    select : {"score", "votes"}
        How the class was selected.
    """

    batch_size: int
    precision: Precision
    channels_last: bool
    compile: Compile | None
    device: str
    threads: int | None
    select: Select


class Sampler:
    """Draws the scores of a base classifier around inputs.

    The parameters are those of `smoothbound.SmoothedClassifier`, which adds the certificate. The
    mean scores or the votes of at most n0 draws select the class (`select`). On a tie the class
    with the smallest number is selected.

    Attributes
    ----------
    model : RunningModel
        The base classifier with its device, precision, memory format, batch size and threads.
    sigma : float
        Standard deviation of the noise.
    measure : Measure
        Scores the selected class.
    select : {"score", "votes"}
        How the class is selected.
    check_rows : bool
        Whether each run checks that the outputs of a row depend only on that row.

    Examples
    --------
    >>> sampler = Sampler(lambda x: torch.stack([x[:, 0], -x[:, 0]], dim=1), sigma=0.5)
    >>> draws = sampler.draw(np.array([2.0], dtype=np.float32), n0=10, n=100)
    >>> draws.scores.shape, draws.selected, draws.top_count
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
        self.sigma = checks.positive("sigma", sigma)
        self.measure = measure_of(measure)
        self.check_rows = checks.flag("check_rows", check_rows)
        self.model = RunningModel(
            model,
            outputs=outputs,
            device=device,
            batch_size=batch_size,
            precision=precision,
            channels_last=channels_last,
            compile=compile,
            threads=threads,
        )
        self.select = select_for(select, self.measure, self.outputs)

    @property
    def outputs(self) -> Outputs:
        """Kind of outputs that the model returns."""
        return self.model.outputs

    @property
    def device(self) -> torch.device:
        """Device on which noise and scores are made."""
        return self.model.device

    def __repr__(self) -> str:
        """Return a line about the model and the settings."""
        return f"{type(self).__name__}({self.summary})"

    @property
    def summary(self) -> str:
        """Model, noise and settings in one line."""
        return (
            f"{self.model.name}, sigma={self.sigma!r}, measure={self.measure.name!r}, "
            f"outputs={self.outputs!r}, select={self.select!r}, device='{self.device}', "
            f"batch_size={self.model.batch_size!r}, precision={self.model.precision!r}"
        )

    def with_choices(self, *, batch_size: int, channels_last: bool, threads: int | None) -> Sampler:
        """Return a sampler of the same model with the given values instead of automatic ones."""
        made = copy(self)
        made.model = self.model.with_choices(
            batch_size=batch_size, channels_last=channels_last, threads=threads
        )
        return made

    def describe(self, x: NDArray[np.floating] | Tensor) -> SamplerRecord:
        """Return the settings with which inputs like `x` are sampled, for results."""
        return SamplerRecord(
            batch_size=self.model.batch_size_for(x),
            precision=self.model.precision,
            channels_last=self.model.channels_last_for(x),
            compile=self.model.compile,
            device=str(self.device),
            threads=self.model.threads_for(x),
            select=self.select,
        )

    def noise(self, kind: Kind | None = None, *, seed: int = 0, grid: int | None = None) -> Noise:
        """Make the noise of a run on the device of the model.

        Parameters
        ----------
        kind : {"lattice", "gaussian"}, optional
            Kind of noise; by default lattice noise, whose certificates hold in floating point.
        seed, grid
            As for `smoothbound.noise.Noise`.
        """
        wanted = DEFAULT if kind is None else kind
        return Noise(wanted, self.sigma, seed=seed, grid=grid, device=self.device)

    @renamed(example="index")
    def draw(
        self,
        x: NDArray[np.floating] | Tensor,
        *,
        n0: int = 100,
        n: int = 100_000,
        seed: int = 0,
        index: int = 0,
        first_draw: int = 0,
        noise: Kind | None = None,
        grid: int | None = None,
        early_selection: bool = False,
    ) -> Draws:
        """Select the class of one input on `n0` draws and score it on `n` others.

        Parameters
        ----------
        x : ndarray or Tensor of float32 or float64
            One input, in the shape that the model takes without the batch axis.
        n0, n : int
            `n0` draws select the class, and `n` other draws are scored.
        seed, index : int
            The noise depends on these and on the number of the draw; see `smoothbound.noise`. Give
            every input of a data set its own `index`. The same seed, index and numbers give the
            same draws again, which must be counted only once.
        first_draw : int, default 0
            Number of the first of the `n` draws. To continue earlier draws, pass their
            `Draws.next_draw`; ``earlier + later`` joins them. Decide on the number of draws before
            you look at the earlier ones (docs/choices.md).
        noise, grid
            Kind of noise and grid of the inputs, as in the method `noise`.
        early_selection : bool, default False
            Whether the selection may end early, as in the method `sample`.

        Returns
        -------
        Draws
            The scores, which `ScoreSketch.update` takes. If only the scores are passed to
            `certify_scores`, the certificate is about the lattice point next to the input: a
            certificate for R + 2 `Draws.displacement` at that point holds for R at the input.

        Raises
        ------
        TypeError, ValueError
            If an argument has the wrong type or is out of range.
        ModelError
            If the model raises an exception, or the model or the measure returns a wrong shape,
            NaN, or values outside the range.
        """
        made = self.noise(noise, seed=seed, grid=grid)
        first = checks.count("first_draw", first_draw, minimum=0)
        if first + checks.count("n", n) > MAX_DRAWS:
            raise ValueError(
                f"first_draw + n must be at most {MAX_DRAWS}, got {checks.shown(first + n)}: draw "
                "with another seed"
            )
        inputs = [Input(x, index, FixedJob(n), first_draw=first)]
        ((_, outcome),) = self.sample(inputs, n0=n0, noise=made, early_selection=early_selection)
        assert isinstance(outcome, Draws)  # if the only input fails, `sample` raises
        return replace(
            outcome,
            displacement=made.displacement(int(np.prod(x.shape))),
            first_draw=first,
            seed=made.seed,
            index=int(index),
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
        early_selection: bool = False,
        known_good: bool = False,
        counter: Counter | None = None,
        advance: Callable[[int], object] | None = None,
        interrupted: Callable[[list[Outcome]], object] | None = None,
    ) -> Generator[Outcome]:
        """Draw the scores of many inputs of one shape in shared batches.

        The bits of the noise of an input do not depend on the other inputs and their order. All
        batches have the same shape, and the last one is padded, because the rounding of a network
        can depend on the shape.

        Parameters
        ----------
        inputs : iterable of Input
            The inputs, each of which is read when there is room for it.
        n0 : int
            Number of selection draws of each input.
        noise : Noise
            The result of the method `noise`. An `Input` may have a level of its own.
        early_selection : bool, default False
            Whether the selection of an input ends as soon as the class is clear: when it has had
            the largest output in 10 draws more than any other class, and at the latest after `n0`
            draws. This depends only on the selection draws of the input, so certificates from the
            estimation draws remain valid. `Draws.n0` is the number of selection draws.
        known_good : bool, default False
            Whether the model is known to work on other inputs. If so, it is not an error if the
            first inputs fail in the same way.
        counter : Counter, optional
            Counts the scores of all classes in the estimation draws of each input. Jobs must
            request a fixed number of draws. `Draws.class_counts` has the counts.
        advance : callable, optional
            A function that is called with the number of draws whose scores have just arrived on the
            host. Draws made ahead of an `OpenEndedJob` are included, whether the job takes them or
            not.
        interrupted : callable, optional
            A function that is called once if sampling is interrupted or closed before its end. It
            gets the inputs that were not yielded: those that have ended, and those in flight with
            the draws that their jobs have taken so far.

        Yields
        ------
        input, outcome : Input, Draws or Failure
            Each input when it ends, with its outcome. An input on which the model or the measure
            fails ends with a `Failure`, and sampling continues with the others.

        Raises
        ------
        TypeError, ValueError
            If an argument or an input has the wrong type or is out of range.
        ModelError
            If the first eight inputs, or all if there are fewer, fail in the same way, and
            `known_good` is false.
        """
        queue = iter(inputs)
        first = next(queue, None)
        if first is None:
            return
        self.model.check_inputs(first.x)
        size = self.model.batch_size_for(first.x)
        ahead = _BATCHES_AHEAD if self.device.type == "cuda" else 0
        early_selection = checks.flag("early_selection", early_selection)
        # Each input in flight has at least this number of draws in the batches in flight, or about
        # this number if its selection may end early.
        n_draws = checks.count("n0", n0, 1, MAX_DRAWS)
        if early_selection:
            n_draws = min(n_draws, _FEW_DRAWS)
        n_slots = (ahead + 1) * -(-size // n_draws) + 1
        if (budgeted := as_budgeted(first.job)) is not None and budgeted.limited:
            room = _WAITING_BYTES // max(1, 4 * int(np.prod(first.x.shape)))
            n_slots = max(n_slots, min(room, _MOST_WAITING))
        schedule = Schedule(
            ((item, item.job) for item in chain([first], queue)),
            n0=n0,
            size=size,
            n_slots=n_slots,
            early_selection=early_selection,
        )
        batches = self._batches(first.x, noise, n_slots, counter)
        with self.model.evaluating():
            outcomes = outcomes_of(schedule, batches, ahead, advance)
            try:
                yield from outcomes if known_good else unless_all_fail(outcomes)
            except (GeneratorExit, KeyboardInterrupt):
                if interrupted is not None:
                    interrupted(schedule.unfinished())
                raise

    def preview(self, x: NDArray[np.floating] | Tensor, noise: Noise) -> OutputSummary:
        """Run the model on one batch of noisy copies of an input and summarise its outputs.

        Parameters
        ----------
        x, noise
            As for `sample`.

        Raises
        ------
        TypeError, ValueError
            If the input has the wrong type.
        ModelError
            If the model raises an exception, or does not return a floating-point tensor with a row
            for each copy.

        Examples
        --------
        >>> sampler = Sampler(lambda x: torch.cat([x, 1 - x], dim=1).sigmoid(), sigma=0.5)
        >>> str(sampler.preview(np.array([0.0], dtype=np.float32), sampler.noise()))
        '2 outputs in [0.139, 0.944], taken as logits'
        """
        self.model.check_inputs(x)
        batches = self._batches(x, noise, n_slots=1)
        with self.model.evaluating(), self.model.running(batches.threads):
            return batches.preview(tensor_of(x))

    def _batches(
        self,
        x: NDArray[np.floating] | Tensor,
        noise: Noise,
        n_slots: int,
        counter: Counter | None = None,
    ) -> Batches:
        """Prepare batches of inputs like `x`."""
        scorer = Scorer(self.outputs, self.measure, self.select, n_slots)
        with torch.inference_mode(False):  # a model may need gradients of its own
            return Batches(
                self.model, noise, scorer, tensor_of(x), n_slots, self.check_rows, counter
            )
