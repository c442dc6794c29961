"""Short training, on few images or on files that are written for it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from smoothbound.data._loading import Dataset, load
from smoothbound.train._loop import train


def few(count: int = 40) -> Dataset:
    digits = load("digits", "train")
    return dataclasses.replace(
        digits,
        images=np.stack([digits.images[i] for i in range(count)]),
        labels=digits.labels[:count],
    )


def weights(model: torch.nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def quick(dataset: Dataset, arch: str = "digits_cnn", **options: Any) -> torch.nn.Sequential:
    return train(dataset, arch, **{"sigma": 0.25, "epochs": 1, "device": "cpu"} | options)


def write_imagenet(folder: Path, count: int) -> str:
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for label in range(1000):
            place = folder / split / f"n{label:08}"
            place.mkdir(parents=True)
            if label < count:
                pixels = rng.integers(0, 256, (48, 80, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(place / "a.JPEG")
    return f"imagenet:{folder}"
