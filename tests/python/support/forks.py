"""Runs code in processes of its own, which begin with torch and the command line imported.

Each is a fork of a server, which has imported these modules and computed nothing. A process that
begins with nothing takes seconds for the imports.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["run", "run_code", "run_command"]

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(
    [
        "torch",
        "sklearn.datasets",
        "smoothbound.cli._app",
        "smoothbound.cli._network",
        "smoothbound.cli._tables",
        "smoothbound.smoothing._run",
        "smoothbound.report._write",
    ]
)


def run(
    function: Callable[..., Any], *arguments: Any, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Call a function of a module of this folder in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        process = _SERVER.Process(
            target=_inside, args=(folder, dict(environment or {}), function, arguments)
        )
        process.start()
        process.join()
        said = [(Path(folder) / name).read_text() for name in ("out", "err")]
        return subprocess.CompletedProcess(function.__name__, process.exitcode, *said)


def run_code(code: str, *arguments: str, **environment: str) -> str:
    """Run code as ``python -c`` does; return what it printed."""
    done = run(_execute, code, arguments, environment=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_command(
    words: list[str], before: Callable[[], None] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command of the program `smoothbound`, after a call of `before`."""
    return run(_command, words, before)


def _inside(
    folder: str, environment: dict[str, str], function: Callable[..., Any], arguments: Any
) -> None:
    for number, name in enumerate(("out", "err"), 1):
        with (Path(folder) / name).open("wb") as file:
            os.dup2(file.fileno(), number)
    os.environ.update(environment)
    sys.dont_write_bytecode = True
    function(*arguments)


def _execute(code: str, arguments: tuple[str, ...]) -> None:
    sys.argv = ["-c", *arguments]
    exec(compile(code, "<code>", "exec"), {"__name__": "__main__"})


def _command(words: list[str], before: Callable[[], None] | None) -> None:
    import torch

    from smoothbound.cli import main

    torch.set_num_threads(1)
    sys.argv = ["smoothbound", *words]
    if before is not None:
        before()
    main()
