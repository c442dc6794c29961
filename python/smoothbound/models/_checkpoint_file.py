"""Reads a file of tensors without running code from it.

torch reads tensors and plain values by its own unpickler, which runs nothing that a file names.
Training programs also keep random states and metrics of NumPy in the file. NumPy's numbers become
plain ones, and its arrays become stand-ins without values.
"""

from __future__ import annotations

import io
import re
import struct
import tarfile
import warnings
import zipfile
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from smoothbound.errors import CheckpointError

__all__ = ["NumPyArray", "content"]

_PROTOCOL = 2  # the newest protocol of pickle that torch reads without running code
_NUMBERS = {  # names of NumPy types, and of the same types in struct
    **{"b1": "?", "f2": "e", "f4": "f", "f8": "d"},
    **{"i1": "b", "i2": "h", "i4": "i", "i8": "q", "u1": "B", "u2": "H", "u4": "I", "u8": "Q"},
}


def content(path: Path, data: bytes) -> Any:
    """Return the content of a file: tensors, plain values and stand-ins for NumPy's arrays.

    Parameters
    ----------
    path : path
        Its ending tells safetensors from torch.save.
    data : bytes
        The whole file.

    Raises
    ------
    CheckpointError
        If the file is of another kind, incomplete, or holds code.
    """
    return (_safetensors if path.suffix == ".safetensors" else _unpickled)(path, data)


def _safetensors(path: Path, data: bytes) -> dict[str, Tensor]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load as tensors
    except ImportError as error:
        raise CheckpointError(
            f"{path} needs safetensors; install it with: pip install 'smoothbound[safetensors]'"
        ) from error
    try:
        state: dict[str, Tensor] = tensors(data)
    except (SafetensorError, ValueError, KeyError) as error:  # KeyError: a type torch has not
        raise CheckpointError(
            f"{path} is not a safetensors file, or not complete ({error})"
        ) from error
    return state


def _unpickled(path: Path, data: bytes) -> Any:
    # torch before 2.6 reads this old format in a way that can run code in spite of weights_only.
    if tarfile.is_tarfile(io.BytesIO(data)):
        raise CheckpointError(
            f"{path} is a tar file: if it is an archive, unpack it (tar -xf) and name a checkpoint "
            "in it; torch's own tar format of 2016 cannot be read safely, save it anew"
        )
    _check_kind(path, data)
    try:
        with _numpy_values(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # this module checks for the causes of these warnings
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # arbitrary bytes can raise almost any exception
        code = re.search(r"Unsupported global: GLOBAL (\S+)", str(error))
        if code:
            raise CheckpointError(
                f"{path} holds pickled code ({code[1]}), which is never run; save the network's "
                "state_dict, and numbers and texts beside it, not the network itself"
            ) from error
        raise CheckpointError(
            f"{path} is not a checkpoint, or is not complete: it cannot be read as tensors and "
            f"plain values saved by torch.save ({type(error).__name__})"
        ) from error


def _check_kind(path: Path, data: bytes) -> None:
    """Refuse programs, compressed files, and protocols of pickle that torch cannot read safely."""
    entries, pickled = _inside(data)
    if any(entry.filename.endswith("/constants.pkl") for entry in entries):
        raise CheckpointError(
            f"{path} is a TorchScript program, not a checkpoint; save its state_dict, or name a "
            "factory that returns torch.jit.load(...)"
        )
    size = sum(entry.file_size for entry in entries)
    if size > len(data):  # torch.save does not compress
        raise CheckpointError(f"{path} has {len(data)} bytes and unpacks to {size}; save it anew")
    if entries and (damaged := _damaged(data)):  # torch does not look at the checksums
        raise CheckpointError(
            f"{path} is damaged: {damaged} in it does not have the checksum it was written with"
        )
    if pickled[:1] == b"\x80" and pickled[1:] > bytes([_PROTOCOL]):
        raise CheckpointError(
            f"{path} is not a checkpoint that can be read without running code: it has pickle "
            f"protocol {pickled[1]}; save it with torch.save's own protocol, {_PROTOCOL}"
        )


def _damaged(data: bytes) -> str | None:
    """Return the name of a damaged entry of a zip file; None if all are whole."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return archive.testzip()
    except Exception:  # a damaged file, which torch refuses
        return None


def _inside(data: bytes) -> tuple[list[zipfile.ZipInfo], bytes]:
    """Return the entries of a zip file, and the first two bytes of its pickle."""
    entries: list[zipfile.ZipInfo] = []
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            pickled = next(entry for entry in entries if entry.filename.endswith("/data.pkl"))
            with archive.open(pickled) as file:
                return entries, file.read(2)
    except Exception:  # the format before zip, or a damaged file, which torch refuses
        return entries, data[:2]


# NumPy -------------------------------------------------------------------------------------------


class _NumPyType:
    """Stands for the type of a NumPy number in a pickle."""

    def __init__(self, name: str, *_: object) -> None:
        self.name, self.order = name, "="

    def __setstate__(self, state: Any) -> None:
        self.order = state[1] if state[1] in "<>" else "="


class NumPyArray:
    """Stands for a NumPy array in a pickle, without its values."""

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


def _number(kind: _NumPyType, data: bytes) -> Any:
    """Stands for the function that makes a NumPy number from a pickle; returns a plain number."""
    (value,) = struct.unpack(kind.order + _NUMBERS[kind.name], data)
    return value


def _numpy_values() -> AbstractContextManager[object]:
    """Let torch read NumPy numbers, such as a learning rate, as plain ones; no code is run."""
    if tuple(map(int, torch.__version__.split(".")[:2])) < (2, 7):  # knows no stand-ins yet
        return nullcontext()
    inside = ("numpy.core.multiarray", "numpy._core.multiarray")  # before and since NumPy 2
    return torch.serialization.safe_globals(
        [
            *((_number, f"{module}.scalar") for module in inside),
            *((NumPyArray, f"{module}._reconstruct") for module in inside),
            (NumPyArray, "numpy.ndarray"),
            (_NumPyType, "numpy.dtype"),
        ]
    )
