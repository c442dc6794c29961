"""The documentation site: every page is in its menu, every public name in its reference."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import runpy
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import smoothbound as sb

DOCS = Path(__file__).parents[3] / "docs"
EXAMPLES = ["compare_bounds", "function", "pieces", "stop_when_clear"]  # others have their tests
# Folders without pages, or with pages that the build writes.
OTHERS = {"_site", "_static", "_templates", "figures", "made", "packaging", "paper", "reproduction"}


def pages() -> Iterator[str]:
    for file in DOCS.rglob("*.*"):
        page = file.relative_to(DOCS)
        if page.parts[0] not in OTHERS and page.suffix in {".md", ".rst", ".ipynb"}:
            yield page.with_suffix("").as_posix()


def in_menus() -> Iterator[str]:
    for page in DOCS.rglob("index.md"):
        for menu in re.findall(r"^```\{toctree\}\n(.*?)^```", page.read_text("utf-8"), re.M | re.S):
            for entry in re.sub(r"^:.*$", "", menu, flags=re.M).split("\n"):
                target = re.sub(r"^.*<(.*)>$", r"\1", entry)
                if target:
                    yield (page.parent / target).resolve().relative_to(DOCS).as_posix()


def public_modules() -> Iterator[str]:
    """Find the modules without an underscore; the commands have a page of their own."""
    for module in pkgutil.walk_packages(sb.__path__, "smoothbound."):
        if not re.search(r"\._|^smoothbound\.cli\b", module.name):
            yield module.name


def listed_modules() -> list[str]:
    text = (DOCS / "reference" / "python.rst").read_text("utf-8")
    return re.findall(r"^   (smoothbound[\w.]*)$", text, re.M)


def test_every_page_is_in_the_menu_of_a_section() -> None:
    found, listed = set(pages()), list(in_menus())
    assert len(listed) == len(set(listed))
    missing = found - set(listed) - {"index"}
    assert not missing, f"list them in docs/theory/index.md, docs/howto/index.md, ...: {missing}"
    assert set(listed) <= found


def test_the_reference_has_every_public_module() -> None:
    listed = listed_modules()
    assert len(listed) == len(set(listed))
    found = {"smoothbound", *public_modules()}
    assert set(listed) == found, f"docs/reference/python.rst: {found ^ set(listed)}"
    folders = {name.split(".")[1] for name in found - {"smoothbound"}}
    assert folders <= set(sb.__all__), f"not in smoothbound/__init__.pyi: {folders}"


@pytest.mark.parametrize("module", listed_modules())
def test_the_reference_has_every_public_name(module: str) -> None:
    """A page shows the names of ``__all__``, but modules, which need pages of their own."""
    pytest.importorskip("torch")
    page = importlib.import_module(module)
    for name in page.__all__:
        try:
            value = getattr(page, name)
        except ModuleNotFoundError:  # of an adapter whose library is not installed
            continue
        if inspect.ismodule(value):
            assert value.__name__ in listed_modules(), (module, name)
        elif callable(value) and getattr(value, "__module__", "").startswith("smoothbound"):
            assert value.__doc__, (module, name)


def test_the_reference_has_every_header() -> None:
    text = (DOCS / "reference" / "cpp.rst").read_text("utf-8")
    headers = {file.name for file in (DOCS.parent / "cpp/include/smoothbound").glob("*.hpp")}
    missing = headers - set(re.findall(r"doxygenfile:: (.*)$", text, re.M)) - {"smoothbound.hpp"}
    assert not missing, f"not in docs/reference/cpp.rst: {missing}"


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_run(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    runpy.run_path(str(DOCS / "examples" / f"{name}.py"), run_name="__main__")
    assert capsys.readouterr().out


# What the programs in the comments of the headers take for granted.
BEGUN = {
    "certify.hpp": """
#include "smoothbound/smoothbound.hpp"
void begun(const float* data, std::size_t n_inputs, std::size_t n_draws,
           std::span<const double> radii, std::span<const double> thresholds,
           std::span<double> bounds, std::span<double> certified) {""",
    "sketch.hpp": """
#include "smoothbound/smoothbound.hpp"
void begun(std::span<const double> edges, const smoothbound::Scores<float>& scores,
           std::size_t n_inputs, std::size_t n_draws, const smoothbound::Options& options,
           std::span<double> bounds, std::span<double> certified) {""",
    "smoothbound.h": """
#include <stdio.h>
#include "smoothbound/smoothbound.h"
enum { N_INPUTS = 2, N_DRAWS = 1000 };
int draw_some(smoothbound_scores* scores);
void begun(const float* data) {
  smoothbound_record* record;
  smoothbound_question* question;
  uint64_t n_draws = 0;""",
}


@pytest.mark.parametrize("name", BEGUN)
def test_programs_in_the_comments_of_headers_compile(name: str, tmp_path: Path) -> None:
    include = DOCS.parent / "cpp" / "include"
    compiler, standard = ("cc", "c99") if name.endswith(".h") else ("c++", "c++20")
    if shutil.which(compiler) is None:
        pytest.skip(f"needs {compiler}")
    header = (include / "smoothbound" / name).read_text("utf-8")
    programs = re.findall(r"\\code\n(.*?)(?:///| \*) \\endcode", header, re.DOTALL)
    text = "".join(re.sub(r"^(///| \*) ?", "", program, flags=re.M) for program in programs)
    program = tmp_path / f"program.{'c' if name.endswith('.h') else 'cpp'}"
    program.write_text(f"{BEGUN[name]}\n{text}}}\n", "utf-8")
    (tmp_path / "smoothbound").mkdir()
    (tmp_path / "smoothbound" / "version.h").touch()  # the build makes it
    flags = [f"-std={standard}", "-fsyntax-only", f"-I{include}", f"-I{tmp_path}"]
    done = subprocess.run([compiler, *flags, program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
