"""Certificates from a sketch, by Theorem 2 with the edges as knots."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from smoothbound._utils.renamed import formerly
from smoothbound._version import __version__
from smoothbound.backends import _select as backends
from smoothbound.backends._names import Backend, Band
from smoothbound.bounds import _band as bands
from smoothbound.bounds._certificate import Certificate
from smoothbound.bounds._request import DrawnSettings, Request, Settings
from smoothbound.bounds._sample_size import require_draws
from smoothbound.curves._curve import Curve
from smoothbound.curves._named import GAUSSIAN
from smoothbound.curves._tabulated import Tabulated
from smoothbound.noise._displaced import inward, outward
from smoothbound.noise._record import NoiseRecord
from smoothbound.sketch._content import SketchContent

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "SketchCertificate",
    "SketchSettings",
    "bound_counts",
    "certify_content",
    "least_draws",
    "loss_of",
    "require_noise",
]

_MANY_DRAWS = 2**22  # with more, the levels of all counts would take too much memory
_ROUNDING = 1e-13  # of the range; conservative rounding loses less


@dataclass(frozen=True, kw_only=True)
class SketchSettings(DrawnSettings):
    """Settings of the certificates of a sketch.

    The attributes are those of `DrawnSettings` and those below. `n` is the smallest number of draws
    of an input, and `noise` records only the kind of the noise, if it is known.

    Attributes
    ----------
    n_edges : int
        Number of edges, which are the knots.
    displacement : float
        Largest distance between an input and the lattice point around which its draws were made, in
        the units of the input. The certificates allow for it.
    """

    n_edges: int
    displacement: float

    @classmethod
    def of(cls, content: SketchContent, request: Request, backend: Backend) -> SketchSettings:
        """Return the settings of a certificate of a sketch."""
        return cls(
            **vars(request),
            n=int(content.n_draws.min()),
            n_pilot=0,
            backend=backend,
            version=__version__,
            measure=content.measure,
            n_edges=content.edges.size,
            displacement=content.displacement,
            noise=NoiseRecord.of_kind(content.noise),
        )


@dataclass(frozen=True, eq=False, repr=False)
class SketchCertificate(Certificate):
    """Certified confidence and radii of the inputs of a sketch.

    The attributes are `lower`, `upper` and `radius` of a `Certificate` and these:

    Attributes
    ----------
    settings : SketchSettings
    index : ndarray of int64, shape (n_inputs,)
        Ids of the inputs.
    selected : ndarray of int64, shape (n_inputs,)
        The class that the scores measure; -1 if the sketch does not record it.
    n_draws : ndarray of int64, shape (n_inputs,)
        Number of draws of each input.
    loss : ndarray of float64, shape (n_inputs,)
        Upper bound on the loss from the counts. `certify_scores` with the scores themselves and
        every draw as a knot has a lower bound that is higher than `lower` by at most this, and an
        upper bound that is lower than `upper` by at most this. See `loss_of`.
    """

    settings_class: ClassVar[type[Settings]] = SketchSettings

    settings: SketchSettings
    index: NDArray[np.int64]
    selected: NDArray[np.int64]
    n_draws: NDArray[np.int64]
    loss: NDArray[np.float64]

    inputs = formerly("inputs", "index")
    predicted = formerly("predicted", "selected")

    _own_columns: ClassVar[tuple[str, ...]] = ("index", "selected", "n_draws", "loss")

    @classmethod
    def upgraded(cls, table: pa.Table, settings: Settings) -> pa.Table:
        """Return the table of a file with the columns of this version."""
        names = ["selected" if name == "predicted" else name for name in table.column_names]
        return table.rename_columns(names)


def certify_content(
    content: SketchContent, request: Request, *, backend: Backend | None, threads: int | None
) -> SketchCertificate:
    """Certify every input of a sketch; the method of the request is "cdf"."""
    assert request.method.band is not None  # "cdf" has one
    backend = backends.resolve(backend)
    counts, n = content.counts, content.n_draws
    require_draws(least_draws(content), request)
    require_noise(content, request.curve)
    run = partial(
        bound_counts,
        content.edges,
        backend,
        request.method.band,
        counts,
        n,
        displacement=content.displacement,
        sigma=request.sigma,
        radii=request.radii,
        threads=backends.choose_threads(threads, counts.size),
        curve=backends.curve_of(backend, request.curve),
    )
    lower = upper = radius = None
    if share := request.share("lower"):
        lower, radius = run(**share._asdict())
    if share := request.share("upper"):
        upper, _ = run(**share._asdict())
    settings = SketchSettings.of(content, request, backend)
    loss = loss_of(content.edges, counts)
    return SketchCertificate(
        settings, lower, upper, radius, content.index.copy(), content.selected.copy(), n, loss
    )


def least_draws(content: SketchContent) -> int:
    """Return the smallest number of draws of an input; refuse an input without draws."""
    n = content.n_draws
    if not n.all():
        raise ValueError(
            f"input {content.index[int(np.argmin(n))]} has no draws; update the sketch first"
        )
    return int(n.min())


def require_noise(content: SketchContent, curve: Curve) -> None:
    """Refuse a curve that is not that of the noise of the draws, if the noise is known."""
    if curve == GAUSSIAN:
        return
    if content.noise is not None and not isinstance(curve, Tabulated):
        raise ValueError(
            f"curve must be that of the noise of the draws, which is {content.noise!r} and so "
            f"Gaussian, got {curve.name!r}"
        )
    if content.displacement:
        raise ValueError(
            f"curve must be 'gaussian': the displacement of the inputs, {content.displacement!r}, "
            f"is an l2 distance, got {curve.name!r}"
        )


def bound_counts(
    edges: NDArray[np.float64],
    backend: Backend,
    band: Band,
    counts: NDArray[np.uint32],
    n_draws: NDArray[np.int64],
    *,
    displacement: float,
    **options: Any,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Certify all inputs, grouped by their number of draws, because equal numbers share a band.

    Parameters
    ----------
    edges : ndarray of float64, shape (n_edges,)
    backend, band : str
    counts : ndarray of uint32, shape (n_inputs, n_cells)
    n_draws : ndarray of int64, shape (n_inputs,)
        Sum of the counts of each input.
    displacement : float
        Largest distance between an input and the point around which its draws were made; see
        `smoothbound.noise._displaced`.
    **options
        The arguments side, sigma, alpha, radii, thresholds, threads and curve of the backends.

    Returns
    -------
    bounds : ndarray of float64, shape (n_inputs, n_radii)
    radius : ndarray of float64, shape (n_inputs, n_thresholds)
    """
    options["radii"] = outward(options["radii"], displacement)
    options["thresholds"] = np.asarray(options["thresholds"], np.float64)
    bounds = np.empty((n_draws.size, options["radii"].size))
    radius = np.empty((n_draws.size, options["thresholds"].size))
    sizes = np.unique(n_draws)
    for n in sizes.tolist():
        made = bands.confidence_band(backend, band, n, options["alpha"], _band_bins(band, n))
        rows = slice(None) if sizes.size == 1 else n_draws == n
        bounds[rows], radius[rows] = backends.load(backend).bound_counts(
            edges, counts[rows], band=made, **options
        )
    return bounds, inward(radius, displacement)


def _band_bins(band: Band, n: int) -> int:
    """Return the bins of a band: 0 makes every draw a knot, and 1 is for `dkw` with many draws.

    The levels of `dkw` are a formula of the counts, so they are not computed in advance.
    """
    return 1 if band == "dkw" and n > _MANY_DRAWS else 0


def loss_of(edges: NDArray[np.float64], counts: NDArray[np.uint32]) -> NDArray[np.float64]:
    """Bound the loss against the exact bound: the widest interval with a draw, plus rounding.

    Parameters
    ----------
    edges : ndarray of float64, shape (n_edges,)
    counts : ndarray of uint32, shape (n_inputs, n_cells)

    Returns
    -------
    ndarray of float64, shape (n_inputs,)

    Notes
    -----
    Let k(s) be the number of draws >= s, p(s) the level of the band there, q(s) = psi_r(p(s)), and
    e_0 < ... < e_K the edges. The exact bound is a plus the integral of q. The bound of the sketch
    is a plus the sum of (e_j - e_{j-1}) q(e_j). Both use the same counts. p increases with k, psi_r
    increases with p, and k decreases with s. Therefore q decreases with s. Between e_{j-1} and e_j
    it is at least q(e_j), so the sketch is never above the exact bound. It is at most q(e_{j-1}+)
    there, so the sketch loses at most (e_j - e_{j-1}) (q(e_{j-1}+) - q(e_j)) on this interval. That
    is 0 if no draw lies strictly between the two edges. On the other intervals the differences of q
    sum to at most q(a+) <= 1. The total loss is therefore at most the width of the widest interval
    that holds a draw. The result is this width plus 1e-13 of the range for rounding. The upper side
    is the mirror image.
    """
    a, b = edges[0], edges[-1]
    widths, within = np.diff(edges), counts[:, 1::2]
    if widths.min() == widths.max():
        widest = np.where(within.max(axis=1) != 0, widths[0], 0.0)
    else:
        widest = np.where(within != 0, widths, 0.0).max(axis=1)
    return np.asarray(widest + _ROUNDING * (b - a))
