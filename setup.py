"""Builds smoothbound._core by calling CMake; all compiler settings are in CMakeLists.txt."""

import subprocess
import sys
from pathlib import Path

import pybind11
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).parent.resolve()


class CMakeBuild(build_ext):
    def build_extension(self, ext):
        # setuptools says where the extension belongs: in the wheel, or beside the sources (-e).
        target = Path(self.get_ext_fullpath(ext.name)).resolve().parent
        build = Path(self.build_temp).resolve() / "cmake"
        configure = [
            "cmake",
            f"-S{ROOT}",
            f"-B{build}",
            "-DSMOOTHBOUND_BINDINGS=ON",
            "-DCMAKE_BUILD_TYPE=Release",
            f"-DPython_EXECUTABLE={sys.executable}",
            f"-Dpybind11_DIR={pybind11.get_cmake_dir()}",
            f"-DCMAKE_LIBRARY_OUTPUT_DIRECTORY={target}",
            f"-DCMAKE_LIBRARY_OUTPUT_DIRECTORY_RELEASE={target}",
        ]
        subprocess.run(configure, check=True)
        subprocess.run(["cmake", "--build", build, "--config", "Release", "--parallel"], check=True)


setup(ext_modules=[Extension("smoothbound._core", sources=[])], cmdclass={"build_ext": CMakeBuild})
