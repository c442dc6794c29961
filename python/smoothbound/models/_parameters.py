"""The parameters of a checkpoint, matched by name and shape with those of a network."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from smoothbound._files.digests import is_dense, kind_of
from smoothbound.errors import CheckpointError, said
from smoothbound.models._layout import SHOWN
from smoothbound.models.architectures import MAX_CLASSES

__all__ = ["check_claim", "load_parameters", "num_classes_of"]

_LAST = re.compile(r"(.*\.)?fc\.(bias|weight)")  # these have as many rows as there are classes
_WRAPPERS = {"module", "_orig_mod"}  # parts of names from nn.DataParallel and torch.compile
_COUNTER = ".num_batches_tracked"  # unused in predictions; files of torch before 0.4.1 lack it
_AVERAGED = "n_averaged"  # a counter of torch.optim.swa_utils.AveragedModel


def check_claim(path: Path, state: dict[str, Any], size: int) -> None:
    """Refuse shapes larger than the file, before a network of that size is made."""
    claimed: dict[int, int] = {}  # keyed by the storage, because tied parameters share one
    for tensor in filter(is_dense, state.values()):
        where = tensor.untyped_storage().data_ptr()
        claimed[where] = max(claimed.get(where, 0), tensor.numel() * tensor.element_size())
    if sum(claimed.values()) > size:
        raise CheckpointError(
            f"{path} claims parameters of {sum(claimed.values())} bytes, and has only {size} bytes "
            "in all"
        )


def num_classes_of(path: Path, state: dict[str, Any]) -> int:
    """Return the number of classes of the last layer; 10 if there is no such layer."""
    last = {name.rpartition(".")[2]: v for name, v in state.items() if _LAST.fullmatch(name)}
    rows = {len(v) if isinstance(v, Tensor) and v.ndim else 0 for v in last.values()}
    if len(last) < 2 or len(rows) > 1:  # a later error names the shapes that are needed
        return 10
    (count,) = rows
    if count > MAX_CLASSES:
        raise CheckpointError(f"{path} claims {count} classes, more than any network here has")
    return count if count > 1 else 10


def load_parameters(path: Path, arch: str, state: dict[str, Any], model: nn.Module) -> None:
    """Give a network the parameters, if they fit it."""
    fitting = _fitting(path, arch, state, model.state_dict())
    try:
        model.load_state_dict(fitting)
    except Exception as error:  # layers of the user's own can raise anything
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
        shown = [line for lines in wrong for line in lines[:SHOWN]]
        more = sum(map(len, wrong)) - len(shown)
        shown += [f"and {more} more"] if more else []
        narrow = any("has float16" in line or "has bfloat16" in line for line in other)
        shown += ["save them in float32, which is exact: value.float()"] if narrow else []
        raise CheckpointError(f"{path} does not fit {arch} ({summary}):\n  " + "\n  ".join(shown))
    return found


def _renamed(state: dict[str, Any], needed: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters under the needed names, as far as these can be recognised.

    Wrappers and trainers put their own names before those of a network. Networks without the
    normalisation of this library lack "1.".
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
    """Return the beginning of all names that no name of the network has, such as "model."."""
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
