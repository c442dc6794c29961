"""Certified confidence for smoothed classifiers.

`certify_scores` turns the scores of noisy draws into certificates; `SmoothedClassifier` makes the
draws with torch. Names and modules load on first use, so that the bounds work without torch.
"""

from smoothbound._utils.faces import face
from smoothbound._version import __version__ as __version__

__getattr__, __dir__, __all__ = face(__name__, __file__)
