"""The examples of README.md and docs/ that say they run, do."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import smoothbound as sb
from smoothbound.cli import app

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "harness.md"
README = ROOT / "README.md"


def blocks(page: Path, language: str) -> list[str]:
    pattern = rf"^```{language}\n(.*?)^```"
    return re.findall(pattern, page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def run(block: str, names: dict[str, Any], page: Path = README) -> None:
    exec(compile(block, page.name, "exec"), names)


def test_the_page_on_harnesses_runs_from_top_to_bottom() -> None:
    pytest.importorskip("sklearn")
    found = blocks(PAGE, "python")
    assert len(found) == 4
    names: dict[str, Any] = {"__name__": "page"}
    for block in found:
        run(block, names, PAGE)
    assert names["y"] >= 0
    assert sum(row["correct"] for row in names["rows"]) >= 15
    np.testing.assert_array_less(names["bounds"].lower - 1e-12, names["scores"].mean())
    np.testing.assert_array_less(names["later"].lower, names["bounds"].lower + 1e-12)


@pytest.fixture(scope="module")
def snippets() -> dict[str, str]:
    """Return the Python blocks of the README, each by a word that it alone holds."""
    words = ("train.train", "radius_precision", "certify_scores", "monday", "adapters", "sb.custom",
             "torch.save", "write_report")  # fmt: skip
    found = blocks(README, "python")
    assert len(found) == len(words)
    named = {word: [block for block in found if word in block] for word in words}
    assert all(len(those) == 1 for those in named.values()), named
    return {word: block for word, (block,) in named.items()}


@pytest.fixture(scope="module")
def quick_start(snippets: dict[str, str]) -> dict[str, Any]:
    """Run the quick start, whose names the other blocks of the README go on with."""
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    names: dict[str, Any] = {"__name__": "readme"}
    run(snippets["train.train"], names)
    pyplot.close("all")
    return names


def test_the_quick_start_certifies(quick_start: dict[str, Any], snippets: dict[str, str]) -> None:
    cert = quick_start["cert"]
    assert (cert.predicted >= 0).any()
    assert (cert.lower[cert.predicted >= 0, 0] > 0.5).all()
    names = dict(quick_start)
    run(snippets["radius_precision"], names)
    assert len(names["cert"]) == 4


def test_scores_and_sketches_of_the_readme_certify(
    snippets: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "readme"}
    run(snippets["certify_scores"], names)
    assert (names["cert"].radius > 0.25).all()
    run(snippets["monday"], names)
    assert names["cert"].settings.n == 100_000
    assert (names["cert"].radius[:, 0] > 0.25).all()


def test_models_of_the_readme_are_taken(
    snippets: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    linear_model = pytest.importorskip("sklearn.linear_model")
    onnx = pytest.importorskip("onnx")
    monkeypatch.chdir(tmp_path)
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
    names = {
        "__name__": "readme",
        "sb": sb,
        "torch": torch,
        "module": module,
        "onnxruntime": pytest.importorskip("onnxruntime"),
        "LogisticRegression": linear_model.LogisticRegression,
        "jax": pytest.importorskip("jax"),
        "function": lambda x: x[:, :2],
        "x": np.random.default_rng(0).normal(size=(20, 3)),
        "y": np.arange(20) % 2,
    }
    run(snippets["adapters"], names)
    run(snippets["sb.custom"], names)
    cert = names["smoothed"].certify(torch.zeros(1, 3), n=500, alpha=0.01)
    assert cert.settings.measure == "label 3"


def test_a_network_goes_from_python_to_the_command_line_and_results_come_back(
    quick_start: dict[str, Any],
    snippets: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    figure = pytest.importorskip("matplotlib.figure")
    monkeypatch.chdir(tmp_path)
    names = dict(quick_start)
    run(snippets["torch.save"], names)
    (tmp_path / "nets.py").write_text(
        "from smoothbound import models\ndef make(): return models.build('digits_cnn')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    commands = [text for text in blocks(README, "bash") if "--checkpoint net.pt" in text]
    for line in commands[0].splitlines():
        program, *words = shlex.split(line)
        assert program == "smoothbound"
        # In one memory format, because a measured one may differ from run to run.
        few = ["--n", "300", "--n0", "20", "--max-inputs", "4", "--no-channels-last"]
        result = CliRunner().invoke(app, [*words, *few])
        assert result.exit_code == 0, result.output
    sys.modules.pop("nets", None)
    results, others = sb.store.load("results/"), sb.store.load("others/")
    np.testing.assert_array_equal(results.array("lower_cdf_ell"), others.array("lower_cdf_ell"))
    scores = np.full((2, 500), 0.9)
    np.save("scores.npy", scores)
    words = ["bounds", "scores.npy", "--sigma", "0.25", "--out", "bounds.parquet"]
    assert CliRunner().invoke(app, words).exit_code == 0
    names["ax"] = figure.Figure().subplots()
    run(snippets["write_report"], names)
    assert names["ax"].get_lines()
    assert list(Path("report").glob("*.html"))


def test_links_between_pages_lead_somewhere() -> None:
    for page in [README, ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
            assert target.startswith("http") or (page.parent / target).exists(), (page, target)
