"""The core without Python: configure, build, run its tests, install, link a program against it."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import smoothbound as sb

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(
    shutil.which("cmake") is None or shutil.which("c++") is None,
    reason="needs cmake and a C++ compiler",
)


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The prefix where the core was installed, its own tests having passed."""
    build, prefix = tmp_path_factory.mktemp("build"), tmp_path_factory.mktemp("prefix")
    run(
        "cmake",
        f"-S{ROOT}",
        f"-B{build}",
        "-DSMOOTHBOUND_TESTS=ON",
        "-DSMOOTHBOUND_WERROR=ON",
        "-DCMAKE_BUILD_TYPE=Release",
        f"-DCMAKE_INSTALL_PREFIX={prefix}",
        "-DCMAKE_DISABLE_FIND_PACKAGE_Python=ON",
    )
    run("cmake", "--build", build, "--parallel", "2")
    assert "100% tests passed" in run("ctest", "--test-dir", build, "--output-on-failure")
    run("cmake", "--install", build)
    return prefix


def test_a_consumer_links_and_certifies(installed, tmp_path):
    source = ROOT / "tests" / "cpp" / "consumer"
    run("cmake", f"-S{source}", f"-B{tmp_path}", f"-DCMAKE_PREFIX_PATH={installed}")
    run("cmake", "--build", tmp_path)
    printed = [float(word) for word in run(tmp_path / "consumer").split()]
    cert = sb.certify_scores(np.full((1, 1000), 0.9), sigma=0.25, radii=[0, 0.25], thresholds=[0.5])
    np.testing.assert_allclose(printed, [*cert.lower[0], *cert.radius[0]], atol=1e-6)


def test_what_is_installed(installed):
    names = {path.name for path in installed.rglob("*") if path.is_file()}
    headers = {path.name for path in (ROOT / "cpp/include/smoothbound").glob("*.hpp")}
    assert headers <= names
    assert {"libsmoothbound.a", "smoothboundConfig.cmake", "smoothboundTargets.cmake"} <= names
