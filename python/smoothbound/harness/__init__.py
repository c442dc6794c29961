"""Adapters for evaluation libraries and for Ray: certificates where people already evaluate.

Each file imports its library when it is first used.
"""

from smoothbound._utils.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
