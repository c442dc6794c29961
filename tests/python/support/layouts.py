"""The same scores in other layouts of memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["LAYOUTS", "laid_out"]

LAYOUTS = ["transposed", "every second", "reversed", "read-only"]


def laid_out(scores: NDArray[np.floating], layout: str) -> NDArray[np.floating]:
    """Return a view or a copy with the same scores in this layout."""
    view = {
        "transposed": np.asfortranarray(scores),
        "every second": np.repeat(scores, 2, axis=1)[:, ::2],
        "reversed": scores[:, ::-1][:, ::-1],
        "read-only": scores.copy(),
    }[layout]
    view.flags.writeable = layout != "read-only"
    return view
