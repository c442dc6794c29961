"""The fixture of the benchmarks."""

from __future__ import annotations

from typing import Any

import pytest

from measure import Measure


@pytest.fixture
def measure(benchmark: Any) -> Measure:
    return Measure(benchmark)
