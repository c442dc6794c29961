"""The certificates of a batch of inputs, from the data of an evaluation loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from smoothbound._display.rounding import exact
from smoothbound._utils import checks
from smoothbound.bounds._certify import certify_scores
from smoothbound.measures import MARGIN, SCORE, Measure
from smoothbound.noise._displaced import inward, outward
from smoothbound.sampling._jobs import Draws
from smoothbound.smoothing._certificate import SmoothedCertificate

__all__ = ["CertifiedBatch", "Preds", "Question", "whole_numbers"]

Preds: TypeAlias = "SmoothedCertificate | Draws | Sequence[Draws] | Tensor | NDArray[Any]"


@dataclass(frozen=True, eq=False)
class CertifiedBatch:
    """The certified results of each input of a batch.

    Attributes
    ----------
    predicted : ndarray of int64, shape (n_inputs,)
        The selected class; -1 if the classifier abstains.
    lower : ndarray of float64, shape (n_inputs, n_radii)
        Certified confidence in this class at each radius; NaN if there is none.
    radius : ndarray of float64, shape (n_inputs, n_thresholds)
        Certified radius of each threshold; NaN if there is none.
    index : ndarray of int64, shape (n_inputs,), or None
        Index of each input, if it is known.
    """

    predicted: NDArray[np.int64]
    lower: NDArray[np.float64]
    radius: NDArray[np.float64]
    index: NDArray[np.int64] | None


@dataclass(frozen=True)
class Question:
    """The question about every input.

    Attributes
    ----------
    sigma : float
        Standard deviation of the noise.
    alpha : float
        Failure probability of each certificate.
    measure : Measure
        The confidence.
    radii, thresholds : tuple of float
        The radii at which to bound the confidence, and the thresholds for which to find the radius.
    n0 : int
        Number of draws that select the class in an array of outputs.
    """

    sigma: float
    alpha: float
    measure: Measure
    radii: tuple[float, ...]
    thresholds: tuple[float, ...]
    n0: int

    def answer(self, preds: Preds) -> CertifiedBatch:
        """Certify a batch, or take the results from its certificate.

        Raises
        ------
        TypeError, ValueError
            If `preds` has another type, or has another noise level, measure, alpha, radius or
            threshold.
        """
        if isinstance(preds, SmoothedCertificate):
            return self._of_certificate(preds)
        if isinstance(preds, Draws):
            return self._of_draws([preds])
        if isinstance(preds, Tensor | np.ndarray):
            return self._of_outputs(torch.as_tensor(preds))
        if isinstance(preds, Sequence) and preds and all(isinstance(one, Draws) for one in preds):
            return self._of_draws(preds)
        raise TypeError(
            "preds must be a SmoothedCertificate, the Draws of each input, or the probabilities of "
            "all draws as a tensor of shape (n_inputs, n_draws, n_classes); got "
            f"{checks.shown(preds)}"
        )

    def _of_certificate(self, cert: SmoothedCertificate) -> CertifiedBatch:
        of = cert.settings
        self._require("certificates", measure=of.measure, alpha=of.alpha)
        for level in [of.sigma] if cert.sigma is None else np.unique(cert.sigma).tolist():
            self._require("certificates", sigma=level)
        if of.score_range != self.measure.score_range:
            raise ValueError(
                f"certificates must have the score_range {self.measure.score_range} of the measure "
                f"{self.measure.name!r} of this metric, got {of.score_range}"
            )
        if cert.lower is None or cert.radius is None:
            raise ValueError("certificates must bound the confidence from below, got sides='upper'")
        columns = {}
        for name, asked, known in (
            ("radii", self.radii, of.radii),
            ("thresholds", self.thresholds, of.thresholds),
        ):
            if missing := [exact(one) for one in asked if one not in known]:
                raise ValueError(
                    f"certificates must have the {name} {', '.join(missing)}, got "
                    f"{', '.join(map(exact, known)) or 'none'}: certify with {name}={list(asked)}"
                )
            columns[name] = [known.index(one) for one in asked]
        lower, radius = cert.lower[:, columns["radii"]], cert.radius[:, columns["thresholds"]]
        return CertifiedBatch(cert.predicted, lower, radius, cert.index)

    def _of_draws(self, draws: Sequence[Draws]) -> CertifiedBatch:
        for one in draws:
            self._require("draws", sigma=one.sigma, measure=one.measure)
        parts = [
            self._certified(one.scores[None], np.array([one.selected]), one.displacement)
            for one in draws
        ]
        known = [one.index for one in draws if one.index is not None]
        return CertifiedBatch(
            predicted=np.concatenate([part.predicted for part in parts]),
            lower=np.concatenate([part.lower for part in parts]),
            radius=np.concatenate([part.radius for part in parts]),
            index=np.array(known) if len(known) == len(draws) else None,
        )

    def _of_outputs(self, outputs: Tensor) -> CertifiedBatch:
        """Select the class of each input on its first draws and certify it on the others."""
        shape = tuple(outputs.shape)
        if not outputs.is_floating_point() or len(shape) != 3 or shape[2] < 2:
            raise ValueError(
                "preds must be probabilities of shape (n_inputs, n_draws, n_classes), got shape "
                f"{shape} of {outputs.dtype}"
            )
        if shape[1] <= self.n0:
            raise ValueError(
                f"preds must hold more draws of each input than n0 = {self.n0}, which select its "
                f"class, got {shape[1]}"
            )
        outputs = outputs.detach()
        drift = (outputs.double().sum(dim=2) - 1.0).abs()
        if not bool(((drift <= checks.SUM_TOLERANCE) & (outputs.amin(dim=2) >= 0)).all()):
            raise ValueError(
                "preds must be probabilities, in [0, 1] with sums of 1 over the classes: take the "
                "softmax of logits first"
            )
        first, others = outputs[:, : self.n0], outputs[:, self.n0 :]
        if self.measure in (SCORE, MARGIN):
            selected = first.double().mean(dim=1).argmax(dim=1)
        else:
            top = first.argmax(dim=2)
            votes = torch.zeros_like(first[:, 0], dtype=torch.int64)
            selected = votes.scatter_add(1, top, torch.ones_like(top)).argmax(dim=1)
        rows = others.flatten(0, 1)
        scores = self.measure.function(rows, selected.repeat_interleave(others.shape[1]))
        made = scores.reshape(others.shape[:2]).float().cpu().numpy()
        return self._certified(made, selected.cpu().numpy(), 0.0)

    def _certified(
        self, scores: NDArray[np.float32], selected: NDArray[np.int64], displacement: float
    ) -> CertifiedBatch:
        made = certify_scores(
            scores,
            sigma=self.sigma,
            alpha=self.alpha,
            score_range=self.measure.score_range,
            radii=outward([0.0, *self.radii], displacement),
            thresholds=self.thresholds,
            order="drawn",
            bound="mean" if self.measure.binary else None,
            mean="betting" if self.measure.binary else None,
        )
        assert made.lower is not None
        assert made.radius is not None
        cutoff = -np.inf if self.measure.cutoff is None else self.measure.cutoff
        return CertifiedBatch(
            predicted=np.where(made.lower[:, 0] > cutoff, selected, -1),
            lower=made.lower[:, 1:],
            radius=inward(made.radius, displacement),
            index=None,
        )

    def _require(self, of: str, **known: float | str | None) -> None:
        """Refuse recorded settings that differ from those of the question."""
        asked = {"sigma": self.sigma, "measure": self.measure.name, "alpha": self.alpha}
        for name, value in known.items():
            if value is not None and value != asked[name]:
                raise ValueError(
                    f"{of} must have the {name} {asked[name]!r} of this metric, got {value!r}"
                )


def whole_numbers(name: str, values: object, n_inputs: int) -> NDArray[np.int64]:
    """Return one whole number for each input, from a tensor on any device or an array."""
    plain = values.detach().cpu().numpy() if isinstance(values, Tensor) else values
    found = np.atleast_1d(checks.array(name, plain))
    if found.dtype.kind not in "iu" or found.shape != (n_inputs,):
        raise ValueError(
            f"{name} must be {n_inputs} whole numbers, one for each input, got shape {found.shape} "
            f"of {found.dtype}"
        )
    return found.astype(np.int64)
