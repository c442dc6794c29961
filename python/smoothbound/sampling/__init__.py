"""Sampling: draws of many inputs share batches, and the model turns them into scores."""

from smoothbound._utils.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
