"""Images in files or bytes, decoded one by one when asked for.

Pixels are taken as they are stored: an EXIF orientation is not applied, as torchvision does not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from smoothbound.data.dataset import EXTRA
from smoothbound.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["ENDINGS", "MODES", "EncodedImages", "decoded"]

ENDINGS = (".jpg", ".jpeg", ".png", ".ppm", ".pgm", ".bmp", ".tif", ".tiff", ".webp")
"""Of the files that are images; those that torchvision reads."""

_FORMATS = ("JPEG", "PNG", "PPM", "BMP", "TIFF", "WEBP")  # as Pillow calls them
MODES = {1: "L", 3: "RGB"}
"""Of images as Pillow calls them, by the number of channels."""


@dataclass(frozen=True)
class EncodedImages:
    """Images of one shape, from their bytes or their files.

    Parameters
    ----------
    encoded : sequence of bytes or path
        The images.
    shape : tuple of int
        (channels, height, width) of every image.
    source : path, optional
        The file that holds the bytes.
    fit : callable, optional
        Makes an image of any size one of this shape; without it, another shape is an error.
    vary : callable, optional
        Makes an image of any size one of this shape at random, to train with.
    """

    encoded: Sequence[bytes | Path]
    shape: tuple[int, int, int]
    source: Path | None = None
    fit: Callable[[Image], Image] | None = None
    vary: Callable[[Image, np.random.Generator], Image] | None = None

    def __len__(self) -> int:
        return len(self.encoded)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        return self._read(index, self.fit)

    def varied(self, index: int, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Return one image as `vary` makes it, or as it is."""
        vary = self.vary
        return self._read(index, None if vary is None else lambda image: vary(image, rng))

    def _read(self, index: int, fit: Callable[[Image], Image] | None) -> NDArray[np.uint8]:
        channels, height, width = self.shape
        wanted = ((width, height), MODES[channels])

        def pixels(image: Image) -> NDArray[np.uint8] | str:
            if fit is not None:
                if image.mode.startswith(("I", "F")):  # would be cut off at 255
                    return f"{image.width} x {image.height} {image.mode}, more than 8 bits a value"
                image = fit(image)
            # size and mode stand in the header: a huge image is refused before it is decoded
            if (image.size, image.mode) != wanted:
                return f"{image.width} x {image.height} {image.mode}"
            return np.asarray(image, np.uint8).reshape(height, width, channels)

        encoded = self.encoded[index]
        where = f"{encoded}" if isinstance(encoded, Path) else f"{self.source}, row {index}"
        size = f"{width} x {height} {wanted[1]}" if fit is None else "any size"
        found = decoded(encoded, where, size, pixels)
        return np.ascontiguousarray(np.moveaxis(found, 2, 0))


def decoded(
    encoded: bytes | Path,
    where: str,
    wanted: str,
    read: Callable[[Image], NDArray[np.uint8] | str],
) -> NDArray[np.uint8]:
    """Return what `read` makes of an image; a text that it returns says what is wrong with it.

    Raises
    ------
    DataError
        If Pillow is not there, the image cannot be decoded, has several frames or is larger than
        Pillow's limit, or `read` returns a text.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise DataError(f"images in files need Pillow; {EXTRA}") from error
    try:
        source = encoded if isinstance(encoded, Path) else BytesIO(encoded)
        with Image.open(source, formats=_FORMATS) as image:
            limit = Image.MAX_IMAGE_PIXELS
            if limit is not None and image.width * image.height > limit:
                found: NDArray[np.uint8] | str = f"{image.width} x {image.height} pixels, too many"
            elif getattr(image, "is_animated", False):
                found = "several frames"
            else:
                found = read(image)
            if not isinstance(found, str):
                return found
    except Exception as error:  # arbitrary bytes end in almost any exception
        found = f"what cannot be decoded, is the download complete? ({error})"
    raise DataError(f"{where}: needs a JPEG or PNG of {wanted}, got {found}")
