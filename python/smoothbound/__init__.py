"""Certified confidence for smoothed classifiers.

`certify_scores` turns the scores of noisy draws into certificates; `SmoothedClassifier` makes the
draws with torch.  Names and modules load on first use, so that the bounds work without torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from smoothbound.extras import named as _named

__version__ = "0.1.0"

if TYPE_CHECKING:
    from smoothbound import adapters as adapters
    from smoothbound import adaptive as adaptive
    from smoothbound import arrays as arrays
    from smoothbound import band as band
    from smoothbound import calibration as calibration
    from smoothbound import checkpoint as checkpoint
    from smoothbound import class_radius as class_radius
    from smoothbound import comparison as comparison
    from smoothbound import concentration as concentration
    from smoothbound import data as data
    from smoothbound import errors as errors
    from smoothbound import evaluation as evaluation
    from smoothbound import figures as figures
    from smoothbound import forecast as forecast
    from smoothbound import gaussian as gaussian
    from smoothbound import knots as knots
    from smoothbound import lattice as lattice
    from smoothbound import logs as logs
    from smoothbound import measures as measures
    from smoothbound import method as method
    from smoothbound import models as models
    from smoothbound import noise as noise
    from smoothbound import pilots as pilots
    from smoothbound import recommend as recommend
    from smoothbound import reference as reference
    from smoothbound import report as report
    from smoothbound import rounding as rounding
    from smoothbound import runs as runs
    from smoothbound import schedule as schedule
    from smoothbound import score_files as score_files
    from smoothbound import store as store
    from smoothbound import train as train
    from smoothbound.backend import build_info as build_info
    from smoothbound.certificate import Certificate as Certificate
    from smoothbound.engine import certify_scores as certify_scores
    from smoothbound.engine import required_draws as required_draws
    from smoothbound.measures import Measure as Measure
    from smoothbound.measures import custom as custom
    from smoothbound.sketch import ScoreSketch as ScoreSketch
    from smoothbound.sketch_certificate import SketchCertificate as SketchCertificate
    from smoothbound.smoothed import SmoothedCertificate as SmoothedCertificate
    from smoothbound.smoothed import SmoothedClassifier as SmoothedClassifier

_HOME = {
    "Certificate": "certificate",
    "Measure": "measures",
    "ScoreSketch": "sketch",
    "SketchCertificate": "sketch_certificate",
    "SmoothedCertificate": "smoothed",
    "SmoothedClassifier": "smoothed",
    "build_info": "backend",
    "certify_scores": "engine",
    "custom": "measures",
    "required_draws": "engine",
}
_MODULES = (
    "adapters",
    "adaptive",
    "arrays",
    "band",
    "calibration",
    "checkpoint",
    "class_radius",
    "comparison",
    "concentration",
    "data",
    "errors",
    "evaluation",
    "figures",
    "forecast",
    "gaussian",
    "knots",
    "lattice",
    "logs",
    "measures",
    "method",
    "models",
    "noise",
    "pilots",
    "recommend",
    "reference",
    "report",
    "rounding",
    "runs",
    "schedule",
    "score_files",
    "store",
    "train",
)

__all__ = [*sorted(_HOME), "__version__", "adapters"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES and name not in _HOME:
        raise AttributeError(f"module 'smoothbound' has no attribute {name!r}")
    with _named():
        module = importlib.import_module(f"smoothbound.{_HOME.get(name, name)}")
    if name in _MODULES:
        return module
    value = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({"__doc__", "__file__", "__name__", "__path__", *__all__, *_MODULES})
