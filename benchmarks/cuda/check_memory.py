"""Out of memory, met on purpose: in smaller pieces the draws must be the same up to rounding.

On a GPU torch may have a share of the memory alone, and batches take more. On the CPU the model
says that it has no memory for many rows.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import records
from bench_sampler import network
from measure import SIGMA
from smoothbound.sampling._sampler import Sampler

LIMIT = 2**30  # bytes that torch may have, with the network and the noisy copies
BATCH = 2**14  # takes several times as much
ATOL = 1e-3  # scores may differ by the rounding of other algorithms


class Frugal(nn.Module):
    """A network that has memory for few rows."""

    def __init__(self, base: nn.Module, rows: int) -> None:
        super().__init__()
        self.base, self.rows = base, rows

    def forward(self, x: Tensor) -> Tensor:
        if len(x) > self.rows:
            raise torch.cuda.OutOfMemoryError(f"no memory for {len(x)} rows")
        outputs: Tensor = self.base(x)
        return outputs


class Trial:
    """Draws of one image, and the warnings that came with them."""

    def __init__(self, model: nn.Module, device: torch.device, n: int, **options: Any) -> None:
        self.sampler = Sampler(model, SIGMA, device=device, **options)
        self.x = records.random_images((3, 32, 32), 1)[0]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            draws = self.sampler.draw(self.x, n0=100, n=n, grid=255)
        self.scores = draws.scores
        self.in_pieces = any("out of memory" in str(each.message) for each in caught)

    def differs(self, other: Trial) -> float:
        return float(np.abs(self.scores - other.scores).max())


def main() -> None:
    step, _ = records.step("memory")
    model, _shape = network("cifar_resnet20")
    device, n = step.device, 300 if step.small else 2 * BATCH
    size = 64 if step.small else BATCH
    plain = Trial(model, device, n, batch_size=32 if step.small else 256)
    if step.small:
        tight = Trial(Frugal(model, 24), device, n, batch_size=size)
    else:
        torch.cuda.empty_cache()
        whole = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(LIMIT / whole)
        tight = Trial(model, device, n, batch_size=size)
    worst = tight.differs(plain)
    step.write(what="pieces", batch=size, in_pieces=tight.in_pieces, largest_difference=worst)
    sound = tight.in_pieces and worst <= ATOL
    if not step.small:
        sound &= with_a_limit(step, model, plain, n)
    sys.exit(0 if sound else 1)


def with_a_limit(step: records.Step, model: nn.Module, plain: Trial, n: int) -> bool:
    """Let the size of the batches be chosen under the limit, and ask for one beyond it."""
    chosen = Trial(model, step.device, n)
    size = chosen.sampler.model.batch_size_for(chosen.x)
    step.write(
        what="chosen",
        batch=size,
        in_pieces=chosen.in_pieces,
        largest_difference=chosen.differs(plain),
    )
    refused = ""
    try:
        Trial(model, step.device, n, batch_size=2**20)
    except ValueError as error:
        refused = str(error)
    step.write(what="beyond", batch=2**20, refused=refused)
    torch.cuda.set_per_process_memory_fraction(1.0)
    after = Trial(model, step.device, n, batch_size=BATCH)
    step.write(what="after", in_pieces=after.in_pieces, largest_difference=after.differs(plain))
    fits = chosen.differs(plain) <= ATOL and size < BATCH
    return fits and "batch_size must be so small" in refused and not after.in_pieces


if __name__ == "__main__":
    main()
