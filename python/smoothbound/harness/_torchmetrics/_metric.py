"""A mean over certified inputs as a metric of torchmetrics, with its states."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.distributed import gather_all_tensors
from torchmetrics.utilities.plot import plot_curve

from smoothbound._display.rounding import exact
from smoothbound._utils import checks
from smoothbound._utils.extras import name_the_extra
from smoothbound.harness._torchmetrics._certified_batch import (
    CertifiedBatch,
    Preds,
    Question,
    whole_numbers,
)
from smoothbound.harness._torchmetrics._fixed_point import float32_below, mean_of_rows

__all__ = ["CertifiedMean"]


class CertifiedMean(Metric):
    """Means over inputs of certified numbers, one for each radius or threshold.

    The states are whole numbers that are added, so the bits of the mean do not depend on order,
    batches and processes. A further state shows whether states with different settings were added.

    Parameters
    ----------
    question : Question
        The question about every input. There is a mean for each of its radii, or for each of its
        thresholds if it has no radii.
    single : bool
        Whether the result is one number, and not a vector.
    n_inputs : int, optional
        Size of the data set; see `CertifiedAccuracy`.
    **kwargs
        As for `torchmetrics.Metric`.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    plot_lower_bound: float | None = 0.0

    sums: Tensor
    counts: Tensor
    n_updates: Tensor
    marks: Tensor

    def __init__(
        self,
        question: Question,
        *,
        single: bool,
        n_inputs: int | None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.question, self.single = question, single
        self._places = question.radii or question.thresholds
        self.n_inputs = None if n_inputs is None else checks.count("n_inputs", n_inputs, 1, 2**31)
        rows = self.n_inputs or 1
        named = self._named_settings()
        for name, shape in (
            ("sums", (rows, len(self._places))),
            ("counts", (rows,)),
            ("n_updates", ()),
            ("marks", (len(named), 2)),
        ):
            self.add_state(name, torch.zeros(shape, dtype=torch.int64), dist_reduce_fx="sum")
        self._marks = [_mark(value) for value in named.values()]

    def _named_settings(self) -> dict[str, object]:
        """Return the settings in which states must agree to be added."""
        of = self.question
        return {
            "kind of metric": type(self).__name__,
            "measure": (of.measure.name, of.measure.score_range),
            "sigma": of.sigma,
            "alpha": of.alpha,
            "radius": of.radii,
            "threshold": of.thresholds,
            "n0": of.n0,
            "n_inputs": self.n_inputs,
        }

    @abstractmethod
    def _units(self, batch: CertifiedBatch, correct: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the numbers of each input in units, shape (n_inputs, n_places)."""

    def update(self, preds: Preds, target: Tensor, index: Tensor | None = None) -> None:
        """Add the inputs of a batch.

        Parameters
        ----------
        preds : SmoothedCertificate, Draws, sequence of Draws, or Tensor
            The certificate of the inputs, the draws of each input from `SmoothedClassifier.draw`,
            or the probabilities of all classes in every draw, shape (n_inputs, n_draws, n_classes),
            of which the first n0 draws select the class. Draws and probabilities are certified by
            the default bound of `SmoothedClassifier.certify`: the joint bound with enough draws.
        target : Tensor of int, shape (n_inputs,)
            The true classes.
        index : Tensor of int, shape (n_inputs,), optional
            Position of each input in the data set. It is needed if `n_inputs` is stated and `preds`
            does not have it.

        Raises
        ------
        TypeError, ValueError
            If an argument has the wrong type or shape, or `preds` has another noise level, measure,
            alpha, radius or threshold.
        """
        batch = self.question.answer(preds)
        labels = whole_numbers("target", target, len(batch.predicted))
        rows = self._rows(batch, index)
        correct = (batch.predicted == labels) & (labels >= 0)
        units = torch.from_numpy(self._units(batch, correct)).to(self.device)
        at = torch.from_numpy(rows).to(self.device)
        self.sums = self.sums.index_add(0, at, units)
        self.counts = self.counts.index_add(0, at, torch.ones_like(at))
        self.n_updates = self.n_updates + 1
        self.marks = self.marks + torch.tensor(self._marks, device=self.device)

    def _rows(self, batch: CertifiedBatch, index: Tensor | None) -> NDArray[np.int64]:
        """Return the row of the states for each input."""
        n, known = len(batch.predicted), batch.index
        if index is not None:
            stated = whole_numbers("index", index, n)
            if known is not None and (stated != known).any():
                raise ValueError(
                    f"index must be that of the draws, {known.tolist()}, got {stated.tolist()}"
                )
            known = stated
        if self.n_inputs is None:
            return np.zeros(n, np.int64)
        if known is None:
            raise ValueError(
                f"index must be stated for n_inputs = {self.n_inputs}: the positions of the {n} "
                "inputs in the data set"
            )
        if n and not 0 <= known.min() <= known.max() < self.n_inputs:
            raise ValueError(
                f"index must lie between 0 and n_inputs - 1 = {self.n_inputs - 1}, got "
                f"{known.min()} to {known.max()}"
            )
        return known

    def compute(self) -> Tensor:
        """Return the mean over all inputs, in float32, rounded down.

        Returns
        -------
        Tensor
            One number, or one for each radius or threshold; NaN if there was no input. torchmetrics
            turns a vector of one number into the number.

        Raises
        ------
        ValueError
            If states with different settings were added, on another process or by ``merge_state``.
        """
        expected = torch.tensor(self._marks) * self.n_updates.cpu()
        same = (self.marks.cpu() == expected).all(dim=1).tolist()
        self._refuse([name for name, s in zip(self._named_settings(), same, strict=True) if not s])
        means = mean_of_rows(self.sums.cpu().numpy(), self.counts.cpu().numpy())
        values = np.full(len(self._places), np.nan, np.float32)
        if means is not None:
            values[:] = [float32_below(self._scale(mean)) for mean in means]
        found = torch.from_numpy(values).to(self.device)
        return found[0] if self.single else found

    def sync(self, dist_sync_fn: Any = None, *args: Any, **kwargs: Any) -> None:
        """Add the states of all processes; see `torchmetrics.Metric`.

        Raises
        ------
        ValueError
            If the shapes of their states differ.
        """
        gather = dist_sync_fn or gather_all_tensors

        def gather_alike(state: Tensor, group: Any = None) -> list[Tensor]:
            found: list[Tensor] = gather(state, group=group)
            for one in found:
                self._require_shape(state, one)
            return found

        super().sync(gather_alike, *args, **kwargs)

    def merge_state(self, incoming_state: dict[str, Any] | Metric) -> None:
        """Add the states of another metric; see `torchmetrics.Metric`.

        Raises
        ------
        ValueError
            If the shapes of its states differ. `compute` finds other differences.
        """
        given = getattr(incoming_state, "metric_state", incoming_state)
        if isinstance(given, dict):
            for name, state in self.metric_state.items():
                self._require_shape(state, given.get(name, state))
        super().merge_state(incoming_state)

    def _require_shape(self, state: Any, other: Any) -> None:
        """Refuse a state of another shape, which means other inputs, radii or thresholds."""
        names = ("n_inputs", "radius" if self.question.radii else "threshold")
        sizes = zip(names, state.shape, other.shape, strict=False)  # counts have no places
        self._refuse([name for name, one, two in sizes if one != two])

    def _refuse(self, settings: list[str]) -> None:
        """Raise an error that names the settings, if there are any."""
        if settings:
            raise ValueError(
                f"states of {type(self).__name__} can be added only if they have the same "
                f"{' and the same '.join(settings)}: give the metric equal arguments on every "
                "process"
            )

    def set_dtype(self, dst_type: Any) -> CertifiedMean:
        """Return the metric itself, because its states are whole numbers."""
        return self

    def _scale(self, mean: Any) -> Any:
        """Return the mean in the units of the result."""
        return mean

    def plot(self, val: Any = None, ax: Any = None) -> Any:
        """Draw the metric: a curve over its radii or thresholds, or a point for a single number.

        The curve has steps, because a number is certified for all points within its radius.

        Parameters
        ----------
        val : Tensor or sequence of Tensor, optional
            One or several results of `compute` or ``forward``. By default `compute` is called.
        ax : matplotlib.axes.Axes, optional
            The axes to draw on; by default those of a new figure.

        Returns
        -------
        figure, axes
            The figure is None if `ax` is given.

        Raises
        ------
        ModuleNotFoundError
            If Matplotlib is missing. The error names the extra that installs it.
        ValueError
            If `val` does not have one number for each radius or threshold.
        """
        with name_the_extra():
            import matplotlib  # noqa: F401
        val = self.compute() if val is None else val
        if isinstance(val, Tensor) and val.ndim == 1:
            return self._plot_curve(val, ax)
        if isinstance(val, Sequence) and all(isinstance(v, Tensor) and v.ndim == 1 for v in val):
            names = [f"{self.plot_legend_name} {exact(at)}" for at in self._places]
            val = [dict(zip(names, self._one_a_place(v), strict=True)) for v in val]
        return self._plot(val, ax)

    def _plot_curve(self, val: Tensor, ax: Any) -> Any:
        places, order = torch.tensor(self._places, dtype=torch.float64).sort(stable=True)
        made: Any = plot_curve(
            (places, self._one_a_place(val).cpu()[order]),  # type: ignore[arg-type]
            ax=ax,
            label_names=(self.plot_legend_name or "", type(self).__name__),
            name=type(self).__name__,
        )
        made[1].get_lines()[-1].set_drawstyle("steps-pre")
        return made

    def _one_a_place(self, val: Tensor) -> Tensor:
        if len(val) != len(self._places):
            raise ValueError(
                f"val must have one number for each {self.plot_legend_name}, {len(self._places)}, "
                f"got {len(val)}"
            )
        return val


def _mark(value: object) -> tuple[int, int]:
    """Return two numbers, from 1 to 2^16, that represent a setting.

    They are so small that different numbers differ by more than 1e-5 of themselves, which is the
    tolerance of `torchmetrics.MetricCollection` for equality.
    """
    word = int.from_bytes(blake2b(repr(value).encode(), digest_size=4).digest(), "big")
    return word // 2**16 + 1, word % 2**16 + 1
