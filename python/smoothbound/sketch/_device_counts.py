"""Counts of scores that stay on the torch device where the scores are, until they are asked for."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["DeviceCounts"]

_NONE = 2**63 - 1


class DeviceCounts:
    """Counts of the cells that fixed edges make, for many inputs, on a torch device.

    Nothing waits for the device before `take`: `add` only queues work.

    Parameters
    ----------
    device : torch.device
    edges : ndarray of float64, shape (n_edges,)
        Strictly ascending.
    n_inputs : int
    """

    def __init__(self, device: torch.device, edges: NDArray[np.float64], n_inputs: int) -> None:
        self._device = device
        self._edges = edges
        self._n_cells = 2 * edges.size - 1
        # One cell more, for scores that are NaN or out of range.
        self._counts = torch.zeros(n_inputs * (self._n_cells + 1), dtype=torch.int64, device=device)
        self._first_bad = torch.full((), _NONE, dtype=torch.int64, device=device)
        self._added = 0  # scores so far
        self._of_type: dict[torch.dtype, tuple[Tensor, Tensor]] = {}

    def _thresholds(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Return the least numbers of a type that reach each edge, and whether they are the edge.

        A score of that type is >= the edge exactly if it is >= this number.
        """
        if dtype not in self._of_type:
            near = self._edges.astype(str(dtype).removeprefix("torch."))
            above = np.nextafter(near, near.dtype.type(np.inf))
            least = np.where(near.astype(np.float64) < self._edges, above, near)
            on_edge = least.astype(np.float64) == self._edges
            self._of_type[dtype] = (
                torch.from_numpy(least).to(self._device),
                torch.from_numpy(on_edge).to(self._device),
            )
        return self._of_type[dtype]

    def add(self, scores: Tensor, rows: Tensor | None = None) -> int:
        """Count scores, shape (n_rows, n_draws), floats of any type; return where they begin.

        Parameters
        ----------
        scores : Tensor
            On the device of these counts.
        rows : Tensor of int64, shape (n_rows,), optional
            The inputs that the rows belong to; by default all.

        Returns
        -------
        int
            How many scores were counted before; `take` counts bad scores from there.
        """
        wide = scores.detach() if scores.dtype == torch.float64 else scores.detach().float()
        wide = wide.contiguous()
        least, on_edge = self._thresholds(wide.dtype)
        # The number of edges that a score reaches; NaN reaches all, and fails the test below.
        reached = torch.bucketize(wide, least, right=True)
        last = (reached - 1).clamp_(0, least.numel() - 1)
        tied = (wide == least[last]) & on_edge[last]
        valid = (wide >= least[0]) & ((reached < least.numel()) | tied)
        cell = torch.where(valid, 2 * last + 1 - tied.long(), self._n_cells)
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
        """Wait for the device and return the counts, and the place of the first bad score.

        Returns
        -------
        counts : ndarray of uint32, shape (n_inputs, n_cells)
        first_bad : int
            How many scores came before it; -1 if all are numbers within the edges.
        """
        counts = self._counts.view(-1, self._n_cells + 1)[:, :-1].cpu().numpy()
        first_bad = int(self._first_bad)
        return counts.astype(np.uint32), -1 if first_bad == _NONE else first_bad
