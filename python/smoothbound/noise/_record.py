"""The record of the noise of the draws behind a result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from smoothbound._utils import checks
from smoothbound.noise._kinds import BRIEF_CAVEAT, CAVEAT, KINDS, Kind
from smoothbound.noise._streams import MAX_SEED

__all__ = ["NoiseRecord"]


@dataclass(frozen=True, kw_only=True)
class NoiseRecord:
    """The noise of the draws behind a result, as far as it is known.

    Attributes
    ----------
    kind : {"lattice", "gaussian"} or None
    caveat : str or None
        The limits of certificates under Gaussian noise; None for lattice noise.
    sigma : float or None
        Standard deviation, in the units of the input.
    seed : int or None
    generator : str or None
        Where the random bits come from.
    enters : str or None
        The place of the noise in the pipeline.
    grid : int or None
        Levels of the inputs of lattice noise, which are whole multiples of 1 / grid. None if no
        grid was stated.
    steps : float or None
        Steps of the lattice in 1.
    displacement : float or None
        Largest distance between an input and the lattice point around which draws are made, in the
        units of the input. None if draws are made around the inputs themselves.

    Raises
    ------
    TypeError, ValueError
        If a field has the wrong type or is out of range.

    Examples
    --------
    >>> record = NoiseRecord(kind="lattice", grid=255)
    >>> record.to_dict()
    {'kind': 'lattice', 'grid': 255}
    >>> NoiseRecord.from_dict(record.to_dict()) == record
    True
    """

    kind: Kind | None = None
    caveat: str | None = None
    sigma: float | None = None
    seed: int | None = None
    generator: str | None = None
    enters: str | None = None
    grid: int | None = None
    steps: float | None = None
    displacement: float | None = None

    def __post_init__(self) -> None:
        for name, check in _CHECKS.items():
            if (value := getattr(self, name)) is not None:
                check(f"noise {name}", value)

    @classmethod
    def of_kind(cls, kind: Kind | None) -> NoiseRecord:
        """Return the record of noise of which only the kind is known, or nothing."""
        return cls(kind=kind, caveat=CAVEAT if kind == "gaussian" else None)

    @property
    def brief_caveat(self) -> str:
        """A short reason why a certificate under this noise is not a proof; empty if it is one."""
        return BRIEF_CAVEAT if self.kind == "gaussian" else ""

    def to_dict(self) -> dict[str, Any]:
        """Return the recorded values as in files.

        A lattice with a number of steps always has an entry for the grid, which is None if none was
        stated.
        """
        return {
            name: value
            for name, value in asdict(self).items()
            if value is not None or (name == "grid" and self.steps is not None)
        }

    @classmethod
    def from_dict(cls, values: object) -> NoiseRecord:
        """Read what `to_dict` returned.

        Raises
        ------
        TypeError, ValueError
            If an entry is unknown, has the wrong type or is out of range.
        """
        known = checks.instance("noise", values, dict)
        if unknown := known.keys() - cls.__dataclass_fields__.keys():
            raise ValueError(f"noise has an unknown entry {checks.shown(min(unknown))}")
        return cls(**known)


def _text(name: str, value: object) -> str:
    return checks.instance(name, value, str)


_CHECKS: dict[str, Callable[[str, Any], object]] = {
    "kind": lambda name, value: checks.choice(name, value, KINDS),
    "caveat": _text,
    "sigma": checks.positive,
    "seed": lambda name, value: checks.count(name, value, 0, MAX_SEED),
    "generator": _text,
    "enters": _text,
    "grid": checks.count,
    "steps": checks.positive,
    "displacement": checks.non_negative,
}
