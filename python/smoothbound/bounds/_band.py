"""Confidence bands of a survival function: calibrated once, kept, and shared by calls.

A band depends on the number of draws, alpha and the knots, and not on the scores. The local level
of the equal-local-levels band (`ell`) takes seconds to calibrate for 100 000 draws, so it is kept
in memory and in the user's cache directory (or in ``SMOOTHBOUND_CACHE_DIR``). A level that is read
from a file is checked: its coverage is computed again, which takes a sixth of the time of a
calibration.
"""

from __future__ import annotations

import json
import logging
import math
import os
import zlib
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from platformdirs import user_cache_path

from smoothbound._files.atomic import atomic_write
from smoothbound._utils import checks
from smoothbound._utils.kept import kept
from smoothbound.backends import _select as backends
from smoothbound.backends._names import Backend, Band
from smoothbound.errors import StoreError

__all__ = ["confidence_band", "level_of", "local_level", "seconds_to_calibrate"]

_FEWEST_KEPT = 5_000  # draws; with fewer, a calibration is faster than reading a file
_MOST_SECONDS = 600.0  # the longest calibration that certify_scores begins by itself
_ANNOUNCED_SECONDS = 10.0  # a longer calibration is announced
_MOST_KNOTS = 8_000_000  # in all bands that are in memory, 24 bytes each

_log = logging.getLogger("smoothbound")


def local_level(
    n: int, *, alpha: float = 1e-3, n_bins: int | None = None, two_sided: bool = False
) -> float:
    """Return the local level of the band `ell`: the probability that each point of it fails.

    Parameters
    ----------
    n : int
        Number of draws.
    alpha : float
        Probability that the band fails at one point or more, in (0, 1).
    n_bins : int, optional
        Number of equal-count bins. The band holds at their knots. By default every draw is a knot.
    two_sided : bool
        Whether the band has upper bounds too, which are the mirror image of the lower ones.

    Returns
    -------
    float
        The local level eta. The bound at the k-th largest draw is the quantile of Beta(k, n + 1 -
        k) at eta, which is rounded down, so that the coverage is at least 1 - alpha in spite of the
        numerical error of the recursion.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is outside the range stated above.
    KeyboardInterrupt
        If Ctrl-C is pressed during the calibration.

    Notes
    -----
    A calibration for many draws is slow (see `seconds_to_calibrate`): it takes half a minute for a
    million draws and an hour for 10^8. `certify_scores` refuses to calibrate for more than ten
    minutes. This function does it, and stores the level for later calls of `certify_scores`.

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
    n = checks.count("n", n, 1, 2**32 - 1)
    alpha = checks.alpha("alpha", alpha)
    bins = 0 if n_bins is None else checks.count("n_bins", n_bins)
    return _kept_level(
        n, alpha, bins if bins < n else 0, checks.flag("two_sided", two_sided), math.inf
    )


def level_of(n: int, alpha: float, n_bins: int) -> float:
    """Return the local level for n draws and `n_bins` bins; with 0 bins every draw is a knot.

    Raises
    ------
    ValueError
        If the calibration would take more than ten minutes.
    """
    n = checks.count("n", n, 1, 2**32 - 1)
    alpha = checks.probability("alpha", alpha)  # half of alpha with two sides
    n_bins = checks.count("n_bins", n_bins, 0)
    return _kept_level(n, alpha, n_bins if n_bins < n else 0, False, _MOST_SECONDS)


def seconds_to_calibrate(n: int, n_bins: int = 0) -> float:
    """Estimate the seconds that a calibration takes in the core, within a factor of three.

    Parameters
    ----------
    n : int
        Number of draws.
    n_bins : int
        Number of equal-count bins; with 0 every draw is a knot.

    Returns
    -------
    float
        Seconds, extrapolated from measurements at 10^4 to 10^6 draws. A knot that lies far from the
        others costs a convolution. Knots that lie close together share one.

    Examples
    --------
    >>> seconds_to_calibrate(100_000) < 10 < seconds_to_calibrate(200_000_000) / 60
    True
    """
    n, n_bins = checks.count("n", n, 1, 2**32 - 1), checks.count("n_bins", n_bins, 0, 2**32 - 1)
    return min(3e-5 * n, 1.8e-7 * n * math.sqrt(n_bins or n))


@lru_cache(maxsize=1024)
def _kept_level(n: int, alpha: float, n_bins: int, two_sided: bool, patience: float) -> float:
    if n < _FEWEST_KEPT:
        return _calibrated(n, alpha, n_bins, two_sided)
    key = f"ell-1-n{n}-bins{n_bins}-alpha{alpha.hex()}-{'two' if two_sided else 'one'}"
    folder = _cache_directory()
    level = None if folder is None else _read(folder / f"{key}.json", key)
    if level is not None and _is_level(level, n, alpha, n_bins, two_sided):
        return level
    _announce(n, n_bins, patience)
    level = _calibrated(n, alpha, n_bins, two_sided)
    if folder is not None:
        _write(folder / f"{key}.json", key, level)
    return level


def _announce(n: int, n_bins: int, patience: float) -> None:
    """Refuse a calibration that takes too long; announce how long a long one takes."""
    seconds = seconds_to_calibrate(n, n_bins)
    knots = f"n_bins={n_bins}" if n_bins else "every draw a knot"
    took = f"band='ell' with {n} draws and {knots} takes about {_duration(seconds)} to calibrate"
    if seconds > patience:
        fewer = (patience / (1.8e-7 * n)) ** 2 / 4  # bins that take half of it
        offer = f"n_bins={math.floor(fewer)} or less, " if fewer >= 100 else ""
        raise ValueError(
            f"{took}; use {offer}band='dkw' or fewer draws, or call "
            f"smoothbound.bounds.local_level({n}, alpha=..., n_bins=...) once, which "
            "stores the level for later calls"
        )
    if seconds > _ANNOUNCED_SECONDS:
        _log.warning("%s; the level is stored for later calls", took)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:.0f} minutes"


def _calibrated(n: int, alpha: float, n_bins: int, two_sided: bool) -> float:
    if backends.resolve(None) == "cpp":
        return float(backends.load("cpp").ell_level(n, alpha, n_bins, two_sided))
    from smoothbound.backends import reference

    with np.errstate(all="ignore"):
        return reference.ell_level(n, alpha, n_bins or None, two_sided=two_sided)


def _is_level(level: float, n: int, alpha: float, n_bins: int, two_sided: bool) -> bool:
    """Return whether a level has the coverage 1 - alpha and is not lower than needed."""
    safe = alpha / ((n_bins or n) * (2 if two_sided else 1))  # the union bound over the points
    if not safe * (1 - 1e-6) <= level <= alpha:
        return False
    if level <= safe:
        return True
    if backends.resolve(None) == "cpp":
        failure = backends.load("cpp").ell_failure(n, level, n_bins, two_sided)
    else:
        from smoothbound.backends import reference

        with np.errstate(all="ignore"):
            failure = reference.ell_failure(n, level, n_bins or None, two_sided=two_sided)
    return bool(alpha * (1 - 1e-4) <= failure <= alpha)


def _cache_directory() -> Path | None:
    """Return the folder of the levels; None if the user has none."""
    named = os.environ.get("SMOOTHBOUND_CACHE_DIR")
    if named:
        return Path(named)
    try:
        folder = user_cache_path("smoothbound")
    except (OSError, KeyError, RuntimeError):  # the user has no name or no home
        return None
    return folder if folder.is_absolute() else None


def _checksum(key: str, level: str) -> int:
    return zlib.crc32(f"{key}={level}".encode())


def _read(path: Path, key: str) -> float | None:
    """Return the level that a file holds; None if the file is missing or damaged."""
    try:
        if not path.is_file():  # reading a FIFO would wait for a writer
            return None
        entry = json.loads(path.read_bytes()[:1000])
        if entry["checksum"] != _checksum(key, entry["level"]):
            return None
        return float.fromhex(entry["level"])
    except (OSError, ArithmeticError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _write(path: Path, key: str, level: float) -> None:
    """Keep a level in the cache. A cache that cannot be written is no error."""
    text = json.dumps({"level": level.hex(), "checksum": _checksum(key, level.hex())})
    with suppress(StoreError), atomic_write(path) as file:
        file.write(text.encode())


@kept(most=_MOST_KNOTS, size=lambda backend, kind, n, alpha, n_bins: n_bins or n)
def confidence_band(backend: Backend, kind: Band, n: int, alpha: float, n_bins: int) -> Any:
    """Return a backend's band with the levels of its knots. Calls with the same arguments share it.

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
    level = level_of(n, alpha, n_bins) if kind == "ell" else 0.0
    return backends.load(backend).ConfidenceBand(kind, n, alpha, n_bins, level)
