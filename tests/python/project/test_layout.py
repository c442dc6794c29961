"""The folders of the package: imports run downward, in no circle, and past no face."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

import smoothbound

PACKAGE = Path(smoothbound.__file__).parent

# The floors, the lowest first. What stands on one may import what stands before it, and its own
# folder; neighbours on one floor do not import each other.
FLOORS = """
errors _version _core
_utils
_display
_files
curves
measures backends noise adapters data scores
_numba models
train bounds sampling
anytime
sketch
classes
store
smoothing analysis
recommend verify harness conformal
figures
report
export
cli
"""
FLOOR_OF = {name: i for i, line in enumerate(FLOORS.split("\n")) for name in line.split()}

# A folder with fewer files is part of another, one with more is two. Counted are the modules and
# the folders inside, without `__init__.py`.
FEWEST, MOST = 4, 9


class Import(NamedTuple):
    """A file, and the file or folder that a line of it imports."""

    file: str  # "bounds._certify"
    line: int
    target: str  # "scores._arrays"; the name of a folder where its face is imported


def module(path: Path) -> str:
    """Return the name inside the package: "bounds._certify"; of a face that of its folder."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module(path): path for path in sorted(PACKAGE.rglob("*.py"))}
FACES = {name for name, path in FILES.items() if path.name == "__init__.py"}
INSIDE = {name: path for name, path in FILES.items() if name not in FACES | {"__main__"}}


def targets(node: ast.AST) -> Iterator[str]:
    """Yield the modules that an import statement loads, at any depth and for type checkers too."""
    names: list[str] = []
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports name the whole path"
        names = [f"{node.module}.{alias.name}" for alias in node.names]
    for name in names:
        top, _, inner = name.partition(".")
        if top != "smoothbound":
            continue
        while inner and inner not in FILES and inner != "_core":
            inner = inner.rpartition(".")[0]  # a name in a module
        yield inner


@cache
def imports() -> list[Import]:
    """Return the imports of the package by its files, but for those of the faces."""
    return [
        Import(name, node.lineno, target)
        for name, path in INSIDE.items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for target in targets(node)
    ]


def folder(name: str) -> str:
    return name.partition(".")[0]


def circle(arrows: dict[str, set[str]]) -> list[str]:
    """Return one circle, or []."""
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_every_folder_has_a_floor() -> None:
    assert {folder(name) for name in INSIDE} <= set(FLOOR_OF)
    assert set(FLOOR_OF) - {"_core"} <= {folder(name) for name in INSIDE}


def test_imports_run_downward() -> None:
    upward = [
        each
        for each in imports()
        if folder(each.file) != folder(each.target)
        and FLOOR_OF.get(folder(each.target), len(FLOOR_OF)) >= FLOOR_OF[folder(each.file)]
    ]
    assert not upward


def test_no_files_import_each_other_in_a_circle() -> None:
    arrows: dict[str, set[str]] = {}
    for each in imports():
        arrows.setdefault(each.file, set()).add(each.target)
    assert not circle(arrows)


def test_code_inside_imports_files_and_not_faces() -> None:
    assert not [each for each in imports() if each.target in FACES]


@pytest.mark.parametrize("name", sorted(FACES - {""}))
def test_a_folder_has_few_files_and_not_too_few(name: str) -> None:
    place = PACKAGE.joinpath(*name.split("."))
    modules = [path for path in place.glob("*.py") if path.name != "__init__.py"]
    folders = [path for path in place.iterdir() if (path / "__init__.py").exists()]
    assert FEWEST <= len(modules) + len(folders) <= MOST


def test_a_file_of_a_public_name_is_in_the_face_of_its_folder() -> None:
    for name, path in INSIDE.items():
        face, _, own = name.rpartition(".")
        hidden = any(part.startswith("_") for part in name.split("."))
        if hidden:
            continue
        stub = (PACKAGE.joinpath(*face.split(".")) / "__init__.pyi").read_text(encoding="utf-8")
        assert f"from . import {own} as {own}\n" in stub, path


def test_a_face_names_its_own_folder_alone() -> None:
    """All names of a face come from files of its folder, so that it shows where they are."""
    for stub in PACKAGE.glob("*/__init__.pyi"):
        for node in ast.parse(stub.read_text(encoding="utf-8")).body:
            assert isinstance(node, ast.ImportFrom), stub
            assert node.level == 1, stub
