"""Images in files, one folder a class; labels are the positions of the sorted folders."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from smoothbound.data.dataset import Dataset
from smoothbound.data.encoded import EncodedImages, decoded
from smoothbound.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

_ENDINGS = (".jpg", ".jpeg", ".png")
_SPLITS = {"train": ("train",), "test": ("test", "val")}
_IMAGENET_CLASSES = 1000
_IMAGENET_IMAGES = {"train": 1_281_167, "test": 50_000}
_SHORT_SIDE, _CROP = 256, 224
_TRIES, _LEAST_AREA, _MOST_OBLONG = 10, 0.08, 4 / 3  # of torchvision's RandomResizedCrop


def images(folder: Path, split: str) -> Dataset:
    """Return images of one size, grey or RGB, as they are."""
    part, place = _place("images", folder, split)
    files, labels, classes = _files("images", place)
    shape = _shape(files[0])
    return Dataset(
        f"images:{folder.name}", part, EncodedImages(files, shape), labels, classes, shape, grid=255
    )


def imagenet(folder: Path, split: str) -> Dataset:
    """Return ImageNet: the shorter side resized to 256, the central 224 x 224, RGB.

    To train with, a random part of the image, resized to 224 x 224 and mirrored every other time.
    """
    part, place = _place("imagenet", folder, split)
    files, labels, classes = _files("imagenet", place)
    if classes != _IMAGENET_CLASSES:
        raise DataError(
            f"imagenet: {place} has {classes} class folders, and ImageNet has {_IMAGENET_CLASSES}: "
            "labels are positions in their sorted list, so all must be there, empty ones too"
        )
    shape = (3, _CROP, _CROP)
    encoded = EncodedImages(files, shape, fit=_central, vary=_cropped)
    published = _IMAGENET_IMAGES.get(part)
    return Dataset("imagenet", part, encoded, labels, classes, shape, grid=255, published=published)


def _central(image: Image) -> Image:
    """Resize and crop, with the roundings of torchvision's Resize(256) and CenterCrop(224)."""
    from PIL.Image import Resampling

    image = image.convert("RGB")
    width, height = image.size
    short = min(width, height)
    size = (_SHORT_SIDE * width // short, _SHORT_SIDE * height // short)
    if size != image.size:
        image = image.resize(size, Resampling.BILINEAR)
    left, top = (round((side - _CROP) / 2) for side in size)
    return image.crop((left, top, left + _CROP, top + _CROP))


def _cropped(image: Image, rng: np.random.Generator) -> Image:
    """Crop at random, as torchvision's RandomResizedCrop(224), and mirror every other time."""
    from PIL.Image import Resampling, Transpose

    image = image.convert("RGB")
    left, top, width, height = _random_part(*image.size, rng)
    image = image.crop((left, top, left + width, top + height))
    image = image.resize((_CROP, _CROP), Resampling.BILINEAR)
    return image.transpose(Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else image


def _random_part(width: int, height: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Return left, top, width and height of a part: 8 to 100 % of the area, sides 3:4 to 4:3."""
    for _ in range(_TRIES):
        area = width * height * rng.uniform(_LEAST_AREA, 1)
        ratio = math.exp(rng.uniform(-1, 1) * math.log(_MOST_OBLONG))
        wide, high = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < wide <= width and 0 < high <= height:
            left, top = rng.integers((width - wide + 1, height - high + 1)).tolist()
            return left, top, wide, high
    # An image so oblong that no part fits: the central one of the most oblong shape.
    wide = min(width, round(height * _MOST_OBLONG))
    high = min(height, round(width * _MOST_OBLONG))
    return (width - wide) // 2, (height - high) // 2, wide, high


def _place(kind: str, folder: Path, split: str) -> tuple[str, Path]:
    """Return the split and its folder: DIR/train, DIR/test or DIR/val, or DIR with all in it."""
    if not folder.is_dir():
        raise DataError(
            f"{kind}: no folder {folder}; it must hold one folder a class, with images, or such "
            "folders in train and in val"
        )
    for name in _SPLITS[split]:
        if (folder / name).is_dir():
            return split, folder / name
    if any((folder / name).is_dir() for names in _SPLITS.values() for name in names):
        raise DataError(
            f"{kind}: {folder} has no part for {split}; needed: {' or '.join(_SPLITS[split])}"
        )
    return "all", folder


def _files(kind: str, place: Path) -> tuple[list[Path], NDArray[np.int64], int]:
    """Return the images in the order of classes and names, their labels, the number of classes."""
    classes = sorted(entry for entry in place.iterdir() if entry.is_dir())
    files: list[Path] = []
    labels: list[int] = []
    for label, folder in enumerate(classes):
        found = sorted(file for file in folder.iterdir() if file.suffix.lower() in _ENDINGS)
        files += found
        labels += [label] * len(found)
    if not files:
        loose = sum(file.suffix.lower() in _ENDINGS for file in place.iterdir())
        outside = f", {loose} images beside them" if loose else ""
        raise DataError(
            f"{kind}: {place} has {len(classes)} class folders and no images in them{outside}; it "
            f"must hold one folder a class, with {', '.join(_ENDINGS)} files directly in it"
        )
    return files, np.array(labels, np.int64), len(classes)


def _shape(path: Path) -> tuple[int, int, int]:
    found: list[tuple[int, int, int]] = []

    def read(image: Image) -> NDArray[np.uint8] | str:
        if image.mode not in ("L", "RGB"):
            return f"{image.width} x {image.height} {image.mode}"
        found.append((3 if image.mode == "RGB" else 1, image.height, image.width))
        return np.empty(0, np.uint8)

    decoded(path, str(path), "grey (L) or RGB", read)
    return found[0]
