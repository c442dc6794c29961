"""Files of NumPy arrays: every layout is read, and headers are not trusted."""

from __future__ import annotations

import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from score_files import ARRAYS, SCORES, write

from smoothbound.data import _loading as data
from smoothbound.errors import DataError, StoreError
from smoothbound.scores import _score_file
from smoothbound.scores._files import open_scores


def test_every_layout_of_an_array_is_read(tmp_path: Path) -> None:
    for array in (np.asfortranarray(SCORES), SCORES.astype(">f4"), SCORES[::2, ::-1]):
        (chunk,) = open_scores(write(tmp_path / "scores.npy", array)).chunks
        assert chunk.dtype.isnative
        assert chunk.flags.c_contiguous
        assert (chunk == array).all()


def test_a_npy_file_is_mapped_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / "large.npy"
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(1 << 16, 1 << 12))
    del array  # 1 GB, none of it written
    file = open_scores(path)
    chunk = next(file.chunks)
    assert file.n_inputs == 1 << 16
    assert chunk.nbytes == _score_file.CHUNK_BYTES
    assert isinstance(chunk.base, np.memmap)


def test_damage_inside_an_npz_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "scores.npz"
    np.savez(path, scores=SCORES)
    content = bytearray(path.read_bytes())
    at = content.index(SCORES.tobytes())
    content[at + 50] ^= 1
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"cannot be read: Bad CRC-32"):
        list(open_scores(path).chunks)


def test_an_npz_file_that_holds_less_than_its_shape_says(tmp_path: Path) -> None:
    path = tmp_path / "scores.npz"
    np.save(tmp_path / "scores.npy", SCORES)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("scores.npy", (tmp_path / "scores.npy").read_bytes()[:-8])
    with pytest.raises(StoreError, match=r"holds 272 bytes, not \(7, 5\) of float64"):
        open_scores(path)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ("(-1, 50)", "at least one of each"),
        ("(True, 50)", "cannot be read"),
        (f"({10**400}, 50)", "bytes, not"),
        (f"({2**62}, 4)", "bytes, not"),
        (f"{'(' * 3000}3{')' * 3000}", "header is damaged"),
        ("(3, 50)" + " " * 100_000, "header is damaged"),
    ],
    ids=["negative", "true", "huge", "overflow", "deep", "long"],
)
def test_a_header_of_an_array_is_not_trusted(
    tmp_path: Path, suffix: str, shape: str, said: str
) -> None:
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}\n".encode()
    data = b"\x93NUMPY\x02\x00" + len(text).to_bytes(4, "little") + text + bytes(1200)
    path = tmp_path / f"scores{suffix}"
    path.write_bytes(data)
    if suffix == ".npz":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("scores.npy", data)
    with pytest.raises(StoreError, match=said) as refused:
        list(open_scores(path).chunks)
    assert "allow_pickle" not in str(refused.value)


def test_the_length_of_a_header_is_not_read_before_it_is_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "scores.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("scores.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\x7f" + bytes(1 << 26))
    tracemalloc.start()
    with pytest.raises(StoreError, match="header is damaged"):
        open_scores(path)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1 << 24


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_arrays_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "scores.npz"
    np.savez(path, scores=np.full((2, 3), 0.5))
    with zipfile.ZipFile(path) as archive:
        first = archive.read("scores.npy")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("scores.npy", first.replace(b"(2, 3)", b"(3, 2)"))
    with pytest.raises(StoreError, match="two arrays of the same name"):
        open_scores(path)
    with pytest.raises(DataError, match="two arrays of the same name"):
        data.load(f"npz:{path}")


def test_an_npz_file_stored_by_columns_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "scores.npz", scores=np.asfortranarray(SCORES))
    with pytest.raises(StoreError, match=r"column by column .* save np\.ascontiguousarray"):
        open_scores(tmp_path / "scores.npz")


@pytest.mark.parametrize("suffix", ARRAYS)
def test_pickled_objects_are_never_loaded(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"objects{suffix}"
    objects = np.array([[{"a": 1}, 2]], dtype=object)
    if suffix == ".npy":
        np.save(path, objects, allow_pickle=True)
    else:
        np.savez(path, scores=objects)
    with pytest.raises(StoreError, match=r"cannot be read|got object"):
        open_scores(path)


def test_an_encrypted_npz_file_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "scores.npz", SCORES)
    content = bytearray(path.read_bytes())
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + at] |= 1  # the flag that says encrypted
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"scores.npz cannot be read: .*encrypted"):
        open_scores(path)
