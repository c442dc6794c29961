"""Checkpoints are saved whole and come back bit for bit, as do the published ones."""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path

import pytest
import torch
from checkpoints import ARCH, ODD, content, written
from torch.optim import SGD

from smoothbound.errors import CheckpointError, ModelError, StoreError
from smoothbound.models.architectures import ARCHITECTURES, build
from smoothbound.models.checkpoint import Info, load, restore, save


def trained_step(arch: str, num_classes: int) -> tuple[torch.nn.Sequential, SGD]:
    """Return a model whose batch statistics and optimizer state are no longer the first ones."""
    model = build(arch, num_classes)
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.rand(4, *ARCHITECTURES[arch].shape)).square().mean().backward()
    optimizer.step()
    return model, optimizer


@pytest.mark.parametrize(("arch", "num_classes"), [(ARCH, 10), (ARCH, 3), ("cifar_resnet20", 10)])
def test_a_saved_model_comes_back_bit_for_bit(tmp_path: Path, arch: str, num_classes: int) -> None:
    model, optimizer = trained_step(arch, num_classes)
    path = tmp_path / "a.pt"
    save(path, model, arch=arch, epoch=3, optimizer=optimizer, training={"sigma": 0.25})
    loaded, info = load(path)
    assert info == Info(
        arch=arch,
        epoch=3,
        num_classes=num_classes,
        shape=ARCHITECTURES[arch].shape,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        training={"sigma": 0.25},
    )
    assert not any(module.training for module in loaded.modules())
    images = torch.rand(4, *ARCHITECTURES[arch].shape)
    assert torch.equal(loaded(images), model.eval()(images))


def test_the_file_has_the_published_layout(tmp_path: Path) -> None:
    model, optimizer = trained_step(ARCH, 10)
    path = tmp_path / "a.pt"
    save(path, model, arch=ARCH, epoch=1, optimizer=optimizer, training={})
    raw = torch.load(path, weights_only=True)
    assert {"arch", "epoch", "optimizer", "state_dict"} <= set(raw)
    again = SGD(model.parameters(), lr=1.0, momentum=0.9)
    again.load_state_dict(raw["optimizer"])
    assert again.param_groups[0]["lr"] == 0.1


def test_the_same_model_gives_the_same_hash(tmp_path: Path) -> None:
    model, optimizer = trained_step(ARCH, 10)
    for name in ("a.pt", "b.pt"):
        save(tmp_path / name, model, arch=ARCH, epoch=1, optimizer=optimizer, training={})
    assert load(tmp_path / "a.pt")[1].sha256 == load(tmp_path / "b.pt")[1].sha256


@pytest.mark.parametrize("is_zip", [True, False])
@pytest.mark.parametrize("arch", ["cifar_resnet20", "cifar_resnet110"])
def test_published_files_load(tmp_path: Path, arch: str, is_zip: bool) -> None:
    """The files of 2019 are in torch's format from before it used zip."""
    what = content(arch)
    path = written(tmp_path / "c.pth.tar", what, _use_new_zipfile_serialization=is_zip)
    model, info = load(path)
    assert (info.arch, info.epoch, info.training) == (arch, 90, {})
    for name, value in model.state_dict().items():
        assert torch.equal(value, what["state_dict"][name])


@pytest.mark.parametrize("counters", [True, False])
def test_the_published_imagenet_file_loads(tmp_path: Path, counters: bool) -> None:
    """Its network was in nn.DataParallel; before torch 0.4.1 there were no counters of batches."""
    what = content("resnet50", 1000)
    state = what["state_dict"]
    what["state_dict"] = {
        name.replace("1.", "1.module.", 1): value
        for name, value in state.items()
        if counters or not name.endswith("num_batches_tracked")
    }
    model, info = load(written(tmp_path / "c.pth.tar", what, _use_new_zipfile_serialization=False))
    assert (info.arch, info.num_classes, info.shape) == ("resnet50", 1000, (3, 224, 224))
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name])


@pytest.mark.parametrize("prefix", ["1.module.", "module.1.", "module.1.module."])
def test_files_of_networks_in_data_parallel_load(tmp_path: Path, prefix: str) -> None:
    what = content("cifar_resnet20")
    state = what["state_dict"]
    what["state_dict"] = {name.replace("1.", prefix, 1): value for name, value in state.items()}
    model, _ = load(written(tmp_path / "c.pth.tar", what, _use_new_zipfile_serialization=False))
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name])


def test_a_file_written_on_a_gpu_loads_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    what = content()
    with monkeypatch.context() as patch:
        patch.setattr(torch.serialization, "location_tag", lambda _: "cuda:3")
        path = written(tmp_path / "a.pt", what, _use_new_zipfile_serialization=False)
    assert b"cuda:3" in path.read_bytes()
    state = load(path)[0].state_dict()
    assert all(torch.equal(value, what["state_dict"][name]) for name, value in state.items())


def test_the_network_named_must_be_that_of_the_file(tmp_path: Path) -> None:
    path = written(tmp_path / "a.pt", content())
    assert load(path, arch=ARCH)[1].arch == ARCH
    with pytest.raises(CheckpointError, match="is of the architecture 'digits_cnn', not 'cifar_"):
        load(path, arch="cifar_resnet20")
    with pytest.raises(ValueError, match=r"arch must be one of digits_cnn, .*; got 'resnet_20'"):
        load(path, arch="resnet_20")


@pytest.mark.parametrize("name", ["path", "device", "arch", "state_dict"])
def test_odd_arguments_are_named(tmp_path: Path, name: str) -> None:
    good = {"path": written(tmp_path / "a.pt", content()), "device": "cpu", "arch": ARCH}
    for value in ODD:
        with pytest.raises((ValueError, TypeError, CheckpointError, ModelError)) as error:
            load(**(good | {name: value}))
        said = str(error.value)
        # An error about the file that it names; an empty one names none.
        file = name == "path" and isinstance(value, str) and value
        assert (
            ("plain file" in said or "cannot read" in said)
            if file
            else (name in said or "package.module:factory" in said or str(good["path"]) in said)
        )
        assert len(said) < 500, said


def test_a_disk_that_fills_leaves_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, optimizer = trained_step(ARCH, 10)
    path = tmp_path / "a.pt"
    save(path, model, arch=ARCH, epoch=1, optimizer=optimizer, training={})
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreError, match=r"a\.pt: No space left on device"):
        save(path, model, arch=ARCH, epoch=2, optimizer=optimizer, training={})
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.pt"]


def test_a_checkpoint_that_holds_no_optimizer_cannot_be_gone_on_with(tmp_path: Path) -> None:
    model, optimizer = trained_step(ARCH, 10)
    path = written(tmp_path / "a.pt", content() | {"optimizer": {}})
    with pytest.raises(CheckpointError, match="holds no optimizer state to go on from"):
        restore(path, model, optimizer)
