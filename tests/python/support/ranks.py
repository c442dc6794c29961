"""Ranks of torch.distributed, which add the states of a metric; the processes import this file."""

from __future__ import annotations

from typing import Any

import torch
from torch import distributed
from torchmetrics import MetricCollection

from smoothbound.harness import CertifiedAccuracy, CertifiedConfidence, CertifiedRadius

__all__ = ["metrics", "other_alpha", "other_shapes", "uneven"]

SIGMA = 0.25


def metrics(n_inputs: int | None = None) -> MetricCollection:
    options: dict[str, Any] = {"n_inputs": n_inputs}
    return MetricCollection(
        {
            "accuracy": CertifiedAccuracy(SIGMA, [0.0, 0.1, 0.2], **options),
            "confidence": CertifiedConfidence(SIGMA, 0.1, **options),
            "radius": CertifiedRadius(SIGMA, **options),
        }
    )


def join(rank: int, meeting: str) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)


def uneven(rank: int, meeting: str, saved: str, n_inputs: int | None) -> None:
    """Print what all ranks found; rank 0 has the inputs 0, 1, 2 in two batches, rank 1 the rest."""
    join(rank, meeting)
    draws, target = torch.load(saved)
    made = metrics(n_inputs)
    shares = [[[0, 1], [2]], [[3, 4, 5, 6, 0] if n_inputs else [3, 4, 5, 6]]]
    for batch in shares[rank]:
        made.update(draws[batch], target[batch], index=torch.tensor(batch))
    print(*(value.tolist() for value in made.compute().values()))
    distributed.destroy_process_group()


def other_alpha(rank: int, meeting: str) -> None:
    """Print the error of ranks whose metrics have another alpha."""
    join(rank, meeting)
    print_refusal(CertifiedAccuracy(SIGMA, alpha=[0.001, 0.01][rank]))


def other_shapes(rank: int, meeting: str) -> None:
    """Print the error of ranks whose states have other shapes."""
    join(rank, meeting)
    print_refusal(CertifiedAccuracy(SIGMA, [[0.0], [0.0, 0.1]][rank], n_inputs=[None, 7][rank]))


def print_refusal(metric: CertifiedAccuracy) -> None:
    draws = torch.tensor([0.9, 0.1]).expand(1, 300, 2)
    metric.update(draws, torch.tensor([0]), torch.tensor([0]))
    try:
        metric.compute()
    except ValueError as error:
        print(error)
    distributed.destroy_process_group()
