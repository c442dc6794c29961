"""Images in files or bytes, which are decoded one by one when they are needed.

Pixels are taken as they are stored. As in torchvision, an EXIF orientation is not applied.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from smoothbound.data._dataset import EXTRA
from smoothbound.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["ENDINGS", "MODES", "EncodedImages", "decoded"]

ENDINGS = (".jpg", ".jpeg", ".png", ".ppm", ".pgm", ".bmp", ".tif", ".tiff", ".webp")
"""Endings of the files that are read as images, which are those of torchvision."""

_FORMATS = ("JPEG", "PNG", "PPM", "BMP", "TIFF", "WEBP")  # Pillow's names
MODES = {1: "L", 3: "RGB"}
"""Pillow's names of the modes of images, by the number of channels."""


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
        Converts an image of any size to this shape; without it, another shape is an error.
    vary : callable, optional
        Converts an image of any size to this shape at random, for training.
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
        """Return one image as `vary` converts it, or unchanged without `vary`."""
        vary = self.vary
        return self._read(index, None if vary is None else lambda image: vary(image, rng))

    def check(self, index: int) -> None:
        """Check the header of one image.

        Raises
        ------
        DataError
            If it is none, or of another shape or kind.
        """

        def header(image: Image) -> NDArray[np.uint8] | str:
            return self._unfit(image, self.fit) or np.empty(0, np.uint8)

        self._decoded(index, self.fit, header)

    def _read(self, index: int, fit: Callable[[Image], Image] | None) -> NDArray[np.uint8]:
        def pixels(image: Image) -> NDArray[np.uint8] | str:
            # size and mode stand in the header: a huge image is refused before it is decoded
            unfit = self._unfit(image, fit)
            if unfit:
                return unfit
            channels, height, width = self.shape
            fitted = image if fit is None else fit(image)
            return np.asarray(fitted, np.uint8).reshape(height, width, channels)

        return np.ascontiguousarray(np.moveaxis(self._decoded(index, fit, pixels), 2, 0))

    def _unfit(self, image: Image, fit: Callable[[Image], Image] | None) -> str | None:
        """Describe an image that does not fit; None if it fits."""
        channels, height, width = self.shape
        found = f"{image.width} x {image.height} {image.mode}"
        if fit is None:
            return None if (image.size, image.mode) == ((width, height), MODES[channels]) else found
        # more than 8 bits a value would be cut off at 255
        return f"{found}, more than 8 bits a value" if image.mode.startswith(("I", "F")) else None

    def _decoded(
        self,
        index: int,
        fit: Callable[[Image], Image] | None,
        read: Callable[[Image], NDArray[np.uint8] | str],
    ) -> NDArray[np.uint8]:
        channels, height, width = self.shape
        encoded = self.encoded[index]
        where = f"{encoded}" if isinstance(encoded, Path) else f"{self.source}, row {index}"
        wanted = f"{width} x {height} {MODES[channels]}" if fit is None else "any size"
        return decoded(encoded, where, wanted, read)


def decoded(
    encoded: bytes | Path,
    where: str,
    wanted: str,
    read: Callable[[Image], NDArray[np.uint8] | str],
) -> NDArray[np.uint8]:
    """Decode an image and return the result of `read`, which is a text if something is wrong.

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
                found: NDArray[np.uint8] | str = _too_large(limit)
            elif getattr(image, "is_animated", False):
                found = "several frames"
            else:
                found = read(image)
            if not isinstance(found, str):
                return found
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        found = _too_large(Image.MAX_IMAGE_PIXELS)
    except Exception as error:  # arbitrary bytes end in almost any exception
        if isinstance(error, OSError) and error.errno is not None:  # Pillow's own have no number
            found = f"a file that cannot be read ({error.strerror})"
        else:
            found = f"what cannot be decoded, is the download complete? ({error})"
    raise DataError(f"{where}: needs a JPEG or PNG of {wanted}, got {found}")


def _too_large(limit: int | None) -> str:
    return (
        f"an image of more than {limit} pixels, which is the limit PIL.Image.MAX_IMAGE_PIXELS; "
        "make the image smaller, or raise the limit in Python if you trust the file"
    )
