"""Inputs to sample, jobs that decide their numbers of draws, and their draws or failures."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from smoothbound._utils import checks
from smoothbound._utils.renamed import formerly
from smoothbound.noise._kinds import Kind

if TYPE_CHECKING:
    from torch import Tensor

    from smoothbound.noise._noise import Noise

__all__ = [
    "BudgetedJob",
    "Counter",
    "Draws",
    "Failure",
    "FixedJob",
    "Input",
    "Job",
    "OpenEndedJob",
    "as_budgeted",
    "as_open_ended",
]

# Draws can be joined only if these attributes agree.
_SHARED = ("seed", "index", "selected", "n0", "displacement", "sigma", "measure", "noise")


class Job(Protocol):
    """Decides how many draws one input needs, possibly from the scores of earlier draws.

    Attributes
    ----------
    remaining : int
        Number of estimation draws that are still to be made; 0 when the job is done. Only `update`
        changes it.
    """

    @property
    def remaining(self) -> int:
        """Return how many more draws to make."""

    def update(self, scores: NDArray[np.float32]) -> None:
        """Take the next scores, at most `remaining` of them, in the order of drawing."""


class OpenEndedJob(Job, Protocol):
    """A job that may end at any draw, and starts from the scores of the selection draws.

    It requests few draws at a time, and `update` gets exactly the requested ones. Rows that would
    otherwise be empty hold draws that it has not requested. They are given to it if it requests
    them, and dropped if it ends before. Its result therefore does not depend on the size of the
    batches or on the other inputs.

    Attributes
    ----------
    most_remaining : int
        Largest number of estimation draws that may still be requested, at least `remaining`.
    """

    @property
    def most_remaining(self) -> int:
        """Return the largest number of draws that may still be made."""

    def begin(self, selected: int, scores: NDArray[np.float32]) -> None:
        """Take the class and its scores in the selection draws; called once before any `update`.

        `remaining` is valid after this call. Before, it only states whether to draw at all.
        """


class BudgetedJob(OpenEndedJob, Protocol):
    """An open-ended job whose draws come from a budget that many jobs share.

    Attributes
    ----------
    limited : bool
        Whether the budget has a limit.
    due : int
        Like `remaining`, but reading it takes nothing from the budget.
    ungranted : int
        Number of due draws that the budget has not granted yet.
    expected : float
        Estimated number of further draws of the job. Jobs that need the fewest are served first.
    """

    @property
    def limited(self) -> bool:
        """Return whether the budget has a limit."""

    @property
    def due(self) -> int:
        """Return the number of draws to make before the next look at the scores."""

    @property
    def ungranted(self) -> int:
        """Return how many of them the budget has not granted yet."""

    @property
    def expected(self) -> float:
        """Return the estimated number of further draws."""

    def take_budget(self, most: int) -> None:
        """Let the budget grant at most `most` draws; if it is spent, fewer are due."""


class Counter(Protocol):
    """Counts the scores of all classes in the draws of inputs in flight, on the device."""

    def reset(self, slot: int) -> None:
        """Discard the counts of the last input of a slot."""

    def add(self, slot: int, scores: Tensor, top: Tensor) -> None:
        """Count draws of one input.

        Parameters
        ----------
        slot : int
            Slot of the input.
        scores : Tensor, shape (n_draws, n_classes)
            Scores of all classes.
        top : Tensor of int64, shape (n_draws,)
            The class with the largest output in each draw.
        """

    def take(self, slot: int) -> Tensor:
        """Return the counts of an input whose last draw was counted, and discard them."""


def as_budgeted(job: Job) -> BudgetedJob | None:
    """Return the job, if it is budgeted."""
    return cast(BudgetedJob, job) if hasattr(job, "take_budget") else None


def as_open_ended(job: Job) -> OpenEndedJob | None:
    """Return the job, if it is open-ended."""
    return cast(OpenEndedJob, job) if hasattr(job, "begin") else None


class FixedJob:
    """Requests n draws, whatever the scores.

    Examples
    --------
    >>> job = FixedJob(1000)
    >>> job.update(np.ones(400, np.float32))
    >>> job.remaining
    600
    """

    def __init__(self, n: int) -> None:
        self._remaining = checks.count("n", n)

    @property
    def remaining(self) -> int:
        """Return how many of the n draws are still to be made."""
        return self._remaining

    def update(self, scores: NDArray[np.float32]) -> None:
        """Count the draws."""
        self._remaining -= len(scores)


@dataclass(frozen=True, eq=False)
class Input:
    """An input to sample.

    Parameters
    ----------
    x : ndarray or Tensor of float32 or float64
        The input, in the shape that the model takes without the batch axis.
    index : int
        Index of the input, which determines its noise, such as its position in a data set; from 0
        to 2^31 - 1.
    job : Job
        Decides how many draws are made.
    first_draw : int
        Number of the first estimation draw. Draws with smaller numbers were made earlier.
    noise : Noise, optional
        Noise of this input with a level of its own (`Noise.at`). By default that of the run.
    """

    x: NDArray[np.floating] | Tensor
    index: int
    job: Job
    first_draw: int = field(default=0, kw_only=True)
    noise: Noise | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class Draws:
    """Scores of the noisy copies of one input.

    Attributes
    ----------
    scores : ndarray of float32, shape (n,)
        The measure of the selected class in each of the n estimation draws, in order. Selection
        draws are not included.
    selected : int
        The class that the selection draws chose; -1 if the job requested no draws.
    top_count : int
        Number of estimation draws in which the selected class had the largest output.
    n0 : int
        Number of selection draws that were made.
    displacement : float
        Upper bound on the distance between the input and the lattice point around which the draws
        were made. A certificate for R + 2 displacement at that point holds for R at the input
        (docs/noise.md).
    first_draw : int
        Number of the first of the scores among the estimation draws of its input and seed.
    seed, index : int or None
        Seed of the noise and index of the input; None if they are not known.
    sigma, measure, noise : float or None, str or None, str or None
        Noise level in the units of the input, name of the confidence measure, and kind of the
        noise; None if they are not known.

    class_counts : ndarray of int64, shape (n_classes, n_cells + 1), or None
        Counts and votes of all classes in these draws, if a `Counter` made them.

    Examples
    --------
    >>> one = Draws(np.ones(3, np.float32), 0, 3, 10, seed=0, index=7)
    >>> more = Draws(np.zeros(2, np.float32), 0, 0, 10, first_draw=one.next_draw, seed=0, index=7)
    >>> (one + more).scores.tolist()
    [1.0, 1.0, 1.0, 0.0, 0.0]
    """

    scores: NDArray[np.float32]
    selected: int
    top_count: int
    n0: int
    displacement: float = 0.0
    first_draw: int = 0
    seed: int | None = None
    index: int | None = None
    sigma: float | None = None
    measure: str | None = None
    noise: Kind | None = None
    class_counts: NDArray[np.int64] | None = None

    example = formerly("example", "index")
    predicted = formerly("predicted", "selected")

    @property
    def next_draw(self) -> int:
        """Number of the draw that follows these."""
        return self.first_draw + len(self.scores)

    def __add__(self, other: Draws) -> Draws:
        """Join these draws and the next ones.

        Raises
        ------
        ValueError
            If the other draws do not begin where these end, because draws would be counted twice or
            left out, or if they belong to another input, seed, class, lattice point, noise or
            measure.
        """
        if not isinstance(other, Draws):
            return NotImplemented
        for name in _SHARED:
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs:
                raise ValueError(
                    f"draws to be joined must have the same {name}, got {mine} and {theirs}"
                )
        if other.first_draw != self.next_draw:
            raise ValueError(
                f"draws to be joined must begin with number {self.next_draw}, where these end, got "
                f"{other.first_draw}: draw with first_draw={self.next_draw}"
            )
        mine, theirs = self.class_counts, other.class_counts
        return replace(
            self,
            scores=np.concatenate([self.scores, other.scores]),
            top_count=self.top_count + other.top_count,
            class_counts=None if mine is None or theirs is None else mine + theirs,
        )

    @property
    def mean(self) -> float:
        """Mean of the scores; NaN if there are none."""
        return float(self.scores.mean(dtype=np.float64)) if len(self.scores) else np.nan


@dataclass(frozen=True)
class Failure:
    """The reason why an input could not be sampled.

    Attributes
    ----------
    kind : str
        Name of the cause. Failures with the same cause have the same kind.
    reason : str
        A description of the cause with the numbers of this input.
    error : BaseException or None
        The exception of the model or the measure, if there was one.
    """

    kind: str
    reason: str
    error: BaseException | None = None

    def __str__(self) -> str:
        """Return the reason as results state it."""
        return f"failed: {self.reason}"
