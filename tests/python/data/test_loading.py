"""Data sets by name: which there are, what each needs, and a clear word for any other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from smoothbound.data._loading import load
from smoothbound.data._specs import PLACES, SPECS
from smoothbound.errors import DataError


def test_one_list_of_data_sets_is_what_loads_and_what_the_documents_say() -> None:
    import smoothbound.data as package

    page = Path(__file__).parents[3] / "docs" / "command-line.md"
    for name, place in PLACES.items():
        spec = f"{name}:{place}" if place else name
        assert spec in SPECS
        assert f"``{spec}``" in (package.__doc__ or "")
        assert f"`{spec}`" in page.read_text(encoding="utf-8")
        if place:
            with pytest.raises(DataError, match="missing"):
                load(f"{name}:missing")


def test_digits_split_every_image_once_and_keep_its_values() -> None:
    from sklearn.datasets import load_digits

    train, test = load("digits", "train"), load("digits", "test")
    assert (len(train), len(test)) == (1500, 297)
    both = torch.cat([train.tensors()[0], test.tensors()[0]])
    assert np.array_equal(both[:, 0].numpy() * 16, load_digits().images)
    assert np.array_equal(np.concatenate([train.labels, test.labels]), load_digits().target)
    assert set(test.labels) == set(range(10))
    image, label = test[3]
    assert image.dtype == torch.float32
    assert 0 <= image.min() <= image.max() <= 1
    assert label == int(load_digits().target[1503])


def test_only_cifar10_needs_pyarrow(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=np.zeros((2, 3, 8, 8), np.uint8), labels=np.zeros(2, int))
    code = """
import sys

sys.modules["pyarrow"] = None
from smoothbound.data import Dataset, load
from smoothbound.train import train

assert len(load(f"npz:{sys.argv[1]}/a.npz")) == 2
try:
    load(f"cifar10:{sys.argv[1]}")
except ModuleNotFoundError as error:
    print(error)
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "needs pyarrow" in done.stdout, done.stderr
    assert "smoothbound[store]" in done.stdout


@pytest.mark.parametrize(
    "spec", ["", "mnist", "cifar10", "cifar10:", "images:", "npz:", "digits:/tmp"]
)
def test_unknown_names_are_refused_with_the_known_ones(spec: str) -> None:
    with pytest.raises(ValueError, match="data must be digits, cifar10:DIR, imagenet:DIR"):
        load(spec)


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(ValueError, match="split must be one of 'train', 'test'; got 'valid'"):
        load("digits", "valid")


@pytest.mark.parametrize("spec", [None, 3, b"digits", Path("digits"), ["digits"], 10**400])
def test_a_spec_that_is_no_text_is_named(spec: Any) -> None:
    with pytest.raises(TypeError, match="data must be digits, cifar10:DIR"):
        load(spec)


@pytest.mark.parametrize("split", [None, 3, "", b"test", ["test"]])
def test_a_split_of_another_kind_is_named(split: Any) -> None:
    with pytest.raises(ValueError, match="split must be one of"):
        load("digits", split)


@pytest.mark.parametrize("kind", ["npz", "cifar10", "images", "imagenet"])
@pytest.mark.parametrize(
    "path", ["a\0b", "/dev/null", "/dev/zero", "\udcff", "x" * 5000, "~nobody9/a"]
)
def test_a_path_that_leads_nowhere_is_a_data_error(kind: str, path: str) -> None:
    with pytest.raises(DataError, match=kind):
        load(f"{kind}:{path}")


def test_paths_of_windows_keep_their_colon() -> None:
    with pytest.raises(DataError, match=r"no file C:\\data\\a\.npz"):
        load(r"npz:C:\data\a.npz")
