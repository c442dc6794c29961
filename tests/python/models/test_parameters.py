"""Parameters are found in a file and matched with a network, by name and shape."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoints import ARCH, content, refusal, written

from smoothbound.errors import CheckpointError
from smoothbound.models import checkpoint
from smoothbound.models.architectures import build
from smoothbound.models.checkpoint import load


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


def test_two_parameters_for_one_place_are_refused(tmp_path: Path) -> None:
    state = build(ARCH).state_dict()
    twice = state | {"1.module.fc.bias": state["1.fc.bias"]}
    with pytest.raises(CheckpointError, match=r"1 unexpected.*\n.*1\.module\.fc\.bias"):
        load(written(tmp_path / "a.pt", twice), arch=ARCH)


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


def test_shapes_larger_than_the_file_are_refused_before_they_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    huge = torch.zeros(1).expand(10**12)  # one number in the file
    monkeypatch.setattr(checkpoint, "build", lambda *_: pytest.fail("a network was made"))
    assert "claims parameters of 40000" in changed(tmp_path, **{"1.fc.bias": huge})
