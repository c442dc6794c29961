"""Errors name options and their values as they were typed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from command_line import fails, smoothbound

import smoothbound as sb
from smoothbound import store
from smoothbound.scores import _files as score_files


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--model", "nets"], "--model must be one of digits_cnn, .*file.*module:factory.*'nets'"),
        (["--arch", "nets"], "--arch must be one of digits_cnn, .*got 'nets'"),
        (["--model", "digits_cnn"], "--checkpoint FILE.*--model package.module:factory"),
        ([], "--checkpoint FILE.*--model package.module:factory"),
        (["--model", __file__], "is a file: give it as --checkpoint"),
        (["--model", "nets:"], "--model must be package.module:factory, got 'nets:'"),
        (
            ["--adaptive", "--budget-draws=0", "--radii=0"],
            "--budget-draws must be at least 1, got 0",
        ),
        (["--adaptive", "--budget-seconds=0", "--radii=0"], "--budget-seconds must be positive"),
    ],
)
def test_errors_name_options_as_they_were_typed(
    tmp_path: Path, options: list[str], said: str
) -> None:
    common = ("--data", "digits", "--sigma", 0.25, "--out", tmp_path / "out")
    last = fails("certify", *common, *options).splitlines()[-1]
    assert re.search(f"error: .*{said}", last), last


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--radii", "-1"], "--radii must be finite and >= 0"),
        (["--adaptive", "--radius-precision=-1"], "--radius-precision must be positive"),
        (["--outputs", "probabilities"], "State --outputs logits if they are logits"),
        (["--max-inputs=0"], "--max-inputs must be at least 1, got 0"),
        (["--n-bins", "0", "--bound", "cdf"], "--n-bins must be at least 1"),
        (["--sigma", "1e-6"], "--sigma must be from .* to .* for inputs on the grid 1/16"),
    ],
)
def test_errors_about_a_model_name_options_too(
    model: Path, tmp_path: Path, options: list[str], said: str
) -> None:
    common = ("--checkpoint", model, "--data", "digits", "--sigma", 0.25, "--n", 200)
    last = fails("certify", *common, "--out", tmp_path / "out", *options).splitlines()[-1]
    assert re.search(f"error: .*{said}", last), last
    assert "leave grid out" not in last


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--index", "70"], "error: --index must be that of an input: b has no input 70"),
        (["--index=-1"], "error: --index must be at least 0, got -1"),
        (["--index=0", "--example=0"], "--example is now called --index: give one of the two"),
        (["--thresholds", "0.5,2"], "b: --thresholds must .*, got --thresholds[1] = 2"),
        (["--radii", "0.3"], "error: --radii: b has no bound at 0.3"),
        (["--radii", "0,nan"], "error: --radii"),
    ],
)
def test_errors_of_a_report_name_options_as_they_were_typed(
    scores: Path, options: list[str], said: str
) -> None:
    results, out = scores.with_name("b.parquet"), scores.with_name("report")
    made = smoothbound("bounds", scores, "--sigma", 0.25, "--radii", "0,1", "--out", results)
    assert made.exit_code == 0, made.output
    last = fails("report", results, "--out", out, *options).splitlines()[-1]
    words = map(re.escape, said.split(".*"))
    assert re.search(".*".join(words), last), last
    assert not out.exists()


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--sigma=-1", "--sigma must be positive"),
        ("--lr=0", "--lr must be positive"),
        ("--batch-size=0", "--batch-size must be at least 1"),
        ("--epochs=0", "--epochs must be at least 1"),
        ("--seed=-1", "--seed must be"),
        ("--arch=net", "--arch must be one of 'digits_cnn'"),
        ("--recipe=slow", "--recipe must be one of"),
        ("--precision=float8", "--precision must be one of"),
        ("--threads=0", "--threads must be"),
        ("--max-images=0", "--max-images must be at least 1"),
    ],
)
def test_train_checks_its_options_before_it_reads_data(
    tmp_path: Path, option: str, said: str
) -> None:
    common = ("--data", "npz:missing", "--arch=digits_cnn", "--sigma=1")
    out = tmp_path / "model.pt"
    assert f"error: {said}" in fails("train", *common, "--out", out, option)
    assert not list(tmp_path.iterdir())


def test_errors_of_bounds_name_one_of_several_numbers_as_typed(scores: Path) -> None:
    out = scores.with_name("b.parquet")
    last = fails("bounds", scores, "--sigma", 0.25, "--out", out, "--thresholds", "0.5,7")
    assert last.endswith("got --thresholds[1] = 7.0\n")


@pytest.mark.parametrize(
    ("words", "joined"),
    [
        (["bounds", "s.npy", "--thresholds", "0.5", "0.7", "--sigma=1"], "--thresholds 0.5,0.7"),
        (["certify", "--data", "digits", "--indices=0", "40", "80"], "--indices 0,40,80"),
        (["recertify", "in", "--radii", "0", "0.1", "--out", "again"], "--radii 0,0.1"),
        (["export", "in", "--format", "csv", "--thresholds", "-.5", ".9"], "--thresholds -.5,.9"),
    ],
)
def test_numbers_of_an_option_are_joined_by_commas(words: list[str], joined: str) -> None:
    assert f"separated by commas, without blanks: {joined}; got" in fails(*words)


def test_a_folder_named_by_a_number_is_an_argument(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("0.25").mkdir()
    words = ["recertify", "--radii", "0.1", "0.25", "--out", "again"]
    assert "0.25 holds no results" in fails(*words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["certify", "--data", "digits", "--sigma=1", "--out", ""], "--out must not be empty"),
        (["train", "--data", "digits", "--sigma=1", "--arch=x", "--out="], "--out must not be"),
        (["certify", "--checkpoint=", "--data", "digits"], "--checkpoint must not be empty"),
        (["bounds", "", "--sigma=1", "--out", "b.csv"], "an argument must not be empty"),
        (["bounds", "s.npy", "--sigma=1", "--out", ""], "--out must not be empty"),
        (["report", "in", "--compare", "", "--out", "b"], "an argument must not be empty"),
        (["report", "in", "--class-radius", "", "--out", "b"], "--class-radius must not be empty"),
        (["recommend", "in", "--checkpoint", ""], "--checkpoint must not be empty"),
        (["demo", "--out", ""], "--out must not be empty"),
    ],
)
def test_an_empty_path_is_not_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert said in fails(*words)
    assert not list(tmp_path.iterdir())


def test_an_empty_path_is_refused_in_python_too(tmp_path: Path) -> None:
    for function in (store.load, score_files.open_scores, sb.Certificate.load):
        with pytest.raises(ValueError, match="must not be empty"):
            function("")
