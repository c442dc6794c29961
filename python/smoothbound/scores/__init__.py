"""Scores of noisy draws, from arrays of any library and from files."""

from smoothbound._utils.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
