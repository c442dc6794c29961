"""The result of one input: class, status with its reason, bounds and radii."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from smoothbound._display.rounding import exact, floor_decimal
from smoothbound.bounds._request import Request
from smoothbound.sampling._jobs import Failure

if TYPE_CHECKING:
    from smoothbound.store._table.schema import Status

__all__ = ["InputResult", "MethodBounds", "abstention", "failed_input"]


@dataclass(frozen=True, eq=False)
class MethodBounds:
    """The bounds of one input by one method; NaN if sampling failed.

    Attributes
    ----------
    lower, upper : ndarray of float64, shape (n_radii,), or None
        Bounds on the confidence at the radii of the user; None for a side that is not requested.
    radius : ndarray of float64, shape (n_thresholds,), or None
        Certified radii of the thresholds; None without the lower side.
    unreachable : ndarray of float64, shape (n_thresholds,), or None
        For each threshold, the smallest radius of the user such that no number of draws certifies
        it or a larger one; NaN if there is none. None if the opposite questions are not asked.
    """

    lower: NDArray[np.float64] | None
    upper: NDArray[np.float64] | None
    radius: NDArray[np.float64] | None
    unreachable: NDArray[np.float64] | None = None


@dataclass(frozen=True, eq=False)
class InputResult:
    """The result of one input.

    Attributes
    ----------
    status : {"certified", "abstained", "failed", "budget", "misclassified", "stopped"}
    reason : str
        An explanation of the status.
    selected : int
        The class that the selection draws chose; -1 if there were none.
    predicted : int
        The selected class, or -1 if the classifier abstains or sampling failed.
    class_radius : float
        Radius within which the majority vote stays the selected class; NaN if it is not certified.
    n_selection : int
        Number of selection draws.
    n_draws, top_count : int
        Number of estimation draws, and the number of those in which the selected class had the
        largest output.
    mean_score : float
        Mean score of the estimation draws.
    bounds : tuple of MethodBounds
        One for each request of the procedure.
    state : bytes
        The state from which adaptive draws are continued; empty if the number of draws was fixed.
    class_counts : bytes
        Packed counts of all classes, if they are counted.
    """

    status: Status
    reason: str
    selected: int
    predicted: int
    class_radius: float
    n_selection: int
    n_draws: int
    top_count: int
    mean_score: float
    bounds: tuple[MethodBounds, ...]
    state: bytes = b""
    class_counts: bytes = b""


def failed_input(failure: Failure, requests: Iterable[Request], n_radii: int) -> InputResult:
    """Return the result of an input that could not be sampled, with `n_radii` radii of the user."""
    return InputResult(
        status="failed",
        # A message can quote a path whose bytes are not valid text, which UTF-8 cannot encode.
        reason=str(failure).encode(errors="backslashreplace").decode(),
        selected=-1,
        predicted=-1,
        class_radius=math.nan,
        n_selection=0,
        n_draws=0,
        top_count=0,
        mean_score=math.nan,
        bounds=tuple(_no_bounds(request, n_radii) for request in requests),
    )


def _no_bounds(request: Request, n_radii: int) -> MethodBounds:
    """Return bounds of NaN in the shapes of a request."""
    at_radii = np.full(n_radii, np.nan)
    return MethodBounds(
        lower=None if request.alpha_lower is None else at_radii,
        upper=None if request.alpha_upper is None else at_radii,
        radius=None if request.alpha_lower is None else np.full(len(request.thresholds), np.nan),
    )


def abstention(
    selected: int, lower_at_zero: float, cutoff: float | None, *, measure: str = "confidence"
) -> str:
    """Return the reason to abstain, a certified confidence at R = 0 that is too low.

    If the confidence is above the cut-off of the measure (score 0.5, margin 0), the selected class
    is certified to have the largest average score.

    Parameters
    ----------
    selected : int
        The class that the selection draws chose.
    lower_at_zero : float
        The certified confidence of that class at R = 0.
    cutoff : float or None
        The certified confidence has to be above this. None means no abstention.
    measure : str, default "confidence"
        Name of the confidence in the reason.

    Returns
    -------
    str
        The reason; empty if there is none.

    Examples
    --------
    >>> abstention(7, 0.97, 0.5, measure="score")
    ''
    >>> abstention(2, 0.4996, 0.5, measure="score")
    'the certified score of class 2 at R = 0 is 0.499, not above the cut-off 0.5'
    """
    if cutoff is None or lower_at_zero > cutoff:
        return ""
    return (
        f"the certified {measure} of class {selected} at R = 0 is {floor_decimal(lower_at_zero)}, "
        f"not above the cut-off {exact(cutoff)}"
    )
