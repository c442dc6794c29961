"""The documentation site. CONTRIBUTING.md says how to build it, and where a new page goes."""

from __future__ import annotations

import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import smoothbound

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_site"))

import reference  # noqa: E402

MADE = HERE / "made"  # written by the build
reference.write_commands(MADE / "commands.md")
reference.read_headers(MADE / "headers")

project = "smoothbound"
author = copyright = "The smoothbound developers"
version = release = smoothbound.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_nb",
    "breathe",
    "sphinx_design",
    "formulas",
]
templates_path = ["_templates"]
exclude_patterns = ["reproduction/*", "paper/*", "packaging/*", "made/commands.md"]
suppress_warnings = [
    "config.cache",  # of the functions in autosummary_context
    "duplicate_declaration.cpp",  # of the namespace, which every header opens
]
default_role = "py:obj"  # a name in single backticks is a link where it is public

# Python: a page for each public module. Libraries that only adapters import may be missing.
autosummary_context = {
    "documented": reference.documented,
    "at_the_top": reference.at_the_top,
    "constants": reference.constants,
}
autosummary_ignore_module_all = False
autodoc_typehints = "none"  # the docstrings state types, shapes and units
ADAPTED = ["ada_verona", "art", "inspect_ai", "lightning", "maite", "mlflow", "ray", "torchmetrics"]
autodoc_mock_imports = [library for library in ADAPTED if find_spec(library) is None]
numpydoc_show_class_members = False

# Markdown and notebooks.
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 120

# C++ and C.
breathe_projects = {"headers": str(MADE / "headers" / "xml")}
breathe_default_project = "headers"
breathe_domain_by_extension = {"h": "c"}
breathe_default_members = ("members",)
breathe_show_include = False

# How pages look. They load nothing from elsewhere.
html_theme = "furo"
html_title = f"smoothbound {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
pygments_dark_style = "github-dark"
smartquotes = False  # -- is the beginning of an option
html_show_sphinx = False


# Links out of docs/, which GitHub follows, and where they lead here.
LINKS = {
    "](../benchmarks/README.md": "](/evidence/benchmarks.md",
    "](../cpp/examples/embed)": "](/howto/programs.md)",
    "](../docs/": "](/",
    "](studies)": "](#benchmarks)",
    "](cuda/README.md)": "](/evidence/gpu.md)",
}
# Pages that are files of other folders.
ELSEWHERE = {
    "evidence/benchmarks": "benchmarks/README.md",
    "evidence/gpu": "benchmarks/cuda/README.md",
}


def read_page(app: Any, page: str, source: list[str]) -> None:
    """Take pages from elsewhere, and let their links lead to pages of the site."""
    if page in ELSEWHERE:
        source[0] = (HERE.parent / ELSEWHERE[page]).read_text(encoding="utf-8")
    for link, here in LINKS.items():
        source[0] = source[0].replace(link, here)


def skip_what_others_wrote(app: Any, kind: str, name: str, value: Any, skip: bool, _: Any) -> Any:
    """Leave out what a class of another library brings."""
    home = getattr(value, "__module__", None) or "smoothbound"
    others = value is None or not home.startswith(("smoothbound", "builtins"))
    return skip or (kind == "class" and others)


def link_pages(app: Any, kind: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Let the pages that docstrings name be links."""

    def link(match: re.Match[str]) -> str:
        return f":doc:`/{match[1]}`" if match[1] in app.env.found_docs else match[0]

    lines[:] = [re.sub(r"`{0,2}docs/([\w-]+)\.md`{0,2}", link, line) for line in lines]


def name_enumerators(app: Any, env: Any) -> list[str]:
    """Let the index have the enumerators of C by their names, without their unnamed enums."""
    unnamed = "[anonymous]"
    for entries in env.domaindata["index"]["entries"].values():
        entries[:] = [
            (kind, name.removeprefix(f"{unnamed}."), *rest)
            for kind, name, *rest in entries
            if not name.startswith(f"{unnamed} ")
        ]
    return []


def setup(app: Any) -> None:
    """Tell Sphinx about the functions above."""
    app.connect("source-read", read_page)
    app.connect("autodoc-skip-member", skip_what_others_wrote)
    app.connect("autodoc-process-docstring", link_pages)
    app.connect("env-updated", name_enumerators)
