"""Text files of scores: what the header says, and what could be misread."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from score_files import SCORES

from smoothbound.errors import StoreError
from smoothbound.scores import _score_file
from smoothbound.scores._files import open_scores


def csv_file(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def test_a_csv_file_needs_no_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_score_file, "CHUNK_BYTES", 3 * SCORES[0].nbytes)
    path = tmp_path / "scores.CSV"
    np.savetxt(path, SCORES, delimiter=",")
    file = open_scores(path)
    assert (file.n_inputs, file.n_draws, file.ids.num_columns) == (7, 5, 0)
    chunks = list(file.chunks)
    assert [len(chunk) for chunk in chunks] == [3, 3, 1]
    assert (np.concatenate(chunks) == SCORES).all()


@pytest.mark.parametrize(
    ("header", "before", "ids"),
    [
        ("s0,s1", "", {}),
        ("id,draw 1,draw 2,label", "7,", {"id": ["7", "7"], "label": ["1", "1"]}),
        (",0,1", "0,", {"": ["0", "0"]}),  # as pandas writes an index
        ('"a, b",V1,V2', '"x, y",', {"a, b": ["x, y", "x, y"]}),
        ("\ufeffid,s7,s9", "=1+1,", {"id": ["=1+1", "=1+1"]}),
        ("top1,s0,s1", "3,", {"top1": ["3", "3"]}),
    ],
)
def test_the_header_of_a_csv_file_says_what_is_a_score(
    tmp_path: Path, header: str, before: str, ids: dict[str, list[str]]
) -> None:
    after = ",1" if header.endswith("label") else ""
    lines = [f"{before}0.5,1{after}", "", f"{before}0,1e-3{after}"]
    file = open_scores(csv_file(tmp_path / "scores.csv", header, *lines))
    (chunk,) = file.chunks
    assert chunk.tolist() == [[0.5, 1.0], [0.0, 0.001]]
    assert file.ids.to_pydict() == ids


def test_a_header_that_counts_is_no_row_of_scores(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    path = tmp_path / "scores.csv"
    pandas.DataFrame(SCORES).to_csv(path, index=False)
    (chunk,) = open_scores(path).chunks
    assert (chunk == SCORES).all()


@pytest.mark.parametrize(
    ("lines", "key", "said"),
    [
        ([], None, "has no rows"),
        (["s0,s1"], None, "has no rows after its header"),
        (["0.5,0.5", "0.5"], None, "line 2 has 1, the first has 2"),
        (["s0,s1", "0.5,"], None, "line 2 has '' in column 2"),
        (["s0,s1", "0.5,high"], None, "line 2 has 'high' in column 2"),
        (["3,0.5,0.25", "1,0.5,1"], None, "its column 1 holds whole numbers alone"),
        (["0.5,0.5"], "s", "no header with names; leave out the key 's'"),
        (["a,b", "0.5,0.5"], None, "such as s0, s1, s2: its header has 'a', 'b'. .*each input"),
        (["a,b,c,d,e,f", "0,0,0,0,0,0"], None, "'e', .... It must have one line for each input"),
        (["0.5;0.25", "0.5;0.5"], None, "commas between .* first line has ';'; .*sep=';', header"),
        (["0,5;0,25;0,5", "0,5;0,5;0,5"], None, "first line has ';'; .*sep=';', decimal=',', he"),
        (["0.5\t0.25", "0.5\t0.5"], None, r"its first line has '.t'"),
        (["0.5 0.25" * 1000], None, r"its header has '[0-9. ]{27}\.\.\.'. .{0,150}$"),
        (["50%,50%"], None, "two columns of the same name in its header, '50%'; .*numbers alone$"),
        (["a0,a1,b0,b1", "0,0,1,1"], None, "name one with --key; it has 'a', 'b'"),
        (["s0,s1,s1", "0,0,1"], None, "two columns of the same name"),
        (["0.5,0.25,", "0.5,0.25,"], None, "first line .* holds '0.5' beside text; add a header"),
        (["1,0,", "0,1,"], None, "first line .* holds '' beside text; add a header"),
        (["cat,0.5,0.25", "dog,0.5,0.25"], None, "holds '0.5' beside text; add a header"),
        (["cat,0,-1", "dog,1,1"], None, "holds '-1' beside text; add a header"),
        (["cat,0,1,1", "dog,1,1,1"], None, "two columns of the same name"),
        (["cat,1,0", "dog,1,1"], None, "numbers .* do not ascend"),
        (['s0,s1', '"0.5,0.5'], None, "cannot be read: unexpected end of data"),
        (["s0,s1", "x" * 200_000], None, "cannot be read: field larger than"),
    ],
)  # fmt: skip
def test_a_csv_file_that_could_be_misread_is_refused(
    tmp_path: Path, lines: list[str], key: str | None, said: str
) -> None:
    with pytest.raises(StoreError, match=f"scores.csv.*{said}"):
        list(open_scores(csv_file(tmp_path / "scores.csv", *lines), key).chunks)


def test_a_csv_file_in_another_encoding_is_told(tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_bytes("s0,s1\n0.5,0.5\n".encode("utf-16"))
    with pytest.raises(StoreError, match=r"scores.csv cannot be read: .*utf-8"):
        open_scores(tmp_path / "scores.csv")


def test_a_line_of_many_draws_is_read_in_time(tmp_path: Path) -> None:
    # 100 000 draws, a usual number, took minutes as long as each column was looked up in all.
    path = tmp_path / "scores.csv"
    path.write_text("id," + ",".join(f"s{j}" for j in range(50_000)) + "\na" + ",0.5" * 50_000)
    start = time.process_time()
    file = open_scores(path)
    assert time.process_time() - start < 10
    assert (file.n_inputs, file.n_draws, file.ids.column_names) == (1, 50_000, ["id"])
