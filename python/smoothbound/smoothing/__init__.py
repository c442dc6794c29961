"""The smoothed classifier: a base classifier under Gaussian noise, and its certificates."""

from smoothbound._utils.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
