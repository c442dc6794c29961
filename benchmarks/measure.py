"""Shared by all benchmarks: the scores, the settings, and the cell of a table for each time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

SIGMA, ALPHA, THRESHOLD = 0.25, 1e-3, 0.5
RADII = np.arange(7) * 0.125

Scores = NDArray[np.float32]


def draw(n_inputs: int, n_draws: int) -> Scores:
    """Return scores, the same at every call."""
    return np.random.default_rng(0).beta(8, 1, size=(n_inputs, n_draws)).astype(np.float32)


@dataclass
class Measure:
    """One cell of a table: `table.py` prints the time of one item, and a ratio.

    The table is the group of the benchmark. Nothing here reads a clock, so that all benchmarks run
    with `--benchmark-disable` too.
    """

    benchmark: Any

    def __call__(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        row: str,
        column: str,
        items: float = 1,
        unit: str = "ms",
        rounds: int | None = None,
        against: Literal["first row", "first column"] = "first row",
    ) -> Any:
        """Time a call that treats `items` items, and return what it returns.

        `rounds` sets how often it is called; by default pytest-benchmark decides. The ratio of the
        cell is to the first row of its column, or to the first column of its row.
        """
        cell = {"row": row, "column": column, "items": items, "unit": unit, "against": against}
        self.benchmark.extra_info.update(cell)
        if rounds is None:
            return self.benchmark(function, *arguments)
        return self.benchmark.pedantic(function, arguments, rounds=rounds)
