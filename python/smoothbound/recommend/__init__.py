"""Recommendations of sigma and of the number of draws, forecast from short pilot runs."""

from smoothbound._utils.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
