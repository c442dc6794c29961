"""Binary certificates of other noises: what the probability of an event can fall to within R."""

from smoothbound._utils.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
