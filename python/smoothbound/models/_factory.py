"""A user's own network, which a named function makes."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from torch import nn
from torch.nn.parameter import is_lazy

from smoothbound._utils import checks
from smoothbound.errors import ModelError, said

__all__ = ["HF", "LIBRARIES", "TIMM", "from_factory"]

HF, TIMM = LIBRARIES = ("hf:", "timm:")  # names that begin so are no factories


def from_factory(name: str) -> nn.Module:
    """Import a module and return the network that a function or class in it makes, in eval mode.

    This runs the code of the module, so name only one that you trust. A file of weights or results
    cannot name one.

    Parameters
    ----------
    name : str
        ``package.module:factory``; the factory is called without arguments.

    Raises
    ------
    ValueError, TypeError
        If the name is not of that form.
    ModelError
        If there is no such module or factory, either raises, or it does not make an ``nn.Module``
        whose parameters have values.

    Examples
    --------
    >>> from_factory("torch.nn:Identity")
    Identity()
    """
    if not isinstance(name, str):
        raise TypeError(f"model must be package.module:factory, got {checks.shown(name)}")
    module, colon, factory = name.partition(":")
    if not (module and colon and factory.isidentifier()):
        raise ValueError(f"model must be package.module:factory, got {checks.shown(name)}")
    try:
        with _no_arguments():
            make = getattr(importlib.import_module(module), factory)
    except (ImportError, AttributeError) as error:
        raise ModelError(
            f"model {name!r} cannot be imported: {said(error)}; the module must be installed, or "
            "lie in the current folder"
        ) from error
    except (Exception, SystemExit) as error:
        raise ModelError(f"model {name!r} cannot be imported: {_told(error)}") from error
    if isinstance(make, nn.Module):
        raise ModelError(
            f"model {name!r} is a network, not a function that makes one: add "
            f"`def make(): return {factory}` to its module and name {module}:make"
        )
    try:
        with _no_arguments():
            model = make()
    except (Exception, SystemExit) as error:
        raise ModelError(
            f"model {name!r}: calling {factory}() without arguments raised {_told(error)}"
        ) from error
    if not isinstance(model, nn.Module):
        raise ModelError(f"model {name!r} made a {type(model).__name__}, not a torch.nn.Module")
    _check_values(name, model)
    with suppress(NotImplementedError):  # an exported one stays in the mode it was exported in
        model.eval()
    return model


@contextmanager
def _no_arguments() -> Iterator[None]:
    """Hide the command line from a module that reads `sys.argv` when it is imported."""
    words = sys.argv
    sys.argv = words[:1]
    try:
        yield
    finally:
        sys.argv = words


def _told(error: BaseException) -> str:
    """Describe an error and its place in one line."""
    *_, frame = traceback.extract_tb(error.__traceback__)
    message = " ".join(said(error).split())
    return f"{type(error).__name__}: {message} ({Path(frame.filename).name}, line {frame.lineno})"


def _check_values(name: str, model: nn.Module) -> None:
    """Refuse a network if one of its parameters has no value yet."""
    for part, value in (*model.named_parameters(), *model.named_buffers()):
        if is_lazy(value):
            raise ModelError(
                f"model {name!r}: {part} has no shape before a first input; give the network one "
                "in the factory, such as model(torch.zeros(1, 3, 32, 32))"
            )
        if value.is_meta:
            raise ModelError(
                f"model {name!r}: {part} lies on the device 'meta' and has no values; make the "
                "network on the CPU"
            )
