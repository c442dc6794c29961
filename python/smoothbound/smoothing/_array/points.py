"""Checks of the inputs of an array, before any draw."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from smoothbound.noise._noise import Noise
from smoothbound.sampling._model.inputs import in_bytes, tensor_of

__all__ = ["check_points"]

_CALLER = 4  # frames from a warning to the caller of `certify`, which has a wrapper


def check_points(x: NDArray[np.floating] | Tensor, noises: Sequence[Noise]) -> None:
    """Refuse inputs that do not suit their noise.

    Warn if the inputs lie on a grid that was not stated, or look like images that were not scaled.
    """
    for i, noise in enumerate(noises):
        noise.point(tensor_of(x[i, ...]))
    noise, least = noises[0], min(noise.sigma for noise in noises)
    displacement = noise.displacement(int(np.prod(x.shape[1:])))
    if common := noise.common_grid(tensor_of(x[0, ...])):
        warnings.warn(
            f"x[0] lies on the grid of whole multiples of 1/{common}: state grid={common}, and "
            f"certificates do not lose the radius {2 * displacement:.3g} to rounding",
            stacklevel=_CALLER,
        )
    if in_bytes(x) and least <= 2.0:
        warnings.warn(
            f"x holds whole numbers up to {float(x.max()):g}, like 8-bit images, and sigma = "
            f"{least:g} is less than 1 % of their range: sigma is in the units of x. "
            "Divide x by 255 if sigma was meant for images in [0, 1]",
            stacklevel=_CALLER,
        )
