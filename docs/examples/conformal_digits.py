"""Prediction sets for handwritten digits that an attacker may move by up to 0.2.

A small network is trained under noise. Half of the test images calibrate the sets. The other half
is attacked: each image is moved by 0.2 along the gradient that lowers the smoothed score of its
label.

    python docs/examples/conformal_digits.py
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from torch import Tensor, nn

from smoothbound import conformal, data, train

SIGMA, RADIUS = 0.25, 0.2


def scores_of(model: nn.Module, images: Tensor, n_draws: int, seed: int) -> Tensor:
    """Return softmax scores under noise, shape (n_images, n_draws, n_classes)."""
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for image in images:
        noise = torch.randn((n_draws, *image.shape), generator=generator)
        rows.append(model(image + SIGMA * noise).softmax(dim=1))
    return torch.stack(rows)


def attacked(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Move each image by the radius, against its label."""
    moved = images.clone().requires_grad_()
    right = scores_of(model, moved, 50, seed=1).mean(dim=1).gather(1, labels[:, None])
    (gradient,) = torch.autograd.grad(right.log().sum(), moved)
    length = gradient.flatten(1).norm(dim=1).clamp_min(1e-12)[:, None, None, None]
    return images - RADIUS * gradient / length


def main(epochs: int, n_draws: int) -> dict[str, tuple[float, float]]:
    """Print and return the coverage and the mean size of the sets under attack."""
    model = train.train(data.load("digits", "train"), "digits_cnn", sigma=SIGMA, epochs=epochs)
    model.eval()
    pairs = list(data.load("digits"))
    images = torch.stack([torch.as_tensor(np.asarray(image)) for image, _ in pairs])
    labels = torch.tensor([label for _, label in pairs])
    half = len(images) // 2
    with torch.no_grad():
        clean = scores_of(model, images[:half], n_draws, seed=2)
    moved = attacked(model, images[half:], labels[half:])
    with torch.no_grad():  # the attacker does not know this seed
        tests = scores_of(model, moved, n_draws, seed=3)
    methods = {
        "BinCP": conformal.BinCP(radius=RADIUS, sigma=SIGMA),
        "BinCP, each": conformal.BinCP(radius=RADIUS, sigma=SIGMA, perturbations="each"),
        "CAS": conformal.CAS(radius=RADIUS, sigma=SIGMA),
        "not robust": conformal.BinCP(radius=0.0, sigma=SIGMA, perturbations="each"),
    }
    found = {}
    for name, method in methods.items():
        sets = method.calibrate(clean, labels[:half].numpy()).predict_set(tests)
        truth = labels[half:].numpy()
        found[name] = conformal.coverage(sets, truth), conformal.mean_set_size(sets)
        print(f"{name}: {found[name][0]:.1%} covered, {found[name][1]:.2f} classes in a set")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--draws", type=int, default=200)
    given = parser.parse_args()
    main(given.epochs, given.draws)
