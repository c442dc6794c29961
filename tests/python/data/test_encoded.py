"""Encoded images: what one holds is known before it is decoded, and hostile ones are refused."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from pictures import classes_of, photographs, save, wordnet_folders
from PIL import Image

from smoothbound.data._encoded import EncodedImages
from smoothbound.data._loading import load
from smoothbound.errors import DataError


def test_images_of_another_size_and_kind_are_named(tmp_path: Path) -> None:
    save(tmp_path / "a" / "0.png", photographs(1)[0])
    save(tmp_path / "a" / "1.png", np.zeros((8, 8), np.uint8))
    with pytest.raises(DataError, match=r"1\.png: needs .* 32 x 32 RGB, got 8 x 8 L"):
        load(f"images:{tmp_path}")[1]
    save(tmp_path / "a" / "0.png", np.zeros((8, 8, 4), np.uint8))
    with pytest.raises(DataError, match=r"0\.png: needs .* grey \(L\) or RGB, got 8 x 8 RGBA"):
        load(f"images:{tmp_path}")


def test_the_header_of_an_image_can_be_looked_at_alone(tmp_path: Path) -> None:
    classes_of(tmp_path, *"abcd")
    for pixels, found in (
        (np.zeros((8, 9, 3), np.uint8), "9 x 8 RGB"),
        (np.zeros((32, 32), np.uint8), "32 x 32 L"),
        (np.zeros((32, 32, 4), np.uint8), "32 x 32 RGBA"),
    ):
        save(tmp_path / "test" / "d" / "0.png", pixels)
        images = load(f"images:{tmp_path}").images
        assert isinstance(images, EncodedImages)
        images.check(2)
        with pytest.raises(DataError, match=rf"d/0\.png: .* 32 x 32 RGB, got {found}"):
            images.check(3)
    (tmp_path / "test" / "d" / "0.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"d/0\.png: .* cannot be decoded"):
        images.check(3)


def png_of(width: int, height: int) -> bytes:
    """Return a PNG of a few bytes whose header claims a size; its pixels are all black."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        whole = kind + body
        return struct.pack(">I", len(body)) + whole + struct.pack(">I", zlib.crc32(whole))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes((width + 1) * height), 9) if width * height < 10**7 else b""
    return b"".join(
        (b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", header), chunk(b"IDAT", pixels), chunk(b"IEND", b""))
    )


def test_small_files_of_huge_images_are_refused_before_they_are_made(tmp_path: Path) -> None:
    wordnet_folders(tmp_path)
    for width, height in ((1, 100_000), (100_000, 1)):
        path = tmp_path / "val" / "n00000000" / "a.png"
        path.write_bytes(png_of(width, height))
        assert path.stat().st_size < 1000
        images = load(f"imagenet:{tmp_path}").images
        with pytest.raises(DataError, match=rf"a\.png: .* any size, got .*{width} x {height}"):
            images[0]
        assert isinstance(images, EncodedImages)
        # a random part of it needs no more than itself
        assert images.varied(0, np.random.default_rng(0)).shape == (3, 224, 224)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [10_000, 60_000])  # Pillow warns of the first, fails at the other
def test_an_image_above_the_limit_of_pillow_is_told_the_limit(tmp_path: Path, side: int) -> None:
    wordnet_folders(tmp_path)
    (tmp_path / "val" / "n00000000" / "a.png").write_bytes(png_of(side, side))
    images = load(f"imagenet:{tmp_path}").images
    with pytest.raises(DataError) as raised:
        images[0]
    assert "got an image of more than 89478485 pixels, which is the limit" in str(raised.value)
    assert "download" not in str(raised.value)


def test_an_image_that_the_system_refuses_is_told_why(tmp_path: Path) -> None:
    wordnet_folders(tmp_path)
    path = tmp_path / "val" / "n00000000" / "a.png"
    path.write_bytes(png_of(8, 8))
    images = load(f"imagenet:{tmp_path}").images
    path.unlink()
    with pytest.raises(DataError, match=r"a\.png: .* cannot be read \(No such file") as raised:
        images[0]
    assert "download" not in str(raised.value)


def test_imagenet_takes_eight_bits_of_any_colours(tmp_path: Path) -> None:
    wordnet_folders(tmp_path)
    for mode in ("P", "L", "LA", "RGBA", "CMYK", "1", "I;16", "I", "F"):
        path = tmp_path / "val" / "n00000000" / "a.tif"
        Image.new(mode, (256, 256)).save(path)
        data = load(f"imagenet:{tmp_path}")
        if mode[0] in "IF":
            with pytest.raises(DataError, match=r"a\.tif: .* more than 8 bits a value"):
                data[0]
        else:
            assert data[0][0].shape == (3, 224, 224)


def test_an_orientation_is_not_applied(tmp_path: Path) -> None:
    classes_of(tmp_path, "a", "b")
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    pixels = photographs(1)[0]
    Image.fromarray(pixels).save(tmp_path / "test" / "a" / "0.png", exif=exif)
    image = load(f"images:{tmp_path}").images[0]
    assert np.array_equal(image, pixels.transpose(2, 0, 1))


def test_several_frames_are_refused(tmp_path: Path) -> None:
    classes_of(tmp_path, "a", "b")
    frames = [Image.fromarray(pixels) for pixels in photographs(3)]
    frames[0].save(tmp_path / "test" / "a" / "0.png", save_all=True, append_images=frames[1:])
    with pytest.raises(DataError, match=r"0\.png: .* got several frames"):
        load(f"images:{tmp_path}")
