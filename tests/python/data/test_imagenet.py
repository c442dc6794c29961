"""ImageNet: images are resized and cropped as published, and labels are its own."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pictures import imagenet, numbered, photographs, save
from PIL import Image

from smoothbound.data._loading import load
from smoothbound.errors import DataError

folders = importlib.import_module("smoothbound.data._folders")


def test_imagenet_is_resized_and_cropped(tmp_path: Path) -> None:
    wide = np.zeros((256, 500, 3), np.uint8)
    wide[:, 138:362] = 255  # the central 224 columns
    data = imagenet(tmp_path, {"n00000999/a.JPEG": wide})
    assert (data.name, data.split, data.num_classes, data.grid) == ("imagenet", "test", 1000, 255)
    image, label = data[0]
    assert label == 999
    assert image.shape == (3, 224, 224)
    assert image[:, :, 8:-8].min() > 0.95
    grey = imagenet(tmp_path / "grey", {"n00000000/a.JPEG": np.full((30, 20), 128, np.uint8)})
    torch.testing.assert_close(grey[0][0], torch.full((3, 224, 224), 128 / 255), atol=0.01, rtol=0)


@pytest.mark.parametrize("size", [(300, 400), (401, 257), (256, 256), (100, 333), (31, 30)])
def test_imagenet_is_what_torchvision_makes_of_it(
    tmp_path: Path, torchvision: Any, size: tuple[int, int]
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    data = imagenet(tmp_path, {"n00000005/a.JPEG": pixels})
    steps = torchvision.transforms
    theirs = steps.Compose([steps.Resize(256), steps.CenterCrop(224), steps.ToTensor()])
    with Image.open(tmp_path / "val" / "n00000005" / "a.JPEG") as image:
        assert torch.equal(data[0][0], theirs(image.convert("RGB")))


@given(width=st.integers(1, 60), height=st.integers(1, 60), seed=st.integers(0, 9))
def test_a_random_part_lies_in_the_image(width: int, height: int, seed: int) -> None:
    left, top, wide, high = folders._random_part(width, height, np.random.default_rng(seed))
    assert 0 <= left < left + wide <= width
    assert 0 <= top < top + high <= height


def test_random_parts_have_the_published_areas_and_shapes() -> None:
    rng = np.random.default_rng(0)
    left, top, wide, high = np.array([folders._random_part(1000, 1000, rng) for _ in range(4000)]).T
    area, ratio = wide * high / 1e6, wide / high
    assert 0.079 < area.min() < 0.09
    assert area.max() > 0.95
    assert (ratio.min(), ratio.max()) == pytest.approx((3 / 4, 4 / 3), rel=0.01)
    small = area < 0.5  # these always lie in the image, so their law is the uniform one
    assert area[small].mean() == pytest.approx(0.29, abs=0.01)
    assert abs(np.log(ratio[small]).mean()) < 4 * 0.17 / small.sum() ** 0.5
    for start, size in ((left, wide), (top, high)):
        assert (start[small] / (1000 - size[small])).mean() == pytest.approx(0.5, abs=0.03)
    assert folders._random_part(3000, 100, rng) == (1433, 0, 133, 100)  # none fits: the centre


def test_random_parts_are_spread_as_torchvisions(torchvision: Any) -> None:
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    image = torch.zeros(3, 300, 500)
    crop = torchvision.transforms.RandomResizedCrop(224)
    theirs = np.array([crop.get_params(image, crop.scale, crop.ratio) for _ in range(4000)])
    ours = np.array([folders._random_part(500, 300, rng) for _ in range(4000)])[:, [1, 0, 3, 2]]
    np.testing.assert_allclose(ours.mean(0), theirs.mean(0), rtol=0.06)
    np.testing.assert_allclose(ours.std(0), theirs.std(0), rtol=0.06)


def test_an_image_cut_short_is_named(tmp_path: Path) -> None:
    data = imagenet(tmp_path, {"n00000000/a.JPEG": photographs(1)[0]})
    path = tmp_path / "val" / "n00000000" / "a.JPEG"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(
        DataError, match=r"a\.JPEG: needs a JPEG or PNG of any size, .* is the download complete"
    ):
        data[0]


def test_imagenet_by_number_has_the_numbers_as_labels(tmp_path: Path) -> None:
    for number in range(1000):
        (tmp_path / "val" / str(number)).mkdir(parents=True)
    for number in (2, 10, 999):
        save(tmp_path / "val" / str(number) / "a.png", photographs(1)[0])
    assert numbered(load(f"imagenet:{tmp_path}")) == {"2": 2, "10": 10, "999": 999}
    (tmp_path / "val" / "0").rename(tmp_path / "val" / "1000")
    with pytest.raises(DataError, match=r"labels are positions .* or the numbers 0 \.\. 999"):
        load(f"imagenet:{tmp_path}")


def test_the_labelled_part_of_imagenet_is_taken(tmp_path: Path) -> None:
    imagenet(tmp_path, {"n00000003/a.JPEG": photographs(1)[0]})
    save(tmp_path / "test" / "ILSVRC2012_test_00000001.JPEG", photographs(1)[0], "JPEG")
    (tmp_path / "val" / "notes").mkdir()
    assert numbered(load(f"imagenet:{tmp_path}")) == {"n00000003": 3}
    save(tmp_path / "val" / "notes" / "a.png", photographs(1)[0])
    with pytest.raises(DataError, match="has 1001 class folders, and ImageNet has 1000"):
        load(f"imagenet:{tmp_path}")


def test_imagenet_with_classes_missing_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "val" / "n01440764" / "a.JPEG", photographs(1)[0], "JPEG")
    with pytest.raises(DataError, match="has 1 class folders, and ImageNet has 1000: labels are"):
        load(f"imagenet:{tmp_path}")
