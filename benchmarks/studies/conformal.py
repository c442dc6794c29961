"""Sizes of robust prediction sets on CIFAR-10, by method, radius and number of draws.

`anytime.py train` trains the network. `draw` records scores of all classes, `sets` prints the table
of docs/conformal.md and draws its figure, and `choices` prints what other choices would cost.
"""

from __future__ import annotations

import argparse
import math
from argparse import Namespace
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import smoothbound as sb
from small_cifar import network
from smoothbound import conformal
from smoothbound._files.atomic import atomic_write
from smoothbound.conformal._guarantee.binomial import below_at_most
from smoothbound.conformal._guarantee.levels import rank_of, split
from smoothbound.conformal._guarantee.shift import Shift
from smoothbound.conformal._guarantee.votes import votes_for_all, votes_for_each
from smoothbound.smoothing import clopper_pearson_lower

RADII, SPLITS, LEVEL, SIGMA = (0.125, 0.25, 0.5), 10, 0.9, 0.25
BETA = 1 - Fraction(str(LEVEL))

Scores = NDArray[np.float32]
Labels = NDArray[np.int64]
Method = Callable[[float, Scores, Labels, Scores], NDArray[np.bool_]]


def draw(args: Namespace) -> None:
    """Record the scores of all classes in noisy draws of test images."""
    torch.manual_seed(0)
    model = network()
    model.load_state_dict(torch.load(args.network, weights_only=True))
    model.eval().to(memory_format=torch.channels_last)
    images = sb.data.load(args.data, "test")
    chosen = np.random.default_rng(0).choice(len(images), args.inputs, replace=False)
    scores = np.empty((args.inputs, args.draws, 10), np.float32)
    labels = np.empty(args.inputs, np.int64)
    for i, index in enumerate(chosen.tolist()):
        x, labels[i] = images[index]
        batch = torch.as_tensor(np.asarray(x))[None].repeat(args.draws, 1, 1, 1)
        noisy = (batch + SIGMA * torch.randn_like(batch)).contiguous(
            memory_format=torch.channels_last
        )
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            scores[i] = model(noisy).float().softmax(1).numpy()
        if (i + 1) % 100 == 0:
            print(f"{i + 1} images", flush=True)
    with atomic_write(args.scores) as file:
        np.savez(file, scores=scores, labels=labels)


# methods ----------------------------------------------------------------------------------------


def shipped(make: Callable[..., Any], **options: Any) -> Method:
    """Return a method of the library; RCP1 sees the first draw alone."""

    def sets(radius: float, scores: Scores, labels: Labels, tests: Scores) -> NDArray[np.bool_]:
        robust = make(radius=radius, sigma=SIGMA, confidence_level=LEVEL, **options)
        few = 1 if make is conformal.RCP1 else None
        return robust.calibrate(scores[:, :few], labels).predict_set(tests[:, :few])

    return sets


def by_mean(mean: str) -> Method:
    """Return CAS with Theorem 1 and an inequality for a mean: RSCP+ with this page's split."""

    def sets(radius: float, scores: Scores, labels: Labels, tests: Scores) -> NDArray[np.bool_]:
        n, rank = len(labels), rank_of(BETA, len(labels))
        parts = split(BETA, rank, n, Fraction(1, 2))
        bounds = partial(sb.certify_scores, sigma=SIGMA, bound="mean", mean=mean)
        own = scores[np.arange(n), :, labels]
        lower = bounds(own, alpha=parts.calibration_draws, radii=[radius]).lower[:, 0]
        rows = np.swapaxes(tests, 1, 2).reshape(-1, tests.shape[1])
        upper = bounds(rows, alpha=parts.draws, radii=[0.0], sides="upper").upper[:, 0]
        return (upper >= np.sort(lower)[rank - 1]).reshape(len(tests), -1)

    return sets


def by_union(radius: float, scores: Scores, labels: Labels, tests: Scores) -> NDArray[np.bool_]:
    """BinCP where the bounds of all calibration points hold at once, by a union bound."""
    n, m = len(labels), scores.shape[1]
    k, rank, part = math.ceil(0.8 * m), rank_of(BETA, n), 0.05 * float(BETA)
    p = clopper_pearson_lower(k, m, part / (n + 1))
    least = Shift.of("gaussian", radius, SIGMA)(p)
    votes = max(v for v in range(m + 1) if below_at_most(v, m, least) <= part)
    return by_votes(k, rank, votes, scores, labels, tests)


def by_votes(
    k: int, rank: int, votes: int, scores: Scores, labels: Labels, tests: Scores
) -> NDArray[np.bool_]:
    own = np.sort(scores[np.arange(len(labels)), :, labels], axis=1)
    threshold = np.sort(own[:, own.shape[1] - k])[rank - 1]
    return (tests >= threshold).sum(axis=1) >= votes


METHODS: dict[str, Method] = {
    "Hoeffding": by_mean("hoeffding"),
    "Bernstein": by_mean("bernstein"),
    "CAS, dkw": shipped(conformal.CAS, band="dkw"),
    "CAS": shipped(conformal.CAS),
    "BinCP, union bound": by_union,
    "BinCP": shipped(conformal.BinCP),
    "RCP1": shipped(conformal.RCP1),
    "BinCP, each": shipped(conformal.BinCP, perturbations="each"),
}


# tables -----------------------------------------------------------------------------------------


def halves(path: Path, n_draws: int) -> Iterator[tuple[Scores, Labels, Scores, Labels]]:
    """Yield random halves of the images: calibration and test."""
    with np.load(path) as file:
        scores, labels = file["scores"][:, :n_draws], file["labels"]
    for seed in range(SPLITS):
        order = np.random.default_rng(seed).permutation(len(labels))
        one, two = np.split(order, [len(labels) // 2])
        yield scores[one], labels[one], scores[two], labels[two]


def measured(method: Method, path: Path, n_draws: int, radius: float) -> tuple[float, float]:
    """Return the mean set size and the coverage of clean images, over all halves."""
    sizes, covered = [], []
    for scores, labels, tests, truth in halves(path, n_draws):
        try:
            sets = method(radius, scores, labels, tests)
        except ValueError:  # too few draws or points: all classes
            sets = np.ones((len(truth), 10), dtype=bool)
        sizes.append(conformal.mean_set_size(sets))
        covered.append(conformal.coverage(sets, truth))
    return float(np.mean(sizes)), float(np.mean(covered))


def sets(args: Namespace) -> None:
    """Print mean set sizes, with the coverage of clean images in brackets."""
    found: dict[tuple[str, int], list[float]] = {}
    for n_draws in args.draws:
        print("| draws | method |", " | ".join(f"R = {radius}" for radius in RADII), "|")
        for name, method in METHODS.items():
            results = [measured(method, args.scores, n_draws, radius) for radius in RADII]
            found[name, n_draws] = [size for size, _ in results]
            cells = [f"{size:.2f} ({covered:.0%})" for size, covered in results]
            print("|", n_draws, "|", name, "|", " | ".join(cells), "|", flush=True)
    if args.figure:
        picture(found, args.draws[0], args.figure)


def picture(found: dict[tuple[str, int], list[float]], n_draws: int, path: Path) -> None:
    from matplotlib import pyplot as plt

    figure, ax = plt.subplots(figsize=(5.6, 3.2))
    lines = {
        "Bernstein": "k--",  # which hides Hoeffding at 10 classes
        "CAS": "C2-s",
        "RCP1": "C1-^",
        "BinCP": "C0-o",
        "BinCP, each": "C0--o",
    }
    for name, style in lines.items():
        label = "Hoeffding, Bernstein" if name == "Bernstein" else name
        ax.plot(RADII, found[name, n_draws], style, label=label, markersize=4)
    ax.set(xlabel="radius R", ylabel="classes in a set, mean", ylim=(0, 10.4))
    ax.set_xticks(RADII)
    ax.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def choices(args: Namespace) -> None:
    """Print mean set sizes of BinCP by its probability, and by the share of beta for draws."""
    n_draws = args.draws[0]
    for name, rule in (("all", votes_for_all), ("each", votes_for_each)):
        for probability in (0.5, 0.6, 0.7, 0.8, 0.9, 0.95):
            print(name, "probability", probability, *_sizes(args, n_draws, rule, probability, 0.1))
        for share in (0.05, 0.1, 0.2, 0.3):
            print(name, "share", share, *_sizes(args, n_draws, rule, 0.8, share), flush=True)


def _sizes(args: Namespace, n_draws: int, rule: Any, probability: float, share: float) -> list[str]:
    k = math.ceil(probability * n_draws)

    def method(radius: float, scores: Scores, labels: Labels, tests: Scores) -> Any:
        rank = math.floor((1 - share) * BETA * (len(labels) + 1))
        psi = Shift.of("gaussian", radius, SIGMA)
        votes, _ = rule(n_draws, k, rank, len(labels), BETA, psi)
        return by_votes(k, rank, votes, scores, labels, tests)

    return [f"{measured(method, args.scores, n_draws, radius)[0]:.2f}" for radius in RADII]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    for run in (draw, sets, choices):
        command = commands.add_parser(run.__name__, help=run.__doc__)
        command.set_defaults(run=run)
        command.add_argument("--scores", type=Path, required=True)
        if run is draw:
            command.add_argument("--data", required=True)
            command.add_argument("--network", type=Path, required=True)
            command.add_argument("--inputs", type=int, default=1000)
            command.add_argument("--draws", type=int, default=500)
        else:
            command.add_argument("--draws", type=int, nargs="+", default=[150, 500])
        if run is sets:
            command.add_argument("--figure", type=Path)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
