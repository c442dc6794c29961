"""Functions compiled by numba, kept on disk for the next process where that can be done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

__all__ = ["jit"]

Function = TypeVar("Function", bound=Callable[..., Any])


def jit(function: Function) -> Function:
    """Compile a function when it is first called; it runs without the GIL.

    Where no folder for the compiled code can be written, as in a read-only installation of a user
    without a home, every process compiles for itself.
    """
    compiled: Any
    try:
        compiled = njit(nogil=True, cache=True)(function)
    except RuntimeError:  # numba: no locator available
        compiled = njit(nogil=True)(function)
    return cast(Function, compiled)
