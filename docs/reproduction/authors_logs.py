"""Certified accuracies of the logs published by Kumar et al. 2020, as Markdown tables.

    python docs/reproduction/authors_logs.py --logs DIR

DIR holds the six tab-separated logs; ``docs/reproduction.md`` says where they come from.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from smoothbound.evaluation import Evaluation, percent
from smoothbound.logs import read_log

LOGS = {
    "ImageNet, ResNet-50, average score": "imagenet_pred_score",
    "CIFAR-10, ResNet-110, average score": "cifar10_pred_score",
    "CIFAR-10, ResNet-110, margin": "cifar10_margin",
}
SIGMAS = ("0.25", "0.50")
THRESHOLDS = (0.5, 0.7, 0.9)


def table(log: Evaluation) -> Iterator[str]:
    """Yield the lines of a table: a row for each radius, a column for each threshold and method."""
    total = len(log.index)
    columns = [(c, one) for c in THRESHOLDS for one in log.bounds]
    yield "| R | " + " | ".join(f"{one.method.label}, c = {c:g}" for c, one in columns) + " |"
    yield "|---:" * (1 + len(columns)) + "|"
    for i, radius in enumerate(log.radii):
        counts = [log.counts(one, [c])[i, 0] for c, one in columns]
        yield f"| {radius:g} | " + " | ".join(percent(k, total) for k in counts) + " |"


def main() -> None:
    """Print a table for each of the six logs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--logs", type=Path, required=True, help="folder of the published logs")
    folder = parser.parse_args().logs
    for title, name in LOGS.items():
        for sigma in SIGMAS:
            log = read_log(folder / f"{name}_sigma{sigma}.tsv")
            print(f"\n### {title}, σ = {float(sigma):g}, {len(log.index)} inputs\n")
            print("\n".join(table(log)))


if __name__ == "__main__":
    main()
