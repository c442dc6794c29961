"""The page: it shows every figure, says how it was made, and needs nothing but itself."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image
from reported import SCORES, SETTINGS, images, make_run, table

import smoothbound as sb
from smoothbound import store
from smoothbound.bounds._method import Method
from smoothbound.report import _write as report


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    """Return a run, and the files of a report of it whose figures are drawn in full."""
    folder = tmp_path_factory.mktemp("drawn")
    run = make_run(folder / "my $x_$ run")
    return run, report.write_report([run], folder / "out")


def test_pictures_are_small_and_carry_their_caption(drawn: tuple[Path, list[Path]]) -> None:
    _, written = drawn
    assert [path.stem.removeprefix("my $x_$ run_") for path in images(written)] == [
        "accuracy_vs_radius",
        "accuracy_vs_threshold",
        "score_vs_class_radius",
        "confidence",
        "knots",
        "calibration",
    ]
    for path in images(written):
        assert path.stat().st_size < 100_000
        with Image.open(path) as image:
            image.load()
            assert image.info["dpi"] == pytest.approx((200, 200), abs=0.1)
            assert len(image.info["Description"]) > 50
            assert len(np.unique(np.asarray(image.convert("L")))) > 10


def test_page_shows_every_figure_and_is_the_same_each_time(
    drawn: tuple[Path, list[Path]],
) -> None:
    run, written = drawn
    page = written[1].read_text()
    shown = {unquote(name) for name in re.findall(r"\]\(([^ )]+\.png)\)", page)}
    assert shown == {path.name for path in images(written)}
    for words in ("strictly above c", "σ = 0.5", "α = 0.001", "500 equal-count bins", "digits_cnn"):
        assert words in page
    assert "Unfinished" not in page
    before = [path.read_bytes() for path in written]
    again = report.write_report([run], written[0].parent)
    assert [path.read_bytes() for path in again] == before


@pytest.mark.usefixtures("undrawn")
def test_page_says_how_curves_stand_between_radii(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    page = report.write_report([run], tmp_path / "out")[1].read_text()
    assert "At c = 0.5, the certified radius of every input is drawn. The others are drawn" in page
    page = report.write_report([run], tmp_path / "out", thresholds=[0.5])[1].read_text()
    assert "marked radii" not in page
    page = report.write_report([SCORES], tmp_path / "out")[1].read_text()
    assert "The curves are drawn from the bounds at the marked radii" in page


def test_html_page_needs_nothing_but_itself(tmp_path: Path) -> None:
    log = tmp_path / "a <b> & c.tsv"
    log.write_bytes(SCORES.read_bytes())
    written = report.write_report([log], tmp_path / "out")
    html = written[0].read_text()
    assert not re.findall(r"(?:src|href)=\"(?!#)[^\"]*\"", html)
    assert "<script" not in html
    assert "url(http" not in html
    assert '<h2 id="s1">a &lt;b&gt; &amp; c</h2>' in html
    assert "<dt>a &lt;b&gt; &amp; c</dt>" in html
    alone = html.count("<svg viewBox=")  # panels for narrow screens, which repeat the pictures
    assert html.count("<svg") - alone == html.count('role="img"') == len(images(written)) == 3
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', html))
    assert used <= set(ids)
    assert "#000000" not in html.split("</style>", 1)[1].split("<style", 1)[0]
    assert html.count('<th scope="row">') == 7 + 2  # radii; methods of the headline
    svg = [path for path in written if path.suffix == ".svg"]
    assert len(svg) == 3
    assert all("currentColor" not in path.read_text() for path in svg)  # as a paper needs it


@pytest.mark.usefixtures("undrawn")
def test_headline_numbers_and_what_is_missing_come_first(tmp_path: Path) -> None:
    written = report.write_report([SCORES], tmp_path / "out", thresholds=[0.5])
    for page, heading in zip(written[:2], ("<section>", "\n## "), strict=True):
        top = page.read_text().split(heading, 1)[0]
        assert "Theorem 2 (dkw)" in top
        assert "--class-radius" in top
        assert "several σ" in top
    rows = re.findall(r"^\| kumar2020_excerpt .*", written[1].read_text(), re.MULTILINE)
    head = next(line for line in written[1].read_text().splitlines() if "| results |" in line)
    for method, row in zip(("mean", "cdf_dkw"), rows, strict=True):
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        for title, cell in zip(head.strip("|").split("|")[3:], cells[3:], strict=True):
            radius = title.removeprefix(" R = ").strip()
            (expected,) = (
                f"{one['certified_percent']} "
                f"({one['interval_low_percent']}–{one['interval_high_percent']})"
                for one in table(tmp_path / "out")
                if (one["method"], float(one["radius"])) == (method, float(radius))
            )
            assert cell == expected


@pytest.mark.usefixtures("undrawn")
def test_what_is_not_shown_is_named_with_its_cause(tmp_path: Path) -> None:
    low = make_run(tmp_path / "low", means=(0.1, 0.49))
    page = report.write_report([low], tmp_path / "out")[1].read_text()
    assert "calibration under attack (the classifier abstains on every input): low" in page
    assert "one input in full (no input has the true class without abstention): low" in page
    assert "the choice of knots (no input in twenty is certified" in page


def test_names_are_names_and_no_code(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / name / side) for side, name in (("_a$^$", "x"), ("p|q", "y"))]
    written = report.write_report(runs, tmp_path / "out", compare=True)
    html, page = (path.read_text() for path in written[:2])
    assert html.count("_<wbr>a$^$") >= 2
    rows = [line for line in page.splitlines() if line.startswith("| p")]
    assert rows
    assert all(
        row.replace("\\|", "").count("|") == rows[0].replace("\\|", "").count("|") for row in rows
    )
    svg = next(path for path in written if path.suffix == ".svg").read_text()
    assert "<!-- \N{NO-BREAK SPACE}_a$^$, Theorem 2 (dkw) -->" in svg


@pytest.mark.usefixtures("undrawn")
def test_a_run_without_kept_scores_says_what_is_missing(tmp_path: Path) -> None:
    adaptive = replace(SETTINGS, adaptive={"asked": "Decide"})
    written = report.write_report([make_run(tmp_path / "run", adaptive)], tmp_path / "out")
    assert len(images(written)) == 3
    page = written[1].read_text()
    assert "certified accuracy against the threshold (certify without --adaptive)" in page
    assert "the choice of knots (certify without --adaptive" in page


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"threads": 1}, "in batches of 100, by 1 thread; seed 0."),
        ({"threads": 2}, "in batches of 100, by 2 threads; seed 0."),
        ({}, "(digits.pt) on digits, test split: 12 inputs"),
        ({"split": "all"}, "(digits.pt) on digits: 12 inputs"),
    ],
)
@pytest.mark.usefixtures("undrawn")
def test_the_page_counts_threads_and_names_a_split_where_there_is_one(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    run = make_run(tmp_path / "run", replace(SETTINGS, **changes))
    report.write_report([run], tmp_path / "out")
    assert words in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.usefixtures("undrawn")
def test_a_title_of_a_table_breaks_at_no_equals_sign(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    report.write_report([run], tmp_path / "out")
    titles = re.findall(r"<th scope=\"col\">(.*?)</th>", (tmp_path / "out/report.html").read_text())
    assert "Theorem 1, c&nbsp;=&nbsp;0.5" in titles
    assert not any(" =" in title or "= " in title for title in titles)


@pytest.mark.usefixtures("undrawn")
def test_the_page_says_how_it_was_made_and_shows_the_main_curve_first(tmp_path: Path) -> None:
    settings = replace(SETTINGS, skip=3, versions={"smoothbound": "0.1", "torch": "2"})
    run = make_run(tmp_path / "run", settings)
    os.utime(run / "results.parquet", (1_700_000_000, 1_700_000_000))
    report.write_report([run], tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text()
    text = (tmp_path / "out" / "report.md").read_text()
    for shown in (page, text):
        for words in (
            f"Written by smoothbound {sb.__version__}: smoothbound report run --out report",
            "smoothbound certify --checkpoint DIR/digits.pt --arch digits_cnn --data digits",
            "--sigma 0.5 --n 1000 --radii 0.25,0.0,0.5,1.0 --thresholds=0.5 --bound mean",
            "Results of 2023-11-14.",
            "smoothbound 0.1, torch 2, on cpu, in batches of 100; seed 0.",
            "NeurIPS 2020",
            "one in 3",
            "digits_cnn on digits, score, σ = 0.5",
            "Floating-point noise",
            "not a proof",
        ):
            assert words in shown
    order = ["<h1>", "<figure>", "<nav", "Headline numbers</h2>", 'id="about"', 'id="made"']
    places = [page.index(words) for words in order]
    assert places == sorted(places)
    targets = re.findall(r'<a href="#([^"]+)"', page)
    assert len(targets) == 4  # headline, about, one section, made
    assert all(page.count(f'id="{target}"') == 1 for target in targets)


def test_a_narrow_screen_gets_every_panel_alone(drawn: tuple[Path, list[Path]]) -> None:
    page = drawn[1][0].read_text()
    first = page[page.index("<figure>") : page.index("</figure>")]
    boxes = re.findall(r'<svg viewBox="([^"]+)" aria-hidden="true"', first)
    assert len(boxes) == 4  # three thresholds and the legend
    _, _, width, height = map(float, re.findall(r'viewBox="([^"]+)"', first)[0].split())
    for x, y, w, h in (map(float, box.split()) for box in boxes):
        assert x >= -5
        assert y >= -5
        assert x + w <= width + 5
        assert y + h <= height + 5
    assert first.count('href="#f0-0-figure_1"') == 4
    assert page.count('id="f0-0-figure_1"') == 1


@pytest.mark.usefixtures("undrawn")
def test_the_expected_number_of_false_certificates_is_stated(tmp_path: Path) -> None:
    report.write_report([make_run(tmp_path / "run")], tmp_path / "out")
    page = (tmp_path / "out" / "report.md").read_text()
    run = store.load(tmp_path / "run")
    expected = f"{len(run) * Fraction(str(run.settings.alpha))}"
    assert (
        f"at most {len(run)} × α = {float(Fraction(expected)):g} of the {len(run)} inputs" in page
    )
    assert "for Theorem 1 and Theorem 2 (dkw) at all radii and thresholds together" in page
    adaptive = replace(SETTINGS, adaptive={"asked": "Decide"}, methods=(Method("anytime"),))
    report.write_report([make_run(tmp_path / "adaptive", adaptive)], tmp_path / "out")
    page = (tmp_path / "out" / "report.md").read_text()
    assert "a false certificate: for anytime at each radius and threshold." in page


@pytest.mark.usefixtures("undrawn")
def test_the_command_of_a_report_takes_no_folder_for_an_option(tmp_path: Path) -> None:
    run = make_run(tmp_path / "-run", SETTINGS)
    report.write_report([run], tmp_path / "out")
    assert "smoothbound report ./-run --out report" in (tmp_path / "out" / "report.md").read_text()
