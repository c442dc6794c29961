"""The examples of docs/ that say they run, do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "harness.md"


def test_the_page_on_harnesses_runs_from_top_to_bottom() -> None:
    pytest.importorskip("sklearn")
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), flags=re.DOTALL | re.MULTILINE)
    assert len(blocks) == 4
    names: dict[str, Any] = {"__name__": "page"}
    for block in blocks:
        exec(compile(block, PAGE.name, "exec"), names)
    assert names["y"] >= 0
    assert sum(row["correct"] for row in names["rows"]) >= 15
    np.testing.assert_array_less(names["bounds"].lower - 1e-12, names["scores"].mean())
    np.testing.assert_array_less(names["later"].lower, names["bounds"].lower + 1e-12)
