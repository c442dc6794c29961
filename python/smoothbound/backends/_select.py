"""The choice of the implementation: the C++ core, or numba if the core is missing."""

from __future__ import annotations

import importlib
import os
import platform
from pathlib import Path
from types import ModuleType
from typing import Any

from smoothbound._utils import checks
from smoothbound.backends._names import BACKENDS, Backend
from smoothbound.curves._curve import Curve
from smoothbound.curves._named import GAUSSIAN

__all__ = ["build_info", "choose_threads", "curve_of", "load", "resolve", "usable_threads"]

MAX_THREADS = 1024
_DRAWS_PER_THREAD = 50_000  # a thread with fewer draws costs more time than it saves
_MODULES: dict[Backend, str] = {"cpp": "smoothbound._core", "numba": "smoothbound._numba"}


def load(backend: Backend) -> ModuleType:
    """Import the module of a backend; _core.pyi has the signatures of its classes and functions."""
    return importlib.import_module(_MODULES[backend])  # waits while another thread imports it


def curve_of(backend: Backend, curve: Curve) -> Any:
    """Return a curve as a backend takes it: None for the Gaussian, which it has by itself."""
    if curve == GAUSSIAN:
        return None
    return load(backend).Curve(**curve.for_core()) if backend == "cpp" else curve


def _why_no_core() -> str | None:
    try:
        load("cpp")
    except ImportError as error:
        return str(error)
    return None


def resolve(backend: Backend | None) -> Backend:
    """Return the backend to use: the requested one, or the best one.

    Raises
    ------
    ValueError
        If the name is unknown, or "cpp" is requested and the extension cannot be imported.
    """
    reason = _why_no_core()
    if backend is None:
        return "numba" if reason else "cpp"
    checks.choice("backend", backend, BACKENDS)
    if backend == "cpp" and reason:
        raise ValueError(
            f"backend='cpp' needs the compiled extension, which cannot be imported ({reason}); "
            "reinstall smoothbound with a C++ compiler, or use backend='numba'"
        )
    return backend


def usable_threads() -> int:
    """Count the processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def choose_threads(threads: int | None, n_scores: int) -> int:
    """Return the requested number of threads, or one that suits the work."""
    if threads is not None:
        return checks.count("threads", threads, 1, MAX_THREADS)
    wanted = n_scores // _DRAWS_PER_THREAD
    return min(usable_threads(), wanted) if wanted > 1 else 1


def build_info() -> dict[str, Any]:
    """Describe the implementation that computes the bounds on this machine.

    Returns
    -------
    dict
        ``version``; ``backend``, the default one; ``extension``, whether the C++ core can be
        imported, and ``extension_error``, why not; ``tier``, the vector instructions it uses (None
        without it); ``threads``, how many it may use; ``machine``; ``source``, the folder with the
        sources of the core, for ``cmake -S`` or FetchContent (None if they are not beside the
        package).

    Examples
    --------
    >>> build_info()["backend"] in ("cpp", "numba")
    True
    """
    from smoothbound._version import __version__

    reason = _why_no_core()
    return {
        "version": __version__,
        "backend": resolve(None),
        "extension": reason is None,
        "extension_error": reason,
        "tier": None if reason else load("cpp").tier(),
        "threads": usable_threads(),
        "machine": platform.machine(),
        "source": _source(),
    }


def _source() -> str | None:
    """Return the folder of the core's CMakeLists.txt: in an installed package, or in a checkout."""
    package = Path(__file__).parents[1]
    for folder in (package / "_source", package.parents[1]):
        if (folder / "cpp" / "smoothboundConfig.cmake.in").is_file():
            return str(folder)
    return None
