"""The procedure for each input of a run, from the settings of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smoothbound.anytime._job.job import Plan
from smoothbound.anytime._record import FollowedRun
from smoothbound.bounds._method import Method
from smoothbound.bounds._request import Request
from smoothbound.smoothing._one_input.anytime_draws import AnytimeProcedure
from smoothbound.smoothing._one_input.fixed_draws import Procedure, radii_at_point
from smoothbound.smoothing._one_input.questions import AdaptiveDraws

if TYPE_CHECKING:
    from smoothbound.store._settings import RunSettings

__all__ = ["procedure_of", "recorded_procedure"]


def procedure_of(
    settings: RunSettings, adaptive: AdaptiveDraws | None, follows: FollowedRun | None
) -> Procedure | AnytimeProcedure:
    """Return the procedure of a run, in which all methods certify the same draws.

    Raises
    ------
    ValueError
        If the procedure cannot certify anything.
    """
    procedure: Procedure | AnytimeProcedure
    if adaptive is not None:
        procedure = _anytime_procedure(settings, adaptive, follows)
    else:
        radii = radii_at_point(settings.radii, settings.displacement)
        requests = tuple(_request(settings, method, radii) for method in settings.methods)
        procedure = Procedure(
            requests, settings.n, settings.cutoff, settings.measure, settings.displacement
        )
    procedure.check_feasible()
    return procedure


def recorded_procedure(settings: RunSettings) -> AnytimeProcedure:
    """Return the procedure of a run with adaptive draws from its recorded settings."""
    rules = settings.adaptive
    assert rules is not None
    adaptive = AdaptiveDraws(
        radius_precision=rules.precision,
        strictness=Plan.strictness if rules.strictness is None else rules.strictness,
        correct_only=rules.correct_only,
        both_answers=rules.both_answers,
    )
    return _anytime_procedure(settings, adaptive, rules.follows)


def _anytime_procedure(
    settings: RunSettings, adaptive: AdaptiveDraws, follows: FollowedRun | None
) -> AnytimeProcedure:
    (method,) = settings.methods
    return AnytimeProcedure.of(
        _request(settings, method, settings.radii),
        adaptive,
        n=settings.n,
        cutoff=settings.cutoff,
        measure=settings.measure,
        displacement=settings.displacement,
        follows=follows,
    )


def _request(settings: RunSettings, method: Method, radii: tuple[float, ...]) -> Request:
    """Return the request for one method."""
    return Request(
        sigma=settings.sigma,
        alpha=settings.alpha,
        score_range=settings.score_range,
        radii=radii,
        thresholds=settings.thresholds,
        method=method,
        order="drawn",
    )
