"""Training under noise: repeatable, good enough to certify, by the published recipes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from trained import few, quick, weights, write_imagenet

from smoothbound.data._loading import Dataset, load
from smoothbound.errors import DataError, ModelError, SmoothboundError
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
