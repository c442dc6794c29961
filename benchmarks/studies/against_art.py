"""Radii of the class and of the confidence, their draws and their time, beside those of the ART.

    OMP_NUM_THREADS=1 python benchmarks/studies/against_art.py     # a table of benchmarks/README.md

The network and the images are those of the demo (8 x 8 digits). The Adversarial Robustness Toolbox
draws n copies of every input. The adaptive run stops an input when it is decided whether its class
holds within R, or its score is above c within R, and takes at most as many draws. Time is that of
one processor for each input.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from art.estimators.certification.randomized_smoothing import PyTorchRandomizedSmoothing

from smoothbound import SmoothedClassifier, data, train

SIGMA, ALPHA, N0, N = 0.25, 1e-3, 100, 10_000
INPUTS, SHAPE, CLASSES = 60, (1, 8, 8), 10


def main() -> None:
    torch.set_num_threads(1)
    network = train.train(data.load("digits", "train"), "digits_cnn", sigma=SIGMA)
    images = torch.stack([data.load("digits")[i][0] for i in range(INPUTS)])
    radius_of_art, seconds = timed(lambda: by_art(network, images))
    print("| question | method | certified | draws, mean | draws, median | ms an input |")
    print("|---|---|---|---|---|---|")
    for r in (0.5, 1.0, 2.0):
        name = f"class within {r:g} σ"
        found = int((radius_of_art >= r * SIGMA).sum())
        show(name, "ART, fixed n", found, np.full(INPUTS, N0 + N), seconds)
        for adaptive in (False, True):
            ask(network, images, name, "vote", r, adaptive=adaptive)
    for r in (0.5, 1.0, 2.0):
        for adaptive in (False, True):
            ask(network, images, f"score above 0.5 within {r:g} σ", "score", r, adaptive=adaptive)


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """Return the result of a call, and the seconds of a processor that it took."""
    start = time.process_time()
    result = call()
    return result, time.process_time() - start


def by_art(network: torch.nn.Module, images: torch.Tensor) -> np.ndarray:
    """Return the radii that the toolbox certifies, 0 where it abstains."""
    np.random.seed(0)  # noqa: NPY002 the toolbox draws from it
    smoothed = PyTorchRandomizedSmoothing(
        model=network,
        loss=torch.nn.CrossEntropyLoss(),
        input_shape=SHAPE,
        nb_classes=CLASSES,
        device_type="cpu",
        sample_size=N0,
        scale=SIGMA,
        alpha=ALPHA,
    )
    classes, radii = smoothed.certify(images.numpy(), n=N, batch_size=1000)
    return np.where(np.asarray(classes) >= 0, np.asarray(radii), 0.0)


def ask(
    network: torch.nn.Module,
    images: torch.Tensor,
    name: str,
    measure: Any,
    r: float,
    *,
    adaptive: bool,
) -> None:
    """Print a line about smoothbound's answer to one question."""
    smoothed = SmoothedClassifier(network, sigma=SIGMA, measure=measure)
    question = {"radii": [r * SIGMA], "thresholds": [0.5]} if adaptive else {"thresholds": [0.5]}
    cert, seconds = timed(
        lambda: smoothed.certify(
            images, n0=N0, n=N, alpha=ALPHA, grid=16, adaptive=adaptive, **question
        )
    )
    of_class = measure == "vote" and not adaptive  # the bound of Clopper and Pearson, as in the ART
    radius = cert.class_radius if of_class else cert.radius[:, 0]
    found = int((np.nan_to_num(radius) >= r * SIGMA).sum())
    how = "adaptive" if adaptive else "fixed n"
    show(name, f"smoothbound, {how}", found, cert.n_selection + cert.n_draws, seconds)


def show(name: str, method: str, found: int, draws: np.ndarray, seconds: float) -> None:
    words = f"{draws.mean():.0f} | {np.median(draws):.0f} | {1e3 * seconds / INPUTS:.1f}"
    print(f"| {name} | {method} | {found} of {INPUTS} | {words} |", flush=True)


if __name__ == "__main__":
    main()
