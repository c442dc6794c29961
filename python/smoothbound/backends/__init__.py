"""Implementations of the bounds: the C++ core, numba where there is no core, the slow oracle."""

from smoothbound._utils.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
