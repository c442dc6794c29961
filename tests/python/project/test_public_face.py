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

PACKAGE = Path(sb.__file__).parents[1]
EXTRAS = ("torch", "matplotlib", "jinja2", "PIL", "sklearn", "pandas")


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
    pages = [root / "README.md", root / "CHANGELOG.md", *(root / "docs").glob("*.md")]
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


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that has what is installed, but for the extras."""
    folder = tmp_path_factory.mktemp("bare")
    for place in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for found in Path(place).iterdir():
            if found.name.partition(".")[0] not in EXTRAS and found.suffix != ".pth":
                (folder / found.name).symlink_to(found)
    return folder


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
    ],
)
def test_a_package_that_is_missing_is_named_with_its_extra(
    bare: Path, code: str, package: str, extra: str
) -> None:
    said = python(code, bare, "-S").stderr
    assert f"ModuleNotFoundError: this part of smoothbound needs {package}" in said
    assert f'pip install "smoothbound[{extra}]"' in said


def test_imports_of_others_stay_as_they_are(bare: Path) -> None:
    code = "import sys; a = [*sys.meta_path]; import smoothbound; assert sys.meta_path == a; "
    code += "import importlib.util; print(importlib.util.find_spec('torch'))"
    assert run(code, bare, "-S").strip() == "None"
    assert "No module named 'torch'" in python("import smoothbound, torch", bare, "-S").stderr


def test_a_missing_package_that_no_extra_brings_is_left_as_it_is() -> None:
    from smoothbound._utils.extras import named

    with pytest.raises(ModuleNotFoundError, match=r"^No module named 'no_such_package'$"), named():
        import no_such_package  # noqa: F401


def test_a_missing_package_is_named_once() -> None:
    from smoothbound._utils.extras import named

    with pytest.raises(ModuleNotFoundError) as caught, named(), named():
        raise ModuleNotFoundError("No module named 'jinja2'", name="jinja2")
    assert str(caught.value).count("smoothbound needs jinja2") == 1


def test_a_report_names_the_extra_that_draws_it(bare: Path, tmp_path: Path) -> None:
    code = (
        "import smoothbound as sb, numpy as np\n"
        f"cert = sb.certify_scores(np.full((1, 99), 0.9), sigma=1, alpha=0.1)\n"
        f"cert.save({str(tmp_path / 'b.parquet')!r})\n"
        f"sb.report.write_report([{str(tmp_path / 'b.parquet')!r}], {str(tmp_path / 'r')!r})"
    )
    said = python(code, bare, "-S").stderr.splitlines()[-1]
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
    bare: Path, command: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code = f"import sys; sys.argv[1:] = {command.split()}; from smoothbound.cli import main; main()"
    done = python(code, bare, "-S")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    line = done.stderr.splitlines()[-1]
    assert line.startswith("error: this part of smoothbound needs torch")
    assert f'pip install "smoothbound[{extra}]"' in line


def test_scores_need_no_extra(bare: Path, tmp_path: Path) -> None:
    code = (
        "import numpy as np, smoothbound as sb\n"
        f"np.save({str(tmp_path / 's.npy')!r}, np.full((2, 99), 0.9))\n"
        "cert = sb.certify_scores(np.full((2, 99), 0.9), sigma=1, alpha=0.1, radii=[0])\n"
        "sb.ScoreSketch(2).update(np.full((2, 99), 0.9))\n"
        "assert (cert.lower > 0.5).all() and cert.to_arrow().num_rows == 2\n"
        f"import sys; sys.argv[1:] = ['bounds', {str(tmp_path / 's.npy')!r}, '--sigma', '1', "
        f"'--alpha', '0.1', '--out', {str(tmp_path / 'b.csv')!r}]\n"
        "from smoothbound.cli import main; main()"
    )
    assert "2 inputs, 99 draws each" in run(code, bare, "-S")


def test_the_extras_are_those_of_the_package() -> None:
    if sys.version_info < (3, 11):
        pytest.skip("needs tomllib")
    import tomllib

    from smoothbound._utils.extras import _EXTRA_OF

    project = Path(__file__).parents[3] / "pyproject.toml"
    extras = tomllib.loads(project.read_text())["project"]["optional-dependencies"]
    assert set(_EXTRA_OF.values()) <= set(extras)
