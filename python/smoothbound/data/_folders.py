"""Images in files, in one folder for each class.

Labels are the positions of the class folders in their sorted list. If there is a folder of training
images, its list is used, so that a class without images in the test does not change the labels of
the others.
"""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from smoothbound.data._dataset import Dataset
from smoothbound.data._encoded import ENDINGS, MODES, EncodedImages, decoded
from smoothbound.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

# Endings of images that are not read. Such a file is an error, so that no image is lost unnoticed.
_UNREAD = (".gif", ".jfif", ".jpe", ".heic", ".heif", ".avif", ".jp2", ".jxl", ".tga")
_NO_CLASSES = ("__MACOSX", "@eaDir", "lost+found")  # made by systems, not by people
_SPLITS = {"train": ("train",), "test": ("test", "val")}
_IMAGENET_SPLITS = {"train": ("train",), "test": ("val", "test")}  # its test has no labels
_WORDNET = re.compile(r"n\d{8}")
_IMAGENET_CLASSES = 1000
_IMAGENET_IMAGES = {"train": 1_281_167, "test": 50_000}
_SHORT_SIDE, _CROP = 256, 224
_MOST_PIXELS = 2**26  # in an image whose shorter side was resized to 256
_TRIES, _LEAST_AREA, _MOST_OBLONG = 10, 0.08, 4 / 3  # as in torchvision's RandomResizedCrop


def images(folder: Path, split: str) -> Dataset:
    """Return images of one size, grey or RGB, unchanged."""
    part, place = _place("images", folder, split, _SPLITS)
    found = _found("images", place)
    classes = _classes(place, found)
    files, labels = _labelled("images", found, classes)
    shape = _shape(files[0])
    return Dataset(
        name=f"images:{_shown(folder.name)}",
        split=part,
        images=EncodedImages(files, shape),
        labels=labels,
        num_classes=len(classes),
        shape=shape,
        grid=255,
        classes=tuple(classes),
        remarks=_remarks(place, found, classes),
    )


def imagenet(folder: Path, split: str) -> Dataset:
    """Return ImageNet: the shorter side resized to 256, the central 224 x 224, RGB.

    To train with, a random part of the image, resized to 224 x 224 and mirrored every other time.
    """
    part, place = _place("imagenet", folder, split, _IMAGENET_SPLITS)
    found = _found("imagenet", place)
    classes = _imagenet_classes(place, found)
    files, labels = _labelled("imagenet", found, classes)
    shape = (3, _CROP, _CROP)
    return Dataset(
        name="imagenet",
        split=part,
        images=EncodedImages(files, shape, fit=_central, vary=_cropped),
        labels=labels,
        num_classes=len(classes),
        shape=shape,
        grid=255,
        published=_IMAGENET_IMAGES.get(part),
        classes=tuple(classes),
        remarks=_remarks(place, found, classes),
    )


# Folders ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Found:
    """The images and other files in a part of the data.

    Parameters
    ----------
    images : dict of str to list of path
        The images of each class folder, sorted.
    others : list of str
        Names of the files that are skipped.
    """

    images: dict[str, list[Path]]
    others: list[str]

    @property
    def filled(self) -> set[str]:
        """Names of the class folders that hold an image."""
        return {name for name, files in self.images.items() if files}


def _place(
    kind: str, folder: Path, split: str, parts: dict[str, tuple[str, ...]]
) -> tuple[str, Path]:
    """Return the split and its folder: DIR/train, DIR/test or DIR/val, or DIR with all images.

    If DIR has both test and val, the first one that has class folders is taken.
    """
    if not folder.is_dir():
        raise DataError(
            f"{kind}: no folder {folder}; it must hold one folder a class, with images, or such "
            "folders in train and in val"
        )
    there = [folder / name for name in parts[split] if (folder / name).is_dir()]
    if there:
        return split, next((place for place in there if _class_folders(kind, place)), there[0])
    if any((folder / name).is_dir() for names in parts.values() for name in names):
        raise DataError(
            f"{kind}: {folder} has no part for {split}; needed: {' or '.join(_SPLITS[split])}"
        )
    return "all", folder


def _entries(kind: str, folder: Path) -> list[os.DirEntry[str]]:
    """Return the entries of a folder, sorted by name, without hidden ones."""
    try:
        with os.scandir(folder) as entries:
            seen = [entry for entry in entries if not _is_hidden(entry.name)]
    except OSError as error:
        raise DataError(f"{kind}: {folder} cannot be read ({error.strerror})") from error
    return sorted(seen, key=lambda entry: entry.name)


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name in _NO_CLASSES


def _class_folders(kind: str, place: Path) -> list[str]:
    return [entry.name for entry in _entries(kind, place) if entry.is_dir()]


def _found(kind: str, place: Path) -> _Found:
    """Return the images in the class folders of a part."""
    found = _Found({}, [])
    beside: list[str] = []
    for entry in _entries(kind, place):
        if not entry.is_dir():
            beside.append(entry.name)
            continue
        files = _images_in(kind, Path(entry.path), found.others)
        if files or not entry.name.startswith("_"):
            found.images[entry.name] = files
    if not found.filled:
        loose = sum(_ending(name) in ENDINGS for name in beside)
        outside = f", {loose} images beside them" if loose else ""
        raise DataError(
            f"{kind}: {place} has {len(found.images)} class folders and no images in them"
            f"{outside}; it must hold one folder a class, with files directly in it that end in "
            f"{', '.join(ENDINGS)}"
        )
    found.others.extend(beside)
    return found


def _images_in(kind: str, folder: Path, others: list[str]) -> list[Path]:
    """Return the images of a class folder, sorted; adds the names of other files to `others`."""
    files: list[Path] = []
    for entry in _entries(kind, folder):
        ending = _ending(entry.name)
        if entry.is_dir():
            if any(_ending(inner.name) in ENDINGS for inner in _entries(kind, Path(entry.path))):
                raise DataError(
                    f"{kind}: {entry.path} holds images in a folder below a class folder; a class "
                    f"folder must hold its images directly in it: move them to {folder}, or name "
                    "the folder that holds the class folders"
                )
        elif ending in _UNREAD:
            raise DataError(
                f"{kind}: {entry.path} is an image of a kind that is not read; convert it to one "
                f"of {', '.join(ENDINGS)}, or move it away"
            )
        elif ending not in ENDINGS:
            others.append(entry.name)
        elif entry.is_file():
            files.append(Path(entry.path))
        else:
            raise DataError(f"{kind}: {entry.path} is not a regular file, or is a link to nothing")
    return files


def _ending(name: str) -> str:
    return Path(name).suffix.lower()


# Labels -----------------------------------------------------------------------------------------


def _classes(place: Path, found: _Found) -> list[str]:
    """Return the class folders in the order of their labels."""
    train = place.with_name("train")
    if place.name in _SPLITS["test"] and train.is_dir() and _class_folders("images", train):
        known = list(_found("images", train).images)
        strange = sorted(found.filled.difference(known))
        if strange:
            raise DataError(
                f"images: {place} has images of {strange[0]!r}, and {train} has no such class; "
                f"labels are positions in the sorted list of the folders of {train}"
            )
        return known
    return list(found.images)


def _imagenet_classes(place: Path, found: _Found) -> list[str]:
    """Return the class folders in the order of their labels: WordNet ids, or numbers from 0."""
    wordnet = sorted(name for name in found.images if _WORDNET.fullmatch(name))
    numbers = sorted((name for name in found.images if name.isdecimal()), key=int)
    for names in (wordnet, numbers if list(map(int, numbers)) == list(range(1000)) else []):
        if len(names) == _IMAGENET_CLASSES and found.filled <= set(names):
            return names
    first, *_, last = [*found.images, ""]
    raise DataError(
        f"imagenet: {place} has {len(found.images)} class folders, and ImageNet has "
        f"{_IMAGENET_CLASSES}: labels are positions in the sorted list of the WordNet ids "
        "(n01440764, ...), or the numbers 0 .. 999, so all must be there, empty ones too; found "
        f"{first!r} .. {last!r}"
    )


def _labelled(kind: str, found: _Found, classes: list[str]) -> tuple[list[Path], NDArray[np.int64]]:
    """Return the images in the order of classes and names, and their labels."""
    files = [found.images.get(name, []) for name in classes]
    labels = np.repeat(np.arange(len(classes), dtype=np.int64), [len(part) for part in files])
    return [file for part in files for file in part], labels


def _remarks(place: Path, found: _Found, classes: list[str]) -> tuple[str, ...]:
    remarks = [f"read from {place}"]
    if len(classes) == 1:
        remarks.append(
            f"{classes[0]!r} is the only class folder, so its label is 0, whichever class of a "
            "network it is; add folders for the other classes, also empty ones"
        )
    if all(name.isdecimal() for name in classes):
        wrong = next((label for label, name in enumerate(classes) if int(name) != label), None)
        if wrong is not None:
            remarks.append(
                f"labels are positions in the sorted list of names: {classes[wrong]!r} is class "
                f"{wrong}"
            )
    if found.others:
        kinds = Counter(_ending(name) or name for name in found.others)
        shown = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(5))
        remarks.append(f"skipped {len(found.others)} files: {shown}")
    return tuple(remarks)


def _shown(name: str) -> str:
    """Return the name of a folder in valid Unicode, for any bytes that it has."""
    return os.fsencode(name).decode(errors="backslashreplace")


# Pixels -----------------------------------------------------------------------------------------


def _central(image: Image) -> Image:
    """Resize and crop, with the roundings of torchvision's Resize(256) and CenterCrop(224)."""
    from PIL.Image import Resampling

    width, height = image.size
    short = min(width, height)
    size = (_SHORT_SIDE * width // short, _SHORT_SIDE * height // short)
    if math.prod(size) > _MOST_PIXELS:
        raise ValueError(f"{width} x {height} would be resized to {size[0]} x {size[1]} pixels")
    image = image.convert("RGB")
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
    # The image is so oblong that no part fits. Take the central part of the most oblong shape.
    wide = min(width, round(height * _MOST_OBLONG))
    high = min(height, round(width * _MOST_OBLONG))
    return (width - wide) // 2, (height - high) // 2, wide, high


def _shape(path: Path) -> tuple[int, int, int]:
    found: list[tuple[int, int, int]] = []
    channels = {mode: count for count, mode in MODES.items()}

    def read(image: Image) -> NDArray[np.uint8] | str:
        if image.mode not in channels:
            return f"{image.width} x {image.height} {image.mode}"
        found.append((channels[image.mode], image.height, image.width))
        return np.empty(0, np.uint8)

    decoded(path, str(path), "grey (L) or RGB", read)
    return found[0]
