"""Builds smoothbound._core by calling CMake; all compiler settings are in CMakeLists.txt.

With SMOOTHBOUND_NO_CORE=1 in the environment it is left out, and numba computes the bounds.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent.resolve()
# The core for programs in C++ and C, which build it from `smoothbound.build_info()["source"]`.
SOURCES = (
    "CMakeLists.txt",
    "LICENSE",
    "python/smoothbound/_version.py",
    "cpp/*.in",
    "cpp/include/**/*.h*",
    "cpp/src/**/*.*",
    "cpp/examples/**/*.*",
)
HELP = """
smoothbound's C++ core cannot be built: {why}.
It needs CMake 3.22 or newer and a compiler of C++20, such as g++ 11 or clang++ 14;
on Debian and Ubuntu "apt install g++" brings one.
To install without the core, with numba in its place, which computes the same bounds more slowly:
    SMOOTHBOUND_NO_CORE=1 pip install .
"""


class WithSources(build_py):
    """Puts the sources of the core into the package; a checkout (-e) has them already."""

    def run(self):
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib) / "smoothbound" / "_source"
        shutil.rmtree(target, ignore_errors=True)
        for pattern in SOURCES:
            for file in ROOT.glob(pattern):
                copy = target / file.relative_to(ROOT)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, copy)


class CMakeBuild(build_ext):
    def build_extension(self, ext):
        import pybind11

        # setuptools says where the extension belongs: in the wheel, or beside the sources (-e).
        target = Path(self.get_ext_fullpath(ext.name)).resolve().parent
        # Ninja comes with the build, and a machine with a compiler may lack make.
        ninja = None if "CMAKE_GENERATOR" in os.environ else shutil.which("ninja")
        build = Path(self.build_temp).resolve() / ("ninja" if ninja else "cmake")
        run(
            "cmake",
            # The folder of an earlier build may name the ninja of an environment that is gone.
            *(["-GNinja", f"-DCMAKE_MAKE_PROGRAM={ninja}"] if ninja else []),
            f"-S{ROOT}",
            f"-B{build}",
            "-DSMOOTHBOUND_BINDINGS=ON",
            "-DCMAKE_BUILD_TYPE=Release",
            f"-DPython_EXECUTABLE={sys.executable}",
            f"-Dpybind11_DIR={pybind11.get_cmake_dir()}",
            f"-DCMAKE_LIBRARY_OUTPUT_DIRECTORY={target}",
            f"-DCMAKE_LIBRARY_OUTPUT_DIRECTORY_RELEASE={target}",
        )
        # Make would start all at once if it were not told how many.
        jobs = os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL") or str(os.cpu_count() or 1)
        run("cmake", "--build", build, "--config", "Release", "--parallel", jobs)


def run(*command):
    """Run a step of the build, or end with what it needs."""
    try:
        subprocess.run(command, check=True)
    except FileNotFoundError:
        raise SystemExit(HELP.format(why=f"there is no program {command[0]!r}")) from None
    except subprocess.CalledProcessError:
        raise SystemExit(HELP.format(why="the reason stands above")) from None


core = Extension("smoothbound._core", sources=[])
without_core = os.environ.get("SMOOTHBOUND_NO_CORE", "0") not in ("", "0")
commands = {"build_ext": CMakeBuild, "build_py": WithSources}
setup(ext_modules=[] if without_core else [core], cmdclass=commands)
