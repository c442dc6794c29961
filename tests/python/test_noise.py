"""Noise: belongs to (seed, example, purpose), and is Gaussian."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from smoothbound.noise import MAX_EXAMPLE, MAX_SEED, Purpose, _key, generator


def numbers(seed: int, example: int, purpose: Purpose, n: int = 16) -> torch.Tensor:
    return torch.randn(n, generator=generator(seed, example, purpose))


seeds, examples = st.integers(0, MAX_SEED), st.integers(0, MAX_EXAMPLE)
purposes: st.SearchStrategy[Purpose] = st.sampled_from(["selection", "estimation"])


@given(seeds, examples, purposes)
def test_the_same_key_gives_the_same_numbers(seed: int, example: int, purpose: Purpose) -> None:
    first = numbers(seed, example, purpose)
    numbers(seed, (example + 1) % MAX_EXAMPLE, purpose)  # nothing in between matters
    assert torch.equal(first, numbers(seed, example, purpose))


@given(seeds, st.tuples(examples, purposes), st.tuples(examples, purposes))
def test_no_two_streams_of_a_seed_share_the_32_bits_that_the_cpu_reads(
    seed: int, one: tuple[int, Purpose], two: tuple[int, Purpose]
) -> None:
    assert (_key(seed, *one) % 2**32 == _key(seed, *two) % 2**32) == (one == two)


def test_neighbouring_streams_are_all_different() -> None:
    keys = {
        _key(seed, example, purpose)
        for seed in range(20)
        for example in range(500)
        for purpose in ("selection", "estimation")
    }
    assert len(keys) == 20 * 500 * 2
    assert all(0 <= key < 2**64 for key in keys)


def test_neighbouring_streams_are_uncorrelated() -> None:
    m = 20_000
    streams = torch.stack(
        [numbers(0, e, p, m).double() for e in range(4) for p in ("selection", "estimation")]
        + [numbers(1, 0, "estimation", m).double()]
    )
    off_diagonal = torch.corrcoef(streams) - torch.eye(len(streams), dtype=torch.float64)
    assert off_diagonal.abs().max() < 5.5 / math.sqrt(m)  # 36 pairs, 5.5 standard errors


def test_noise_has_the_stated_moments_and_tails() -> None:
    m = 400_000
    z = numbers(3, 5, "estimation", m).double()
    for power, expected, variance in ((1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)):
        assert abs(float((z**power).mean()) - expected) < 5 * math.sqrt(variance / m)
    tail = 0.5 * math.erfc(3 / math.sqrt(2))
    for side in (z > 3, z < -3):
        assert abs(float(side.double().mean()) - tail) < 5 * math.sqrt(tail / m)


def test_the_global_generator_is_left_alone() -> None:
    state = torch.get_rng_state()
    numbers(0, 0, "selection")
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(
    ("seed", "example", "purpose", "error", "message"),
    [
        (-1, 0, "selection", ValueError, "seed must be at least 0"),
        (2**64, 0, "selection", ValueError, "seed must be at most"),
        (0, -1, "selection", ValueError, "example must be at least 0"),
        (0, 2**31, "selection", ValueError, "example must be at most"),
        (0.0, 0, "selection", TypeError, "seed must be a whole number"),
        (0, True, "selection", TypeError, "example must be a whole number"),
        (0, 0, "pilot", ValueError, "purpose must be one of"),
    ],
)
def test_generator_refuses(seed, example, purpose, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        generator(seed, example, purpose)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda_streams_repeat() -> None:
    draws = [
        torch.randn(100, device="cuda", generator=generator(0, e, "estimation", "cuda"))
        for e in (4, 4, 5)
    ]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
