"""The networks: published names and shapes, normalisation inside, logits out."""

from __future__ import annotations

import pytest
import torch

from smoothbound.models import ARCHITECTURES, CifarResNet, Normalize, build

BATCH_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def published_shapes(depth: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes in the checkpoints published with Cohen et al. 2019, in their order.

    Written down from the files cifar10/resnet{20,110}/noise_*/checkpoint.pth.tar.
    """
    shapes: dict[str, tuple[int, ...]] = {"1.conv1.weight": (16, 3, 3, 3)}

    def batch_norm(name: str, width: int) -> None:
        shapes.update({f"{name}.{part}": (width,) for part in BATCH_NORM[:4]})
        shapes[f"{name}.{BATCH_NORM[4]}"] = ()

    batch_norm("1.bn1", 16)
    for layer, (width_in, width) in enumerate([(16, 16), (16, 32), (32, 64)], start=1):
        for block in range((depth - 2) // 6):
            name = f"1.layer{layer}.{block}"
            first = width_in if block == 0 else width
            shapes[f"{name}.conv1.weight"] = (width, first, 3, 3)
            batch_norm(f"{name}.bn1", width)
            shapes[f"{name}.conv2.weight"] = (width, width, 3, 3)
            batch_norm(f"{name}.bn2", width)
            if first != width:
                shapes[f"{name}.downsample.0.weight"] = (width, first, 1, 1)
                batch_norm(f"{name}.downsample.1", width)
    return shapes | {"1.fc.weight": (10, 64), "1.fc.bias": (10,)}


@pytest.mark.parametrize(("depth", "entries"), [(20, 128), (110, 668)])
def test_cifar_parameters_have_the_published_names_and_shapes(depth: int, entries: int) -> None:
    state = build(f"cifar_resnet{depth}").state_dict()
    assert len(state) == entries
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    assert list(shapes.items()) == list(published_shapes(depth).items())


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
