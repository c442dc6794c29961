"""The package as it is built, shipped and installed: from an sdist, with the core and without."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CERTIFY = """
import numpy as np, smoothbound as sb
cert = sb.certify_scores(np.full((2, 500), 0.9), sigma=0.5, alpha=0.1, radii=[0, 0.1])
assert (cert.lower > 0.5).all()
print(sb.__file__, sb.build_info()["backend"])
"""

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("build") is None or not (ROOT / "setup.py").is_file(),
    reason="needs the package build, and the sources",
)


def run(
    command: Sequence[object], folder: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": "", **environment},
        check=False,
    )


def build(what: str, source: Path, out: Path, **environment: str) -> Path:
    command = [
        sys.executable,
        "-m",
        "build",
        f"--{what}",
        "--no-isolation",
        "--outdir",
        out,
        source,
    ]
    done = run(command, out, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = out.glob("*.whl" if what == "wheel" else "*.tar.gz")
    return made


def unoptimised(folder: Path) -> dict[str, str]:
    """Return what makes CMake compile without optimisation, which takes most of the time."""
    launcher = folder / "unoptimised.sh"
    launcher.write_text('#!/bin/sh\nexec "$@" -O0\n')
    launcher.chmod(0o755)
    return {"CMAKE_CXX_COMPILER_LAUNCHER": str(launcher)}


def imported(wheel: Path, folder: Path, **environment: str) -> str:
    """Unpack a wheel as an installer does, certify with it, and return what was printed."""
    zipfile.ZipFile(wheel).extractall(folder)
    done = run([sys.executable, "-c", CERTIFY], folder, PYTHONPATH=str(folder), **environment)
    assert done.returncode == 0, done.stderr
    assert str(folder) in done.stdout
    return done.stdout.split()[-1]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack an sdist that was built from a copy of the sources; return its folder."""
    folder = tmp_path_factory.mktemp("sdist")
    copy = folder / "copy"
    leave = shutil.ignore_patterns(".git", "build", "*.egg-info", "__pycache__", "*.so", ".*_cache")
    shutil.copytree(ROOT, copy, ignore=leave)
    archive = build("sdist", copy, folder)
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    (unpacked,) = folder.glob("smoothbound-*/")
    return unpacked


def test_an_sdist_has_all_that_a_build_and_a_test_need(source: Path) -> None:
    wanted = """
        CMakeLists.txt LICENSE README.md CONTRIBUTING.md constraints.txt
        cpp/src/kernels/kernels.cpp cpp/include/smoothbound/smoothbound.h cpp/bindings/module.cpp
        cpp/smoothboundConfig.cmake.in python/smoothbound/py.typed python/smoothbound/_core.pyi
        tests/python/conftest.py docs/howto/harness/index.md
    """
    for name in wanted.split():
        assert (source / name).is_file(), name
    assert not [*source.rglob("*.so"), *source.rglob("__pycache__")]
    assert list((source / "python/smoothbound/report/templates").glob("*.html"))


def test_a_wheel_has_the_sources_for_programs_that_embed_the_core(
    source: Path, tmp_path: Path
) -> None:
    if shutil.which("cmake") is None or shutil.which("c++") is None:
        pytest.skip("needs cmake and a C++ compiler")
    wheel = build("wheel", source, tmp_path, SMOOTHBOUND_NO_CORE="1")
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    code = "import smoothbound; print(smoothbound.build_info()['source'])"
    command = [sys.executable, "-c", code]
    told = run(command, tmp_path, PYTHONPATH=str(tmp_path / "installed")).stdout.strip()
    assert Path(told) == tmp_path / "installed" / "smoothbound" / "_source"
    for folder in ("cpp/include", "cpp/src", "cpp/examples"):
        files = {path.relative_to(source) for path in (source / folder).rglob("*.*")}
        assert {path.relative_to(told) for path in Path(told, folder).rglob("*.*")} == files
    done = run(["cmake", "-S", told, "-B", "core"], tmp_path)  # finds every file that it compiles
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_sdist_builds_a_wheel_with_the_core(source: Path, tmp_path: Path) -> None:
    if shutil.which("cmake") is None or shutil.which("c++") is None:
        pytest.skip("needs cmake and a C++ compiler")
    wheel = build("wheel", source, tmp_path, **unoptimised(tmp_path))
    assert "none-any" not in wheel.name
    assert imported(wheel, tmp_path / "installed") == "cpp"


def test_a_wheel_without_the_core_certifies_by_numba(source: Path, tmp_path: Path) -> None:
    nothing = {"SMOOTHBOUND_NO_CORE": "1", "CXX": "no-such-compiler"}
    wheel = build("wheel", source, tmp_path, **nothing)
    assert wheel.name.endswith("py3-none-any.whl")
    assert imported(wheel, tmp_path / "installed") == "numba"


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ({"CXX": "no-such-compiler"}, "the reason stands above"),
        ({"PATH": ""}, "there is no program 'cmake'"),
    ],
)
def test_a_missing_compiler_is_told_in_a_few_lines(
    source: Path, tmp_path: Path, environment: dict[str, str], why: str
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(source, copy)
    command = [sys.executable, "setup.py", "-q", "build_ext"]
    done = run(command, copy, **environment)
    assert done.returncode != 0
    assert f"smoothbound's C++ core cannot be built: {why}" in done.stderr
    assert "SMOOTHBOUND_NO_CORE=1 pip install ." in done.stderr
    assert "Traceback" not in done.stderr
