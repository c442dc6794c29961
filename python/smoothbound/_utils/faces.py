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

    The stub ``__init__.pyi`` lists the public names and where they are defined. A name that needs
    a package which is not installed says which extra brings it.
    """
    load, listed, names = lazy_loader.attach_stub(package, file)

    def get(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        with name_the_extra():
            return load(name)

    return get, listed, names


def public(name: str) -> Any:
    """Return what the package has under a public name, loaded now if it was not; None if nothing.

    A file of results names the class that it holds. Files on a low floor load it by this, because
    they cannot import what stands above them.
    """
    return getattr(importlib.import_module("smoothbound"), name, None)
