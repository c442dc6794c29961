"""Training under noise: repeatable, good enough to certify, and told as it goes."""

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
from typer.testing import CliRunner

from smoothbound.cli._app import app
from smoothbound.cli._commands.train import train as command
from smoothbound.data._loading import Dataset, load
from smoothbound.errors import DataError, ModelError, SmoothboundError
from smoothbound.models import checkpoint
from smoothbound.models.architectures import ARCHITECTURES
from smoothbound.train._accuracy import accuracy_under_noise
from smoothbound.train._batches import batches, noisy, shifted_and_mirrored, some
from smoothbound.train._loop import Epoch, steps_per_epoch, train
from smoothbound.train._recipes import (
    RECIPES,
    _multiplications,
    _one_cycle,
    best_device,
    best_precision,
    best_threads,
)

pytestmark = pytest.mark.usefixtures("one_thread")


def few(count: int = 40) -> Dataset:
    digits = load("digits", "train")
    return dataclasses.replace(
        digits,
        images=np.stack([digits.images[i] for i in range(count)]),
        labels=digits.labels[:count],
    )


def weights(model: torch.nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def quick(dataset: Dataset, arch: str = "digits_cnn", **options: Any) -> torch.nn.Sequential:
    return train(dataset, arch, **{"sigma": 0.25, "epochs": 1, "device": "cpu"} | options)


# what is learnt ---------------------------------------------------------------------------------


def test_a_few_epochs_give_a_network_that_stands_the_noise() -> None:
    model = quick(load("digits", "train"), epochs=15)
    test = load("digits", "test")
    assert accuracy_under_noise(model, test, sigma=0.25) > 0.8
    assert accuracy_under_noise(model, test, sigma=1e-9) > 0.88


def test_training_with_noise_is_what_makes_it_stand_noise() -> None:
    digits, test = load("digits", "train"), load("digits", "test")
    with_noise, without = (quick(digits, epochs=20, sigma=sigma) for sigma in (0.5, 1e-9))
    difference = accuracy_under_noise(with_noise, test, sigma=0.5) - accuracy_under_noise(
        without, test, sigma=0.5
    )
    assert difference > 0.1


def test_the_noise_has_the_stated_deviation_and_is_fresh() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(50, 1, 20, 20)
    first, second = (noisy(images, 0.5, generator) - images for _ in range(2))
    assert first.std().item() == pytest.approx(0.5, rel=0.02)  # 20 000 values: 4 standard errors
    assert abs(first.mean().item()) < 4 * 0.5 / 20_000**0.5
    assert abs((first * second).mean().item()) < 4 * 0.25 / 20_000**0.5


# repeatable -------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_network_and_another_one_does_not() -> None:
    first, again, other = (weights(quick(few(), seed=seed)) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_callers_random_numbers_are_left_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    quick(few())
    assert torch.equal(torch.rand(3), expected)


def test_the_dataset_is_left_as_it_was() -> None:
    dataset = few()
    before = dataset.tensors()[0].clone()
    quick(dataset)
    assert torch.equal(dataset.tensors()[0], before)


def test_a_small_network_is_the_same_however_many_threads_torch_has() -> None:
    """So that the demo, the command that it prints and the README make one network."""
    networks = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        networks.append(weights(quick(few(300), epochs=2)))
        assert torch.get_num_threads() == threads
    torch.set_num_threads(1)
    assert torch.equal(networks[0], networks[1])
    assert torch.equal(networks[0], networks[2])


def test_threads_are_chosen_by_the_size_of_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    assert [best_threads("digits_cnn", size) for size in (1, 128, 1024)] == [1, 1, 1]
    assert best_threads("cifar_resnet20", 1) == 1
    assert [best_threads(arch, 128) for arch in ("cifar_resnet20", "resnet50")] == [8, 8]


def test_the_work_of_a_network_is_counted() -> None:
    """40.6 and 4089 million multiplications, as is published for the two."""
    assert _multiplications("cifar_resnet20") == pytest.approx(40.6e6, rel=0.02)
    assert _multiplications("resnet50") == pytest.approx(4089e6, rel=0.01)


def test_the_threads_asked_for_are_used_and_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    quick(few(), threads=3, on_step=lambda: seen.append(torch.get_num_threads()))
    assert set(seen) == {3}
    assert torch.get_num_threads() == 1

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quick(few(), threads=3, on_step=stop)
    assert torch.get_num_threads() == 1


# told -------------------------------------------------------------------------------------------


def test_progress_is_told_step_by_step_and_epoch_by_epoch() -> None:
    told: list[str] = []
    epochs: list[Epoch] = []
    model = quick(
        few(40),
        epochs=2,
        batch_size=16,
        on_step=lambda: told.append("step"),
        on_epoch=lambda epoch: (told.append("epoch"), epochs.append(epoch)),
    )
    assert told == ["step", "step", "step", "epoch"] * 2  # 16 + 16 + 8 images
    assert steps_per_epoch(few(40), 16) == 3
    assert [(epoch.number, epoch.epochs) for epoch in epochs] == [(1, 2), (2, 2)]
    assert all(epoch.model is model for epoch in epochs)
    assert all(0 <= epoch.accuracy <= 1 and epoch.loss > 0 for epoch in epochs)
    assert not model.training


def test_loss_and_accuracy_are_means_over_all_images() -> None:
    """With a tiny learning rate every epoch sees the same network, whatever the batches."""
    told: list[Epoch] = []
    for batch_size in (7, 40):
        quick(few(40), sigma=1e-9, lr=1e-12, batch_size=batch_size, on_epoch=told.append)
    assert told[0].loss == pytest.approx(told[1].loss, rel=1e-5)
    assert told[0].accuracy == told[1].accuracy


def test_a_diverging_run_stops_and_says_what_to_change() -> None:
    epochs: list[Epoch] = []
    with pytest.raises(ModelError, match=r"training diverged: .* epoch 1; lower lr \(1e\+30\)"):
        quick(few(), lr=1e30, batch_size=4, epochs=3, on_epoch=epochs.append)
    assert epochs == []


# pieces -----------------------------------------------------------------------------------------


def test_the_learning_rate_rises_to_its_peak_and_falls_to_nothing() -> None:
    rates = [_one_cycle(i / 100) for i in range(101)]
    assert rates[25] == max(rates) == 1
    assert rates[0] == 0
    assert rates[100] == pytest.approx(0)
    assert rates[:26] == sorted(rates[:26])
    assert rates[25:] == sorted(rates[25:], reverse=True)


def test_the_published_schedule_divides_by_ten_after_every_30_of_90_epochs() -> None:
    cohen = RECIPES["cohen"]
    steps = 196  # an epoch of 50 000 images
    rates = [
        cohen.lr * cohen.schedule((epoch + (step + 0.5) / steps) / cohen.epochs)
        for epoch in range(cohen.epochs)
        for step in (0, steps - 1)
    ]
    assert rates == pytest.approx([0.1] * 60 + [0.01] * 60 + [0.001] * 60)


def test_the_published_recipe_is_plain_sgd_with_momentum() -> None:
    told: list[Epoch] = []
    quick(few(), recipe="cohen", on_epoch=told.append)
    (group,) = told[0].optimizer.param_groups
    assert (group["momentum"], group["weight_decay"], group["nesterov"]) == (0.9, 1e-4, False)
    assert best_precision("cohen", torch.device("cpu")) == "float32"


def test_a_step_in_bfloat16_is_near_one_in_float32() -> None:
    wide, narrow = (
        weights(quick(few(), lr=1e-3, precision=precision)) for precision in ("float32", "bfloat16")
    )
    assert not torch.equal(wide, narrow)
    torch.testing.assert_close(wide, narrow, atol=1e-3, rtol=0)
    assert narrow.dtype == torch.float32


def test_photographs_are_only_shifted_and_mirrored() -> None:
    images = torch.rand(30, 3, 12, 10)
    moved = shifted_and_mirrored(images, torch.Generator().manual_seed(0))
    padded = torch.nn.functional.pad(images, (4, 4, 4, 4))
    seen = set()
    for image, result in zip(padded, moved, strict=True):
        crops = {
            (top, left): image[:, top : top + 12, left : left + 10]
            for top in range(9)
            for left in range(9)
        }
        found = [(*at, False) for at, crop in crops.items() if torch.equal(crop, result)]
        found += [(*at, True) for at, crop in crops.items() if torch.equal(crop.flip(2), result)]
        assert len(found) == 1
        seen.update(found)
    assert len(seen) > 20
    assert {is_mirrored for *_, is_mirrored in seen} == {False, True}


def test_photographs_train_a_cifar_network() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (6, 3, 32, 32), dtype=np.uint8)
    labels = np.arange(6) % 3
    data = Dataset("noise", "all", images, labels, 3, (3, 32, 32), augment=True)
    model = quick(data, "cifar_resnet20", batch_size=3)
    assert model(torch.rand(2, 3, 32, 32)).shape == (2, 3)
    assert weights(model).isfinite().all()


def write_imagenet(folder: Path, count: int) -> str:
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for label in range(1000):
            place = folder / split / f"n{label:08}"
            place.mkdir(parents=True)
            if label < count:
                pixels = rng.integers(0, 256, (48, 80, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(place / "a.JPEG")
    return f"imagenet:{folder}"


def test_an_epoch_of_imagenet_is_read_as_it_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = load(write_imagenet(tmp_path, 7), "train")
    monkeypatch.setattr(Dataset, "tensors", lambda _: pytest.fail("all were decoded at once"))
    epoch = batches(data, 2, torch.device("cpu"))

    def drawn(seed: int) -> dict[int, torch.Tensor]:
        told = list(epoch(torch.Generator().manual_seed(seed), seed))
        assert [len(labels) for _, labels in told] == [2, 2, 2, 1]
        return {int(y): x for xs, ys in told for x, y in zip(xs, ys, strict=True)}

    first, again, other = drawn(1), drawn(1), drawn(2)
    assert sorted(first) == list(range(7))
    assert list(first) == list(again)
    assert list(first) != list(other)
    for label, image in first.items():
        assert image.shape == (3, 224, 224)
        assert 0 <= image.min() <= image.max() <= 1
        assert torch.equal(image, again[label])
        assert not torch.equal(image, other[label])
    (tmp_path / "train" / "n00000004" / "a.JPEG").write_bytes(b"")
    with pytest.raises(DataError, match=r"n00000004/a\.JPEG: needs a JPEG or PNG"):
        drawn(1)


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


# refused ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"sigma": 0.0}, "sigma must be positive"),
        ({"sigma": float("nan")}, "sigma must be positive"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"lr": -0.1}, "lr must be positive"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"threads": 0}, "threads must be at least 1"),
        ({"threads": 2**31}, "threads must be at most 1024"),
        (
            {"device": "warp"},
            "device must be one that torch can use here, such as 'cpu', got 'warp'",
        ),
        ({"arch": "resnet"}, "arch must be one of 'digits_cnn'"),
        ({"recipe": "slow"}, "recipe must be one of 'fast', 'cohen'"),
        ({"precision": "float16"}, "precision must be one of 'float32', 'bfloat16'"),
        (
            {"arch": "cifar_resnet20"},
            r"takes images of shape \(3, 32, 32\), the data 'digits' has \(1, 8, 8\)",
        ),
    ],
)
def test_wrong_arguments_are_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        quick(few(), **wrong)


ODD = [None, True, -1, 0.5, "", "a\0b", b"x", float("nan"), float("inf"), 10**400, [1, [2]], {}]
ODD += [object(), np.array([1, 2]), np.ma.masked]


@pytest.mark.parametrize(
    "name",
    [
        *("dataset", "arch", "sigma", "recipe", "epochs", "batch_size", "lr", "precision"),
        *("threads", "seed", "device", "resume"),
    ],
)
def test_odd_values_end_in_an_error_that_names_the_argument(name: str) -> None:
    good: dict[str, Any] = {"dataset": few(4), "arch": "digits_cnn", "sigma": 0.5, "epochs": 1}
    optional = ("epochs", "batch_size", "lr", "precision", "threads", "device", "resume")
    for value in ODD:
        is_fine = (value is None and name in optional) or (name in ("sigma", "lr") and value == 0.5)
        if isinstance(value, np.ndarray) or not is_fine:
            with pytest.raises((ValueError, TypeError, SmoothboundError)) as error:
                train(**(good | {name: value}))
            said = str(error.value)
            file = name == "resume" and isinstance(value, str) and value  # about the file it names
            assert ("plain file" in said or "cannot read" in said) if file else name in said, said
            assert len(said) < 700


def test_more_images_than_fit_into_memory_are_refused() -> None:
    class Many:
        def __len__(self) -> int:
            return 10**8

        def __getitem__(self, _: int) -> Any:
            pytest.fail("an image was decoded")

    labels = np.zeros(10**8, np.uint8)
    data = Dataset("many", "train", Many(), labels, 10, (3, 224, 224))
    with pytest.raises(ValueError, match=r"100000000 images of many are 14019 GiB of pixels, .*"):
        quick(data, "resnet50")


def test_the_device_is_found_or_refused() -> None:
    assert best_device("cpu") == torch.device("cpu")
    assert best_device().type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(ValueError, match=r"device must be one that torch .* got 'cuda:99'"):
        best_device("cuda:99")


# command ----------------------------------------------------------------------------------------

APP = typer.Typer()
APP.command()(command)


def run(out: Path, *extra: str, data: str = "digits", arch: str = "digits_cnn") -> Any:
    arguments = ["--data", data, "--arch", arch, "--sigma", "0.25", "--out", str(out)]
    return CliRunner().invoke(APP, [*arguments, "--device", "cpu", *extra])


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


def test_images_drawn_at_random_keep_their_labels_and_order() -> None:
    digits = load("digits", "train")
    rows = np.flatnonzero(np.isin(digits.labels, (3, 4)))
    chosen = some(digits, 700, seed=1)
    assert len(chosen) == 700
    assert len(set(chosen.labels.tolist())) == 10
    at = [int(np.argmax((digits.images == image).all(axis=(1, 2, 3)))) for image in chosen.images]
    assert at == sorted(at)
    assert np.array_equal(digits.labels[at], chosen.labels)
    assert len(rows) < len(some(digits, 10**9, seed=1)) == len(digits)


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
