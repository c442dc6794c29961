"""Formulas of plain characters with their indices set low: ψ_r and s_{j+1} in text and formulas."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform

BASE = "[\\w\\]′ΣΠ∫⌋*\u0304\u0331\u0332\u0302\u0305]"  # what carries an index, or its accent
INDEX = r"\{[^{}]*\}|\((?:[^()]|\([^()]*\))*\)|[A-Za-z0-9α-ωΑ-Ω]+"
AN_INDEX = re.compile(f"(?<={BASE})(?<![a-z]{{4}})(?<![A-Z]{{3}})_({INDEX})")


def pieces(text: str) -> Iterator[tuple[str, str]]:
    """Yield the text before each index and the index, without braces."""
    end = 0
    for match in AN_INDEX.finditer(text):
        yield text[end : match.start()], match[1].strip("{}")
        end = match.end()
    yield text[end:], ""


def with_low_indices(text: str) -> list[nodes.Node]:
    """Return the text as nodes. Columns of several lines get the room of marks that are gone."""
    found: list[nodes.Node] = []
    marks = 0
    for before, index in pieces(text):
        start, gap, rest = re.split(r"( {3,}|\n|\Z)", before, maxsplit=1)
        room = " " * marks if "\n" in text and 3 <= len(gap) < 30 else ""  # not before a number
        found.append(nodes.Text(start + gap + room + rest))
        marks = 0 if gap else marks
        if index:
            found.append(nodes.subscript(index, index))
            marks += 1
    return found


class LowIndices(SphinxPostTransform):
    """Set indices low in text and in formulas, which are indented blocks of Markdown."""

    default_priority = 5

    def run(self, **_: Any) -> None:
        """Change all text that is no code."""
        if not self.document["source"].endswith(".md"):
            return
        for text in list(self.document.findall(nodes.Text)):
            block = text.parent
            if isinstance(block, nodes.literal_block):
                if block.get("language") != "none":
                    continue
                block["classes"].append("formula")
            elif isinstance(block, nodes.literal | nodes.raw | nodes.FixedTextElement):
                continue
            if AN_INDEX.search(text):
                block.replace(text, with_low_indices(str(text)))


def setup(app: Any) -> dict[str, bool]:
    """Let Sphinx use the transform."""
    app.add_post_transform(LowIndices)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
