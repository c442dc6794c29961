"""Certified confidence for smoothed classifiers.

`certify_scores` turns the scores of noisy draws into certificates; `SmoothedClassifier` makes the
draws with torch.  Names load on first use, so that the bounds work without torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from smoothbound import adapters as adapters
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

__all__ = [*sorted(_HOME), "__version__", "adapters"]


def __getattr__(name: str) -> Any:
    if name == "adapters":
        return importlib.import_module("smoothbound.adapters")
    if name not in _HOME:
        raise AttributeError(f"module 'smoothbound' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"smoothbound.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
