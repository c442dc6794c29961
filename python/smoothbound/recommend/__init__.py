"""Which sigma and how many draws to certify with, forecast from short pilot runs."""

from smoothbound._utils.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
