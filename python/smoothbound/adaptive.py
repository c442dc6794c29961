"""Adaptive sampling: draws in stages, until a question about one input is answered.

A `Plan` fixes, before any draw, the sizes of the stages and the share of alpha that each may
fail with.  A `Job` is one input: it asks for draws (`Job.remaining`), takes their scores, looks at
all of them whenever a stage is full, and ends with an `Answer`.  It knows nothing of models or
devices; whoever draws the scores decides when, where, and packed with whose.  docs/adaptive.md
proves that stopping early leaves every answer valid, and explains the rules of stopping.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from threading import Lock
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smoothbound._display.rounding import exact
from smoothbound._files.plain import memory_limit
from smoothbound._utils import checks
from smoothbound._utils.renamed import formerly
from smoothbound.anytime._questions import Decide, FindRadius
from smoothbound.backends import gaussian
from smoothbound.backends._names import Backend, Band, Bound, Mean
from smoothbound.bounds._certify import certify_scores
from smoothbound.bounds._method import Method
from smoothbound.bounds._sample_size import highest_share
from smoothbound.noise._displaced import inward, outward

__all__ = ["Answer", "Budget", "Decide", "FindRadius", "Job", "Plan", "Stage", "ask", "plan"]

# Chosen by benchmarks/studies/adaptive.py; docs/adaptive.md says what the others cost.
_GROWTH, _SMALLEST = 2.0, 200  # the stages are n_max, n_max / 2, ... not below 200 draws
_LEVEL_POWER = 1.0  # of a stage's draws, to which its share of alpha is proportional
_FUTILITY_ERRORS = 2.5  # standard errors by which a forecast has to miss

Outcome = Literal["certified", "precise", "futile", "exhausted", "budget"]


class Stage(NamedTuple):
    """One look at the scores of an input.

    Attributes
    ----------
    n : int
        All draws up to this look, those of the stages before included.
    alpha : float
        Probability with which its bounds may fail.  0: too few draws to certify anything, a look
        for futility alone.
    """

    n: int
    alpha: float


@dataclass(frozen=True)
class Answer:
    """What became of one input.

    Attributes
    ----------
    certified : bool
        Whether the confidence is certified to be strictly above the threshold at the radius of
        the question (`Decide`), or at R = 0 (`FindRadius`).
    radius : float
        l2 radius within which it is: that of the question, or the one found; NaN without any.
    lower, lower_at_zero : float
        Certified confidence at the radius of the question (0 for `FindRadius`), and at R = 0; the
        bottom of the range where nothing was certified.
    outcome : {"certified", "precise", "futile", "exhausted", "budget"}
        Why drawing ended: the claim is certified; more draws were forecast to gain no more than
        the precision, or not to certify it; all draws of the plan, or the budget, are spent.
    reason : str
        The same in words.
    stage : int
        How many stages were looked at.
    n_draws : int
        How many draws were fed.
    alpha_spent : float
        Sum of the levels of the stages looked at; at most the alpha of the plan, which is what the
        answer is valid at, because the number of looks depends on the scores.
    level : float
        Level of the last look, 0 without any.  Any other certificate, such as the radius of the
        class or bounds at other radii, has to be made at this level from the draws of that look,
        the first ``plan.stages[stage - 1].n``; at alpha it would ignore the choice of when to stop.
    """

    certified: bool
    radius: float
    lower: float
    lower_at_zero: float
    outcome: Outcome
    reason: str
    stage: int
    n_draws: int
    alpha_spent: float
    level: float


class Budget:
    """Draws or seconds that many jobs share; safe to share between threads.

    A stage is paid for in full before its first draw, or refused.  Seconds count from the first
    request; a stage paid for in time is finished.

    Parameters
    ----------
    draws : int, optional
        Most draws that all jobs together may ask for.
    seconds : float, optional
        Time after which no stage is begun.
    clock : callable
        Returns seconds.

    Examples
    --------
    >>> budget = Budget(draws=1500)
    >>> budget.take(1000), budget.take(1000), budget.take(500), budget.spent
    (True, False, True, 1500)
    """

    def __init__(
        self,
        *,
        draws: int | None = None,
        seconds: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.draws = None if draws is None else checks.count("draws", draws)
        self.seconds = None if seconds is None else checks.positive("seconds", seconds)
        self.spent = 0
        self._clock = clock
        self._start: float | None = None
        self._lock = Lock()

    def resume(self, draws: int, seconds: float) -> None:
        """Count what an earlier part of the same run spent."""
        with self._lock:
            self.spent += draws
            self._start = (self._clock() if self._start is None else self._start) - seconds

    def record(self) -> dict[str, float | None]:
        """Return the limits, to be stored as JSON."""
        return {"draws": self.draws, "seconds": self.seconds}

    def take(self, draws: int) -> bool:
        """Pay for draws, or refuse them all."""
        with self._lock:
            now = self._clock()
            self._start = now if self._start is None else self._start
            if self.seconds is not None and now - self._start >= self.seconds:
                return False
            if self.draws is not None and self.spent + draws > self.draws:
                return False
            self.spent += draws
            return True


class _Bounds(NamedTuple):
    """What holds at some level: the confidence at R = 0 and R, and the radius of the threshold."""

    at_zero: float
    lower: float
    radius: float


@dataclass(frozen=True)
class Plan:
    """The stages of a question, fixed before any draw; made by `plan`.

    Attributes
    ----------
    question : Decide or FindRadius
    sigma, alpha, score_range, pilot, backend
        As for `smoothbound.certify_scores`.
    method : Method
        How each stage is bounded.
    stages : tuple of Stage
        The exact sum of their levels is at most `alpha`.
    displacement : float
        As for `plan`.
    """

    question: Decide | FindRadius
    sigma: float
    alpha: float
    score_range: tuple[float, float]
    method: Method
    pilot: float
    backend: Backend | None
    stages: tuple[Stage, ...]
    displacement: float = 0.0

    @property
    def n_max(self) -> int:
        """Return the most draws that an input can get."""
        return self.stages[-1].n

    def start(self, budget: Budget | None = None) -> Job:
        """Begin with an input."""
        return Job(self, budget)

    def record(self) -> dict[str, Any]:
        """Return what the answers hold under, to be stored with them as JSON."""
        stages = [stage._asdict() for stage in self.stages]
        return asdict(self) | {"asked": type(self.question).__name__, "stages": stages}

    def _bounds(self, scores: NDArray[Any], alpha: float) -> _Bounds:
        finds = isinstance(self.question, FindRadius)
        cert = certify_scores(
            scores[None],
            sigma=self.sigma,
            alpha=alpha,
            score_range=self.score_range,
            radii=outward((0.0, _radius(self.question)), self.displacement),
            thresholds=(self.question.threshold,) if finds else (),
            bound=self.method.bound,  # type: ignore[arg-type]
            band=self.method.band or "ell",
            n_bins=self.method.n_bins,
            mean=self.method.mean,
            pilot=self.pilot,
            order="drawn",
            backend=self.backend,
            threads=1,
        )
        assert cert.lower is not None
        assert cert.radius is not None
        radius = inward(cert.radius, self.displacement)[0, 0] if finds else math.nan
        return _Bounds(float(cert.lower[0, 0]), float(cert.lower[0, 1]), float(radius))

    def _forecast(self, scores: NDArray[Any]) -> _Bounds:
        """Bound what the last stage would see if the scores went on as they are."""
        return self._bounds(np.resize(scores, self.n_max), self.stages[-1].alpha)

    def _settled(self, scores: NDArray[Any], best: _Bounds) -> Outcome | None:
        """Say why more draws are not worth it; None where they may be."""
        ahead = self._forecast(scores)
        errors = _FUTILITY_ERRORS * math.sqrt(1.0 - len(scores) / self.n_max)
        a = self.score_range[0]
        if math.isnan(best.radius):
            error, _ = _uncertainty(scores, a, _radius(self.question) / self.sigma)
            missed = ahead.lower + errors * error <= self.question.threshold
            return "futile" if missed else None
        assert isinstance(self.question, FindRadius)  # a certified decision has ended before
        radius = max(best.radius, ahead.radius)  # the first, if the other is NaN
        error, slope = _uncertainty(scores, a, radius / self.sigma)
        spare = self.question.precision - (radius - best.radius) / self.sigma
        return "precise" if errors * error <= slope * spare else None


class Job:
    """The draws of one input, from the first stage to the answer; made by `Plan.start`.

    Attributes
    ----------
    plan : Plan
    answer : Answer or None
        None until there is one.

    Examples
    --------
    >>> asked = plan(Decide(threshold=0.5, radius=0.25), sigma=0.25)
    >>> job, rng = asked.start(), np.random.default_rng(0)
    >>> while job.remaining:
    ...     job.update(rng.beta(20, 1, size=job.remaining))
    >>> job.answer.certified, job.answer.n_draws
    (True, 391)
    """

    def __init__(self, plan: Plan, budget: Budget | None = None) -> None:
        self.plan = plan
        self.answer: Answer | None = None
        self._budget = budget
        self._chunks: list[NDArray[Any]] = []
        self._drawn = self._looks = 0
        a = plan.score_range[0]
        self._best = _Bounds(a, a, math.nan)
        self._ask()

    wants = formerly("wants", "remaining")
    feed = formerly("feed", "update")

    @property
    def remaining(self) -> int:
        """Return how many more draws the present stage needs; 0 when there is an answer."""
        return 0 if self.answer else self.plan.stages[self._looks].n - self._drawn

    @property
    def scores(self) -> NDArray[Any]:
        """Return all scores fed so far, in their order; shape (n_draws,)."""
        if len(self._chunks) != 1:
            self._chunks = [np.concatenate(self._chunks or [np.empty(0, np.float32)])]
        return self._chunks[0]

    def update(self, scores: ArrayLike) -> None:
        """Take the scores of new draws, and look at all of them if the stage is full.

        Parameters
        ----------
        scores : array-like of float16, float32 or float64, shape (k,)
            In the order of drawing, k at most `remaining`; copied.  Which draws they are must not
            depend on their values.

        Raises
        ------
        TypeError, ValueError
            If they are not such, more than wanted, NaN, or outside the range.
        """
        new = np.array(checks.array("scores", scores))
        if new.ndim != 1 or new.dtype not in (np.float16, np.float32, np.float64):
            raise TypeError(
                f"scores must be one row of float16, float32 or float64, got shape {new.shape} "
                f"of {new.dtype}"
            )
        if len(new) > self.remaining:
            raise ValueError(f"the job wants {self.remaining} more scores, got {len(new)}")
        a, b = self.plan.score_range
        exact = new.astype(np.float64)  # a and b would be rounded to a narrower type
        if not ((exact >= a) & (exact <= b)).all():
            raise ValueError(f"scores must be finite and within score_range [{a}, {b}]")
        self._chunks.append(new)
        self._drawn += len(new)
        if self.remaining == 0 and self.answer is None:
            self._look()

    def stop(self) -> None:
        """End with what the finished stages certify, as if the budget were spent."""
        if self.answer is None:
            self._end("budget")

    def _ask(self) -> None:
        """Pay for the next stage."""
        if self._budget is not None and not self._budget.take(self.remaining):
            self._end("budget")

    def _look(self) -> None:
        plan, stage = self.plan, self.plan.stages[self._looks]
        self._looks += 1
        if stage.alpha > 0.0:
            # The bounds of all looks hold together, so that the best of them does.
            now = plan._bounds(self.scores, stage.alpha)
            self._best = _Bounds(*np.fmax(self._best, now).tolist())
        if isinstance(plan.question, Decide) and self._best.lower > plan.question.threshold:
            self._end("certified")
        elif self._looks == len(plan.stages):
            self._end("exhausted")
        elif outcome := plan._settled(self.scores, self._best):
            self._end(outcome)
        else:
            self._ask()

    def _end(self, outcome: Outcome) -> None:
        question, best = self.plan.question, self._best
        levels = [stage.alpha for stage in self.plan.stages[: self._looks]]
        decided = outcome == "certified"
        radius = _radius(question) if decided else best.radius
        self.answer = Answer(
            certified=not math.isnan(radius),
            radius=radius,
            lower=best.lower,
            lower_at_zero=best.at_zero,
            outcome=outcome,
            reason=self._words(outcome),
            stage=self._looks,
            n_draws=self._drawn,
            alpha_spent=math.fsum(levels),
            level=levels[-1] if levels else 0.0,
        )

    def _words(self, outcome: Outcome) -> str:
        c, k, n = self.plan.question.threshold, self._drawn, self.plan.n_max
        return {
            "certified": f"certified after {k} draws",
            "precise": f"no more than the precision to be gained after {k} draws",
            "futile": f"given up after {k} draws: even {n} draws are not expected to certify more "
            f"than {exact(c)}",
            "exhausted": f"all {n} draws are spent",
            "budget": f"budget spent after {k} draws",
        }[outcome]


def ask(
    radii: ArrayLike, thresholds: ArrayLike, radius_precision: float | None = None
) -> Decide | FindRadius:
    """Return the question that one radius and one threshold, or a precision, put.

    Parameters
    ----------
    radii, thresholds : array_like of float
        Of `Decide`, one of each. With a precision the radius is found, and `radii` must be 0 alone:
        no other is looked at.
    radius_precision : float, optional
        Precision of `FindRadius`, in multiples of sigma.

    Raises
    ------
    ValueError
        If there are more, or fewer.

    Examples
    --------
    >>> ask([0.25], [0.5])
    Decide(threshold=0.5, radius=0.25)
    >>> ask([0.0], [0.5], radius_precision=0.05)
    FindRadius(threshold=0.5, precision=0.05)
    """
    r = checks.numbers("radii", radii).ravel().tolist()
    c = checks.numbers("thresholds", thresholds).ravel().tolist()
    if len(c) != 1:
        raise ValueError(
            "thresholds must be one number for adaptive draws, which answer one question about "
            f"each input; got {len(c)}"
        )
    if radius_precision is not None:
        if r != [0.0]:
            raise ValueError(f"radii must be left out where a radius is to be found, got {r}")
        return FindRadius(c[0], checks.positive("radius_precision", radius_precision))
    if len(r) != 1:
        raise ValueError(
            f"radii must be one number for adaptive draws, got {len(r)}; a radius is found where "
            "a radius precision is stated, in multiples of sigma"
        )
    return Decide(c[0], r[0])


def plan(
    question: Decide | FindRadius,
    *,
    sigma: float,
    alpha: float = 1e-3,
    n_max: int = 100_000,
    score_range: tuple[float, float] = (0.0, 1.0),
    bound: Bound = "tangent",
    band: Band = "ell",
    n_bins: int | None = 1000,
    mean: Mean | None = None,
    pilot: float = 0.1,
    backend: Backend | None = None,
    displacement: float = 0.0,
) -> Plan:
    """Plan the stages in which the draws of an input are made.

    Parameters
    ----------
    question : Decide or FindRadius
        What to find out about every input.
    sigma, alpha, score_range, bound, band, n_bins, mean, pilot, backend
        As for `smoothbound.certify_scores`; alpha is that of the whole answer.  One radius at a
        time is asked for, so that the tangent bound is the default.  The band of 1000 bins, should
        there be one, is calibrated for every stage in a fifth of a second.
    n_max : int
        Most draws of an input.
    displacement : float, default 0
        Distance between an input and the lattice point that is drawn around, in the units of the
        input; every bound allows for it (`smoothbound.noise._displaced`).

    Returns
    -------
    Plan

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or outside its range, or `n_max` draws could not
        certify the claim even if all were perfect (the message says how many could).

    Examples
    --------
    >>> stages = plan(Decide(0.5, radius=0.25), sigma=0.25, n_max=4000).stages
    >>> [stage.n for stage in stages], sum(stage.alpha for stage in stages) <= 1e-3
    ([250, 500, 1000, 2000, 4000], True)
    """
    sigma, alpha = checks.positive("sigma", sigma), checks.alpha("alpha", alpha)
    a, b = checks.score_range("score_range", score_range)
    question = _checked(question, (a, b))
    method = Method.of(bound, band, n_bins, mean)
    pilot = checks.probability("pilot", pilot)
    displacement = checks.non_negative("displacement", displacement)
    needed, least = _needed(question, sigma, alpha, (a, b))
    stages = _stages(
        _sizes(_held(n_max)),
        alpha,
        lambda n, level: highest_share(n, level, method, pilot) > needed,
    )
    planned = Plan(question, sigma, alpha, (a, b), method, pilot, backend, stages, displacement)
    if stages[-1].alpha == 0.0 or not _possible(planned):
        raise ValueError(
            f"n_max = {n_max} draws are too few to certify {question} with sigma = {sigma:g} and "
            f"displacement = {displacement:g} at alpha = {alpha:g} by {method.label}, even if "
            f"every score were {b:g}; no method does with fewer than {least:.6g}"
        )
    return planned


def _held(n_max: int) -> int:
    """Return `n_max` if memory holds the scores of so many draws, of one input, twice."""
    n_max = checks.count("n_max", n_max, 1, 2**32 - 1)
    if (size := 16 * n_max) > memory_limit():
        raise ValueError(
            f"n_max must be smaller, got {n_max}: the scores of so many draws of an input take "
            f"{size / 1e9:.3g} GB, more than memory holds"
        )
    return n_max


def _checked(question: object, score_range: tuple[float, float]) -> Decide | FindRadius:
    if isinstance(question, Decide):
        (radius,) = checks.radii("radius", [question.radius]).tolist()
        (threshold,) = checks.thresholds("threshold", [question.threshold], score_range).tolist()
        return Decide(threshold, radius)
    if isinstance(question, FindRadius):
        precision = checks.positive("precision", question.precision)
        (threshold,) = checks.thresholds("threshold", [question.threshold], score_range).tolist()
        return FindRadius(threshold, precision)
    raise TypeError(
        f"question must be Decide(threshold, radius) or FindRadius(threshold, precision), got "
        f"{checks.shown(question)}"
    )


def _radius(question: Decide | FindRadius) -> float:
    return question.radius if isinstance(question, Decide) else 0.0


def _needed(
    question: Decide | FindRadius, sigma: float, alpha: float, score_range: tuple[float, float]
) -> tuple[float, float]:
    """Return the bound p that perfect scores need, and how many it takes.

    The claim needs psi_r(p) > c, and no bound from n of n perfect scores passes alpha^(1/n),
    Clopper and Pearson's.
    """
    a, b = score_range
    z = gaussian.quantile(np.array([(question.threshold - a) / (b - a)]))
    z = z[0] + _radius(question) / sigma
    needed, miss = gaussian.cdf(np.array([z, -z])).tolist()
    least = math.log(alpha) / math.log1p(-miss) if miss > 0.0 else math.inf
    return needed, least


def _sizes(n_max: int) -> list[int]:
    """Return n_max, n_max / growth, ... as long as they are not below the smallest; ascending."""
    count = math.log(n_max / _SMALLEST) / math.log(_GROWTH) if n_max > _SMALLEST else 0.0
    return [math.ceil(n_max / _GROWTH**j) for j in range(math.floor(count), -1, -1)]


def _stages(
    sizes: list[int], alpha: float, possible: Callable[[int, float], bool]
) -> tuple[Stage, ...]:
    """Split alpha between the stages at which a claim is possible."""
    for first in range(len(sizes)):
        weights = [n**_LEVEL_POWER for n in sizes[first:]]
        # The rounding of the sum, the quotient and the products makes the sum of the levels at
        # most 5 * 2^-53 of itself too large; 2^-50 of it, more than that, is taken off.
        total = math.fsum(weights)
        levels = [alpha * (weight / total) * (1.0 - 2.0**-50) for weight in weights]
        if possible(sizes[first], levels[0]):
            levels = [0.0] * first + levels
            return tuple(map(Stage, sizes, levels))
    return tuple(Stage(n, 0.0) for n in sizes)


def _possible(planned: Plan) -> bool:
    """Tell whether perfect scores would be certified at the last stage."""
    perfect = np.full(planned.n_max, planned.score_range[1])
    return planned._bounds(perfect, planned.stages[-1].alpha).lower > planned.question.threshold


def _uncertainty(scores: NDArray[Any], a: float, r: float) -> tuple[float, float]:
    """Return the standard error of Theorem 2's value at the empirical distribution, and -d/dr.

    To first order the value is the mean of phi(Z) = integral of psi_r'(G(s)) from a to Z.
    """
    m = len(scores)
    ordered = np.sort(scores.astype(np.float64))
    gaps = np.diff(ordered, prepend=a)
    reach = (m - np.arange(m)) / m  # the share of draws at or above each
    z = gaussian.quantile(np.clip(reach, 0.5 / m, 1.0 - 0.5 / m))
    phi = np.cumsum(gaps * np.exp(r * z - r * r / 2))
    slope = float(gaps @ np.exp(-0.5 * (z - r) ** 2)) / math.sqrt(2 * math.pi)
    return float(phi.std(ddof=min(1, m - 1))) / math.sqrt(m), slope
