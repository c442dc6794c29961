"""Anytime certificates, which hold whenever drawing stops."""

from smoothbound._utils.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
