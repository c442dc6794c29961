"""Gaussian noise whose draws belong to an input, not to a run.

The generator is keyed by (seed, example, purpose). The draws of an input therefore do not depend
on which other inputs are certified, in what order, or on a run that was resumed; and the draws
that select the class are never those that bound its confidence.

For the same key the numbers are the same on every run with the same device kind, input shape,
batch size and version of torch. On another of these they are other draws from the same
distribution, and the certificate is as valid.
"""

from __future__ import annotations

import hashlib
from typing import Literal, get_args

import torch

from smoothbound import checks

__all__ = ["MAX_EXAMPLE", "MAX_SEED", "Purpose", "generator"]

Purpose = Literal["selection", "estimation"]

MAX_SEED = 2**64 - 1
MAX_EXAMPLE = 2**31 - 1

_ODD = 0x9E3779B1  # multiplying by an odd number permutes the integers below 2**32


def _key(seed: int, example: int, purpose: Purpose) -> int:
    """Mix the three into 64 bits.

    torch's generator for the CPU reads only the low 32 bits, where plain hashing would give the
    same noise to two of 100 000 inputs. They are a permutation of (example, purpose) instead, so
    that within one seed no two streams are the same; the seed picks the permutation.
    """
    digest = hashlib.blake2b(seed.to_bytes(8, "little"), digest_size=8).digest()
    high, offset = int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:], "little")
    stream = 2 * example + get_args(Purpose).index(purpose)
    return high << 32 | (stream * _ODD + offset) % 2**32


def generator(
    seed: int, example: int, purpose: Purpose, device: torch.device | str = "cpu"
) -> torch.Generator:
    """Return the torch generator for one purpose of one input.

    Parameters
    ----------
    seed : int
        Seed of the run, 0 to 2**64 - 1.
    example : int
        Number that identifies the input, 0 to 2**31 - 1; for a data set, its index there.
    purpose : {"selection", "estimation"}
        Selecting the class, or bounding its confidence.
    device : torch.device or str, default "cpu"
        Where the noise is made.

    Raises
    ------
    TypeError, ValueError
        If a number is not a whole number in its range, or the purpose is unknown.

    Examples
    --------
    >>> first = torch.randn(3, generator=generator(0, 7, "selection"))
    >>> again = torch.randn(3, generator=generator(0, 7, "selection"))
    >>> other = torch.randn(3, generator=generator(0, 7, "estimation"))
    >>> torch.equal(first, again), torch.equal(first, other)
    (True, False)
    """
    for name, value, most in (("seed", seed, MAX_SEED), ("example", example, MAX_EXAMPLE)):
        if checks.count(name, value, minimum=0) > most:
            raise ValueError(f"{name} must be at most {most}, got {value!r}")
    checks.choice("purpose", purpose, get_args(Purpose))
    return torch.Generator(device).manual_seed(_key(int(seed), int(example), purpose))
