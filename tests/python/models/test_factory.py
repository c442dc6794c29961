"""Networks of the user's own, made by a factory that is named."""

from __future__ import annotations

import importlib
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoints import ARCH, ODD, refusal, written

from smoothbound._files.digests import state_digest
from smoothbound.errors import CheckpointError, ModelError
from smoothbound.models._factory import from_factory
from smoothbound.models.architectures import build
from smoothbound.models.checkpoint import load

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
