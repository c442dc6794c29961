"""Counts of the scores of all classes, and joint certificates from them."""

from smoothbound._utils.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
