"""`smoothbound train`: the checkpoint that it writes, stopped runs, and what it refuses."""

from __future__ import annotations

import dataclasses
import importlib
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from PIL import Image
from trained import few, quick, weights, write_imagenet
from typer.testing import CliRunner

from smoothbound.cli._app import app
from smoothbound.cli._commands.train import train as command
from smoothbound.data._loading import load
from smoothbound.errors import SmoothboundError
from smoothbound.models import checkpoint
from smoothbound.models.architectures import ARCHITECTURES
from smoothbound.train._recipes import (
    RECIPES,
    best_precision,
)

pytestmark = pytest.mark.usefixtures("one_thread")

APP = typer.Typer()
APP.command()(command)


def run(out: Path, *extra: str, data: str = "digits", arch: str = "digits_cnn") -> Any:
    arguments = ["--data", data, "--arch", arch, "--sigma", "0.25", "--out", str(out)]
    return CliRunner().invoke(APP, [*arguments, "--device", "cpu", *extra])


def test_imagenet_trains_by_the_command(tmp_path: Path) -> None:
    where = {"data": write_imagenet(tmp_path / "imagenet", 3), "arch": "resnet50"}
    result = run(tmp_path / "a.pt", "--epochs", "1", "--batch-size", "3", **where)
    assert result.exit_code == 0, result.output
    assert "imagenet (train) has 3 images here, and 1281167 as published" in result.output
    assert checkpoint.load(tmp_path / "a.pt")[1].num_classes == 1000


def write_cifar(folder: Path, monkeypatch: pytest.MonkeyPatch, rows: int = 4) -> str:
    """Write CIFAR-10 in its binary layout, with so many images in each of the files."""
    monkeypatch.setattr(importlib.import_module("smoothbound.data._cifar10"), "_ROWS", rows)
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        pixels = rng.integers(0, 256, (rows, 3072), dtype=np.uint8)
        labels = rng.integers(0, 10, (rows, 1), dtype=np.uint8)
        np.hstack([labels, pixels]).tofile(folder / f"{name}.bin")
    return f"cifar10:{folder}"


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_binary_layout_of_cifar_trains_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: str
) -> None:
    data = write_cifar(tmp_path / "cifar-10-batches-bin", monkeypatch)
    where = {"data": data, "arch": "cifar_resnet20"}
    options = ("--recipe", recipe, "--epochs", "2", "--batch-size", "8", "--lr", "0.01")
    result = run(tmp_path / "a.pt", *options, **where)
    assert result.exit_code == 0, result.output
    assert "cifar10 (train) has 20 images here, and 50000 as published" in result.output
    assert "data: cifar10 (train): 20 images of 3 x 32 x 32, 10 classes" in result.output
    assert "data: cifar10 (test): 4 images of 3 x 32 x 32, 10 classes" in result.output
    assert "accuracy under noise on the 4 test images" in result.output
    assert run(tmp_path / "a.pt", *options, "--resume", **where).exit_code == 0
    assert checkpoint.load(tmp_path / "a.pt")[1].epoch == 2


def test_the_command_writes_a_checkpoint_that_says_how_it_was_made(tmp_path: Path) -> None:
    out = tmp_path / "new" / "a.pt"
    result = run(out, "--epochs", "2", "--seed", "7", "--batch-size", "64", "--lr", "0.05")
    assert result.exit_code == 0, result.output
    assert "epoch 2: loss" in result.output
    assert "accuracy under noise on the 297 test images: " in result.output
    model, info = checkpoint.load(out)
    assert (info.arch, info.epoch) == ("digits_cnn", 2)
    assert info.training == {
        "data": "digits",
        "sigma": 0.25,
        "recipe": "fast",
        "epochs": 2,
        "batch_size": 64,
        "lr": 0.05,
        "precision": best_precision("fast", torch.device("cpu")),
        "threads": 1,
        "max_images": None,
        "seed": 7,
        "device": "cpu",
    }
    same = quick(load("digits", "train"), epochs=2, seed=7, batch_size=64, lr=0.05)
    assert torch.equal(weights(model), weights(same))
    assert sorted(entry.name for entry in out.parent.iterdir()) == ["a.pt", "a.pt.tsv"]
    head, *rows = (out.parent / "a.pt.tsv").read_text().splitlines()
    assert head.split("\t") == ["epoch", "loss", "accuracy", "lr", "seconds"]
    assert [row.split("\t")[0] for row in rows] == ["1", "2"]
    assert [row["epoch"] for row in info.history] == [1, 2]


def test_a_run_that_was_killed_goes_on_to_the_same_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, cut = tmp_path / "whole.pt", tmp_path / "cut.pt"
    assert run(whole, "--epochs", "4").exit_code == 0
    saved = checkpoint.save

    def save(path: Path, *arguments: Any, **options: Any) -> None:
        if options["epoch"] == 3:
            raise KeyboardInterrupt
        saved(path, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", save)
        assert run(cut, "--epochs", "4").exit_code != 0
    result = run(cut, "--epochs", "4", "--resume")
    assert result.exit_code == 0, result.output
    assert "epoch 3:" in result.output
    assert "epoch 2:" not in result.output
    (one, first), (other, second) = (checkpoint.load(path) for path in (whole, cut))
    assert torch.equal(weights(one), weights(other))
    for name in ("loss", "accuracy", "lr"):
        assert [row[name] for row in first.history] == [row[name] for row in second.history]
    assert run(cut, "--epochs", "4", "--resume").exit_code == 0  # nothing is left to do
    assert checkpoint.load(cut)[1].sha256 == second.sha256


def test_a_run_goes_on_with_the_threads_that_it_began_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "a.pt"
    assert run(out, "--epochs", "1", "--threads", "2").exit_code == 0
    assert checkpoint.load(out)[1].training["threads"] == 2
    assert run(out, "--epochs", "1", "--resume").exit_code == 0
    result = run(out, "--epochs", "1", "--threads", "1", "--resume")
    assert "was trained with threads 2, not 1" in str(result.exception)


def test_some_of_the_images_are_drawn_by_the_seed(tmp_path: Path) -> None:
    options = ("--epochs", "1", "--max-images", "100")
    first, again, other = (tmp_path / name for name in ("a.pt", "b.pt", "c.pt"))
    for out, seed in ((first, "1"), (again, "1"), (other, "2")):
        assert run(out, *options, "--seed", seed).exit_code == 0
    one, two = (checkpoint.load(path)[1] for path in (first, again))
    assert one.history[0]["loss"] == two.history[0]["loss"]
    assert one.training["max_images"] == 100
    result = run(first, "--epochs", "1", "--seed", "1", "--resume")
    assert "was trained with max_images 100, not None" in str(result.exception)


def test_a_run_stopped_by_a_person_says_what_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = checkpoint.save
    stops: list[int] = []

    def save(path: Path, *arguments: Any, **options: Any) -> None:
        if options["epoch"] == stops[-1]:
            raise KeyboardInterrupt
        saved(path, *arguments, **options)

    monkeypatch.setattr(checkpoint, "save", save)
    out, words = tmp_path / "a.pt", ["train", "--data", "digits", "--arch", "digits_cnn"]
    words += ["--sigma", "0.25", "--epochs", "4", "--out", str(out), "--resume"]
    kept = f"kept in {out}; go on with --resume"
    for stop, told in ((1, "0 of 4 epochs are finished, so nothing is"), (3, "2 of 4"), (4, kept)):
        stops.append(stop)
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 130
        assert told in result.output
    assert checkpoint.load(out)[1].epoch == 3


def test_another_run_is_not_gone_on_with(tmp_path: Path) -> None:
    out = tmp_path / "a.pt"
    assert run(out, "--epochs", "1", "--resume").exit_code == 0  # there is none: it starts one
    before = out.read_bytes()
    result = run(out, "--epochs", "2", "--lr", "0.01", "--resume")
    assert isinstance(result.exception, SmoothboundError)
    assert "was trained with epochs 1, not 2; lr 0.1, not 0.01" in str(result.exception)
    assert out.read_bytes() == before


def test_a_killed_run_leaves_its_last_finished_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = checkpoint.save

    def save(path: Path, *arguments: Any, **options: Any) -> None:
        if options["epoch"] == 2:
            raise KeyboardInterrupt
        saved(path, *arguments, **options)

    monkeypatch.setattr(checkpoint, "save", save)
    out = tmp_path / "a.pt"
    assert run(out, "--epochs", "3").exit_code != 0
    assert checkpoint.load(out)[1].epoch == 1


def test_an_old_checkpoint_is_not_replaced(tmp_path: Path) -> None:
    out = tmp_path / "a.pt"
    out.write_text("precious")
    result = run(out)
    assert isinstance(result.exception, SmoothboundError)
    assert "delete it, choose another --out, or go on" in str(result.exception)
    assert out.read_text() == "precious"


def test_a_table_that_is_there_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.pt.tsv").write_text("precious")
    result = run(tmp_path / "a.pt", "--epochs", "1")
    assert isinstance(result.exception, SmoothboundError)
    assert "a.pt.tsv exists; delete it, or choose another --out" in str(result.exception)
    assert (tmp_path / "a.pt.tsv").read_text() == "precious"


def test_a_place_that_cannot_be_written_is_told_before_training(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = run(tmp_path / "file" / "a.pt")
    assert isinstance(result.exception, SmoothboundError)
    assert "cannot write checkpoint" in str(result.exception)


def save_images(folder: Path, names: list[str], side: int) -> None:
    for name in names:
        place = folder / name
        place.mkdir(parents=True)
        Image.fromarray(np.zeros((side, side), np.uint8)).save(place / "0.png")


def test_a_test_that_the_network_cannot_be_tried_on_is_told_before_training(
    tmp_path: Path,
) -> None:
    save_images(tmp_path / "train", ["a", "b"], 8)
    save_images(tmp_path / "test", ["a", "b"], 9)
    result = run(tmp_path / "a.pt", data=f"images:{tmp_path}")
    assert isinstance(result.exception, SmoothboundError)
    assert "train has shape (1, 8, 8), and test has (1, 9, 9)" in str(result.exception)


def test_an_image_of_another_size_is_told_before_training(tmp_path: Path) -> None:
    for split in ("train", "test"):
        save_images(tmp_path / split, ["a", "b"], 8)
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "test" / "b" / "1.png")
    result = run(tmp_path / "a.pt", data=f"images:{tmp_path}")
    assert "1.png: needs a JPEG or PNG of 8 x 8 L, got 9 x 9 L" in str(result.exception)
    assert not (tmp_path / "a.pt").exists()


def test_data_without_a_test_say_what_the_accuracy_is_of(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=few().images, labels=few().labels)
    result = run(tmp_path / "a.pt", "--epochs", "1", data=f"npz:{tmp_path / 'a.npz'}")
    assert "on the 40 images, which it was trained on: " in result.output
    assert result.output.count("data: npz:") == 1


def test_the_command_that_the_demo_prints_makes_the_demos_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    demo = importlib.import_module("smoothbound.cli._commands.demo")
    monkeypatch.setattr(demo, "certify", lambda **_: None)
    monkeypatch.setattr(demo, "report", lambda **_: None)
    monkeypatch.setitem(RECIPES, "fast", dataclasses.replace(RECIPES["fast"], epochs=1))
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(2)
    printed = CliRunner().invoke(app, ["demo", "--out", "demo"])
    assert printed.exit_code == 0, printed.output
    (line,) = (line for line in printed.output.splitlines() if "smoothbound train" in line)
    words = shlex.split(line.removeprefix("$ smoothbound ").replace("demo/training.pt", "b.pt"))
    assert CliRunner().invoke(app, words).exit_code == 0
    torch.set_num_threads(1)
    (one, first), (two, second) = (checkpoint.load(path) for path in ("demo/model.pt", "b.pt"))
    assert torch.equal(weights(one), weights(two))
    assert first.training == second.training


def test_the_held_out_split_is_looked_for_before_training(tmp_path: Path) -> None:
    result = run(tmp_path / "a.pt", data=f"cifar10:{tmp_path}", arch="cifar_resnet20")
    assert isinstance(result.exception, SmoothboundError)
    assert not (tmp_path / "a.pt").exists()


def test_the_help_names_every_architecture() -> None:
    text = CliRunner().invoke(APP, ["--help"], env={"COLUMNS": "300"}).output
    assert all(arch in text for arch in ARCHITECTURES)
