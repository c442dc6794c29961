"""Confidence bands of a survival function: calibrated once, kept, and shared by calls.

A band depends on the number of draws, alpha and the knots, never on scores.  The local level of
the equal-local-levels band (`ell`) takes seconds to calibrate for 100 000 draws; it is kept in the
user's cache directory (or in ``SMOOTHBOUND_CACHE_DIR``) and in memory.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
import zlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from smoothbound import backend as backends
from smoothbound import checks

__all__ = ["local_level", "prepared"]

_WORTH_KEEPING = 5_000  # draws: below it the calibration is faster than reading a file


def local_level(
    n: int, *, alpha: float = 1e-3, n_bins: int | None = None, two_sided: bool = False
) -> float:
    """Calibrate the equal-local-levels band: the level at which each of its points fails.

    Parameters
    ----------
    n : int
        Number of draws.
    alpha : float
        Probability with which any point of the band fails, in (0, 1).
    n_bins : int, optional
        Equal-count bins whose knots the band is for; by default every draw is a knot.
    two_sided : bool
        Whether upper bounds, the mirror image of the lower ones, hold as well.

    Returns
    -------
    float
        eta: the bound at the k-th largest draw is the eta-quantile of Beta(k, n + 1 - k).
        Rounded down, so that the coverage is at least 1 - alpha, the numerical error of the
        recursion included.

    References
    ----------
    Aldor-Noiman et al., "The Power to See: A New Graphical Test of Normality", 2013.
    Moscovich and Nadler, "Fast calculation of boundary crossing probabilities for Poisson
    processes", 2017.

    Examples
    --------
    >>> print(f"{local_level(10_000, n_bins=1000):.5e}")
    1.39110e-05
    """
    n = checks.count("n", n)
    alpha = checks.probability("alpha", alpha)
    bins = 0 if n_bins is None or n_bins >= n else checks.count("n_bins", n_bins)
    return _kept_level(n, alpha, bins, bool(two_sided))


@lru_cache(maxsize=1024)
def _kept_level(n: int, alpha: float, n_bins: int, two_sided: bool) -> float:
    if n < _WORTH_KEEPING:
        return _calibrated(n, alpha, n_bins, two_sided)
    key = f"ell-1-n{n}-bins{n_bins}-alpha{alpha.hex()}-{'two' if two_sided else 'one'}"
    path = _cache_directory() / f"{key}.json"
    level = _read(path, key, alpha, n)
    if level is None:
        level = _calibrated(n, alpha, n_bins, two_sided)
        _write(path, key, level)
    return level


def _calibrated(n: int, alpha: float, n_bins: int, two_sided: bool) -> float:
    if backends.resolve(None) == "cpp":
        return float(backends.load("cpp").ell_level(n, alpha, n_bins, two_sided))
    from smoothbound import reference

    return reference.ell_level(n, alpha, n_bins or None, two_sided=two_sided)


def _cache_directory() -> Path:
    named = os.environ.get("SMOOTHBOUND_CACHE_DIR")
    return Path(named) if named else user_cache_path("smoothbound")


def _checksum(key: str, level: str) -> int:
    return zlib.crc32(f"{key}={level}".encode())


def _read(path: Path, key: str, alpha: float, n: int) -> float | None:
    """Return the level that a file holds; None if it is missing or not what was written."""
    try:
        entry = json.loads(path.read_text())
        if entry["checksum"] != _checksum(key, entry["level"]):
            return None
        level = float.fromhex(entry["level"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    # Each point fails at most as often as any, and any at most as often as all put together.
    return level if alpha / (3.0 * n) < level <= alpha else None


def _write(path: Path, key: str, level: float) -> None:
    """Keep a level, atomically; a cache that cannot be written is done without."""
    text = json.dumps({"level": level.hex(), "checksum": _checksum(key, level.hex())})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w") as file:
                file.write(text)
            Path(draft).replace(path)
        except OSError:
            Path(draft).unlink(missing_ok=True)
    except OSError:
        return


@lru_cache(maxsize=32)
def prepared(backend: str, kind: str, n: int, alpha: float, n_bins: int) -> Any:
    """Make a backend's band with the levels of its knots, once for all calls that share it.

    Parameters
    ----------
    backend : {"cpp", "numba"}
    kind : {"dkw", "ell"}
    n : int
        Number of draws.
    alpha : float
        Failure probability of the one-sided band.
    n_bins : int
        Equal-count bins; 0: every draw is a knot.

    Returns
    -------
    ConfidenceBand
        The backend's class: ``quantile(count)`` is Phi^-1 of the bound on the survival function
        at a point that `count` draws reach.
    """
    level = local_level(n, alpha=alpha, n_bins=n_bins or None) if kind == "ell" else math.nan
    return backends.load(backend).ConfidenceBand(kind, n, alpha, n_bins, level)
