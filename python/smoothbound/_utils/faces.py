"""The public names of a folder, which load when they are first used."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import lazy_loader

from smoothbound._utils.extras import name_the_extra

__all__ = ["face", "public"]

Face = tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]


def face(package: str, file: str) -> Face:
    """Return ``__getattr__``, ``__dir__`` and ``__all__`` of a package, from its stub.

    The stub ``__init__.pyi`` lists the public names and the files that define them. If a name needs
    a package that is not installed, the error names the extra that brings the package.
    """
    load, listed, names = lazy_loader.attach_stub(package, file)

    def get(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        with name_the_extra():
            return load(name)

    return get, listed, names


def public(name: str) -> Any:
    """Return the object with a public name of the package, or None if there is none.

    The object is loaded if needed. A file of results names the class that it holds. Modules on a
    lower floor load that class with this function, because they must not import upward.
    """
    return getattr(importlib.import_module("smoothbound"), name, None)
