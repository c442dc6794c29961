"""What `import smoothbound` offers, what it costs, and what it says where something is missing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import smoothbound as sb
from smoothbound._utils.extras import EXTRAS, name_the_extra

PACKAGE = Path(sb.__file__).parents[1]


def python(code: str, path: Path | str = "", *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(path), str(PACKAGE)])}
    command = [sys.executable, *arguments, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def run(code: str, path: Path | str = "", *arguments: str) -> str:
    done = python(code, path, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_public_name_and_module_is_an_attribute() -> None:
    pytest.importorskip("torch")
    names = [name for name in dir(sb) if not name.startswith("__")]
    assert {"store", "figures", "data", "train", "errors", "recommend"} <= set(names)
    code = "import smoothbound as sb\n" + "\n".join(
        f"assert sb.{name} is not None" for name in names
    )
    run(code)


def test_every_name_that_the_documents_use_is_an_attribute() -> None:
    root = Path(__file__).parents[3]
    pages = [root / "README.md", root / "CHANGELOG.md", *(root / "docs").rglob("*.md")]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    used = set(re.findall(r"(?<![\w.])(?:sb|smoothbound)\.([A-Za-z_]+)", text))
    files = {"h", "hpp", "core", "c", "dev", "cli"}  # headers, libraries, a page
    assert used - files <= set(dir(sb)) | {"_core"}, used - files - set(dir(sb))


def test_dir_shows_what_is_public_and_nothing_else() -> None:
    assert not {"TYPE_CHECKING", "Any", "annotations", "importlib", "named"} & set(dir(sb))
    with pytest.raises(AttributeError, match="module 'smoothbound' has no attribute 'nothing'"):
        sb.nothing  # noqa: B018


def test_importing_loads_neither_torch_nor_numpy() -> None:
    code = "import sys, smoothbound; print(*{'torch', 'numpy', 'numba', 'scipy'} & {*sys.modules})"
    assert run(code).strip() == ""


# --- without the extras -----------------------------------------------------------------------


def installed(folder: Path, without: set[str]) -> Path:
    """Fill a folder with links to all installed packages but some, and return it."""
    for place in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for found in Path(place).iterdir():
            if found.name.partition(".")[0] not in without and found.suffix != ".pth":
                (folder / found.name).symlink_to(found)
    return folder


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of packages in which those of all extras are missing."""
    return installed(tmp_path_factory.mktemp("bare"), set(EXTRAS))


@pytest.fixture(scope="module")
def with_cli(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of packages in which only those of the extra `cli` are there."""
    return installed(tmp_path_factory.mktemp("cli"), set(EXTRAS) - {"typer", "rich", "pyarrow"})


@pytest.mark.parametrize(
    ("code", "package", "extra"),
    [
        ("import smoothbound; smoothbound.SmoothedClassifier", "torch", "torch"),
        ("from smoothbound.train import RECIPES", "torch", "torch"),
        ("from smoothbound.models import build", "torch", "torch"),
        ("import smoothbound; smoothbound.train.train", "torch", "torch"),
        (
            "import smoothbound as sb, numpy as np; "
            "sb.certify_scores(np.full((1, 99), 0.5), sigma=1, alpha=0.1).plot()",
            "matplotlib",
            "report",
        ),
        (
            "import smoothbound as sb, numpy as np; "
            "sb.certify_scores(np.full((1, 99), 0.5), sigma=1, alpha=0.1).to_pandas()",
            "pandas",
            "all",
        ),
        (
            "import smoothbound as sb, numpy as np; "
            "sb.certify_scores(np.full((1, 99), 0.5), sigma=1, alpha=0.1, radii=[0]).to_arrow()",
            "pyarrow",
            "store",
        ),
        (
            "import smoothbound as sb, numpy as np; "
            "sb.certify_scores(np.full((1, 99), 0.5), sigma=1, alpha=0.1).save('a.parquet')",
            "pyarrow",
            "store",
        ),
        ("import smoothbound as sb; sb.Certificate.load('a.parquet')", "pyarrow", "store"),
        ("import smoothbound as sb; sb.ScoreSketch(2).save('a.parquet')", "pyarrow", "store"),
        ("import smoothbound as sb; sb.ScoreSketch.load('a.parquet')", "pyarrow", "store"),
        ("import smoothbound as sb; sb.ClassSketch.load('a.parquet')", "pyarrow", "store"),
        ("import smoothbound as sb; sb.store.load('results')", "pyarrow", "store"),
        ("import smoothbound as sb; sb.scores.open_scores('a.npy')", "pyarrow", "store"),
        ("import smoothbound as sb; sb.report.write_report(['a'], 'b')", "pyarrow", "store"),
        ("from smoothbound.cli import main", "typer", "cli"),
    ],
)
def test_a_package_that_is_missing_is_named_with_its_extra(
    bare: Path, code: str, package: str, extra: str
) -> None:
    said = python(code, bare, "-S").stderr
    assert f"ModuleNotFoundError: this part of smoothbound needs {package}" in said
    assert f'pip install "smoothbound[{extra}]"' in said


@pytest.mark.parametrize(
    ("code", "package", "extra"),
    [
        ("import smoothbound as sb; sb.harness.CertifiedAccuracy", "torchmetrics", "torchmetrics"),
        ("import smoothbound as sb; sb.harness.SmoothedEstimator", "sklearn", "sklearn"),
        ("import smoothbound as sb; sb.harness.PyTorchCertifiedSmoothing", "art", "art"),
        ("import smoothbound as sb; sb.harness.certified_mean", "inspect_ai", "inspect"),
        (
            "import smoothbound as sb; sb.harness.SmoothedVerificationModule",
            "ada_verona",
            "verona",
        ),
        ("import smoothbound as sb; sb.harness.CertifiedValidation", "lightning", "lightning"),
        ("import smoothbound as sb; sb.harness.mlflow_metrics", "mlflow", "mlflow"),
    ],
)
def test_a_library_that_is_missing_beside_torch_is_named_with_its_extra(
    tmp_path: Path, code: str, package: str, extra: str
) -> None:
    said = python(code, installed(tmp_path, {package}), "-S").stderr
    assert f"ModuleNotFoundError: this part of smoothbound needs {package}" in said
    assert f'pip install "smoothbound[{extra}]"' in said


def test_imports_of_others_stay_as_they_are(bare: Path) -> None:
    code = "import sys; a = [*sys.meta_path]; import smoothbound; assert sys.meta_path == a; "
    code += "import importlib.util; print(importlib.util.find_spec('torch'))"
    assert run(code, bare, "-S").strip() == "None"
    assert "No module named 'torch'" in python("import smoothbound, torch", bare, "-S").stderr


def test_a_missing_package_that_no_extra_brings_is_left_as_it_is() -> None:
    with (
        pytest.raises(ModuleNotFoundError, match=r"^No module named 'no_such_package'$"),
        name_the_extra(),
    ):
        import no_such_package  # noqa: F401


def test_a_missing_package_is_named_once() -> None:
    with pytest.raises(ModuleNotFoundError) as caught, name_the_extra(), name_the_extra():
        raise ModuleNotFoundError("No module named 'jinja2'", name="jinja2")
    assert str(caught.value).count("smoothbound needs jinja2") == 1


def test_a_report_names_the_extra_that_draws_it(with_cli: Path, tmp_path: Path) -> None:
    code = (
        "import smoothbound as sb, numpy as np\n"
        f"cert = sb.certify_scores(np.full((1, 99), 0.9), sigma=1, alpha=0.1)\n"
        f"cert.save({str(tmp_path / 'b.parquet')!r})\n"
        f"sb.report.write_report([{str(tmp_path / 'b.parquet')!r}], {str(tmp_path / 'r')!r})"
    )
    said = python(code, with_cli, "-S").stderr.splitlines()[-1]
    assert said.startswith("ModuleNotFoundError: this part of smoothbound needs ")
    assert said.endswith('pip install "smoothbound[report]" brings it')


def test_the_package_runs_as_a_module() -> None:
    command = [sys.executable, "-m", "smoothbound", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"smoothbound {sb.__version__}\n"


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        ("demo --out d", "torch"),
        ("train --data digits --arch digits_cnn --sigma 1 --out m.pt", "torch"),
        ("certify --checkpoint m.pt --data digits --sigma 1 --out r", "torch"),
    ],
)
def test_the_command_line_names_the_extra_in_one_line(
    with_cli: Path, command: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code = f"import sys; sys.argv[1:] = {command.split()}; from smoothbound.cli import main; main()"
    done = python(code, with_cli, "-S")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    line = done.stderr.splitlines()[-1]
    assert line.startswith("error: this part of smoothbound needs torch")
    assert f'pip install "smoothbound[{extra}]"' in line


def test_the_program_says_in_one_line_which_extra_it_needs(bare: Path) -> None:
    done = python("from smoothbound.__main__ import main; main()", bare, "-S")
    assert done.returncode == 2
    assert done.stderr == (
        "error: this part of smoothbound needs typer, which is not installed; "
        'pip install "smoothbound[cli]" brings it\n'
    )


def test_scores_need_no_extra(bare: Path) -> None:
    code = (
        "import numpy as np, smoothbound as sb\n"
        "scores = np.random.default_rng(0).uniform(0.8, 1, (2, 500))\n"
        "for options in ({}, {'bound': 'tangent'}, {'bound': 'mean'}, {'backend': 'numba'}):\n"
        "    cert = sb.certify_scores(scores, sigma=1, alpha=0.1, radii=[0], **options)\n"
        "    assert (cert.lower > 0.5).all() and 'lower@0' in repr(cert)\n"
        "sketch = sb.ScoreSketch(2, sigma=1)\n"
        "sketch.update(scores)\n"
        "assert (sketch.certify(alpha=0.1, radii=[0]).lower > 0.5).all()\n"
        "every = sb.ClassSketch.from_scores(np.stack([scores, 1 - scores], axis=2), sigma=1)\n"
        "assert (every.certify(alpha=0.1).margin() > 0).all()\n"
        "assert sb.required_draws(0.5, alpha=0.1) > 0"
    )
    run(code, bare, "-S")


def test_bounds_needs_the_extra_of_the_command_line_alone(with_cli: Path, tmp_path: Path) -> None:
    code = (
        "import numpy as np\n"
        f"np.save({str(tmp_path / 's.npy')!r}, np.full((2, 99), 0.9))\n"
        f"import sys; sys.argv[1:] = ['bounds', {str(tmp_path / 's.npy')!r}, '--sigma', '1', "
        f"'--alpha', '0.1', '--out', {str(tmp_path / 'b.csv')!r}]\n"
        "from smoothbound.cli import main; main()"
    )
    assert "2 inputs, 99 draws each" in run(code, with_cli, "-S")


def test_the_extras_are_those_of_the_package() -> None:
    if sys.version_info < (3, 11):
        pytest.skip("needs tomllib")
    import tomllib

    project = Path(__file__).parents[3] / "pyproject.toml"
    extras = tomllib.loads(project.read_text())["project"]["optional-dependencies"]
    assert set(EXTRAS.values()) <= set(extras)
    names = {
        "sklearn": "scikit-learn",
        "PIL": "pillow",
        "art": "adversarial-robustness-toolbox",
        "inspect_ai": "inspect-ai",
        "ada_verona": "ada-verona",
    }
    for package, extra in EXTRAS.items():
        assert any(names.get(package, package) in needed for needed in extras[extra]), package
