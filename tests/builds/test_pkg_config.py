"""What is installed, as pkg-config tells it to compilers: of C++, C and Rust."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import smoothbound as sb

EXAMPLES = Path(__file__).parents[2] / "cpp" / "examples" / "embed"
SCORES = np.random.default_rng(1).beta(8, 1, size=1000)


def tool(name: str, *others: str) -> str:
    """Return the path of the first of these programs that there is; skip if there is none."""
    found = next(filter(None, map(shutil.which, (name, *others))), None)
    if found is None:
        pytest.skip(f"needs {name}")
    return found


@pytest.fixture(params=["static", "shared"])
def installed(request, builds) -> Path:
    """A core of each kind, in a folder that nobody told the build of."""
    return builds.installed if request.param == "static" else builds.shared


@pytest.fixture
def flags(builds, installed, monkeypatch):
    """Return what pkg-config says of a package: the compiler's words."""
    program = tool("pkg-config", "pkgconf")
    folders = {path.parent for path in installed.rglob("*.pc")}
    assert len(folders) == 1
    monkeypatch.setenv("PKG_CONFIG_PATH", str(folders.pop()))
    return lambda package, *options: builds.run(program, *options, package).split()


def certified(builds, program: Path, *words: str) -> None:
    """Assert that a program prints the certificate of its scores."""
    printed = builds.run(program, *words, input=" ".join(map(repr, SCORES.tolist())))
    cert = sb.certify_scores(SCORES[None], sigma=0.25, radii=[0, 0.25], thresholds=[0.5])
    expected = [*cert.lower[0], *cert.radius[0]]
    tolerance = 0.0 if cert.settings.backend == "cpp" else 1e-10
    np.testing.assert_allclose(list(map(float, printed.split())), expected, 0, tolerance)


def run_path(words: list[str]) -> str:
    """Return the option by which the linker writes the folder of the library into the program."""
    (folder,) = [word.removeprefix("-L") for word in words if word.startswith("-L")]
    return f"-Wl,-rpath,{os.path.realpath(folder)}"


@pytest.mark.parametrize(
    ("package", "compiler", "source", "options"),
    [
        ("smoothbound", "c++", "embed.cpp", ["-std=c++20"]),
        ("smoothbound_c", "cc", "embed.c", ["-std=c99"]),
    ],
)
def test_a_program_in_c_or_cpp(builds, flags, tmp_path, package, compiler, source, options):
    words = flags(package, "--cflags", "--libs")
    program = tmp_path / "program"
    builds.run(tool(compiler), *options, EXAMPLES / source, "-o", program, *words, run_path(words))
    certified(builds, program, "1000")


def test_a_program_in_rust(builds, flags, tmp_path):
    words = flags("smoothbound_c", "--libs")
    program = tmp_path / "program"
    options = ["-D", "warnings", "-O", "-C", f"link-arg={run_path(words)}", "-o", program]
    builds.run(tool("rustc"), EXAMPLES / "embed.rs", *options, *words)
    certified(builds, program)
    message = builds.run(program, input="0.5 0.5 1.5 0.5", fails=True)
    assert message == "embed: scores[0, 2] must be a number in the range [a, b], got 1.5\n"


def test_the_version(builds, flags):
    for package in ("smoothbound", "smoothbound_c"):
        assert flags(package, "--modversion") == [sb.__version__]
