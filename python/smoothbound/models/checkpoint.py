"""Checkpoints in the layout published with Cohen et al. 2019, written whole and read safely.

A checkpoint is a dict of ``arch``, ``state_dict``, ``epoch`` and ``optimizer``; those written here
also hold ``training``, the settings of the run, and ``history``, a row for each epoch. A bare
``state_dict``, from torch.save or safetensors, is read too where its network is named. Reading a
file never runs code from it.
"""

from __future__ import annotations

import hashlib
import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from smoothbound._files.atomic import atomic_write
from smoothbound._files.digests import digest, is_dense, kind_of, state_digest
from smoothbound._files.plain import read_plain
from smoothbound._utils import checks
from smoothbound._utils.devices import resolved
from smoothbound.errors import CheckpointError, ModelError, said
from smoothbound.models import _checkpoint_file as checkpoint_file
from smoothbound.models.architectures import ARCHITECTURES, MAX_CLASSES, build, from_factory

__all__ = ["Info", "load", "restore", "save"]

_LAYOUT: dict[str, type] = {"arch": str, "state_dict": dict, "epoch": int}  # needed, to certify
_OURS = (*_LAYOUT, "optimizer", "training", "history", "digest")
_LAST = re.compile(r"(.*\.)?fc\.(bias|weight)")  # as many rows as classes
_WRAPPERS = {"module", "_orig_mod"}  # of nn.DataParallel and torch.compile, in names
_COUNTER = ".num_batches_tracked"  # not used to predict, and not in files of before torch 0.4.1
_AVERAGED = "n_averaged"  # a counter of torch.optim.swa_utils.AveragedModel
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
    remarks : tuple of str
        What a person should know about how the file was read, such as what was left out.
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
        Its network, where the file does not name it: a name in `smoothbound.models.ARCHITECTURES`,
        or ``package.module:factory``, see `smoothbound.models.from_factory`. What else the file
        holds is then left out, and `Info.remarks` says so.
    state_dict : str, optional
        Which parameters, where the file holds several: a key of the file, such as ``"model_ema"``,
        or the beginning of names in its state_dict, such as ``"ema_model."``.

    Returns
    -------
    model : nn.Module
        Takes images in [0, 1], (batch, channels, height, width), and returns logits.
    info : Info
        What the file says about it.

    Raises
    ------
    CheckpointError
        If the file is missing, is not a checkpoint, holds pickled code, lacks a part, is damaged,
        names an unknown architecture, or holds parameters that do not fit it or are not finite.
    ModelError
        If the factory cannot be imported or makes no network.
    ValueError, TypeError
        If `arch` is neither a known name nor a factory, or another argument is of another kind.

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
    where = resolved(device)
    if path is None:
        return _from_factory_alone(arch, where)
    path = checks.path("path", path)
    data = read_plain(path, CheckpointError)
    content, remarks = _content(path, data, arch, state_dict)
    arch, state = content["arch"], content["state_dict"]
    _check_claim(path, state, len(data))
    num_classes = shape = None
    if ":" in arch:
        model = from_factory(arch)
    else:
        num_classes = _num_classes(path, state)
        shape = ARCHITECTURES[arch].shape
        model = build(arch, num_classes)
    _put(path, arch, state, model)
    info = Info(
        arch=arch,
        epoch=content.get("epoch"),
        num_classes=num_classes,
        shape=shape,
        sha256=hashlib.sha256(data).hexdigest(),
        training=content.get("training", {}),
        history=content.get("history", []),
        remarks=tuple(remarks),
    )
    if ":" not in arch:
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
            f"such as nets:make in nets.py; got {arch!r}"
        )


def _from_factory_alone(arch: str | None, device: torch.device) -> tuple[nn.Module, Info]:
    if arch is None or ":" not in arch:
        raise CheckpointError(
            "a checkpoint is needed: the file with the parameters of the network; or as arch a "
            f"package.module:factory that makes a trained network; got arch={arch!r} alone"
        )
    model = _moved(from_factory(arch), device)
    return model, Info(arch, None, None, None, state_digest(model.state_dict()))


def _moved(model: nn.Module, device: torch.device) -> nn.Module:
    """Move a network to a device; one that lies there is left, because some refuse to be moved."""
    if all(value.device == device for value in (*model.parameters(), *model.buffers())):
        return model
    try:
        return model.to(device)
    except Exception as error:  # whatever layers of the user's own raise
        raise ModelError(
            f"the network cannot be moved to {device}: {type(error).__name__}: {said(error)}"
        ) from error


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
    path = checks.path("path", path)
    checks.instance("model", model, nn.Module)
    checks.instance("optimizer", optimizer, Optimizer)
    content, _ = _content(path, read_plain(path, CheckpointError))
    _put(path, content["arch"], content["state_dict"], model)
    try:
        optimizer.load_state_dict(content["optimizer"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(
            f"{path} holds no optimizer state to go on from ({error}); train anew"
        ) from error
    epoch: int = content["epoch"]
    return epoch


# What a file holds ------------------------------------------------------------------------------


def _content(
    path: Path, data: bytes, arch: str | None = None, key: str | None = None
) -> tuple[dict[str, Any], list[str]]:
    """Return what a checkpoint holds, its parts of the right types, and remarks."""
    content = checkpoint_file.content(path, data)
    if not isinstance(content, dict):
        raise CheckpointError(
            f"{path} holds {type(content).__name__}; a checkpoint is a dict of {', '.join(_LAYOUT)}"
        )
    if content and all(isinstance(value, Tensor) for value in content.values()):
        if arch is None:
            raise CheckpointError(
                f"{path} holds a bare state_dict: name its network too, by --arch; one of "
                f"{', '.join(ARCHITECTURES)}, or package.module:factory"
            )
        content = {"state_dict": content}
    _check_digest(path, content)
    content, remarks = _chosen(path, content, key) if arch or key else (content, [])
    if arch is None:
        _check_parts(path, content)
    else:
        content, left = _plain_parts(path, content, arch)
        remarks += left
    wrong = next((name for name in content["state_dict"] if not isinstance(name, str)), None)
    if wrong is not None:
        raise CheckpointError(f"{path}: names in state_dict must be str, got {wrong!r}")
    return content, remarks


def _check_digest(path: Path, content: dict[str, Any]) -> None:
    """Refuse a file of ours whose content is not what was written."""
    if "digest" not in content:  # of an older version, or somebody else's
        return
    found = digest({key: value for key, value in content.items() if key != "digest"})
    if content["digest"] != found:
        raise CheckpointError(
            f"{path} is damaged: its content does not have the checksum it was written with"
        )


def _chosen(
    path: Path, content: dict[str, Any], key: str | None
) -> tuple[dict[str, Any], list[str]]:
    """Return the content with the parameters to take as its state_dict."""
    states = [name for name, value in content.items() if _is_state(value)]
    if key is not None and key not in states:
        return _with_beginning(path, content, key, states)
    if key is None:
        if "state_dict" in content:
            key = "state_dict"
        elif len(states) == 1:
            (key,) = states
        else:
            many = f"the parameters {', '.join(map(repr, states))}: choose one by --state-dict"
            raise CheckpointError(
                f"{path} lacks state_dict; it holds "
                + (many if states else ", ".join(map(str, content)) or "nothing")
            )
    others = [name for name in states if name != key]
    remarks = [] if key == "state_dict" else [f"the parameters are those of {key!r}"]
    if others:
        remarks.append(f"other parameters were left out: {', '.join(map(repr, others))}")
    rest = {name: value for name, value in content.items() if name not in states}
    return rest | {"state_dict": content[key]}, remarks


def _is_state(value: object) -> bool:
    return isinstance(value, dict) and any(isinstance(v, Tensor) for v in value.values())


def _with_beginning(
    path: Path, content: dict[str, Any], beginning: str, states: list[str]
) -> tuple[dict[str, Any], list[str]]:
    """Return the content with those parameters of its state_dict whose names begin so."""
    beginning = f"{beginning.removesuffix('.')}."
    state = content.get("state_dict")
    names = [str(name) for name in state] if isinstance(state, dict) else []
    taken = [name for name in names if name.startswith(beginning)]
    if not taken:
        raise CheckpointError(
            f"{path} has no parameters {beginning.removesuffix('.')!r}; it has "
            f"{', '.join(map(repr, states)) or 'none'}, and names in its state_dict such as "
            f"{', '.join(names[:_SHOWN]) or 'none'}"
        )
    assert isinstance(state, dict)
    remarks = [f"the parameters are those of state_dict that begin with {beginning!r}"]
    if len(taken) < len(names):
        remarks.append(f"{len(names) - len(taken)} other parameters were left out")
    chosen = {name.removeprefix(beginning): state[name] for name in taken}
    return content | {"state_dict": chosen}, remarks


def _check_parts(path: Path, content: dict[str, Any]) -> None:
    """Refuse a file that names its network and is not of the published layout."""
    missing = [key for key in _LAYOUT if key not in content]
    if missing:
        found = ", ".join(map(str, content)) or "nothing"
        raise CheckpointError(f"{path} lacks {', '.join(missing)}; it holds {found}")
    for key in (*_LAYOUT, "training", "history"):
        cause = _wrong(key, content[key]) if key in content else None
        if cause:
            raise CheckpointError(f"{path}: {cause}")
    if content["arch"] not in ARCHITECTURES:
        raise CheckpointError(
            f"{path} is of the architecture {content['arch']!r}, which is not known here; "
            f"known: {', '.join(ARCHITECTURES)}, and package.module:factory by --arch"
        )


def _plain_parts(
    path: Path, content: dict[str, Any], arch: str
) -> tuple[dict[str, Any], list[str]]:
    """Return the parts that are as in files of ours, with the network that was named."""
    named = content.get("arch")
    if ":" not in arch and named != arch and named in tuple(ARCHITECTURES):
        raise CheckpointError(f"{path} is of the architecture {named!r}, not {arch!r}")
    cause = _wrong("state_dict", content["state_dict"])
    if cause:
        raise CheckpointError(f"{path}: {cause}")
    known = {key: value for key, value in content.items() if key in _OURS}
    kept = {key: value for key, value in known.items() if not _wrong(key, value)}
    left = [key for key in content if key not in kept and key != "arch"]
    remarks = [f"left out of the file: {', '.join(map(str, left))}"] if left else []
    return kept | {"arch": arch}, remarks


def _wrong(key: str, value: object) -> str | None:
    """Say what is wrong with a part of a checkpoint."""
    kind = {**_LAYOUT, "training": dict, "history": list}.get(key, object)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        return f"{key} must be {kind.__name__}, got {type(value).__name__}"
    if key == "epoch" and isinstance(value, int) and value < 0:
        return f"epoch must be at least 0, got {value}"
    if key == "training" and isinstance(value, dict):
        return _wrong_row("training", value) or _wrong_sigma(value)
    if key == "history" and isinstance(value, list):
        return next((cause for row in value if (cause := _wrong_row("history", row))), None)
    return None


def _wrong_row(key: str, row: object) -> str | None:
    if not isinstance(row, dict):
        return f"each row of {key} must be dict, got {type(row).__name__}"
    plain = (str, int, float, bool, type(None)) if key == "training" else (int, float)
    for name, value in row.items():
        if not isinstance(name, str) or not isinstance(value, plain):
            return f"{key} must hold plain values by name, got {name!r}: {type(value).__name__}"
    return None


def _wrong_sigma(training: dict[str, Any]) -> str | None:
    sigma = training.get("sigma", 1.0)
    is_number = isinstance(sigma, Real) and not isinstance(sigma, bool)
    if is_number and 0 < sigma < math.inf:
        return None
    return f"sigma in training must be a positive number, got {sigma!r}"


def _check_claim(path: Path, state: dict[str, Any], size: int) -> None:
    """Refuse shapes larger than the file, before a network of that size is made."""
    claimed: dict[int, int] = {}  # by where the values lie: tied parameters lie there once
    for tensor in filter(is_dense, state.values()):
        where = tensor.untyped_storage().data_ptr()
        claimed[where] = max(claimed.get(where, 0), tensor.numel() * tensor.element_size())
    if sum(claimed.values()) > size:
        raise CheckpointError(
            f"{path} claims parameters of {sum(claimed.values())} bytes, and has only {size} bytes "
            "in all"
        )


def _num_classes(path: Path, state: dict[str, Any]) -> int:
    """Return the number of classes that the last layer has; 10 where it does not say."""
    last = {name.rpartition(".")[2]: v for name, v in state.items() if _LAST.fullmatch(name)}
    rows = {len(v) if isinstance(v, Tensor) and v.ndim else 0 for v in last.values()}
    if len(last) < 2 or len(rows) > 1:  # which is an error later, with the shapes that are needed
        return 10
    (count,) = rows
    if count > MAX_CLASSES:
        raise CheckpointError(f"{path} claims {count} classes, more than any network here has")
    return count if count > 1 else 10


# Into a network ---------------------------------------------------------------------------------


def _put(path: Path, arch: str, state: dict[str, Any], model: nn.Module) -> None:
    """Give a network the parameters, if they fit it."""
    fitting = _fitting(path, arch, state, model.state_dict())
    try:
        model.load_state_dict(fitting)
    except Exception as error:  # whatever layers of the user's own raise
        raise CheckpointError(f"{path} does not fit {arch}: {said(error)}") from error


def _fitting(
    path: Path, arch: str, state: dict[str, Any], needed: dict[str, Any]
) -> dict[str, Any]:
    """Return the parameters under the names that a network needs, if they fit it."""
    found = _renamed(state, needed)
    missing: list[str] = []
    unexpected: list[str] = []
    other: list[str] = []
    for name in dict.fromkeys([*needed, *found]):
        has, needs = kind_of(found.get(name)), kind_of(needed.get(name))
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
                if is_dense(value) and not bool(torch.isfinite(value).all())
            ]
        ]
        summary = f"{len(wrong[0])} not finite"
    if any(wrong):
        shown = [line for lines in wrong for line in lines[:_SHOWN]]
        more = sum(map(len, wrong)) - len(shown)
        shown += [f"and {more} more"] if more else []
        narrow = any("has float16" in line or "has bfloat16" in line for line in other)
        shown += ["save them in float32, which is exact: value.float()"] if narrow else []
        raise CheckpointError(f"{path} does not fit {arch} ({summary}):\n  " + "\n  ".join(shown))
    return found


def _renamed(state: dict[str, Any], needed: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters by the names that are needed, as far as they can be told.

    Wrappers and trainers put their own names before those of a network, and networks without our
    normalisation lack "1.".
    """
    state = {name: v for name, v in state.items() if name != _AVERAGED or name in needed}
    wanted = {_without_wrappers(name): name for name in needed}
    plain = {name: _without_wrappers(name) for name in state}
    start = _common_start(list(plain.values()), wanted)
    found: dict[str, Any] = {}
    for name in sorted(state, key=lambda name: name not in needed):  # exact names go first
        short = plain[name].removeprefix(start)
        exact = name if name in needed else None
        known = exact or wanted.get(short) or wanted.get(f"1.{short}") or name
        found[name if known in found else known] = state[name]
    counters = (name for name in needed if name.endswith(_COUNTER))
    return {name: needed[name] for name in counters if name not in found} | found


def _without_wrappers(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)


def _common_start(names: list[str], wanted: Mapping[str, str]) -> str:
    """Return what all names begin with and no name of the network does, such as "model."."""
    start = ""
    while names:
        first, dot, _ = names[0].removeprefix(start).partition(".")
        longer = f"{start}{first}."
        if not dot or any(n.startswith((longer, f"1.{longer}")) for n in wanted):
            break
        if not all(name.startswith(longer) for name in names):
            break
        start = longer
    return start
