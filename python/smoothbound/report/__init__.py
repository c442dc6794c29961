"""Figures and tables of results folders and of published logs, written into one folder."""

from smoothbound._utils.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
