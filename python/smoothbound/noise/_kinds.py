"""The kinds of noise, and the limits of their certificates."""

from __future__ import annotations

from typing import Literal, get_args

from smoothbound._utils import checks

__all__ = ["BRIEF_CAVEAT", "CAVEAT", "DEFAULT", "KINDS", "Kind", "stated"]

Kind = Literal["lattice", "gaussian"]

DEFAULT: Kind = "lattice"
KINDS: tuple[Kind, ...] = get_args(Kind)

CAVEAT = (
    "floating-point noise: x + noise is rounded, and the certificate does not account for that, so "
    "that it is no proof; a network made for it can be certified falsely"
)
BRIEF_CAVEAT = "floating-point noise, so no proof"


def stated(kind: object) -> Kind | None:
    """Return a kind of noise after checks; None stands for an unknown kind.

    Raises
    ------
    ValueError
        If the kind is neither None nor one of `KINDS`.

    Examples
    --------
    >>> stated("gaussian"), stated(None)
    ('gaussian', None)
    """
    return None if kind is None else checks.choice("noise", kind, KINDS)
