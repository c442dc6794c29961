"""Networks by name, with the shape and the normalisation of their input.

Each base classifier is ``Sequential(Normalize, network)`` and takes images in [0, 1]. Noise is
therefore added before the normalisation, and sigma is in the units of the image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from smoothbound._utils import checks
from smoothbound.models._networks import CifarResNet, DigitsCNN, ImageNetResNet, Normalize

__all__ = ["ARCHITECTURES", "MAX_CLASSES", "Architecture", "build"]


@dataclass(frozen=True)
class Architecture:
    """A network by name: its input, and the function that makes it.

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
    >>> import torch
    >>> build("cifar_resnet20")(torch.rand(4, 3, 32, 32)).shape
    torch.Size([4, 10])
    """
    architecture = ARCHITECTURES[checks.choice("arch", arch, tuple(ARCHITECTURES))]
    network = architecture.network(checks.count("num_classes", num_classes, 2, MAX_CLASSES))
    return nn.Sequential(Normalize(architecture.mean, architecture.std), network)
