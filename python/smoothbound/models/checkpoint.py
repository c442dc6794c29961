"""Checkpoints in the layout published with Cohen et al. 2019, written whole and read safely.

A checkpoint is a dict of ``arch``, ``state_dict``, ``epoch`` and ``optimizer``; those written here
also hold ``training``, the settings of the run, and ``history``, a row for each epoch. A bare
``state_dict``, from torch.save or safetensors, is read too if its network is named. Reading a
file never runs code from it.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from smoothbound._files.atomic import atomic_write
from smoothbound._files.digests import digest, state_digest
from smoothbound._files.plain import read_plain
from smoothbound._utils import checks
from smoothbound._utils.devices import resolved
from smoothbound.errors import CheckpointError, ModelError, said
from smoothbound.models._factory import HF, TIMM, from_factory
from smoothbound.models._hub.from_timm import timm_network, with_normalisation
from smoothbound.models._hub.from_transformers import folder_digest, from_transformers
from smoothbound.models._layout import read_content
from smoothbound.models._parameters import check_claim, load_parameters, num_classes_of
from smoothbound.models.architectures import ARCHITECTURES, build

__all__ = ["Info", "load", "restore", "save"]


@dataclass(frozen=True)
class Info:
    """Facts about a checkpoint.

    Parameters
    ----------
    arch : str
        Name in `smoothbound.models.ARCHITECTURES`, or the ``package.module:factory`` or
        ``timm:NAME`` that was requested; ``hf:`` and only the name of the folder.
    epoch : int or None
        Number of epochs it was trained for, if the file has it.
    num_classes : int or None
        Number of logits; None for a network from a factory.
    shape : tuple of int or None
        (channels, height, width) of its input; None for a network from a factory.
    sha256 : str
        Hash, in hexadecimal, of the whole file; without one, of the network's parameters.
    training : dict
        Settings it was trained with, "sigma" among them; empty if the file has none.
    history : list of dict
        Measurements of each epoch; empty if the file has none.
    remarks : tuple of str
        Notes about how the file was read, such as parts that were left out.
    """

    arch: str
    epoch: int | None
    num_classes: int | None
    shape: tuple[int, int, int] | None
    sha256: str
    training: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    remarks: tuple[str, ...] = ()


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
    path = checks.path("path", path)
    buffer = io.BytesIO()
    content = {
        "epoch": checks.count("epoch", epoch, 0),
        "arch": checks.instance("arch", arch, str),
        "state_dict": checks.instance("model", model, nn.Module).state_dict(),
        "optimizer": checks.instance("optimizer", optimizer, Optimizer).state_dict(),
        "training": dict(checks.instance("training", training, Mapping)),  # type: ignore[type-abstract]
        "history": [dict(row) for row in checks.items("history", history, Mapping)],  # type: ignore[type-abstract]
    }
    torch.save(content | {"digest": digest(content)}, buffer)
    with atomic_write(path) as file:
        file.write(buffer.getbuffer())


def load(
    path: Path | str | None,
    device: torch.device | str = "cpu",
    *,
    arch: str | None = None,
    state_dict: str | None = None,
    shape: tuple[int, int, int] | None = None,
) -> tuple[nn.Module, Info]:
    """Read a checkpoint into its network, in eval mode.

    Parameters
    ----------
    path : path or None
        A file written by `save`, one published with Cohen et al. 2019, or a state_dict saved by
        torch.save, alone or in a dict with other things, or, with the ending .safetensors, by
        safetensors. None: the network as its factory made it.
    device : device
        Where the network goes.
    arch : str, optional
        Its network, if the file does not name it: a name in `smoothbound.models.ARCHITECTURES`, or
        ``package.module:factory``, see `smoothbound.models.from_factory`; or ``timm:NAME``, see
        `smoothbound.models.from_timm`. Other parts of the file are then left out, and
        `Info.remarks` names them. With ``hf:DIR``, a folder as for
        `smoothbound.models.from_transformers`, `path` must be None.
    state_dict : str, optional
        Which parameters to take, if the file holds several: a key of the file, such as
        ``"model_ema"``, or the beginning of names in its state_dict, such as ``"ema_model."``.
    shape : tuple of int, optional
        (channels, height, width) of the images for a network of timm that takes any size; by
        default those of its data configuration.

    Returns
    -------
    model : nn.Module
        Takes images in [0, 1], (batch, channels, height, width), and returns logits.
    info : Info
        Facts about it from the file.

    Raises
    ------
    CheckpointError
        If the file is missing, is not a checkpoint, holds pickled code, lacks a part, is damaged,
        names an unknown architecture, or holds parameters that do not fit it or are not finite.
    ModelError
        If the factory cannot be imported or makes no network.
    ValueError, TypeError
        If `arch` is neither a known name nor a factory, `state_dict` is given without a file, or
        another argument is of another kind.

    Notes
    -----
    Names are taken without the ``module.`` of nn.DataParallel, the ``_orig_mod.`` of torch.compile
    and what all of them begin with, such as the ``model.`` of Lightning. A parameter that the
    network does not have is an error, because the network would compute something else without it.

    Files of safetensors, and those of torch.save before its zip format, have no checksum: one
    flipped bit of a parameter gives another network without an error. Results keep the SHA-256 of
    the file, by which it can be told from the one meant.
    """
    _check_names(arch, state_dict)
    if state_dict is not None and (path is None or (arch or "").startswith(HF)):
        raise ValueError(
            "state_dict must be left out without a checkpoint, because it chooses parameters of "
            f"that file, got {checks.shown(state_dict)}"
        )
    where = resolved(device)
    if arch is not None and arch.startswith(HF):
        return _from_folder(path, arch, where)
    if path is None:
        return _from_factory_alone(arch, where)
    path = checks.path("path", path)
    data = read_plain(path, CheckpointError)
    content, remarks = read_content(path, data, arch, state_dict)
    arch, state = content["arch"], content["state_dict"]
    check_claim(path, state, len(data))
    num_classes = takes = None
    if arch.startswith(TIMM):
        model = timm_network(path, arch.removeprefix(TIMM), state)
    elif ":" in arch:
        model = from_factory(arch)
    else:
        num_classes = num_classes_of(path, state)
        takes = ARCHITECTURES[arch].shape
        model = build(arch, num_classes)
    load_parameters(path, arch, state, model)
    if arch.startswith(TIMM):
        model, num_classes, remark = with_normalisation(model, shape)
        takes, remarks = model.shape, [*remarks, *remark]
    info = Info(
        arch=arch,
        epoch=content.get("epoch"),
        num_classes=num_classes,
        shape=takes,
        sha256=hashlib.sha256(data).hexdigest(),
        training=content.get("training", {}),
        history=content.get("history", []),
        remarks=tuple(remarks),
    )
    if ":" not in arch or arch.startswith(TIMM):
        model.eval()
    return _moved(model, where), info


def _check_names(arch: str | None, state_dict: str | None) -> None:
    for name, value in (("arch", arch), ("state_dict", state_dict)):
        if not isinstance(value, str | None):
            raise TypeError(f"{name} must be a str or None, got {checks.shown(value)}")
    if arch is not None and ":" not in arch and arch not in ARCHITECTURES:
        raise ValueError(
            f"arch must be one of {', '.join(ARCHITECTURES)}, whose parameters are in a file, the "
            "checkpoint; or package.module:factory, a function of your own that makes the network, "
            "such as nets:make in nets.py; or timm:NAME, a network of timm; or hf:DIR, a folder of "
            f"Transformers; got {arch!r}"
        )


def _from_folder(
    path: Path | str | None, arch: str, device: torch.device
) -> tuple[nn.Module, Info]:
    folder = Path(arch.removeprefix(HF))
    if path is not None:
        raise ValueError(
            f"checkpoint must be left out with {arch}, because the folder holds the parameters, "
            f"got {checks.shown(path)}"
        )
    made = from_transformers(folder)
    sha256 = folder_digest(folder, made)
    name = f"{HF}{folder.resolve().name}"
    return _moved(made.eval(), device), Info(name, None, made.num_classes, made.shape, sha256)


def _from_factory_alone(arch: str | None, device: torch.device) -> tuple[nn.Module, Info]:
    if arch is None or ":" not in arch or arch.startswith(TIMM):
        raise CheckpointError(
            "a checkpoint is needed: the file with the parameters of the network; or as arch a "
            f"package.module:factory that makes a trained network; got arch={arch!r} alone"
        )
    model = _moved(from_factory(arch), device)
    return model, Info(arch, None, None, None, state_digest(model.state_dict()))


def _moved(model: nn.Module, device: torch.device) -> nn.Module:
    """Move a network to a device, unless it is there already: some networks refuse to be moved."""
    if all(value.device == device for value in (*model.parameters(), *model.buffers())):
        return model
    try:
        return model.to(device)
    except Exception as error:  # layers of the user's own can raise anything
        raise ModelError(
            f"the network cannot be moved to {device}: {type(error).__name__}: {said(error)}"
        ) from error


def restore(path: Path | str, model: nn.Module, optimizer: Optimizer) -> int:
    """Restore a network and its optimizer to the state in a checkpoint.

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
    path = checks.path("path", path)
    checks.instance("model", model, nn.Module)
    checks.instance("optimizer", optimizer, Optimizer)
    content, _ = read_content(path, read_plain(path, CheckpointError))
    load_parameters(path, content["arch"], content["state_dict"], model)
    try:
        optimizer.load_state_dict(content["optimizer"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(
            f"{path} holds no optimizer state to go on from ({error}); train anew"
        ) from error
    epoch: int = content["epoch"]
    return epoch
