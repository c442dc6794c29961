"""Confidence measures: the numbers that are averaged over the noise.

A measure turns the outputs of the base classifier on a batch of noisy inputs into one number per
draw, within a stated range (a, b). The certificate bounds the mean of that number. *score* and
*margin* are those of Kumar et al. 2020, section 4, and *vote* is that of Cohen et al. 2019.
`custom` makes a measure of another function, and `at_least` one whose mean is a probability.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from smoothbound._utils import checks

__all__ = [
    "BUILT_IN",
    "MARGIN",
    "SCORE",
    "TOP_CLASS",
    "VOTE",
    "Measure",
    "at_least",
    "custom",
    "measure",
]


@dataclass(frozen=True)
class Measure:
    """A confidence measure, made by `measure` or `custom`.

    Threads may share a measure if its function can be called from several threads at once.

    Attributes
    ----------
    name : str
        Name of the measure in results, which is not that of a measure of the library. score_range :
        tuple of float The range (a, b) of the values. A value outside is an error, and is never
        clipped.
    cutoff : float or None
        The classifier abstains if the certified confidence at R = 0 is not above this, unless the
        smoothed classifier has a cut-off of its own. None means that it never abstains.
    function : callable
        A function of the outputs of the base classifier, shape (batch, classes), and of the
        selected class of each row, int64 of shape (batch,) on the same device. There is one class
        per row, because a batch holds draws of several inputs. It returns a floating-point value
        for each row, shape (batch,), which must not depend on other rows. Reading a value on the
        host (`item`, `bool`) makes the device wait once per batch.
    binary : bool
        Whether every value is one of the two ends of the range, as for a vote. The mean of such
        values has an exact bound, which is then the default.
    """

    name: str
    score_range: tuple[float, float]
    cutoff: float | None
    function: Callable[[Tensor, Tensor], Tensor]
    binary: bool = False


def _score(outputs: Tensor, selected: Tensor) -> Tensor:
    return outputs.gather(1, selected.unsqueeze(1)).squeeze(1)


def _margin(outputs: Tensor, selected: Tensor) -> Tensor:
    others = outputs.scatter(1, selected.unsqueeze(1), -torch.inf)
    return _score(outputs, selected) - others.amax(dim=1)


def _vote(outputs: Tensor, selected: Tensor) -> Tensor:
    return (outputs.argmax(dim=1) == selected).to(outputs.dtype)


def _top_class(outputs: Tensor, selected: Tensor) -> Tensor:
    return outputs.argmax(dim=1).to(torch.float32)


SCORE = Measure("score", (0.0, 1.0), 0.5, _score)
"""h_y(x): the softmax score of the selected class y.

Its mean is the average prediction score of class y. If the mean is above the cut-off of 1/2, y is
the class with the largest average score, because the scores of all classes sum to 1. The sum is 1
up to rounding for a softmax in float32, and up to 0.004 for stated probabilities.
"""

MARGIN = Measure("margin", (-1.0, 1.0), 0.0, _margin)
"""h_y(x) - max of h_j(x) over the other classes j, draw by draw.

Its mean is a lower bound on the margin between the average scores, E h_y - max_j E h_j. If the mean
is above the cut-off of 0, y is the class with the largest average score.
"""

VOTE = Measure("vote", (0.0, 1.0), 0.5, _vote, binary=True)
"""1 if the selected class has the largest output in the draw, 0 if not.

Its mean is the probability that the base classifier returns this class. If the mean is above the
cut-off of 1/2, the smoothed classifier of Cohen et al. 2019 returns this class, and the certified
radius of the threshold 1/2 is their radius.
"""

TOP_CLASS = Measure("top class", (0.0, 2.0**24), None, _top_class)
"""The number of the class with the largest output in the draw, to count the votes of all classes.

float32 holds every number of the range exactly. A mean of class numbers has no meaning, so
`measure` has no name for this measure.
"""

BUILT_IN = (SCORE, MARGIN, VOTE)
"""Measures that only select, compare and subtract outputs, so all devices give the same bits."""

_BY_NAME = {known.name: known for known in BUILT_IN}


def measure(spec: str | Measure) -> Measure:
    """Return the measure with the name `spec`, or `spec` itself if it is a `Measure`.

    Parameters
    ----------
    spec : {"score", "margin", "vote"} or Measure
        "score" is the score of the selected class, in (0, 1) with cut-off 0.5. "margin" is that
        score minus the largest score of the others, in (-1, 1) with cut-off 0. "vote" is 1 if the
        selected class has the largest output and 0 if not, with cut-off 0.5.

    Raises
    ------
    ValueError
        If there is no measure of that name.
    TypeError
        If `spec` is neither a name nor a measure.

    Examples
    --------
    >>> measure("margin").score_range
    (-1.0, 1.0)
    """
    if isinstance(spec, Measure):
        return spec
    if not isinstance(spec, str):
        raise TypeError(
            f"measure must be one of {', '.join(map(repr, _BY_NAME))} or a Measure made by "
            f"smoothbound.measures.custom(function, score_range), got {type(spec).__name__}"
        )
    return _BY_NAME[checks.choice("measure", spec, tuple(_BY_NAME))]


_measure = measure


def custom(
    function: Callable[[Tensor, Tensor], Tensor],
    score_range: tuple[float, float],
    *,
    name: str = "custom",
    cutoff: float | None = None,
) -> Measure:
    """Make a measure of any function with a known range.

    Parameters
    ----------
    function : callable
        ``function(outputs, selected)`` as described under `Measure.function`. The outputs are
        probabilities. If the smoothed classifier is made with ``outputs="raw"``, they are the
        outputs of the model itself.
    score_range : tuple of float
        The range (a, b) of the values. Draws are kept in float32, so both ends must be exact
        float32 numbers. An input with a value outside the range is reported as failed.
    name : str, default "custom"
        Name of the measure in results, which is not that of a measure of the library.
    cutoff : float, optional
        The classifier abstains if the certified value at R = 0 is not above this; by default it
        never abstains.

    Returns
    -------
    Measure

    Raises
    ------
    TypeError
        If `function` is not callable, or an argument has the wrong type.
    ValueError
        If the range is not finite with a < b and exact in float32, no certified value can be above
        the cut-off, or the library has a measure of this name.

    Examples
    --------
    The complement of the Gini impurity, the probability that two labels drawn from the
    classifier's own scores agree:

    >>> agreement = custom(lambda p, y: p.square().sum(dim=1), (0.0, 1.0), name="agreement")
    >>> agreement.function(torch.tensor([[0.5, 0.5], [1.0, 0.0]]), torch.tensor([0, 0])).tolist()
    [0.5, 1.0]
    """
    if not callable(function):
        raise TypeError(
            "function must be callable as function(outputs, selected) -> one value per row, "
            f"got {type(function).__name__}"
        )
    if not isinstance(name, str) or not name:
        raise TypeError(f"name must be a non-empty string, got {checks.shown(name)}")
    if name in (*_BY_NAME, TOP_CLASS.name):
        raise ValueError(
            f"name must not be that of a measure of the library, got {name!r}: results with this "
            "name would be taken for those of the other measure"
        )
    a, b = checks.score_range("score_range", score_range)
    for end, outward in ((a, -np.inf), (b, np.inf)):
        if float(np.float32(end)) != end:
            raise ValueError(
                f"score_range must have ends that float32 holds exactly, because the draws are "
                f"float32; got {end!r}, the next wider one is {_widened(end, outward)!r}"
            )
    return Measure(name, (a, b), None if cutoff is None else check_cutoff(cutoff, (a, b)), function)


def at_least(level: float, measure: str | Measure = "score") -> Measure:
    """Make a measure that is 1 if another measure is at least a level, and 0 if not.

    Its mean is the probability P(h(x + delta) >= level), so its certified confidence is a certified
    probability (docs/levels.md). Adaptive draws can decide whether the probability is above a
    threshold within a radius.

    Parameters
    ----------
    level : float
        A finite number within the range of float32. It is compared with all its digits: a score of
        float32(0.9), which is below 0.9, does not reach 0.9.
    measure : {"score", "margin", "vote"} or Measure
        The measure that is compared.

    Returns
    -------
    Measure
        A measure with the range (0, 1) and without a cut-off. An input fails if a value of the
        other measure is outside its range.

    Raises
    ------
    TypeError, ValueError
        If the level is not a finite number, or the measure does not exist.

    Examples
    --------
    >>> confident = at_least(0.9)
    >>> confident.name, confident.score_range
    ('score >= 0.9', (0.0, 1.0))
    >>> confident.function(torch.tensor([[0.95, 0.05], [0.5, 0.5]]), torch.tensor([0, 0])).tolist()
    [1.0, 0.0]
    """
    given = checks.number("level", level)
    if not abs(given) <= float(np.finfo(np.float32).max):
        raise ValueError(f"level must be finite and within float32, got {given!r}")
    compared = _measure(measure)
    reach = partial(_reaches, of=compared, level=given)
    return Measure(f"{compared.name} >= {given!r}", (0.0, 1.0), None, reach, binary=True)


def _reaches(outputs: Tensor, selected: Tensor, *, of: Measure, level: float) -> Tensor:
    values = of.function(outputs, selected)
    if values.dtype != torch.float64:  # torch rounds a number to the type of a tensor
        values, level = values.to(torch.float32), _float32_from(level)
    a, b = of.score_range
    is_sound = (values >= a) & (values <= b)
    # NaN if the other measure is out of its range, so that the input fails.
    return torch.where(is_sound, (values >= level).to(torch.float32), torch.nan)


def _float32_from(level: float) -> float:
    """Return the least float32 that is at least the level."""
    nearest = np.float32(level)
    is_below = float(nearest) < level
    return float(np.nextafter(nearest, np.float32(np.inf)) if is_below else nearest)


def _widened(end: float, outward: float) -> float:
    """Return the float32 nearest to `end` on the side of `outward`."""
    nearest = np.float32(end)
    beyond = float(nearest) > end if outward > 0 else float(nearest) < end
    return float(nearest if beyond else np.nextafter(nearest, np.float32(outward)))


def check_cutoff(cutoff: float, score_range: tuple[float, float]) -> float:
    """Return `cutoff` as a float if a certified value within `score_range` can be above it."""
    if not checks.number("cutoff", cutoff) < score_range[1]:
        raise ValueError(
            f"cutoff must be below the top of the range of the scores {score_range}, or "
            f"the classifier abstains on every input; got {cutoff!r} (-inf never abstains)"
        )
    return float(cutoff)
