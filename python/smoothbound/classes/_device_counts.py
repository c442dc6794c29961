"""Counts of the scores of all classes, made on the device of the model while it draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from smoothbound._utils.devices import sent
from smoothbound.adapters._names import Outputs
from smoothbound.backends import _select as backends
from smoothbound.classes._arguments import Names, among, default_edges
from smoothbound.classes._rows import ClassRows
from smoothbound.sampling._jobs import Draws, Failure
from smoothbound.sketch._content import n_cells
from smoothbound.sketch._draws.device_counts import CellFinder

__all__ = ["ClassCounter", "counter_for"]

_AT_ONCE = 2**20  # scores at once; their cells take some 40 MB


class ClassCounter:
    """Count the scores and votes of all or some classes while inputs are sampled.

    An input has a table of counts from its first estimation draw to its last. The draws of one
    input are consecutive, so there is rarely more than one table. Counts are whole numbers, and do
    not depend on the order of the draws or on the size of the batches. A backend counts on the CPU,
    and torch on other devices; both give the same counts.

    Parameters
    ----------
    device : torch.device
    classes : "all" or tuple of int
        The classes to count. The model must have them.
    edges : ndarray of float64, shape (n_edges,)
        They ascend from 0 to 1.

    Examples
    --------
    >>> counter = ClassCounter(torch.device("cpu"), "all", np.array([0.0, 0.5, 1.0]))
    >>> scores = torch.tensor([[0.25, 0.75], [0.5, 0.5], [1.0, 0.0]])
    >>> counter.add(0, scores, scores.argmax(dim=1))
    >>> counter.take(0).tolist()
    [[0, 1, 1, 0, 1, 2], [1, 0, 1, 1, 0, 1]]
    """

    def __init__(self, device: torch.device, classes: Names, edges: NDArray[np.float64]) -> None:
        self._device, self._classes, self._edges = device, classes, edges
        self._tables: dict[int, _HostTable | _DeviceTable] = {}  # by slot
        self._counts: Any = (
            backends.load(backends.resolve(None)).ScoreCounter(edges)
            if device.type == "cpu"
            else CellFinder(device, edges)
        )
        self._wanted = np.empty(0, np.int64)
        self.n_model_classes = 0  # known from the first outputs of the model

    def reset(self, slot: int) -> None:
        """Discard the counts of the last input of a slot."""
        self._tables.pop(slot, None)

    def add(self, slot: int, scores: Tensor, top: Tensor) -> None:
        """Count draws of one input.

        Parameters
        ----------
        slot : int
            Slot of the input.
        scores : Tensor of float32, shape (n_draws, n_model_classes)
            Scores of all classes, on the device.
        top : Tensor of int64, shape (n_draws,)
            The class with the largest output in each draw.

        Raises
        ------
        ValueError
            If the model lacks one of the classes.
        """
        if not self.n_model_classes:
            self._wanted = among("classes", self._classes, scores.shape[1])
            self.n_model_classes = scores.shape[1]
        if slot not in self._tables:
            kind = _HostTable if self._device.type == "cpu" else _DeviceTable
            self._tables[slot] = kind(
                self._counts, self._wanted, self.n_model_classes, n_cells(self._edges.size)
            )
        self._tables[slot].add(scores, top)

    def take(self, slot: int) -> Tensor:
        """Return the counts of an input whose last draw was counted, and discard them.

        Returns
        -------
        Tensor of int64, shape (n_classes, n_cells + 1)
            The counts, on the device. The last column holds the votes.
        """
        return self._tables.pop(slot).all()

    def packed(self, outcome: Draws | Failure) -> bytes:
        """Return the packed counts of a sampled input for results; empty if it failed."""
        if isinstance(outcome, Failure):
            return b""
        table = outcome.class_counts
        assert table is not None  # the sampler had this counter
        return ClassRows.of_table(table, self.n_model_classes).pack()


class _HostTable:
    """The counts of one input on the CPU."""

    def __init__(
        self, counter: Any, classes: NDArray[np.int64], n_model_classes: int, cells: int
    ) -> None:
        self._counter, self._classes = counter, classes
        self._every = classes.size == n_model_classes and bool((np.diff(classes) > 0).all())
        self._counts = np.zeros((classes.size, cells), np.uint32)
        self._votes = np.zeros(n_model_classes, np.int64)

    def add(self, scores: Tensor, top: Tensor) -> None:
        of_class = scores.numpy().T if self._every else scores.numpy().T[self._classes]
        # If a score is not a number in [0, 1], none is counted, and the input fails.
        self._counter.count(of_class, self._counts, 1)
        self._votes += np.bincount(top.numpy(), minlength=self._votes.size)

    def all(self) -> Tensor:
        votes = self._votes[self._classes]
        return torch.from_numpy(np.column_stack([self._counts.astype(np.int64), votes]))


class _DeviceTable:
    """The counts of one input on another device."""

    def __init__(
        self, cells: CellFinder, classes: NDArray[np.int64], n_model_classes: int, n_cells: int
    ) -> None:
        self._cells, self._width = cells, n_cells + 1
        rank = np.full(n_model_classes, classes.size)  # other classes have the row after the last
        rank[classes] = np.arange(classes.size)
        self._classes, self._rank = (
            sent(torch.from_numpy(one), cells.device) for one in (classes, rank)
        )
        self._firsts = torch.arange(classes.size, device=cells.device) * self._width
        size = (classes.size + 1) * self._width
        self._table = torch.zeros(size, dtype=torch.int64, device=cells.device)

    def add(self, scores: Tensor, top: Tensor) -> None:
        for part in torch.split(scores, max(1, _AT_ONCE // len(self._classes))):
            # Scores that are not numbers in [0, 1] count as votes, and the input fails.
            cells, _ = self._cells.find(part.index_select(1, self._classes))
            self._count((cells + self._firsts).view(-1))
        self._count(self._rank[top] * self._width + self._width - 1)

    def _count(self, places: Tensor) -> None:
        self._table.scatter_add_(0, places, torch.ones_like(places))

    def all(self) -> Tensor:
        return self._table.view(-1, self._width)[:-1]


def counter_for(
    classes: Names | None, device: torch.device, outputs: Outputs, *, adaptive: bool
) -> ClassCounter | None:
    """Return a counter of these classes over the default edges; None if there are none to count.

    Raises
    ------
    ValueError
        If counts of these draws or outputs would not certify anything.
    """
    if classes is None:
        return None
    if adaptive:
        raise ValueError(
            "classes must be left out with adaptive draws: the scores decide how many draws there "
            "are, and bounds from counts hold for a number that was fixed before the first draw"
        )
    if outputs == "raw":
        raise ValueError(
            "classes must be left out with outputs='raw', because raw outputs are no scores in "
            "[0, 1]"
        )
    return ClassCounter(device, classes, default_edges())
