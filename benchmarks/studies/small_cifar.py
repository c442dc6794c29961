"""A small convolutional network for CIFAR-10, and scores of its noisy copies of test images.

It draws fast on a CPU: 100 000 draws of an image take some 20 seconds. `anytime.py` uses it.
"""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import smoothbound as sb
from smoothbound._files.atomic import atomic_write
from smoothbound.measures import custom

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
BATCH, EPOCHS, HIGHEST_RATE, WEIGHT_DECAY, FARTHEST_SHIFT = 256, 14, 6e-3, 1e-2, 3
GRID = 255
N_SELECTION, N_DRAWS = 100, 100_100


class Normalize(nn.Module):
    """Normalise the channels of images in [0, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(STD).view(3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std


def network() -> nn.Sequential:
    """Return the network; it takes images in [0, 1]."""

    def block(n_inputs: int, n_outputs: int, size: int, stride: int) -> list[nn.Module]:
        conv = nn.Conv2d(n_inputs, n_outputs, size, stride=stride, padding=1, bias=False)
        return [conv, nn.BatchNorm2d(n_outputs), nn.ReLU()]

    return nn.Sequential(
        Normalize(),
        *block(3, 32, 4, 2),
        *block(32, 64, 3, 2),
        *block(64, 96, 3, 2),
        *block(96, 128, 3, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(128, 10),
    )


def train(args: Namespace) -> None:
    """Train under noise, and write the weights after each epoch."""
    torch.manual_seed(0)
    images, labels = training_images(args.data)
    model = network().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=WEIGHT_DECAY)
    steps = len(images) // BATCH * args.epochs
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, HIGHEST_RATE, total_steps=steps)
    model.train()
    for epoch in range(args.epochs):
        right = 0
        for some in torch.randperm(len(images)).split(BATCH)[: len(images) // BATCH]:
            with torch.autocast("cpu", torch.bfloat16):
                outputs = model(augmented(images[some].float().div_(GRID), args.sigma)).float()
            loss = nn.functional.cross_entropy(outputs, labels[some])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            right += int((outputs.argmax(1) == labels[some]).sum())
        print(f"epoch {epoch + 1}: {right / len(images):.1%} of noisy images right", flush=True)
        with atomic_write(args.network) as file:
            torch.save(model.state_dict(), file)


def training_images(source: str) -> tuple[Tensor, Tensor]:
    """Return all training images as bytes, and their labels."""
    pairs = sb.data.load(source, "train")
    images = [np.rint(np.asarray(image) * GRID).astype(np.uint8) for image, _ in pairs]
    return torch.from_numpy(np.stack(images)), torch.tensor([label for _, label in pairs])


def augmented(images: Tensor, sigma: float) -> Tensor:
    """Mirror half of a batch, shift all of it, and add noise."""
    mirrored = torch.rand(len(images)) < 0.5
    images[mirrored] = images[mirrored].flip(3)
    down, right = torch.randint(-FARTHEST_SHIFT, FARTHEST_SHIFT + 1, (2,)).tolist()
    shifted = images.roll((down, right), (2, 3))
    noisy = shifted + sigma * torch.randn_like(shifted)
    return noisy.contiguous(memory_format=torch.channels_last)


def record(args: Namespace) -> None:
    """Record draws of test images, and write a file for each; those that are there are kept.

    A number is the score of the class that 100 other draws select. It has a minus sign if another
    class was on top in this draw.
    """
    model = network()
    model.load_state_dict(torch.load(args.network, weights_only=True))
    check_settings(args.scores, {"sigma": args.sigma, "network": args.network.stat().st_size})
    smoothed = sb.SmoothedClassifier(
        model.eval(),
        args.sigma,
        measure=custom(signed_score, (-1.0, 1.0), name="signed score"),
        precision="bfloat16",
        channels_last=True,
        batch_size=500,
        threads=1,
    )
    images = sb.data.load(args.data, "test")
    for index in range(0, len(images), args.skip)[: args.inputs]:
        path = args.scores / f"{index}.npy"
        if path.exists():
            continue
        x, _ = images[index]
        draws = smoothed.draw(x, n0=N_SELECTION, n=N_DRAWS, index=index, grid=GRID)
        with atomic_write(path) as file:
            np.save(file, draws.scores)
        print(f"image {index}: mean score {abs(draws.scores).mean():.3f}", flush=True)


def signed_score(probabilities: Tensor, selected: Tensor) -> Tensor:
    """Return the scores of the selected class, below 0 where another class is on top."""
    scores = probabilities.gather(1, selected[:, None])[:, 0]
    return torch.where(probabilities.argmax(1) == selected, scores, -scores)


def check_settings(folder: Path, settings: dict[str, Any]) -> None:
    """Refuse a folder whose scores were drawn otherwise."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "settings.json"
    if not path.exists():
        path.write_text(json.dumps(settings))
    if json.loads(path.read_text()) != settings:
        raise SystemExit(f"{folder} holds scores drawn with {path.read_text()}, not {settings}")


def recorded(folder: Path) -> Iterator[np.ndarray[Any, np.dtype[np.float32]]]:
    """Yield the draws of each image, in the order of the images."""
    paths = [path for path in folder.glob("*.npy") if path.stem.isdigit()]
    for path in sorted(paths, key=lambda path: int(path.stem)):
        yield np.load(path, allow_pickle=False)
