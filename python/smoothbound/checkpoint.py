"""Checkpoints in the layout published with Cohen et al. 2019, written whole and read safely.

A checkpoint is a dict of ``arch``, ``state_dict``, ``epoch`` and ``optimizer``; those written here
also hold ``training``, the settings of the run, and ``history``, a row for each epoch. A bare
``state_dict``, from torch.save or safetensors, is read too where its network is named. Reading a
file never runs code from it.
"""

from __future__ import annotations

import hashlib
import io
import re
import struct
import tarfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from smoothbound.errors import CheckpointError
from smoothbound.models import ARCHITECTURES, build, from_factory
from smoothbound.replacing import replacing

__all__ = ["Info", "load", "restore", "save"]

_LAYOUT: dict[str, type] = {"arch": str, "state_dict": dict, "epoch": int}  # needed, to certify
_LAST = re.compile(r"(module\.)?(1\.)?(module\.)?fc\.bias")  # one number for each class
_PARALLEL = re.compile(r"(^|\.)module\.")  # what nn.DataParallel puts before the names of a network
_COUNTER = ".num_batches_tracked"  # not used to predict, and not in files of before torch 0.4.1
_NUMBERS = {  # NumPy types, and how struct calls them
    **{"b1": "?", "f2": "e", "f4": "f", "f8": "d"},
    **{"i1": "b", "i2": "h", "i4": "i", "i8": "q", "u1": "B", "u2": "H", "u4": "I", "u8": "Q"},
}
_SHOWN = 4  # parameters that do not fit, named in an error, of each way not to fit


@dataclass(frozen=True)
class Info:
    """What a checkpoint is.

    Parameters
    ----------
    arch : str
        Name in `smoothbound.models.ARCHITECTURES`, or the ``package.module:factory`` that was
        asked for.
    epoch : int or None
        Number of epochs it was trained for, if the file says.
    num_classes : int or None
        Number of logits; None for a network from a factory.
    shape : tuple of int or None
        (channels, height, width) of its input; None for a network from a factory.
    sha256 : str
        Hash, in hexadecimal, of the whole file; without one, of the network's parameters.
    training : dict
        Settings it was trained with, "sigma" among them; empty if the file does not say.
    history : list of dict
        What was measured in each epoch; empty if the file does not say.
    """

    arch: str
    epoch: int | None
    num_classes: int | None
    shape: tuple[int, int, int] | None
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


def load(
    path: Path | str | None, device: torch.device | str = "cpu", *, arch: str | None = None
) -> tuple[nn.Module, Info]:
    """Read a checkpoint into its network, in eval mode.

    Parameters
    ----------
    path : path or None
        A file written by `save`, one published with Cohen et al. 2019, or a state_dict saved by
        torch.save or, with the ending .safetensors, by safetensors. None: the network as its
        factory made it.
    device : device
        Where the network goes.
    arch : str, optional
        Its network, where the file does not name it: a name in `smoothbound.models.ARCHITECTURES`,
        or ``package.module:factory``, see `smoothbound.models.from_factory`.

    Returns
    -------
    model : nn.Module
        Takes images in [0, 1], (batch, channels, height, width), and returns logits.
    info : Info
        What the file says about it.

    Raises
    ------
    CheckpointError
        If the file is missing, is not a checkpoint, holds pickled code, lacks a part, names an
        unknown architecture, or holds parameters that do not fit it or are not finite.
    ModelError
        If the factory cannot be imported or makes no network.
    ValueError
        If `arch` is neither a known name nor a factory.
    """
    if arch is not None and ":" not in arch and arch not in ARCHITECTURES:
        raise ValueError(
            f"arch must be one of {', '.join(ARCHITECTURES)}, or package.module:factory; "
            f"got {arch!r}"
        )
    if path is None:
        return _from_factory_alone(arch, device)
    path = Path(path)
    content, data = _content(path, arch)
    arch, state = content["arch"], content["state_dict"]
    _check_claim(path, state, len(data))
    num_classes = shape = None
    if ":" in arch:
        model = from_factory(arch)
    else:
        last = next((value for name, value in state.items() if _LAST.fullmatch(name)), None)
        num_classes = len(last) if isinstance(last, Tensor) and last.ndim and len(last) > 1 else 10
        shape = ARCHITECTURES[arch].shape
        model = build(arch, num_classes)
    model.load_state_dict(_fitting(path, arch, state, model.state_dict()))
    info = Info(
        arch=arch,
        epoch=content.get("epoch"),
        num_classes=num_classes,
        shape=shape,
        sha256=hashlib.sha256(data).hexdigest(),
        training=content.get("training", {}),
        history=content.get("history", []),
    )
    return model.eval().to(device), info


def _from_factory_alone(arch: str | None, device: torch.device | str) -> tuple[nn.Module, Info]:
    if arch is None or ":" not in arch:
        raise CheckpointError(
            "a checkpoint is needed, or a package.module:factory that makes a trained network; "
            f"got the network {arch!r} alone"
        )
    model = from_factory(arch).to(device)
    sha256 = hashlib.sha256()
    for name, value in model.state_dict().items():
        sha256.update(f"{name} {_kind(value)}\n".encode())
        sha256.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return model, Info(arch, None, None, None, sha256.hexdigest())


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
    model.load_state_dict(
        _fitting(path, content["arch"], content["state_dict"], model.state_dict())
    )
    try:
        optimizer.load_state_dict(content["optimizer"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(
            f"{path} holds no optimizer state to go on from ({error}); train anew"
        ) from error
    epoch: int = content["epoch"]
    return epoch


def _content(path: Path, arch: str | None = None) -> tuple[dict[str, Any], bytes]:
    """Return what a checkpoint holds, its parts of the right types, and its bytes."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"cannot read checkpoint {path}: {error.strerror}") from error
    content = (_safetensors if path.suffix == ".safetensors" else _unpickled)(path, data)
    if isinstance(content, dict) and all(isinstance(v, Tensor) for v in content.values()):
        if arch is None and content:
            raise CheckpointError(
                f"{path} holds a bare state_dict: name its network too, by --arch; one of "
                f"{', '.join(ARCHITECTURES)}, or package.module:factory"
            )
        content = {"state_dict": content} if content else content
    if isinstance(content, dict) and arch is not None:
        if ":" not in arch and content.get("arch", arch) != arch:
            raise CheckpointError(
                f"{path} is of the architecture {content['arch']!r}, not {arch!r}"
            )
        content = content | {"arch": arch}
    _check_layout(path, content, given=arch)
    return content, data


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
    # torch before 2.6 reads this old format by a way that can run code in spite of weights_only
    if tarfile.is_tarfile(io.BytesIO(data)):
        raise CheckpointError(
            f"{path} is a tar file: if it is an archive, unpack it (tar -xf) and name a checkpoint "
            "in it; torch's own tar format of 2016 cannot be read safely, save it anew"
        )
    try:
        with _numpy_numbers():
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


class _NumPyType:
    """Stands for the type of a NumPy number in a pickle."""

    def __init__(self, name: str, *_: object) -> None:
        self.name, self.order = name, "="

    def __setstate__(self, state: Any) -> None:
        self.order = state[1] if state[1] in "<>" else "="


def _number(kind: _NumPyType, data: bytes) -> Any:
    """Stands for what makes a NumPy number from a pickle; returns a plain one."""
    (value,) = struct.unpack(kind.order + _NUMBERS[kind.name], data)
    return value


def _numpy_numbers() -> AbstractContextManager[object]:
    """Let torch read NumPy numbers, such as a learning rate, as plain ones; nothing is run."""
    if tuple(map(int, torch.__version__.split(".")[:2])) < (2, 7):  # knows no stand-ins yet
        return nullcontext()
    return torch.serialization.safe_globals(
        [
            (_number, "numpy.core.multiarray.scalar"),
            (_number, "numpy._core.multiarray.scalar"),
            (_NumPyType, "numpy.dtype"),
        ]
    )


def _check_layout(path: Path, content: Any, given: str | None) -> None:
    if not isinstance(content, dict):
        raise CheckpointError(
            f"{path} holds {type(content).__name__}; a checkpoint is a dict of {', '.join(_LAYOUT)}"
        )
    needed = _LAYOUT if given is None else ("state_dict",)
    missing = [key for key in needed if key not in content]
    if missing:
        found = ", ".join(map(str, content)) or "nothing"
        raise CheckpointError(f"{path} lacks {', '.join(missing)}; it holds {found}")
    for key, kind in {**_LAYOUT, "training": dict, "history": list}.items():
        value = content.get(key, kind())
        if not isinstance(value, kind):
            raise CheckpointError(
                f"{path}: {key} must be {kind.__name__}, got {type(value).__name__}"
            )
    wrong = next((name for name in content["state_dict"] if not isinstance(name, str)), None)
    if wrong is not None:
        raise CheckpointError(f"{path}: names in state_dict must be str, got {wrong!r}")
    if content["arch"] not in ARCHITECTURES and not (given and ":" in given):
        raise CheckpointError(
            f"{path} is of the architecture {content['arch']!r}, which is not known here; "
            f"known: {', '.join(ARCHITECTURES)}, and package.module:factory by --arch"
        )


def _check_claim(path: Path, state: dict[str, Any], size: int) -> None:
    """Refuse shapes larger than the file, before a network of that size is made."""
    tensors = [value for value in state.values() if isinstance(value, Tensor)]
    claimed = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    if claimed > size:
        raise CheckpointError(
            f"{path} claims parameters of {claimed} bytes, and has only {size} bytes in all"
        )


def _fitting(
    path: Path, arch: str, state: dict[str, Any], needed: dict[str, Any]
) -> dict[str, Any]:
    """Return the parameters under the names that a network needs, if they fit it."""
    found = _renamed(state, needed)
    missing: list[str] = []
    unexpected: list[str] = []
    other: list[str] = []
    for name in dict.fromkeys([*needed, *found]):
        has, needs = _kind(found.get(name)), _kind(needed.get(name))
        if has != needs:
            kind = missing if name not in found else unexpected if name not in needed else other
            kind.append(f"{name}: has {has}, needs {needs}")
    wrong = [missing, unexpected, other]
    summary = (
        f"{len(missing)} missing, {len(unexpected)} unexpected, {len(other)} of another shape or "
        "type"
    )
    if not any(wrong):
        wrong = [
            [
                f"{name}: holds NaN or infinity"
                for name, value in found.items()
                if not bool(torch.isfinite(value).all())
            ]
        ]
        summary = f"{len(wrong[0])} not finite"
    if any(wrong):
        shown = [line for lines in wrong for line in lines[:_SHOWN]]
        more = sum(map(len, wrong)) - len(shown)
        shown += [f"and {more} more"] if more else []
        raise CheckpointError(f"{path} does not fit {arch} ({summary}):\n  " + "\n  ".join(shown))
    return found


def _renamed(state: dict[str, Any], needed: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters by the names that are needed, as far as they can be told.

    nn.DataParallel puts "module." before names, and networks without our normalisation lack "1.".
    """
    found: dict[str, Any] = {}
    for name in sorted(state, key=lambda name: name not in needed):  # exact names go first
        plain = _PARALLEL.sub(r"\1", name)
        known = next((n for n in (name, plain, f"1.{plain}") if n in needed), name)
        found[name if known in found else known] = state[name]
    counters = (name for name in needed if name.endswith(_COUNTER))
    return {name: needed[name] for name in counters if name not in found} | found


def _kind(value: object) -> str:
    if value is None:
        return "nothing"
    if not isinstance(value, Tensor) or value.layout != torch.strided or value.is_meta:
        return f"a {type(value).__name__} without dense values"
    return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
