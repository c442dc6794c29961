"""Runs that count all classes: in their folder, resumed, in shards, certified again, and told."""

import numpy as np
import pytest
from stopped_runs import certify_words, stopped_after
from stored import INDICES, SETTINGS, row, write
from typer.testing import CliRunner

from smoothbound import store
from smoothbound.analysis import calibration
from smoothbound.analysis.reading import evaluate
from smoothbound.classes._rows import ClassRows
from smoothbound.cli._app import app
from smoothbound.errors import StoreError
from smoothbound.report._sections.classes import calibration_of_classes
from smoothbound.store._commands import certify_command
from smoothbound.store._settings import RunSettings
from smoothbound.verify import verify_results

pytestmark = pytest.mark.usefixtures("one_thread")

OPTIONS = {"sigma": 0.25, "skip": 60, "n": 400, "n0": 10, "batch-size": 100}


def words(model, out, *flags, classes="all"):
    return certify_words(model, *flags, **OPTIONS, classes=classes, out=out)


def run(*arguments, code=0, **options):
    done = CliRunner().invoke(app, words(*arguments, **options))
    assert done.exit_code == code, done.output
    return done.output


@pytest.fixture(scope="module")
def whole(digits_network, tmp_path_factory):
    out = tmp_path_factory.mktemp("classes") / "results"
    run(digits_network, out)
    return out


def test_a_run_keeps_the_counts_of_all_classes(whole):
    results = store.load(whole)
    sketch = results.class_sketch()
    assert sketch.is_complete
    assert sketch.n_classes == 10
    assert sketch.sigma == 0.25
    assert sketch.index.tolist() == results.array("index").tolist()
    rows = np.arange(len(results))
    assert np.array_equal(sketch.votes[rows, results.array("selected")], results.array("top_count"))
    assert "class_counts" not in results.to_pandas().columns
    with store.open_folder(whole) as stored:
        assert stored.class_sketch() == sketch
        assert stored.class_sketch([0, 120]) == sketch.select([0, 120])
        with pytest.raises(StoreError, match="input 1 "):
            stored.class_sketch([1])


def test_a_run_that_was_stopped_has_the_same_counts(whole, digits_network, tmp_path):
    with stopped_after(2):
        CliRunner().invoke(app, words(digits_network, tmp_path / "r"))
    assert not store.load(tmp_path / "r").complete
    run(digits_network, tmp_path / "r", "--resume")
    assert store.load(tmp_path / "r").class_sketch() == store.load(whole).class_sketch()


def test_shards_have_the_same_counts(whole, digits_network, tmp_path):
    for shard in ("1/2", "0/2"):
        run(digits_network, tmp_path / "r", "--shard", shard)
    assert store.load(tmp_path / "r").class_sketch() == store.load(whole).class_sketch()
    merge(tmp_path / "r", out=tmp_path / "merged")
    assert store.load(tmp_path / "merged").class_sketch() == store.load(whole).class_sketch()


def merge(*folders, out, code=0):
    done = CliRunner().invoke(app, ["merge", *map(str, folders), "--out", str(out)])
    assert done.exit_code == code, done.output
    return " ".join(done.output.split())


def test_merged_runs_have_the_counts_of_each(whole, digits_network, tmp_path):
    def part(name, indices, classes="all"):
        options = OPTIONS | {"skip": None, "indices": indices}
        done = CliRunner().invoke(
            app,
            certify_words(digits_network, **options, classes=classes, out=tmp_path / name),
        )
        assert done.exit_code == 0, done.output
        return tmp_path / name

    first, rest = part("a", "0,60"), part("b", "60,120,180,240")
    merge(first, rest, out=tmp_path / "merged")
    assert store.load(tmp_path / "merged").class_sketch() == store.load(whole).class_sketch()
    said = merge(first, part("c", "120", "0,3"), out=tmp_path / "other", code=2)
    assert "classes: was 'all', now (0, 3)" in said
    assert not (tmp_path / "other").exists()


def test_other_classes_are_other_settings(whole, digits_network):
    said = run(digits_network, whole, "--resume", classes="0,3", code=2)
    assert "classes: was 'all', now (0, 3)" in " ".join(said.split())


def test_some_classes(whole, digits_network, tmp_path):
    run(digits_network, tmp_path / "r", classes="3,0")
    results, every = store.load(tmp_path / "r"), store.load(whole).class_sketch()
    sketch = results.class_sketch()
    assert sketch.classes.tolist() == [3, 0]
    assert np.array_equal(sketch.at_least(0.5), every.at_least(0.5)[:, [3, 0]])
    assert "--classes=3,0" in certify_command(results.settings, "out")
    assert RunSettings.from_json(results.settings.to_json()) == results.settings


def test_counts_are_kept_when_a_folder_is_certified_again(whole, tmp_path):
    done = CliRunner().invoke(
        app, ["recertify", str(whole), "--radii", "0,0.1", "--out", str(tmp_path / "again")]
    )
    assert done.exit_code == 0, done.output
    again = store.load(tmp_path / "again")
    assert again.class_sketch() == store.load(whole).class_sketch()


@pytest.mark.parametrize(
    ("flags", "classes", "message"),
    [
        ((), "0,10", "classes must be among the 10 classes of the model, 0 to 9, got 10"),
        ((), "1,1", "--classes must be all, or numbers of classes, each once"),
        ((), "a", "--classes must be all, or numbers of classes"),
        (
            ("--adaptive", "--radii", "0", "--thresholds", "0.5"),
            "all",
            "--classes must be left out with --adaptive: the scores decide",
        ),
    ],
)
def test_wrong_words_are_refused(digits_network, tmp_path, flags, classes, message):
    said = run(digits_network, tmp_path / "r", *flags, classes=classes, code=2)
    assert message in " ".join(said.split())
    assert not (tmp_path / "r" / "results.parquet").exists()


def test_the_counts_of_a_run_are_verified(whole, digits_network, tmp_path):
    found = verify_results(whole)
    assert found.holds, found.findings
    assert found.tallies["class_counts"].proved == len(store.load(whole))
    run(digits_network, tmp_path / "r", "--measure", "margin", classes="3,0")
    assert verify_results(tmp_path / "r").holds


def test_a_report_has_the_calibration_of_each_class(whole, digits_network, tmp_path):
    with store.open_folder(whole) as stored:
        figure = calibration_of_classes(evaluate(stored, "digits"))
    results = store.load(whole)
    sketch, labels = results.class_sketch(), results.array("label")
    radii = [float(row["radius"]) for row in figure.rows[: len(figure.rows) // 10]]
    bounds = sketch.certify(radii=radii, alpha=0.001 / len(labels))
    each = calibration.each_class(bounds.lower, bounds.upper, bounds.columns(labels))
    for k in range(10):
        for r, radius in enumerate(radii):
            row = figure.rows[k * len(radii) + r]
            assert (row["class"], row["radius"], row["inputs"]) == (k, radius, len(labels))
            assert row["ece_upper"] == each.ece_upper[k, r]
            assert row["brier_lower"] == each.brier_lower[k, r]
    assert "Calibration of all classes under attack" in figure.caption
    run(digits_network, tmp_path / "some", classes="3,0")
    some = calibration_of_classes(evaluate(store.load(tmp_path / "some"), "some"))
    assert {row["class"] for row in some.rows} == {3, 0}
    assert "2 of the 10 classes" in some.caption


def test_a_report_says_why_it_has_no_calibration_of_each_class(tmp_path):
    write(tmp_path / "a", INDICES).finish()
    reason = calibration_of_classes(evaluate(store.load(tmp_path / "a"), "a"))
    assert reason == "calibration of each class (certify --classes all)"


# --- folders that contradict themselves --------------------------------------------------------


def with_classes(folder, packed):
    settings = RunSettings.from_json(
        SETTINGS.to_json().replace('"classes": null', '"classes": "all"')
    )
    with store.Writer(folder, settings) as writer:
        for index in INDICES:
            writer.append(row(index, class_counts=packed))
        writer.finish()
    return store.load(folder)


def test_counts_that_contradict_the_draws_are_refused(tmp_path):
    table = np.zeros((3, 2074), np.int64)
    table[:, 1] = 1000
    table[0, -1] = 1000
    assert with_classes(tmp_path / "a", ClassRows.of_table(table).pack()).class_sketch()
    table[0, -1] = 999
    for name, packed, message in (
        ("b", ClassRows.of_table(table).pack(), "the votes of input 0 do not add up"),
        ("c", ClassRows.of_table(table[:, :-1]).pack(), "the votes of input 0 do not add up"),
        ("d", b"12345678", r"."),
        # Nothing is made of the size that they claim.
        ("e", ClassRows.of_table(table, 2**32 - 1).pack(), "a model has at most 16777216 classes"),
        ("f", ClassRows.of_table(table, 2**24).pack(), "they are of 3 classes and not of 16777216"),
    ):
        with pytest.raises(StoreError, match=message):
            with_classes(tmp_path / name, packed).class_sketch()


def test_folders_without_counts_say_so(tmp_path):
    write(tmp_path / "a", INDICES).finish()
    results = store.load(tmp_path / "a")
    assert results.settings.classes is None
    with pytest.raises(StoreError, match="certify with classes"):
        results.class_sketch()
