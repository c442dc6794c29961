"""Checkpoints: the published layout, written whole, and nothing run or taken on trust."""

from __future__ import annotations

import errno
import hashlib
import importlib
import io
import os
import pickle
import re
import sys
import tarfile
import warnings
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import SGD

from smoothbound._files.digests import digest, state_digest
from smoothbound.errors import CheckpointError, ModelError, StoreError
from smoothbound.models import checkpoint
from smoothbound.models._factory import from_factory
from smoothbound.models.architectures import ARCHITECTURES, Architecture, build
from smoothbound.models.checkpoint import Info, load, restore, save

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


# there and back ---------------------------------------------------------------------------------


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


@pytest.mark.skipif(
    tuple(map(int, torch.__version__.split(".")[:2])) < (2, 7),
    reason="torch before 2.7 reads no NumPy numbers safely",
)
@pytest.mark.parametrize("is_zip", [True, False])
def test_numpy_numbers_are_read_as_plain_ones(tmp_path: Path, is_zip: bool) -> None:
    what = content() | {"epoch": np.int64(90), "training": {}}
    what["optimizer"]["param_groups"][0]["lr"] = np.float64(0.001)
    for kind in (np.bool_, np.float16, np.float32, np.uint8, np.int32):
        what["training"][kind.__name__] = kind(1)
    what["training"]["swapped"] = np.array([1, 2], ">i4")[1]
    path = written(tmp_path / "a.pt", what, _use_new_zipfile_serialization=is_zip)
    if not is_zip:  # as NumPy before 2 called its inside
        path.write_bytes(path.read_bytes().replace(b"numpy._core", b"numpy.core"))
    _, info = load(path)
    assert (info.epoch, type(info.epoch)) == (90, int)
    assert list(info.training.values()) == [True, 1.0, 1.0, 1, 1, 2]
    assert {type(value) for value in info.training.values()} == {bool, int, float}
    assert not any("scalar" in str(one) for one in torch.serialization.get_safe_globals())


@pytest.mark.parametrize("value", [np.str_("a"), np.datetime64(1, "s")])
def test_other_numpy_values_are_refused(tmp_path: Path, value: Any) -> None:
    refusal(written(tmp_path / "a.pt", content() | {"best": value}))


@pytest.mark.skipif(
    tuple(map(int, torch.__version__.split(".")[:2])) < (2, 7),
    reason="torch before 2.7 reads no stand-ins for arrays",
)
@pytest.mark.parametrize("is_zip", [True, False])
def test_numpy_arrays_beside_the_parameters_do_no_harm(tmp_path: Path, is_zip: bool) -> None:
    what = content() | {"losses": np.arange(3.0), "rng": np.random.RandomState(0).get_state()}
    what["objects"] = np.array([{}, "a"], object)
    path = written(tmp_path / "a.pt", what, _use_new_zipfile_serialization=is_zip)
    for arch in (None, ARCH):
        state = load(path, arch=arch)[0].state_dict()
        assert all(torch.equal(value, what["state_dict"][name]) for name, value in state.items())
    assert load(path, arch=ARCH)[1].remarks == ("left out of the file: losses, rng, objects",)
    weights = {name: value.numpy() for name, value in what["state_dict"].items()}
    with pytest.raises(CheckpointError, match="a NumPyArray without dense values"):
        load(written(path, {"state_dict": weights}), arch=ARCH)


# parameters alone -------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "1.", "module.", "1.module."])
@pytest.mark.parametrize("ending", ["pt", "safetensors"])
def test_a_bare_state_dict_loads_where_its_network_is_named(
    tmp_path: Path, prefix: str, ending: str
) -> None:
    network = build(ARCH, 7)
    state = {f"{prefix}{name}": value for name, value in network[1].state_dict().items()}
    path = tmp_path / f"a.{ending}"
    if ending == "pt":
        torch.save(state, path)
    else:
        safetensors = pytest.importorskip("safetensors.torch")
        safetensors.save_file(state, path)
    model, info = load(path, arch=ARCH)
    assert (info.arch, info.epoch, info.num_classes) == (ARCH, None, 7)
    images = torch.rand(2, 1, 8, 8)
    assert torch.equal(model(images), network.eval()(images))
    with pytest.raises(CheckpointError, match="bare state_dict: name its network too, by --arch"):
        load(path)


def prefixed(prefix: str, state: dict[str, Any] | None = None) -> dict[str, Any]:
    state = build(ARCH, 7).state_dict() if state is None else state
    return {f"{prefix}{name}": value for name, value in state.items()}


@pytest.mark.parametrize(
    "prefix",
    [
        *("module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "model."),
        *("model.net.", "module.model.", "model._orig_mod."),
    ],
)
@pytest.mark.parametrize("normalised", [True, False])
def test_what_wrappers_put_before_all_names_is_taken_off(
    tmp_path: Path, prefix: str, normalised: bool
) -> None:
    network = build(ARCH, 7)
    state = (network if normalised else network[1]).state_dict()
    path = written(tmp_path / "a.pt", {"state_dict": prefixed(prefix, state), "epoch": 3})
    model, info = load(path, arch=ARCH)
    assert (info.num_classes, info.epoch, info.remarks) == (7, 3, ())
    images = torch.rand(2, 1, 8, 8)
    assert torch.equal(model(images), network.eval()(images))


def test_an_averaged_model_loads(tmp_path: Path) -> None:
    network = build(ARCH)
    state = torch.optim.swa_utils.AveragedModel(network).state_dict()
    model, _ = load(written(tmp_path / "a.pt", state), arch=ARCH)
    images = torch.rand(2, 1, 8, 8)
    assert torch.equal(model(images), network.eval()(images))


def test_a_network_with_a_part_called_module_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wrapped_networks.py").write_text(
        "import torch\n"
        "def small():\n"
        "    torch.manual_seed(0)\n"
        "    return torch.nn.DataParallel(torch.nn.Linear(64, 3))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    arch = "wrapped_networks:small"
    state = load(None, arch=arch)[0].state_dict()
    assert set(state) == {"module.weight", "module.bias"}
    other = {name.removeprefix("module."): value + 1 for name, value in state.items()}
    for prefix in ("module.", "", "module.module."):
        model, _ = load(written(tmp_path / "a.pt", prefixed(prefix, other)), arch=arch)
        assert torch.equal(model.state_dict()["module.bias"], other["bias"])


@pytest.mark.parametrize("key", ["model", "net", "model_state_dict", "weights"])
def test_parameters_under_another_key_are_found(tmp_path: Path, key: str) -> None:
    state = build(ARCH).state_dict()
    optimizer = content()["optimizer"]
    path = written(tmp_path / "a.pt", {key: state, "optimizer": optimizer, "acc": 93.5})
    model, info = load(path, arch=ARCH)
    assert torch.equal(model.state_dict()["1.fc.bias"], state["1.fc.bias"])
    assert info.remarks == (
        f"the parameters are those of {key!r}", "left out of the file: acc"
    )  # fmt: skip


def test_which_of_several_parameters_is_said_and_chosen(tmp_path: Path) -> None:
    state = build(ARCH).state_dict()
    averaged = {name: value + 1 for name, value in state.items()}
    path = tmp_path / "a.pt"

    def bias(**options: Any) -> tuple[torch.Tensor, tuple[str, ...]]:
        model, info = load(path, arch=ARCH, **options)
        return model.state_dict()["1.fc.bias"], info.remarks

    written(path, {"state_dict": state, "state_dict_ema": averaged})
    value, remarks = bias()
    assert torch.equal(value, state["1.fc.bias"])
    assert remarks == ("other parameters were left out: 'state_dict_ema'",)
    value, remarks = bias(state_dict="state_dict_ema")
    assert torch.equal(value, averaged["1.fc.bias"])
    assert remarks[0] == "the parameters are those of 'state_dict_ema'"
    written(path, {"model": state, "ema": averaged})
    with pytest.raises(CheckpointError, match="holds the parameters 'model', 'ema': choose one"):
        bias()
    assert torch.equal(bias(state_dict="ema")[0], averaged["1.fc.bias"])
    written(path, {"state_dict": prefixed("model.", state) | prefixed("ema_model.", averaged)})
    with pytest.raises(CheckpointError, match="does not fit"):
        bias()
    value, remarks = bias(state_dict="ema_model")
    assert torch.equal(value, averaged["1.fc.bias"])
    assert remarks[1] == "8 other parameters were left out"
    with pytest.raises(CheckpointError, match="no parameters 'teacher'; it has 'state_dict', and"):
        bias(state_dict="teacher")


def test_tied_parameters_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tied_networks.py").write_text(
        "import torch\n"
        "def net():\n"
        "    first, second = torch.nn.Linear(300, 300), torch.nn.Linear(300, 300)\n"
        "    second.weight = first.weight\n"
        "    return torch.nn.Sequential(torch.nn.Flatten(), first, second)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    state = load(None, arch="tied_networks:net")[0].state_dict()
    path = written(tmp_path / "a.pt", state)
    assert path.stat().st_size < 2 * 300 * 300 * 4
    again = load(path, arch="tied_networks:net")[0].state_dict()
    assert all(torch.equal(value, state[name]) for name, value in again.items())


@pytest.mark.parametrize(
    "other",
    [
        *({"history": {"loss": [1.0]}}, {"training": True}, {"training": {"sigma": -1.0}}),
        *({"epoch": value} for value in (None, 90.0, torch.tensor(90), "last", True, -3)),
        *({"arch": {"name": "x"}}, {"arch": "their_net"}, {"args": [1, None]}),
    ],
)
def test_parts_of_other_kinds_are_left_out_where_the_network_is_named(
    tmp_path: Path, other: dict[str, Any]
) -> None:
    state = build(ARCH).state_dict()
    model, info = load(written(tmp_path / "a.pt", {"state_dict": state} | other), arch=ARCH)
    assert torch.equal(model.state_dict()["1.fc.bias"], state["1.fc.bias"])
    assert (info.epoch, info.training, info.history) == (None, {}, [])
    if "arch" not in other:
        assert info.remarks == (f"left out of the file: {next(iter(other))}",)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_parameters_in_half_precision_say_how_to_save_them(
    tmp_path: Path, dtype: torch.dtype
) -> None:
    state = {name: value.to(dtype) for name, value in build(ARCH).state_dict().items()}
    with pytest.raises(CheckpointError, match=r"save them in float32, .*: value\.float\(\)"):
        load(written(tmp_path / "a.pt", state), arch=ARCH)


def test_files_of_other_kinds_are_named(tmp_path: Path) -> None:
    network = build(ARCH)
    path = written(tmp_path / "a.pt", network.state_dict(), pickle_protocol=4)
    assert "has pickle protocol 4" in refusal(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated, and still about
        torch.jit.save(torch.jit.trace(network, torch.zeros(1, 1, 8, 8)), path)
    assert "is a TorchScript program" in refusal(path)


def test_a_packed_file_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = written(tmp_path / "whole.pt", {"1.fc.bias": torch.zeros(10**6)})
    with (
        zipfile.ZipFile(whole) as source,
        zipfile.ZipFile(tmp_path / "a.pt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for entry in source.namelist():
            packed.writestr(entry, source.read(entry))
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("it was unpacked"))
    assert re.search(r"has \d{4} bytes and unpacks to 40\d{5}", refusal(tmp_path / "a.pt"))


def test_two_parameters_for_one_place_are_refused(tmp_path: Path) -> None:
    state = build(ARCH).state_dict()
    twice = state | {"1.module.fc.bias": state["1.fc.bias"]}
    with pytest.raises(CheckpointError, match=r"1 unexpected.*\n.*1\.module\.fc\.bias"):
        load(written(tmp_path / "a.pt", twice), arch=ARCH)


def test_junk_is_no_safetensors_file(tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"junk" * 10)
    with pytest.raises(CheckpointError, match="is not a safetensors file"):
        load(path, arch=ARCH)


def test_the_network_named_must_be_that_of_the_file(tmp_path: Path) -> None:
    path = written(tmp_path / "a.pt", content())
    assert load(path, arch=ARCH)[1].arch == ARCH
    with pytest.raises(CheckpointError, match="is of the architecture 'digits_cnn', not 'cifar_"):
        load(path, arch="cifar_resnet20")
    with pytest.raises(ValueError, match=r"arch must be one of digits_cnn, .*; got 'resnet_20'"):
        load(path, arch="resnet_20")


# a network of the user's own --------------------------------------------------------------------

FACTORY = "my_networks:small"


@pytest.fixture
def factory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "my_networks.py").write_text(
        "import torch\n"
        "def small():\n"
        "    torch.manual_seed(0)\n"
        "    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3))\n"
        "number = int\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_networks", raising=False)
    return FACTORY


def test_a_factory_gives_the_network_and_a_file_its_parameters(
    tmp_path: Path, factory: str
) -> None:
    made, info = load(None, arch=factory)
    assert (info.arch, info.shape, info.num_classes) == (factory, None, None)
    assert not made.training
    assert load(None, arch=factory)[1].sha256 == info.sha256
    other = {name: value + 1 for name, value in made.state_dict().items()}
    for what in (other, {"arch": "theirs", "state_dict": other, "epoch": 3}):
        model, info = load(written(tmp_path / "a.pt", what), arch=factory)
        assert torch.equal(model.state_dict()["1.weight"], other["1.weight"])
        assert info.sha256 != load(None, arch=factory)[1].sha256


def test_a_file_cannot_name_code(tmp_path: Path, factory: str) -> None:
    state = load(None, arch=factory)[0].state_dict()
    path = written(tmp_path / "a.pt", {"arch": factory, "state_dict": state, "epoch": 3})
    sys.modules.pop("my_networks")
    assert "is not known here" in refusal(path)
    assert "my_networks" not in sys.modules


UNUSUAL = """
import sys
import torch
from torch import nn
class Net(nn.Module):
    scale = 1
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.last = nn.Linear(64, 10)
    def forward(self, images):
        return self.last(images.flatten(1)) * self.scale
class Extra(Net):
    def get_extra_state(self):
        return {"scale": self.scale}
    def set_extra_state(self, state):
        self.scale = state["scale"]
def extra():
    return Extra()
def sparse():
    net = Net()
    net.register_buffer("mask", torch.eye(3).to_sparse())
    return net
def lazy():
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(10))
def meta():
    with torch.device("meta"):
        return Net()
def unpack():
    a, b, c = 1, 2
def needs(arch, dataset):
    return Net()
def missing():
    raise RuntimeError("weights\\nnot found")
def leaves():
    sys.exit(3)
class Fixed(Net):
    def to(self, *_, **__):
        raise ValueError("`.to` is not supported")
def fixed():
    return Fixed()
def exported():
    batch = torch.export.Dim("batch")
    example = (torch.zeros(4, 1, 8, 8),)
    return torch.export.export(Net().eval(), example, dynamic_shapes=({0: batch},)).module()
def words():
    assert sys.argv[1:] == [], sys.argv
    return Net()
"""


@pytest.fixture
def unusual(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "unusual_networks.py").write_text(UNUSUAL)
    (tmp_path / "script_networks.py").write_text(
        "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('dataset')\n"
        "parser.parse_args()\ndef net(): pass\n"
    )
    (tmp_path / "broken_networks.py").write_text("def net(:\n")
    monkeypatch.syspath_prepend(tmp_path)
    return importlib.import_module("unusual_networks")


@pytest.mark.parametrize("name", ["extra", "sparse"])
def test_whatever_a_state_holds_tells_networks_apart(
    name: str, unusual: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    arch = f"unusual_networks:{name}"
    model, info = load(None, arch=arch)
    assert load(None, arch=arch)[1].sha256 == info.sha256
    path = written(tmp_path / "a.pt", {"state_dict": model.state_dict()})
    assert torch.equal(load(path, arch=arch)[0].last.weight, model.last.weight)
    if name == "extra":
        monkeypatch.setattr(unusual.Net, "scale", 2)
        assert load(None, arch=arch)[1].sha256 != info.sha256
        assert load(path, arch=arch)[0].scale == 1


def test_a_quantised_network_is_hashed(tmp_path: Path) -> None:
    """Its state holds a type and a tuple; the tensor in it is not one of plain numbers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values = torch.quantize_per_tensor(torch.arange(3.0), 0.1, 0, torch.qint8)
    packed = {"dtype": torch.qint8, "packed": (values, None), "weight": values}
    assert state_digest(packed) == state_digest(dict(packed))
    assert state_digest(packed) != state_digest(packed | {"packed": (values, torch.ones(1))})
    with pytest.raises(ModelError, match="'hook' in the network's state_dict cannot be hashed"):
        state_digest({"hook": lambda: 0})


def test_parameters_without_values_are_refused(unusual: Any) -> None:
    with pytest.raises(ModelError, match=r"'unusual_networks:lazy': 1\.weight has no shape"):
        load(None, arch="unusual_networks:lazy")
    with pytest.raises(ModelError, match=r"'unusual_networks:meta': last\.weight lies on"):
        load(None, arch="unusual_networks:meta")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("unusual_networks:unpack", r"raised ValueError: not enough values .*\(unusual_networks"),
        ("unusual_networks:needs", r"raised TypeError: .* missing 2 required positional arg"),
        ("unusual_networks:missing", r"raised RuntimeError: weights not found \(unusual_net"),
        ("unusual_networks:leaves", r"raised SystemExit: 3"),
        ("script_networks:net", r"cannot be imported: SystemExit: 2"),
        ("broken_networks:net", r"cannot be imported: SyntaxError: "),
    ],
)
def test_what_a_factory_raises_is_told_in_one_line(
    name: str, message: str, unusual: Any, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    monkeypatch.setattr(sys, "argv", ["smoothbound", "certify", "--data", "digits"])
    with pytest.raises(ModelError, match=message) as error:
        load(None, arch=name)
    assert name in str(error.value)
    assert "\n" not in str(error.value)
    assert "unrecognized" not in capfd.readouterr().err
    load(None, arch="unusual_networks:words")
    assert sys.argv[1:] == ["certify", "--data", "digits"]


def test_what_a_factory_lacks_is_named(factory: str) -> None:
    with pytest.raises(ModelError, match="'my_networks:large' cannot be imported"):
        load(None, arch="my_networks:large")
    with pytest.raises(ModelError, match=r"'nowhere\.at\.all:small' cannot be imported"):
        load(None, arch="nowhere.at.all:small")
    with pytest.raises(ModelError, match=r"made a int, not a torch\.nn\.Module"):
        load(None, arch="my_networks:number")
    with pytest.raises(ValueError, match=r"must be package\.module:factory"):
        load(None, arch="my_networks:small()")
    with pytest.raises(CheckpointError, match="a checkpoint is needed"):
        load(None, arch=ARCH)


def test_a_network_that_refuses_to_be_moved_stays(unusual: Any) -> None:
    model, _ = load(None, arch="unusual_networks:fixed")
    assert model.last.weight.device.type == "cpu"
    with pytest.raises(ModelError, match=r"cannot be moved to meta: ValueError: `\.to` is not"):
        load(None, "meta", arch="unusual_networks:fixed")


def test_an_exported_network_keeps_its_mode(unusual: Any) -> None:
    model, _ = load(None, arch="unusual_networks:exported")
    assert model.training  # torch offers no eval() for it, and load() does without


# odd arguments ----------------------------------------------------------------------------------

ODD = [True, -1, 0.5, "", "a\0b", b"x", float("nan"), 10**400, [1, [2]], {}, object()]


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


@pytest.mark.parametrize("value", [None, *ODD])
def test_odd_names_of_networks_are_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="arch must be one of"):
        build(value)
    with pytest.raises((ValueError, TypeError), match="num_classes must be"):
        build(ARCH, value)
    with pytest.raises((ValueError, TypeError), match=r"model must be package\.module:factory"):
        from_factory(value)


def test_a_network_named_in_place_of_its_factory_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ready_made.py").write_text("import torch\nnet = torch.nn.Identity()\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModelError, match=r"is a network, .* `def make\(\): return net`") as error:
        from_factory("ready_made:net")
    assert str(error.value).endswith("name ready_made:make")


# damaged ----------------------------------------------------------------------------------------


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


# writing ----------------------------------------------------------------------------------------


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


# not a checkpoint -------------------------------------------------------------------------------


class Trap:
    """Pickled code that leaves a trace when it is run."""

    ran = False

    def __reduce__(self) -> tuple[Any, ...]:
        return (setattr, (Trap, "ran", True))


@pytest.mark.parametrize("is_zip", [True, False])
def test_pickled_code_is_refused_and_not_run(tmp_path: Path, is_zip: bool) -> None:
    what = content() | {"optimizer": Trap()}
    path = written(tmp_path / "a.pt", what, _use_new_zipfile_serialization=is_zip)
    assert "holds pickled code" in refusal(path)
    (tmp_path / "b.pt").write_bytes(pickle.dumps(Trap()))
    assert "is not a checkpoint" in refusal(tmp_path / "b.pt")
    assert not Trap.ran


def test_a_pickled_network_is_refused_with_what_to_do(tmp_path: Path) -> None:
    message = refusal(written(tmp_path / "a.pt", build(ARCH)))
    assert "Sequential" in message
    assert "save the network's state_dict" in message


def test_a_tar_file_is_refused_unread(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("pickle"), io.BytesIO())
    assert "is a tar file: if it is an archive, unpack it" in refusal(tmp_path / "a.tar")


def test_a_missing_file_and_a_folder_are_told(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "a.pt")
    assert "must be a plain file, and is a folder" in refusal(tmp_path)


@pytest.mark.parametrize("name", ["a.pt", "a.safetensors"])
def test_a_pipe_is_refused_without_waiting_for_a_writer(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    assert "must be a plain file, and is a named pipe" in refusal(tmp_path / name)


@given(junk=st.binary(max_size=200))
def test_any_bytes_are_refused(tmp_path_factory: Any, junk: bytes) -> None:
    path = tmp_path_factory.mktemp("junk") / "a.pt"
    path.write_bytes(junk)
    with pytest.raises(CheckpointError):
        load(path)


@pytest.mark.parametrize("is_zip", [True, False])
def test_a_truncated_file_is_refused(tmp_path: Path, is_zip: bool) -> None:
    path = written(tmp_path / "a.pt", content(), _use_new_zipfile_serialization=is_zip)
    whole = path.read_bytes()
    for keep in (0.0, 0.01, 0.3, 0.6, 0.9, 0.999):
        path.write_bytes(whole[: int(keep * len(whole))])
        assert "is not complete" in refusal(path)


# a checkpoint of something else -----------------------------------------------------------------


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


def changed(tmp_path: Path, **values: Any) -> str:
    """Return the refusal of a checkpoint whose parameters were changed; None removes one."""
    what = content()
    state = what["state_dict"] | {name.replace("__", "."): v for name, v in values.items()}
    what["state_dict"] = {name: value for name, value in state.items() if value is not None}
    return refusal(written(tmp_path / "a.pt", what))


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    weight = "1.conv1.weight"
    assert f"{weight}: has nothing, needs float32 (16, 1, 3, 3)" in changed(
        tmp_path, **{weight: None}
    )
    assert f"{weight}: has float32 (16, 3, 3, 3), needs float32 (16, 1, 3, 3)" in changed(
        tmp_path, **{weight: torch.zeros(16, 3, 3, 3)}
    )
    assert f"{weight}: has float64 (16, 1, 3, 3), needs float32" in changed(
        tmp_path, **{weight: torch.zeros(16, 1, 3, 3, dtype=torch.float64)}
    )
    assert f"{weight}: has a str without dense values" in changed(tmp_path, **{weight: "a"})
    assert "1.extra: has float32 (2,), needs nothing" in changed(
        tmp_path, **{"1.extra": torch.zeros(2)}
    )
    assert f"{weight}: holds NaN or infinity" in changed(
        tmp_path, **{weight: torch.full((16, 1, 3, 3), torch.nan)}
    )
    assert "1.fc.bias: has nothing, needs float32 (10,)" in changed(tmp_path, **{"1.fc.bias": None})


def test_another_network_shows_the_first_few_and_counts_the_rest(tmp_path: Path) -> None:
    what = content("cifar_resnet110") | {"arch": "cifar_resnet20"}
    message = refusal(written(tmp_path / "a.pt", what))
    assert "does not fit cifar_resnet20" in message
    assert "1.layer1.3.conv1.weight: has float32 (16, 16, 3, 3), needs nothing" in message
    assert "and 536 more" in message
    assert message.count("\n") == 5
    assert "(0 missing, 540 unexpected, 0 of another shape or type)" in message


def test_every_way_not_to_fit_is_shown(tmp_path: Path) -> None:
    what = content("cifar_resnet20")
    state = what["state_dict"]
    what["state_dict"] = {f"net.{name}": value for name, value in state.items()}
    what["state_dict"]["1.conv1.weight"] = torch.zeros(7)
    message = refusal(written(tmp_path / "a.pt", what))
    assert "(106 missing, 128 unexpected, 1 of another shape or type)" in message
    assert "  1.bn1.weight: has nothing, needs float32 (16,)\n" in message
    assert "  net.1.conv1.weight: has float32 (16, 3, 3, 3), needs nothing\n" in message
    assert "  1.conv1.weight: has float32 (7,), needs float32 (16, 3, 3, 3)\n" in message
    assert message.endswith("  and 226 more")


def test_a_checkpoint_that_holds_no_optimizer_cannot_be_gone_on_with(tmp_path: Path) -> None:
    model, optimizer = trained_step(ARCH, 10)
    path = written(tmp_path / "a.pt", content() | {"optimizer": {}})
    with pytest.raises(CheckpointError, match="holds no optimizer state to go on from"):
        restore(path, model, optimizer)


def test_shapes_larger_than_the_file_are_refused_before_they_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    huge = torch.zeros(1).expand(10**12)  # one number in the file
    monkeypatch.setattr(checkpoint, "build", lambda *_: pytest.fail("a network was made"))
    assert "claims parameters of 40000" in changed(tmp_path, **{"1.fc.bias": huge})
