"""The smoothed classifier: a base classifier under Gaussian noise, and its certificates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from smoothbound._utils import checks
from smoothbound._utils.renamed import renamed
from smoothbound.adapters._names import Compile, Outputs, Precision, Select
from smoothbound.adapters._recognise import Model
from smoothbound.anytime._job.budget import Budget
from smoothbound.anytime._job.job import Plan
from smoothbound.backends._names import Backend, Band, Bound, Mean, Sides
from smoothbound.bounds._request import Request
from smoothbound.classes._arguments import names_to_count
from smoothbound.classes._device_counts import counter_for
from smoothbound.errors import ModelError
from smoothbound.measures import TOP_CLASS, Measure, check_cutoff
from smoothbound.noise._kinds import Kind
from smoothbound.noise._noise import Noise
from smoothbound.noise._streams import MAX_DRAWS
from smoothbound.sampling._jobs import Draws, Failure, FixedJob, Input
from smoothbound.sampling._model.inputs import indices_of
from smoothbound.sampling._sampler import Sampler
from smoothbound.smoothing._array.further import Further, columns_of, digests_of
from smoothbound.smoothing._array.levels import Levels, Way, held_within, record_of
from smoothbound.smoothing._array.outcomes import Row, sample
from smoothbound.smoothing._array.points import check_points
from smoothbound.smoothing._certificate import SmoothedCertificate, SmoothedSettings
from smoothbound.smoothing._class_radius import majority_class, require_enough_votes
from smoothbound.smoothing._one_input.anytime_draws import AnytimeProcedure
from smoothbound.smoothing._one_input.fixed_draws import Procedure, default_method, radii_at_point
from smoothbound.smoothing._one_input.questions import AdaptiveDraws, adaptive_draws, method_of

__all__ = ["SmoothedClassifier"]


class SmoothedClassifier:
    """A base classifier h smoothed with Gaussian noise: g(x) = E[h(x + delta)].

    The noise is delta ~ N(0, sigma^2 I).

    Parameters
    ----------
    model : torch.nn.Module or callable, or a model that `smoothbound.adapters` knows
        The base classifier. It turns a batch of inputs, shape (batch, ...), into a floating-point
        tensor of shape (batch, classes) on the same device.

        - A module, including TorchScript, is moved to `device`. It runs in evaluation mode, and its
          modes are restored afterwards. The same holds for modules that a callable is found to
          call.
        - Programs of torch.export, sessions of ONNX Runtime, classifiers of scikit-learn and
          functions compiled by jax.jit are recognised by their types.
        - A function over NumPy or JAX arrays must be wrapped in ``adapters.numpy`` or
          ``adapters.jax``.

        A row of the result must not depend on other rows, because a batch holds copies of several
        inputs. This is checked for one row, up to rounding. Layers with dynamic quantisation take
        their scale from the batch, so their rows depend on each other by about as much as rounding.
    sigma : float
        Standard deviation of the noise, > 0, in the units of the model's input. If the model
        normalises its input itself, the units are those before the normalisation.
    measure : {"score", "margin", "vote"} or Measure, default "score"
        The number that is averaged over the noise; see `smoothbound.measures`.
    outputs : {"logits", "probabilities", "raw"}, optional
        Kind of the model's outputs. The default is logits for a module or a callable over tensors,
        and probabilities for ``predict_proba``. It must be stated for all other models. Logits go
        through a softmax in float32. Probabilities must lie in [0, 1] and sum to 1, which is
        checked. Raw outputs are passed unchanged to a custom measure, and must be finite.
    device : torch.device or str, optional
        Device of noise and model. The default is the device of the module's parameters, the one
        that an adapted model declares, or else the CPU.
    batch_size : int or "auto", default "auto"
        Number of noisy copies, of one input or several, in one call of the model. The default
        depends on the device; see `RunningModel.batch_size_for`. A batch that does not fit in
        memory goes through the model in smaller pieces.
    precision : {"float32", "tf32", "bfloat16", "float16"}, default "float32"
        Arithmetic of the model. "float32" does not change the model, and disables TF32 on CUDA.
        "tf32" uses TF32 for matrix products and convolutions on CUDA. "bfloat16" and "float16" use
        torch's autocast to 16 bits.
    channels_last : bool or "auto", default "auto"
        Whether batches of images go to the model in channels-last order, which changes its
        rounding. By default a short measurement decides once for each shape: the order is used if
        the module is faster in it by 10 % or more; see `RunningModel.channels_last_for`. The
        weights of the module do not change. To repeat the numbers of an earlier certificate bit for
        bit, set the value in its settings.
    compile : {"default", "reduce-overhead", "max-autotune"}, optional
        Mode of `torch.compile` for the model; the last two use CUDA graphs. By default the model is
        not compiled.
    cutoff : float, optional
        The classifier abstains if the certified confidence at R = 0 is not above this. The default
        is the cut-off of the measure: 0.5 for the score and the vote, 0 for the margin. With
        ``-inf`` the classifier never abstains.
    check_rows : bool, default True
        Whether each run first gives the model a batch of equal rows. The model is refused if the
        outputs of the rows differ from each other, or from the output of this row among other rows.
        Pass False for a model that is random on purpose, independently for each row.
    select : {"score", "votes"}, optional
        How the selection draws choose the class to certify. "score" takes the class with the
        largest mean score, as in Kumar et al. 2020. "votes" takes the class that has the largest
        output most often, as in Cohen et al. 2019. The default is "score" for the measures score
        and margin, and "votes" for others.
    threads : int, optional
        Number of CPU threads of the model, which changes its rounding. The default is one if a
        batch is little work, and torch's number otherwise; see `RunningModel.threads_for`. torch's
        setting belongs to the whole process, and is restored afterwards. Classifiers that sample in
        two threads at the same time share it. The number of threads of the bounds is an argument of
        `certify`.

    Attributes
    ----------
    sampler : Sampler
        Runs the model on noisy copies of inputs.
    cutoff : float or None
        The classifier abstains if the certified confidence at R = 0 is not above this. None means
        that it never abstains.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is out of range.

    Notes
    -----
    The certified classifier is the model as it runs here: on this device, in this precision, batch
    size, number of threads and memory format, compiled or not, with scores rounded to float32. Each
    of these can change its scores. A change of `precision` can change them by percents in a network
    that was not trained for it. A certificate for one such setting is no certificate for another,
    so the settings are recorded with the certificate. The memory format, and on a GPU the batch
    size, are chosen by a measurement, which may choose differently the next time or on another
    machine. State the recorded values to run the same classifier again.

    Threads may share one object, and several objects may share one module, if the model can be
    called from several threads at once.

    References
    ----------
    Kumar, Levine, Feizi, Goldstein, "Certifying Confidence via Randomized Smoothing",
    NeurIPS 2020.

    Examples
    --------
    A linear classifier whose smoothed score is known: two classes with the logits +-x/2.

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
        if isinstance(getattr(model, "smoothed", model), SmoothedClassifier):
            raise TypeError(
                f"model must be a base classifier, got a {type(model).__name__}: pass the base "
                "classifier from which it was made"
            )
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
        """Return a line about what is certified and how it is sampled."""
        return f"{type(self).__name__}({self.sampler.summary})"

    @property
    def sigma(self) -> float:
        """Standard deviation of the noise."""
        return self.sampler.sigma

    def with_sigma(self, sigma: float) -> SmoothedClassifier:
        """Return the same classifier with another noise level; both share the model.

        An input with the same seed and index has the same random words at every level. If each
        input has a level of its own, pass all levels to `certify` as `sigma`.
        `smoothbound.certify_scores` certifies scores of draws. If the draws were made without a
        `grid`, subtract twice `Draws.displacement` from its radii, because it does not know the
        displacement.

        Parameters
        ----------
        sigma : float
            Standard deviation of the noise, > 0, in the units of the model's input.

        Raises
        ------
        TypeError, ValueError
            If `sigma` is not such a number.

        Examples
        --------
        >>> smoothed = SmoothedClassifier(lambda x: torch.cat([x, 1 - x], dim=1), sigma=0.5)
        >>> smoothed.with_sigma(0.25).sigma, smoothed.sigma
        (0.25, 0.5)
        """
        made = copy(self)
        made.sampler = copy(self.sampler)
        made.sampler.sigma = checks.positive("sigma", sigma)
        return made

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
        early_selection: bool = False,
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
            early_selection=early_selection,
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
        band: Band | None = None,
        n_bins: int | None = None,
        mean: Mean | None = None,
        pilot: float = 0.1,
        sides: Sides = "lower",
        backend: Backend | None = None,
        threads: int | None = None,
        classes: Literal["all"] | ArrayLike | None = None,
        adaptive: bool = False,
        radius_precision: float | None = None,
        strictness: float = Plan.strictness,
        budget: Budget | None = None,
        sigma: float | ArrayLike | None = None,
        constant_within: ArrayLike | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> SmoothedCertificate:
        """Certify the confidence of the selected class of each input.

        The certificate bounds g(x') = E[h(x' + delta)] for all x' within each radius of x, by the
        formulas of `smoothbound.certify_scores`.

        Parameters
        ----------
        x : ndarray or Tensor of float32 or float64, shape (n_inputs, ...)
            The inputs, each in the shape that the model takes.
        n0, n : int
            `n0` draws select the class, and `n` other draws bound its confidence. Both numbers lie
            between 1 and 2^32. With ``adaptive=True`` they are the largest numbers for an input.
        alpha, radii, thresholds, bound, band, n_bins, mean, pilot, sides, backend, threads
            As for `smoothbound.certify_scores`. With ``sides="upper"`` the classifier never
            abstains, because abstention is about the lower bound. The default of `bound` is that of
            `certify_scores` with ``order="drawn"``: the joint bound, if `n` is large enough. For
            votes, and other scores that only take the ends of the range, the default is
            ``bound="mean", mean="betting"``, which is the bound of Clopper and Pearson. Adaptive
            draws have a test of their own: leave out `bound`, `band`, `n_bins` and `mean` with
            them.
        seed : int, default 0
            Seed of the noise, from 0 to 2^64 - 1.
        noise : {"lattice", "gaussian"}, default "lattice"
            "lattice" is noise in whole steps of a lattice, whose certificates hold in floating
            point. "gaussian" is floating-point noise, whose certificates are not a proof: they
            ignore the rounding of x + noise, so a network that uses the last digits of its input
            can be certified falsely.
        grid : int, optional
            States that the inputs are whole multiples of 1 / grid: 255 for 8-bit images in [0, 1].
            Without a grid, each input is moved to a lattice with 2^13 steps per sigma, by at most d
            = sigma sqrt(elements) / 2^14. A perturbed input is moved too. A bound for R is
            therefore computed at R + 2 d, and 2 d is subtracted from each radius, including the
            class radius. ``settings.displacement`` is d.
        index : sequence of int, shape (n_inputs,), optional
            Index of each input, from 0 to 2^31 - 1, such as its position in a data set. The default
            is 0, 1, 2, ... An input with the same seed and index always gets the same noise.
        classes : "all" or array-like of int, optional
            Classes whose scores and votes are counted in the same draws.
            `SmoothedCertificate.class_sketch` then returns a `ClassSketch`, which bounds all of
            them at once. This needs a fixed number of draws, and outputs that are scores.
        adaptive : bool, default False
            Whether to draw each input, at most n times, until each question is answered or seems
            out of reach (docs/anytime.md). The questions are whether the confidence is above each
            threshold within each radius. Certificates hold at alpha, whenever drawing stops. The
            selection of the class ends as soon as it is clear. `lower` is a number just above the
            largest threshold that is certified at a radius, `radius` is the largest radius that is
            certified for a threshold, and `n_draws` is the number of draws of each input.
        radius_precision : float, optional
            Search the certified radius of each threshold too, in steps of this size, in multiples
            of sigma.
        strictness : float, default 0.25
            The number of draws that a certificate is worth, as a share of n. With a larger number,
            questions are given up later; see `smoothbound.anytime.Plan`.
        budget : Budget, optional
            Limit on the draws or seconds of all inputs together; see `smoothbound.anytime.Budget`.
            Certificates that exist when it is spent are kept. The inputs that it reaches depend on
            the batch size and the clock.
        sigma : float or array-like, shape (n_inputs,), optional
            Noise level of all inputs or of each input; by default that of the classifier. An input
            gets the draws and the certificate of `with_sigma`. If each input has a level of its
            own, sigma(x), a certificate holds only at points x' with sigma(x') = sigma(x)
            (docs/other-noises.md): state their distance by `constant_within`.
        constant_within : float or array-like, shape (n_inputs,), optional
            Radius, >= 0, of a ball around each input on which sigma is constant, as for
            `smoothbound.certify_scores`. `class_radius` is capped at it too. Leaving it out states
            that sigma is constant within every certified radius. The `reason` of adaptive draws
            counts answers without this limit.
        progress : callable, optional
            Called as ``progress(done, n_inputs)`` after each input.

        Returns
        -------
        SmoothedCertificate

        Raises
        ------
        TypeError, ValueError
            If an argument has the wrong type or is out of range, or if `n` is too small to certify
            anything above the cut-off or a threshold. The error is raised before the first draw,
            and states the n that is needed.
        ModelError
            If the first eight inputs, or all if there are fewer, fail in the same way: the model
            raises an exception, or the model or the measure returns values that it must not. If
            only some inputs fail, their status is "failed", and the others are certified.
        """
        self._check_batch(x)
        n0, n = (checks.count(name, k, 1, MAX_DRAWS) for name, k in (("n0", n0), ("n", n)))
        indices, asked = indices_of(index, len(x)), checks.radii("radii", radii)
        rules = adaptive_draws(adaptive, radius_precision, strictness, budget)
        levels = Levels.of(sigma, self.sigma, len(x))
        reach = constant_within
        if reach is not None:
            reach = checks.distances("constant_within", reach, len(x))
        if progress is not None:
            checks.function("progress", progress)
        request = Request(
            sigma=min(levels.sigma),
            alpha=checks.alpha("alpha", alpha),
            score_range=self.measure.score_range,
            radii=tuple(asked.tolist()),
            thresholds=checks.floats("thresholds", thresholds),
            method=method_of(rules, bound, band, n_bins, mean)
            or default_method(self.measure, n, alpha=alpha, sides=sides, pilot=pilot),
            pilot=pilot,
            sides=sides,
            order="drawn",
        )
        names = names_to_count(classes, indices)
        counter = counter_for(names, self.sampler.device, self.outputs, adaptive=rules is not None)
        elements = int(np.prod(x.shape[1:]))

        def way_at(level: float) -> Way:
            made = self._noise_at(level, noise, seed, grid)
            asked, displacement = replace(request, sigma=level), made.displacement(elements)
            procedure = self._procedure(asked, rules, n, displacement, backend, threads)
            return Way(made, procedure, procedure.check_feasible())

        ways = levels.at_each(way_at)
        of_each = [ways[level] for level in levels.sigma]
        check_points(x, [way.noise for way in of_each])
        rows = (
            Row(x[i, ...], indices[i], way.procedure.job(), i, way.procedure, noise=way.noise)
            for i, way in enumerate(of_each)
        )
        least = ways[request.sigma]
        results = sample(self.sampler, x, rows, len(x), least, n0, progress, counter)
        settings = self._settings(least, n0, x[0])
        return held_within(
            SmoothedCertificate(
                settings=replace(
                    settings,
                    radii=request.radii,
                    classes=names,
                    noise=record_of([way.noise for way in ways.values()], elements),
                ),
                index=indices,
                digest=(b"",) * len(x) if rules is None else digests_of(x),
                sigma=levels.column,
                **columns_of([results[i] for i in range(len(x))]),
            ),
            reach,
        )

    def predict(
        self,
        x: NDArray[np.floating] | Tensor,
        *,
        n: int = 1_000,
        alpha: float = 1e-3,
        seed: int = 0,
        noise: Kind | None = None,
        grid: int | None = None,
        index: Sequence[int] | NDArray[np.integer] | None = None,
        sigma: float | ArrayLike | None = None,
    ) -> NDArray[np.int64]:
        """Predict the class that wins the majority vote over the noise, without a certificate.

        This is Predict of Cohen et al. 2019. It needs far fewer draws than `certify`, and does not
        bound a radius or a confidence. The majority vote is that of `class_radius`. The measure and
        the cut-off of this object do not matter.

        Parameters
        ----------
        x : ndarray or Tensor of float32 or float64, shape (n_inputs, ...)
            The inputs, each in the shape that the model takes.
        n : int, default 1000
            Number of draws of each input, from 1 to 2^32.
        alpha : float, default 0.001
            Largest probability, for each input, that the result is a class other than the one that
            wins the vote at the point around which draws are made.
        seed, noise, grid, index
            As for `certify`. The draws are the first n estimation draws of the same seed and index,
            so a prediction and a certificate are independent only if their seeds differ.
        sigma : float or array-like, shape (n_inputs,), optional
            Noise level of all inputs or of each input; by default that of the classifier. An input
            gets the draws of `with_sigma`.

        Returns
        -------
        ndarray of int64, shape (n_inputs,)
            The class of each input; -1 if the votes do not decide between the first two classes
            (`smoothbound.smoothing.majority_class`).

        Raises
        ------
        TypeError, ValueError
            If an argument has the wrong type or is out of range, or `n` is too small to predict
            anything. The error states the n that is needed.
        ModelError
            If the model fails on an input: it raises an exception, or returns values that it must
            not.

        Examples
        --------
        >>> smoothed = SmoothedClassifier(lambda x: torch.cat([x, -x], dim=1), sigma=0.5)
        >>> smoothed.predict(torch.tensor([[1.5], [0.0], [-1.5]])).tolist()
        [0, -1, 1]
        """
        alpha = checks.alpha("alpha", alpha)
        require_enough_votes(n, alpha)
        votes = self.votes(x, n=n, seed=seed, noise=noise, grid=grid, index=index, sigma=sigma)
        return np.array([majority_class(row, alpha) for row in votes], np.int64)

    def votes(
        self,
        x: NDArray[np.floating] | Tensor,
        *,
        n: int = 1_000,
        seed: int = 0,
        noise: Kind | None = None,
        grid: int | None = None,
        index: Sequence[int] | NDArray[np.integer] | None = None,
        sigma: float | ArrayLike | None = None,
    ) -> NDArray[np.int64]:
        """Count the draws in which each class has the largest output.

        The counts divided by n estimate the probability of each class under the noise.

        Parameters
        ----------
        x, n, seed, noise, grid, index, sigma
            As for `predict`, which makes the same draws.

        Returns
        -------
        ndarray of int64, shape (n_inputs, n_seen)
            The counts. Classes after the last one with a vote are left out.

        Raises
        ------
        TypeError, ValueError, ModelError
            As for `predict`.

        Examples
        --------
        >>> smoothed = SmoothedClassifier(lambda x: torch.cat([x, -x], dim=1), sigma=0.5)
        >>> smoothed.votes(torch.tensor([[9.0], [-9.0]]), n=50).tolist()
        [[50, 0], [0, 50]]
        """
        self._check_batch(x)
        indices, n = indices_of(index, len(x)), checks.count("n", n, 1, MAX_DRAWS)
        levels, voting = Levels.of(sigma, self.sigma, len(x)), copy(self.sampler)
        noises = levels.at_each(lambda level: self._noise_at(level, noise, seed, grid))
        voting.measure, voting.select = TOP_CLASS, "votes"
        items = [
            Input(x[i, ...], indices[i], FixedJob(n), noise=noises[level])
            for i, level in enumerate(levels.sigma)
        ]
        counts = [np.zeros(0, np.int64)] * len(x)
        row_of = {item: i for i, item in enumerate(items)}
        for item, outcome in voting.sample(items, n0=1, noise=noises[min(levels.sigma)]):
            if isinstance(outcome, Failure):
                raise ModelError(f"input {row_of[item]}: {outcome.reason}") from outcome.error
            counts[row_of[item]] = np.bincount(outcome.scores.astype(np.int64))
        seen = max(map(len, counts))
        return np.stack([np.pad(one, (0, seen - len(one))) for one in counts])

    def certify_further(
        self,
        x: NDArray[np.floating] | Tensor,
        certificate: SmoothedCertificate,
        *,
        n: int | None = None,
        radii: ArrayLike | None = None,
        thresholds: ArrayLike | None = None,
        radius_precision: float | None = None,
        alpha: float | None = None,
        budget: Budget | None = None,
        backend: Backend | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> SmoothedCertificate:
        """Continue the draws of a certificate of ``certify(adaptive=True)``.

        If only a larger `n` is given, the questions are the same: inputs with an open question that
        `n` draws may answer are drawn further at the same alpha, and the others keep their results.
        The same holds for inputs that a budget ended.

        If `radii`, `thresholds`, `radius_precision` or `alpha` is given, the questions are new, and
        may have been chosen after a look at the certificate. They are a family of their own: every
        input that has a class is drawn further, and only these draws count. A statement of the
        certificate and one of the new certificate hold together with probability at least 1 minus
        the sum of their alphas (docs/anytime.md).

        For more questions after that, continue the new certificate. If one certificate is continued
        twice, both families use the same later draws. That is valid only if the questions of the
        second family were chosen before a look at the answers of the first.

        Parameters
        ----------
        x : ndarray or Tensor of float32 or float64, shape (n_inputs, ...)
            The inputs of the certificate.
        certificate : SmoothedCertificate
            A certificate of this classifier with its present settings, and of inputs with one noise
            level, as in ``certificate[certificate.sigma == 0.25]``. It gives the values of
            arguments that are left out.
        n : int, optional
            Largest number of draws of an input, including those of the certificate if the questions
            are the same.
        radii, thresholds, radius_precision, alpha
            As for `certify`; by default those of the certificate. With `radii` or
            `radius_precision` stated, the other one is not taken from the certificate.
        budget : Budget, optional
            Limit on the further draws of all inputs together, or on their seconds.
        backend, progress
            As for `certify`.

        Returns
        -------
        SmoothedCertificate
            The certificate with a row for each input. For new questions `n_draws`, `mean_score` and
            `class_radius` are those of the further draws.

        Raises
        ------
        TypeError, ValueError
            If an argument has the wrong type or is out of range, the certificate is not one of this
            classifier or cannot be continued, an input is not that of the certificate, or its
            selection draws now give another class or other scores.
        ModelError
            As for `certify`.

        Examples
        --------
        >>> smoothed = SmoothedClassifier(lambda x: torch.cat([x, -x], dim=1), sigma=0.5)
        >>> x = torch.tensor([[1.5], [0.4]])
        >>> cert = smoothed.certify(x, n=1000, radii=[0.25], thresholds=[0.5], adaptive=True)
        >>> later = smoothed.certify_further(x, cert, thresholds=[0.6], radii=[0.0])
        >>> later.settings.thresholds, later.settings.adaptive.follows.alphas
        ((0.6,), (0.001,))
        """
        self._check_batch(x)
        asked = Further.of(
            certificate,
            n=n,
            radii=radii,
            thresholds=thresholds,
            radius_precision=radius_precision,
            alpha=None if alpha is None else checks.alpha("alpha", alpha),
            budget=budget,
        )
        asked.require_same_inputs(x)
        of, total = asked.settings, len(asked.certificate)
        reach = asked.certificate.constant_within
        if progress is not None:
            checks.function("progress", progress)
        made = copy(self)
        made.sampler = self.sampler.with_choices(
            batch_size=of.batch_size, channels_last=of.channels_last, threads=of.threads
        )
        how = made.sampler.describe(x[0])
        asked.require_same_model(self.sigma, self.measure.name, self.cutoff, how)
        noise = self.sampler.noise(of.noise.kind, seed=of.seed, grid=of.noise.grid)
        procedure = asked.procedure(noise.displacement(int(np.prod(x.shape[1:]))), backend)
        way = Way(noise, procedure, procedure.check_feasible())
        starts = asked.starts(procedure)
        rows = (
            Row(
                x[i, ...],
                asked.certificate.index[i],
                procedure.job(earlier=earlier),
                i,
                procedure,
                top_count,
                first_draw=0 if earlier is None else earlier.test.next_draw,
            )
            for i, (earlier, top_count) in starts.items()
        )
        results = sample(made.sampler, x, rows, len(starts), way, of.n0, progress)
        certified = SmoothedCertificate(
            settings=made._settings(way, of.n0, x[0]),
            index=asked.certificate.index,
            digest=digests_of(x),
            **columns_of([asked.result(i, results.get(i)) for i in range(total)]),
        )
        return held_within(certified, reach)

    def _check_batch(self, x: NDArray[np.floating] | Tensor) -> None:
        self.sampler.model.check_inputs(x)
        if x.ndim == 0:
            raise ValueError("x must have the shape (n_inputs, ...), got a single number")

    def _noise_at(self, level: float, kind: Kind | None, seed: int, grid: int | None) -> Noise:
        return self.with_sigma(level).sampler.noise(kind, seed=seed, grid=grid)

    def _procedure(
        self,
        request: Request,
        rules: AdaptiveDraws | None,
        n: int,
        displacement: float,
        backend: Backend | None,
        threads: int | None,
    ) -> Procedure | AnytimeProcedure:
        """Return the procedure that draws and certifies each input."""
        measure = self.measure.name
        if rules is not None:
            return AnytimeProcedure.of(
                request,
                rules,
                n=n,
                cutoff=self.cutoff,
                measure=measure,
                displacement=displacement,
                backend=backend,
            )
        cutoff = None if request.sides == "upper" else self.cutoff  # it is about the lower bound
        at_point = replace(request, radii=radii_at_point(request.radii, displacement))
        return Procedure((at_point,), n, cutoff, measure, displacement, backend, threads)

    def _settings(self, way: Way, n0: int, x: NDArray[np.floating] | Tensor) -> SmoothedSettings:
        """Return the settings: the request, and the sampling of inputs like `x`."""
        return SmoothedSettings(
            **vars(way.settings),
            measure=self.measure.name,
            cutoff=way.procedure.cutoff,
            outputs=self.outputs,
            n0=n0,
            seed=way.noise.seed,
            noise=way.noise.describe(int(np.prod(x.shape))),
            adaptive=way.procedure.record(),
            **vars(self.sampler.describe(x)),
        )
