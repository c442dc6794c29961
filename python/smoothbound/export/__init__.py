"""Results folders as files for other programs: CSV, JSON Lines, published logs, LaTeX."""

from smoothbound._utils.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
