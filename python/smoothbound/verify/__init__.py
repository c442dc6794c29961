"""Certificates computed again from the data of a folder, to verify them or at other radii."""

from smoothbound._utils.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
