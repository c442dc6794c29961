"""Several results in one report: what can be compared stands side by side."""

from __future__ import annotations

import csv
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from reported import MARGIN, SCORES, SETTINGS, copies, images, make_run, table
from scipy.stats import binomtest

from smoothbound import store
from smoothbound.bounds._method import Method
from smoothbound.report import _drawing as drawing
from smoothbound.report import _write as report


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
def test_nothing_is_missing_from_runs_of_the_same_images_by_both_measures(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / side) for side in "ab"] + [make_run(tmp_path / "margin", MARGIN)]
    page = report.write_report(runs, tmp_path / "out")[1].read_text()
    [missing] = [line for line in page.splitlines() if line.startswith("Not shown")]
    assert missing.split("lack the data: ")[1] == (
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
def test_the_best_of_several_runs_is_said_to_be_chosen_after_looking(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / "one"), make_run(tmp_path / "two", replace(SETTINGS, sigma=0.25))]
    report.write_report(runs, tmp_path / "out", compare=True)
    for name in ("report.md", "report.html"):
        text = (tmp_path / "out" / name).read_text()
        assert "chosen after a look at the results" in text
        assert "up to 2 α instead of α" in text


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
