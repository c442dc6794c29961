"""Prediction sets that hold the true class under attack, from the scores of noisy draws."""

from smoothbound._utils.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
