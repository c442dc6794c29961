"""What `verify` computes is what the reference computes draw by draw, and what runs state."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.special import ndtri

from smoothbound.backends import reference, reference_anytime
from smoothbound.smoothing._class_radius import anytime_class_radius, class_radius


@pytest.mark.parametrize("n_bins", [None, 7, 100])
def test_bounds_of_all_counts_are_those_of_each_count(n_bins: int | None) -> None:
    dkw = reference.survival_bounds(50, 0.01)
    assert dkw.tolist() == [reference.dkw(count, 50, 0.01) for count in range(51)]
    ell = reference.survival_bounds(50, 0.01, 1e-3, n_bins)
    assert ell.tolist() == [reference.ell(count, 50, 1e-3, n_bins) for count in range(51)]


def test_steps_are_theorem_2_at_edges() -> None:
    scores = np.random.default_rng(0).beta(5, 2, 200)
    edges = np.linspace(0.0, 1.0, 33)
    counts = np.array([np.count_nonzero(scores >= edge) for edge in edges])
    for level in (None, 1e-4):
        z = ndtri(reference.survival_bounds(200, 0.01, level))
        r = np.array([0.0, 0.3, 2.0])
        steps = reference.lower_steps(edges[1:], z[counts[1:]], r, 0.0)
        whole = [reference.lower_edges(scores, edges, one, 0.01, level) for one in r]
        np.testing.assert_allclose(steps, whole, rtol=0, atol=1e-15)


@pytest.mark.parametrize("n", [1, 10, 1000, 100_000])
def test_class_radii_are_those_of_runs_which_round_down(n: int) -> None:
    for count in sorted({0, n // 2, n // 2 + 1, (3 * n) // 4, n - 1, n}):
        for alpha in (0.3, 0.001):
            for mine, theirs in (
                (reference.class_radius, class_radius),
                (reference_anytime.class_radius, anytime_class_radius),
            ):
                found = mine(count, n, 0.25, alpha)
                stated = float(theirs(count, n, sigma=0.25, alpha=alpha))
                if np.isnan(stated):
                    assert np.isnan(found) or found < 1e-6
                else:
                    assert stated <= found <= stated + 1e-7


def test_wealth_of_blocks_needs_no_single_draws() -> None:
    rng = np.random.default_rng(1)
    draws = reference_anytime.masses(rng.beta(20, 1, 300))
    guess = reference_anytime.masses(rng.beta(20, 1, 10))
    schedule = reference_anytime.looks(300)
    blocks = [draws[i:j].sum(axis=0) for i, j in pairwise(schedule)]
    by_blocks = reference_anytime.wealth_of_blocks(
        schedule, blocks, guess.sum(axis=0), 10, target=0.5, r=0.5
    )
    found = [(n, log_wealth) for n, log_wealth, _ in by_blocks]
    whole = [(n, w) for n, w, _ in reference_anytime.wealth(draws, guess, 0.5, 0.5)]
    np.testing.assert_allclose(found, whole, rtol=1e-12)
    assert found[-1][1] > 7
