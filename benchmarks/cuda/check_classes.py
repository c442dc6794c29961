"""Counts of all classes: device and CPU count like plain NumPy, bit for bit, and at little cost.

The scores are looked up in a table, so that every device has the same bits: first those that lie on
the edges of the counts and beside them, then those of whole runs of the sampler.
"""

from __future__ import annotations

import sys

import numpy as np
import torch
from torch import Tensor, nn

import records
import smoothbound as sb
from measure import SIGMA
from smoothbound.classes._arguments import default_edges
from smoothbound.classes._device_counts import ClassCounter

CLASSES, ROWS = 1000, 4096


class Lookup(nn.Module):
    """Returns probabilities of a table, in the row that the first element of the input names."""

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.register_buffer("table", table)

    def forward(self, x: Tensor) -> Tensor:
        rows: Tensor = self.table[(x.flatten(1)[:, 0] * 1000).long() % len(self.table)]
        return rows


def made_up(rows: int, classes: int) -> Tensor:
    """Return rows of probabilities, made on the CPU."""
    generator = torch.Generator().manual_seed(1)
    logits = 3 * torch.randn(rows, classes, generator=generator)
    return (logits + 4 * (torch.arange(classes) == 3)).softmax(dim=1)


def at_the_edges(classes: int) -> Tensor:
    """Return rows of scores on the edges and beside them."""
    edges = default_edges().astype(np.float32)
    near = np.concatenate([edges, np.nextafter(edges, -1), np.nextafter(edges, 2)]).clip(0, 1)
    return torch.from_numpy(np.resize(near, (3 * near.size // classes + 1, classes)))


def counts(device: torch.device, scores: Tensor) -> Tensor:
    counter = ClassCounter(device, "all", default_edges())
    here = scores.to(device)
    counter.add(0, here, here.argmax(dim=1))
    return counter.take(0).cpu()


def plain_counts(scores: Tensor) -> Tensor:
    """Count scores and votes by NumPy, class by class."""
    edges, wide = default_edges(), scores.numpy().astype(np.float64)
    last = np.searchsorted(edges, wide, side="right") - 1
    cells = 2 * last + (edges[last] < wide)
    size = 2 * edges.size - 1
    counts = [np.bincount(of_class, minlength=size) for of_class in cells.T]
    votes = np.bincount(wide.argmax(axis=1), minlength=wide.shape[1])
    return torch.from_numpy(np.column_stack([np.stack(counts), votes]))


def sketch(device: torch.device, table: Tensor, n: int) -> sb.ClassSketch:
    smoothed = sb.SmoothedClassifier(
        Lookup(table), SIGMA, outputs="probabilities", device=device, batch_size=512
    )
    x = records.random_images((3, 8, 8), 3)
    return smoothed.certify(x, n=n, grid=255, classes="all").class_sketch()


def main() -> None:
    step, _ = records.step("classes")
    classes, rows = (40, 64) if step.small else (CLASSES, ROWS)
    table, cpu = made_up(rows, classes), torch.device("cpu")
    equal = True
    for what, scores in (("edges", at_the_edges(classes)), ("scores", table)):
        plain = plain_counts(scores)
        same = all(torch.equal(counts(one, scores), plain) for one in (step.device, cpu))
        step.write(what="bits", of=what, scores=scores.numel(), equal=same)
        equal &= same
    n = 300 if step.small else 20_000
    same = sketch(step.device, table, n) == sketch(cpu, table, n)
    step.write(what="bits", of="runs", classes=classes, draws=3 * n, equal=same)
    counter = ClassCounter(step.device, "all", default_edges())
    here = table.to(step.device)
    top = here.argmax(dim=1)
    seconds = records.seconds_a_call(
        lambda: counter.add(0, here, top), step.device, 0.02 if step.small else 0.5
    )
    step.write(what="counting", classes=classes, rows_per_second=records.rounded(rows / seconds))
    sys.exit(0 if equal and same else 1)


if __name__ == "__main__":
    main()
