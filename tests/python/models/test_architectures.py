"""The networks: published names and shapes, normalisation inside, logits out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from published import cifar_shapes, imagenet_shapes

from smoothbound.models._networks import CifarResNet, Normalize
from smoothbound.models.architectures import ARCHITECTURES, build


@pytest.mark.parametrize(("depth", "entries"), [(20, 128), (110, 668)])
def test_cifar_parameters_have_the_published_names_and_shapes(depth: int, entries: int) -> None:
    state = build(f"cifar_resnet{depth}").state_dict()
    assert len(state) == entries
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    assert list(shapes.items()) == list(cifar_shapes(depth).items())


def test_imagenet_parameters_have_the_published_names_and_shapes() -> None:
    """Those of torchvision's resnet50."""
    state = build("resnet50", 1000).state_dict()
    assert len(state) == 320
    assert [(name, tuple(v.shape)) for name, v in state.items()] == list(
        imagenet_shapes("1.").items()
    )
    assert sum(v.numel() for v in build("resnet50", 1000).parameters()) == 25_557_032


def test_the_imagenet_network_computes_what_torchvisions_does(torchvision: Any) -> None:
    theirs = torchvision.models.resnet50().eval()
    ours = build("resnet50", 1000).eval()
    for name, value in theirs.state_dict().items():  # statistics that are not 0 and 1
        if name.endswith(("running_mean", "running_var")):
            value.uniform_(0.5, 1.5)
    ours[1].load_state_dict(theirs.state_dict())
    images = torch.rand(2, 3, 224, 224)
    torch.testing.assert_close(ours[1](images), theirs(images), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("num_classes", [2, 10])
def test_every_architecture_maps_its_input_to_logits(arch: str, num_classes: int) -> None:
    model = build(arch, num_classes).eval()
    logits = model(torch.rand(3, *ARCHITECTURES[arch].shape))
    assert logits.shape == (3, num_classes)
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()
    assert model.state_dict()["1.fc.bias"].shape == (num_classes,)  # where checkpoints are read


def test_normalisation_is_per_channel_and_not_saved() -> None:
    layer = Normalize([0.5, 0.25], [0.5, 2.0])
    images = torch.tensor([1.0, 0.75])[:, None, None].expand(4, 2, 3, 5)
    expected = torch.tensor([1.0, 0.25])[:, None, None].expand(4, 2, 3, 5)
    torch.testing.assert_close(layer(images), expected)
    assert layer.state_dict() == {}
    assert layer.double().mean.dtype == torch.float64  # it moves with the module


def test_the_networks_normalise_as_the_published_ones() -> None:
    cifar = ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
    for name in ("cifar_resnet20", "cifar_resnet110"):
        assert (ARCHITECTURES[name].mean, ARCHITECTURES[name].std) == cifar
    imagenet = ARCHITECTURES["resnet50"]
    assert (imagenet.mean, imagenet.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def test_the_network_sees_normalised_images() -> None:
    model = build("cifar_resnet20").eval()
    mean = torch.tensor(ARCHITECTURES["cifar_resnet20"].mean)[:, None, None]
    images = mean.expand(1, 3, 32, 32)
    torch.testing.assert_close(model(images), model[1](torch.zeros(1, 3, 32, 32)))


def test_a_residual_block_starts_from_its_shortcut() -> None:
    block = build("cifar_resnet20")[1].layer1[0].eval()
    torch.nn.init.zeros_(block.bn2.weight)
    features = torch.randn(2, 16, 8, 8)
    torch.testing.assert_close(block(features), features.relu())


def test_unknown_names_and_impossible_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match=r"arch must be one of 'digits_cnn', .*; got 'resnet'"):
        build("resnet")
    with pytest.raises(ValueError, match="num_classes must be at least 2, got 1"):
        build("digits_cnn", 1)
    with pytest.raises(ValueError, match=r"depth must be 6k \+ 2 .*, got 21"):
        CifarResNet(21, 10)
