"""Two recipes of training, and the precision and threads that suit them.

``fast``   20 epochs of SGD with Nesterov momentum under a one-cycle schedule (Smith & Topin,
           *Super-Convergence*, 2018), in bfloat16 where the device computes in it, channels last
``cohen``  the settings of the code published with Cohen et al. 2019 (train.py of
           github.com/locuslab/smoothing): 90 epochs of SGD with momentum, batches of 256, the
           learning rate 0.1 divided by ten after every 30, weight decay 1e-4, float32; the
           networks published with it were trained in batches of 400
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from smoothbound._utils import checks
from smoothbound._utils.devices import best_device
from smoothbound._utils.threads import multiplications, suited
from smoothbound.models.architectures import ARCHITECTURES, build
from smoothbound.noise._streams import MAX_SEED

__all__ = [
    "PRECISIONS",
    "RECIPES",
    "Recipe",
    "best_device",
    "best_precision",
    "best_threads",
    "training_numbers",
]

PRECISIONS = ("float32", "bfloat16")
_MOST = 2**31  # the most epochs, and the most images in a batch
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
    """The settings of a training.

    Parameters
    ----------
    epochs : int
        Default number of passes over the images.
    batch_size : int
        Default number of images in a step.
    lr : float
        Default highest learning rate.
    weight_decay : float
        Weight decay, the same for all parameters.
    nesterov : bool
        Whether the momentum, 0.9, is Nesterov's.
    schedule : callable
        Takes the share of the run that is done by the middle of a step, in (0, 1). Returns the
        learning rate as a share of `lr`.
    fast : bool
        Whether to compute in bfloat16, if the device does, with channels last.
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


class TrainingNumbers(NamedTuple):
    """The numbers of a training: the given ones, or those of its recipe."""

    sigma: float
    epochs: int
    batch_size: int
    lr: float


def training_numbers(
    arch: str,
    recipe: str,
    *,
    sigma: float,
    epochs: int | None,
    batch_size: int | None,
    lr: float | None,
    seed: int,
) -> TrainingNumbers:
    """Check the numbers of a training before any data are read; arguments as in `train`.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range.
    """
    chosen = RECIPES[checks.choice("recipe", recipe, tuple(RECIPES))]
    checks.choice("arch", arch, tuple(ARCHITECTURES))
    checks.count("seed", seed, minimum=0, maximum=MAX_SEED)
    return TrainingNumbers(
        sigma=checks.positive("sigma", sigma),
        epochs=checks.count("epochs", chosen.epochs if epochs is None else epochs, maximum=_MOST),
        batch_size=checks.count(
            "batch_size", chosen.batch_size if batch_size is None else batch_size, maximum=_MOST
        ),
        lr=checks.positive("lr", chosen.lr if lr is None else lr),
    )


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
    """Return how many threads of the CPU to train with: one, unless a batch is large.

    Parameters
    ----------
    arch : str
        A name in `smoothbound.models.ARCHITECTURES`.
    batch_size : int
        Number of images in a step.

    Examples
    --------
    >>> best_threads("digits_cnn", 128)
    1
    """
    return suited(checks.count("batch_size", batch_size) * _multiplications(arch))


def _multiplications(arch: str) -> int:
    """Return how many multiplications the convolutions and linear layers take for an image."""
    with torch.device("meta"), torch.no_grad():  # only shapes; nothing is computed
        model, image = build(arch).eval(), torch.empty(1, *ARCHITECTURES[arch].shape)
        return multiplications(lambda: model(image))


def _cpu_capabilities() -> dict[str, Any]:
    """Return the capabilities of the processor; empty with old versions of torch."""
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return capabilities
