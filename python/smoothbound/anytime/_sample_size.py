"""Numbers of draws: the looks of a test, and the least number that a claim needs.

The looks are 0, 1, 2, ..., 64, 66, 68, ..., and grow by 1/32 each, as in the core
(draw_record.hpp). They depend on nothing else, so a result does not depend on how the draws are
divided into calls.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from smoothbound._utils import checks
from smoothbound.anytime._questions import Question
from smoothbound.anytime._setting import Setting
from smoothbound.backends import _select as backends
from smoothbound.backends._names import Backend, Side, Sides

__all__ = [
    "first_look_from",
    "last_look",
    "look_after",
    "require_draws",
    "required_draws",
]

_MOST = 2**24  # where the search for the number of draws ends
_NEEDS_MORE = 2**62


def look_after(look: int) -> int:
    """Return the next look.

    Examples
    --------
    >>> look_after(0), look_after(64), look_after(66)
    (1, 66, 68)
    """
    return look + (1 if look < 64 else look // 32)


def last_look(n_draws: int) -> int:
    """Return the last look at or before a number of draws.

    Examples
    --------
    >>> last_look(64), last_look(65), last_look(100_000)
    (64, 64, 99508)
    """
    look = 0
    while (following := look_after(look)) <= n_draws:
        look = following
    return look


def first_look_from(n_draws: int) -> tuple[int, int]:
    """Return the first look at or after a number of draws: its index and its number of draws.

    Examples
    --------
    >>> first_look_from(64), first_look_from(65)
    ((64, 64), (65, 66))
    """
    place, look = 0, 0
    while look < n_draws:
        place, look = place + 1, look_after(look)
    return place, look


def required_draws(
    question: Question,
    *,
    sigma: float,
    alpha: float = 1e-3,
    score_range: tuple[float, float] = (0.0, 1.0),
    side: Sides = "lower",
    n_guess: int = 10,
    displacement: float = 0.0,
    backend: Backend | None = None,
) -> int:
    """Return the least number of draws with which perfect scores answer a question.

    With fewer draws no input can get a certificate.

    Parameters
    ----------
    question : Decide, FindRadius or FindConfidence
        The question. For the last two it is answered if the first point of the grid is certified.
    sigma, alpha, score_range, side, displacement, backend
        As in `AnytimeTest`.
    n_guess : int
        Number of scores of the first guess, which are perfect too and are not counted.

    Returns
    -------
    int
        The number of draws at a look.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is out of range, or the certificate takes more than
        2^24 draws.

    Examples
    --------
    >>> from smoothbound.anytime import Decide
    >>> required_draws(Decide(0.5, 0.0), sigma=0.25), required_draws(Decide(0.5, 0.5), sigma=0.25)
    (11, 330)
    """
    setting = Setting(sigma=sigma, score_range=score_range, side=side, displacement=displacement)
    checked = setting.question("question", question)
    level = setting.share(checks.alpha("alpha", alpha))
    n_guess = checks.count("n_guess", n_guess, 0, _MOST)
    backend = backends.resolve(backend)
    least = max(_least(setting, checked, one, level, n_guess, backend) for one in setting.sides)
    if least == _NEEDS_MORE:
        raise ValueError(
            f"question needs more than {_MOST} draws, even if every score were perfect: {checked} "
            f"with {_stated(setting)} at alpha = {alpha:g}; ask for less or at a larger alpha"
        )
    return least


def require_draws(
    n_draws: int, question: Question, setting: Setting, alpha: float, n_guess: int, backend: Backend
) -> None:
    """Refuse a number of draws that cannot certify anything.

    Raises
    ------
    ValueError
        If there are too few draws. The error states the number needed.
    """
    for side in setting.sides:
        least = _least(setting, question, side, setting.share(alpha), n_guess, backend)
        if n_draws >= least:
            continue
        perfect = setting.score_range[side == "lower"]
        would_do = f"more than {_MOST}" if least == _NEEDS_MORE else f"at least n = {least}"
        raise ValueError(
            f"n = {n_draws} draws are too few to certify {question} with {_stated(setting)} at "
            f"alpha = {setting.share(alpha):g}, even if every score were {perfect:g}; {would_do} "
            "are needed"
        )


def _stated(setting: Setting) -> str:
    """Return sigma, and the displacement if there is one, as text."""
    around = f" and displacement = {setting.displacement:g}" if setting.displacement else ""
    return f"sigma = {setting.sigma:g}{around}"


@lru_cache(maxsize=1024)
def _least(
    setting: Setting, question: Question, side: Side, alpha: float, n_guess: int, backend: Backend
) -> int:
    """Return the look at which perfect scores show the first claim; _NEEDS_MORE above 2^24."""
    perfect = setting.score_range[side == "lower"]
    core = backends.load(backend)
    record = setting.record(core, side)
    record.guess(np.broadcast_to(perfect, (1, n_guess)))
    process = setting.chain(core, question, side, alpha).process
    least, n = 0, 64
    while not least:
        if n > _MOST:
            return _NEEDS_MORE
        record.add(np.broadcast_to(perfect, (1, n)))
        least, n = process.advance(record, alpha), 2 * n
    return int(least)
