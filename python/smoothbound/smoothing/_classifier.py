"""The smoothed classifier: a base classifier under Gaussian noise, and its certificates."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from smoothbound._utils import checks
from smoothbound._utils.renamed import renamed
from smoothbound.adapters._base import Outputs
from smoothbound.adapters._recognise import Model
from smoothbound.adaptive import Budget, ask
from smoothbound.backends._names import Backend, Band, Bound, Mean, Sides
from smoothbound.bounds._method import Method
from smoothbound.bounds._request import Request
from smoothbound.errors import ModelError
from smoothbound.measures import Measure, check_cutoff
from smoothbound.noise._kinds import Kind
from smoothbound.noise._noise import Noise
from smoothbound.noise._streams import MAX_DRAWS, MAX_INDEX
from smoothbound.sampling._inputs import tensor_of
from smoothbound.sampling._jobs import Draws, Failure, Input
from smoothbound.sampling._outputs import Select
from smoothbound.sampling._running_model import Compile, Precision
from smoothbound.sampling._sampler import Sampler
from smoothbound.smoothing._background import in_background
from smoothbound.smoothing._certificate import SmoothedCertificate, SmoothedSettings
from smoothbound.smoothing._one_input import InputResult, Procedure, radii_at_point

__all__ = ["SmoothedClassifier"]

_CALLER = 4  # frames from a warning up to who called `certify`, which has a wrapper


class SmoothedClassifier:
    """A base classifier h smoothed with Gaussian noise, g(x) = E[h(x + delta)].

    Parameters
    ----------
    model : torch.nn.Module or callable, or what `smoothbound.adapters` knows
        The base classifier: turns a batch of inputs, shape (batch, ...), into a floating-point
        tensor of shape (batch, classes) on the same device. A module (TorchScript is one) is moved
        to `device`. Modules, also those that another callable is seen to call, run in evaluation
        mode and are put back into the modes they were in. Programs of torch.export, sessions of
        ONNX Runtime, classifiers of scikit-learn and functions compiled by jax.jit are recognised;
        a function over NumPy or JAX arrays is wrapped in ``adapters.numpy`` or ``adapters.jax``.
        A row of the result may depend on no other row: a batch holds copies of several inputs.
        That is checked for one row, up to what rounding moves; layers that are quantised
        dynamically, whose scale is that of the batch, depend on other rows by about as little.
    sigma : float
        Standard deviation of the noise, in the units of the model's input: if the model
        normalises its input itself, before that.
    measure : {"score", "margin"} or Measure, default "score"
        What is averaged over the noise; see `smoothbound.measures`.
    outputs : {"logits", "probabilities", "raw"}, optional
        What the model returns; by default logits of a module or a callable over tensors, and
        probabilities of ``predict_proba``; to be stated for every other. Logits go through a
        softmax in float32; probabilities are checked to be such; raw outputs go to a custom
        measure as they are, checked only to be finite.
    device : torch.device or str, optional
        Where to run; by default where the module's parameters are, where an adapted model
        declares, or else on the CPU.
    batch_size : int or "auto", default "auto"
        Number of noisy copies, of one input or several, in one call of the model. By default it
        suits the device; see `RunningModel.batch_size_for`. If memory does not hold a batch, it
        goes through the model in smaller pieces.
    precision : {"float32", "tf32", "bfloat16", "float16"}, default "float32"
        How the model computes: as it is, on CUDA without TF32; with TF32 in the matrix products and
        convolutions on CUDA; or under torch's autocast to 16 bits.
    channels_last : bool or "auto", default "auto"
        Give batches of images to the model in channels-last order, which rounds otherwise. By
        default a short measurement decides, once for each shape: a module must be faster that way
        by 10 % or more; see `RunningModel.channels_last_for`. The module's weights stay as they
        are. To repeat the numbers of an earlier certificate bit for bit, set the value that its
        settings have.
    compile : {"default", "reduce-overhead", "max-autotune"}, optional
        Run the model through `torch.compile` in this mode; the last two use CUDA graphs.
    cutoff : float, optional
        Abstain where the certified confidence at R = 0 is not above this; by default the cut-off
        of the measure, 0.5 for the score and 0 for the margin. ``-inf`` never abstains.
    check_rows : bool, default True
        Once per run, give the model one row alone, and refuse it if the outputs differ from those
        in company, or from one equal row to the next. False for a model that is random on purpose,
        with randomness of its own for each row.
    select : {"score", "votes"}, optional
        Which class is certified: the one with the largest mean score over the selection draws, as
        in Kumar et al. 2020, or the one that most of them have on top, as in Cohen et al. 2019. By
        default "score" for the measures score and margin, and "votes" for others.
    threads : int, optional
        Threads of the CPU that the model runs in, which its rounding depends on; those of the
        bounds are an argument of `certify`. By default one if a batch is little work, or else as
        many as torch is set to; see `RunningModel.threads_for`. torch's setting is put back
        afterwards. It belongs to the whole process: classifiers that sample in two threads at one
        time share it.

    Attributes
    ----------
    sampler : Sampler
        Runs the model on noisy copies of inputs.
    cutoff : float or None
        Certified confidence at R = 0 that a class has to be above; None: no abstention.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or outside its range.

    Notes
    -----
    The classifier that is certified is the one that runs here: this model on this device, in this
    precision and batch size, memory format and compiled or not, with its values rounded to
    float32. All of these can move its scores, those of `precision` by percents in a network that
    was not trained for it, so that a certificate for one is none for another. They are recorded
    with the certificate. What is chosen by a measurement (the memory format; on a GPU the size of a
    batch) may be chosen otherwise the next time or on another machine: state the recorded values to
    run the same classifier again.

    Threads may share one object, and several objects one module, if the model can be called from
    several threads at once.

    References
    ----------
    Kumar, Levine, Feizi, Goldstein, "Certifying Confidence via Randomized Smoothing",
    NeurIPS 2020.

    Examples
    --------
    A linear classifier, for which the smoothed score is known: two classes with logits +-x/2.

    >>> smoothed = SmoothedClassifier(lambda x: torch.cat([x, -x], dim=1) / 2, sigma=0.5)
    >>> cert = smoothed.certify(torch.tensor([[3.0], [0.01]]), n=10_000, radii=[0.0, 0.5])
    >>> cert.predicted.tolist(), cert.lower.shape
    ([0, -1], (2, 2))
    >>> bool(cert.lower[0, 1] < cert.lower[0, 0] < cert.mean_score[0])
    True
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
        cutoff: float | None = None,
        check_rows: bool = True,
        select: Select | None = None,
        threads: int | None = None,
    ) -> None:
        self.sampler = Sampler(
            model,
            sigma,
            measure=measure,
            outputs=outputs,
            device=device,
            batch_size=batch_size,
            precision=precision,
            channels_last=channels_last,
            compile=compile,
            check_rows=check_rows,
            select=select,
            threads=threads,
        )
        wanted = self.measure.cutoff if cutoff is None else cutoff
        if wanted is not None:
            wanted = check_cutoff(wanted, self.measure.score_range)
        self.cutoff = None if wanted == -np.inf else wanted

    def __repr__(self) -> str:
        """Say in one line what is certified and how it is sampled."""
        return f"{type(self).__name__}({self.sampler.summary})"

    @property
    def sigma(self) -> float:
        """Standard deviation of the noise."""
        return self.sampler.sigma

    @property
    def measure(self) -> Measure:
        """Confidence measure that is averaged over the noise."""
        return self.sampler.measure

    @property
    def outputs(self) -> Outputs:
        """Kind of outputs that the model returns."""
        return self.sampler.outputs

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
    ) -> Draws:
        """Select the class of one input on `n0` draws and score it on `n` others.

        The parameters, the result and the errors are those of `Sampler.draw`.
        """
        return self.sampler.draw(
            x,
            n0=n0,
            n=n,
            seed=seed,
            index=index,
            first_draw=first_draw,
            noise=noise,
            grid=grid,
        )

    @renamed(examples="index")
    def certify(
        self,
        x: NDArray[np.floating] | Tensor,
        *,
        n0: int = 100,
        n: int = 100_000,
        alpha: float = 1e-3,
        radii: ArrayLike = (0.0,),
        thresholds: ArrayLike = (),
        seed: int = 0,
        noise: Kind | None = None,
        grid: int | None = None,
        index: Sequence[int] | NDArray[np.integer] | None = None,
        bound: Bound | None = None,
        band: Band = "ell",
        n_bins: int | None = None,
        mean: Mean | None = None,
        pilot: float = 0.1,
        sides: Sides = "lower",
        backend: Backend | None = None,
        threads: int | None = None,
        adaptive: bool = False,
        radius_precision: float | None = None,
        budget: Budget | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> SmoothedCertificate:
        """Certify the confidence of the predicted class of each input.

        Parameters
        ----------
        x : ndarray or Tensor of float32 or float64, shape (n_inputs, ...)
            The inputs; each is shaped as the model takes it.
        n0, n : int
            Number of draws that select the class, and of others that bound its confidence.
        alpha, radii, thresholds, bound, band, n_bins, mean, pilot, sides, backend, threads
            As for `smoothbound.certify_scores`. With ``sides="upper"`` nothing is abstained
            from, for abstention is about the lower bound. The default of `bound` is "cdf", and
            "tangent" for adaptive draws.
        seed : int, default 0
            Seed of the noise.
        noise : {"lattice", "gaussian"}, default "lattice"
            Noise in whole steps of a lattice, whose certificates hold in floating point; or
            floating-point noise, whose certificates are no proof: the rounding of x + noise is left
            out of account, and a network that looks at the last digits of its input can be
            certified falsely.
        grid : int, optional
            Inputs are whole multiples of 1 / grid: 255 for 8-bit images in [0, 1]. Without it each
            input is placed on a lattice with 2^13 steps in sigma, at most d = sigma sqrt(elements)
            / 2^14 away, and so is a perturbed one: what is stated for R is certified at R + 2 d,
            and a radius is stated 2 d smaller, also that of the class. d is
            ``settings.noise["displacement"]``.
        index : sequence of int, shape (n_inputs,), optional
            Index of each input, such as its position in a data set; 0, 1, 2, ... by default. An
            input with the same seed and index gets the same noise, whichever others are
            certified.
        adaptive : bool, default False
            Draw each input in stages, at most n, until its question is answered (docs/adaptive.md):
            is the confidence at the one radius above the one threshold; or, with
            `radius_precision`, how far out is it. `lower` and `radius` are what the stages prove
            together, at alpha; `n_draws` is what each input took.
        radius_precision : float, optional
            Find the certified radius of the threshold, until more draws are forecast to gain no
            more than this, in multiples of sigma.
        budget : Budget, optional
            Of draws or seconds, for all inputs together. Those that it does not reach abstain.
            Which ones these are depends on the size of the batches, and on the clock.
        progress : callable, optional
            Called as ``progress(done, n_inputs)`` after each input.

        Returns
        -------
        SmoothedCertificate

        Raises
        ------
        TypeError, ValueError
            If an argument is of the wrong kind or outside its range, or `n` is too small to
            certify anything above the cut-off or a threshold (the message says which n would
            do). Found out before the first draw.
        ModelError
            If the model raised, or it or the measure returned something other than was stated, in
            the same way for the first inputs, eight or all there are. Where that happens to some
            inputs only, they are reported as failed, and the others are certified.
        """
        self.sampler.model.check_inputs(x)
        if x.ndim == 0:
            raise ValueError("x must have the shape (n_inputs, ...), got a single number")
        n0, n = (checks.count(name, k, 1, MAX_DRAWS) for name, k in (("n0", n0), ("n", n)))
        indices, asked = _indices(index, len(x)), checks.radii("radii", radii)
        if progress is not None and not callable(progress):
            raise TypeError(
                f"progress must be callable as progress(done, n_inputs), got "
                f"{type(progress).__name__}"
            )
        adaptive = checks.flag("adaptive", adaptive)
        if not adaptive and (radius_precision is not None or budget is not None):
            raise ValueError("radius_precision and budget are for adaptive=True")
        made = self.sampler.noise(noise, seed=seed, grid=grid)
        displacement = made.displacement(int(np.prod(x.shape[1:])))
        bound = bound if bound is not None else "tangent" if adaptive else "cdf"
        request = Request(
            sigma=self.sigma,
            alpha=alpha,
            score_range=self.measure.score_range,
            radii=radii_at_point(asked, displacement),
            thresholds=checks.floats("thresholds", thresholds),
            method=Method.of(bound, band, n_bins, mean),
            pilot=pilot,
            sides=sides,
            order="drawn",
        )
        cutoff = None if sides == "upper" else self.cutoff  # abstention is about the lower bound
        procedure = Procedure(
            (request,), n, cutoff, self.measure.name, displacement, backend, threads
        )
        if adaptive:
            procedure = procedure.adaptive(ask(asked, thresholds, radius_precision), budget)
        settings = procedure.check_feasible()
        for i in range(len(x)):  # an input that the noise refuses is refused before any draw
            made.point(tensor_of(x[i, ...]))
        _warn_of_grid_and_units(x, made, displacement)
        results = self._results(x, indices, procedure, made, n0, progress)
        return SmoothedCertificate(
            settings=SmoothedSettings(
                **(vars(settings) | {"radii": tuple(asked.tolist())}),
                measure=self.measure.name,
                cutoff=cutoff,
                outputs=self.outputs,
                n0=n0,
                seed=int(seed),
                noise=made.describe(int(np.prod(x.shape[1:]))),
                adaptive=procedure.record(),
                **self.sampler.describe(x[0]),
            ),
            index=indices,
            **_columns(results),
        )

    def _results(
        self,
        x: NDArray[np.floating] | Tensor,
        indices: NDArray[np.int64],
        procedure: Procedure,
        noise: Noise,
        n0: int,
        progress: Callable[[int, int], object] | None,
    ) -> list[InputResult]:
        """Sample all inputs and certify each in the background, in their order."""
        results: dict[int, InputResult] = {}

        def certify(item: _Row, outcome: Draws | Failure) -> None:
            results[item.row] = procedure.certify(item.job, outcome)

        queue = (_Row(x[i, ...], indices[i], procedure.job(), i) for i in range(len(x)))
        try:
            with (
                in_background(certify) as certify_later,
                closing(self.sampler.sample(queue, n0=n0, noise=noise)) as outcomes,
            ):
                for done, (item, outcome) in enumerate(outcomes, 1):
                    certify_later(item, outcome)
                    if progress is not None:
                        progress(done, len(x))
        except ModelError as error:
            if error.__cause__ is None:  # the model ran, so that the shape is right
                raise
            one, most = tuple(x.shape[1:]), len(x)
            raise ModelError(
                f"{error}; x of shape {tuple(x.shape)} was read as {most} inputs of shape {one}. "
                "A single input is x[None]"
            ) from error.__cause__
        return [results[i] for i in range(len(x))]


def _columns(results: list[InputResult]) -> dict[str, Any]:
    """Return what certificates hold of the inputs: arrays and tuples, by name."""
    arrays = {
        name: np.array([getattr(one, name) for one in results])
        for name in ("predicted", "selected", "class_radius", "n_draws", "mean_score")
    }
    texts = {name: tuple(getattr(one, name) for one in results) for name in ("status", "reason")}
    bounds = {
        name: None
        if getattr(results[0].bounds[0], name) is None
        else np.stack([getattr(one.bounds[0], name) for one in results])
        for name in ("lower", "upper", "radius")
    }
    return arrays | texts | bounds


def _warn_of_grid_and_units(
    x: NDArray[np.floating] | Tensor, noise: Noise, displacement: float
) -> None:
    """Warn if x lies on a grid that was not stated, or looks like images that were not scaled."""
    if common := noise.common_grid(tensor_of(x[0, ...])):
        warnings.warn(
            f"x[0] lies on the grid of whole multiples of 1/{common}: state grid={common}, and "
            f"certificates need not give up the radius {2 * displacement:.3g} for rounding",
            stacklevel=_CALLER,
        )
    if _in_bytes(x) and noise.sigma <= 2.0:
        warnings.warn(
            f"x holds whole numbers up to {float(x.max()):g}, as images of 8 bits, and sigma = "
            f"{noise.sigma:g} is less than 1 % of their range: sigma is in the units of x. "
            "Divide x by 255 if sigma was meant for images in [0, 1]",
            stacklevel=_CALLER,
        )


def _in_bytes(x: NDArray[np.floating] | Tensor) -> bool:
    """Return whether the first input looks like an image of 8 bits that was not scaled.

    Inputs that look standardised are no sign of a mistake: sigma is in their units by definition.
    """
    first = tensor_of(x[0, ...])
    image = first.ndim >= 2 and float(first.min()) >= 0.0 and 127.0 < float(first.max()) <= 255.0
    return image and bool((first == first.round()).all())


def _indices(index: Sequence[int] | NDArray[np.integer] | None, inputs: int) -> NDArray[np.int64]:
    """Return the indices of the inputs, checked."""
    try:
        indices = np.arange(inputs) if index is None else np.asarray(index)
    except (ValueError, TypeError, RuntimeError) as error:  # ragged, or a tensor with gradients
        raise TypeError(
            f"index must be {inputs} whole numbers, one for each input: {error}"
        ) from None
    if indices.dtype.kind not in "iu" or indices.shape != (inputs,):
        raise ValueError(
            f"index must be {inputs} whole numbers, one for each input; got shape {indices.shape} "
            f"of {indices.dtype}"
        )
    if indices.min() < 0 or indices.max() > MAX_INDEX:
        raise ValueError(
            f"index must lie between 0 and {MAX_INDEX}, got {indices.min()} to {indices.max()}"
        )
    return indices.astype(np.int64)


@dataclass(frozen=True, eq=False)
class _Row(Input):
    """An input and its row in the certificate."""

    row: int
