"""Base classifiers that are not torch modules: functions and models of other libraries."""

from smoothbound._utils.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
