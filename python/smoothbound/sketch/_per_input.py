"""Inputs of a sketch with noise levels of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from smoothbound.bounds._per_input import groups, joined
from smoothbound.bounds._request import Request
from smoothbound.sketch._certify import SketchCertificate
from smoothbound.sketch._content import SketchContent
from smoothbound.sketch._levels import SketchLevelCertificate

__all__ = ["certify_each"]

Made = TypeVar("Made", SketchCertificate, SketchLevelCertificate)


def certify_each(
    certify: Callable[[SketchContent, Request], Made],
    content: SketchContent,
    request: Request,
    sigma: NDArray[np.float64] | None,
) -> Made:
    """Certify inputs that have noise levels of their own. Those with the same level are grouped.

    If `sigma` is None, all inputs have the noise level of the request.
    """
    if sigma is None:
        return certify(content, request)
    parts = []
    for rows in groups(sigma, in_succession=False):
        asked = replace(request, sigma=float(sigma[rows[0]]))
        parts.append((rows, certify(content.select(content.index[rows]), asked)))
    made = joined(parts, sigma)
    return replace(made, settings=replace(made.settings, n=int(made.n_draws.min())))
