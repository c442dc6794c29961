"""Evaluations of certificates without labels, such as those of ``bounds``."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothbound._display.printable import printable
from smoothbound._display.rounding import exact
from smoothbound.analysis._sources.sentences import noise_caveat
from smoothbound.analysis._statistics.rows import Bounds
from smoothbound.analysis.evaluation import Evaluation
from smoothbound.bounds._certificate import Certificate
from smoothbound.bounds._levels.certificate import LevelCertificate
from smoothbound.bounds._request import Settings
from smoothbound.curves._named import GAUSSIAN
from smoothbound.errors import StoreError
from smoothbound.noise._record import NoiseRecord

__all__ = ["of_certificate", "of_levels"]

_MARGIN = 0.05  # of the width of an axis, beyond the least and the greatest bound


def of_levels(certificate: LevelCertificate, name: str) -> list[Evaluation]:
    """Make an evaluation of each level of certified probabilities or quantiles, without labels.

    Parameters
    ----------
    certificate : LevelCertificate
        A certificate with lower bounds. If scores have no range, figures show the range of the
        finite bounds on the quantile.
    name : str
        Its name. Names of evaluations have the level too.

    Returns
    -------
    list of Evaluation
        The evaluations, whose measure is the probability or the quantile.

    Raises
    ------
    StoreError
        If there are no lower bounds, or no bound is finite and scores have no range.
    """
    return [
        of_certificate(certificate, f"{name}-{exact(level)}", place)
        for place, level in enumerate(certificate.settings.levels)
    ]


def of_certificate(certificate: Certificate, name: str, place: int | None = None) -> Evaluation:
    """Make an evaluation of certificates without labels, such as those of ``bounds``.

    Every input without abstention counts as correct.

    Parameters
    ----------
    certificate : Certificate
        A certificate with lower bounds.
    name : str
        Its name in figures, tables and files.
    place : int, optional
        Position of the level of a `LevelCertificate`.

    Returns
    -------
    Evaluation

    Raises
    ------
    StoreError
        If the certificate has no lower bounds or no radii.
    """
    settings = certificate.settings
    if certificate.lower is None or not certificate.lower.size:
        raise StoreError(
            f"{name} has no lower bounds to report on: certify the lower side, or both, at a radius"
        )
    own = {part.name: getattr(certificate, part.name) for part in fields(certificate)}
    index = own.get("index", np.arange(len(certificate)))
    classes = own.get("predicted", own.get("selected", np.zeros(len(certificate), np.int64)))
    radii, columns = np.unique(np.asarray(settings.radii), return_index=True)
    here: Any = slice(None) if place is None else (slice(None), place)
    noise = getattr(settings, "noise", NoiseRecord())
    adaptive = getattr(settings, "adaptive", None)
    limits = certificate.limits_of("lower", settings)
    lower = certificate.lower[here]
    radius = None if certificate.radius is None else certificate.radius[here]
    if (adaptive is not None and not adaptive.finds_radii) or settings.statistic == "quantile":
        radius = None  # for a quantile it means "at least", but a report means "above"
    return Evaluation(
        name=name,
        measure=_measure_of(settings, place),
        score_range=limits,
        sigma=settings.sigma if certificate.sigma is None and settings.curve.has_scale else None,
        curve=settings.curve,
        radii=radii,
        index=np.array(index),
        label=np.array(classes),
        predicted=np.array(classes),
        labelled=False,
        bounds=(
            Bounds(
                settings.method,
                lower[:, columns],
                radius,
            ),
        ),
        thresholds=np.asarray(settings.thresholds),
        notes=(
            f"{len(certificate)} inputs, {_noise_of(certificate)}, "
            f"α = {exact(settings.alpha)}, "
            f"{'' if adaptive is None else 'at most '}{settings.n} draws of each.",
            *noise_caveat(noise.kind, getattr(settings, "displacement", 0.0)),
            "**No labels**: whether a class is the true one is not known, so every input counts "
            "as correct unless the classifier abstains.",
        ),
        alpha=settings.alpha_lower,
        adaptive=adaptive is not None,
        origin=(printable(f"Made with smoothbound {settings.version} ({settings.backend})."),),
        axis=_axis_of(lower, limits, name),
    )


def _measure_of(settings: Settings, place: int | None) -> str:
    """Return the name of the bounded quantity, or of that at one of the levels."""
    measure = printable(getattr(settings, "measure", "score"))
    if place is None:
        return measure
    level = exact(settings.levels[place])
    if settings.statistic == "probability":
        return f"P({measure} ≥ {level})"
    return f"{level}-quantile of the {measure}"


def _noise_of(certificate: Certificate) -> str:
    """Return the name of the noise, unless it is Gaussian, and its level, if it has one."""
    curve, level = certificate.settings.curve, certificate.noise_levels("σ")
    if curve == GAUSSIAN:
        return level
    return f"noise {curve.name}" + (f", {level}" if curve.has_scale else "")


def _axis_of(
    lower: NDArray[np.float64], score_range: tuple[float, float], name: str
) -> tuple[float, float] | None:
    """Return a range around all finite bounds if the range of the scores is infinite."""
    if np.isfinite(score_range).all():
        return None
    finite = lower[np.isfinite(lower)]
    if not finite.size:
        raise StoreError(
            f"{name} has no finite bound, so a report has no axis for it: certify with more "
            "draws, or at smaller radii"
        )
    least, most = float(finite.min()), float(finite.max())
    margin = _MARGIN * (most - least) or max(_MARGIN * abs(most), _MARGIN)
    a, b = np.clip((least - margin, most + margin), *score_range).tolist()
    return a, b
