"""A report of any results is written, with a figure for each thing that is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from forks import run_code
from reported import CLASSES, MARGIN, SCORES, SETTINGS, images, make_run, table

import many_rows
import smoothbound as sb
from smoothbound import store
from smoothbound.errors import DataError, StoreError
from smoothbound.report import _write as report


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


@pytest.mark.usefixtures("plainly_drawn")
def test_failed_inputs_cost_no_figure(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / "score", failed=[5]), make_run(tmp_path / "margin", MARGIN)]
    written = report.write_report(runs, tmp_path / "out")
    assert len(images(written)) == 2 + 6 + 5
    page = written[1].read_text()
    assert "11 inputs are those whose scores both results kept" in page
    assert "of 11 inputs at R =" in page  # the choice of knots


@pytest.mark.parametrize(
    ("noise", "said"), [("gaussian", "are not a proof"), ("lattice", "by at most d = 0.")]
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
