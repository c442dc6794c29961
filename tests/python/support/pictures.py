"""Images as files: random photographs, encoded, in folders and in arrays."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from smoothbound.data._loading import Dataset, load


def encoded(pixels: NDArray[np.uint8], kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def photographs(count: int) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


def write_npz(path: Path, **arrays: Any) -> str:
    np.savez(path, **arrays)
    return f"npz:{path}"


def save(path: Path, pixels: NDArray[np.uint8], kind: str = "PNG") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(pixels, kind))


def numbered(data: Dataset) -> dict[str, int]:
    """Return the label of each class folder that has an image."""
    files: Any = data.images
    return {p.parent.name: int(y) for p, y in zip(files.encoded, data.labels, strict=True)}


def classes_of(folder: Path, *names: str, split: str = "test") -> None:
    for name in names:
        save(folder / split / name / "0.png", photographs(1)[0])


def wordnet_folders(folder: Path) -> None:
    for label in range(1000):
        (folder / "val" / f"n{label:08}").mkdir(parents=True)


def imagenet(folder: Path, images: dict[str, NDArray[np.uint8]]) -> Dataset:
    wordnet_folders(folder)
    for name, pixels in images.items():
        save(folder / "val" / name, pixels, "JPEG")
    return load(f"imagenet:{folder}")
