"""Base classifiers: a network for small digits, the ResNets of Cohen et al., and your own.

Each is ``Sequential(Normalize, network)`` and takes images in [0, 1], so noise is added before
normalisation and sigma is in the units of the image. The CIFAR networks follow He et al., *Deep
Residual Learning for Image Recognition* (CVPR 2016), section 4.2, with 1 x 1 convolutions where
the width changes; their parameters have the names and shapes of the checkpoints published with
Cohen, Rosenfeld, Kolter, *Certified Adversarial Robustness via Randomized Smoothing* (ICML 2019).
The ImageNet network is the ResNet-50 of the same paper, section 4.1, with the stride of a block in
its 3 x 3 convolution; its parameters have the names and shapes that torchvision gives them.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.parameter import is_lazy

from smoothbound._utils import checks
from smoothbound.errors import ModelError, said

__all__ = [
    "ARCHITECTURES",
    "MAX_CLASSES",
    "Architecture",
    "CifarResNet",
    "DigitsCNN",
    "ImageNetResNet",
    "Normalize",
    "build",
    "from_factory",
]


class Normalize(nn.Module):
    """Subtract a mean and divide by a standard deviation, channel by channel.

    Parameters
    ----------
    mean, std : sequence of float
        One number for each channel, in the units of the input.

    Notes
    -----
    They move with the module but are not saved: published checkpoints do not hold them.

    Examples
    --------
    >>> Normalize([0.5], [0.25])(torch.ones(1, 1, 1, 1))
    tensor([[[[2.]]]])
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(std)[:, None, None], persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return (images - mean) / std; shape (..., channels, height, width)."""
        return (images - self.mean) / self.std


class DigitsCNN(nn.Module):
    """Three convolutions and a linear layer, (batch, 1, 8, 8) to (batch, num_classes) logits.

    Small on purpose: certifying is nearly all forward passes.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1, stride=2)
        self.conv3 = nn.Conv2d(32, 64, 3, padding=1, stride=2)
        self.fc = nn.Linear(64 * 2 * 2, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        features = functional.relu(self.conv1(images))
        features = functional.relu(self.conv2(features))
        features = functional.relu(self.conv3(features))
        logits: Tensor = self.fc(features.flatten(1))
        return logits


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions with batch normalisation around a shortcut."""

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = (
            nn.Sequential(nn.Conv2d(width_in, width, 1, stride, bias=False), nn.BatchNorm2d(width))
            if width_in != width
            else nn.Identity()
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return (batch, width, height / stride, width / stride)."""
        residual = functional.relu(self.bn1(self.conv1(features)))
        return functional.relu(self.bn2(self.conv2(residual)) + self.downsample(features))


class CifarResNet(nn.Module):
    """The ResNet for CIFAR, (batch, 3, 32, 32) to (batch, num_classes) logits.

    Parameters
    ----------
    depth : int
        Number of weighted layers, 6k + 2: 20, 32, 44, 56, 110, ...
    num_classes : int
        Number of logits.
    """

    def __init__(self, depth: int, num_classes: int) -> None:
        super().__init__()
        if depth < 8 or depth % 6 != 2:
            raise ValueError(f"depth must be 6k + 2 with k >= 1 (20, 110, ...), got {depth}")
        blocks = (depth - 2) // 6
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = _stage(blocks, 16, 16, stride=1)
        self.layer2 = _stage(blocks, 16, 32, stride=2)
        self.layer3 = _stage(blocks, 32, 64, stride=2)
        self.fc = nn.Linear(64, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        features = functional.relu(self.bn1(self.conv1(images)))
        features = self.layer3(self.layer2(self.layer1(features)))
        logits: Tensor = self.fc(features.mean(dim=(2, 3)))
        return logits


def _stage(blocks: int, width_in: int, width: int, stride: int) -> nn.Sequential:
    first = BasicBlock(width_in, width, stride)
    return nn.Sequential(first, *(BasicBlock(width, width, 1) for _ in range(blocks - 1)))


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 and 1 x 1 convolutions with batch normalisation around a shortcut.

    The last one makes the features four times as wide as the others.
    """

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = (
            nn.Sequential(
                nn.Conv2d(width_in, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width)
            )
            if width_in != 4 * width
            else nn.Identity()
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return (batch, 4 width, height / stride, width / stride)."""
        residual = functional.relu(self.bn1(self.conv1(features)))
        residual = functional.relu(self.bn2(self.conv2(residual)))
        return functional.relu(self.bn3(self.conv3(residual)) + self.downsample(features))


class ImageNetResNet(nn.Module):
    """The ResNet for ImageNet, (batch, 3, height, width) to (batch, num_classes) logits.

    Parameters
    ----------
    blocks : sequence of int
        Number of blocks in each of the four stages; (3, 4, 6, 3) is ResNet-50.
    num_classes : int
        Number of logits.
    """

    def __init__(self, blocks: Sequence[int], num_classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = _bottlenecks(blocks[0], 64, 64, stride=1)
        self.layer2 = _bottlenecks(blocks[1], 256, 128, stride=2)
        self.layer3 = _bottlenecks(blocks[2], 512, 256, stride=2)
        self.layer4 = _bottlenecks(blocks[3], 1024, 512, stride=2)
        self.fc = nn.Linear(2048, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        features = functional.relu(self.bn1(self.conv1(images)))
        features = functional.max_pool2d(features, 3, stride=2, padding=1)
        features = self.layer4(self.layer3(self.layer2(self.layer1(features))))
        logits: Tensor = self.fc(features.mean(dim=(2, 3)))
        return logits


def _bottlenecks(blocks: int, width_in: int, width: int, stride: int) -> nn.Sequential:
    first = Bottleneck(width_in, width, stride)
    return nn.Sequential(first, *(Bottleneck(4 * width, width, 1) for _ in range(blocks - 1)))


@dataclass(frozen=True)
class Architecture:
    """A network by name: what it takes and how it is made.

    Parameters
    ----------
    shape : tuple of int
        (channels, height, width) of its input.
    mean, std : tuple of float
        Normalisation of each channel, in the units of the input.
    network : callable
        From the number of classes to a module whose last layer is called ``fc``.
    """

    shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    network: Callable[[int], nn.Module]


MAX_CLASSES = 1_000_000
"""More than any data set has: a larger number is a mistake, or a damaged file."""

_CIFAR = ((3, 32, 32), (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))

ARCHITECTURES: dict[str, Architecture] = {
    "digits_cnn": Architecture((1, 8, 8), (0.305,), (0.375,), DigitsCNN),
    "cifar_resnet20": Architecture(*_CIFAR, lambda num_classes: CifarResNet(20, num_classes)),
    "cifar_resnet110": Architecture(*_CIFAR, lambda num_classes: CifarResNet(110, num_classes)),
    "resnet50": Architecture(
        (3, 224, 224),
        (0.485, 0.456, 0.406),
        (0.229, 0.224, 0.225),
        lambda num_classes: ImageNetResNet((3, 4, 6, 3), num_classes),
    ),
}


def build(arch: str, num_classes: int = 10) -> nn.Sequential:
    """Return a freshly initialised base classifier on the CPU.

    Parameters
    ----------
    arch : str
        A name in `ARCHITECTURES`.
    num_classes : int
        Number of logits it returns, at least 2 and at most `MAX_CLASSES`.

    Raises
    ------
    ValueError
        If there is no such architecture or too few classes.

    Examples
    --------
    >>> build("cifar_resnet20")(torch.rand(4, 3, 32, 32)).shape
    torch.Size([4, 10])
    """
    architecture = ARCHITECTURES[checks.choice("arch", arch, tuple(ARCHITECTURES))]
    network = architecture.network(checks.count("num_classes", num_classes, 2, MAX_CLASSES))
    return nn.Sequential(Normalize(architecture.mean, architecture.std), network)


def from_factory(name: str) -> nn.Module:
    """Import a module and return the network that a function or class in it makes, in eval mode.

    This runs the code of that module: name only one that you trust. No file of weights or results
    can name one.

    Parameters
    ----------
    name : str
        ``package.module:factory``; the factory is called without arguments.

    Raises
    ------
    ValueError, TypeError
        If the name is not of that form.
    ModelError
        If there is no such module or factory, either raises, or it does not make an ``nn.Module``
        whose parameters have values.

    Examples
    --------
    >>> from_factory("torch.nn:Identity")
    Identity()
    """
    if not isinstance(name, str):
        raise TypeError(f"model must be package.module:factory, got {checks.shown(name)}")
    module, colon, factory = name.partition(":")
    if not (module and colon and factory.isidentifier()):
        raise ValueError(f"model must be package.module:factory, got {checks.shown(name)}")
    try:
        with _no_arguments():
            make = getattr(importlib.import_module(module), factory)
    except (ImportError, AttributeError) as error:
        raise ModelError(
            f"model {name!r} cannot be imported: {said(error)}; the module must be installed, or "
            "lie in the current folder"
        ) from error
    except (Exception, SystemExit) as error:
        raise ModelError(f"model {name!r} cannot be imported: {_told(error)}") from error
    if isinstance(make, nn.Module):
        raise ModelError(
            f"model {name!r} is a network, not a function that makes one: add "
            f"`def make(): return {factory}` to its module and name {module}:make"
        )
    try:
        with _no_arguments():
            model = make()
    except (Exception, SystemExit) as error:
        raise ModelError(
            f"model {name!r}: calling {factory}() without arguments raised {_told(error)}"
        ) from error
    if not isinstance(model, nn.Module):
        raise ModelError(f"model {name!r} made a {type(model).__name__}, not a torch.nn.Module")
    _check_values(name, model)
    with suppress(NotImplementedError):  # an exported one stays in the mode it was exported in
        model.eval()
    return model


@contextmanager
def _no_arguments() -> Iterator[None]:
    """Hide the words of our command line from a module that reads them when it is imported."""
    words = sys.argv
    sys.argv = words[:1]
    try:
        yield
    finally:
        sys.argv = words


def _told(error: BaseException) -> str:
    """Say in one line what was raised and where."""
    *_, frame = traceback.extract_tb(error.__traceback__)
    message = " ".join(said(error).split())
    return f"{type(error).__name__}: {message} ({Path(frame.filename).name}, line {frame.lineno})"


def _check_values(name: str, model: nn.Module) -> None:
    """Refuse a network some of whose parameters have no values yet."""
    for part, value in (*model.named_parameters(), *model.named_buffers()):
        if is_lazy(value):
            raise ModelError(
                f"model {name!r}: {part} has no shape before a first input; give the network one "
                "in the factory, such as model(torch.zeros(1, 3, 32, 32))"
            )
        if value.is_meta:
            raise ModelError(
                f"model {name!r}: {part} lies on the device 'meta' and has no values; make the "
                "network on the CPU"
            )
