"""The smoothed classifier: a base classifier under Gaussian noise, and its certificates."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from smoothbound._display.rounding import exact, floor_decimal
from smoothbound._utils import checks
from smoothbound._utils.renamed import formerly, renamed
from smoothbound.adapters._base import Outputs
from smoothbound.adapters._recognise import Model
from smoothbound.adaptive import Answer, Budget, Decide, FindRadius, Plan, ask
from smoothbound.adaptive import Job as AdaptiveJob
from smoothbound.adaptive import plan as plan_of
from smoothbound.backends import gaussian
from smoothbound.backends._names import Backend, Band, Bound, Mean, Sides
from smoothbound.bounds._certificate import Certificate
from smoothbound.bounds._certify import certify_rows
from smoothbound.bounds._method import Method
from smoothbound.bounds._request import Request, Settings
from smoothbound.bounds._sample_size import draws_above
from smoothbound.errors import ModelError
from smoothbound.measures import Measure, check_cutoff
from smoothbound.noise._displaced import inward, outward
from smoothbound.noise._kinds import BRIEF_CAVEAT, Kind
from smoothbound.noise._streams import MAX_DRAWS, MAX_INDEX
from smoothbound.sampling._inputs import tensor_of
from smoothbound.sampling._jobs import Draws, Failure, FixedJob, Input, Job
from smoothbound.sampling._outputs import Select
from smoothbound.sampling._running_model import Compile, Precision
from smoothbound.sampling._sampler import Sampler
from smoothbound.smoothing._background import in_background
from smoothbound.smoothing._class_radius import class_radius

__all__ = [
    "SmoothedCertificate",
    "SmoothedClassifier",
    "SmoothedSettings",
    "check_feasible",
    "judge",
    "plan_draws",
    "record",
    "verdict",
    "with_center",
]


@dataclass(frozen=True)
class SmoothedSettings(Settings):
    """What was asked for, including how the draws were made.

    Attributes
    ----------
    measure : str
        Name of the confidence measure.
    cutoff : float or None
        Certified confidence at R = 0 that a class has to be above; None: no abstention.
    outputs : str
        What the model was stated to return.
    n0, seed : int
        Selection draws of each input; what the noise was keyed with.
    noise : dict
        Kind of the noise, its grid, and where it entered; see `smoothbound.noise.Noise.describe`.
    batch_size : int
        Rows of a batch; automatic ones as they were found.
    precision, channels_last, compile, device : str, bool, str or None, str
        How and where the model ran; an automatic memory format as it was found.
    adaptive : dict or None
        The plan and the budget of adaptive draws, `n` of which are the most of an input, and
        `n_pilot` the pilot draws of the last stage; None for n draws of each.
    select : str
        How the class was selected.
    threads : int or None
        Threads of the CPU that the model ran in; None: not known, or another device.
    """

    measure: str
    cutoff: float | None
    outputs: str
    n0: int
    seed: int
    noise: dict[str, Any]
    batch_size: int
    precision: str
    channels_last: bool
    compile: str | None
    device: str
    adaptive: dict[str, Any] | None = None
    select: str = "votes"
    threads: int | None = None

    @property
    def quantity(self) -> str:
        return self.measure

    @property
    def caveat(self) -> str:
        return BRIEF_CAVEAT if self.noise.get("kind") == "gaussian" else ""


@dataclass(frozen=True, eq=False, repr=False)
class SmoothedCertificate(Certificate):
    """Certified confidence of the predicted class of many inputs.

    Beside `lower`, `upper` and `radius` of a `Certificate`, which are about the class chosen on
    the selection draws. Each stated number holds with probability at least 1 - alpha over the
    draws: a confidence and a class radius of one input are two certificates.

    Attributes
    ----------
    settings : SmoothedSettings
    selected : ndarray of int64, shape (n_inputs,)
        The class that was selected and certified, also where it abstained; -1 where no draw was
        made or sampling failed.
    index : ndarray of int64, shape (n_inputs,)
        The ids that the noise belongs to.
    predicted : ndarray of int64, shape (n_inputs,)
        The predicted class, or -1 where its certified confidence at R = 0 is not above the
        cut-off: there the classifier abstains. Also -1 where sampling failed; all other numbers
        of such an input are NaN or 0.
    reason : tuple of str
        Why it abstained; empty where it did not. Begins with "failed: " where the model raised,
        returned something other than was stated, or ran out of memory. With adaptive draws each
        reason ends with why drawing stopped, such as "budget spent after 400 draws".
    class_radius : ndarray of float64, shape (n_inputs,)
        Radius within which the majority vote stays the chosen class (Cohen et al. 2019), in the
        units of sigma; NaN where the vote could not be certified at all.
    n_draws : ndarray of int64, shape (n_inputs,)
        Number of estimation draws.
    mean_score : ndarray of float64, shape (n_inputs,)
        Mean of the estimation draws: an estimate, not a certificate.
    """

    settings_class: ClassVar[type[Settings]] = SmoothedSettings

    settings: SmoothedSettings
    index: NDArray[np.int64]
    predicted: NDArray[np.int64]
    reason: tuple[str, ...]
    class_radius: NDArray[np.float64]
    n_draws: NDArray[np.int64]
    mean_score: NDArray[np.float64]
    selected: NDArray[np.int64]

    example = formerly("example", "index")

    _own_columns: ClassVar[tuple[str, ...]] = (
        "index",
        "selected",
        "predicted",
        "reason",
        "class_radius",
        "n_draws",
        "mean_score",
    )


def judge(
    selected: ArrayLike,
    lower_at_zero: ArrayLike,
    cutoff: float | None,
    *,
    measure: str = "confidence",
) -> tuple[NDArray[np.int64], list[str]]:
    """Abstain where the certified confidence at R = 0 is not above the cut-off.

    Above the cut-off of its measure (score 0.5, margin 0), the chosen class is certified to be
    the one with the largest average score.

    Parameters
    ----------
    selected : array_like of int, shape (n_inputs,)
        The class chosen on the selection draws of each input.
    lower_at_zero : array_like of float, shape (n_inputs,)
        The certified confidence of that class at R = 0.
    cutoff : float or None
        What it has to be above; None: nothing is abstained from.
    measure : str, default "confidence"
        What the reason calls it.

    Returns
    -------
    predicted : ndarray of int64, shape (n_inputs,)
        `selected`, with -1 where abstained.
    reason : list of str
        Why, for each input; empty where not abstained.

    Examples
    --------
    >>> predicted, reason = judge([7, 2], [0.97, 0.4996], 0.5, measure="score")
    >>> predicted
    array([ 7, -1])
    >>> reason
    ['', 'the certified score of class 2 at R = 0 is 0.499, not above the cut-off 0.5']
    """
    classes = np.asarray(selected, dtype=np.int64)
    lower = np.asarray(lower_at_zero, dtype=np.float64)
    sure = np.ones(classes.shape, bool) if cutoff is None else lower > cutoff
    needed = "" if cutoff is None else exact(cutoff)
    reason = [
        ""
        if ok
        else f"the certified {measure} of class {y} at R = 0 is {floor_decimal(low)}, "
        f"not above the cut-off {needed}"
        for ok, y, low in zip(sure, classes, lower, strict=True)
    ]
    return np.where(sure, classes, -1), reason


def record(plan: Plan, budget: Budget | None) -> dict[str, Any]:
    """Return what adaptive draws were made under, as JSON holds it.

    Examples
    --------
    >>> made = record(plan_of(Decide(0.5, radius=0.25), sigma=0.25), Budget(draws=10_000))
    >>> made["asked"], made["stages"][-1]["n"], made["budget"]
    ('Decide', 100000, {'draws': 10000, 'seconds': None})
    """
    limits = (budget or Budget()).record()
    made: dict[str, Any] = json.loads(json.dumps(plan.record() | {"budget": limits}))
    return made


def verdict(
    answer: Answer,
    draws: Draws,
    cutoff: float | None,
    *,
    sigma: float,
    measure: str,
    displacement: float = 0.0,
) -> tuple[int, str, float]:
    """Judge an input whose draws were adaptive.

    Parameters
    ----------
    answer : Answer
    draws : Draws
        Those that gave it.
    cutoff, measure
        As for `judge`.
    sigma, displacement : float
        Of the noise, and of the input from its lattice point.

    Returns
    -------
    predicted : int
        The class, or -1 where abstained or no draw was made.
    reason : str
        Why, and why drawing stopped.
    class_radius : float
        Certified at the level of the last look, for the scores chose when to stop; NaN where that
        look certifies nothing.

    Examples
    --------
    >>> job = plan_of(Decide(0.5, radius=0.25), sigma=0.25).start(Budget(draws=100))
    >>> none = Draws(np.empty(0, np.float32), predicted=-1, top_count=0, n0=0)
    >>> verdict(job.answer, none, 0.5, sigma=0.25, measure="score")
    (-1, 'budget spent after 0 draws', nan)
    """
    vote = np.nan
    if answer.level > 0.0:  # drawing ends at a look, so that all draws belong to it
        at_point = class_radius(draws.top_count, answer.n_draws, sigma=sigma, alpha=answer.level)
        vote = float(inward(at_point, displacement))
    if draws.predicted < 0:
        return -1, answer.reason, vote
    predicted, why = judge([draws.predicted], [answer.lower_at_zero], cutoff, measure=measure)
    return int(predicted[0]), "; ".join(filter(None, [why[0], answer.reason])), vote


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
        adaptive = checks.flag("adaptive", adaptive)
        ids = _ids(index, len(x))
        if progress is not None and not callable(progress):
            raise TypeError(
                f"progress must be callable as progress(done, n_inputs), got "
                f"{type(progress).__name__}"
            )
        if not adaptive and (radius_precision is not None or budget is not None):
            raise ValueError("radius_precision and budget are for adaptive=True")
        made = self.sampler.noise(noise, seed=seed, grid=grid)
        elements = int(np.prod(x.shape[1:]))
        displacement = made.displacement(elements)
        default: Bound = "tangent" if adaptive else "cdf"
        request = Request(
            sigma=self.sigma,
            alpha=alpha,
            score_range=self.measure.score_range,
            radii=checks.floats("radii", radii),
            thresholds=checks.floats("thresholds", thresholds),
            method=Method.of(default if bound is None else bound, band, n_bins, mean),
            pilot=pilot,
            sides=sides,
            order="drawn",
        )
        at_points = with_center(request, displacement)
        plan = None
        if adaptive:
            question = ask(request.radii, request.thresholds, radius_precision)
            plan = plan_draws(question, n, request, displacement, backend)
            at_points = replace(at_points, alpha=plan.stages[-1].alpha)
        bounded = partial(certify_rows, request=at_points, backend=backend, threads=threads)
        computed = check_feasible(self, n, bounded)
        for i in range(len(x)):  # so that what it refuses is refused before any draw
            made.point(tensor_of(x[i, ...]))
        if common := made.common_grid(tensor_of(x[0, ...])):
            warnings.warn(
                f"x[0] lies on the grid of whole multiples of 1/{common}: state grid={common}, and "
                f"certificates need not give up the radius {2 * displacement:.3g} for rounding",
                stacklevel=2,
            )

        if _in_bytes(x) and self.sigma <= 2.0:
            warnings.warn(
                f"x holds whole numbers up to {float(x.max()):g}, as images of 8 bits, and sigma = "
                f"{self.sigma:g} is less than 1 % of their range: sigma is in the units of x. "
                "Divide x by 255 if sigma was meant for images in [0, 1]",
                stacklevel=2,
            )

        def job() -> Job:  # made when its input is admitted, for it pays for its first stage
            return FixedJob(n) if plan is None else plan.start(budget)

        queue = (_Row(x[i, ...], ids[i], job(), i) for i in range(len(x)))
        cutoff = None if sides == "upper" else self.cutoff
        rows = _Rows(len(x), at_points, bounded, cutoff, self.measure.name, displacement)
        try:
            with (
                in_background(rows.certify) as certify,
                closing(self.sampler.sample(queue, n0=n0, noise=made)) as outcomes,
            ):
                for done, (item, outcome) in enumerate(outcomes, 1):
                    assert isinstance(item, _Row)
                    certify(item, outcome)
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

        return SmoothedCertificate(
            settings=SmoothedSettings(
                **(vars(computed) | vars(request)),  # with the radii and the alpha asked for
                measure=self.measure.name,
                cutoff=cutoff,
                outputs=self.outputs,
                n0=n0,
                seed=int(seed),
                noise=made.describe(elements),
                adaptive=None if plan is None else record(plan, budget),
                **self.sampler.describe(x[0]),
            ),
            lower=None if rows.lower is None else rows.lower[:, 1:],
            upper=None if rows.upper is None else rows.upper[:, 1:],
            radius=rows.radius,
            index=ids,
            predicted=rows.predicted,
            reason=tuple(rows.reason),
            class_radius=rows.class_radius,
            n_draws=rows.n_draws,
            mean_score=rows.mean_score,
            selected=rows.selected,
        )


def with_center(request: Request, displacement: float) -> Request:
    """Return what to ask at the lattice points: R = 0, by which to abstain, before the radii."""
    return replace(request, radii=tuple(outward((0.0, *request.radii), displacement).tolist()))


def plan_draws(
    question: Decide | FindRadius,
    n: int,
    request: Request,
    displacement: float,
    backend: Backend | None = None,
) -> Plan:
    """Plan adaptive draws for a request, at most n an input."""
    if request.sides != "lower":
        raise ValueError("sides must be 'lower' for adaptive draws, which bound no other")
    return plan_of(
        question,
        sigma=request.sigma,
        alpha=request.alpha,
        n_max=n,
        displacement=displacement,
        score_range=request.score_range,
        pilot=request.pilot,
        backend=backend,
        **asdict(request.method),
    )


def check_feasible(
    smoothed: SmoothedClassifier, n: int, certify: Callable[[NDArray[np.float32]], Certificate]
) -> Settings:
    """Certify an input with perfect scores, so that what must fail does before any draw.

    Parameters
    ----------
    smoothed : SmoothedClassifier
    n : int
        Draws of an input.
    certify : callable
        Certifies rows of scores; R = 0 at a lattice point is the first of its radii.

    Returns
    -------
    Settings
        How it was computed.

    Raises
    ------
    ValueError
        If n draws are too few to certify anything, a threshold, or the cut-off.
    """
    b = smoothed.measure.score_range[1]
    perfect = certify(np.full((1, n), b, np.float32))
    settings = perfect.settings
    if smoothed.cutoff is None or perfect.lower is None:
        return settings
    if perfect.lower[0, 0] <= smoothed.cutoff:
        share = settings.share("lower")
        assert share is not None
        needed = draws_above(
            _before_shift(smoothed.cutoff, settings),
            share.alpha,
            settings.score_range,
            settings.method,
            settings.pilot,
        )
        raise ValueError(
            f"n = {n} draws are too few to certify any {smoothed.measure.name} above the cut-off "
            f"{exact(smoothed.cutoff)} at alpha = {share.alpha:g}, so that every input would be "
            f"abstained from; at least n = {needed} are needed"
        )
    return settings


def _before_shift(cutoff: float, settings: Settings) -> float:
    """Return the confidence at a lattice point that is the cut-off at the first radius."""
    a, b = settings.score_range
    share = np.array([max(cutoff - a, 0.0) / (b - a)])
    share = gaussian.cdf(gaussian.quantile(share) + settings.radii[0] / settings.sigma)
    return a + (b - a) * float(share[0])


def _in_bytes(x: NDArray[np.floating] | Tensor) -> bool:
    """Return whether the first input looks like an image of 8 bits that was not scaled.

    Inputs that look standardised are no sign of a mistake: sigma is in their units by definition.
    """
    first = tensor_of(x[0, ...])
    image = first.ndim >= 2 and float(first.min()) >= 0.0 and 127.0 < float(first.max()) <= 255.0
    return image and bool((first == first.round()).all())


def _ids(index: Sequence[int] | NDArray[np.integer] | None, inputs: int) -> NDArray[np.int64]:
    """Return the ids of the inputs, checked."""
    try:
        ids = np.arange(inputs) if index is None else np.asarray(index)
    except (ValueError, TypeError, RuntimeError) as error:  # ragged, or a tensor with gradients
        raise TypeError(
            f"index must be {inputs} whole numbers, one for each input: {error}"
        ) from None
    if ids.dtype.kind not in "iu" or ids.shape != (inputs,):
        raise ValueError(
            f"index must be {inputs} whole numbers, one for each input; got shape {ids.shape} "
            f"of {ids.dtype}"
        )
    if ids.min() < 0 or ids.max() > MAX_INDEX:
        raise ValueError(
            f"index must lie between 0 and {MAX_INDEX}, got {ids.min()} to {ids.max()}"
        )
    return ids.astype(np.int64)


@dataclass(frozen=True, eq=False)
class _Row(Input):
    """An input and the number of its row."""

    number: int


class _Rows:
    """What is known of each input, in their order; NaN where sampling failed."""

    def __init__(
        self,
        inputs: int,
        request: Request,
        bounded: Callable[[NDArray[np.float32]], Certificate],
        cutoff: float | None,
        measure: str,
        displacement: float,
    ) -> None:
        self._request, self._bounds, self._cutoff, self._measure = request, bounded, cutoff, measure
        self._displacement = displacement
        sides, radii, thresholds = request.sides, len(request.radii), len(request.thresholds)

        def table(columns: int) -> NDArray[np.float64]:
            return np.full((inputs, columns), np.nan)

        self.lower = None if sides == "upper" else table(radii)
        self.upper = None if sides == "lower" else table(radii)
        self.radius = None if sides == "upper" else table(thresholds)
        self.mean_score, self.class_radius = np.full((2, inputs), np.nan)
        self.predicted, self.selected = np.full((2, inputs), -1)
        self.n_draws = np.zeros(inputs, np.int64)
        self.reason = [""] * inputs

    def certify(self, item: _Row, outcome: Draws | Failure) -> None:
        """Fill one row."""
        row = item.number
        if isinstance(outcome, Failure):
            self.reason[row] = str(outcome)
            return
        self.n_draws[row], self.mean_score[row] = len(outcome.scores), outcome.mean
        self.selected[row] = outcome.predicted
        fill = self._answered if isinstance(item.job, AdaptiveJob) else self._bounded
        self.predicted[row], self.reason[row], self.class_radius[row] = fill(item, outcome)

    def _bounded(self, item: _Row, draws: Draws) -> tuple[int, str, float]:
        certificate = self._bounds(draws.scores[None])
        if self.lower is not None:
            self.lower[item.number] = certificate.lower
        if self.upper is not None:
            self.upper[item.number] = certificate.upper
        if self.radius is not None:
            assert certificate.radius is not None
            self.radius[item.number] = inward(certificate.radius, self._displacement)
        at_zero = draws.mean if self.lower is None else self.lower[item.number, 0]
        predicted, reason = judge([draws.predicted], [at_zero], self._cutoff, measure=self._measure)
        sigma, alpha = self._request.sigma, self._request.alpha
        vote = class_radius(draws.top_count, len(draws.scores), sigma=sigma, alpha=alpha)
        return int(predicted[0]), reason[0], float(inward(vote, self._displacement))

    def _answered(self, item: _Row, draws: Draws) -> tuple[int, str, float]:
        assert isinstance(item.job, AdaptiveJob)
        answer = item.job.answer
        assert answer is not None
        assert self.lower is not None
        assert self.radius is not None
        self.lower[item.number] = answer.lower_at_zero, answer.lower
        self.radius[item.number] = answer.radius
        return verdict(
            answer,
            draws,
            self._cutoff,
            sigma=self._request.sigma,
            measure=self._measure,
            displacement=self._displacement,
        )
