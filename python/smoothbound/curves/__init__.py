"""Binary certificates of other noises: the least probability of an event within a radius R."""

from smoothbound._utils.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
