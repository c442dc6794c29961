"""Noise has the distribution that its kind states."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from noises import KINDS, filled
from scipy import stats
from torch import Tensor

from smoothbound.noise._lattice import lattice
from smoothbound.noise._noise import Noise
from smoothbound.noise._streams import Stream


@pytest.mark.parametrize("kind", KINDS)
def test_neighbouring_streams_are_uncorrelated(kind: dict[str, Any]) -> None:
    m = 20_000
    noise = Noise(**kind, sigma=0.25)
    key = [[0, e, r, s] for e in range(3) for r in range(3) for s in Stream]
    rows = filled(noise, noise.point(torch.zeros(m))[None], torch.tensor(key)).double()
    off_diagonal = torch.corrcoef(rows) - torch.eye(len(rows), dtype=torch.float64)
    assert off_diagonal.abs().max() < 5.5 / math.sqrt(m)  # 153 pairs, 5.5 standard errors
    halves = torch.corrcoef(rows.view(2 * len(rows), -1)) - torch.eye(2 * len(rows))
    assert halves.abs().max() < 5.5 / math.sqrt(m / 2)  # blocks of one draw, among themselves


def sample(m: int, **arguments: Any) -> Tensor:
    noise = Noise(**arguments)
    key = torch.tensor([[0, 3, draw, 1] for draw in range(m // 10_000)])
    return filled(noise, noise.point(torch.zeros(10_000))[None], key).double().flatten()


@pytest.mark.parametrize("kind", KINDS)
def test_moments_and_tails(kind: dict[str, Any]) -> None:
    m = 2_000_000
    z = sample(m, **kind, sigma=0.25, seed=3) / 0.25
    steps = 63.75 if "grid" in kind else 2**13  # in sigma
    rounding = 1 / (12 * steps**2) if kind["kind"] == "lattice" else 0.0
    for power, expected, variance in ((1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)):
        mean = float((z**power).mean())
        assert abs(mean - expected - power // 2 * rounding) < 5 * math.sqrt(variance / m)
    for cut in (3.0, 4.0, 4.5):
        place = (math.floor(cut * steps) + 0.5) / steps if rounding else cut
        tail = 0.5 * math.erfc(place / math.sqrt(2))
        for side in (z > place, z < -place):
            assert abs(float(side.double().mean()) - tail) < 5 * math.sqrt(tail / m)


def test_whole_steps_have_the_stated_probabilities() -> None:
    m, levels, sigma = 2_000_000, 16, 0.25
    grid = lattice(sigma, levels)
    steps = (sample(m, kind="lattice", sigma=sigma, grid=levels) * grid.denominator).round()
    seen = torch.bincount((steps + grid.largest).long(), minlength=2 * grid.largest + 1).numpy()
    edges = (np.arange(-grid.largest, grid.largest) + 0.5) / (sigma * grid.denominator)
    expected = m * np.diff(stats.norm.cdf(edges), prepend=0.0, append=1.0)
    usual = expected > 20
    seen = np.append(seen[usual], seen[~usual].sum())
    expected = np.append(expected[usual], expected[~usual].sum())
    assert stats.chisquare(seen, expected * (m / expected.sum())).pvalue > 1e-3


def test_gaussian_numbers_pass_a_test_of_their_distribution() -> None:
    z = sample(200_000, kind="gaussian", sigma=2.0, seed=5).numpy() / 2.0
    assert stats.kstest(z, "norm").pvalue > 1e-3
    pairs = z.reshape(-1, 4, 2500)  # the four normals of a block
    assert np.abs(np.corrcoef((pairs**2).transpose(1, 0, 2).reshape(4, -1))[0, 1:]).max() < 0.025
