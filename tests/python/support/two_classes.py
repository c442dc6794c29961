"""A smoothed classifier whose confidence is known: two classes, and a score with an exact mean."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

SIGMA, SLOPE = 0.5, 4.0


def model(x: Tensor) -> Tensor:
    """Return the logits of two classes; the first scores sigmoid(SLOPE * x0)."""
    return torch.stack([x[:, 0], -x[:, 0]], dim=1) * (SLOPE / 2)


def exact(x: Tensor) -> Tensor:
    """Return logits whose softmax is the same bits in every batch: 0 or 1."""
    return torch.stack([x[:, 0], -x[:, 0]], dim=1).sign() * 1000


def truth(x0: Any) -> Any:
    """Return E sigmoid(SLOPE * (x0 + SIGMA z)), exact to many digits by quadrature."""
    z, weight = np.polynomial.hermite_e.hermegauss(120)
    values = 1 / (1 + np.exp(-SLOPE * (np.asarray(x0)[..., None] + SIGMA * z)))
    return values @ weight / np.sqrt(2 * np.pi)


def inputs(*x0: float) -> np.ndarray:
    """Return inputs of two elements, the first of which counts."""
    return np.array([[value, 7.0] for value in x0], np.float32)
