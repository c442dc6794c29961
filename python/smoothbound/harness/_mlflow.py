"""Certified metrics for the evaluations of MLflow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from mlflow.models import EvaluationMetric, make_metric
from numpy.typing import NDArray

from smoothbound._utils import checks
from smoothbound.harness._torchmetrics._by_name import metrics_by_name, names_of
from smoothbound.harness._torchmetrics._certified_batch import whole_numbers
from smoothbound.harness._torchmetrics._metric import CertifiedMean
from smoothbound.smoothing._certificate import SmoothedCertificate

__all__ = ["mlflow_metrics"]


def mlflow_metrics(
    cert: SmoothedCertificate, metrics: Mapping[str, CertifiedMean]
) -> list[EvaluationMetric]:
    """Return metrics of a certificate as ``extra_metrics`` of ``mlflow.models.evaluate``.

    MLflow passes the predicted and the true classes to a metric. It has no bounds, radii or alpha,
    so these come from the certificate. The data of the evaluation need a column ``index``, which
    states the input of the certificate for each row. A row whose prediction differs from that of
    the certificate, which is -1 for abstention, is refused.

    Parameters
    ----------
    cert : SmoothedCertificate
        The certificate of all rows of the evaluation.
    metrics : mapping of str to CertifiedAccuracy, CertifiedConfidence or CertifiedRadius
        The metrics by the names under which they are logged. A ``MetricCollection`` is such a
        mapping. A metric with several radii is logged at each of them, as in ``name_r0.25``, and
        one with several thresholds as in ``name_c0.5``.

    Returns
    -------
    list of mlflow.models.EvaluationMetric
        The metrics, each of which returns the mean over the rows of the evaluation.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, or the certificate has another sigma, measure or alpha
        than the metrics, lacks one of their radii or thresholds, or has an index twice. During the
        evaluation, if the certificate does not have the input of a row, an input occurs twice, or a
        prediction differs from that of the certificate. MLflow raises such an error as an
        ``MlflowException``.

    Notes
    -----
    Leave out ``model_type="classifier"`` if the classifier abstains, because MLflow's own metrics
    treat -1 as a class.

    Examples
    --------
    >>> from smoothbound import SmoothedClassifier
    >>> from smoothbound.harness import CertifiedAccuracy
    >>> smoothed = SmoothedClassifier(lambda x: torch.cat([x, -x], dim=1), sigma=0.5)
    >>> cert = smoothed.certify(torch.tensor([[1.5], [-1.5]]), n=1000, radii=[0.0, 0.25])
    >>> metrics = {"accuracy": CertifiedAccuracy(sigma=0.5, radius=[0.0, 0.25])}
    >>> [metric.name for metric in mlflow_metrics(cert, metrics)]
    ['accuracy_r0', 'accuracy_r0.25']
    """
    checks.instance("cert", cert, SmoothedCertificate)
    values, times = np.unique(cert.index, return_counts=True)
    if (times > 1).any():
        raise ValueError(
            "cert must have an index of its own for each input, because it names the row of the "
            f"evaluation, got {values[times > 1][0]} for several: certify with other index"
        )
    made = []
    for name, metric in metrics_by_name(metrics).items():
        metric.question.answer(cert)  # refuses a certificate of other settings
        for place, label in enumerate(names_of(name, metric)):
            made.append(
                make_metric(eval_fn=_at(cert, metric, place), greater_is_better=True, name=label)
            )
    return made


def _at(cert: SmoothedCertificate, metric: CertifiedMean, place: int) -> Callable[..., float]:
    """Return the function that MLflow calls, with the columns that its arguments name."""

    def mean(predictions: Any, targets: Any, index: Any) -> float:
        rows = _rows(cert, np.asarray(index), np.asarray(predictions))
        metric.reset()
        labels = whole_numbers("targets", np.asarray(targets), len(rows))
        metric.update(cert[rows], torch.from_numpy(labels))
        return float(metric.compute().reshape(-1)[place])

    return mean


def _rows(
    cert: SmoothedCertificate, index: NDArray[Any], predictions: NDArray[Any]
) -> NDArray[np.int64]:
    """Return the row of the certificate for each row of the evaluation."""
    asked = whole_numbers("index", index, len(predictions))
    known = {one: row for row, one in enumerate(cert.index.tolist())}
    if strangers := [one for one in asked.tolist() if one not in known]:
        raise ValueError(
            f"index must hold inputs of the certificate, got {strangers[0]}, which it does not have"
        )
    if len(np.unique(asked)) < len(asked):
        raise ValueError("index must hold each input once, because each counts once in a mean")
    rows = np.array([known[one] for one in asked.tolist()], np.int64)
    found, certified = whole_numbers("predictions", predictions, len(rows)), cert.predicted[rows]
    if wrong := np.flatnonzero(found != certified).tolist():
        raise ValueError(
            f"predictions must be those of the certificate, {certified[wrong[0]]} for the input "
            f"{asked[wrong[0]]}, got {found[wrong[0]]}: evaluate the column 'predicted' of the "
            "certificate, and no model that draws anew"
        )
    return rows
