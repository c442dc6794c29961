"""Names and shapes in the checkpoints published with Cohen et al. 2019, written down.

They follow the files cifar10/resnet{20,110} and imagenet/resnet50 of that release, and not the code
of this package.
"""

from __future__ import annotations

Shapes = dict[str, tuple[int, ...]]


def cifar_shapes(depth: int) -> Shapes:
    """ResNet for CIFAR-10, in the order of the file."""
    shapes: Shapes = {"1.conv1.weight": (16, 3, 3, 3)} | _batch_norm("1.bn1", 16)
    for layer, (width_in, width) in enumerate([(16, 16), (16, 32), (32, 64)], start=1):
        for block in range((depth - 2) // 6):
            name = f"1.layer{layer}.{block}"
            first = width_in if block == 0 else width
            shapes[f"{name}.conv1.weight"] = (width, first, 3, 3)
            shapes |= _batch_norm(f"{name}.bn1", width)
            shapes[f"{name}.conv2.weight"] = (width, width, 3, 3)
            shapes |= _batch_norm(f"{name}.bn2", width)
            if first != width:
                shapes[f"{name}.downsample.0.weight"] = (width, first, 1, 1)
                shapes |= _batch_norm(f"{name}.downsample.1", width)
    return shapes | {"1.fc.weight": (10, 64), "1.fc.bias": (10,)}


def imagenet_shapes(prefix: str = "1.module.") -> Shapes:
    """ResNet-50 for ImageNet: torchvision's names; the published network was in DataParallel."""
    shapes: Shapes = {}

    def convolution(name: str, norm: str, out: int, into: int, size: int) -> None:
        shapes[f"{prefix}{name}.weight"] = (out, into, size, size)
        shapes.update(_batch_norm(f"{prefix}{norm}", out))

    convolution("conv1", "bn1", 64, 3, 7)
    for layer, (blocks, width) in enumerate([(3, 64), (4, 128), (6, 256), (3, 512)], start=1):
        for block in range(blocks):
            name = f"layer{layer}.{block}"
            into = 4 * width if block else max(64, 2 * width) if layer > 1 else 64
            convolution(f"{name}.conv1", f"{name}.bn1", width, into, 1)
            convolution(f"{name}.conv2", f"{name}.bn2", width, width, 3)
            convolution(f"{name}.conv3", f"{name}.bn3", 4 * width, width, 1)
            if not block:
                convolution(f"{name}.downsample.0", f"{name}.downsample.1", 4 * width, into, 1)
    return shapes | {f"{prefix}fc.weight": (1000, 2048), f"{prefix}fc.bias": (1000,)}


def _batch_norm(name: str, width: int) -> Shapes:
    parts = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{part}": (width,) for part in parts} | {f"{name}.num_batches_tracked": ()}
