"""A model and a metric that satisfy the protocols of MAITE, without importing it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smoothbound._display.rounding import exact
from smoothbound._utils import checks
from smoothbound.harness._toolboxes._row_keys import row_keys
from smoothbound.smoothing._certificate import SmoothedCertificate
from smoothbound.smoothing._classifier import SmoothedClassifier

__all__ = ["MaiteMetric", "MaiteModel", "MaitePrediction"]


@dataclass(frozen=True, eq=False)
class MaitePrediction:
    """A prediction of `MaiteModel` for an image: a vector, with the certificate for `MaiteMetric`.

    Attributes
    ----------
    certificate : SmoothedCertificate
        The certificate of this image, with the reason if the classifier abstains.
    n_classes : int
        Length of the vector.
    """

    certificate: SmoothedCertificate
    n_classes: int

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return the certified confidence in each class, at the first radius.

        It is the smallest value of the measure for all classes but the predicted one, and for all
        classes if the classifier abstains.
        """
        cert = self.certificate
        found = np.full(self.n_classes, cert.settings.score_range[0])
        if cert.predicted[0] >= 0 and cert.lower is not None:
            found[cert.predicted[0]] = cert.lower[0, 0]
        return found if dtype is None else found.astype(dtype)


class MaiteModel:
    """A smoothed classifier as a model of MAITE, for image classification.

    It satisfies ``maite.protocols.image_classification.Model``. Each prediction is a vector of
    certified confidences, one for each class, and carries its certificate. The noise of an image
    depends only on its content and `seed`, so batches and order do not change the results.

    MAITE has no abstention. A metric of another library gets a vector of equal numbers, and may
    treat it as class 0. `MaiteMetric` recognises it, and counts it as wrong.

    Parameters
    ----------
    smoothed : SmoothedClassifier
        The classifier. sigma is in the units of the images that MAITE passes to the model.
    n_classes : int
        Number of its classes.
    n0, n, alpha, radii, thresholds, seed, grid
        As for `SmoothedClassifier.certify`. The vector has the confidence at the first radius.
    id : str, default "smoothbound"
        Name of the model in its metadata.
    index2label : mapping of int to str, optional
        Names of the classes in the metadata.

    Attributes
    ----------
    metadata : dict

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is out of range.

    Examples
    --------
    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2))
    >>> model = MaiteModel(SmoothedClassifier(net, sigma=0.25), 2, n=500, radii=[0.1])
    >>> [prediction] = model([np.zeros((1, 2, 2), np.float32)])
    >>> np.asarray(prediction).shape, prediction.certificate.settings.alpha
    ((2,), 0.001)
    """

    def __init__(
        self,
        smoothed: SmoothedClassifier,
        n_classes: int,
        *,
        n0: int = 100,
        n: int = 100_000,
        alpha: float = 1e-3,
        radii: ArrayLike = (0.0,),
        thresholds: ArrayLike = (),
        seed: int = 0,
        grid: int | None = None,
        id: str = "smoothbound",
        index2label: Mapping[int, str] | None = None,
    ) -> None:
        self.smoothed = checks.instance("smoothed", smoothed, SmoothedClassifier)
        self.n_classes = checks.count("n_classes", n_classes, 2)
        own = checks.tuple_of_radii("radii", radii)
        if not own:
            raise ValueError("radii must hold at least one radius, got none")
        self._asked: dict[str, Any] = {
            "n0": checks.count("n0", n0),
            "n": checks.count("n", n),
            "alpha": checks.alpha("alpha", alpha),
            "radii": own,
            "thresholds": checks.tuple_of_thresholds(
                "thresholds", thresholds, smoothed.measure.score_range
            ),
            "seed": checks.count("seed", seed, 0),
            "grid": grid,
        }
        self.metadata: dict[str, Any] = {"id": checks.instance("id", id, str)}
        if index2label is not None:
            self.metadata["index2label"] = dict(
                checks.instance("index2label", index2label, Mapping)  # type: ignore[type-abstract]
            )

    def __call__(self, input_batch: Sequence[ArrayLike], /) -> list[MaitePrediction]:
        """Certify a batch of images.

        Parameters
        ----------
        input_batch : sequence of array_like of float32 or float64, shape (C, H, W)

        Returns
        -------
        list of MaitePrediction

        Raises
        ------
        TypeError, ValueError
            If the images differ in shape or do not hold floats, or the model has more than
            `n_classes` classes.
        """
        images = [checks.array("input_batch", image) for image in input_batch]
        if not images:
            return []
        if len(shapes := sorted({image.shape for image in images})) > 1:
            raise ValueError(
                f"images of a batch must have one shape, got {shapes}: set batch_size=1"
            )
        rows = np.stack(images)
        cert = self.smoothed.certify(rows, index=row_keys(rows), **self._asked)
        if (cert.selected >= self.n_classes).any():
            raise ValueError(
                f"n_classes must be that of the model, got {self.n_classes}, and class "
                f"{cert.selected.max()} was selected"
            )
        return [MaitePrediction(cert[i], self.n_classes) for i in range(len(cert))]


class MaiteMetric:
    """Certified accuracy, confidence and radius as a metric of MAITE, for image classification.

    It satisfies ``maite.protocols.image_classification.Metric``, and takes the predictions of
    `MaiteModel`. An input on which the classifier abstains or selects a wrong class counts with the
    smallest value.

    Parameters
    ----------
    threshold : float, default 0.5
        The confidence that `certified_accuracy` needs.
    id : str, default "smoothbound"
        Name of the metric in its metadata.

    Attributes
    ----------
    metadata : dict

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is not finite.

    Notes
    -----
    alpha is the failure probability of the certificate of each input. The metric is a mean of such
    certificates, and alpha is not the failure probability of the mean.
    """

    def __init__(self, threshold: float = 0.5, *, id: str = "smoothbound") -> None:
        self.threshold = checks.number("threshold", threshold)
        if not math.isfinite(self.threshold):
            raise ValueError(f"threshold must be finite, got {threshold}")
        self.metadata: dict[str, Any] = {"id": checks.instance("id", id, str)}
        self.reset()

    def reset(self) -> None:
        """Discard all inputs."""
        self._settings: dict[str, Any] = {}
        self._sums: dict[str, Fraction] = {}
        self._n = 0

    def update(
        self,
        pred_batch: Sequence[MaitePrediction],
        target_batch: Sequence[ArrayLike],
        metadata_batch: Sequence[Any],
        /,
    ) -> None:
        """Add a batch.

        Parameters
        ----------
        pred_batch : sequence of MaitePrediction
        target_batch : sequence of array_like, shape (n_classes,)
            The true classes, one-hot.
        metadata_batch : sequence
            Not used.

        Raises
        ------
        TypeError, ValueError
            If a prediction is not one of `MaiteModel`, a target is not one-hot with the same number
            of classes, or certificates differ in sigma, alpha, measure or its range, noise, radii
            or thresholds.
        """
        if len(pred_batch) != len(target_batch):
            raise ValueError(
                f"target_batch must have one target for each of the {len(pred_batch)} predictions, "
                f"got {len(target_batch)}"
            )
        pairs = []
        for pred, target in zip(pred_batch, target_batch, strict=True):
            one = checks.instance("each prediction", pred, MaitePrediction)
            pairs.append((one.certificate, _true_class(target, one.n_classes)))
        for cert, label in pairs:
            self._require_equal(cert)
            self._add(cert, label)

    def compute(self) -> dict[str, float]:
        """Return the means over all inputs, rounded down.

        Returns
        -------
        dict of str to float
            "certified_accuracy@R" and "certified_confidence@R" for each radius R,
            "certified_radius@T" for each threshold T of the model, "abstained" (the share, not
            rounded), and "n_inputs", "sigma" and "alpha".

        Raises
        ------
        ValueError
            If there are no inputs.
        """
        if not self._n:
            raise ValueError("compute needs at least one input: call update first")
        means = {name: _below(total / self._n) for name, total in self._sums.items()}
        means["abstained"] = float(self._sums["abstained"] / self._n)
        known = {name: float(self._settings[name]) for name in ("sigma", "alpha")}
        return means | {"n_inputs": float(self._n)} | known

    def _require_equal(self, cert: SmoothedCertificate) -> None:
        names = ("sigma", "alpha", "measure", "score_range", "noise", "radii", "thresholds")
        own = {name: getattr(cert.settings, name) for name in names}
        self._settings = self._settings or own
        for name, value in own.items():
            if value != self._settings[name]:
                raise ValueError(
                    f"predictions must have the {name} {self._settings[name]!r} of those before, "
                    f"got {value!r}: use one metric for each model"
                )

    def _add(self, cert: SmoothedCertificate, label: int) -> None:
        assert cert.lower is not None
        assert cert.radius is not None
        of, right = cert.settings, bool(cert.predicted[0] == label)
        least = of.score_range[0]
        found = {"abstained": float(cert.predicted[0] < 0)}
        for radius, lower in zip(of.radii, cert.lower[0].tolist(), strict=True):
            known = right and lower > least  # False with NaN
            found[f"certified_accuracy@{exact(radius)}"] = float(known and lower > self.threshold)
            found[f"certified_confidence@{exact(radius)}"] = lower if known else least
        for threshold, radius in zip(of.thresholds, cert.radius[0].tolist(), strict=True):
            found[f"certified_radius@{exact(threshold)}"] = radius if right and radius > 0 else 0.0
        for name, value in found.items():
            self._sums[name] = self._sums.get(name, Fraction(0)) + Fraction(value)
        self._n += 1


def _true_class(target: ArrayLike, n_classes: int) -> int:
    found = checks.array("each target", target)
    if found.shape != (n_classes,) or sorted(found.tolist()) != [0] * (n_classes - 1) + [1]:
        raise ValueError(
            f"each target must be one-hot with {n_classes} classes, got shape {found.shape} with "
            f"the sum {found.sum()}"
        )
    return int(found.argmax())


def _below(value: Fraction) -> float:
    """Return the largest float that is not above `value`."""
    near = float(value)
    return near if Fraction(near) <= value else float(np.nextafter(near, -np.inf))
