"""Every snippet of README.md and docs/ runs, page by page and from top to bottom.

The blocks of a page share their names and a folder, as a reader's would. They make fewer draws and
train for fewer epochs than the pages say.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from typer.testing import CliRunner

import smoothbound as sb
from smoothbound.cli._app import app

ROOT = Path(__file__).parents[3]
PAGES = {page.name: page for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]}

# The blocks that are not run: the page, how the block begins, and why.
NOT_RUN = [
    (
        "README.md",
        "python3 -m venv",
        "makes an environment; the second line is how these tests run",
    ),
    ("reproduction.md", "smoothbound", "takes hours; test_reproduction.py runs it in short"),
]
# Data for reading, which nothing runs.
OTHER_LANGUAGES = {"bibtex", "cmake", "text"}

# What is replaced in Python to be quick, and the words that a command gets in addition.
FEWER = {
    "100_000": "2_000",
    "60_000": "1_200",
    "10_000": "1_000",
    '"digits_cnn", sigma=0.25': '"digits_cnn", sigma=0.25, epochs=4',
}
QUICK = {
    "train": ["--epochs", "2"],
    # In one memory format, because a measured one may differ from run to run.
    "certify": ["--n", "300", "--n0", "20", "--max-inputs", "4", "--no-channels-last"],
    "report": [],
    "bounds": [],
}


class Block(NamedTuple):
    page: str
    line: int
    language: str
    text: str

    @property
    def reason_not_to_run(self) -> str | None:
        for page, beginning, reason in NOT_RUN:
            if (self.page, self.text[: len(beginning)]) == (page, beginning):
                return reason
        return None


def blocks(name: str) -> list[Block]:
    text = PAGES[name].read_text(encoding="utf-8")
    found = re.finditer(r"^```(\w*)\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    return [Block(name, text[: m.start()].count("\n") + 2, m[1], m[2]) for m in found]


ALL = [block for name in PAGES for block in blocks(name)]
RUN = [b for b in ALL if b.language in ("python", "bash") and b.reason_not_to_run is None]


def run_python(block: Block, names: dict[str, Any]) -> None:
    text = block.text
    for many, few in FEWER.items():
        text = text.replace(many, few)
    exec(compile("\n" * (block.line - 1) + text, block.page, "exec"), names)


def run_shell(block: Block) -> None:
    for line in block.text.replace("\\\n", " ").splitlines():
        program, command, *words = shlex.split(line)
        assert program == "smoothbound", line
        result = CliRunner().invoke(app, [command, *words, *QUICK[command]])
        assert result.exit_code == 0, (line, result.output)


# what a page takes for granted ------------------------------------------------------------------


def models_of_other_libraries() -> dict[str, Any]:
    torch = pytest.importorskip("torch")
    linear_model = pytest.importorskip("sklearn.linear_model")
    onnx = pytest.importorskip("onnx")
    module = torch.nn.Linear(3, 4)
    torch.export.save(torch.export.export(module, (torch.zeros(2, 3),)), "model.pt2")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("Softmax", ["x"], ["p"])],
        "model",
        [helper.make_tensor_value_info("x", kind, ["n", 3])],
        [helper.make_tensor_value_info("p", kind, ["n", 3])],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), "model.onnx")
    Path("nets.py").write_text(
        "from smoothbound import models\ndef make(): return models.build('digits_cnn')\n"
    )
    return {
        "module": module,
        "onnxruntime": pytest.importorskip("onnxruntime"),
        "LogisticRegression": linear_model.LogisticRegression,
        "jax": pytest.importorskip("jax"),
        "function": lambda x: x[:, :2],
        "x": np.random.default_rng(0).normal(size=(20, 3)),
        "y": np.arange(20) % 2,
        "ax": pytest.importorskip("matplotlib.figure").Figure().subplots(),
    }


def a_file_of_scores() -> dict[str, Any]:
    np.save("scores.npy", np.full((2, 500), 0.9))
    return {}


GIVEN: dict[str, Callable[[], dict[str, Any]]] = {
    "models.md": models_of_other_libraries,
    "scores.md": a_file_of_scores,
}


# what comes out ---------------------------------------------------------------------------------


def check_readme(names: dict[str, Any]) -> None:
    assert (names["cert"].radius > 0.25).all()
    assert list(Path("report").glob("*.html"))


def check_scores(names: dict[str, Any]) -> None:
    assert (names["cert"].radius > 0.25).all()
    assert (names["upper"].lower < names["upper"].upper).all()
    assert len(sb.Certificate.load("bounds.parquet")) == 2


def check_sketches(names: dict[str, Any]) -> None:
    assert names["cert"].settings.n == 2_000
    assert (names["cert"].radius[:, 0] > 0.25).all()


def check_models(names: dict[str, Any]) -> None:
    assert len(names["cert"]) == 4
    x = names["torch"].zeros(1, 3)
    assert names["labelled"].certify(x, n=500, alpha=0.01).settings.measure == "label 3"
    results, others = sb.store.load("results/"), sb.store.load("others/")
    np.testing.assert_array_equal(results.array("lower_cdf_ell"), others.array("lower_cdf_ell"))
    assert names["ax"].get_lines()


def check_command_line(names: dict[str, Any]) -> None:
    assert len(sb.store.load("results/").table) == 4
    assert Path("net.pt.tsv").exists()
    assert list(Path("report").glob("*.html"))


def check_harness(names: dict[str, Any]) -> None:
    assert names["y"] >= 0
    assert sum(row["correct"] for row in names["rows"]) >= 15
    np.testing.assert_array_less(names["bounds"].lower - 1e-12, names["scores"].mean())
    np.testing.assert_array_less(names["later"].lower, names["bounds"].lower + 1e-12)


CHECKS = {
    "README.md": check_readme,
    "scores.md": check_scores,
    "sketches.md": check_sketches,
    "models.md": check_models,
    "command-line.md": check_command_line,
    "harness.md": check_harness,
}


@pytest.mark.parametrize("name", dict.fromkeys(block.page for block in RUN))
def test_the_snippets_of_a_page_run_from_top_to_bottom(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    names = {"__name__": "page"} | GIVEN.get(name, dict)()
    for block in RUN:
        if block.page == name:
            run_python(block, names) if block.language == "python" else run_shell(block)
    pyplot.close("all")
    sys.modules.pop("nets", None)
    CHECKS[name](names)


def test_every_block_runs_or_says_why_it_does_not() -> None:
    for block in ALL:
        assert block.language in {"python", "bash"} | OTHER_LANGUAGES, block
    for page, beginning, _ in NOT_RUN:
        assert any(b.page == page and b.text.startswith(beginning) for b in ALL), beginning


def test_links_between_pages_lead_somewhere() -> None:
    for page in [ROOT / "CONTRIBUTING.md", ROOT / "benchmarks" / "README.md", *PAGES.values()]:
        for target, section in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", page.read_text("utf-8")):
            if not target.startswith("http"):
                leads_to = page.parent / target if target else page
                assert leads_to.exists(), (page, target)
                assert not section or section in sections(leads_to), (page, target, section)


def sections(page: Path) -> set[str]:
    """Return the names by which links reach the headings of a page, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
