"""Scores reduced to counts over fixed edges: small, mergeable, and certifiable later."""

from smoothbound._utils.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
