"""Files of tables: JSON, or an .npz file of arrays. No code in them is run."""

from __future__ import annotations

import io
import json
import math
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from smoothbound._files.npy import array_header
from smoothbound._files.plain import open_plain
from smoothbound.errors import StoreError, said

__all__ = ["KEYS", "MOST_VALUES", "form_of", "is_of_arrays", "read", "write"]

KEYS = ("radii", "p", "values")
MOST_VALUES = 2**20
_MOST_BYTES = 64 * MOST_VALUES  # of a file; a number has at most 25 characters in JSON
_MOST_BYTES_OF_ARRAY = 8 * MOST_VALUES + 2**16  # with its header


def is_of_arrays(path: Path) -> bool:
    """Whether a file is one of arrays, by its name."""
    return path.suffix.lower() == ".npz"


def form_of(path: Path) -> str:
    """Say what a file must be."""
    if is_of_arrays(path):
        return "an .npz file of the arrays radii, p and values"
    return 'JSON of the form {"radii": [...], "p": [...], "values": [[...], ...]}'


def read(path: Path) -> Any:
    """Return what a file holds, which is not checked yet.

    Raises
    ------
    StoreError
        If it cannot be read, or is larger than any table.
    RecursionError, ValueError
        If it is no such file.
    """
    with open_plain(path) as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise StoreError(f"{path} must be at most 64 MiB, which hold 2^20 values")
    if is_of_arrays(path):
        return _arrays(data)
    return json.loads(data, object_pairs_hook=_without_repetition)


def write(file: BinaryIO, path: Path, values: dict[str, Any]) -> None:
    """Write a table into an open file, as the name of its path says."""
    if is_of_arrays(path):
        np.savez(file, radii=values["radii"], p=values["p"], values=values["values"])
    else:
        file.write(json.dumps(values).encode())


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the dict of an object of JSON, which must not give a value twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _arrays(data: bytes) -> dict[str, NDArray[Any]]:
    """Return the arrays of an .npz file. What it says of their sizes is held against its bytes."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            if sorted(names) != sorted(f"{name}.npy" for name in KEYS):
                raise ValueError(f"it holds {', '.join(names)[:200] or 'nothing'}")
            return {name: _array(name, archive) for name in KEYS}
    except Exception as error:  # arbitrary bytes end in almost any exception
        raise ValueError(said(error)) from error


def _array(name: str, archive: zipfile.ZipFile) -> NDArray[Any]:
    with archive.open(f"{name}.npy") as packed:
        content = packed.read(_MOST_BYTES_OF_ARRAY + 1)  # an archive may unpack to any size
    if len(content) > _MOST_BYTES_OF_ARRAY:
        raise ValueError(f"{name} must be at most 2^20 numbers")
    stream = io.BytesIO(content)
    shape, by_columns, dtype = array_header(name, stream)
    size = len(content) - stream.tell()
    if dtype.hasobject or math.prod(shape) * dtype.itemsize != size:
        raise ValueError(f"{name} holds {size} bytes, not {shape} of {dtype}")
    flat = np.frombuffer(content, dtype, offset=stream.tell())
    return flat.reshape(shape, order="F" if by_columns else "C")
