"""Counts of the scores of all classes, and what they certify together."""

from smoothbound._utils.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
