"""Print how many times faster the C++ core is than other means, on one thread, in one run.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/python/ratios.py

64 inputs of 100 000 float32 draws, 10 000 bins or every draw a knot, 7 radii, both theorems, the
radius for one threshold.  The published algorithm is timed on one input, without the search for
the radius; numbers are the medians of alternating runs, in milliseconds an input.  Below the table:
how much faster two threads are than one, for Theorem 2, and Phi against SciPy's.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.special import ndtr

import smoothbound as sb
from rivals import BestNumpy, authors
from smoothbound.backends import gaussian
from test_engine import ALPHA, RADII, SIGMA, THRESHOLD, certify, draw

N_INPUTS, M, ROUNDS = 64, 100_000, 5


def alternate(runs: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median milliseconds an input of each run, the runs taking turns."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            start = perf_counter()
            run()
            times[name].append(perf_counter() - start)
    return {name: statistics.median(t) / N_INPUTS * 1e3 for name, t in times.items()}


def two_threads(scores: NDArray[np.float32]) -> float:
    """How many times faster two threads certify than one."""

    def run(threads: int) -> object:
        return sb.certify_scores(
            scores, n_bins=10_000, sigma=SIGMA, radii=RADII, thresholds=[THRESHOLD], threads=threads
        )

    times = alternate({str(threads): lambda n=threads: run(n) for threads in (1, 2)})
    return times["1"] / times["2"]


def phi() -> float:
    """Time of Phi as a share of that of scipy.special.ndtr."""
    z = np.random.default_rng(0).normal(0.0, 3.0, N_INPUTS * 10_000)
    np.testing.assert_allclose(gaussian.cdf(z), ndtr(z), rtol=1e-12)
    times = alternate({"smoothbound": lambda: gaussian.cdf(z), "scipy": lambda: ndtr(z)})
    return times["smoothbound"] / times["scipy"]


def main() -> None:
    scores = draw(N_INPUTS, M)
    start = perf_counter()
    authors(scores[0], RADII, ALPHA, 10_000, SIGMA)
    published = (perf_counter() - start) * 1e3
    table = Table("means", "10 000 bins, ms", "ratio", "every draw, ms", "ratio")
    columns = []
    for n_bins in (10_000, None):
        certify(scores[:1], "numba", n_bins)  # compiles
        columns.append(
            alternate(
                {
                    "C++ core": lambda n=n_bins: certify(scores, "cpp", n),
                    "numba": lambda n=n_bins: certify(scores, "numba", n),
                    "best NumPy and SciPy": lambda n=n_bins: BestNumpy(SIGMA, ALPHA, n)(
                        scores, RADII, THRESHOLD
                    ),
                    "np.sort alone": lambda: np.sort(scores, axis=1),
                }
            )
        )
    columns[0]["published algorithm"] = published
    for name in columns[0]:
        cells = [name]
        for column in columns:
            ms = column.get(name)
            core = column["C++ core"]
            cells += ["", ""] if ms is None else [f"{ms:.3f}", f"{ms / core:.2f}"]
        table.add_row(*cells)
    Console().print(table)
    Console().print(f"two threads: {two_threads(scores):.2f} times as fast as one")
    Console().print(f"Phi takes {phi():.2f} of the time of scipy.special.ndtr")


if __name__ == "__main__":
    main()
