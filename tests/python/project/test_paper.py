"""The draft of the paper, and the README's results: their figures are those of other pages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAPER = (ROOT / "docs" / "paper" / "paper.md").read_text("utf-8")
ENTRIES = (ROOT / "docs" / "paper" / "paper.bib").read_text("utf-8").split("\n@")
BENCHMARKS, TIGHTNESS = "benchmarks/README.md", "docs/tightness.md"
REPRODUCED = "docs/reproduction.md"

# How a row of the README's results begins, and how the rows begin that have its numbers.
RESULTS = {
    "draws to certify that the score": (BENCHMARKS, "0.5 | 1 | 39 | 103"),
    "draws to decide whether the class": (
        BENCHMARKS,
        "class within 1 σ | ART",
        "class within 1 σ | smoothbound, adaptive",
    ),
    "time of these draws": (
        BENCHMARKS,
        "class within 1 σ | ART",
        "class within 1 σ | smoothbound, adaptive",
    ),
    "time of the bounds": (BENCHMARKS, "certify an input from 100 000 scores"),
    "tightness": (TIGHTNESS, "digits network, σ = 0.25 | 0.5 | 10 000"),
    "the same with 100 000 draws": (TIGHTNESS, "digits network, σ = 0.25 | 0.5 | 100 000"),
    "inputs of 100": (REPRODUCED, "0.5 | 13.0"),
}
# The same for the paper's measurements.
MEASURED = {
    "The bounds of an input": (
        BENCHMARKS,
        "certify an input from 100 000 scores",
        "| | the best NumPy and SciPy that we know",
    ),
    "Of the greatest radius": RESULTS["the same with 100 000 draws"],
    "On 100 images of CIFAR-10": RESULTS["draws to certify that the score"],
    "On 60 handwritten digits": RESULTS["draws to decide whether the class"],
}


def numbers(text: str) -> set[float]:
    """Return the numbers in a text; 5.2 s is 5200 ms."""
    text = re.sub(r"(?<=\d) (?=\d{3}\b)", "", text)
    found = re.findall(r"(?<![\w.])(\d+(?:\.\d+)?)(?![\w.]*\w)( s\b)?", text)
    return {float(number) * (1000 if seconds else 1) for number, seconds in found}


def rows_of(page: str, *beginnings: str) -> set[float]:
    found: set[float] = set()
    lines = (ROOT / page).read_text("utf-8").splitlines()
    for beginning in beginnings:
        (row,) = (line for line in lines if line.startswith(f"| {beginning}"))
        found |= numbers(row)
    return found


def check(stated: set[float], measured: set[float]) -> None:
    assert stated
    for number in stated:
        near = min(measured, key=lambda there: abs(there - number))
        assert near == pytest.approx(number, rel=0.003), (number, near)


@pytest.mark.parametrize("beginning", RESULTS)
def test_the_readme_has_the_results_of_the_pages(beginning: str) -> None:
    text = (ROOT / "README.md").read_text("utf-8").split("\n## Results\n")[1]
    (row,) = re.findall(rf"^\| {beginning}[^|]*\|(.*)$", text, re.M)
    page, *sources = RESULTS[beginning]
    check(numbers(row) - {100_000.0}, rows_of(page, *sources))


@pytest.mark.parametrize("beginning", MEASURED)
def test_the_paper_has_the_measurements_of_the_pages(beginning: str) -> None:
    section = PAPER.split("\n# Measurements\n")[1].split("\n# ")[0]
    (said,) = re.findall(rf"^- ({beginning}.*?)(?=\n- |\n\n|\Z)", section, re.M | re.S)
    page, *sources = MEASURED[beginning]
    settings = {2.0, 10.0, 14.0, 50_000.0, 60.0, 100.0, 100_000.0, 0.5}  # Theorem 2, CIFAR-10, ...
    check(numbers(" ".join(said.split())) - settings, rows_of(page, *sources))


def test_the_paper_is_as_long_as_the_journal_asks() -> None:
    """Papers of the Journal of Open Source Software have 750 to 1750 words."""
    text = PAPER.split("\n# Summary\n")[1]
    assert 750 <= len(text.split()) <= 1750


def test_the_paper_cites_what_it_lists_and_lists_what_it_cites() -> None:
    listed = {re.search(r"\w+\{(\w+),", entry)[1] for entry in ENTRIES}  # type: ignore[index]
    assert listed == set(re.findall(r"@(\w+\d{4}\w+)", PAPER))
    for entry in ENTRIES:
        fields = set(re.findall(r"^  (\w+) = ", entry, re.M))
        assert {"title", "author", "year"} <= fields, entry
        assert fields & {"doi", "eprint"}, entry
        assert fields & {"booktitle", "journal"}, entry
