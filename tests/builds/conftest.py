"""The builds that ctest makes before it starts these tests; see CMakeLists.txt."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Builds:
    """The folders of the builds."""

    root: Path

    @property
    def installed(self) -> Path:
        """A static core and the C interface, installed."""
        return self.root / "installed"

    @property
    def shared(self) -> Path:
        """A shared core and the C interface, installed."""
        return self.root / "installed_shared"

    def example(self, name: str) -> Path:
        """Return the folder of the example programs with one kind of core."""
        return self.root / f"example_{name}"

    @staticmethod
    def run(*command: object, input: str | None = None, fails: bool = False) -> str:
        """Run a command; returns what it printed, or its errors where it must fail."""
        words = [str(word) for word in command]
        done = subprocess.run(words, capture_output=True, text=True, input=input, check=False)
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stderr if fails else done.stdout


@pytest.fixture(scope="session")
def builds() -> Builds:
    """Return the builds of the preset "dev", or of the folder of a build that is running ctest."""
    default = Path(__file__).parents[2] / "build" / "dev" / "tests" / "builds"
    folder = Path(os.environ.get("SMOOTHBOUND_BUILDS", default))
    assert (folder / "installed").is_dir(), f"{folder} has no builds: run ctest --preset dev"
    return Builds(folder)
