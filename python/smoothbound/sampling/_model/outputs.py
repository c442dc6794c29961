"""Scores from the outputs of a batch: softmax, selection of the class, measure and checks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from smoothbound._display.rounding import ceil_significant, exact
from smoothbound._utils import checks
from smoothbound.adapters._names import SELECTS, Outputs, Select
from smoothbound.errors import said
from smoothbound.measures import MARGIN, SCORE, TOP_CLASS, VOTE, Measure
from smoothbound.sampling._jobs import Failure

__all__ = ["BatchError", "OutputSummary", "Scorer", "select_for"]


_UNITS = 2.0**32  # units in 1, for the sums of scores that select a class
_MIN_COMPARED = 1e-5  # smaller probabilities are treated as this in comparisons
_HALF = (torch.float16, torch.bfloat16)


class BatchError(Exception):
    """A batch could not be scored."""

    def __init__(self, kind: str, reason: str, error: BaseException | None = None) -> None:
        super().__init__(reason)
        self.failure = Failure(kind, reason, error)


@dataclass(frozen=True)
class OutputSummary:
    """Summary of the outputs of one batch of noisy copies.

    Attributes
    ----------
    classes : int
        Number of columns.
    low, high : float
        Smallest and largest output.
    normalised : bool
        Whether every row lies in [0, 1] and sums to 1, like probabilities.
    outputs : {"logits", "probabilities", "raw"}
        Kind of outputs as which they are treated.
    """

    classes: int
    low: float
    high: float
    normalised: bool
    outputs: Outputs

    @classmethod
    def from_batch(cls, values: Tensor, outputs: Outputs) -> OutputSummary:
        """Summarise outputs of shape (batch, classes)."""
        values = values.double()
        low, high = float(values.min()), float(values.max())
        drift = (values.sum(dim=1) - 1.0).abs().max()
        normalised = low >= 0.0 and high <= 1.0 and float(drift) <= checks.SUM_TOLERANCE
        return cls(values.shape[1], low, high, normalised, outputs)

    def __str__(self) -> str:
        """Return the summary in one line."""
        sums = " with rows that sum to 1" if self.normalised else ""
        return (
            f"{self.classes} outputs in [{self.low:.3g}, {self.high:.3g}]{sums}, taken as "
            f"{self.outputs}"
        )


def select_for(select: Select | None, measure: Measure, outputs: Outputs) -> Select:
    """Return how to select the class; the default depends on the measure."""
    if select is None:
        return "score" if measure in (SCORE, MARGIN) and outputs != "raw" else "votes"
    checks.choice("select", select, SELECTS)
    if select == "score" and outputs == "raw":
        raise ValueError("select must be 'votes' for outputs='raw', which are not scores")
    return select


class Scorer:
    """Scores the outputs of batches, and selects the class of each input in flight.

    Parameters
    ----------
    outputs : {"logits", "probabilities", "raw"}
        Kind of outputs that the model returns.
    measure : Measure
        Scores the selected class in each row.
    select : {"score", "votes"}
        Whether mean scores or votes select the class.
    n_slots : int
        Largest number of inputs in flight.
    """

    def __init__(self, outputs: Outputs, measure: Measure, select: Select, n_slots: int) -> None:
        self.outputs, self.measure, self.select = outputs, measure, select
        self._n_slots = n_slots
        self._votes: Tensor | None = None  # shape (n_slots, classes); units of scores or votes
        self._selected: Tensor | None = None  # shape (n_slots,)

    def reset(self, slot: int) -> None:
        """Delete the votes of the last input of a slot."""
        if self._votes is not None:
            self._votes[slot] = 0

    def check(self, outputs: object, rows: int, device: torch.device) -> Tensor:
        """Return outputs after checks of their shape, type and device."""
        wanted = f"a floating-point tensor of shape ({rows}, classes) on {device}"
        if not isinstance(outputs, Tensor):
            raise BatchError(
                "no tensor",
                f"the model returned {type(outputs).__name__}; it must return {wanted} (a function "
                "over NumPy or JAX arrays: see smoothbound.adapters)",
            )
        shape = tuple(outputs.shape)
        if not outputs.is_floating_point() or outputs.device != device:
            raise BatchError(
                "type",
                f"the model returned {outputs.dtype} on {outputs.device}; it must return {wanted}",
            )
        fewest = 1 if self.outputs == "raw" else 2
        if outputs.ndim != 2 or shape[0] != rows or shape[1] < fewest:
            raise BatchError(
                "shape",
                f"the model returned shape {shape} for a batch of {rows}; it must return {wanted}"
                f", with at least {fewest} of them",
            )
        if self._votes is not None and shape[1] != self._votes.shape[1]:
            raise BatchError(
                "classes",
                f"the model returned {self._votes.shape[1]} classes for one batch and {shape[1]} "
                "for another; it must return the same number for every batch",
            )
        return outputs.detach()

    def record(self, outputs: Tensor, slot: Tensor, vote: Tensor | None) -> tuple[Tensor, Tensor]:
        """Score a batch after counting the votes of its selection draws.

        Parameters
        ----------
        outputs : Tensor, shape (batch, classes)
            As the model returned them.
        slot : Tensor of int64, shape (batch,)
            Slot of the input of each row.
        vote : Tensor of int64, shape (batch,), or None
            1 for selection draws and 0 for others; None if there are no selection draws.

        Returns
        -------
        record : Tensor, shape (columns, batch)
            For each row, the score, the class with the largest output, the class selected so far
            and the largest output. For probabilities and raw outputs, also the smallest output and
            the sum; logits may be -inf. `failure` and the host read the record.
        outputs : Tensor, shape (batch, classes)
            The outputs that the measure received. The model may own them.
        """
        if self.outputs == "logits" or outputs.dtype in _HALF:
            outputs = outputs.float()
        high, top = outputs.max(dim=1)  # NaN shows in these and in the minimum
        if self.outputs == "logits":  # a softmax six times as fast as torch's for ten classes
            outputs = (outputs - high.unsqueeze(1)).exp_()
            outputs /= outputs.sum(dim=1, keepdim=True)
        rest = []
        if self.outputs != "logits":
            rest = [outputs.amin(dim=1), outputs.sum(dim=1)]
        votes, selected = self._votes, self._selected
        if votes is None:
            shape = (self._n_slots, outputs.shape[1])
            votes = torch.zeros(shape, dtype=torch.int64, device=top.device)
        if vote is not None:
            votes = self._voted(votes, outputs, top, slot, vote)
            selected = votes.argmax(dim=1)
        assert selected is not None  # selection comes first
        scores = self._scores(outputs, selected[slot])
        self._votes, self._selected = votes, selected
        columns = (scores, top, selected[slot], high, *rest)
        return torch.stack([column.to(outputs.dtype) for column in columns]), outputs

    def selection_scores(self, outputs: Tensor, selected: int) -> NDArray[np.float32] | Failure:
        """Measure the selected class in the selection draws of one input, given their outputs."""
        classes = torch.full((len(outputs),), selected, device=outputs.device)
        try:
            scores = self._scores(outputs, classes).float().cpu().numpy()
        except BatchError as error:
            return error.failure
        return self._outside(scores, 0, "selection draw") or scores

    def failure(self, record: NDArray[np.floating], first: int | None = None) -> Failure | None:
        """Return the failure of draws from their rows of the record; None if there is none.

        Parameters
        ----------
        record : ndarray, shape (columns, k)
        first : int, optional
            Number of the first draw, for estimation draws of one input. The scores of selection
            draws are not checked here, because they are not used: another class may be selected in
            the end.
        """
        scores, _, _, high, *rest = record
        low = rest[0] if rest else high
        if not (low.min() > -np.inf and high.max() < np.inf):  # both False with a NaN
            return Failure(
                "not finite",
                "the model returned NaN or infinity (-inf is allowed for a logit if another class "
                "is finite): it must return finite numbers for the noisy copies of every input",
            )
        if self.outputs == "probabilities":
            drift = float(np.abs(rest[1] - 1.0).max())
            if low.min() < 0.0 or high.max() > 1.0 or drift > checks.SUM_TOLERANCE:
                return Failure(
                    "no probabilities",
                    "the model was stated to return probabilities, in [0, 1] with rows that sum to "
                    f"1; they lie in [{exact(float(low.min()))}, {exact(float(high.max()))}] and "
                    f"the sum of a row is off by {ceil_significant(drift, 3)}, of at most "
                    f"{checks.SUM_TOLERANCE}. State outputs='logits' if they are logits, or "
                    "outputs='raw' for a custom measure",
                )
        return None if first is None else self._outside(scores, first, "draw")

    def _outside(self, scores: NDArray[np.floating], first: int, draw: str) -> Failure | None:
        """Return the failure of scores that are outside the range; None if they are inside."""
        a, b = self.measure.score_range
        if float(scores.min()) >= a and float(scores.max()) <= b:  # both False with a NaN
            return None
        outside = ~((scores >= a) & (scores <= b))
        worst = int(np.argmax(outside))
        return Failure(
            "outside the range",
            f"measure {self.measure.name!r} has the range [{a}, {b}], and {int(outside.sum())} of "
            f"{scores.size} values are outside it, the first {scores[worst]} at {draw} "
            f"{first + worst}: state a range that holds every value",
        )

    def comparable(self, outputs: Tensor, slot: Tensor) -> Tensor:
        """Return columns for comparing rows of one input, on scales that rounding changes little.

        They are the probabilities, their logarithms, and the score as a share of its range. A
        change therefore shows even if a logit of -inf or -1e4 excludes a class, or if a constant is
        added to all logits. Raw outputs are compared relative to their size.
        """
        if self.outputs == "logits" or outputs.dtype in _HALF:
            outputs = outputs.float()
        if self.outputs == "logits":
            outputs = outputs.softmax(dim=1)
        assert self._selected is not None
        scores = self._scores(outputs, self._selected[slot].expand(len(outputs)))
        if self.measure in (VOTE, TOP_CLASS):  # rounding can change the vote of any draw
            scores = torch.zeros_like(scores)
        outputs = outputs.double()
        if self.outputs == "raw":
            columns = [outputs.sign() * outputs.abs().log1p()]
        else:
            columns = [outputs, outputs.clamp(min=_MIN_COMPARED).log() / -math.log(_MIN_COMPARED)]
        a, b = self.measure.score_range
        return torch.cat([*columns, scores.double().unsqueeze(1) / (b - a)], dim=1)

    def _voted(
        self, votes: Tensor, outputs: Tensor, top: Tensor, slot: Tensor, vote: Tensor
    ) -> Tensor:
        """Return the votes with those of a batch added."""
        if self.select == "votes":
            places = slot * outputs.shape[1] + top
            return votes.flatten().scatter_add(0, places, vote).view_as(votes)
        # Whole units make the sum independent of its order.
        units = (outputs.double() * _UNITS).round().long()
        return votes.index_add(0, slot, torch.where(vote.unsqueeze(1) == 1, units, 0))

    def _scores(self, outputs: Tensor, classes: Tensor) -> Tensor:
        """Measure one class of each row."""
        try:
            # A copy, because the measure may change it and the model may keep its own outputs.
            scores: object = self.measure.function(outputs.clone(), classes)
        except Exception as error:
            name = type(error).__name__
            raise BatchError(
                name, f"measure {self.measure.name!r} raised {name}: {said(error)}", error
            ) from error
        rows = len(outputs)
        if isinstance(scores, Tensor) and scores.shape == (rows,) and scores.is_floating_point():
            return scores
        got = type(scores).__name__
        if isinstance(scores, Tensor):
            got = f"{scores.dtype} of shape {tuple(scores.shape)}"
        raise BatchError(
            "measure",
            f"measure {self.measure.name!r} returned {got}; it must return a floating-point tensor "
            f"of shape ({rows},), one value per row",
        )
