"""Training under Gaussian noise, so that a base classifier stands the noise it is smoothed with.

Every image of every batch gets its own noise N(0, sigma^2 I), as in Cohen, Rosenfeld, Kolter,
*Certified Adversarial Robustness via Randomized Smoothing* (ICML 2019), section 4. Photographs are
shifted and mirrored first, and those of ImageNet cropped and mirrored, as there. Two recipes say
the rest:

``fast``   20 epochs of SGD with Nesterov momentum under a one-cycle schedule (Smith & Topin,
           *Super-Convergence*, 2018), in bfloat16 where the device computes in it, channels last
``cohen``  the settings of the code published with Cohen et al. 2019 (train.py of
           github.com/locuslab/smoothing): 90 epochs of SGD with momentum, batches of 256, the
           learning rate 0.1 divided by ten after every 30, weight decay 1e-4, float32; the
           networks published with it were trained in batches of 400

Order, augmentation and noise of an epoch follow from the seed and the number of the epoch alone, so
a run that goes on from a checkpoint does what an uninterrupted one would have done.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import SGD, Optimizer

from smoothbound._utils import checks
from smoothbound._utils.devices import resolved
from smoothbound._utils.threads import checked, multiplications, running_in, suited
from smoothbound.data._loading import Dataset, unit_scale
from smoothbound.errors import ModelError
from smoothbound.models import checkpoint
from smoothbound.models.architectures import ARCHITECTURES, build
from smoothbound.noise._noise import MAX_SEED
from smoothbound.train._batches import batches

__all__ = [
    "PRECISIONS",
    "RECIPES",
    "Epoch",
    "Recipe",
    "accuracy_under_noise",
    "best_device",
    "best_precision",
    "best_threads",
    "steps_per_epoch",
    "train",
]

PRECISIONS = ("float32", "bfloat16")
_MOST = 2**31  # epochs, and images a batch
_MOMENTUM = 0.9
_WARM_UP = 0.25  # share of the steps in which the learning rate of the one-cycle rises


def _one_cycle(progress: float) -> float:
    """Return the share of the highest learning rate: linear up, then half a cosine down to 0."""
    if progress < _WARM_UP:
        return progress / _WARM_UP
    return 0.5 + 0.5 * math.cos(math.pi * (progress - _WARM_UP) / (1 - _WARM_UP))


def _thirds(progress: float) -> float:
    """Return the share of the first learning rate: a tenth of it after every third of the run."""
    return 0.1 ** min(int(3 * progress), 2)


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Parameters
    ----------
    epochs : int
        Passes over the images, where no other number is asked for.
    batch_size : int
        Images a step, likewise.
    lr : float
        Highest learning rate, likewise.
    weight_decay : float
        Of all parameters.
    nesterov : bool
        Kind of the momentum, which is 0.9.
    schedule : callable
        From how much of the run is done in the middle of a step, in (0, 1), to the share of `lr`.
    fast : bool
        Whether to compute in bfloat16, where the device does, with channels last.
    """

    epochs: int
    batch_size: int
    lr: float
    weight_decay: float
    nesterov: bool
    schedule: Callable[[float], float]
    fast: bool


RECIPES: dict[str, Recipe] = {
    "fast": Recipe(20, 128, 0.1, 5e-4, nesterov=True, schedule=_one_cycle, fast=True),
    "cohen": Recipe(90, 256, 0.1, 1e-4, nesterov=False, schedule=_thirds, fast=False),
}


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


def best_device(device: torch.device | str | None = None) -> torch.device:
    """Return `device` if it can be used; for None, CUDA where there is one, else the CPU.

    Raises
    ------
    ValueError, TypeError
        If there is no such device on this machine, or it is no device.

    Examples
    --------
    >>> best_device("cpu")
    device(type='cpu')
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return resolved(device)


def best_precision(recipe: str, device: torch.device) -> str:
    """Return "bfloat16" where the recipe is fast and the device computes in it, else "float32".

    Examples
    --------
    >>> best_precision("cohen", torch.device("cpu"))
    'float32'
    """
    checks.instance("device", device, torch.device)
    if not RECIPES[checks.choice("recipe", recipe, tuple(RECIPES))].fast:
        return "float32"
    if device.type == "cuda":
        able = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        able = bool(_cpu_capabilities().get("avx512_bf16"))
    return "bfloat16" if able else "float32"


def best_threads(arch: str, batch_size: int) -> int:
    """Return how many threads of the CPU to train with: one, unless a batch is much work.

    Parameters
    ----------
    arch : str
        A name in `smoothbound.models.ARCHITECTURES`.
    batch_size : int
        Images a step.

    Examples
    --------
    >>> best_threads("digits_cnn", 128)
    1
    """
    return suited(checks.count("batch_size", batch_size) * _multiplications(arch))


def _multiplications(arch: str) -> int:
    """Return how many multiplications the convolutions and linear layers take for an image."""
    with torch.device("meta"), torch.no_grad():  # shapes alone: nothing is computed
        model, image = build(arch).eval(), torch.empty(1, *ARCHITECTURES[arch].shape)
        return multiplications(lambda: model(image))


def _cpu_capabilities() -> dict[str, Any]:
    """Return what the processor can do; torch before it could say says nothing."""
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return capabilities


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
        How; see the top of this module.
    epochs, batch_size : int, optional
        Passes over the images, and images a step, in place of the recipe's.
    lr : float, optional
        Highest learning rate, in place of the recipe's.
    precision : {"float32", "bfloat16"}, optional
        In which the network computes; the parameters are float32. By default `best_precision`.
    threads : int, optional
        Threads of the CPU; by default `best_threads`. Sums are rounded otherwise with another
        number.
    seed : int
        Of the initialisation, the order, the noise and the augmentation. The same seed on the same
        machine and device, with the same number of threads, gives the same network.
    device : device, optional
        Where to train; CUDA where there is one, else the CPU.
    resume : path, optional
        A checkpoint of this run, to go on from; all other arguments as they were.
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
    chosen = RECIPES[checks.choice("recipe", recipe, tuple(RECIPES))]
    sigma = checks.positive("sigma", sigma)
    lr = checks.positive("lr", chosen.lr if lr is None else lr)
    epochs = checks.count("epochs", chosen.epochs if epochs is None else epochs, maximum=_MOST)
    batch_size = checks.count(
        "batch_size", chosen.batch_size if batch_size is None else batch_size, maximum=_MOST
    )
    seed = checks.count("seed", seed, minimum=0, maximum=MAX_SEED)
    for name, called in (("on_step", on_step), ("on_epoch", on_epoch)):
        if called is not None:
            checks.function(name, called)
    _check_fit(dataset, arch)
    threads = best_threads(arch, batch_size) if threads is None else checked("threads", threads)
    where = best_device(device)
    if precision is None:
        precision = best_precision(recipe, where)
    autocast = checks.choice("precision", precision, PRECISIONS) == "bfloat16"
    layout = torch.channels_last if chosen.fast else torch.contiguous_format
    model = _initialised(arch, dataset.num_classes, seed).to(where)
    model.to(memory_format=layout)  # type: ignore[call-overload]  # torch's stubs want a tensor
    optimizer = SGD(
        model.parameters(),
        lr,
        momentum=_MOMENTUM,
        nesterov=chosen.nesterov,
        weight_decay=chosen.weight_decay,
    )
    done = (
        0 if resume is None else checkpoint.restore(checks.path("resume", resume), model, optimizer)
    )
    epoch = batches(dataset, batch_size, where)
    in_epoch = steps_per_epoch(dataset, batch_size)

    def one_epoch(number: int) -> tuple[float, float, float]:
        """Return the mean loss, the accuracy and the last learning rate."""
        generator = _generator(where, seed, number)
        loss_sum, right = torch.zeros((), device=where), torch.zeros((), device=where)
        model.train()
        for step, (batch, wanted) in enumerate(epoch(generator, generator.initial_seed())):
            batch = _noisy(batch, sigma, generator).contiguous(memory_format=layout)
            with torch.autocast(where.type, torch.bfloat16, enabled=autocast):
                logits = model(batch).float()
            loss = functional.cross_entropy(logits, wanted)
            rate = lr * chosen.schedule((number - 1 + (step + 0.5) / in_epoch) / epochs)
            _descend(optimizer, loss, rate)
            # Summed on the device and read once an epoch: a read would wait for it.
            loss_sum += loss.detach() * len(wanted)
            right += (logits.detach().argmax(1) == wanted).sum()
            if on_step:
                on_step()
        return float(loss_sum) / len(dataset), float(right) / len(dataset), rate

    for number in range(done + 1, epochs + 1):
        start = time.perf_counter()
        with running_in(threads):
            loss, accuracy, rate = one_epoch(number)
        if not math.isfinite(loss):
            raise ModelError(
                f"training diverged: the loss is {loss} after epoch {number}; lower lr ({lr})"
            )
        if on_epoch:
            seconds = time.perf_counter() - start
            on_epoch(Epoch(number, epochs, loss, accuracy, rate, seconds, model, optimizer))
    return model.eval()


def steps_per_epoch(dataset: Dataset, batch_size: int) -> int:
    """Return the number of steps in one pass over the images; the last batch may be smaller."""
    checks.instance("dataset", dataset, Dataset)
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
    labels = torch.from_numpy(dataset.labels)
    for start in range(0, len(dataset), batch_size):
        rows = range(start, min(start + batch_size, len(dataset)))
        images = torch.from_numpy(np.stack([dataset.images[i] for i in rows])).to(where)
        logits = model(_noisy(unit_scale(images), sigma, generator))
        right += int((logits.argmax(1).cpu() == labels[start : start + batch_size]).sum())
    return right / len(dataset)


def _check_fit(dataset: Dataset, arch: str) -> None:
    checks.instance("dataset", dataset, Dataset)
    if not len(dataset):
        raise ValueError(f"dataset must have at least one image, and {dataset.name!r} has none")
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


def _generator(device: torch.device, seed: int, epoch: int) -> torch.Generator:
    """Return the source of an epoch's order, augmentation and noise."""
    key = np.random.SeedSequence([seed, epoch]).generate_state(2)
    return torch.Generator(device).manual_seed(int(key[0]) << 32 | int(key[1]))


def _noisy(images: Tensor, sigma: float, generator: torch.Generator) -> Tensor:
    noise = torch.randn(images.shape, generator=generator, device=images.device)
    return images + sigma * noise


def _descend(optimizer: Optimizer, loss: Tensor, lr: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.zero_grad()
    torch.autograd.backward(loss)
    optimizer.step()
