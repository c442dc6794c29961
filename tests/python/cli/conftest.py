"""What the commands are given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command_line import SCORES


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    np.save(tmp_path / "scores.npy", SCORES)
    return tmp_path / "scores.npy"


@pytest.fixture(scope="module")
def model(digits_network: Path) -> Path:
    return digits_network
