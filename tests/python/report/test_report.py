from __future__ import annotations

import csv
import math
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from forks import run_code
from PIL import Image
from reported import SETTINGS, make_run, table
from scipy.stats import binomtest

import many_rows
import smoothbound as sb
from smoothbound import store
from smoothbound.analysis.reading import evaluate, read
from smoothbound.bounds._method import Method
from smoothbound.cli._options import default_radii
from smoothbound.errors import DataError, StoreError
from smoothbound.report import _drawing as drawing
from smoothbound.report import _write as report
from smoothbound.report._defaults import headline_radii, radii_of
from smoothbound.sketch._score_sketch import ScoreSketch

DATA = Path(__file__).parents[1] / "support" / "logs"
SCORES, CLASSES = DATA / "kumar2020_excerpt.tsv", DATA / "cohen2019_excerpt.tsv"


def images(written: Sequence[Path]) -> list[Path]:
    return [path for path in written if path.suffix == ".png"]


@pytest.mark.usefixtures("plainly_drawn")
def test_report_of_a_log(tmp_path: Path) -> None:
    written = report.write_report([SCORES], tmp_path / "out", class_radius=[CLASSES])
    assert {path.name for path in written} | {".report.json"} == {
        path.name for path in (tmp_path / "out").iterdir()
    }
    assert [path.name for path in written[:2]] == ["report.html", "report.md"]
    assert [path.name.removeprefix("kumar2020_excerpt_") for path in images(written)] == [
        "accuracy_vs_radius.png",
        "accuracy_vs_threshold.png",
        "score_vs_class_radius.png",
        "confidence.png",
    ]
    rows = table(tmp_path / "out")
    assert len(rows) == 7 * 3 * 2
    (row,) = (
        row
        for row in rows
        if (row["method"], row["radius"], row["threshold"]) == ("cdf_dkw", "0.25", "0.5")
    )
    # counted with awk in the excerpt; 63.33 rounded down
    assert (row["certified"], row["inputs"], row["certified_percent"]) == ("19", "30", "63.3")


def test_nothing_touches_pyplot(tmp_path: Path) -> None:
    program = (
        "import sys; from smoothbound.report import write_report; "
        "write_report(sys.argv[1:2], sys.argv[2]); print('matplotlib.pyplot' in sys.modules)"
    )
    assert run_code(program, str(SCORES), str(tmp_path)) == "False\n"


@pytest.mark.usefixtures("undrawn")
def test_report_without_class_radii_leaves_that_figure_out(tmp_path: Path) -> None:
    written = report.write_report([SCORES], tmp_path)
    assert len(images(written)) == 3


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


@pytest.mark.usefixtures("undrawn")
def test_table_of_a_run_by_a_plain_loop(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    report.write_report([run], tmp_path / "out", thresholds=[0.5, 0.6])
    results = store.load(run).table.to_pylist()
    for row in table(tmp_path / "out"):
        column = SETTINGS.radii.index(float(row["radius"]))  # the run's radii are not sorted
        expected = sum(
            one["predicted"] != -1
            and one["predicted"] == one["label"]
            and one[f"lower_{row['method']}"][column] > float(row["threshold"])
            for one in results
        )
        assert int(row["certified"]) == expected
    assert len(table(tmp_path / "out")) == 4 * 2 * 2


@pytest.mark.usefixtures("undrawn")
def test_unfinished_run_says_so(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", finished=5)
    html, page = (p.read_text() for p in report.write_report([run], tmp_path / "out")[:2])
    assert "**Unfinished run**: 5 of 12 inputs" in page
    assert "<strong>Unfinished run</strong>: 5 of 12 inputs" in html


@pytest.mark.usefixtures("undrawn")
def test_several_inputs_get_names_of_their_own(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / side / "results") for side in "ab"]
    written = report.write_report([*runs, SCORES], tmp_path / "out", class_radius=[CLASSES])
    assert len(images(written)) == 2 * 6 + 4 + 2  # the two runs are of the same inputs
    assert {row["name"] for row in table(tmp_path / "out")} == {
        "results", "results-2", "kumar2020_excerpt",
    }  # fmt: skip


def test_many_thresholds_and_one_radius_still_draw(tmp_path: Path) -> None:
    written = report.write_report(
        [SCORES], tmp_path, thresholds=[0.5, 0.6, 0.7, 0.8], radii=[0.25], index=340
    )
    assert all(path.stat().st_size < 100_000 for path in images(written))
    assert "input 340 (as asked for)" in written[1].read_text()


@pytest.mark.usefixtures("plainly_drawn")
def test_all_abstained_is_a_report_too(tmp_path: Path) -> None:
    log = tmp_path / "none.tsv"
    rows = "".join(f"{i}\t1\t-1\t0.0\t0.0\n" for i in range(3))
    log.write_text("idx\tlabel\tpredict\texp_00\texp_25\n" + rows)
    written = report.write_report([log], tmp_path / "out", class_radius=[log_of_classes(tmp_path)])
    assert len(images(written)) == 3  # no input to draw the confidence of
    assert {row["certified_percent"] for row in table(tmp_path / "out")} == {"0.0"}


def log_of_classes(folder: Path) -> Path:
    path = folder / "classes.tsv"
    path.write_text("idx\tlabel\tpredict\tradius\n0\t1\t-1\t0.0\n")
    return path


@pytest.mark.usefixtures("undrawn")
def test_margin_thresholds_follow_its_range(tmp_path: Path) -> None:
    margin = replace(SETTINGS, measure="margin", score_range=(-1.0, 1.0), thresholds=(0.0,))
    report.write_report([make_run(tmp_path / "run", margin)], tmp_path / "out")
    assert {row["threshold"] for row in table(tmp_path / "out")} == {"0.0", "0.4", "0.8"}


def test_wrong_arguments_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="inputs must name at least one"):
        report.write_report([], tmp_path)
    with pytest.raises(TypeError, match="inputs must be a list of paths"):
        report.write_report(SCORES, tmp_path)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="got 2 for 1 logs"):
        report.write_report([SCORES], tmp_path, class_radius=[CLASSES, CLASSES])
    with pytest.raises(ValueError, match="kumar2020_excerpt: thresholds must lie strictly inside"):
        report.write_report([SCORES], tmp_path, thresholds=[1.0])
    with pytest.raises(ValueError, match=r"no bound at 0\.3; it has 0, 0\.25"):
        report.write_report([SCORES], tmp_path, radii=[0.3])
    with pytest.raises(ValueError, match=r"index must be .* has no input 7; it has .* from"):
        report.write_report([SCORES], tmp_path, index=7)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("undrawn")
def test_the_old_name_of_index_works_and_warns(tmp_path: Path) -> None:
    with pytest.warns(DeprecationWarning, match="example is now called index"):
        written = report.write_report([SCORES], tmp_path, example=340)  # type: ignore[call-arg]
    assert "input 340 (as asked for)" in written[1].read_text()


@pytest.mark.usefixtures("undrawn")
def test_unfit_files_are_named(tmp_path: Path) -> None:
    np.save(tmp_path / "scores.npy", np.full((2, 9), 0.5))
    for name in ("scores.npy", "empty"):
        (tmp_path / "empty").touch()
        with pytest.raises(DataError, match=r"neither a results folder nor a log") as raised:
            report.write_report([tmp_path / name], tmp_path / "out")
        assert "codec" not in str(raised.value)
        assert "A report reads results folders of certify, .parquet files" in str(raised.value)
        assert "`smoothbound bounds SCORES --out OUT.parquet`" in str(raised.value)
    (tmp_path / "bounds.csv").write_text("lower@0\n0.5\n")
    with pytest.raises(DataError, match=r"lacks .*\.parquet files that bounds wrote"):
        report.write_report([tmp_path / "bounds.csv"], tmp_path / "out")
    with pytest.raises(StoreError, match="there is no results folder"):
        report.write_report([tmp_path / "missing"], tmp_path / "out")
    with pytest.raises(StoreError, match="cannot write to"):
        report.write_report([SCORES], tmp_path / "scores.npy")
    with (
        store.Writer(tmp_path / "run", SETTINGS),
        pytest.raises(StoreError, match="no finished input yet"),
    ):
        report.write_report([tmp_path / "run"], tmp_path / "out")


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


def copies(folder: Path) -> list[Path]:
    """Two logs of the same inputs, whose names tell their sigma."""
    paths = [folder / f"log_sigma{sigma}.tsv" for sigma in ("0.25", "0.50")]
    for path in paths:
        path.write_bytes(SCORES.read_bytes())
    return paths


@pytest.mark.usefixtures("plainly_drawn")
def test_several_inputs_stand_side_by_side_first(tmp_path: Path) -> None:
    written = report.write_report(copies(tmp_path), tmp_path / "out")
    html = written[0].read_text()
    assert re.findall("<h2.*?>(.*)</h2>", html) == [
        "Headline numbers",
        "What was certified, and how",
        "Side by side: score",
        "log_sigma0.25",
        "log_sigma0.50",
        "How this was made",
    ]
    assert "Best at c = 0.5: log_sigma0.25 up to R = " in html
    assert html.count('role="img"') == 2 + 3 + 3
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))


@pytest.mark.usefixtures("undrawn")
def test_compare_shows_nothing_else_and_needs_two_alike(tmp_path: Path) -> None:
    written = report.write_report(copies(tmp_path), tmp_path / "out", compare=True)
    assert [path.name for path in images(written)] == ["side_by_side_1.png", "best_by_radius_1.png"]
    assert len(table(tmp_path / "out")) == 2 * 7 * 3 * 2  # the table has every input's numbers
    with pytest.raises(ValueError, match=r"--compare needs two .*; got kumar2020_excerpt \(score"):
        report.write_report([SCORES], tmp_path / "none", compare=True)


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


MARGIN = replace(SETTINGS, measure="margin", score_range=(-1.0, 1.0), cutoff=0.0, thresholds=(0.0,))


@pytest.mark.usefixtures("undrawn")
def test_nothing_is_missing_from_runs_of_the_same_images_by_both_measures(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / side) for side in "ab"] + [make_run(tmp_path / "margin", MARGIN)]
    page = report.write_report(runs, tmp_path / "out")[1].read_text()
    [missing] = [line for line in page.splitlines() if line.startswith("Not shown")]
    assert missing.split("tell it: ")[1] == (
        "calibration of each class (certify --classes all): a, b, margin."
    )


@pytest.mark.usefixtures("undrawn")
def test_score_and_margin_of_the_same_images_are_compared(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / "score"), make_run(tmp_path / "margin", MARGIN)]
    written = report.write_report(runs, tmp_path / "out")
    html, page = (path.read_text() for path in written[:2])
    alone = report.write_report(runs, tmp_path / "pair", compare=True)
    assert len(images(alone)) == 2
    assert '<h2 id="s1">Score and margin: score, margin</h2>' in html
    assert {"spread_1.png", "score_and_margin_1.png"} <= {path.name for path in images(written)}
    assert "margin_calibration.png" not in page  # calibration is about scores
    assert re.search(r"the margin certifies more at \d+, the score at \d+\.", page)
    row = next(line for line in page.splitlines() if line.startswith("| 0.25 |"))
    head = next(line for line in page.splitlines() if line.startswith("| R | score > 0.5 |"))
    counted = dict(zip(head.split("|"), row.split("|"), strict=True))
    for run, c, title in zip(runs, (0.5, 0.0), ("score > 0.5", "margin > 0"), strict=True):
        results = store.load(run)
        right = results.array("predicted") == results.array("label")
        certified = right & (results.array("lower_cdf_dkw")[:, 0] > c)  # radius 0.25
        share, interval = counted[f" {title} "].split()
        assert float(share) == math.floor(1000 * certified.mean()) / 10
        low, high = map(float, interval.strip("()").split("–"))
        exact = binomtest(int(certified.sum()), certified.size).proportion_ci(0.95)
        assert 100 * exact.low - 0.1 < low <= 100 * exact.low
        assert 100 * exact.high <= high < 100 * exact.high + 0.1


@pytest.mark.usefixtures("undrawn")
def test_tables_have_the_numbers_of_the_figures(tmp_path: Path) -> None:
    wide = replace(SETTINGS, sigma=1.0)
    runs = [
        make_run(tmp_path / "score"),
        make_run(tmp_path / "margin", MARGIN),
        make_run(tmp_path / "wide", wide, means=(0.6, 0.99)),
    ]
    written = report.write_report(runs, tmp_path / "out", thresholds=[0.5])

    def rows(name: str) -> list[dict[str, str]]:
        assert tmp_path / "out" / name in written
        with (tmp_path / "out" / name).open(newline="") as file:
            return list(csv.DictReader(file))

    results = [store.load(run) for run in runs]
    for row in rows("best_by_radius.csv"):  # of the two runs of the score
        counts = [
            int(
                (
                    (one.array("predicted") == one.array("label"))
                    & (one.array("radius_cdf_dkw")[:, 0] >= float(row["radius"]))
                ).sum()
            )
            for one in (results[0], results[2])
        ]
        assert int(row["certified"]) == max(counts)
        assert row["best"] == ("score" if counts[0] >= counts[1] else "wide")
    assert [int(row["index"]) for row in rows("spread.csv")] == list(range(12))
    assert len(rows("class_radius.csv")) == 3 * 12
    assert [row["certified_margin"] != "" for row in rows("class_radius.csv")] == [
        row["name"] == "margin" for row in rows("class_radius.csv")
    ]
    assert {row["name"] for row in rows("knots.csv")} == {"score", "margin", "wide"}
    bounds = [row for row in rows("calibration.csv") if row["name"] == "score"]
    assert [float(row["radius"]) for row in bounds] == [0, 0.25, 0.5, 1]
    for error in ("brier", "ece"):
        upper = [float(row[f"{error}_upper"]) for row in bounds]
        lower = [float(row[f"{error}_lower"]) for row in bounds]
        assert upper == sorted(upper)
        assert lower == sorted(lower, reverse=True)
        assert lower[0] < upper[0]


@pytest.mark.usefixtures("plainly_drawn")
def test_failed_inputs_cost_no_figure(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / "score", failed=[5]), make_run(tmp_path / "margin", MARGIN)]
    written = report.write_report(runs, tmp_path / "out")
    assert len(images(written)) == 2 + 6 + 5
    page = written[1].read_text()
    assert "11 inputs, whose scores both have kept" in page
    assert "of 11 inputs at R =" in page  # the choice of knots


@pytest.mark.usefixtures("undrawn")
def test_calibration_is_certified_for_all_inputs_whichever_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The draws that bound an input also decide whether it is abstained from."""
    levels = []
    certify = ScoreSketch.certify

    def noted(sketch: ScoreSketch, **options: Any) -> Any:
        if options.get("sides") == "both":
            levels.append((options["alpha"], len(sketch.index)))
        return certify(sketch, **options)

    monkeypatch.setattr(ScoreSketch, "certify", noted)
    for low in (0.45, 0.2):
        run = make_run(tmp_path / f"{low}", means=(low, 0.8))
        report.write_report([run], tmp_path / "out")
    (one, first), (two, second) = levels
    assert one == two == 0.001 / 12
    assert first > second > 0


@pytest.mark.usefixtures("undrawn")
def test_calibration_allows_for_probabilities_that_miss_the_sum_of_1(tmp_path: Path) -> None:
    """Another class has at most 1 - L, and what the sum of all scores may be above 1."""
    logits = make_run(tmp_path / "logits")
    stated = make_run(tmp_path / "stated", replace(SETTINGS, outputs="probabilities"))
    report.write_report([logits, stated], tmp_path / "out")
    with (tmp_path / "out" / "calibration.csv").open() as file:
        worst = {
            (row["name"], row["radius"]): float(row["brier_upper"]) for row in csv.DictReader(file)
        }
    assert worst["stated", "0.25"] > worst["logits", "0.25"]
    one = report.read([stated])[0]
    assert one.sum_error == 0.004 > report.read([logits])[0].sum_error


@pytest.mark.usefixtures("undrawn")
def test_what_is_not_shown_is_named_with_its_cause(tmp_path: Path) -> None:
    low = make_run(tmp_path / "low", means=(0.1, 0.49))
    page = report.write_report([low], tmp_path / "out")[1].read_text()
    assert "calibration under attack (every input is abstained from): low" in page
    assert "one input in full (none is of the true class and not abstained from): low" in page
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
def test_the_rule_for_sigma_is_stated_only_where_it_is_seen(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path / name, replace(SETTINGS, sigma=sigma), means=(low, 0.99))
        for name, sigma, low in (("a", 0.25, 0.6), ("b", 0.5, 0.2))
    ]
    page = report.write_report(runs, tmp_path / "out", compare=True)[1].read_text()
    assert "one σ is the best at all radii" in page
    logs = [tmp_path / f"log_sigma{sigma}.tsv" for sigma in ("0.25", "0.50")]
    for log, near, far in zip(logs, ("0.9", "0.8"), ("0.1", "0.6"), strict=True):
        log.write_text(f"idx\tlabel\tpredict\texp_00\texp_25\n0\t1\t1\t{near}\t{far}\n")
    page = report.write_report(logs, tmp_path / "out", compare=True, thresholds=[0.55])[1]
    assert "σ should grow with the radius, as it does here." in page.read_text()
    for log, rows in zip(logs, (("0.6\t0.6", "0.5\t0.1"), ("0.9\t0.1", "0.9\t0.1")), strict=True):
        lines = [f"{i}\t1\t1\t{row}" for i, row in enumerate(rows)]
        log.write_text("\n".join(["idx\tlabel\tpredict\texp_00\texp_25", *lines]))
    page = report.write_report(logs, tmp_path / "out", compare=True, thresholds=[0.55])[1]
    assert "σ should grow with the radius; here the best σ does not always" in page.read_text()


@pytest.mark.usefixtures("undrawn")
def test_runs_of_other_images_are_not_put_side_by_side(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / "a"), make_run(tmp_path / "b", replace(SETTINGS, data="images:b"))]
    with pytest.raises(ValueError, match="--compare needs two inputs or more of the same images"):
        report.write_report(runs, tmp_path / "out", compare=True)


@pytest.mark.usefixtures("undrawn")
def test_a_run_without_kept_scores_says_what_is_missing(tmp_path: Path) -> None:
    adaptive = replace(SETTINGS, adaptive={"asked": "Decide"})
    written = report.write_report([make_run(tmp_path / "run", adaptive)], tmp_path / "out")
    assert len(images(written)) == 3
    page = written[1].read_text()
    assert "certified accuracy against the threshold (certify without --adaptive)" in page
    assert "the choice of knots (certify without --adaptive" in page


@pytest.mark.usefixtures("undrawn")
def test_what_adaptive_draws_did_not_tell_stands_as_a_dash_side_by_side(tmp_path: Path) -> None:
    asked = {"radii": (0.25,), "thresholds": (0.7,), "methods": (Method("tangent"),)}
    adaptive = replace(SETTINGS, adaptive={"asked": "Decide"}, **asked)
    runs = [make_run(tmp_path / "fixed"), make_run(tmp_path / "adaptive", adaptive)]
    report.write_report(runs, tmp_path / "out", compare=True)
    lines = (tmp_path / "out" / "report.md").read_text().splitlines()
    place = next(k for k, line in enumerate(lines) if line.startswith("| R | fixed, c = 0.5"))
    titles = [cell.strip() for cell in lines[place].split("|")]
    assert "adaptive, c = 0.5" not in titles  # nobody asked about 0.5
    column = titles.index("adaptive, c = 0.7")
    shares = {
        row[1]: row[column]
        for line in lines[place + 2 : place + 6]
        for row in [[cell.strip() for cell in line.split("|")]]
    }
    assert set(shares) == {"0", "0.25", "0.5", "1"}
    assert float(shares["0.25"].split()[0]) > 0
    assert shares["0.5"] == shares["1"] == "–"
    with (tmp_path / "out" / "best_by_radius.csv").open(newline="") as file:
        best = [row for row in csv.DictReader(file) if row["best"] == "adaptive"]
    assert all(float(row["radius"]) <= 0.25 and row["threshold"] == "0.7" for row in best)


@pytest.mark.usefixtures("undrawn")
def test_radii_and_thresholds_that_share_six_digits_stay_apart(tmp_path: Path) -> None:
    radii, thresholds = (0.0, 0.5, 0.50000001), (0.6, 0.60000001)
    settings = replace(SETTINGS, radii=radii, thresholds=thresholds)
    runs = [make_run(tmp_path / "one", settings), make_run(tmp_path / "two", settings)]
    report.write_report(runs, tmp_path / "out", thresholds=thresholds)
    text = (tmp_path / "out" / "report.md").read_text()
    for line in text.splitlines():
        if line.startswith("| R |"):
            titles = line.split(" | ")
            assert len(set(titles)) == len(titles)
            assert "c = 0.60000001" in line
    assert "| 0.50000001 |" in text


def test_headline_radii_are_easy_to_read(tmp_path: Path) -> None:
    settings = replace(SETTINGS, radii=tuple(default_radii(0.25)))
    one = evaluate(store.load(make_run(tmp_path / "run", settings, means=(0.999, 0.9999))), "run")
    assert radii_of(one, 0.5) == [0.25, 0.75, 1.0]
    few = replace(SETTINGS, radii=(0.0, 0.1875))
    one = evaluate(store.load(make_run(tmp_path / "few", few, means=(0.999, 0.9999))), "few")
    assert radii_of(one, 0.5) == [0.1875]


@pytest.mark.parametrize(
    ("sigma", "means", "shown"),
    [
        (0.25, (0.999, 0.9999), [0.25, 0.75, 1.0]),
        (0.25, (0.6, 0.65), [0.25]),
        (0.5, (0.9, 0.95), [0.25, 0.5, 0.75]),
        (0.06, (0.9, 0.9), [0.06, 0.18, 0.24]),  # 0.25 is not reached
    ],
)
def test_radii_that_nobody_asked_for_are_usual_ones(
    tmp_path: Path, sigma: float, means: tuple[float, float], shown: list[float]
) -> None:
    settings = replace(SETTINGS, sigma=sigma, radii=tuple(default_radii(sigma)))
    one = evaluate(store.load(make_run(tmp_path / "run", settings, means=means)), "run")
    assert headline_radii(one, 0.5) == shown
    own = replace(settings, radii=(0.0, sigma * 0.375))
    one = evaluate(store.load(make_run(tmp_path / "own", own, means=means)), "own")
    assert headline_radii(one, 0.5) == [sigma * 0.375]


@pytest.mark.usefixtures("undrawn")
def test_the_best_of_several_runs_is_said_to_be_chosen_after_looking(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / "one"), make_run(tmp_path / "two", replace(SETTINGS, sigma=0.25))]
    report.write_report(runs, tmp_path / "out", compare=True)
    for name in ("report.md", "report.html"):
        text = (tmp_path / "out" / name).read_text()
        assert "chosen after a look at the results" in text
        assert "up to 2 α instead of α" in text


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
            "not proven",
        ):
            assert words in shown
    order = ["<h1>", "<figure>", "<nav", "Headline numbers</h2>", 'id="about"', 'id="made"']
    places = [page.index(words) for words in order]
    assert places == sorted(places)
    targets = re.findall(r'<a href="#([^"]+)"', page)
    assert len(targets) == 4  # headline, about, one section, made
    assert all(page.count(f'id="{target}"') == 1 for target in targets)


@pytest.mark.parametrize(
    ("noise", "said"), [("gaussian", "are not proven"), ("lattice", "by at most d = 0.")]
)
def test_a_report_of_certificates_from_python_says_what_their_noise_promises(
    tmp_path: Path, noise: str, said: str
) -> None:
    torch = pytest.importorskip("torch")
    smoothed = sb.SmoothedClassifier(lambda x: torch.cat([x, -x], dim=1), sigma=0.5)
    certificate = smoothed.certify(np.ones((3, 1), np.float32), n=100, n0=10, noise=noise)
    certificate.save(tmp_path / "mine.parquet")
    [evaluation] = report.read([tmp_path / "mine.parquet"])
    assert said in " ".join(evaluation.notes)


def test_a_report_of_adaptive_certificates_knows_what_was_drawn_for(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    smoothed = sb.SmoothedClassifier(lambda x: torch.cat([x, -x], dim=1), sigma=0.25)
    x = torch.tensor([[3.0], [2.0], [0.01]])
    options = {"n": 2000, "adaptive": True, "grid": 100}
    decided = smoothed.certify(x, radii=[0.25], thresholds=[0.7], **options)
    found = smoothed.certify(x, thresholds=[0.7], radius_precision=0.1, **options)
    for name, certificate in (("decided", decided), ("found", found)):
        certificate.save(tmp_path / f"{name}.parquet")
        [one] = report.read([tmp_path / f"{name}.parquet"])
        assert one.adaptive
        assert "at most 2000 draws of each" in one.notes[0]
        assert one.counts_at(one.bounds[0], 0.9, [0.0]).tolist() == [-1]  # nobody drew for 0.9
        beyond = one.counts_at(one.bounds[0], 0.7, [0.25, 9.0])
        assert beyond.tolist() == ([2, -1] if name == "decided" else [2, 0])


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


def test_long_names_in_a_legend_leave_the_panels_their_height() -> None:
    def panel(ax: Any, label: str) -> Any:
        ax.plot([0, 1], [0, 1], label=label)
        return ax

    def height(labels: list[str]) -> float:
        def draw_all(ax: Any) -> Any:
            for label in labels:
                panel(ax, label)
            return ax

        _, svg = drawing.rendered("title", "caption", [draw_all] * 3)
        box = re.search(rb'data-panels="([^;"]+)', svg)
        assert box is not None
        return float(box[1].split()[3])

    short = height(["a"])
    assert height([f"a folder of a very long name number {k}" * 3 for k in range(8)]) > 0.9 * short


@pytest.mark.usefixtures("undrawn")
def test_report_of_a_file_of_bounds(tmp_path: Path) -> None:
    scores = np.random.default_rng(0).beta(20, 1, (8, 500))
    cert = sb.certify_scores(scores, sigma=0.25, radii=[0.25, 0.0, 0.5], thresholds=[0.6])
    cert.save(tmp_path / "mine.parquet")
    report.write_report([tmp_path / "mine.parquet"], tmp_path / "out")
    page = (tmp_path / "out" / "report.md").read_text()
    assert "whether a class is the true one is not known" in page
    assert "8 inputs, σ = 0.25, α = 0.001, 500 draws of each." in page
    [row] = [
        row
        for row in table(tmp_path / "out")
        if (row["radius"], row["threshold"]) == ("0.25", "0.6")
    ]
    assert cert.lower is not None
    assert int(row["certified"]) == (cert.lower[:, 0] > 0.6).sum() > 0

    upper = sb.certify_scores(scores, sigma=0.25, radii=[0.0], sides="upper")
    upper.save(tmp_path / "upper.parquet")
    with pytest.raises(StoreError, match="upper has no lower bounds"):
        report.write_report([tmp_path / "upper.parquet"], tmp_path / "no")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(StoreError, match=r"bad\.parquet"):
        report.write_report([tmp_path / "bad.parquet"], tmp_path / "no")


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("change", "options"),
    [
        ({}, {"failed": range(12)}),
        ({}, {"means": (0.01, 0.3)}),  # every input abstained from
        ({"n_inputs": 1, "max_inputs": 1}, {"finished": 1}),
        ({"radii": (0.5,)}, {}),
    ],
)
def test_a_report_of_odd_results_is_still_a_report(
    change: dict[str, Any], options: dict[str, Any], tmp_path: Path
) -> None:
    run = make_run(tmp_path / "run", replace(SETTINGS, **change), **options)
    written = report.write_report([run], tmp_path / "out")
    assert any(path.name == "run_accuracy_vs_radius.png" for path in written)
    assert "nan" not in (tmp_path / "out" / "report.md").read_text()


def test_too_few_draws_for_alpha_cost_the_figures_that_need_them(tmp_path: Path) -> None:
    settings = replace(SETTINGS, alpha=5e-324, measure="$\\frac$ _x")  # no code of Matplotlib's
    written = report.write_report([make_run(tmp_path / "run", settings)], tmp_path / "out")
    names = {path.name for path in written}
    assert {"run_accuracy_vs_radius.png", "run_confidence.png"} <= names
    assert "run_knots.png" not in names
    assert "the choice of knots (" in (tmp_path / "out" / "report.md").read_text()


@pytest.mark.slow
def test_a_report_of_fifty_thousand_inputs_takes_little_memory_and_a_small_page(
    tmp_path: Path,
) -> None:
    """Their scores are counted; all fit into the memory of a laptop, and the page into an email."""
    many_rows.write(tmp_path / "run", 50_000, scores=True)
    _, memory = many_rows.run(many_rows.TASKS["report"], tmp_path / "run", tmp_path / "out")
    assert memory < 1000
    assert (tmp_path / "out" / "report.html").stat().st_size < 2e6
    assert "2000 of the" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


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
@pytest.mark.parametrize("statistic", ["probability", "quantile"])
def test_each_level_of_a_certificate_is_reported(tmp_path: Path, statistic: Any) -> None:
    scores = np.random.default_rng(0).beta(8, 2, size=(6, 400))
    cert = sb.certify_scores(
        scores,
        sigma=0.25,
        radii=[0.0, 0.1],
        statistic=statistic,
        levels=[0.25, 0.75],
        thresholds=[0.5],
        score_range=(0, 1),
    )
    cert.save(tmp_path / "levels.parquet")
    report.write_report([tmp_path / "levels.parquet"], tmp_path / "out", thresholds=[0.5])
    rows = table(tmp_path / "out")
    assert len(rows) == 2 * 2
    for row in rows:
        level = float(row["name"].removeprefix("levels-"))
        j, k = (0.25, 0.75).index(level), (0.0, 0.1).index(float(row["radius"]))
        assert int(row["certified"]) == (cert.lower[:, j, k] > 0.5).sum()
    page = (tmp_path / "out" / "report.md").read_text()
    name = "P(score ≥ 0.75)" if statistic == "probability" else "0.75-quantile of the score"
    assert name in {row["measure"] for row in rows}
    assert "for Clopper-Pearson at each radius and threshold" in page


def test_quantiles_without_a_range_are_shown_over_their_finite_bounds(tmp_path: Path) -> None:
    scores = np.random.default_rng(0).normal([[0.0], [7.0], [9.0]], size=(3, 400))
    scores[0] = -np.inf
    cert = sb.certify_scores(
        scores, sigma=1, radii=[0.0, 0.5], statistic="quantile", levels=[0.5], thresholds=[6.5]
    )
    cert.save(tmp_path / "levels.parquet")
    [one] = read([tmp_path / "levels.parquet"])
    finite = cert.lower[1:]
    assert one.shown_range[0] < finite.min() < finite.max() < one.shown_range[1]
    assert np.ptp(one.shown_range) < 1.2 * np.ptp(finite)
    at, accuracy = one.by_threshold(one.bounds[0], 0.0)
    assert np.isfinite(at).all()
    assert accuracy[0] == pytest.approx(2 / 3)
    assert one.select(np.array([1])).shown_range == one.shown_range
    report.write_report([tmp_path / "levels.parquet"], tmp_path / "out", thresholds=[3.0, 8.0, 99])
    rows = table(tmp_path / "out")
    assert {(row["threshold"], row["radius"], row["certified"]) for row in rows} == {
        (f"{c}", f"{radius}", str((cert.lower[:, 0, j] > c).sum()))
        for c in (3.0, 8.0, 99.0)
        for j, radius in enumerate((0.0, 0.5))
    }
    report.write_report([tmp_path / "levels.parquet"], tmp_path / "default")
    assert {row["threshold"] for row in table(tmp_path / "default")} == {"6.5"}
    replace(
        cert, settings=replace(cert.settings, thresholds=()), radius=cert.radius[:, :, :0]
    ).save(tmp_path / "without.parquet")
    report.write_report([tmp_path / "without.parquet"], tmp_path / "without")
    shown = {float(row["threshold"]) for row in table(tmp_path / "without")}
    assert len(shown) == 3
    assert finite.min() < min(shown) < max(shown) < finite.max()


def test_quantiles_that_are_all_infinite_have_no_axis(tmp_path: Path) -> None:
    made = sb.certify_scores(
        np.full((2, 100), -np.inf), sigma=1, statistic="quantile", levels=[0.5]
    )
    made.save(tmp_path / "levels.parquet")
    with pytest.raises(StoreError, match="no finite bound"):
        report.write_report([tmp_path / "levels.parquet"], tmp_path / "out")
