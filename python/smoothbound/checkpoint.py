"""Checkpoints in the layout published with Cohen et al. 2019, written whole and read safely.

A checkpoint is a dict of ``arch``, ``state_dict``, ``epoch`` and ``optimizer``; those written here
also hold ``training``, the settings of the run, and ``history``, a row for each epoch. Reading one
never runs code from it.
"""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from smoothbound.errors import CheckpointError
from smoothbound.models import ARCHITECTURES, build
from smoothbound.store import replacing

__all__ = ["Info", "load", "restore", "save"]

_LAYOUT: dict[str, type] = {"arch": str, "state_dict": dict, "epoch": int}  # needed, to certify
_LAST = "1.fc.bias"  # of every architecture; one number for each class
_SHOWN = 4  # parameters that do not fit, named in an error


@dataclass(frozen=True)
class Info:
    """What a checkpoint is.

    Parameters
    ----------
    arch : str
        Name in `smoothbound.models.ARCHITECTURES`.
    epoch : int
        Number of epochs it was trained for.
    num_classes : int
        Number of logits.
    shape : tuple of int
        (channels, height, width) of its input.
    sha256 : str
        Hash of the whole file, in hexadecimal.
    training : dict
        Settings it was trained with, "sigma" among them; empty if the file does not say.
    history : list of dict
        What was measured in each epoch; empty if the file does not say.
    """

    arch: str
    epoch: int
    num_classes: int
    shape: tuple[int, int, int]
    sha256: str
    training: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)


def save(
    path: Path | str,
    model: nn.Module,
    *,
    arch: str,
    epoch: int,
    optimizer: Optimizer,
    training: Mapping[str, Any],
    history: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Write a checkpoint; one that is already there stays whole until the new one is complete.

    Parameters
    ----------
    path : path
        File to write or replace.
    model : nn.Module
        Made by `smoothbound.models.build`.
    arch : str
        The name it was built by.
    epoch : int
        Number of finished epochs.
    optimizer : Optimizer
        Its state is kept too.
    training : mapping of str to str, int, float, bool or None
        Settings of the run.
    history : sequence of mapping, optional
        A row of str to int or float for each epoch.

    Raises
    ------
    StoreError
        If the file cannot be written; what was at `path` is then unchanged.
    """
    buffer = io.BytesIO()
    content = {
        "epoch": epoch,
        "arch": arch,
        "state_dict": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "training": dict(training),
        "history": [dict(row) for row in history],
    }
    torch.save(content, buffer)
    with replacing(Path(path)) as file:
        file.write(buffer.getbuffer())


def load(path: Path | str, device: torch.device | str = "cpu") -> tuple[nn.Sequential, Info]:
    """Read a checkpoint into its network, in eval mode.

    Parameters
    ----------
    path : path
        A file written by `save`, or one published with Cohen et al. 2019.
    device : device
        Where the network goes.

    Returns
    -------
    model : nn.Sequential
        Takes images in [0, 1], (batch, channels, height, width), and returns logits.
    info : Info
        What the file says about it.

    Raises
    ------
    CheckpointError
        If the file is missing, is not a checkpoint, holds pickled code, lacks a part, names an
        unknown architecture, or holds parameters that do not fit it or are not finite.
    """
    path = Path(path)
    content, data = _content(path)
    arch, state = content["arch"], content["state_dict"]
    _check_claim(path, state, len(data))
    last = state.get(_LAST)
    num_classes = len(last) if isinstance(last, Tensor) and last.ndim and len(last) > 1 else 10
    model = build(arch, num_classes)
    _check_fit(path, arch, state, model.state_dict())
    model.load_state_dict(state)
    info = Info(
        arch=arch,
        epoch=content["epoch"],
        num_classes=num_classes,
        shape=ARCHITECTURES[arch].shape,
        sha256=hashlib.sha256(data).hexdigest(),
        training=content.get("training", {}),
        history=content.get("history", []),
    )
    return model.eval().to(device), info


def restore(path: Path | str, model: nn.Module, optimizer: Optimizer) -> int:
    """Put a network and its optimizer back to where a checkpoint left them.

    Parameters
    ----------
    path : path
        A file written by `save`.
    model : nn.Module
        The same network, on any device.
    optimizer : Optimizer
        Of the same kind, over the parameters of `model`.

    Returns
    -------
    int
        Number of finished epochs.

    Raises
    ------
    CheckpointError
        As `load`, and if the file holds no state of such an optimizer.
    """
    path = Path(path)
    content, _ = _content(path)
    _check_fit(path, content["arch"], content["state_dict"], model.state_dict())
    model.load_state_dict(content["state_dict"])
    try:
        optimizer.load_state_dict(content["optimizer"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(
            f"{path} holds no optimizer state to go on from ({error}); train anew"
        ) from error
    epoch: int = content["epoch"]
    return epoch


def _content(path: Path) -> tuple[dict[str, Any], bytes]:
    """Return what a checkpoint holds, its parts of the right types, and its bytes."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"cannot read checkpoint {path}: {error.strerror}") from error
    content = _unpickled(path, data)
    _check_layout(path, content)
    return content, data


def _unpickled(path: Path, data: bytes) -> Any:
    # torch before 2.6 reads this old format by a way that can run code in spite of weights_only
    if tarfile.is_tarfile(io.BytesIO(data)):
        raise CheckpointError(f"{path} is a tar file, which cannot be read safely; save it anew")
    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # arbitrary bytes end in almost any exception
        code = re.search(r"Unsupported global: GLOBAL (\S+)", str(error))
        if code:
            raise CheckpointError(
                f"{path} holds pickled code ({code[1]}), which is never run; save the network's "
                "state_dict, not the network itself"
            ) from error
        raise CheckpointError(
            f"{path} is not a checkpoint, or is not complete: it cannot be read as tensors and "
            f"plain values saved by torch.save ({type(error).__name__})"
        ) from error


def _check_layout(path: Path, content: Any) -> None:
    if not isinstance(content, dict):
        raise CheckpointError(
            f"{path} holds {type(content).__name__}; a checkpoint is a dict of {', '.join(_LAYOUT)}"
        )
    missing = [key for key in _LAYOUT if key not in content]
    if missing:
        found = ", ".join(map(str, content)) or "nothing"
        raise CheckpointError(f"{path} lacks {', '.join(missing)}; it holds {found}")
    for key, kind in {**_LAYOUT, "training": dict, "history": list}.items():
        value = content.get(key, kind())
        if not isinstance(value, kind):
            raise CheckpointError(
                f"{path}: {key} must be {kind.__name__}, got {type(value).__name__}"
            )
    if content["arch"] not in ARCHITECTURES:
        raise CheckpointError(
            f"{path} is of the architecture {content['arch']!r}, which is not known here; "
            f"known: {', '.join(ARCHITECTURES)}"
        )


def _check_claim(path: Path, state: dict[str, Any], size: int) -> None:
    """Refuse shapes larger than the file, before a network of that size is made."""
    tensors = [value for value in state.values() if isinstance(value, Tensor)]
    claimed = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    if claimed > size:
        raise CheckpointError(
            f"{path} claims parameters of {claimed} bytes, and has only {size} bytes in all"
        )


def _check_fit(path: Path, arch: str, state: dict[str, Any], needed: dict[str, Any]) -> None:
    wrong = [
        f"{name}: has {_kind(state.get(name))}, needs {_kind(needed.get(name))}"
        for name in dict.fromkeys([*needed, *state])
        if _kind(state.get(name)) != _kind(needed.get(name))
    ]
    if not wrong:
        wrong = [
            f"{name}: holds NaN or infinity"
            for name, value in state.items()
            if not bool(torch.isfinite(value).all())
        ]
    if wrong:
        more = [f"and {len(wrong) - _SHOWN} more"] if len(wrong) > _SHOWN else []
        raise CheckpointError(
            f"{path} does not fit {arch}:\n  " + "\n  ".join(wrong[:_SHOWN] + more)
        )


def _kind(value: object) -> str:
    if value is None:
        return "nothing"
    if not isinstance(value, Tensor) or value.layout != torch.strided or value.is_meta:
        return f"a {type(value).__name__} without dense values"
    return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
