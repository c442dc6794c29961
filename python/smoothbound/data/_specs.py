"""The short names of the data sets, for help texts, errors and commands that are written."""

from __future__ import annotations

__all__ = ["PLACES", "SPECS"]

PLACES = {"digits": "", "cifar10": "DIR", "imagenet": "DIR", "images": "DIR", "npz": "FILE"}
"""What follows the colon of each name: nothing, a folder or a file."""

_NAMES = [f"{name}:{place}" if place else name for name, place in PLACES.items()]
SPECS = f"{', '.join(_NAMES[:-1])} or {_NAMES[-1]}"
"""The names in a sentence."""
