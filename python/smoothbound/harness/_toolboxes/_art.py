"""A smoothed classifier as an estimator of the Adversarial Robustness Toolbox."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from art.estimators.certification.randomized_smoothing import PyTorchRandomizedSmoothing
from art.preprocessing.standardisation_mean_std.pytorch import StandardisationMeanStdPyTorch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from smoothbound._utils import checks
from smoothbound.adapters._names import Outputs
from smoothbound.harness._toolboxes._row_keys import row_keys
from smoothbound.measures import Measure
from smoothbound.smoothing._certificate import SmoothedCertificate
from smoothbound.smoothing._class_radius import majority_class, require_enough_votes
from smoothbound.smoothing._classifier import SmoothedClassifier

__all__ = ["PyTorchCertifiedSmoothing"]


class PyTorchCertifiedSmoothing(PyTorchRandomizedSmoothing):  # type: ignore[misc]
    """The `PyTorchRandomizedSmoothing` of the toolbox, with the draws and bounds of smoothbound.

    It is used like the class from which it inherits, with these differences:

    - The noisy copies are made batch by batch, so that memory does not grow with their number.
    - The noise is lattice noise, so that the certificates hold in floating point. It depends only
      on the content of an input and on `seed`.
    - Radii are rounded down. `certify_confidence` certifies the confidence too.

    Inputs of another type are rounded to float32, as everywhere in the toolbox. The certificate is
    about the rounded input.

    Training and gradients are those of the toolbox.

    Parameters
    ----------
    *args, **kwargs
        As for `PyTorchRandomizedSmoothing`: ``model``, ``loss``, ``input_shape``, ``nb_classes``,
        ``optimizer``, ``channels_first``, ``clip_values``, ``preprocessing`` (mean and standard
        deviation), ``device_type``, ``sample_size`` (draws of `predict`, and those that select the
        class in `certify`), ``scale`` (sigma, before the preprocessing) and ``alpha``.
    grid : int, optional
        The inputs are whole multiples of 1 / grid, as in `SmoothedClassifier.certify`.
    seed : int, default 0
        Seed of the noise.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is out of range. There must be no defences that process
        inputs or outputs, because the noise would come before or after them, and no preprocessing
        other than mean and standard deviation.

    Examples
    --------
    >>> x = np.array([[2.0], [-0.001]], np.float32)
    >>> smoothed = PyTorchCertifiedSmoothing(
    ...     nn.Linear(1, 2), nn.CrossEntropyLoss(), (1,), 2, device_type="cpu", sample_size=50
    ... )
    >>> prediction, radius = smoothed.certify(x, n=1000)
    >>> prediction.shape, radius.shape, smoothed.predict(x).shape
    ((2,), (2,), (2, 2))
    """

    estimator_params = [*PyTorchRandomizedSmoothing.estimator_params, "grid", "seed"]  # noqa: RUF012

    def __init__(self, *args: Any, grid: int | None = None, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.grid, self.seed = grid, seed
        checks.count("sample_size", self.sample_size)
        checks.positive("scale", self.scale)
        checks.alpha("alpha", self.alpha)
        self._standardisation()  # refuses what cannot be certified

    def fit(self, x: NDArray[Any], y: NDArray[Any], *args: Any, **kwargs: Any) -> None:
        """Fit the model under noise, as `PyTorchRandomizedSmoothing` does.

        Raises
        ------
        ValueError
            If there is a preprocessing. The toolbox adds the noise of training after it and that of
            predictions before it, and sigma would be in two units.
        """
        if self._standardisation() is not None:
            raise ValueError(
                "preprocessing must be the identity, (0, 1), to fit: the noise of training comes "
                "after it and that of predictions before it. Make it the first layer of the model"
            )
        super().fit(x, y, *args, **kwargs)

    def predict(
        self,
        x: NDArray[Any],
        batch_size: int | None = None,
        verbose: bool = False,
        **kwargs: Any,
    ) -> NDArray[np.float64]:
        """Predict by the vote of ``sample_size`` noisy copies, with the test of Cohen et al. 2019.

        Parameters
        ----------
        x : ndarray, shape (n_inputs, ...)
        batch_size : int, optional
            Number of copies in one call of the model; by default as for `SmoothedClassifier`.
        verbose : bool
            Has no effect.
        is_abstain : bool, default True
            Whether to abstain if the votes do not decide the class.

        Returns
        -------
        ndarray of float64, shape (n_inputs, nb_classes)
            1 for the class and 0 for others; a row of zeros if the classifier abstains.
        """
        abstain = kwargs.get("is_abstain")
        if abstain is None or checks.flag("is_abstain", abstain):
            require_enough_votes(self.sample_size, self.alpha)
        rows = _inputs(x)
        votes = self._smoothed("vote", "raw", batch_size).votes(
            rows, n=self.sample_size, seed=self.seed, grid=self.grid, index=row_keys(rows)
        )
        if votes.shape[1] > self.nb_classes:
            raise ValueError(
                f"nb_classes must be that of the model, got {self.nb_classes}, and class "
                f"{votes.shape[1] - 1} has votes"
            )
        chosen = [majority_class(row, self.alpha) for row in votes]
        if abstain is False:
            chosen = votes.argmax(axis=1).tolist()
        found = np.zeros((len(rows), self.nb_classes))
        for row, one in zip(found, chosen, strict=True):
            if one >= 0:
                row[one] = 1.0
        return found

    def certify(
        self, x: NDArray[Any], n: int, batch_size: int | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Certify the class of each input, which ``sample_size`` draws select.

        Parameters
        ----------
        x : ndarray, shape (n_inputs, ...)
        n : int
            Number of draws that certify the class.
        batch_size : int, optional
            As for `predict`.

        Returns
        -------
        prediction : ndarray of int64, shape (n_inputs,)
            The class, or -1 if none is certified.
        radius : ndarray of float64, shape (n_inputs,)
            The radius of Cohen et al. 2019, rounded down; 0.0 if none is certified.
        """
        made = self._certified(self._smoothed("vote", "raw", batch_size), x, n)
        known = made.class_radius > 0.0  # False with NaN
        return np.where(known, made.selected, -1), np.where(known, made.class_radius, 0.0)

    def certify_confidence(
        self,
        x: NDArray[Any],
        n: int,
        batch_size: int | None = None,
        *,
        radii: ArrayLike = (0.0,),
        thresholds: ArrayLike = (),
        measure: str | Measure = "score",
        outputs: Outputs = "logits",
    ) -> SmoothedCertificate:
        """Certify the confidence in the class of each input.

        Parameters
        ----------
        x, n, batch_size
            As for `certify`.
        radii, thresholds
            As for `SmoothedClassifier.certify`.
        measure, outputs
            The confidence, and the kind of the model's outputs, as for `SmoothedClassifier`.

        Returns
        -------
        SmoothedCertificate
        """
        smoothed = self._smoothed(measure, outputs, batch_size)
        return self._certified(smoothed, x, n, radii=radii, thresholds=thresholds)

    def _certified(
        self, smoothed: SmoothedClassifier, x: NDArray[Any], n: int, **asked: Any
    ) -> SmoothedCertificate:
        rows = _inputs(x)
        return smoothed.certify(
            rows,
            n0=self.sample_size,
            n=n,
            alpha=self.alpha,
            seed=self.seed,
            grid=self.grid,
            index=row_keys(rows),
            **asked,
        )

    def _smoothed(
        self, measure: str | Measure, outputs: Outputs, batch_size: int | None
    ) -> SmoothedClassifier:
        standardisation = self._standardisation()
        model = (
            self.model if standardisation is None else _Standardised(standardisation, self.model)
        )
        return SmoothedClassifier(
            model,
            self.scale,
            measure=measure,
            outputs=outputs,
            device=self.device,
            batch_size="auto" if batch_size is None else batch_size,
        )

    def _standardisation(self) -> StandardisationMeanStdPyTorch | None:
        """Return the preprocessing by mean and standard deviation; None if it is the identity."""
        for name in ("preprocessing_defences", "postprocessing_defences"):
            if getattr(self, name):
                raise ValueError(f"{name} must be left out: make them a part of the model")
        found = self.preprocessing
        if found is None:
            return None
        if not isinstance(found, StandardisationMeanStdPyTorch):
            raise ValueError(
                "preprocessing must be the pair of mean and standard deviation, got "
                f"{type(found).__name__}: make it a part of the model"
            )
        return None if (found.mean == 0).all() and (found.std == 1).all() else found


class _Standardised(nn.Module):
    """A model with the preprocessing of the toolbox, before which the noise is added."""

    def __init__(self, standardisation: StandardisationMeanStdPyTorch, model: nn.Module) -> None:
        super().__init__()
        self.standardisation, self.model = standardisation, model

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs of the model."""
        with torch.no_grad():
            x, _ = self.standardisation.forward(x)
        found: Tensor = self.model(x)
        return found


def _inputs(x: NDArray[Any]) -> NDArray[np.float32]:
    """Return the inputs in float32, as everywhere in the toolbox."""
    rows = checks.array("x", x)
    if rows.dtype.kind not in "biuf":
        raise TypeError(f"x must hold real numbers, got {rows.dtype}")
    return rows.astype(np.float32)
