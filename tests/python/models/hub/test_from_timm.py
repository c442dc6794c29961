"""Image classifiers of timm, with random weights, as networks over pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import smoothbound as sb
from smoothbound.errors import CheckpointError, ModelError
from smoothbound.models import checkpoint, from_timm

pytestmark = pytest.mark.usefixtures("torchvision")

SMALL = (3, 32, 32)
PIXELS = (
    torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, *SMALL), np.uint8)).float() / 255
)


@pytest.fixture
def timm(torchvision: Any) -> Any:
    return pytest.importorskip("timm", exc_type=ImportError)


def resnet(timm: Any, **options: Any) -> Any:
    torch.manual_seed(0)
    return timm.create_model("test_resnet", num_classes=4, **options)


def vit(timm: Any, **options: Any) -> Any:
    torch.manual_seed(0)
    return timm.create_model("test_vit", num_classes=4, **options)


def test_pixels_give_what_the_transform_and_the_model_give(timm: Any) -> None:
    image_module = pytest.importorskip("PIL.Image")
    model = resnet(timm).eval()
    net = from_timm(model)
    size = net.shape[1:]
    bits = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    config = timm.data.resolve_model_data_config(model)
    transform = timm.data.create_transform(**{**config, "crop_pct": 1.0, "is_training": False})
    pixels = torch.from_numpy(bits).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        expected = model(transform(image_module.fromarray(bits))[None])
        torch.testing.assert_close(net(pixels), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("make", [resnet, vit])
def test_it_is_certified(timm: Any, make: Any) -> None:
    options = {"drop_rate": 0.5} if make is resnet else {"img_size": 32, "drop_rate": 0.5}
    model = make(timm, **options).train()
    net = from_timm(model, shape=SMALL)
    smoothed = sb.SmoothedClassifier(net, sigma=0.25, cutoff=0.0)
    cert = smoothed.certify(PIXELS, n=200, n0=20, grid=255, radii=[0.0, 0.1])
    again = smoothed.certify(PIXELS, n=200, n0=20, grid=255, radii=[0.0, 0.1])
    assert (cert.lower == again.lower).all()
    assert (cert.lower[:, 0] > 0.05).all()
    assert model.training


def test_the_shape_is_known_and_checked(timm: Any) -> None:
    net = from_timm(resnet(timm))
    assert net.shape == tuple(net.model.pretrained_cfg["input_size"])
    with pytest.raises(ModelError, match="images must have the shape"):
        sb.SmoothedClassifier(net, 0.25).draw(torch.zeros(SMALL), n=10, n0=10, grid=255)
    assert from_timm(resnet(timm), shape=SMALL).shape == SMALL
    with pytest.raises(ModelError, match="state the shape that it takes"):
        from_timm(vit(timm, dynamic_img_size=False), shape=SMALL)
    for shape in [(1, 32, 32), (3, 32), (3, 0, 32)]:
        with pytest.raises(ValueError, match=r"shape must be \(3, height, width\)"):
            from_timm(resnet(timm), shape=shape)  # type: ignore[arg-type]


def test_what_is_refused(timm: Any) -> None:
    with pytest.raises(TypeError, match=r"what timm\.create_model returned"):
        from_timm(nn.Linear(2, 2))
    model = resnet(timm)
    model.pretrained_cfg = {"input_size": SMALL}
    with pytest.raises(TypeError, match="mean and std"):
        from_timm(model)
    for wrong in ({"std": (0.0, 1.0, 1.0)}, {"mean": (0.5,), "std": (0.5,)}):
        model = resnet(timm)
        model.pretrained_cfg = {**model.pretrained_cfg, **wrong}
        with pytest.raises(ValueError, match="a positive std for each of its 3 channels"):
            from_timm(model)
    with pytest.raises(ValueError, match="num_classes=0"):
        from_timm(timm.create_model("test_resnet", num_classes=0))
    with pytest.raises(ValueError, match=r"float32.*bfloat16"):
        from_timm(resnet(timm).bfloat16())


# --- checkpoints --------------------------------------------------------------------------------


@pytest.fixture
def weights(timm: Any, tmp_path: Path) -> Path:
    path = tmp_path / "resnet.pt"
    torch.save(resnet(timm).state_dict(), path)
    return path


def test_a_checkpoint_gives_the_same_network(timm: Any, weights: Path) -> None:
    net, info = checkpoint.load(weights, arch="timm:test_resnet", shape=SMALL)
    assert (info.arch, info.num_classes, info.shape) == ("timm:test_resnet", 4, SMALL)
    assert any("gets (3, 32, 32)" in remark for remark in info.remarks)
    assert not net.training
    with torch.no_grad():
        expected = from_timm(resnet(timm).eval(), shape=SMALL)(PIXELS)
        assert torch.equal(net(PIXELS), expected)


def test_the_file_of_a_trainer_is_read(timm: Any, weights: Path) -> None:
    state = {f"module.{name}": value for name, value in torch.load(weights).items()}
    torch.save({"state_dict": state, "epoch": 3}, weights)
    _, info = checkpoint.load(weights, arch="timm:test_resnet")
    assert (info.num_classes, info.epoch, info.remarks) == (4, 3, ())


def test_a_network_of_one_size_keeps_it(timm: Any, tmp_path: Path) -> None:
    path = tmp_path / "vit.safetensors"
    pytest.importorskip("safetensors.torch").save_file(vit(timm).state_dict(), path)
    _, info = checkpoint.load(path, arch="timm:test_vit", shape=SMALL)
    assert info.shape == tuple(vit(timm).pretrained_cfg["input_size"]) != SMALL


@pytest.mark.parametrize("name", ["no_such_net", "hf-hub:timm/resnet18.a1_in1k", "local-dir:x"])
def test_names_that_timm_has_not_in_itself(timm: Any, weights: Path, name: str) -> None:
    with pytest.raises(ValueError, match="must be a network of timm"):
        checkpoint.load(weights, arch=f"timm:{name}")


def test_a_name_whose_training_is_unknown(timm: Any, weights: Path) -> None:
    with pytest.raises(ValueError, match="cannot be made"):
        checkpoint.load(weights, arch="timm:test_resnet.unknown")


def test_parameters_of_another_network(timm: Any, weights: Path) -> None:
    with pytest.raises(CheckpointError, match="does not fit timm:resnet18"):
        checkpoint.load(weights, arch="timm:resnet18")
    torch.save({"a": torch.zeros(1)}, weights)
    with pytest.raises(CheckpointError, match="no weights of the classifier of test_resnet, fc"):
        checkpoint.load(weights, arch="timm:test_resnet")
    with pytest.raises(CheckpointError, match="a checkpoint is needed"):
        checkpoint.load(None, arch="timm:test_resnet")


def test_a_network_of_one_channel_needs_its_own_configuration(timm: Any) -> None:
    for options in ({}, {"shape": (1, 32, 32)}):
        with pytest.raises(ValueError, match=r"takes images with 1 channel, .* is about 3: descri"):
            from_timm(resnet(timm, in_chans=1), **options)
    described = {"input_size": (1, 32, 32), "mean": [0.5], "std": [0.25]}
    net = from_timm(resnet(timm, in_chans=1, pretrained_cfg_overlay=described))
    assert net.shape == (1, 32, 32)
    assert net(PIXELS[:, :1]).shape == (2, 4)
    with pytest.raises(ValueError, match=r"average their channels .* images.mean\(dim=1, keepdim"):
        net(PIXELS)


def test_images_of_other_channels_are_refused_with_the_way_out(timm: Any) -> None:
    net = from_timm(resnet(timm), shape=SMALL)
    with pytest.raises(ValueError, match=r"repeat their channel .* images.repeat\(1, 3, 1, 1\)"):
        net(PIXELS[:, :1])
    with pytest.raises(ValueError, match="give them 3 channels before"):
        net(PIXELS[:, :2])
    with pytest.raises(ValueError, match="resize and crop them first"):
        net(PIXELS[:, :, 1:])
