"""The page about Transformers and timm, as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[4] / "docs/howto/transformers.md"


@pytest.mark.usefixtures("torchvision")
def test_the_page_runs_from_top_to_bottom() -> None:
    for package in ("transformers", "timm"):
        pytest.importorskip(package, exc_type=ImportError)
    page = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 3
    names: dict[str, Any] = {"__name__": "page"}
    for block in blocks:
        exec(compile(block, PAGE.name, "exec"), names)
    assert names["net"].num_classes == 10
    assert names["text"].inputs.shape == (1, 4, 36)
