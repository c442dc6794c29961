"""A data set selects images, is made of parts that fit, and says what it holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import classes_of, photographs, save, write_npz

from smoothbound.data._loading import Dataset, load
from smoothbound.train._batches import some


@given(total=st.integers(0, 50), skip=st.integers(1, 20), most=st.none() | st.integers(1, 60))
def test_selection_takes_every_skipth_image_and_no_more_than_asked(
    total: int, skip: int, most: int | None
) -> None:
    labels = np.zeros(total, np.int64)
    data = Dataset("x", "all", np.zeros((total, 1, 2, 2), np.uint8), labels, 2, (1, 2, 2))
    assert data.select(skip, most).tolist() == [i for i in range(total) if i % skip == 0][:most]


@pytest.mark.parametrize("wrong", [{"skip": 0}, {"skip": -3}, {"max_inputs": 0}])
def test_selection_refuses_impossible_counts(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be at least 1"):
        load("digits").select(**wrong)


def test_selection_from_a_list() -> None:
    digits = load("digits")
    assert digits.select(indices=[5, 9, 11, 40]).tolist() == [5, 9, 11, 40]
    assert digits.select(2, 1, [5, 9, 11]).tolist() == [5]
    for wrong, message in (
        ([], "at least one"),
        ([3, 3], "increasing, each once"),
        ([4, 3], "increasing"),
        ([-1, 3], r"lie in 0 \.\. 296, .* got -1 \.\. 3"),
        ([0, 297], r"lie in 0 \.\. 296, .* got 0 \.\. 297"),
    ):
        with pytest.raises(ValueError, match=message):
            digits.select(indices=wrong)


@pytest.mark.parametrize(
    "wrong", [[1.5, 2.5], ["a"], [[1, 2], [3]], [10**400], 3, "0,1", None, [None], b"ab", [True]]
)
def test_positions_that_are_no_whole_numbers_are_named(wrong: Any) -> None:
    if wrong is None:
        assert len(load("digits").select(indices=None)) == 297
        return
    with pytest.raises((TypeError, ValueError), match="indices must be"):
        load("digits").select(indices=wrong)


@pytest.mark.parametrize("name", ["skip", "max_inputs"])
@pytest.mark.parametrize("wrong", [1.5, "3", True, [1], -(10**400), b"1", float("nan")])
def test_odd_counts_are_named(name: str, wrong: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=f"{name} must be"):
        load("digits").select(**{name: wrong})
    with pytest.raises((TypeError, ValueError), match="max_images must be"):
        some(load("digits"), wrong, 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": [0, 1]}, "labels must be a vector of integers"),
        ({"labels": np.array([0.0, 1.0])}, "labels must be a vector of integers"),
        ({"labels": np.array([[0], [1]])}, "labels must be a vector of integers"),
        ({"labels": np.ma.array([0, 1], mask=[0, 1])}, "labels must be a vector of integers"),
        ({"labels": np.array([0, 1, 1])}, "labels must be one for each of 2 images: 3"),
        ({"labels": np.array([0, 3])}, r"labels must lie in 0 \.\. 2, got 0 \.\. 3"),
        ({"labels": np.array([-1, 0])}, r"labels must lie in 0 \.\. 2, got -1 \.\. 0"),
        ({"num_classes": 0}, "num_classes must be at least 1"),
        ({"images": np.zeros((2, 1, 4, 4))}, "images must be uint8 or float32 .* got ndarray of f"),
        ({"images": np.zeros((2, 4, 4, 1), np.uint8)}, r"images must be .* of shape \(1, 4, 4\)"),
        ({"images": np.ma.zeros((2, 1, 4, 4), np.uint8)}, "none masked; got MaskedArray"),
    ],
)
def test_parts_that_do_not_fit_each_other_are_refused(change: dict[str, Any], message: str) -> None:
    images, labels = np.zeros((2, 1, 4, 4), np.uint8), np.array([0, 1])
    good = {"name": "x", "split": "all", "images": images, "labels": labels, "num_classes": 3}
    assert len(Dataset(**good, shape=(1, 4, 4))) == 2
    with pytest.raises((TypeError, ValueError), match=message):
        Dataset(**(good | change), shape=(1, 4, 4))


def test_a_summary_says_what_was_understood(tmp_path: Path) -> None:
    classes_of(tmp_path, "a", "b", "c")
    save(tmp_path / "test" / "b" / "1.png", photographs(1)[0])
    assert load(f"images:{tmp_path}").summary() == (
        f"images:{tmp_path.name} (test): 4 images of 3 x 32 x 32, 3 classes (0 'a' .. 2 'c'), "
        f"1 to 2 images of each; read from {tmp_path / 'test'}"
    )
    path = tmp_path / "a.npz"
    spec = write_npz(path, images=np.full((2, 1, 4, 4), 7, np.uint8), labels=[1, 3])
    assert load(spec).summary() == (
        "npz:a.npz (all): 2 images of 1 x 4 x 4, 4 classes, 1 image of each; none of class "
        "0, 2; uint8 values from 7 to 7, divided by 255; the smallest label is 1, and the "
        "first class has label 0"
    )


def test_a_data_set_shows_itself_in_a_line_and_reads_no_image(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    data = load(write_npz(path, images=np.zeros((500, 1, 4, 4), np.uint8), labels=[0, 1] * 250))
    assert repr(data) == "Dataset('npz:a.npz', split='all', 500 images of 1 x 4 x 4)"
