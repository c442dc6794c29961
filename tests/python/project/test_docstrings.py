"""Docstrings: each entry of a list has a line of its own."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import smoothbound

PACKAGE = Path(smoothbound.__file__).parent
MERGED = (
    re.compile(r"[.)] [a-z_]\w*(, [a-z_]\w*)* : \S"),  # an entry behind a sentence
    re.compile(r"\w -{5,}|-{5,} \w"),  # a heading and its rule in one line
)


def merged(source: str) -> Iterator[str]:
    """Yield the lines of docstrings in which a list or a heading has lost its line breaks."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            for line in (ast.get_docstring(node) or "").splitlines():
                if any(pattern.search(line) for pattern in MERGED) and ">>>" not in line:
                    yield line.strip()


@pytest.mark.parametrize(
    "text", ["From 0 to 1. side : str The side.", "The least. n : int", "Returns ------- int"]
)
def test_a_merged_line_is_found(text: str) -> None:
    assert list(merged(f'def f():\n    """{text}"""')) == [text]


def test_entries_and_headings_have_lines_of_their_own() -> None:
    found = {
        path.relative_to(PACKAGE).as_posix(): lines
        for path in sorted(PACKAGE.rglob("*.py"))
        if (lines := list(merged(path.read_text())))
    }
    assert found == {}
