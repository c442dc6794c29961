"""Packages that only some parts need: an import that fails says which extra brings them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["named"]

_EXTRA_OF = {
    "torch": "torch",
    "matplotlib": "report",
    "jinja2": "report",
    "PIL": "data",
    "sklearn": "data",
    "pandas": "all",
    "safetensors": "safetensors",
}


@contextmanager
def named() -> Iterator[None]:
    """Have a package of an extra that is missing within named, with the extra that brings it.

    Raises
    ------
    ModuleNotFoundError
        In place of the one that was raised within, where it is about such a package.

    Examples
    --------
    >>> with named():
    ...     raise ModuleNotFoundError("No module named 'jinja2'", name="jinja2")
    Traceback (most recent call last):
    ...
    ModuleNotFoundError: this part of smoothbound needs jinja2, which is not installed; \
pip install "smoothbound[report]" brings it
    """
    try:
        yield
    except ModuleNotFoundError as error:
        extra = _EXTRA_OF.get(error.name or "")
        if extra is None or "smoothbound[" in error.msg:
            raise
        raise ModuleNotFoundError(
            f"this part of smoothbound needs {error.name}, which is not installed; "
            f'pip install "smoothbound[{extra}]" brings it',
            name=error.name,
        ) from error
