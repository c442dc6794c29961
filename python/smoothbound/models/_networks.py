"""The networks: a small one for digits, and the ResNets of Cohen et al. for CIFAR and ImageNet.

The CIFAR networks follow He et al., *Deep Residual Learning for Image Recognition* (CVPR 2016),
section 4.2, with 1 x 1 convolutions where the width changes. Their parameters have the names and
shapes of the checkpoints published with Cohen, Rosenfeld, Kolter, *Certified Adversarial Robustness
via Randomized Smoothing* (ICML 2019). The ImageNet network is the ResNet-50 of the first paper,
section 4.1, with the stride of a block in its 3 x 3 convolution. Its parameters have the names and
shapes that torchvision gives them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["CifarResNet", "DigitsCNN", "ImageNetResNet", "Normalize"]


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
