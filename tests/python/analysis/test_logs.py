from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from smoothbound.analysis.logs import read_log, with_class_radius
from smoothbound.analysis.reading import read
from smoothbound.errors import DataError

DATA = Path(__file__).parents[1] / "support" / "logs"
SCORES, CLASSES = DATA / "kumar2020_excerpt.tsv", DATA / "cohen2019_excerpt.tsv"


def write(path: Path, text: str) -> Path:
    path.write_text(text.replace(" ", "\t"))
    return path


def test_excerpt_is_read_as_it_stands() -> None:
    log = read_log(SCORES)
    assert (log.name, log.measure, log.score_range) == ("kumar2020_excerpt", "score", (0.0, 1.0))
    assert log.radii.tolist() == [0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5]
    assert [one.method.label for one in log.bounds] == ["Theorem 1", "Theorem 2 (dkw)"]
    assert log.index.tolist() == list(range(0, 600, 20))
    assert log.bounds[0].lower[0].tolist() == [
        0.704, 0.321, 0.0716, 0.00686, 0.000266, 4.02e-06, 2.32e-08,
    ]  # fmt: skip
    assert log.bounds[1].lower[2, :3].tolist() == [0.787, 0.55, 0.276]
    assert log.predicted[1] == -1


def test_certified_accuracy_of_the_excerpt_by_a_plain_loop() -> None:
    log = read_log(SCORES)
    with SCORES.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    for bounds, prefix in zip(log.bounds, ("exp_", "exp_cdf_"), strict=True):
        counts = log.counts(bounds, [0.5, 0.7, 0.9])
        for i, hundredths in enumerate(("00", "25", "50", "75", "100", "125", "150")):
            for j, c in enumerate((0.5, 0.7, 0.9)):
                expected = sum(
                    row["predict"] != "-1"
                    and row["predict"] == row["label"]
                    and float(row[prefix + hundredths]) > c
                    for row in rows
                )
                assert counts[i, j] == expected


def test_negative_bounds_make_it_the_margin(tmp_path: Path) -> None:
    path = write(tmp_path / "m.tsv", "idx label predict exp_00 exp_25\n0 1 1 0.4 -0.2\n")
    log = read_log(path)
    assert (log.measure, log.score_range) == ("margin", (-1.0, 1.0))
    assert [one.method.name for one in log.bounds] == ["mean"]


def test_columns_of_radii_may_stand_in_any_order(tmp_path: Path) -> None:
    header = "idx label predict exp_100 exp_25 exp_cdf_25 exp_cdf_100"
    log = read_log(write(tmp_path / "m.tsv", f"{header}\n0 1 1 0.1 0.2 0.4 0.3\n"))
    assert log.radii.tolist() == [0.25, 1.0]
    assert [one.lower.tolist() for one in log.bounds] == [[[0.2, 0.1]], [[0.4, 0.3]]]


def test_class_radii_are_joined_on_idx() -> None:
    log = with_class_radius(read_log(SCORES), CLASSES)
    assert log.class_radius is not None
    assert log.class_radius[[0, 2]].tolist() == [0.378, 0.341]
    assert np.isnan(log.class_radius[1])  # both abstained
    assert log.paired.sum() == 27


def test_class_radius_of_another_class_is_not_taken(tmp_path: Path) -> None:
    rows = "60 7 7 0.9\n40 4 5 0.3\n20 7 7 0.1\n9999 1 1 1.0\n"
    path = write(tmp_path / "c.tsv", f"idx label predict radius\n{rows}")
    log = with_class_radius(read_log(SCORES), path)
    assert log.class_radius is not None
    # 40: other class; 20: the confidence log abstained; 9999: not in the confidence log
    assert {int(i): float(log.class_radius[log.row(i)]) for i in log.index[log.paired]} == {60: 0.9}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("idx label predict exp_00\n", "has a header and no inputs"),
        ("index,label\n1,2\n", "lacks the tab-separated columns"),
        ("idx label predict exp_00\n0 1 1\n", "row 1 needs 4 fields, got 3"),
        ("idx label predict exp_00\n0 1 1 x\n", "'exp_00' must be numbers"),
        ("idx label predict exp_00\n0 1 1 0.5\n1 1 1 nan\n", "must be finite, got nan, row 2"),
        ("idx label predict exp_00\n0 1.5 1 0.5\n", "'label' must be whole numbers"),
        ("idx label predict exp_00\n0 1 1 0.5\n0 1 1 0.5\n", "idx 0 occurs twice"),
        ("idx label predict exp_00\n0 1 1 1.5\n", "must lie in"),
        ("idx label predict exp_00 exp_cdf_25\n0 1 1 0.5 0.5\n", "of the same radii"),
        ("idx label predict seconds\n0 1 1 0.5\n", "no columns such as exp_25"),
        ("idx label predict radius\n0 1 1 0.5\n", "give it with --class-radius"),
    ],
)
def test_damaged_logs_say_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_log(write(tmp_path / "log.tsv", text))


def test_unreadable_logs_say_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot (be )?read"):
        read_log(tmp_path / "missing.tsv")
    (tmp_path / "binary.tsv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(DataError, match=r"cannot (be )?read"):
        read_log(tmp_path / "binary.tsv")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("idx label predict exp_00\n0 3 3 0.5\n", "no column 'radius'"),
        ("idx label predict radius\n1 3 3 0.5\n", "shares no idx"),
        ("idx label predict radius\n0 4 4 0.5\n", "labels idx 0 as 4 and kumar2020_excerpt as 3"),
        ("idx label predict radius\n0 3 3 -0.5\n", "must not be negative"),
    ],
)
def test_class_radii_that_do_not_fit_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        with_class_radius(read_log(SCORES), write(tmp_path / "log.tsv", text))


@pytest.mark.parametrize(("name", "sigma"), [("a_sigma0.50", 0.5), ("a_sigma_1", 1.0), ("a", None)])
def test_sigma_is_that_of_the_name(tmp_path: Path, name: str, sigma: float | None) -> None:
    path = tmp_path / f"{name}.tsv"
    path.write_text("idx\tlabel\tpredict\texp_00\n0\t1\t1\t0.5\n")
    assert read_log(path).sigma == sigma


def test_logs_are_read_by_the_names_they_were_published_under(tmp_path: Path) -> None:
    text = "idx\tlabel\tpredict\texp_cdf_25\texp_25\n0\t3\t3\t0.5\t0.4\n"
    for name in ("noise_0.25", "noise_0.25.tsv", "cifar_sigma0.25.tsv", "sigma_0.25"):
        for folder, measure in (("margin", "margin"), ("avg_score", "score")):
            path = tmp_path / folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
            log = read_log(path)
            assert (log.sigma, log.measure) == (0.25, measure)
            assert log.name == name.removesuffix(".tsv")
            (one,) = read([path])
            assert one.name == log.name
    path.write_text(text.replace("exp_cdf_25", "exp_cdf_" + "9" * 5000))
    assert [one.method.name for one in read_log(path).bounds] == ["mean"]
    path.write_bytes(b"\x89PNG")
    with pytest.raises(DataError, match=r"sigma_0\.25 is neither a results folder nor a log"):
        read([path])
