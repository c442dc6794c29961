"""Every snippet of README.md and docs/ runs, page by page and from top to bottom.

The blocks of a page share their names and a folder, as a reader's would. They make fewer draws and
train for fewer epochs than the pages say.
"""

from __future__ import annotations

import io
import json
import re
import runpy
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from scored import FIXED, make
from typer.testing import CliRunner

import smoothbound as sb
from smoothbound.cli._app import app

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
WRITTEN = [
    page
    for page in sorted([*DOCS.rglob("*.md"), *DOCS.rglob("*.ipynb")])
    if page.relative_to(DOCS).parts[0] not in ("made", "paper")  # by the build of the site; below
]
PAGES = {"README.md": ROOT / "README.md"} | {
    page.relative_to(DOCS).as_posix(): page for page in WRITTEN
}
OTHER_PAGES = [
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    ROOT / "docs" / "paper" / "paper.md",
    *(ROOT / "benchmarks" / folder / "README.md" for folder in (".", "cuda")),
]
ALL_PAGES = [*(page for page in PAGES.values() if page.suffix == ".md"), *OTHER_PAGES]
EXAMPLES = {"nets.py"}  # files of the reader

# The blocks that are not run: the page, its section, how the block begins, and why.
NOT_RUN = [
    ("README.md", "Install", "python3 -m venv", "makes an environment"),
    ("README.md", "Run the tests", "python3 -m venv", "makes an environment; .ci/run runs it"),
    ("tutorial/first.md", "Install", "", "makes an environment; cli/test_demo.py runs the demo"),
    ("clusters.md", "Ray", "", "harness/test_ray.py runs it on a cluster"),
    ("howto/transformers.md", "Images", "", "models/hub/test_page.py runs it"),
    ("howto/transformers.md", "Texts", "", "models/hub/test_page.py runs it"),
    ("reproduction.md", "(c) The published networks", "", "test_reproduction.py runs it"),
    ("howto/harness/lightning.md", "", "", "harness/test_lightning.py runs it"),
    ("howto/harness/mlflow.md", "", "", "harness/test_mlflow.py runs it"),
    ("howto/harness/inspect-ai.md", "", "", "harness/test_inspect.py runs it"),
    ("howto/harness/verona.md", "", "", "harness/test_verona.py runs it"),
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
# In one memory format, because a measured one may differ from run to run.
ONE_WAY = ["--no-channels-last", "--precision", "float32", "--batch-size", "100"]
QUICK = {
    "train": ["--epochs", "2", "--batch-size", "16"],
    "certify": ["--n", "350", "--n0", "10", "--max-inputs", "2", *ONE_WAY],
    "recommend": [],
    "report": [],
    "recertify": [],
    "status": [],
    "bounds": [],
    "verify": [],
}
# The networks of this page are larger than those of the others.
FEWER_INPUTS = {("reproduction.md", "certify"): ["--max-inputs", "1"]}


class Block(NamedTuple):
    page: str
    section: str
    line: int
    language: str
    text: str

    @property
    def runs(self) -> bool:
        return self.language in ("python", "bash") and not any(
            self.is_one_of(page, section, beginning) for page, section, beginning, _ in NOT_RUN
        )

    def is_one_of(self, page: str, section: str, beginning: str) -> bool:
        return (self.page, self.section) == (page, section) and self.text.startswith(beginning)


def blocks(name: str) -> list[Block]:
    text = PAGES[name].read_text(encoding="utf-8")
    if name.endswith(".ipynb"):
        return [
            Block(name, "", number, "python", "".join(cell["source"]))
            for number, cell in enumerate(json.loads(text)["cells"])
            if cell["cell_type"] == "code"
        ]
    found = re.finditer(r"^```([^\n]*)\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    return [
        block(name, text[: match.start()], match[1], match[2])
        for match in found
        if not match[1].startswith("{")  # what the site makes of it
    ]


def block(name: str, before: str, language: str, text: str) -> Block:
    sections = re.findall(r"^## (.*)$", before, flags=re.MULTILINE)
    return Block(name, sections[-1] if sections else "", before.count("\n") + 2, language, text)


ALL = [block for name in PAGES for block in blocks(name)]
RUN = [block for block in ALL if block.runs]


def run_python(block: Block, names: dict[str, Any]) -> None:
    text = block.text
    for many, few in FEWER.items():
        text = text.replace(many, few)
    exec(compile("\n" * (block.line - 1) + text, block.page, "exec"), names)


def run_script(path: Path, words: list[str]) -> None:
    """Run a script as its own program does, but in this process, which has imported torch."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [str(path), *words])
        patch.syspath_prepend(path.parent)
        runpy.run_path(str(path), run_name="__main__")


def run_shell(block: Block) -> None:
    for line in block.text.replace("\\\n", " ").splitlines():
        program, first, *words = shlex.split(line)
        if program == "python":
            run_script(ROOT / first, words)
        else:
            assert program == "smoothbound", line
            words += QUICK[first] + FEWER_INPUTS.get((block.page, first), [])
            result = CliRunner().invoke(app, [first, *words])
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


def images_of_one_class() -> dict[str, Any]:
    """Write what CIFAR-10 looks like as Parquet; a network learns it in a second."""
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    Path("cifar10").mkdir()
    for split, n in {"train": 128, "test": 81}.items():
        rows = []
        for pixels in rng.integers(0, 256, (n, 32, 32, 3), dtype=np.uint8):
            file = io.BytesIO()
            image.fromarray(pixels).save(file, "PNG")
            rows.append({"bytes": file.getvalue(), "path": "image.png"})
        pq.write_table(pa.table({"img": rows, "label": [3] * n}), f"cifar10/{split}.parquet")
    return {}


def a_results_folder() -> dict[str, Any]:
    make(Path("results"), FIXED)
    return {}


def library(name: str) -> Callable[[], dict[str, Any]]:
    def given() -> dict[str, Any]:
        pytest.importorskip(name)
        return {}

    return given


GIVEN: dict[str, Callable[[], dict[str, Any]]] = {
    "howto/harness/torchmetrics.md": library("torchmetrics"),
    "howto/harness/art.md": library("art"),
    "howto/harness/maite.md": library("maite"),
    "models.md": models_of_other_libraries,
    "scores.md": a_file_of_scores,
    "results.md": a_results_folder,
    "reproduction.md": images_of_one_class,
}


# what comes out ---------------------------------------------------------------------------------


def check_readme(names: dict[str, Any]) -> None:
    assert (names["cert"].radius > 0.25).all()
    assert list(Path("report").glob("*.html"))


def check_scores(names: dict[str, Any]) -> None:
    assert (names["cert"].radius > 0.25).all()
    assert (names["upper"].lower < names["upper"].upper).all()
    assert len(sb.Certificate.load("bounds.parquet")) == 2
    assert sb.Certificate.load("of-each.parquet").constant_within.tolist() == [0.1, 0.2]


def check_joint(names: dict[str, Any]) -> None:
    assert names["cert"].settings.method.bound == "joint"
    assert (names["cert"].radius.mean(axis=0) > names["band"].radius.mean(axis=0)).all()


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
    assert len(sb.store.load("results/").table) == 2
    assert Path("net.pt.tsv").exists()
    assert list(Path("report").glob("*.html"))


def check_reproduction(names: dict[str, Any]) -> None:
    folders = [path for path in Path("results").glob("*/*") if path.is_dir()]
    assert {folder.name for folder in folders} >= {"score_0.25", "margin_0.25", "score_0.50"}
    assert all((sb.store.load(folder).array("predicted") == 3).all() for folder in folders)
    assert (Path("report") / "n10000" / "report.html").exists()


def check_anytime(names: dict[str, Any]) -> None:
    assert names["decided"].certified
    assert names["found"].radius >= 0.2
    assert names["answers"].certified.all()


def check_results(names: dict[str, Any]) -> None:
    assert names["settings"]["format"] == names["results"].settings.format
    assert names["part"].column_names == ["index", "lower_cdf_ell"]
    assert len(names["frame"]) == 8


def check_harness(names: dict[str, Any]) -> None:
    assert names["y"] >= 0
    assert sum(row["correct"] for row in names["rows"]) >= 15
    np.testing.assert_array_less(names["bounds"].lower - 1e-12, names["scores"].mean())
    np.testing.assert_array_less(names["later"].lower, names["bounds"].lower + 1e-12)


def check_torchmetrics(names: dict[str, Any]) -> None:
    found = {name: float(value) for name, value in names["metrics"].compute().items()}
    assert found["accuracy"] == pytest.approx(0.8)  # the radius of two points is 0.05
    assert found["confidence"] > found["accuracy"] / 2
    assert 0.1 < found["radius"] <= names["points"].abs().mean()


def check_scikit_learn(names: dict[str, Any]) -> None:
    assert (names["guess"] == names["digit"][-20:]).mean() > 0.6
    assert (names["table"].lower[:, 1] > 0.5).any()


def check_art(names: dict[str, Any]) -> None:
    assert (names["radius"] > 0.1).sum() >= 2
    assert (names["prediction"] == names["certified"].predict(names["pixels"]).argmax(axis=1)).any()


def check_maite(names: dict[str, Any]) -> None:
    assert names["result"]["certified_accuracy@0.25"] > 0.5


def check_classes(names: dict[str, Any]) -> None:
    cert, classes = names["cert"], names["classes"]
    assert (cert.lower[:, 0] > classes.lower[[0, 1, 2], cert.selected, 0]).all()
    assert classes.settings.n_bounds == 10
    assert (classes.lower <= classes.upper).all()
    assert (names["bounds"].ece_upper <= 1).all()


def check_clusters(names: dict[str, Any]) -> None:
    results = sb.store.load("results")
    assert results.complete
    assert len(results) == 2
    assert len([*Path("results", "shards").glob("?-of-2.*")]) == 2


def check_conformal(names: dict[str, Any]) -> None:
    assert names["sets"].shape == (200, 10)
    assert 1 <= names["conformal"].mean_set_size(names["sets"]) < 2
    assert names["robust"].threshold.displacement > 0


def check_levels(names: dict[str, Any]) -> None:
    assert names["median"].lower.shape == (3, 2, 3)
    assert (names["median"].lower < names["median"].upper).all()
    assert names["reach"].radius.shape == (3, 1, 1)
    assert (names["reach"].lower > 0.5).all()
    assert (names["cert"].lower[:, 0] > 0.8).tolist() == [True, False]


def check_other_noises(names: dict[str, Any]) -> None:
    assert names["in_l1"].radius[0, 0] > 0.5
    assert names["hidden"].radius[0, 0] >= 5
    assert names["held"].lower.shape == (2, 1)
    assert names["smoothed"].radius.max() <= 0.2
    assert (names["classes"].top_radius <= [0.1, 0.2]).all()
    assert (names["each"].class_radius <= [0.1, 0.2]).all()
    assert names["later"].settings.sigma == 0.25


def check_front(names: dict[str, Any]) -> None:
    assert (names["cert"].radius > 0.25).all()


def check_measure(names: dict[str, Any]) -> None:
    assert names["cert"].settings.measure == "even"
    assert (names["risk"].upper[:, 0] < 5).any()


def check_adaptive(names: dict[str, Any]) -> None:
    assert names["cert"].n_draws.sum() <= 5_000
    assert names["answer"].certified


def check_which_bound(names: dict[str, Any]) -> None:
    assert (names["cert"].radius > 0.2).all()


def check_recertify(names: dict[str, Any]) -> None:
    assert len(names["results"].table) == 2
    assert sb.store.load("again/").settings.thresholds == (0.6, 0.8)


def check_sigma_and_n(names: dict[str, Any]) -> None:
    assert len(sb.store.load("pilots/0.5").table) == 2


def check_first(names: dict[str, Any]) -> None:
    assert names["cert"].lower.shape == (4, 3)


def check_figure(names: dict[str, Any]) -> None:
    assert list(Path("compared").glob("*.html"))


def check_own_network(names: dict[str, Any]) -> None:
    assert names["right"].mean() > 0.8
    assert len(sb.store.load("mine/").table) == 2


def check_scores_notebook(names: dict[str, Any]) -> None:
    assert names["cert"].radius[0, 0] > 0.5


def check_digits(names: dict[str, Any]) -> None:
    assert names["after"] > names["certified"]


CHECKS = {
    "index.md": check_front,
    "howto/measure.md": check_measure,
    "howto/adaptive.md": check_adaptive,
    "howto/recertify.md": check_recertify,
    "howto/which-bound.md": check_which_bound,
    "howto/sigma-and-n.md": check_sigma_and_n,
    "tutorial/first.md": check_first,
    "tutorial/figure.md": check_figure,
    "tutorial/own-network.md": check_own_network,
    "examples/scores.ipynb": check_scores_notebook,
    "examples/digits.ipynb": check_digits,
    "anytime.md": check_anytime,
    "README.md": check_readme,
    "scores.md": check_scores,
    "levels.md": check_levels,
    "joint.md": check_joint,
    "sketches.md": check_sketches,
    "models.md": check_models,
    "command-line.md": check_command_line,
    "conformal.md": check_conformal,
    "classes.md": check_classes,
    "clusters.md": check_clusters,
    "howto/harness/index.md": check_harness,
    "howto/harness/torchmetrics.md": check_torchmetrics,
    "howto/harness/scikit-learn.md": check_scikit_learn,
    "howto/harness/art.md": check_art,
    "howto/harness/maite.md": check_maite,
    "other-noises.md": check_other_noises,
    "results.md": check_results,
    "reproduction.md": check_reproduction,
}


@pytest.mark.parametrize("name", dict.fromkeys(block.page for block in RUN))
def test_the_snippets_of_a_page_run_from_top_to_bottom(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    if name != "README.md":  # whose report is drawn
        request.getfixturevalue("undrawn")
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
    for page, section, beginning, reason in NOT_RUN:
        assert any(block.is_one_of(page, section, beginning) for block in ALL), reason


def test_options_of_the_synopsis_are_options_of_the_commands() -> None:
    (synopsis,) = [block.text for block in blocks("command-line.md") if block.language == "text"]
    commands = typer.main.get_command(app).commands
    shown = re.split(r"^smoothbound (\w+)", synopsis, flags=re.MULTILINE)[1:]
    assert set(shown[::2]) == set(commands)
    for name, words in zip(shown[::2], shown[1::2], strict=True):
        options = {
            word for param in commands[name].params for word in param.opts + param.secondary_opts
        }
        assert set(re.findall(r"--[\w-]+", words)) <= options, name


def test_files_that_the_pages_name_are_there() -> None:
    places = [ROOT / place for place in ("benchmarks", "cpp", "docs", "python", "tests")]
    files = [*ROOT.iterdir(), *(file for place in places for file in place.rglob("*.*"))]
    paths = {file.as_posix() for file in files}
    for page in ALL_PAGES:
        text = page.read_text(encoding="utf-8")
        for name in set(re.findall(r"`([\w/.-]+\.(?:py|hpp|cpp|h|txt|toml))`", text)) - EXAMPLES:
            assert any(path.endswith(f"/{name}") for path in paths), (page.name, name)


def test_links_between_pages_lead_somewhere() -> None:
    for page in ALL_PAGES:
        for target, section in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", page.read_text("utf-8")):
            if not target.startswith("http"):
                leads_to = page.parent / target if target else page
                assert leads_to.exists(), (page, target)
                assert not section or section in sections(leads_to), (page, target, section)


def sections(page: Path) -> set[str]:
    """Return the names by which links reach the headings of a page, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
