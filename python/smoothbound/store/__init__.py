"""Results folders: written input by input, killed and continued at will, read as one table."""

from smoothbound._utils.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
