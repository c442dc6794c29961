"""Damage to a results folder, and files of others in it, are an error that names the file."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from stored import SETTINGS, counts, frame_ends, row

from smoothbound import store
from smoothbound._files import sealed
from smoothbound.errors import StoreError
from smoothbound.store._table import packed_counts


def test_damage_in_the_middle_is_told_not_cut_off(tmp_path: Path, journal: bytes) -> None:
    at = frame_ends(journal)[1] + 100  # in the second of five inputs
    path = tmp_path / "journal.bin"
    damaged = journal[:at] + bytes([journal[at] ^ 1]) + journal[at + 1 :]
    path.write_bytes(damaged)
    for act in (store.load, lambda folder: store.Writer(folder, SETTINGS, resume=True)):
        with pytest.raises(StoreError, match=r"damaged at byte \d+ of \d+, after 1 whole inputs"):
            act(tmp_path)
    assert path.read_bytes() == damaged


def test_a_long_row_cut_anywhere_after_short_ones_is_no_damage(tmp_path: Path) -> None:
    """Rows differ by the length of their packed scores: those of a sure input are a few bytes."""
    sure, broad = counts(0) * 0, counts(0) * 0
    sure[-1] = 1000
    rng = np.random.default_rng(1)
    broad[:] = np.bincount(rng.integers(0, broad.size, 1000), minlength=broad.size)
    with store.Writer(tmp_path, SETTINGS) as writer:
        for index, cells in zip((0, 2, 4), (sure, sure, broad), strict=True):
            writer.append(row(index, sketch=packed_counts.pack(cells)))
    path = tmp_path / "journal.bin"
    whole = path.read_bytes()
    *_, last, end = frame_ends(whole)
    assert end - last > 1000 + last - frame_ends(whole)[-3]
    for size in range(last, end, 7):
        path.write_bytes(whole[:size])
        assert store.load(tmp_path).array("index").tolist() == [0, 2]


@pytest.mark.parametrize("size", [0, 3, 100, -1])
def test_a_truncated_parquet_file_is_told(finished: Path, size: int) -> None:
    path = finished / "results.parquet"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(StoreError, match=r"results\.parquet is cut short, damaged"):
        store.load(finished)
    with pytest.raises(StoreError, match=r"results\.parquet is cut short, damaged"):
        store.Writer(finished, SETTINGS, resume=True)


def test_what_is_not_ours_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no results folder"):
        store.load(tmp_path / "typo")
    with pytest.raises(StoreError, match=r"neither results\.parquet nor journal\.bin"):
        store.load(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="no results folder"):
        store.load(tmp_path / "file")
    with pytest.raises(StoreError, match="cannot write to"):
        store.Writer(tmp_path / "file", SETTINGS)
    (tmp_path / "journal.bin").write_text("dear diary")
    for act in (store.load, lambda folder: store.Writer(folder, SETTINGS, resume=True)):
        with pytest.raises(StoreError, match=r"journal\.bin was not written by smoothbound"):
            act(tmp_path)
    assert (tmp_path / "journal.bin").read_text() == "dear diary"


def tampered() -> Iterator[tuple[str, bytes | None, str]]:
    def changed(**values: object) -> bytes:
        return json.dumps(json.loads(SETTINGS.to_json()) | values).encode()

    yield "no settings", None, "no settings"
    yield "not JSON", b"{", "cannot be read"
    yield "not an object", b"[]", "cannot be read"
    yield "later format", changed(format=99), "format 99"
    yield "unknown setting", changed(colour="red"), "colour"
    yield "unknown method", changed(methods=[{"bound": "magic"}]), "magic"
    yield "other columns", changed(radii=[0.0]), "does not have the columns"
    yield "other count", changed(n_inputs=7), "holds 5 inputs, its settings say 7"


@pytest.mark.parametrize(
    ("metadata", "said"), [pytest.param(*case[1:], id=case[0]) for case in tampered()]
)
def test_a_parquet_file_with_other_metadata_is_refused(
    finished: Path, metadata: bytes | None, said: str
) -> None:
    path = finished / "results.parquet"
    table = pq.ParquetFile(path).read()
    pq.write_table(
        table.replace_schema_metadata({b"smoothbound": metadata} if metadata else None), path
    )
    with pytest.raises(StoreError, match=said):
        store.load(finished)


def test_damaged_sketches_are_refused(tmp_path: Path) -> None:
    good = packed_counts.pack(counts(0))
    bomb = zlib.compress(bytes(10_000_000))
    missing = packed_counts.pack(counts(0) // 2)  # not the draws that the row has
    for i, bad in enumerate((b"", b"not deflated", good[:-9], good + b"x", bomb, missing)):
        with store.Writer(tmp_path / str(i), SETTINGS) as writer:
            writer.append(row(0, sketch=bad))
        with pytest.raises(StoreError, match="sketches of the results are damaged"):
            store.load(tmp_path / str(i)).sketch()


def test_a_flipped_bit_in_any_byte_of_a_finished_run_is_an_error(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each byte has one bit flipped, all eight near the seal; a digest sees every bit alike."""
    path = finished / "results.parquet"
    whole = path.read_bytes()
    monkeypatch.setattr(sealed, "read_plain", lambda path: bytes(data))
    seal = whole.index(b"SBSEAL01")
    special = {*range(seal, seal + 24), *range(len(whole) - 8, len(whole))}
    flips = [(i, bit) for i in range(len(whole)) for bit in (range(8) if i in special else [i % 8])]
    for i, bit in flips:
        data = bytearray(whole)
        data[i] ^= 1 << bit
        with pytest.raises(StoreError, match="results"):
            store.load(finished)


@pytest.mark.parametrize("name", ["results.parquet", "journal.bin"])
@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "broken link"])
def test_what_stands_in_place_of_a_file_is_refused_at_once(
    tmp_path: Path, name: str, kind: str
) -> None:
    path = tmp_path / name
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero" if kind == "device" else tmp_path / "nowhere")
    acts = [store.load, lambda folder: store.Writer(folder, SETTINGS, resume=True)]
    for act in acts[: 1 if (name, kind) == ("journal.bin", "broken link") else 2]:
        with pytest.raises(StoreError, match=name.replace(".", r"\.")):
            act(tmp_path)
