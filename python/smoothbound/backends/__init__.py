"""The implementations of the bounds: the C++ core, numba without it, and a slow reference."""

from smoothbound._utils.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
