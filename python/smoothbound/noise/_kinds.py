"""The kinds of noise, and the limits of their certificates."""

from __future__ import annotations

from typing import Any, Literal, get_args

from smoothbound._utils import checks

__all__ = ["BRIEF_CAVEAT", "CAVEAT", "DEFAULT", "KINDS", "Kind", "described", "stated"]

Kind = Literal["lattice", "gaussian"]

DEFAULT: Kind = "lattice"
KINDS: tuple[str, ...] = get_args(Kind)

CAVEAT = (
    "floating-point noise: x + noise is rounded, and the certificate does not account for that, so "
    "that it is no proof; a network made for it can be certified falsely"
)
BRIEF_CAVEAT = "floating-point noise, so no proof"


def stated(kind: Any) -> str | None:
    """Return a kind of noise that was checked; None stands for an unknown kind.

    Raises
    ------
    ValueError
        If it is neither None nor one of `KINDS`.

    Examples
    --------
    >>> stated("gaussian"), stated(None)
    ('gaussian', None)
    """
    return None if kind is None else checks.choice("noise", kind, KINDS)


def described(kind: str | None) -> dict[str, Any]:
    """Return the entries about a kind of noise in the settings of a certificate.

    There are none if the kind is not known.

    Examples
    --------
    >>> described("lattice"), described(None), list(described("gaussian"))
    ({'kind': 'lattice'}, {}, ['kind', 'caveat'])
    """
    known = {} if kind is None else {"kind": kind}
    return known | ({"caveat": CAVEAT} if kind == "gaussian" else {})
