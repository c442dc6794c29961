"""The numbers of draws at which tests are judged.

They are 0, 1, 2, ..., 64, 66, 68, ..., each 1/32 larger than the one before, as in the core
(draw_record.hpp). They depend on nothing else, so that a result is the same however the draws are
cut into calls.
"""

from __future__ import annotations

__all__ = ["first_look_from", "last_look", "look_after"]


def look_after(look: int) -> int:
    """Return the look after a look.

    Examples
    --------
    >>> look_after(0), look_after(64), look_after(66)
    (1, 66, 68)
    """
    return look + (1 if look < 64 else look // 32)


def last_look(n_draws: int) -> int:
    """Return the last look at which there are no more than these draws.

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
    """Return the first look at which there are at least these draws: its place and their number.

    Examples
    --------
    >>> first_look_from(64), first_look_from(65)
    ((64, 64), (65, 66))
    """
    place, look = 0, 0
    while look < n_draws:
        place, look = place + 1, look_after(look)
    return place, look
