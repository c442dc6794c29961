"""Folders of images: each folder is a class, in sorted order."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import classes_of, numbered, photographs, save
from PIL import Image

from smoothbound.data._loading import load
from smoothbound.errors import DataError


def test_folders_are_classes_in_sorted_order(tmp_path: Path) -> None:
    pixels = photographs(4)
    for name, image in zip(["b/1.png", "b/0.PNG", "a/x.png", "c/y.png"], pixels, strict=True):
        save(tmp_path / "pets" / name, image)
    (tmp_path / "pets" / "b" / "notes.txt").write_text("no image")
    data = load(f"images:{tmp_path / 'pets'}")
    assert (data.name, data.split, data.shape, data.num_classes, data.grid) == (
        "images:pets", "all", (3, 32, 32), 3, 255
    )  # fmt: skip
    assert data.labels.tolist() == [0, 1, 1, 2]
    expected = pixels[[2, 1, 0, 3]].transpose(0, 3, 1, 2)
    assert np.array_equal(data.tensors()[0].numpy(), expected)


def test_splits_have_their_own_folders(tmp_path: Path) -> None:
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    save(tmp_path / "val" / "a" / "0.png", grey)
    data = load(f"images:{tmp_path}", "test")
    assert (data.split, data.shape) == ("test", (1, 8, 8))
    assert np.array_equal(data.tensors()[0].numpy()[0, 0], grey)
    with pytest.raises(DataError, match="has no part for train; needed: train"):
        load(f"images:{tmp_path}", "train")


def test_folders_without_images_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no folder .*nowhere; it must hold one folder a class"):
        load(f"images:{tmp_path / 'nowhere'}")
    (tmp_path / "a").mkdir()
    with pytest.raises(DataError, match="has 1 class folders and no images in them"):
        load(f"images:{tmp_path}")
    save(tmp_path / "0.png", photographs(1)[0])
    with pytest.raises(DataError, match="no images in them, 1 images beside them; it must"):
        load(f"images:{tmp_path}")


@pytest.mark.parametrize("hidden", [".ipynb_checkpoints", "__MACOSX", "@eaDir", ".git"])
@pytest.mark.parametrize("holds", [True, False])
def test_folders_that_systems_make_are_no_classes(tmp_path: Path, hidden: str, holds: bool) -> None:
    classes_of(tmp_path, "cat", "dog")
    (tmp_path / "test" / hidden).mkdir()
    if holds:
        save(tmp_path / "test" / hidden / "0.png", photographs(1)[0])
    save(tmp_path / "test" / "cat" / ".ipynb_checkpoints" / "0.png", photographs(1)[0])
    save(tmp_path / "test" / "cat" / "._0.png", photographs(1)[0])
    data = load(f"images:{tmp_path}")
    assert (numbered(data), data.num_classes, len(data)) == ({"cat": 0, "dog": 1}, 2, 2)


def test_a_folder_with_an_underscore_is_a_class_if_it_has_images(tmp_path: Path) -> None:
    classes_of(tmp_path, "cat", "dog")
    (tmp_path / "test" / "_notes").mkdir()
    assert numbered(load(f"images:{tmp_path}")) == {"cat": 0, "dog": 1}
    classes_of(tmp_path, "_none")
    assert numbered(load(f"images:{tmp_path}")) == {"_none": 0, "cat": 1, "dog": 2}


def test_labels_are_those_of_the_training_folders(tmp_path: Path) -> None:
    classes_of(tmp_path, "a", "b", "c", "d", split="train")
    classes_of(tmp_path, "a", "c", "d")
    for spec in (f"images:{tmp_path}", f"images:{tmp_path / 'test'}"):
        data = load(spec)
        assert (numbered(data), data.num_classes) == ({"a": 0, "c": 2, "d": 3}, 4)
        assert "none of class 1 'b'" in data.summary()
    classes_of(tmp_path, "e")
    with pytest.raises(DataError, match=r"test has images of 'e', and .*train has no such class"):
        load(f"images:{tmp_path}")


def test_one_class_folder_alone_is_said_to_have_no_certain_label(tmp_path: Path) -> None:
    classes_of(tmp_path, "dog")
    data = load(f"images:{tmp_path}")
    assert numbered(data) == {"dog": 0}
    assert "'dog' is the only class folder, so its label is 0, whichever" in data.summary()
    classes_of(tmp_path, "cat", "dog", split="train")
    data = load(f"images:{tmp_path}")
    assert numbered(data) == {"dog": 1}
    assert "only class folder" not in data.summary()


def test_the_test_without_labels_is_not_taken_for_the_one_with_labels(tmp_path: Path) -> None:
    classes_of(tmp_path, "a", "b", split="val")
    save(tmp_path / "test" / "0.png", photographs(1)[0])
    data = load(f"images:{tmp_path}")
    assert numbered(data) == {"a": 0, "b": 1}
    assert f"read from {tmp_path / 'val'}" in data.summary()


@pytest.mark.parametrize("kind", ["BMP", "WEBP", "PPM", "TIFF"])
def test_every_kind_of_image_that_torchvision_reads_is_read(tmp_path: Path, kind: str) -> None:
    pixels = photographs(1)[0]
    classes_of(tmp_path, "a", "b")
    path = tmp_path / "test" / "a" / f"1.{kind.lower()}"
    Image.fromarray(pixels).save(path, kind, **({"lossless": True} if kind == "WEBP" else {}))
    images, labels = load(f"images:{tmp_path}").tensors()
    assert labels.tolist() == [0, 0, 1]
    assert np.array_equal(images[1].numpy(), pixels.transpose(2, 0, 1))


def test_images_of_kinds_that_are_not_read_are_refused_and_other_files_counted(
    tmp_path: Path,
) -> None:
    classes_of(tmp_path, "a", "b")
    for name in ("a/notes.txt", "b/Thumbs.db", "b/.DS_Store", "labels.csv", "loose.png"):
        (tmp_path / "test" / name).write_text("")
    data = load(f"images:{tmp_path}")
    assert len(data) == 2
    assert "skipped 4 files: 1 .txt, 1 .db, 1 .csv, 1 .png" in data.summary()
    (tmp_path / "test" / "a" / "1.heic").write_bytes(b"x")
    with pytest.raises(DataError, match=r"1\.heic is an image of a kind that is not read"):
        load(f"images:{tmp_path}")


def test_images_below_a_class_folder_are_refused(tmp_path: Path) -> None:
    """As Tiny ImageNet has them, n01443537/images, or where the folder above was meant."""
    classes_of(tmp_path, "a", "b")
    save(tmp_path / "test" / "b" / "images" / "0.png", photographs(1)[0])
    with pytest.raises(DataError, match=r"b/images holds images in a folder below a class folder"):
        load(f"images:{tmp_path}")


@pytest.mark.parametrize("what", ["pipe", "folder", "broken link"])
def test_what_only_has_the_name_of_an_image_is_refused(tmp_path: Path, what: str) -> None:
    classes_of(tmp_path, "a", "b")
    path = tmp_path / "test" / "a" / "1.png"
    if what == "pipe":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
        save(path / "0.png", photographs(1)[0])
    else:
        path.symlink_to("nowhere")
    with pytest.raises(DataError, match=r"1\.png (is not a regular file|holds images)"):
        load(f"images:{tmp_path}")


def test_links_to_images_and_folders_are_followed(tmp_path: Path) -> None:
    classes_of(tmp_path, "a", "b")
    (tmp_path / "test" / "a" / "1.png").symlink_to("0.png")
    (tmp_path / "test" / "c").symlink_to("b")
    assert load(f"images:{tmp_path}").labels.tolist() == [0, 0, 1, 2]


def test_numbers_as_names_are_sorted_as_text_and_that_is_said(tmp_path: Path) -> None:
    classes_of(tmp_path, *map(str, range(11)))
    data = load(f"images:{tmp_path}")
    assert numbered(data)["10"] == 2
    assert "sorted list of names: '10' is class 2" in data.summary()
    classes_of(tmp_path / "few", *map(str, range(10)))
    assert "sorted list" not in load(f"images:{tmp_path / 'few'}").summary()


def test_a_folder_that_cannot_be_listed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classes_of(tmp_path, "a", "b")

    def refuse(path: Path) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match=r"test cannot be read \(Permission denied\)"):
        load(f"images:{tmp_path}")


def test_names_that_are_no_text_are_read_and_written_as_escapes(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    classes_of(folder, "a", os.fsdecode(b"\xff"))
    data = load(f"images:{folder}")
    assert data.name == "images:caf\\xe9"
    data.name.encode()
    assert data[1][1] == 1
