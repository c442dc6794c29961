"""Training under Gaussian noise, so that a base classifier withstands the noise of the smoothing.

Every image of every batch gets its own noise N(0, sigma^2 I), as in Cohen, Rosenfeld, Kolter,
*Certified Adversarial Robustness via Randomized Smoothing* (ICML 2019), section 4. As there,
photographs are first shifted and mirrored, and images of ImageNet cropped and mirrored.

The order, augmentation and noise of an epoch depend only on the seed and the number of the epoch.
So a run that goes on from a checkpoint gives the same network as an uninterrupted one, on a GPU up
to rounding.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import SGD, Optimizer

from smoothbound._utils import checks
from smoothbound._utils.devices import best_device
from smoothbound._utils.threads import checked, running_in
from smoothbound.data._loading import Dataset
from smoothbound.errors import ModelError
from smoothbound.models import checkpoint
from smoothbound.models.architectures import ARCHITECTURES, build
from smoothbound.train._batches import Batches, batches, noisy
from smoothbound.train._recipes import (
    PRECISIONS,
    RECIPES,
    Recipe,
    best_precision,
    best_threads,
    training_numbers,
)

__all__ = ["Epoch", "steps_per_epoch", "train"]

_MOMENTUM = 0.9


@dataclass(frozen=True, eq=False)
class Epoch:
    """The state of a training after one epoch, for `on_epoch`.

    Parameters
    ----------
    number, epochs : int
        Number of this epoch, from 1, and number of all epochs.
    loss : float
        Mean cross-entropy over the epoch's noisy images, in nats.
    accuracy : float
        Share of the epoch's noisy images that were classified correctly, in [0, 1].
    lr : float
        Learning rate of the epoch's last step.
    seconds : float
        Time that the epoch took.
    model, optimizer
        As they are now, to be saved.
    """

    number: int
    epochs: int
    loss: float
    accuracy: float
    lr: float
    seconds: float
    model: nn.Sequential
    optimizer: Optimizer


def train(
    dataset: Dataset,
    arch: str,
    *,
    sigma: float,
    recipe: str = "fast",
    epochs: int | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    precision: str | None = None,
    threads: int | None = None,
    seed: int = 0,
    device: torch.device | str | None = None,
    resume: Path | str | None = None,
    on_step: Callable[[], None] | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> nn.Sequential:
    """Train a base classifier under Gaussian noise.

    Parameters
    ----------
    dataset : Dataset
        Training images.
    arch : str
        A name in `smoothbound.models.ARCHITECTURES`.
    sigma : float
        Standard deviation of the noise, in the units of the image before normalisation.
    recipe : {"fast", "cohen"}
        A name in `RECIPES`.
    epochs, batch_size : int, optional
        Number of passes over the images, and of images in a step; by default the recipe's.
    lr : float, optional
        Highest learning rate; by default the recipe's.
    precision : {"float32", "bfloat16"}, optional
        The precision in which the network computes; the parameters are float32. By default
        `best_precision`.
    threads : int, optional
        Threads of the CPU; by default `best_threads`. The number changes the rounding of sums.
    seed : int
        Seed of the initialisation, the order, the noise and the augmentation. The same seed on the
        same machine, on the CPU with the same number of threads, gives the same network. On a GPU
        two runs differ by rounding, because it adds some sums in no fixed order.
    device : device, optional
        Where to train; by default CUDA if there is a CUDA device, otherwise the CPU.
    resume : path, optional
        A checkpoint of this run to go on from. All other arguments must be the same as before.
    on_step : callable, optional
        Called after each step; an epoch has `steps_per_epoch`.
    on_epoch : callable, optional
        Called after each epoch.

    Returns
    -------
    nn.Sequential
        In eval mode, on `device`.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range, or the images do not fit the architecture.
    CheckpointError
        If `resume` cannot be read or is of another network.
    ModelError
        If the loss becomes NaN or infinite.

    Examples
    --------
    >>> from smoothbound.data import load
    >>> model = train(load("digits", "train"), "digits_cnn", sigma=0.25, epochs=1)
    >>> model(torch.rand(5, 1, 8, 8)).shape
    torch.Size([5, 10])
    """
    sigma, epochs, batch_size, lr = training_numbers(
        arch, recipe, sigma=sigma, epochs=epochs, batch_size=batch_size, lr=lr, seed=seed
    )
    chosen = RECIPES[recipe]
    for name, called in (("on_step", on_step), ("on_epoch", on_epoch)):
        if called is not None:
            checks.function(name, called)
    _check_fit(dataset, arch)
    threads = best_threads(arch, batch_size) if threads is None else checked("threads", threads)
    where = best_device(device)
    precision = best_precision(recipe, where) if precision is None else precision
    checks.choice("precision", precision, PRECISIONS)
    layout = torch.channels_last if chosen.fast else torch.contiguous_format
    model = _initialised(arch, dataset.num_classes, seed, where, layout)
    optimizer = _optimizer(model, chosen, lr)
    done = (
        0 if resume is None else checkpoint.restore(checks.path("resume", resume), model, optimizer)
    )
    steps = steps_per_epoch(dataset, batch_size)
    one_epoch = _OneEpoch(
        model=model,
        optimizer=optimizer,
        batches=batches(dataset, batch_size, where),
        rate=lambda number, step: (
            lr * chosen.schedule((number - 1 + (step + 0.5) / steps) / epochs)
        ),
        sigma=sigma,
        generator=lambda number: _generator(where, seed, number),
        layout=layout,
        autocast=precision == "bfloat16",
        on_step=on_step,
    )
    for number in range(done + 1, epochs + 1):
        start = time.perf_counter()
        with running_in(threads):
            loss, accuracy, rate = one_epoch(number)
        _require_finite(loss, number, lr)
        if on_epoch:
            seconds = time.perf_counter() - start
            on_epoch(Epoch(number, epochs, loss, accuracy, rate, seconds, model, optimizer))
    return model.eval()


@dataclass(frozen=True, eq=False)
class _OneEpoch:
    """One pass over the images, called with the number of the epoch, from 1."""

    model: nn.Sequential
    optimizer: Optimizer
    batches: Batches
    rate: Callable[[int, int], float]  # the learning rate of an epoch and a step in it
    sigma: float
    generator: Callable[[int], torch.Generator]
    layout: torch.memory_format
    autocast: bool
    on_step: Callable[[], None] | None

    def __call__(self, number: int) -> tuple[float, float, float]:
        """Return the mean loss, the accuracy and the last learning rate."""
        generator = self.generator(number)
        where = generator.device
        loss_sum, right = torch.zeros((), device=where), torch.zeros((), device=where)
        count = 0
        self.model.train()
        for step, (images, labels) in enumerate(self.batches(generator, generator.initial_seed())):
            batch = noisy(images, self.sigma, generator).contiguous(memory_format=self.layout)
            with torch.autocast(where.type, torch.bfloat16, enabled=self.autocast):
                logits = self.model(batch).float()
            loss = functional.cross_entropy(logits, labels)
            rate = self.rate(number, step)
            _descend(self.optimizer, loss, rate)
            # These are summed on the device and read once an epoch, because a read waits for it.
            loss_sum += loss.detach() * len(labels)
            right += (logits.detach().argmax(1) == labels).sum()
            count += len(labels)
            if self.on_step:
                self.on_step()
        return float(loss_sum) / count, float(right) / count, rate


def _require_finite(loss: float, number: int, lr: float) -> None:
    """Refuse to go on with a network whose loss is NaN or infinite after an epoch."""
    if not math.isfinite(loss):
        raise ModelError(
            f"training diverged: the loss is {loss} after epoch {number}; lower lr ({lr})"
        )


def _optimizer(model: nn.Module, recipe: Recipe, lr: float) -> SGD:
    return SGD(
        model.parameters(),
        lr,
        momentum=_MOMENTUM,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
    )


def steps_per_epoch(dataset: Dataset, batch_size: int) -> int:
    """Return the number of steps in one pass over the images; the last batch may be smaller."""
    checks.instance("dataset", dataset, Dataset)
    return math.ceil(len(dataset) / checks.count("batch_size", batch_size))


def _check_fit(dataset: Dataset, arch: str) -> None:
    checks.instance("dataset", dataset, Dataset)
    if not len(dataset):
        raise ValueError(f"dataset must have at least one image, and {dataset.name!r} has none")
    needed = ARCHITECTURES[arch].shape
    if dataset.shape != needed:
        raise ValueError(
            f"arch {arch!r} takes images of shape {needed}, the data {dataset.name!r} "
            f"has {dataset.shape}; (channels, height, width) must agree"
        )


def _initialised(
    arch: str, num_classes: int, seed: int, device: torch.device, layout: torch.memory_format
) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they were
        torch.default_generator.manual_seed(seed)
        model = build(arch, num_classes).to(device)
    model.to(memory_format=layout)  # type: ignore[call-overload]  # torch's stubs ask for a tensor
    return model


def _generator(device: torch.device, seed: int, epoch: int) -> torch.Generator:
    """Return the source of an epoch's order, augmentation and noise."""
    key = np.random.SeedSequence([seed, epoch]).generate_state(2)
    return torch.Generator(device).manual_seed(int(key[0]) << 32 | int(key[1]))


def _descend(optimizer: Optimizer, loss: Tensor, lr: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.zero_grad()
    torch.autograd.backward(loss)
    optimizer.step()
