"""Metrics by name for loggers: checks, and the names of the values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from smoothbound._display.rounding import exact
from smoothbound._utils import checks
from smoothbound.harness._torchmetrics._metric import CertifiedMean

__all__ = ["metrics_by_name", "names_of"]


def metrics_by_name(metrics: Any) -> dict[str, CertifiedMean]:
    """Return copies of the metrics without their counts.

    Parameters
    ----------
    metrics : mapping of str to CertifiedMean, or MetricCollection

    Raises
    ------
    TypeError, ValueError
        If these are not such metrics, or their sigma, alpha or measure differ.
    """
    if not isinstance(metrics, Mapping | nn.ModuleDict) or not len(metrics):
        raise TypeError(
            f"metrics must be a mapping of names to metrics, got {checks.shown(metrics)}"
        )
    found = dict(metrics.items())
    for name, metric in found.items():
        if not isinstance(name, str) or not isinstance(metric, CertifiedMean):
            raise TypeError(
                "metrics must be CertifiedAccuracy, CertifiedConfidence or CertifiedRadius by "
                f"their names, got {checks.shown(metric)} as {name!r}"
            )
        if metric.n_inputs is not None:
            raise ValueError(
                "metrics must be without n_inputs, because each input comes once; got "
                f"{metric.n_inputs} in {name!r}"
            )
    first = next(iter(found.values())).question
    for name, metric in found.items():
        for setting in ("sigma", "alpha", "measure"):
            one, other = getattr(first, setting), getattr(metric.question, setting)
            if one != other:
                raise ValueError(f"metrics must have one {setting}, got {one} and {other} ({name})")
    copies = {name: metric.clone() for name, metric in found.items()}
    for metric in copies.values():
        metric.reset()
    return copies


def names_of(name: str, metric: CertifiedMean) -> list[str]:
    """Return the names of the values of a metric: one, or one for each radius or threshold.

    Examples
    --------
    >>> from smoothbound.harness import CertifiedAccuracy, CertifiedRadius
    >>> names_of("accuracy", CertifiedAccuracy(0.25, [0, 0.1]))
    ['accuracy_r0', 'accuracy_r0.1']
    >>> names_of("radius", CertifiedRadius(0.25)), names_of("radius", CertifiedRadius(0.25, [0.5]))
    (['radius'], ['radius_c0.5'])
    """
    if metric.single:
        return [name]
    radii, thresholds = metric.question.radii, metric.question.thresholds
    letter = "r" if radii else "c"
    return [f"{name}_{letter}{exact(place)}" for place in radii or thresholds]
