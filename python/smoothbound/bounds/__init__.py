"""From the scores of an input to its certificate: bands, bounds and certified radii."""

from smoothbound._utils.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
