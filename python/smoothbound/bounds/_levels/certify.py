"""From scores to certified probabilities and quantiles."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothbound._version import __version__
from smoothbound.backends import _select as backends
from smoothbound.backends._names import Backend
from smoothbound.bounds._levels.certificate import LevelCertificate
from smoothbound.bounds._levels.sample_size import require_draws_for_levels
from smoothbound.bounds._request import OneSide, Request, Settings
from smoothbound.scores._arrays import outside_range

__all__ = ["certify_levels", "level_options"]


def certify_levels(
    rows: NDArray[Any],
    request: Request,
    *,
    backend: Backend,
    threads: int,
    positions: NDArray[np.int64] | None = None,
) -> LevelCertificate:
    """Certify each row of scores by a request about levels.

    If positions are given, an error names a row by its position.
    """
    n_draws = rows.shape[1]
    require_draws_for_levels(n_draws, request)
    settings = Settings(**vars(request), n=n_draws, n_pilot=0, backend=backend, version=__version__)
    a, b = request.score_range
    lower = upper = radius = None
    for side in ("lower", "upper"):
        share = request.share(side)
        if share is None:
            continue
        bounds, found, bad = backends.load(backend).bound_levels(
            rows, a=a, b=b, threads=threads, **level_options(request, share, backend)
        )
        if bad >= 0:
            named = bad if positions is None else int(positions[bad])
            raise outside_range(rows[bad], request.score_range, i=named)
        if side == "lower":
            lower, radius = bounds, found
        else:
            upper = bounds
    return LevelCertificate(settings, lower, upper, radius)


def level_options(request: Request, share: OneSide, backend: Backend) -> dict[str, Any]:
    """Return the arguments that both functions of a backend share."""
    return {
        "statistic": request.statistic,
        "levels": np.array(request.levels, np.float64),
        "sigma": request.sigma,
        "alpha": share.alpha,
        "side": share.side,
        "radii": np.array(request.radii, np.float64),
        "thresholds": np.array(share.thresholds, np.float64),
        "curve": backends.curve_of(backend, request.curve),
    }
