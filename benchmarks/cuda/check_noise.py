"""Noise: whether its bits are those of the CPU, and elements per second beside `torch.randn`."""

from __future__ import annotations

import sys

import torch

import records
from bench_noise import KINDS, SHAPES, Filler

COMPARED = 40  # draws whose bits are compared
ELEMENTS = 2**26  # elements of a batch that is timed
SECONDS = 0.3  # that a time is taken over


def bits_equal(kind: str, shape: tuple[int, ...], device: torch.device) -> bool:
    """Compare the noise of a device with the slow noise in torch operations on the CPU."""
    there, here = (Filler(kind, shape, COMPARED, str(where)) for where in (device, "cpu"))
    return torch.equal(there().cpu(), here())


def main() -> None:
    step, _ = records.step("noise")
    device, elements = step.device, 2**16 if step.small else ELEMENTS
    seconds = 0.01 if step.small else SECONDS
    wrong = 0
    shapes = {name: shape for name, (shape, _) in SHAPES.items()}
    for name in ("CIFAR",) if step.small else shapes:
        for kind in KINDS:
            equal = bits_equal(kind, shapes[name], device)
            wrong += not equal
            step.write(what="bits", kind=kind, shape=name, equal=equal)
    for name, shape in shapes.items():
        batch = -(-elements // torch.Size(shape).numel())
        out = torch.empty(batch, *shape, device=device)
        plain = records.seconds_a_call(
            lambda out=out: torch.randn(out.shape, device=device), device, seconds
        )
        for kind in KINDS:
            filler = Filler(kind, shape, batch, str(device))
            step.write(
                what="speed",
                kind=kind,
                shape=name,
                elements_per_second=records.rounded(
                    out.numel() / records.seconds_a_call(filler, device, seconds)
                ),
                randn_per_second=records.rounded(out.numel() / plain),
            )
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
