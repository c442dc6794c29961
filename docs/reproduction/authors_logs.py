"""Tables of the published logs of Kumar et al. 2020, as Markdown.

    python docs/reproduction/authors_logs.py --logs DIR [--class-radii DIR]

``docs/reproduction.md`` describes where to find the logs and how to name them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from smoothbound.analysis.concentration import pairs
from smoothbound.analysis.evaluation import Evaluation, correlation
from smoothbound.analysis.logs import read_log, with_class_radius
from smoothbound.report._sections.measures import measures_table
from smoothbound.report._tables import markdown_rows
from tables import certified_accuracy

LOGS = {
    "imagenet_pred_score": ("ImageNet, ResNet-50, average score", "imagenet_resnet50"),
    "cifar10_pred_score": ("CIFAR-10, ResNet-110, average score", "cifar10_resnet110"),
    "cifar10_margin": ("CIFAR-10, ResNet-110, margin", "cifar10_resnet110"),
}
SIGMAS = ("0.25", "0.50")


def read(folder: Path) -> dict[str, Evaluation]:
    """Read the six logs, under the titles of their tables."""
    return {
        f"{title}, σ = {float(sigma):g}": read_log(folder / f"{name}_sigma{sigma}.tsv")
        for name, (title, _) in LOGS.items()
        for sigma in SIGMAS
    }


def correlations(logs: Path, radii: Path) -> str:
    """Correlate the certified confidence at R = 0 with the certified radius of the class."""
    rows = [["log", "inputs", "Pearson", "Spearman"]]
    for name, (title, classes) in LOGS.items():
        for sigma in SIGMAS:
            log = read_log(logs / f"{name}_sigma{sigma}.tsv")
            both = with_class_radius(log, radii / f"{classes}_sigma{sigma}.tsv")
            assert both.class_radius is not None
            shown = both.paired
            lower = both.bounds[-1].lower[shown, both.column(0.0)]
            found = correlation(both.class_radius[shown], lower)
            cells = [f"{value:.3f}" for value in found]
            rows.append([f"{title}, σ = {float(sigma):g}", str(int(shown.sum())), *cells])
    return markdown_rows(rows)


def main() -> None:
    """Print a table for each of the six logs, and what compares them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--logs", type=Path, required=True, help="folder of the published logs")
    parser.add_argument("--class-radii", type=Path, help="folder of the logs of Cohen et al.")
    args = parser.parse_args()
    logs = read(args.logs)
    for title, log in logs.items():
        print(f"\n### {title}, {len(log.index)} inputs\n")
        print(certified_accuracy(log))
    for score, margin in pairs(list(logs.values())):
        print(f"\n### Score against margin, CIFAR-10, Theorem 2, σ = {score.sigma:g}\n")
        print(markdown_rows(measures_table(score, margin)))
    if args.class_radii is not None:
        print("\n### Certified confidence at R = 0 against the certified radius of the class\n")
        print(correlations(args.logs, args.class_radii))


if __name__ == "__main__":
    main()
