"""What a release states in several places: its version, its dependencies, the list of documents."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import smoothbound as sb

ROOT = Path(__file__).parents[3]
NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base"}  # of packages, on conda-forge


def text(*names: str) -> str:
    return ROOT.joinpath(*names).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def recipe() -> dict[str, Any]:
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load(text("docs", "packaging", "conda-forge", "recipe.yaml"))


def test_the_version_is_that_of_the_recipe_and_of_the_newest_changes(
    recipe: dict[str, Any],
) -> None:
    assert recipe["context"]["version"] == sb.__version__
    newest = re.search(r"^## (\S+)", text("CHANGELOG.md"), flags=re.MULTILINE)
    assert newest is not None
    assert newest[1] == sb.__version__


def test_the_recipe_asks_for_the_dependencies_of_the_package(recipe: dict[str, Any]) -> None:
    toml = pytest.importorskip("tomllib")  # Python 3.11
    project = toml.loads(text("pyproject.toml"))["project"]
    needs = recipe["outputs"][1]["requirements"]
    assert {words.replace(" ", "") for words in needs["run"]} - {"python"} == set(
        project["dependencies"]
    )
    extras = {words for extra in project["optional-dependencies"].values() for words in extra}
    for words in needs["run_constraints"]:
        name, least = words.split(" ")
        theirs = {conda: name for name, conda in NAMES.items()}.get(name, name)
        assert f"{theirs}{least}" in extras, words


def test_every_document_is_in_the_readme() -> None:
    linked = set(re.findall(r"\]\(docs/([\w-]+\.md)\)", text("README.md")))
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md"}
    assert pages <= linked, pages - linked


def test_the_readme_begins_with_one_sentence_of_twenty_words() -> None:
    (sentence,) = re.findall(r"^\*\*(.*?)\*\*", text("README.md"), flags=re.DOTALL | re.MULTILINE)[
        :1
    ]
    assert len(sentence.split()) == 20
    assert sentence.count(".") == 1
