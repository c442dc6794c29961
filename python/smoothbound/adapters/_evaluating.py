"""Evaluation mode of the torch modules behind a model, which several threads may use at once."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from types import CodeType, FunctionType, MethodType
from typing import Any

from torch import nn

from smoothbound.adapters._base import BaseClassifier

__all__ = ["evaluating", "modules_behind"]

_DEPTH = 6  # largest number of wrappers around a module
_LIBRARIES = sys.stdlib_module_names | {"numpy", "scipy", "torch", "torchvision", "jax", "sklearn"}


def modules_behind(model: object) -> list[nn.Module]:
    """Find the modules that a base classifier calls.

    The search looks into bound methods, partial objects, attributes, containers, and the closures,
    defaults and globals of functions that belong to no library. It cannot find every module.

    Parameters
    ----------
    model : object
        A module, or a callable around modules.

    Returns
    -------
    list of nn.Module
        Each module once. Programs of torch.export are left out, because they have no modes.

    Examples
    --------
    >>> layer = nn.Dropout()
    >>> modules_behind(functools.partial(lambda scale, x: layer(x) * scale, 2.0)) == [layer]
    True
    """
    found: dict[int, nn.Module] = {}
    seen: set[int] = set()
    level: list[object] = [model]
    for _ in range(_DEPTH):
        inner: list[object] = []
        for one in level:
            if id(one) in seen:
                continue
            seen.add(id(one))
            if isinstance(one, nn.Module):
                if "eval" not in vars(one):  # programs of torch.export refuse it
                    found[id(one)] = one
            else:
                inner += _inside(one)
        level = inner
    return list(found.values())


def _inside(one: object) -> list[object]:
    """Return the objects that an object, which is not a module, may call."""
    if isinstance(one, functools.partial):
        return [one.func, *one.args, *one.keywords.values()]
    if isinstance(one, MethodType):
        return [one.__self__, one.__func__]
    if isinstance(one, FunctionType):
        return _called_by(one)
    if isinstance(one, BaseClassifier):
        return [one.function]
    if isinstance(one, list | tuple | set | frozenset):
        return list(one)
    if isinstance(one, dict):
        return list(one.values())
    if isinstance(one, type) or _is_of_library(one) or not callable(one):
        return []
    return [type(one).__call__, *getattr(one, "__dict__", {}).values()]


def _called_by(function: FunctionType) -> list[object]:
    if _is_of_library(function):
        return [vars(function).get("__wrapped__")]
    inner: list[object] = [
        *(function.__defaults__ or ()),
        *(function.__kwdefaults__ or {}).values(),
    ]
    for cell in function.__closure__ or ():
        try:
            inner.append(cell.cell_contents)
        except ValueError:  # the variable has no value yet
            continue
    names = _names(function.__code__)
    return inner + [function.__globals__[name] for name in names if name in function.__globals__]


def _names(code: CodeType) -> set[str]:
    """Return the global names that a function and its inner functions use."""
    inner = (_names(part) for part in code.co_consts if isinstance(part, CodeType))
    return set(code.co_names).union(*inner)


def _is_of_library(one: Any) -> bool:
    module = getattr(one, "__module__", None) or type(one).__module__
    return str(module).partition(".")[0] in _LIBRARIES - {"__main__"}


@dataclass
class _Held:
    """A part of a module in use, and its mode before its first user."""

    part: nn.Module
    training: bool
    users: int = 0


_held: dict[int, _Held] = {}
_lock = Lock()


@contextmanager
def evaluating(model: object) -> Iterator[None]:
    """Put the modules behind a model into evaluation mode, and restore their modes at the end.

    Threads may share modules. The last one to leave restores the modes.
    """
    roots = modules_behind(model)
    # A module made by torch.jit.freeze has no mode, because it is always in evaluation mode.
    parts = [
        list({id(p): p for p in root.modules() if hasattr(p, "training")}.values())
        for root in roots
    ]
    with _lock:
        for root, own in zip(roots, parts, strict=True):
            for part in own:
                _held.setdefault(id(part), _Held(part, part.training)).users += 1
            if any(part.training for part in own):
                root.eval()
    try:
        yield
    finally:
        with _lock:
            for own in parts:
                _release(own)


def _release(parts: list[nn.Module]) -> None:
    """Give up one use of each part; restore the parts that nobody else uses."""
    before: list[_Held] = []
    for part in parts:
        held = _held[id(part)]
        held.users -= 1
        if not held.users:
            before.append(_held.pop(id(part)))
    for held in before:
        shared = any(id(p) in _held for p in held.part.modules())
        if not shared:  # train() may do more than set the mode, and acts on all parts below
            held.part.train(held.training)
    for held in before:
        held.part.training = held.training
