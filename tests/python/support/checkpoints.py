"""Checkpoints as they are published, written to files, and what is said where one is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.optim import SGD

from smoothbound.errors import CheckpointError
from smoothbound.models.architectures import build
from smoothbound.models.checkpoint import load

ARCH = "digits_cnn"


def content(arch: str = ARCH, num_classes: int = 10) -> dict[str, Any]:
    """What a published checkpoint holds."""
    model = build(arch, num_classes)
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    return {
        "epoch": 90,
        "arch": arch,
        "state_dict": model.state_dict(),
        "optimizer": optimizer.state_dict(),
    }


def written(path: Path, what: Any, **options: Any) -> Path:
    torch.save(what, path, **options)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as error:
        load(path)
    assert str(path) in str(error.value)
    return str(error.value)


ODD = [True, -1, 0.5, "", "a\0b", b"x", float("nan"), 10**400, [1, [2]], {}, object()]
