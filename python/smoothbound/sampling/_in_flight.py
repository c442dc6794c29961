"""One input between its admission and its end: the draws that select its class, and the others."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from smoothbound.sampling._jobs import Draws, Job, OpenEndedJob, as_open_ended

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["CLEAR_LEAD", "Estimation", "InFlight", "Selection"]

Item = TypeVar("Item")

CLEAR_LEAD = 10
"""Draws by which a class has to lead every other one for its selection to be clear."""


class Selection:
    """Selection draws of one input: n0 of them, or as many as make the class clear.

    A selection that may end early ends when the selected class has been on top in `CLEAR_LEAD`
    draws more than any other class, or after n0 draws. If one of two classes is on top with
    probability p > 1/2, the lead is a random walk, and the other class reaches `CLEAR_LEAD` first
    with probability at most ((1 - p) / p)^10: 1e-6 for p = 0.8, 2e-4 for p = 0.7. Where p is nearer
    to 1/2, n0 = 100 draws themselves select the other class more often than that, and there the
    walk mostly ends after n0 draws. The end depends on these draws alone. It is looked for whenever
    it is possible: draws are asked for until the class could be clear, and then the missing lead.

    Parameters
    ----------
    n0 : int
        Most draws.
    early : bool
        Whether it may end early.

    Attributes
    ----------
    n_wanted, n_handed_out, n_back : int
        Draws asked for, handed out, and come back, so far.
    selected : int
        The class that the draws so far select; -1 before the first.
    outputs : list of Tensor
        The outputs of these draws, where they are kept.

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
        """Whether all draws that were wanted are back, and no more are."""
        return self.n_back == self.n_wanted

    def update(self, top: NDArray[np.int64], selected: int) -> None:
        """Take the class on top in each of the next draws, and the class that all so far select."""
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
    """Estimation draws of one input: those that its job asks for, and those made ahead of it.

    Attributes
    ----------
    n_wanted, n_handed_out : int
        Draws asked for, and handed out, so far; the second can be larger, because draws are made
        ahead of a job in rows that would be empty otherwise.
    n_taken : int
        Draws that the job took. Those that are back but were never asked for do not count.
    """

    def __init__(self, job: Job, open_ended: OpenEndedJob | None) -> None:
        self.n_wanted = self.n_handed_out = self.n_taken = 0
        self._job, self._open_ended = job, open_ended
        self._draws_ahead = True
        self._taken: list[NDArray[np.float32]] = []  # each with a row of scores and one of hits
        self._spare = np.empty((2, 0), np.float32)

    @property
    def n_ahead(self) -> int:
        """How many draws can be handed out that the job has not asked for yet."""
        if self._open_ended is None or not self._draws_ahead:
            return 0
        return self.n_taken + self._open_ended.most_remaining - self.n_handed_out

    def ask(self) -> int:
        """Let the job ask for more; return how many draws it still wants."""
        remaining = self._job.remaining
        self.n_wanted = self.n_taken + remaining
        return remaining

    def update(self, scores: NDArray[np.float32], hits: NDArray[np.bool_]) -> None:
        """Give the job what it wants of the draws that are back; keep the others for later.

        Parameters
        ----------
        scores : ndarray of float32, shape (k,)
            Of the next draws; copied.
        hits : ndarray of bool, shape (k,)
            Whether the selected class has the largest output.
        """
        new = np.array([scores, hits], np.float32)
        self._spare = np.concatenate([self._spare, new], axis=1) if self._spare.size else new
        while self._spare.size and (remaining := self._job.remaining):
            if self._open_ended is not None and self._spare.shape[1] < remaining:
                break
            taken, self._spare = self._spare[:, :remaining], self._spare[:, remaining:]
            self._taken.append(taken)
            self.n_taken += taken.shape[1]
            self._job.update(taken[0])

    def give_back(self, first: int) -> None:
        """Forget the draws handed out from number `first` on, and make no more of them ahead."""
        self._draws_ahead = False
        self.n_handed_out = min(self.n_handed_out, first)

    def draws(self, selection: Selection) -> Draws:
        """Return the draws that the job took."""
        scores, hits = np.concatenate([np.empty((2, 0), np.float32), *self._taken], axis=1)
        top_count = int(np.count_nonzero(hits))
        return Draws(scores.copy(), selection.selected, top_count, selection.n_back)


@dataclass(eq=False)
class InFlight(Generic[Item]):
    """One input between its admission and its end.

    Attributes
    ----------
    item : object
        The object that came with the job.
    slot : int
        Row of the tables that hold its point and its votes; no other input has it until this one
        ends.
    n_queued : int
        For the schedule: its draws to hand out that are counted there.
    guided : OpenEndedJob or None
        The job, if it wants the scores of the selection draws.
    """

    item: Item
    job: Job
    slot: int
    selection: Selection
    estimation: Estimation = field(init=False)
    guided: OpenEndedJob | None = field(init=False)
    n_queued: int = 0
    open: bool = True

    def __post_init__(self) -> None:
        self.guided = as_open_ended(self.job)
        self.estimation = Estimation(self.job, self.guided)

    @property
    def ready(self) -> int:
        """How many draws can be handed out now."""
        if not self.open:
            return 0
        selecting = self.selection.n_wanted - self.selection.n_handed_out
        return selecting + max(0, self.estimation.n_wanted - self.estimation.n_handed_out)

    @property
    def n_ahead(self) -> int:
        """How many draws can be handed out that its job has not asked for yet."""
        return self.estimation.n_ahead if self.open and self.selection.done else 0
