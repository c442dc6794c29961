"""Packages that only some parts need: an import that fails says which extra brings them."""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder
from typing import Any

__all__ = ["explain_missing"]

_EXTRA_OF = {
    "torch": "torch",
    "matplotlib": "report",
    "jinja2": "report",
    "PIL": "data",
    "sklearn": "data",
    "pandas": "all",
    "safetensors": "safetensors",
    "onnxruntime": "onnx",
    "jax": "jax",
    "torchvision": "torchvision",
}


class _Missing(MetaPathFinder):
    """Asked after all other finders, and so only for what is not installed."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> None:
        extra = _EXTRA_OF.get(fullname)
        if extra is not None and _importer().partition(".")[0] == "smoothbound":
            raise ModuleNotFoundError(
                f"this part of smoothbound needs {fullname}, which is not installed; "
                f'pip install "smoothbound[{extra}]" brings it',
                name=fullname,
            )


def explain_missing() -> None:
    """Have failing imports of smoothbound name the extra, and leave those of others alone."""
    sys.meta_path.append(_Missing())


def _importer() -> str:
    """Return the name of the module whose import is being answered."""
    frame = sys._getframe(2)
    while frame.f_back and _name(frame).startswith("importlib"):
        frame = frame.f_back
    return _name(frame)


def _name(frame: Any) -> str:
    return str(frame.f_globals.get("__name__", ""))
