"""The parts of a checkpoint: the required parts, their types, and the parts that are left out."""

from __future__ import annotations

import math
from numbers import Real
from pathlib import Path
from typing import Any

from torch import Tensor

from smoothbound._files.digests import digest
from smoothbound.errors import CheckpointError
from smoothbound.models import _checkpoint_file as checkpoint_file
from smoothbound.models.architectures import ARCHITECTURES

__all__ = ["SHOWN", "read_content"]

SHOWN = 4  # the most parameters that an error names for each kind of misfit
_LAYOUT: dict[str, type] = {"arch": str, "state_dict": dict, "epoch": int}  # required to certify
_OURS = (*_LAYOUT, "optimizer", "training", "history", "digest")


def read_content(
    path: Path, data: bytes, arch: str | None = None, key: str | None = None
) -> tuple[dict[str, Any], list[str]]:
    """Return the parts of a checkpoint, with their types checked, and remarks."""
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
    """Refuse a file of this library whose content differs from the content that was written."""
    if "digest" not in content:  # a file of an older version or of another program
        return
    found = digest({key: value for key, value in content.items() if key != "digest"})
    if content["digest"] != found:
        raise CheckpointError(
            f"{path} is damaged: its content does not have the checksum it was written with"
        )


def _chosen(
    path: Path, content: dict[str, Any], key: str | None
) -> tuple[dict[str, Any], list[str]]:
    """Return the content with the chosen parameters as its state_dict."""
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
    """Return the content with the parameters of its state_dict whose names have this beginning."""
    beginning = f"{beginning.removesuffix('.')}."
    state = content.get("state_dict")
    names = [str(name) for name in state] if isinstance(state, dict) else []
    taken = [name for name in names if name.startswith(beginning)]
    if not taken:
        raise CheckpointError(
            f"{path} has no parameters {beginning.removesuffix('.')!r}; it has "
            f"{', '.join(map(repr, states)) or 'none'}, and names in its state_dict such as "
            f"{', '.join(names[:SHOWN]) or 'none'}"
        )
    assert isinstance(state, dict)
    remarks = [f"the parameters are those of state_dict that begin with {beginning!r}"]
    if len(taken) < len(names):
        remarks.append(f"{len(names) - len(taken)} other parameters were left out")
    chosen = {name.removeprefix(beginning): state[name] for name in taken}
    return content | {"state_dict": chosen}, remarks


def _check_parts(path: Path, content: dict[str, Any]) -> None:
    """Refuse a file that names its network but does not have the published layout."""
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
    """Return the parts that have the published layout, with the network that was named."""
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
    """Return the error in a part of a checkpoint; None if there is none."""
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
