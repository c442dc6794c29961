"""Files of checkpoints: nothing in them is run, and only the values of numbers are taken."""

from __future__ import annotations

import io
import os
import pickle
import re
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkpoints import ARCH, content, refusal, written
from hypothesis import given
from hypothesis import strategies as st

from smoothbound.errors import CheckpointError
from smoothbound.models.architectures import build
from smoothbound.models.checkpoint import load


@pytest.mark.skipif(
    tuple(map(int, torch.__version__.split(".")[:2])) < (2, 7),
    reason="torch before 2.7 reads no NumPy numbers safely",
)
@pytest.mark.parametrize("is_zip", [True, False])
def test_numpy_numbers_are_read_as_plain_ones(tmp_path: Path, is_zip: bool) -> None:
    what = content() | {"epoch": np.int64(90), "training": {}}
    what["optimizer"]["param_groups"][0]["lr"] = np.float64(0.001)
    for kind in (np.bool_, np.float16, np.float32, np.uint8, np.int32):
        what["training"][kind.__name__] = kind(1)
    what["training"]["swapped"] = np.array([1, 2], ">i4")[1]
    path = written(tmp_path / "a.pt", what, _use_new_zipfile_serialization=is_zip)
    if not is_zip:  # as NumPy before 2 called its inside
        path.write_bytes(path.read_bytes().replace(b"numpy._core", b"numpy.core"))
    _, info = load(path)
    assert (info.epoch, type(info.epoch)) == (90, int)
    assert list(info.training.values()) == [True, 1.0, 1.0, 1, 1, 2]
    assert {type(value) for value in info.training.values()} == {bool, int, float}
    assert not any("scalar" in str(one) for one in torch.serialization.get_safe_globals())


@pytest.mark.parametrize("value", [np.str_("a"), np.datetime64(1, "s")])
def test_other_numpy_values_are_refused(tmp_path: Path, value: Any) -> None:
    refusal(written(tmp_path / "a.pt", content() | {"best": value}))


@pytest.mark.skipif(
    tuple(map(int, torch.__version__.split(".")[:2])) < (2, 7),
    reason="torch before 2.7 reads no stand-ins for arrays",
)
@pytest.mark.parametrize("is_zip", [True, False])
def test_numpy_arrays_beside_the_parameters_do_no_harm(tmp_path: Path, is_zip: bool) -> None:
    what = content() | {"losses": np.arange(3.0), "rng": np.random.RandomState(0).get_state()}
    what["objects"] = np.array([{}, "a"], object)
    path = written(tmp_path / "a.pt", what, _use_new_zipfile_serialization=is_zip)
    for arch in (None, ARCH):
        state = load(path, arch=arch)[0].state_dict()
        assert all(torch.equal(value, what["state_dict"][name]) for name, value in state.items())
    assert load(path, arch=ARCH)[1].remarks == ("left out of the file: losses, rng, objects",)
    weights = {name: value.numpy() for name, value in what["state_dict"].items()}
    with pytest.raises(CheckpointError, match="a NumPyArray without dense values"):
        load(written(path, {"state_dict": weights}), arch=ARCH)


def test_a_packed_file_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = written(tmp_path / "whole.pt", {"1.fc.bias": torch.zeros(10**6)})
    with (
        zipfile.ZipFile(whole) as source,
        zipfile.ZipFile(tmp_path / "a.pt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for entry in source.namelist():
            packed.writestr(entry, source.read(entry))
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("it was unpacked"))
    assert re.search(r"has \d{4} bytes and unpacks to 40\d{5}", refusal(tmp_path / "a.pt"))


def test_junk_is_no_safetensors_file(tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"junk" * 10)
    with pytest.raises(CheckpointError, match="is not a safetensors file"):
        load(path, arch=ARCH)


class Trap:
    """Pickled code that leaves a trace when it is run."""

    ran = False

    def __reduce__(self) -> tuple[Any, ...]:
        return (setattr, (Trap, "ran", True))


@pytest.mark.parametrize("is_zip", [True, False])
def test_pickled_code_is_refused_and_not_run(tmp_path: Path, is_zip: bool) -> None:
    what = content() | {"optimizer": Trap()}
    path = written(tmp_path / "a.pt", what, _use_new_zipfile_serialization=is_zip)
    assert "holds pickled code" in refusal(path)
    (tmp_path / "b.pt").write_bytes(pickle.dumps(Trap()))
    assert "is not a checkpoint" in refusal(tmp_path / "b.pt")
    assert not Trap.ran


def test_a_pickled_network_is_refused_with_what_to_do(tmp_path: Path) -> None:
    message = refusal(written(tmp_path / "a.pt", build(ARCH)))
    assert "Sequential" in message
    assert "save the network's state_dict" in message


def test_a_tar_file_is_refused_unread(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("pickle"), io.BytesIO())
    assert "is a tar file: if it is an archive, unpack it" in refusal(tmp_path / "a.tar")


def test_a_missing_file_and_a_folder_are_told(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "a.pt")
    assert "must be a plain file, and is a folder" in refusal(tmp_path)


@pytest.mark.parametrize("name", ["a.pt", "a.safetensors"])
def test_a_pipe_is_refused_without_waiting_for_a_writer(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    assert "must be a plain file, and is a named pipe" in refusal(tmp_path / name)


@given(junk=st.binary(max_size=200))
def test_any_bytes_are_refused(tmp_path_factory: Any, junk: bytes) -> None:
    path = tmp_path_factory.mktemp("junk") / "a.pt"
    path.write_bytes(junk)
    with pytest.raises(CheckpointError):
        load(path)


@pytest.mark.parametrize("is_zip", [True, False])
def test_a_truncated_file_is_refused(tmp_path: Path, is_zip: bool) -> None:
    path = written(tmp_path / "a.pt", content(), _use_new_zipfile_serialization=is_zip)
    whole = path.read_bytes()
    for keep in (0.0, 0.01, 0.3, 0.6, 0.9, 0.999):
        path.write_bytes(whole[: int(keep * len(whole))])
        assert "is not complete" in refusal(path)
