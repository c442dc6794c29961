"""The Conan 2 recipe of the core, in C++ and C: ``conan create docs/packaging/conan``."""

import re
from pathlib import Path

from conan import ConanFile
from conan.tools.build import check_min_cppstd
from conan.tools.cmake import CMake, CMakeToolchain, cmake_layout
from conan.tools.files import copy

FILES = ("CMakeLists.txt", "LICENSE", "cpp/*", "python/smoothbound/_version.py")


class Smoothbound(ConanFile):
    """Builds the core from the checkout that the recipe lies in."""

    name = "smoothbound"
    description = "Certified confidence for smoothed classifiers"
    license = "BSD-3-Clause"
    topics = ("randomized smoothing", "certified robustness")
    package_type = "library"
    settings = "os", "compiler", "build_type", "arch"
    options = {"shared": [True, False]}  # noqa: RUF012 Conan reads it from the class
    default_options = {"shared": False}  # noqa: RUF012

    @property
    def checkout(self):
        """The folder with CMakeLists.txt."""
        return Path(self.recipe_folder).parents[2]

    def set_version(self):
        """Read the version where the package has it."""
        text = (self.checkout / "python" / "smoothbound" / "_version.py").read_text("utf-8")
        self.version = re.search(r'__version__ = "(.*)"', text)[1]

    def export_sources(self):
        """Take what the core is built from."""
        for pattern in FILES:
            copy(self, pattern, self.checkout, self.export_sources_folder)

    def validate(self):
        """Refuse compilers without C++20."""
        check_min_cppstd(self, 20)

    def layout(self):
        """Build in a folder of its own."""
        cmake_layout(self)

    def generate(self):
        """Write the toolchain, which knows whether libraries are shared."""
        CMakeToolchain(self).generate()

    def build(self):
        """Compile both libraries."""
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        """Install headers, libraries and the licence."""
        copy(self, "LICENSE", self.source_folder, Path(self.package_folder) / "licenses")
        CMake(self).install()

    def package_info(self):
        """Name the targets as CMake and pkg-config do without Conan."""
        core, c = self.cpp_info.components["core"], self.cpp_info.components["c"]
        core.libs, c.libs = ["smoothbound"], ["smoothbound_c"]
        core.system_libs = ["pthread", "m"] if self.settings.os == "Linux" else []
        c.requires = ["core"]
        for part, target in ((core, "smoothbound"), (c, "smoothbound_c")):
            part.set_property("pkg_config_name", target)
        core.set_property("cmake_target_name", "smoothbound::core")
        c.set_property("cmake_target_name", "smoothbound::c")
