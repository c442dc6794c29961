"""The parts of a checkpoint are checked like arguments, and damage to them is found."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkpoints import ARCH, content, refusal, written
from torch.optim import SGD

from smoothbound._files.digests import digest
from smoothbound.errors import CheckpointError
from smoothbound.models.architectures import ARCHITECTURES, Architecture, build
from smoothbound.models.checkpoint import load, save


def test_files_of_other_kinds_are_named(tmp_path: Path) -> None:
    network = build(ARCH)
    path = written(tmp_path / "a.pt", network.state_dict(), pickle_protocol=4)
    assert "has pickle protocol 4" in refusal(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated, and still about
        torch.jit.save(torch.jit.trace(network, torch.zeros(1, 1, 8, 8)), path)
    assert "is a TorchScript program" in refusal(path)


class Tiny(torch.nn.Module):
    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.fc = torch.nn.Linear(1, num_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.fc(images.flatten(1))
        return logits


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a checkpoint of few bytes, with everything that one can hold."""
    monkeypatch.setitem(ARCHITECTURES, "tiny", Architecture((1, 1, 1), (0.0,), (1.0,), Tiny))
    model = build("tiny", 2)
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.ones(1, 1, 1, 1)).sum().backward()
    optimizer.step()
    path = tmp_path / "tiny.pt"
    training = {"sigma": 0.25, "data": "digits", "seed": np.int64(3)}
    history = [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": np.float32(0.25)}]
    save(path, model, arch="tiny", epoch=2, optimizer=optimizer, training=training, history=history)
    return path


def test_a_flipped_bit_is_an_error_or_changes_nothing(tiny: Path) -> None:
    """One bit of every third byte, in turn: all bits of all bytes take a minute, and hold."""

    def read() -> tuple[Any, ...]:
        model, info = load(tiny)
        return digest(dict(model.state_dict())), replace(info, sha256="")

    whole, expected, errors = tiny.read_bytes(), read(), 0
    for position in range(0, len(whole), 3):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 8
        tiny.write_bytes(damaged)
        try:
            assert read() == expected, position
        except CheckpointError:
            errors += 1
    assert errors > len(whole) // 12  # the rest is padding


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epoch": -1}, "epoch must be at least 0, got -1"),
        ({"epoch": True}, "epoch must be int, got bool"),
        ({"training": {"sigma": -0.25}}, "sigma in training must be a positive number, got -0.25"),
        ({"training": {"sigma": "a"}}, "sigma in training must be a positive number, got 'a'"),
        ({"training": {"sigma": float("nan")}}, "sigma in training must be a positive number"),
        ({"training": {3: 1}}, "training must hold plain values by name, got 3: int"),
        ({"training": {"a": [1]}}, "training must hold plain values by name, got 'a': list"),
        ({"history": {}}, "history must be list, got dict"),
        ({"history": [1]}, "each row of history must be dict, got int"),
        ({"history": [{"loss": "a"}]}, "history must hold plain values by name, got 'loss': str"),
    ],
)
def test_settings_in_a_file_are_checked_like_arguments(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    assert message in refusal(written(tmp_path / "a.pt", content() | change))


def test_a_flipped_bit_of_a_parameter_is_damage_in_a_file_of_any_origin(tmp_path: Path) -> None:
    state = build(ARCH).state_dict()
    path = written(tmp_path / "a.pt", state)
    whole = path.read_bytes()
    for value in state.values():
        damaged = bytearray(whole)
        damaged[whole.index(value.numpy().tobytes()) + 3] ^= 0x40
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"is damaged: \S*/data/\d+ in it"):
            load(path, arch=ARCH)


def test_a_file_whose_checksum_is_lost_cannot_change_its_settings(tiny: Path) -> None:
    damaged = bytearray(tiny.read_bytes())
    damaged[damaged.index(b"digest")] ^= 1
    damaged[damaged.index(b"sigma") + len("sigma") + 5] ^= 1
    tiny.write_bytes(damaged)
    assert "is damaged" in refusal(tiny)


def test_changed_settings_are_damage(tiny: Path) -> None:
    what = torch.load(tiny, weights_only=False)
    for change in ({"epoch": 3}, {"training": what["training"] | {"sigma": 2.25}}, {"more": 1}):
        assert "is damaged" in refusal(written(tiny, what | change))
    what.pop("digest")
    what["training"]["seed"] = int(what["training"]["seed"])
    what["history"] = []
    assert load(written(tiny, what))[1].epoch == 2  # as older versions wrote it


@pytest.mark.parametrize("key", ["arch", "state_dict", "epoch"])
def test_missing_parts_are_named(tmp_path: Path, key: str) -> None:
    what = content()
    del what[key]
    message = refusal(written(tmp_path / "a.pt", what))
    assert f"lacks {key}; it holds {', '.join(what)}" in message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"arch": 3}, "arch must be str, got int"),
        ({"epoch": "9"}, "epoch must be int, got str"),
        ({"state_dict": [1]}, "state_dict must be dict, got list"),
        ({"training": 1}, "training must be dict, got int"),
        ({"arch": "resnet18"}, "'resnet18', which is not known here; known: digits_cnn, cifar_"),
    ],
)
def test_wrong_parts_are_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    assert message in refusal(written(tmp_path / "a.pt", content() | change))


def test_something_that_is_no_dict_is_told(tmp_path: Path) -> None:
    assert "holds Tensor; a checkpoint is a dict of" in refusal(
        written(tmp_path / "a.pt", torch.zeros(3))
    )
