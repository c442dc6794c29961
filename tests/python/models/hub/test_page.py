"""The section about Transformers and timm of the page about other harnesses, as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[4] / "docs" / "harness.md"


@pytest.mark.usefixtures("torchvision")
def test_the_section_runs_from_top_to_bottom() -> None:
    for package in ("transformers", "timm"):
        pytest.importorskip(package, exc_type=ImportError)
    _, section = PAGE.read_text(encoding="utf-8").split("\n## Transformers and timm\n")
    blocks = re.findall(
        r"^```python\n(.*?)^```", section.split("\n## ")[0], re.DOTALL | re.MULTILINE
    )
    assert len(blocks) == 3
    names: dict[str, Any] = {"__name__": "page"}
    for block in blocks:
        exec(compile(block, PAGE.name, "exec"), names)
    assert names["net"].num_classes == 10
    assert names["text"].inputs.shape == (1, 4, 36)
