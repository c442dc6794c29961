"""Certified confidence for smoothed classifiers.

`certify_scores` turns the scores of noisy draws into certificates; `SmoothedClassifier` makes the
draws with torch. Names and modules load on first use, so that the bounds work without torch.
"""

from __future__ import annotations

import warnings
from typing import Any

from smoothbound._utils.faces import face
from smoothbound._version import __version__ as __version__

_load, __dir__, __all__ = face(__name__, __file__)

_MOVED = {  # modules that had a name of their own; they go in 1.0
    "adaptive": "anytime",
    "arrays": "scores",
    "band": "bounds",
    "calibration": "analysis.calibration",
    "checkpoint": "models.checkpoint",
    "class_radius": "smoothing",
    "comparison": "analysis.comparison",
    "concentration": "analysis.concentration",
    "evaluation": "analysis.evaluation",
    "forecast": "recommend",
    "gaussian": "backends.gaussian",
    "knots": "analysis.knots",
    "lattice": "noise",
    "logs": "analysis.logs",
    "method": "bounds",
    "pilots": "recommend",
    "reference": "backends.reference",
    "runs": "smoothing",
    "schedule": "sampling",
    "score_files": "scores",
}


def __getattr__(name: str) -> Any:
    if name not in _MOVED:
        return _load(name)
    home, _, module = _MOVED[name].partition(".")
    warnings.warn(
        f"smoothbound.{name} has moved to smoothbound.{_MOVED[name]}", FutureWarning, stacklevel=2
    )
    found = getattr(_load(home), module) if module else _load(home)
    globals()[name] = found  # so that it warns once
    return found
