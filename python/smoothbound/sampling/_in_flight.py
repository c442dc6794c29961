"""One input in flight: its selection draws and its estimation draws."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from smoothbound.sampling._jobs import Draws, Job, OpenEndedJob, as_budgeted, as_open_ended

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["CLEAR_LEAD", "Estimation", "InFlight", "Selection"]

Item = TypeVar("Item")

CLEAR_LEAD = 10
"""The lead in draws over every other class at which a class is clear."""


class Selection:
    """The selection draws of one input: n0 draws, or as many as make the class clear.

    A selection that may end early ends when the selected class has had the largest output in
    `CLEAR_LEAD` draws more than any other class, and at the latest after n0 draws. The end depends
    only on these draws.

    The lead of the first of two classes is a random walk. If this class has the largest output with
    probability p > 1/2, the other one leads by 10 first with probability at most ((1 - p) / p)^10,
    which is 1e-6 for p = 0.8 and 2e-4 for p = 0.7. For p near 1/2 the walk usually continues to the
    end of n0 draws. docs/anytime.md has exact numbers.

    Draws are requested until the class could be clear, and then as many as the lead lacks.

    Parameters
    ----------
    n0 : int
        Most draws.
    early : bool
        Whether the selection may end early.

    Attributes
    ----------
    n_wanted, n_handed_out, n_back : int
        Numbers of draws so far: requested, handed out, and with results.
    selected : int
        The class that the draws so far select; -1 before the first draw.
    outputs : list of Tensor
        Outputs of these draws, if the job needs their scores.

    Examples
    --------
    >>> selection = Selection(100, early=True)
    >>> selection.update(np.array([3] * 9 + [5]), 3)  # a lead of 8
    >>> selection.n_wanted, selection.done
    (12, False)
    >>> selection.update(np.array([3, 3]), 3)
    >>> selection.n_back, selection.done
    (12, True)
    """

    def __init__(self, n0: int, early: bool) -> None:
        self.n_wanted = min(n0, CLEAR_LEAD) if early else n0
        self.n_handed_out = self.n_back = 0
        self.selected = -1
        self.outputs: list[Tensor] = []
        self._n0 = n0
        self._votes: Counter[int] = Counter()

    @property
    def done(self) -> bool:
        """Whether the class is selected, because all requested draws have results."""
        return self.n_back == self.n_wanted

    def update(self, top: NDArray[np.int64], selected: int) -> None:
        """Add the results of the next draws.

        Parameters
        ----------
        top : ndarray of int, shape (k,)
            The class with the largest output in each draw.
        selected : int
            The class that all draws so far select.
        """
        self.n_back += len(top)
        self.selected = selected
        if self.n_wanted == self._n0:
            return
        self._votes.update(top.tolist())
        if self.n_back == self.n_wanted:
            self.n_wanted = min(self._n0, self.n_back + max(0, CLEAR_LEAD - self._lead()))

    def _lead(self) -> int:
        others = (count for label, count in self._votes.items() if label != self.selected)
        return self._votes[self.selected] - max(others, default=0)


class Estimation:
    """The estimation draws of one input: those that its job requests, and those made ahead of it.

    Attributes
    ----------
    n_wanted, n_handed_out, n_taken : int
        Numbers of draws so far: requested and granted, handed out, and taken by the job. More may
        be handed out than requested, because draws are made ahead of an open-ended job.
    class_counts : ndarray of int64 or None
        Counts of all classes after the last draw, if they are counted.
    """

    def __init__(self, job: Job, open_ended: OpenEndedJob | None) -> None:
        self.n_wanted = self.n_handed_out = self.n_taken = 0
        self._job, self._open_ended, self._budgeted = job, open_ended, as_budgeted(job)
        self._draws_ahead = True
        self._taken: list[NDArray[np.float32]] = []  # each with a row of scores and one of hits
        self._spare = np.empty((2, 0), np.float32)
        self.class_counts: NDArray[np.int64] | None = None

    @property
    def n_ahead(self) -> int:
        """Number of draws that can be handed out before the job asks for them."""
        if self._open_ended is None or not self._draws_ahead:
            return 0
        return self.n_taken + self._open_ended.most_remaining - self.n_handed_out

    @property
    def ungranted(self) -> int:
        """Number of draws that the job requests and the budget has not granted yet."""
        return 0 if self._budgeted is None else self._budgeted.ungranted

    @property
    def expected(self) -> float:
        """Estimated number of further draws of a job with a budget."""
        return math.inf if self._budgeted is None else self._budgeted.expected

    @property
    def _due(self) -> int:
        """Number of draws that the job asks for."""
        return self._job.remaining if self._budgeted is None else self._budgeted.due

    def ask(self) -> int:
        """Let the job request draws; return how many it still needs, granted or not."""
        due = self._due
        self.n_wanted = self.n_taken + due - self.ungranted
        return due

    def take_budget(self, most: int) -> None:
        """Let the budget grant at most `most` draws, and give the job the available ones."""
        assert self._budgeted is not None
        self._budgeted.take_budget(most)
        self._give()

    def update(self, scores: NDArray[np.float32], hits: NDArray[np.bool_]) -> None:
        """Give the job the draws that it requests, and keep the others for later.

        Parameters
        ----------
        scores : ndarray of float32, shape (k,)
            Scores of the next draws. They are copied.
        hits : ndarray of bool, shape (k,)
            Whether the selected class has the largest output in each draw.
        """
        new = np.empty((2, len(scores)), np.float32)
        new[0], new[1] = scores, hits
        self._spare = np.concatenate([self._spare, new], axis=1) if self._spare.size else new
        self._give()

    def _give(self) -> None:
        """Give the job the draws that it requests, as far as they are available and granted."""
        while self._spare.size and (due := self._due) and not self.ungranted:
            if self._open_ended is not None and self._spare.shape[1] < due:
                break
            taken, self._spare = self._spare[:, :due], self._spare[:, due:]
            self._taken.append(taken)
            self.n_taken += taken.shape[1]
            self._job.update(taken[0])

    def give_back(self, first: int) -> None:
        """Discard the draws handed out from number `first` on, and make no more of them ahead."""
        self._draws_ahead = False
        self.n_handed_out = min(self.n_handed_out, first)

    def draws(self, selection: Selection) -> Draws:
        """Return the draws that the job took."""
        scores, hits = np.concatenate([np.empty((2, 0), np.float32), *self._taken], axis=1)
        top_count = int(np.count_nonzero(hits))
        return Draws(
            scores.copy(),
            selection.selected,
            top_count,
            selection.n_back,
            class_counts=self.class_counts,
        )


@dataclass(eq=False)
class InFlight(Generic[Item]):
    """One input in flight, between its admission and its end.

    Attributes
    ----------
    item : object
        The object that came with the job.
    job : Job
        Decides how many draws are made.
    slot : int
        Row of this input in the tables of points and votes until it ends.
    selection : Selection
    estimation : Estimation
    open_ended : OpenEndedJob or None
        The job, if it is open-ended.
    n_queued : int
        Number of its draws to hand out in the count of the schedule.
    waits_for_budget : bool
        Whether it waits for draws from the budget.
    open : bool
        Whether the input has not ended yet.
    """

    item: Item
    job: Job
    slot: int
    selection: Selection
    estimation: Estimation = field(init=False)
    open_ended: OpenEndedJob | None = field(init=False)
    n_queued: int = 0
    waits_for_budget: bool = False
    open: bool = True

    def __post_init__(self) -> None:
        self.open_ended = as_open_ended(self.job)
        self.estimation = Estimation(self.job, self.open_ended)

    @property
    def ready(self) -> int:
        """Number of draws that can be handed out now."""
        if not self.open:
            return 0
        selecting = self.selection.n_wanted - self.selection.n_handed_out
        return selecting + max(0, self.estimation.n_wanted - self.estimation.n_handed_out)

    @property
    def n_ahead(self) -> int:
        """Number of draws that can be handed out before the job asks for them."""
        return self.estimation.n_ahead if self.open and self.selection.done else 0
