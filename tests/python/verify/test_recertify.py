"""A finished run answers other questions from what it kept, and says which it cannot answer."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scored
from scored import DECIDE, FIND, FIXED, changed, make, moved
from typer.testing import CliRunner

from smoothbound import store
from smoothbound._files import sealed
from smoothbound.analysis.reading import evaluate
from smoothbound.bounds._method import Method
from smoothbound.cli._app import app
from smoothbound.errors import StoreError
from smoothbound.smoothing._class_radius import class_radius
from smoothbound.store._table.schema import schema
from smoothbound.verify import recertify_results, verify_results


@pytest.fixture
def run(tmp_path: Path) -> Path:
    def some_fail(rng: np.random.Generator, index: int, n: int) -> scored.Scores:
        return scored.scores_of(rng, index, n if index != 3 else 0)

    return make(tmp_path / "run", FIXED, some_fail)


# --- a fixed number of draws ------------------------------------------------------------------


def test_the_certificates_are_those_of_the_counted_scores(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    radii, thresholds = [0.3, 0.0, 0.1], [0.6, 0.9]
    recertify_results(
        run, out, radii=radii, thresholds=thresholds, bands=["dkw", "ell"], alpha=0.01
    )
    before, after = store.load(run), store.load(out)
    assert after.complete
    assert after.settings == dataclasses.replace(
        before.settings,
        radii=tuple(radii),
        thresholds=tuple(thresholds),
        methods=(Method("cdf", "dkw"), Method("cdf", "ell")),
        alpha=0.01,
        from_counts=True,
    )
    kept = after.array("index") != 3
    for band in ("dkw", "ell"):
        expected = before.sketch().certify(
            radii=radii, thresholds=thresholds, band=band, alpha=0.01
        )
        found = after.array(f"lower_cdf_{band}")
        np.testing.assert_array_equal(found[kept], expected.lower)
        assert np.isnan(found[~kept]).all()
        reach = after.array(f"radius_cdf_{band}")
        np.testing.assert_array_equal(reach[kept], expected.radius)
        assert np.isnan(reach[~kept]).all()
    at_zero = before.sketch().certify(radii=[0.0], alpha=0.01).lower[:, 0]
    certified = at_zero > 0.5
    assert 0 < certified.sum() < 7
    assert (after.array("status")[kept] == np.where(certified, "certified", "abstained")).all()
    assert (after.array("predicted")[kept] == np.where(certified, 1, -1)).all()
    assert [bool(reason) for reason in after.array("reason")[kept]] == (~certified).tolist()
    votes = class_radius(before.array("top_count")[kept], 1000, sigma=0.25, alpha=0.01)
    np.testing.assert_array_equal(after.array("class_radius")[kept], votes)
    for name in ("index", "label", "selected", "n_draws", "n_selection", "top_count", "seconds"):
        assert (after.array(name) == before.array(name)).all()
    assert after.array("reason")[3] == before.array("reason")[3]
    assert after.array("status")[3] == "failed"
    assert after.table["sketch"].equals(before.table["sketch"])


def test_bounds_are_at_most_a_cell_below_those_of_the_scores(tmp_path: Path) -> None:
    run = make(tmp_path / "run", moved(FIXED, 0.01))
    recertify_results(run, tmp_path / "out")
    before, after = store.load(run), store.load(tmp_path / "out")
    assert after.settings.radii == before.settings.radii
    assert after.settings.alpha == before.settings.alpha
    gap = before.array("lower_cdf_ell") - after.array("lower_cdf_ell")
    assert (gap >= 0).all()
    assert (gap <= 1 / 4096 + 1e-12).all()
    one, two = before.array("radius_cdf_ell"), after.array("radius_cdf_ell")
    assert (np.isnan(two) | (two <= one)).all()


def test_a_run_that_was_certified_again_is_verified_to_the_last_digit(
    run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    recertify_results(run, out, bands=["dkw", "ell"], thresholds=[0.6])
    found = verify_results(out)
    assert found.holds
    assert found.complete
    assert all(tally.within == 0 for tally in found.tallies.values())

    def higher(rows: list[dict[str, Any]]) -> None:
        rows[6]["lower_cdf_ell"][1] += 1e-9

    changed(out, higher)
    (finding,) = verify_results(out).findings
    assert finding.index == 6
    assert finding.column == "lower_cdf_ell at R = 0.0625"


def test_the_folder_is_one_that_all_commands_read(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    recertify_results(run, out, radii=[0, 0.1])
    made = evaluate(store.load(out), "out")
    assert any("Certified again from the counted scores" in note for note in made.notes)
    assert any("and then smoothbound recertify" in line for line in made.origin)
    for words in (
        ["export", str(out), "--format", "csv", "--out", str(tmp_path / "out.csv")],
        ["verify", str(out)],
        ["recertify", str(out), "--thresholds", "0.7", "--out", str(tmp_path / "again")],
    ):
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, done.output
    with pytest.raises(StoreError, match="from_counts: was True, now False"):
        store.Writer(out, store.load(run).settings, resume=True)


def test_inputs_come_a_few_at_a_time(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recertify_results(run, tmp_path / "whole")
    monkeypatch.setattr(sealed, "_MOST_ROWS", 3)
    monkeypatch.setattr(sealed, "_ROW_GROUP", 2)
    sizes: list[int] = []
    recertify_results(run, tmp_path / "parts", advance=sizes.append)
    assert sizes == [3, 3, 2]
    whole, parts = (store.load(tmp_path / name) for name in ("whole", "parts"))
    assert repr(whole.table.to_pylist()) == repr(parts.table.to_pylist())


def test_older_formats_become_new(run: Path, tmp_path: Path) -> None:
    results = store.load(run)
    older = dataclasses.replace(results.settings, format=5)
    kinds = schema(older)
    sealed.write_table(results.table.select(kinds.names).cast(kinds), run / "results.parquet")
    assert store.load(run).settings.format == 5
    recertify_results(run, tmp_path / "out")
    assert store.load(tmp_path / "out").settings.format == 6
    assert verify_results(tmp_path / "out").holds


# --- adaptive draws ---------------------------------------------------------------------------


def test_some_of_the_questions_of_adaptive_draws_are_chosen(tmp_path: Path) -> None:
    asked = dataclasses.replace(DECIDE, thresholds=(0.7, 0.5, 0.8), radii=(0.125, 0.0, 0.25))
    run = make(tmp_path / "run", asked)
    recertify_results(run, tmp_path / "out", radii=[0.0, 0.25], thresholds=[0.8, 0.5])
    before, after = store.load(run), store.load(tmp_path / "out")
    assert after.settings == dataclasses.replace(asked, radii=(0.0, 0.25), thresholds=(0.8, 0.5))
    # By a plain loop: what is certified above a threshold of the run, at a radius of it.
    lower, chosen = before.array("lower_anytime"), after.array("lower_anytime")
    for row, mine in zip(lower[:, [1, 2]], chosen, strict=True):
        for x, y in zip(row, mine, strict=True):
            passed = [c for c in (0.5, 0.8) if np.nextafter(c, 1) <= x]
            assert y == (np.nextafter(max(passed), 1) if passed else 0.0)
    reach = before.array("radius_anytime")[:, [2, 1]]
    for row, mine in zip(reach, after.array("radius_anytime"), strict=True):
        for x, y in zip(row, mine, strict=True):
            passed = [radius for radius in (0.0, 0.25) if radius <= x]
            assert y == max(passed) if passed else np.isnan(y)
    assert (chosen > 0.5).any()
    assert verify_results(tmp_path / "out").holds
    assert verify_results(tmp_path / "out").complete
    assert after.table["state"].equals(before.table["state"])


def test_radii_that_were_found_are_kept(tmp_path: Path) -> None:
    run = make(tmp_path / "run", dataclasses.replace(FIND, thresholds=(0.5, 0.7)))
    recertify_results(run, tmp_path / "out", thresholds=[0.7])
    before, after = store.load(run), store.load(tmp_path / "out")
    np.testing.assert_array_equal(
        after.array("radius_anytime")[:, 0], before.array("radius_anytime")[:, 1]
    )
    assert verify_results(tmp_path / "out").holds


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"bands": ["ell"]}, r"bands must be left out .* the scores decided when drawing stopped"),
        ({"bands": ["dkw"]}, r"bands must be left out .* the scores decided when drawing stopped"),
        ({"alpha": 0.01}, r"alpha must be left out .* alpha = 0\.001"),
        (
            {"thresholds": [0.6]},
            r"thresholds must be among .*, 0\.7, got 0\.6: .* later draws",
        ),
        ({"radii": [0.1, 0.125]}, r"radii must be among .* 0, 0\.125, got 0\.1: .* later draws"),
        ({"radii": []}, "radii must not be empty"),
    ],
)
def test_what_adaptive_draws_do_not_answer_is_refused_with_the_reason(
    tmp_path: Path, options: dict[str, Any], said: str
) -> None:
    run = make(tmp_path / "run", DECIDE)
    with pytest.raises(ValueError, match=said):
        recertify_results(run, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


# --- what is refused, and what is left --------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"bands": ["equal"]}, "bands must be one of"),
        ({"bands": []}, "methods must not be empty"),
        ({"thresholds": [1.5]}, "thresholds"),
        ({"radii": [-1.0]}, "radii"),
        ({"alpha": 2.0}, "alpha"),
        ({"alpha": 1e-250}, "draws"),
    ],
)
def test_wrong_arguments_are_named(
    run: Path, tmp_path: Path, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        recertify_results(run, tmp_path / "out", **options)
    assert not (tmp_path / "out" / "results.parquet").exists()


def test_folders_that_cannot_be_read_or_written(run: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for out in ("mine", "file", "run"):
        with pytest.raises(StoreError, match="must be a folder that is missing or empty"):
            recertify_results(run, tmp_path / out)
    rows = store.load(run).table.to_pylist()
    with store.Writer(tmp_path / "part", FIXED) as writer:
        writer.append(rows[0])
    with pytest.raises(StoreError, match="not finished; finish it with certify --resume"):
        recertify_results(tmp_path / "part", tmp_path / "out")

    def nothing(rng: np.random.Generator, index: int, n: int) -> scored.Scores:
        return np.empty(0, np.float32)

    failed = make(tmp_path / "failed", FIXED, nothing)
    with pytest.raises(StoreError, match="holds no counted scores: every input has failed"):
        recertify_results(failed, tmp_path / "out")
    changed(run, lambda rows: rows[5].update(sketch=b"no counts"))
    with pytest.raises(StoreError, match="sketches of the results are damaged"):
        recertify_results(run, tmp_path / "out")
    assert not (tmp_path / "out" / "results.parquet").exists()


def test_an_interruption_leaves_no_half_file(run: Path, tmp_path: Path) -> None:
    def stop(count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recertify_results(run, tmp_path / "out", advance=stop)
    assert not list((tmp_path / "out").iterdir())
    recertify_results(run, tmp_path / "out")
    assert store.load(tmp_path / "out").complete


def test_the_command_prints_the_certified_accuracy(run: Path, tmp_path: Path) -> None:
    words = ["recertify", str(run), "--radii", "0,0.1", "--thresholds", "0.7", "--band", "dkw"]
    done = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "score above 0.7 within R" in done.stdout
    assert "each further choice is a family of its own" in done.stderr
    adaptive = make(tmp_path / "adaptive", DECIDE)
    words = ["recertify", str(adaptive), "--band", "dkw", "--out", str(tmp_path / "other")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    assert "the scores decided when drawing stopped" in done.stderr
