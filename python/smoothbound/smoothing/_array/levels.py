"""The noise level of each input of an array, and how it is drawn and certified there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from smoothbound._display.rounding import exact
from smoothbound._utils import checks
from smoothbound.bounds._per_input import within
from smoothbound.bounds._request import Settings
from smoothbound.noise._noise import Noise
from smoothbound.noise._record import NoiseRecord
from smoothbound.smoothing._certificate import SmoothedCertificate
from smoothbound.smoothing._one_input.anytime_draws import AnytimeProcedure
from smoothbound.smoothing._one_input.fixed_draws import Procedure

__all__ = ["Levels", "Way", "held_within", "record_of"]

Made = TypeVar("Made")


@dataclass(frozen=True)
class Way:
    """How inputs of one noise level are drawn and certified.

    Attributes
    ----------
    noise : Noise
    procedure : Procedure or AnytimeProcedure
    settings : Settings
        Of the certificates.
    """

    noise: Noise
    procedure: Procedure | AnytimeProcedure
    settings: Settings


@dataclass(frozen=True)
class Levels:
    """The noise level of each input.

    Attributes
    ----------
    sigma : tuple of float
        One for each input.
    column : ndarray of float64, shape (n_inputs,), or None
        The levels, if they were stated one by one; None for a single level.
    """

    sigma: tuple[float, ...]
    column: NDArray[np.float64] | None

    @classmethod
    def of(cls, sigma: object, usual: float, n_inputs: int) -> Levels:
        """Return the stated levels, or the usual one for all.

        Raises
        ------
        TypeError, ValueError
            If there is neither one level nor one for each input, or one is not positive.

        Examples
        --------
        >>> Levels.of(None, 0.5, 2).sigma, Levels.of([0.5, 1.0], 0.25, 2).sigma
        ((0.5, 0.5), (0.5, 1.0))
        """
        column = checks.levels("sigma", sigma, n_inputs)
        if column is not None:
            return cls(tuple(column.tolist()), column)
        one = usual if sigma is None else checks.positive("sigma", sigma)
        return cls((one,) * n_inputs, None)

    def at_each(self, make: Callable[[float], Made]) -> dict[float, Made]:
        """Return what `make` returns for each level, the least first.

        Raises
        ------
        ValueError
            If it raises one. The error names the first input of that level.
        """
        made = {}
        for level in sorted(set(self.sigma)):
            try:
                made[level] = make(level)
            except ValueError as error:
                if self.column is None:
                    raise
                i = self.sigma.index(level)
                raise ValueError(f"with sigma[{i}] = {exact(level)}: {error}") from error
        return made


def record_of(noises: list[Noise], elements: int) -> NoiseRecord:
    """Return the record of the noise of one level or several, for inputs of this size.

    That of several levels has no sigma and no steps, and the largest displacement.
    """
    records = [noise.describe(elements) for noise in noises]
    if len(records) == 1:
        return records[0]
    largest = max(records, key=lambda record: record.displacement or 0.0)
    return replace(largest, sigma=None, steps=None)


def held_within(
    certificate: SmoothedCertificate, reach: NDArray[np.float64] | None
) -> SmoothedCertificate:
    """Return what a certificate shows if sigma is constant only this far from each input."""
    if reach is None:
        return certificate
    radius = np.minimum(certificate.class_radius, reach)
    return replace(within(certificate, reach), class_radius=radius)
