"""Counts of scores on their torch device, copied to the host when they are needed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from smoothbound._utils.devices import sent
from smoothbound.sketch._content import n_cells
from smoothbound.sketch._draws import repeats
from smoothbound.sketch._draws.draw_numbers import Draws

__all__ = ["CellFinder", "DeviceCounts", "PendingCounts"]

_NONE = 2**63 - 1


class CellFinder:
    """Finds the cells of scores on their torch device.

    Parameters
    ----------
    device : torch.device
    edges : ndarray of float64, shape (n_edges,)
        Strictly ascending.
    """

    def __init__(self, device: torch.device, edges: NDArray[np.float64]) -> None:
        self.device, self._edges = device, edges
        self._of_type: dict[torch.dtype, tuple[Tensor, Tensor]] = {}

    def find(self, scores: Tensor) -> tuple[Tensor, Tensor]:
        """Return the cell of each score, and whether the score is a number within the edges.

        Scores that are not within the edges have the cell after the last.
        """
        least, on_edge = self._thresholds(scores.dtype)
        # The number of edges <= the score. NaN counts for all edges, and fails the test below.
        reached = torch.bucketize(scores, least, right=True)
        last = (reached - 1).clamp_(0, least.numel() - 1)
        tied = (scores == least[last]) & on_edge[last]
        valid = (scores >= least[0]) & ((reached < least.numel()) | tied)
        return torch.where(valid, 2 * last + 1 - tied.long(), n_cells(least.numel())), valid

    def _thresholds(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Return the smallest number of a type that is >= each edge, and whether both are equal.

        A score of that type is >= the edge if and only if it is >= this number.
        """
        if dtype not in self._of_type:
            near = self._edges.astype(str(dtype).removeprefix("torch."))
            above = np.nextafter(near, near.dtype.type(np.inf))
            least = np.where(near.astype(np.float64) < self._edges, above, near)
            on_edge = least.astype(np.float64) == self._edges
            self._of_type[dtype] = (
                sent(torch.from_numpy(least), self.device),
                sent(torch.from_numpy(on_edge), self.device),
            )
        return self._of_type[dtype]


class DeviceCounts:
    """Counts of the cells of fixed edges, for many inputs, on a torch device.

    `add` queues work, and `take` waits for the device.

    Parameters
    ----------
    device : torch.device
    edges : ndarray of float64, shape (n_edges,)
        Strictly ascending.
    n_inputs : int
    """

    def __init__(self, device: torch.device, edges: NDArray[np.float64], n_inputs: int) -> None:
        self._device = device
        self._cells = CellFinder(device, edges)
        self._n_cells = n_cells(edges.size)
        # One more cell, for scores that are NaN or out of range.
        self._counts = torch.zeros(n_inputs * (self._n_cells + 1), dtype=torch.int64, device=device)
        self._first_bad = torch.full((), _NONE, dtype=torch.int64, device=device)
        self._added = 0  # scores so far

    def add(self, scores: Tensor, rows: Tensor | None = None) -> int:
        """Count scores.

        Parameters
        ----------
        scores : Tensor of floats, shape (n_rows, n_draws)
            On the device of these counts.
        rows : Tensor of int64, shape (n_rows,), optional
            The inputs of the rows; by default all.

        Returns
        -------
        int
            Position of the first of these scores among all that were added; see `take`.
        """
        wide = scores.detach() if scores.dtype == torch.float64 else scores.detach().float()
        cell, valid = self._cells.find(wide.contiguous())
        if rows is None:
            rows = torch.arange(len(scores), device=self._device)
        flat = (cell + rows[:, None] * (self._n_cells + 1)).view(-1)
        self._counts.scatter_add_(0, flat, torch.ones_like(flat))
        start = self._added
        self._added += flat.numel()
        if flat.numel():
            place = torch.arange(start, self._added, device=self._device)
            bad = torch.where(valid.view(-1), _NONE, place).amin()
            self._first_bad = torch.minimum(self._first_bad, bad)
        return start

    def take(self) -> tuple[NDArray[np.uint32], int]:
        """Wait for the device; return the counts and the position of the first bad score.

        Returns
        -------
        counts : ndarray of uint32, shape (n_inputs, n_cells)
        first_bad : int
            Position of the first score that is NaN or out of range, among all that were added; -1
            if there is none.
        """
        counts = self._counts.view(-1, self._n_cells + 1)[:, :-1].cpu().numpy()
        first_bad = int(self._first_bad)
        return counts.astype(np.uint32), -1 if first_bad == _NONE else first_bad


class QueuedScores(NamedTuple):
    """Scores whose counts are still on their device.

    Attributes
    ----------
    device : torch.device
    start : int
        Position of the first of the scores among all on this device.
    draws : ndarray of int64, shape (n_rows, 3)
        The interval of draws of each row.
    numbered : bool
        Whether the caller numbered the draws. If so, they are not refused as a repetition.
    some : ndarray of int64
        Ids of some of the inputs.
    beginning : Tensor, shape (some.size, n)
        The first scores of these rows.
    """

    device: torch.device
    start: int
    draws: Draws
    numbered: bool
    some: NDArray[np.int64]
    beginning: Tensor


class PendingCounts:
    """Counts of a sketch that are still on other devices.

    Parameters
    ----------
    edges : ndarray of float64, shape (n_edges,)
    n_inputs : int
    """

    def __init__(self, edges: NDArray[np.float64], n_inputs: int) -> None:
        self._edges = edges
        self._n_inputs = n_inputs
        self._counts: dict[torch.device, DeviceCounts] = {}
        self._queued: list[QueuedScores] = []

    def add(self, scores: Tensor, rows: NDArray[np.int64], draws: Draws, numbered: bool) -> None:
        """Queue the counting of scores on their device, without waiting for it.

        Parameters
        ----------
        scores : Tensor, shape (n_rows, n_draws)
        rows : ndarray of int64, shape (n_rows,)
            The input that each row belongs to.
        draws, numbered
            As in `QueuedScores`.
        """
        device = scores.device
        if device not in self._counts:
            self._counts[device] = DeviceCounts(device, self._edges, self._n_inputs)
        every = np.array_equal(rows, np.arange(self._n_inputs))
        start = self._counts[device].add(
            scores, None if every else sent(torch.from_numpy(rows), device)
        )
        some, beginning = repeats.begin(scores.detach())
        wide = torch.stack(beginning).to(torch.promote_types(scores.dtype, torch.float32))
        self._queued.append(QueuedScores(device, start, draws, numbered, draws[some, 0], wide))

    def take(self, seen: repeats.Seen) -> list[NDArray[np.uint32]]:
        """Wait for the devices and return the counts of each.

        Parameters
        ----------
        seen : Seen
            Recognises scores that were counted before. These scores are added to it.

        Raises
        ------
        ValueError
            If a score is NaN or out of range, or scores were counted before.
        """
        taken = {device: counts.take() for device, counts in self._counts.items()}
        for device, (_, first_bad) in taken.items():
            if first_bad >= 0:
                raise ValueError(self._bad_score(device, first_bad))
        for queued in self._queued:
            marks = repeats.Marks(repeats.mark(queued.some, queued.beginning.cpu().numpy()))
            if not queued.numbered and seen.has(marks):
                raise ValueError(
                    "scores must be of other draws than those counted before: scores of draws "
                    f"{queued.draws[0, 1]} to {queued.draws[0, 2] - 1}, counted on "
                    f"{queued.device}, begin with the same ones; begin a new sketch"
                )
            seen.add(marks)
        return [counts for counts, _ in taken.values()]

    def _bad_score(self, device: torch.device, first_bad: int) -> str:
        queued = next(
            q for q in reversed(self._queued) if q.device == device and q.start <= first_bad
        )
        draws = queued.draws
        row, j = divmod(first_bad - queued.start, int(draws[0, 2] - draws[0, 1]))
        return (
            f"scores must be finite and within score_range [{self._edges[0]}, {self._edges[-1]}]: "
            f"draw {draws[row, 1] + j} of input {draws[row, 0]}, counted on {device}, is not; "
            "begin a new sketch"
        )
