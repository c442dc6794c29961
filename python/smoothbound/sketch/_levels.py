"""Certified probabilities and quantiles from a sketch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from smoothbound.backends import _select as backends
from smoothbound.backends._names import Backend
from smoothbound.bounds._levels.certificate import LevelCertificate
from smoothbound.bounds._levels.certify import level_options
from smoothbound.bounds._levels.sample_size import require_draws_for_levels
from smoothbound.bounds._request import OneSide, Request, Settings
from smoothbound.noise._displaced import inward, outward
from smoothbound.sketch._certify import SketchSettings, least_draws, require_noise
from smoothbound.sketch._content import SketchContent

__all__ = ["SketchLevelCertificate", "certify_levels"]


@dataclass(frozen=True, eq=False, repr=False)
class SketchLevelCertificate(LevelCertificate):
    """Certified probabilities or quantiles of the scores of the inputs of a sketch.

    The attributes are `lower`, `upper` and `radius` of a `LevelCertificate` and these:

    Attributes
    ----------
    settings : SketchSettings
    index : ndarray of int64, shape (n_inputs,)
        Ids of the inputs.
    selected : ndarray of int64, shape (n_inputs,)
        The class that the scores measure; -1 if the sketch does not record it.
    n_draws : ndarray of int64, shape (n_inputs,)
        Number of draws of each input.
    """

    settings_class: ClassVar[type[Settings]] = SketchSettings

    settings: SketchSettings
    index: NDArray[np.int64]
    selected: NDArray[np.int64]
    n_draws: NDArray[np.int64]

    _own_columns: ClassVar[tuple[str, ...]] = ("index", "selected", "n_draws")


def certify_levels(
    content: SketchContent, request: Request, *, backend: Backend | None, threads: int | None
) -> SketchLevelCertificate:
    """Certify levels of every input of a sketch."""
    backend = backends.resolve(backend)
    threads = backends.choose_threads(threads, content.counts.size)
    require_draws_for_levels(least_draws(content), request)
    require_noise(content, request.curve)
    lower = upper = radius = None
    if share := request.share("lower"):
        lower, radius = _bounds(content, request, share, backend, threads)
    if share := request.share("upper"):
        upper, _ = _bounds(content, request, share, backend, threads)
    settings = SketchSettings.of(content, request, backend)
    return SketchLevelCertificate(
        settings,
        lower,
        upper,
        radius,
        content.index.copy(),
        content.selected.copy(),
        content.n_draws,
    )


def _bounds(
    content: SketchContent, request: Request, share: OneSide, backend: Backend, threads: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bound one side. Inputs with the same number of draws are grouped."""
    options: dict[str, Any] = level_options(request, share, backend)
    options["radii"] = outward(options["radii"], content.displacement)
    n_inputs, n_levels, n_draws = len(content.index), len(request.levels), content.n_draws
    bounds = np.empty((n_inputs, n_levels, options["radii"].size))
    radius = np.empty((n_inputs, n_levels, options["thresholds"].size))
    for n in np.unique(n_draws).tolist():
        rows = np.flatnonzero(n_draws == n)
        bounds[rows], radius[rows] = backends.load(backend).bound_level_counts(
            content.edges, content.counts[rows], n, threads=threads, **options
        )
    return bounds, inward(radius, content.displacement)
