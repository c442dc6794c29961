"""A run of certify is killed, starved and taken up again; its result is the same."""

from __future__ import annotations

import signal
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
from forks import run_command
from stopped_runs import certify_words, contents, fill_the_disk, kill_after, stopped_after
from typer.testing import CliRunner, Result

from smoothbound import store
from smoothbound.cli._app import app
from smoothbound.data._loading import load
from smoothbound.errors import StoreError
from smoothbound.models import checkpoint
from smoothbound.sampling._model.running_model import RunningModel
from smoothbound.smoothing import _run as runs
from smoothbound.smoothing._classifier import SmoothedClassifier

pytestmark = pytest.mark.usefixtures("one_thread")

OPTIONS: dict[str, Any] = {
    "sigma": 0.25,
    "skip": 30,
    "n": 3000,
    "n0": 10,
    "batch-size": 500,
}


def command(model: Path, out: Path, *flags: str, **changes: Any) -> list[str]:
    return certify_words(model, *flags, **OPTIONS | changes, out=out)


def run(*args: Any, **changes: Any) -> Result:
    return CliRunner().invoke(app, command(*args, **changes))


def finished(folder: Path) -> int:
    try:
        return len(store.load(folder).table)
    except StoreError:
        return 0


@pytest.fixture(scope="module")
def model(digits_network: Path) -> Path:
    return digits_network


@pytest.fixture(scope="module")
def uninterrupted(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "results"
    result = run(model, out)
    assert result.exit_code == 0, result.output
    assert finished(out) == 10
    return out


def test_a_run_killed_twice_gives_the_same_result(
    model: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    out = tmp_path / "results"
    for kept in (2, 4):
        process = run_command(command(model, out, "--resume"), partial(kill_after, 2))
        assert process.returncode == -signal.SIGKILL, process.stderr
        assert finished(out) == kept
        assert not store.load(out).complete
    result = run(model, out, "--resume")
    assert result.exit_code == 0, result.output
    assert contents(out) == contents(uninterrupted)


def test_a_run_stopped_at_the_keyboard_says_how_to_go_on(
    model: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    out = tmp_path / "results"
    with stopped_after(3):
        result = run(model, out)
    assert result.exit_code == 130
    assert "3 of 10 inputs are finished and kept" in result.output
    assert "--resume" in result.output
    assert run(model, out, "--resume").exit_code == 0
    assert contents(out) == contents(uninterrupted)


def test_a_full_disk_loses_nothing(model: Path, uninterrupted: Path, tmp_path: Path) -> None:
    out = tmp_path / "results"
    process = run_command(command(model, out), partial(fill_the_disk, 20 * 1024))
    assert process.returncode == 2, process.stderr
    assert "Traceback" not in process.stderr
    kept = finished(out)
    assert 0 < kept < 10
    assert f"The {kept} finished inputs of 10 are kept" in process.stderr
    assert run(model, out, "--resume").exit_code == 0
    assert contents(out) == contents(uninterrupted)


def test_a_truncated_journal_is_taken_up(
    model: Path, uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "results"
    with monkeypatch.context() as patch:
        patch.setattr(store.Writer, "finish", lambda self: sys.exit("killed"))
        run(model, out)
    journal = out / "journal.bin"
    journal.write_bytes(journal.read_bytes()[:-100])
    assert finished(out) == 9
    result = run(model, out, "--resume")
    assert result.exit_code == 0, result.output
    assert contents(out) == contents(uninterrupted)


def test_an_existing_result_is_kept(model: Path, uninterrupted: Path) -> None:
    before = (uninterrupted / "results.parquet").read_bytes()
    result = run(model, uninterrupted)
    assert result.exit_code == 2
    assert "go on with --resume" in result.output
    again = run(model, uninterrupted, "--resume")
    assert again.exit_code == 0
    assert "Certified accuracy, % of 10 inputs" in again.output
    assert (uninterrupted / "results.parquet").read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sigma": 0.5}, "sigma: was 0.25, now 0.5"),
        ({"n": 4000}, "n: was 3000, now 4000"),
        ({"n0": 11}, "n0: was 10, now 11"),
        ({"alpha": 0.01}, "alpha: was 0.001, now 0.01"),
        ({"seed": 1}, "seed: was 0, now 1"),
        ({"measure": "margin"}, "measure: was 'score', now 'margin'"),
        ({"skip": 31}, "skip: was 30, now 31"),
        ({"max-inputs": 5}, "--max-inputs: was None, now 5"),
        ({"batch-size": 100}, "--batch-size: was 500, now 100"),
        ({"noise": "gaussian"}, "noise kind: was 'lattice', now 'gaussian'"),
        ({"precision": "bfloat16"}, "precision: was 'float32', now 'bfloat16'"),
        ({"radii": "0,1"}, "radii: was (0.0, 0.0625"),
        ({"thresholds": "0.6"}, "thresholds: was (0.5,), now (0.6,)"),
        ({"bound": "mean"}, "methods: was ("),
        ({"n-bins": 100}, "methods: was ("),
        ({"cutoff": 0.6}, "cutoff: was 0.5, now 0.6"),
        ({"split": "train"}, "split: was 'test', now 'train'"),
    ],
)
def test_other_settings_are_refused_by_name(
    model: Path, uninterrupted: Path, changes: dict[str, Any], said: str
) -> None:
    result = run(model, uninterrupted, "--resume", **changes)
    assert result.exit_code == 2
    assert "cannot resume" in result.output
    assert said in result.output
    assert store.load(uninterrupted).complete


def test_an_automatic_batch_size_stays_what_it_was(model: Path, uninterrupted: Path) -> None:
    again = run(model, uninterrupted, "--resume", **{"batch-size": "auto"})
    assert again.exit_code == 0, again.output
    assert store.load(uninterrupted).settings.batch_size == 500


def test_other_channels_are_refused(model: Path, uninterrupted: Path) -> None:
    result = run(model, uninterrupted, "--resume", "--channels-last")
    assert result.exit_code == 2
    assert "--channels-last: was False, now True" in result.output


def test_a_measured_memory_format_stays_what_it_was(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, whole = tmp_path / "results", tmp_path / "whole"
    words = [word for word in command(model, out) if word != "--no-channels-last"]
    with monkeypatch.context() as patch, stopped_after(3):
        patch.setattr(RunningModel, "_prefers_channels_last", lambda *_: True)
        assert CliRunner().invoke(app, words).exit_code == 130

    def never(*_: object) -> bool:
        raise AssertionError("measured again")

    monkeypatch.setattr(RunningModel, "_prefers_channels_last", never)
    result = CliRunner().invoke(app, [*words, "--resume"])
    assert result.exit_code == 0, result.output
    assert store.load(out).settings.channels_last is True
    assert run(model, whole, "--channels-last").exit_code == 0
    assert contents(out) == contents(whole)


def test_a_run_goes_on_from_python_as_it_was_begun(model: Path, tmp_path: Path) -> None:
    words = {"batch-size": 48, "threads": 2, "n": 100}
    out, whole = tmp_path / "results", tmp_path / "whole"
    with stopped_after(3):
        assert run(model, out, "--channels-last", **words).exit_code == 130
    before = store.load(out).settings
    network, _ = checkpoint.load(model)
    smoothed = SmoothedClassifier(network, before.sigma)  # all of it to be chosen
    dataset = load(before.data, before.split)
    settings = replace(before, batch_size=7, channels_last=False, threads=1)
    results = runs.run(out, settings, smoothed, dataset, resume=True)
    assert results.complete
    assert results.settings == before
    running = smoothed.sampler.model
    assert (running.batch_size, running.channels_last, running.threads) == ("auto", "auto", None)
    assert run(model, whole, "--channels-last", **words).exit_code == 0
    assert contents(out) == contents(whole)
    other = SmoothedClassifier(network, before.sigma, threads=1)
    with pytest.raises(StoreError, match="threads: was 2, now 1"):
        runs.run(out, settings, other, dataset, resume=True)


def test_another_network_is_refused(model: Path, uninterrupted: Path, tmp_path: Path) -> None:
    other = tmp_path / "model.pt"
    options = ["--data", "digits", "--arch", "digits_cnn", "--sigma", "0.25", "--epochs", "1"]
    CliRunner().invoke(app, ["train", *options, "--out", str(other)])
    result = run(other, uninterrupted, "--resume")
    assert result.exit_code == 2
    assert "checkpoint_sha256: was" in result.output
    assert "arch" not in result.output


def test_a_checkpoint_with_one_flipped_bit_is_refused(model: Path, tmp_path: Path) -> None:
    """Safetensors has no checksum, so that the file loads as another network."""
    weights = tmp_path / "model.safetensors"
    network, _ = checkpoint.load(model)
    safetensors.torch.save_file(network.state_dict(), weights)
    out = tmp_path / "results"
    with stopped_after(1):
        assert run(weights, out, arch="digits_cnn").exit_code == 130
    before = (out / "journal.bin").read_bytes()
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    checkpoint.load(weights, arch="digits_cnn")
    result = run(weights, out, "--resume", arch="digits_cnn")
    assert result.exit_code == 2
    assert "checkpoint_sha256: was" in result.output
    assert (out / "journal.bin").read_bytes() == before


@pytest.mark.parametrize("changed", ["image", "label"])
def test_data_that_were_replaced_are_refused(model: Path, tmp_path: Path, changed: str) -> None:
    images = np.random.default_rng(0).integers(0, 256, (12, 1, 8, 8)).astype(np.uint8)
    labels = np.arange(12) % 10
    path, out = tmp_path / "data.npz", tmp_path / "results"
    np.savez(path, images=images, labels=labels)
    options = {"data": f"npz:{path}", "skip": 1, "n": 100}
    with stopped_after(4):
        assert run(model, out, **options).exit_code == 130
    before = (out / "journal.bin").read_bytes()
    if changed == "image":
        images[2, 0, 0, 0] ^= 1
        images[3:] = 7
    else:
        labels[2] += 1
    np.savez(path, images=images, labels=labels)
    result = run(model, out, "--resume", **options)
    assert result.exit_code == 2
    assert "input 2 of" in result.output
    assert "is not the one that was certified" in result.output
    assert (out / "journal.bin").read_bytes() == before


def test_a_run_goes_on_with_more_inputs(model: Path, uninterrupted: Path, tmp_path: Path) -> None:
    out = tmp_path / "results"
    assert run(model, out, **{"max-inputs": 3}).exit_code == 0
    assert finished(out) == 3
    assert run(model, out, "--resume").exit_code == 0
    assert contents(out) == contents(uninterrupted)


def test_a_damaged_journal_is_salvaged_when_asked(
    model: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    out = tmp_path / "results"
    with stopped_after(5):
        run(model, out)
    journal = out / "journal.bin"
    data = bytearray(journal.read_bytes())
    data[-2000] ^= 1
    journal.write_bytes(data)
    result = run(model, out, "--resume")
    assert result.exit_code == 2
    assert "damaged at byte" in result.output
    assert journal.read_bytes() == data
    assert run(model, out, "--salvage").exit_code == 2  # asks to go on, or is a slip
    assert run(model, out, "--resume", "--salvage").exit_code == 0
    assert (out / "journal.damaged").read_bytes() == data
    (out / "journal.damaged").unlink()
    assert contents(out) == contents(uninterrupted)
