"""The noise levels of the inputs of an array, and how inputs of one level are certified."""

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
    """The noise, procedure and settings for inputs of one noise level.

    Attributes
    ----------
    noise : Noise
    procedure : Procedure or AnytimeProcedure
    settings : Settings
        Settings of the certificates.
    """

    noise: Noise
    procedure: Procedure | AnytimeProcedure
    settings: Settings


@dataclass(frozen=True)
class Levels:
    """The noise levels of the inputs of an array.

    Attributes
    ----------
    sigma : tuple of float
        The noise level of each input.
    column : ndarray of float64, shape (n_inputs,), or None
        The levels, if they were given one by one; None for a single level.
    """

    sigma: tuple[float, ...]
    column: NDArray[np.float64] | None

    @classmethod
    def of(cls, sigma: object, usual: float, n_inputs: int) -> Levels:
        """Return the given levels, or the usual level for all inputs.

        Raises
        ------
        TypeError, ValueError
            If there is neither a single level nor one for each input, or a level is not positive.

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
        """Call `make` for each level, in ascending order, and return its results.

        Raises
        ------
        ValueError
            If `make` raises one. The error names the first input of that level.
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
    """Return the record of noise of one level or several, for inputs of a given size.

    The record of several levels has no sigma and no steps, and it has the largest displacement.
    """
    records = [noise.describe(elements) for noise in noises]
    if len(records) == 1:
        return records[0]
    largest = max(records, key=lambda record: record.displacement or 0.0)
    return replace(largest, sigma=None, steps=None)


def held_within(
    certificate: SmoothedCertificate, reach: NDArray[np.float64] | None
) -> SmoothedCertificate:
    """Restrict a certificate to the balls around the inputs on which sigma is constant."""
    if reach is None:
        return certificate
    radius = np.minimum(certificate.class_radius, reach)
    return replace(within(certificate, reach), class_radius=radius)
