"""Which draws of which inputs share a batch, and the model that turns them into scores."""

from smoothbound._utils.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
