"""Adapters for evaluation libraries, which give them certificates, and for Ray.

Each file imports its library when it is first used.
"""

from smoothbound._utils.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
