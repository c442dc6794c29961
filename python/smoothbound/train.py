"""Training under Gaussian noise, so that a base classifier stands the noise it is smoothed with.

Every image of every batch gets its own noise N(0, sigma^2 I), as in Cohen, Rosenfeld, Kolter,
*Certified Adversarial Robustness via Randomized Smoothing* (ICML 2019), section 4. Photographs are
shifted and mirrored first, as there. The optimiser is SGD with Nesterov momentum under a one-cycle
schedule (Smith & Topin, *Super-Convergence*, 2018).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import SGD, Optimizer

from smoothbound import checks
from smoothbound.data import Dataset, unit_scale
from smoothbound.errors import ModelError
from smoothbound.models import ARCHITECTURES, build

__all__ = ["Epoch", "accuracy_under_noise", "best_device", "steps_per_epoch", "train"]

_MOMENTUM, _WEIGHT_DECAY = 0.9, 5e-4
_WARM_UP = 0.25  # share of the steps in which the learning rate rises
_MARGIN = 4  # pixels that a photograph is shifted by, at most


@dataclass(frozen=True, eq=False)
class Epoch:
    """What `train` tells after each epoch.

    Parameters
    ----------
    number, epochs : int
        This epoch, from 1, and how many there will be.
    loss : float
        Mean cross-entropy over the epoch's noisy images, in nats.
    accuracy : float
        Share of the epoch's noisy images that were classified correctly, in [0, 1].
    seconds : float
        Time that the epoch took.
    model, optimizer
        As they are now, to be saved.
    """

    number: int
    epochs: int
    loss: float
    accuracy: float
    seconds: float
    model: nn.Sequential
    optimizer: Optimizer


def best_device(device: torch.device | str | None = None) -> torch.device:
    """Return `device` if it can be used; for None, CUDA where there is one, else the CPU.

    Raises
    ------
    ValueError
        If there is no such device on this machine.

    Examples
    --------
    >>> best_device("cpu")
    device(type='cpu')
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:  # AssertionError: torch without CUDA
        raise ValueError(
            f"device {str(device)!r} cannot be used here; use 'cpu', or 'cuda' where torch finds "
            f"one ({str(error).splitlines()[0]})"
        ) from error


def train(
    dataset: Dataset,
    arch: str,
    *,
    sigma: float,
    epochs: int = 40,
    batch_size: int = 128,
    lr: float = 0.1,
    seed: int = 0,
    device: torch.device | str | None = None,
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
    epochs : int
        Passes over the images.
    batch_size : int
        Images a step.
    lr : float
        Highest learning rate of the schedule.
    seed : int
        Of the initialisation, the order, the noise and the augmentation. The same seed on the same
        machine and device, with the same number of threads, gives the same network.
    device : device, optional
        Where to train; CUDA where there is one, else the CPU.
    on_step : callable, optional
        Called after each of the epochs * `steps_per_epoch` steps.
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
    ModelError
        If the loss becomes NaN or infinite.

    Examples
    --------
    >>> from smoothbound.data import load
    >>> model = train(load("digits", "train"), "digits_cnn", sigma=0.25, epochs=1)
    >>> model(torch.rand(5, 1, 8, 8)).shape
    torch.Size([5, 10])
    """
    sigma, lr = checks.positive("sigma", sigma), checks.positive("lr", lr)
    epochs, batch_size = checks.count("epochs", epochs), checks.count("batch_size", batch_size)
    _check_fit(dataset, arch)
    where = best_device(device)
    generator = torch.Generator(where).manual_seed(checks.count("seed", seed, minimum=0))
    model = _initialised(arch, dataset.num_classes, seed).to(where)
    optimizer = SGD(
        model.parameters(), lr, momentum=_MOMENTUM, nesterov=True, weight_decay=_WEIGHT_DECAY
    )
    images, labels = (tensor.to(where) for tensor in dataset.tensors())
    steps = epochs * steps_per_epoch(dataset, batch_size)
    step = 0
    for number in range(1, epochs + 1):
        start = time.perf_counter()
        loss_sum, right = torch.zeros((), device=where), torch.zeros((), device=where)
        model.train()
        for rows in _shuffled(len(images), batch_size, generator):
            batch, wanted = unit_scale(images[rows]), labels[rows]
            if dataset.augment:
                batch = _shifted_and_mirrored(batch, generator)
            step += 1
            logits = model(_noisy(batch, sigma, generator))
            loss = functional.cross_entropy(logits, wanted)
            _descend(optimizer, loss, lr * _one_cycle(step / steps))
            loss_sum += loss.detach() * len(rows)  # read once an epoch: a read waits for the device
            right += (logits.detach().argmax(1) == wanted).sum()
            if on_step:
                on_step()
        mean_loss = float(loss_sum) / len(images)
        if not math.isfinite(mean_loss):
            raise ModelError(
                f"training diverged: the loss is {mean_loss} after epoch {number}; lower lr ({lr})"
            )
        if on_epoch:
            seconds = time.perf_counter() - start
            accuracy = float(right) / len(images)
            on_epoch(Epoch(number, epochs, mean_loss, accuracy, seconds, model, optimizer))
    return model.eval()


def steps_per_epoch(dataset: Dataset, batch_size: int) -> int:
    """Return the number of steps in one pass over the images; the last batch may be smaller."""
    return math.ceil(len(dataset) / checks.count("batch_size", batch_size))


@torch.inference_mode()
def accuracy_under_noise(
    model: nn.Module, dataset: Dataset, *, sigma: float, seed: int = 0, batch_size: int = 500
) -> float:
    """Return the share of images classified correctly under one draw of noise each, in [0, 1].

    This is the base classifier's accuracy, not the smoothed one's, which is higher.

    Parameters
    ----------
    model : nn.Module
        Takes images in [0, 1] and returns logits; used in the mode it is in.
    dataset : Dataset
        Images and labels.
    sigma : float
        Standard deviation of the noise, in the units of the image.
    seed : int
        Of the noise.
    batch_size : int
        Images a forward pass.
    """
    where = next(model.parameters()).device
    generator = torch.Generator(where).manual_seed(seed)
    right = 0
    images, labels = dataset.tensors()
    for start in range(0, len(images), batch_size):
        rows = slice(start, start + batch_size)
        logits = model(_noisy(unit_scale(images[rows].to(where)), sigma, generator))
        right += int((logits.argmax(1).cpu() == labels[rows]).sum())
    return right / len(dataset)


def _check_fit(dataset: Dataset, arch: str) -> None:
    needed = ARCHITECTURES[checks.choice("arch", arch, tuple(ARCHITECTURES))].shape
    if dataset.shape != needed:
        raise ValueError(
            f"arch {arch!r} takes images of shape {needed}, the data {dataset.name!r} "
            f"has {dataset.shape}; (channels, height, width) must agree"
        )


def _initialised(arch: str, num_classes: int, seed: int) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they were
        torch.default_generator.manual_seed(seed)
        return build(arch, num_classes)


def _shuffled(count: int, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    order = torch.randperm(count, generator=generator, device=generator.device)
    for start in range(0, count, batch_size):
        yield order[start : start + batch_size]


def _noisy(images: Tensor, sigma: float, generator: torch.Generator) -> Tensor:
    noise = torch.randn(images.shape, generator=generator, device=images.device)
    return images + sigma * noise


def _shifted_and_mirrored(images: Tensor, generator: torch.Generator) -> Tensor:
    """Shift each image by up to `_MARGIN` pixels, black coming in, and mirror every other one."""
    count, channels, height, width = images.shape
    where = images.device

    def draw(high: int) -> Tensor:
        return torch.randint(high, (count, 1), generator=generator, device=where)

    rows = draw(2 * _MARGIN + 1) + torch.arange(height, device=where)
    columns = torch.arange(width, device=where)
    columns = draw(2 * _MARGIN + 1) + torch.where(draw(2) == 1, columns, columns.flip(0))
    padded = functional.pad(images, (_MARGIN,) * 4)
    each = torch.arange(count, device=where)[:, None, None, None]
    channel = torch.arange(channels, device=where)[:, None, None]
    return padded[each, channel, rows[:, None, :, None], columns[:, None, None, :]]


def _one_cycle(progress: float) -> float:
    """Return the share of the highest learning rate: linear up, then half a cosine down to 0."""
    if progress < _WARM_UP:
        return progress / _WARM_UP
    return 0.5 + 0.5 * math.cos(math.pi * (progress - _WARM_UP) / (1 - _WARM_UP))


def _descend(optimizer: Optimizer, loss: Tensor, lr: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.zero_grad()
    torch.autograd.backward(loss)
    optimizer.step()
