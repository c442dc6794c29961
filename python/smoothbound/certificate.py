"""Certificates: the numbers, and everything needed to repeat them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from smoothbound.method import Method
from smoothbound.rounding import exact

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["Certificate", "Settings"]

METADATA_KEY = b"smoothbound"


@dataclass(frozen=True)
class Settings:
    """What was asked for, and how it was computed.

    Attributes
    ----------
    sigma : float
        Noise level, in the units of the model's input before normalisation.
    alpha : float
        Failure probability of each certificate as a whole.
    alpha_lower, alpha_upper : float or None
        The share of alpha that each side was computed with; None for a side not asked for.
    score_range : (float, float)
        The range [a, b] of the scores.
    radii, thresholds : tuple of float
        l2 radii, in the units of the model's input, and confidence thresholds.
    method : Method
    sides : {"lower", "upper", "both"}
    n : int
        Draws of each input.
    n_pilot : int
        The first of them, from which stakes and tangents were chosen, and nothing else; 0 for a
        method without pilot draws.
    order : {"unknown", "drawn"}
        Whether a method with pilot draws permuted the positions of each row first, or kept them.
    order_seed : int
        Key of that permutation, together with the number of the row.
    backend, version : str
        What computed it.
    """

    sigma: float
    alpha: float
    alpha_lower: float | None
    alpha_upper: float | None
    score_range: tuple[float, float]
    radii: tuple[float, ...]
    thresholds: tuple[float, ...]
    method: Method
    sides: str
    n: int
    n_pilot: int
    order: str
    order_seed: int
    backend: str
    version: str

    def to_json(self) -> str:
        """Write the settings as one line of JSON."""
        return json.dumps(asdict(self), sort_keys=True)


@dataclass(frozen=True)
class Certificate:
    """Certified confidence and certified radii of many inputs.

    Attributes
    ----------
    settings : Settings
    lower : ndarray of float64, shape (n_inputs, n_radii), or None
        The expected score cannot fall below it within the radius. Each entry holds with
        probability at least 1 - alpha over the draws; except with ``bound="tangent"`` all radii of
        an input hold at once.
    upper : ndarray of float64, shape (n_inputs, n_radii), or None
        The expected score cannot rise above it within the radius.
    radius : ndarray of float64, shape (n_inputs, n_thresholds), or None
        The expected score stays above the threshold within it, in the units of the input; NaN where
        even R = 0 fails. None without the lower side.
    """

    settings: Settings
    lower: NDArray[np.float64] | None
    upper: NDArray[np.float64] | None
    radius: NDArray[np.float64] | None

    def __len__(self) -> int:
        """Return the number of inputs."""
        return next(len(a) for a in (self.lower, self.upper, self.radius) if a is not None)

    def _columns(self) -> dict[str, pa.Array[Any]]:
        """Return the columns of `to_arrow`, one row an input."""
        return {
            name: _list_column(values)
            for name in ("lower", "upper", "radius")
            if (values := getattr(self, name)) is not None and values.shape[1] > 0
        }

    def to_arrow(self) -> pa.Table:
        """Return a table with one row an input and the settings in its metadata.

        Columns "lower", "upper" and "radius" are lists as long as the radii or the thresholds,
        left out where there are none; the metadata key ``smoothbound`` holds the settings as JSON.
        """
        import pyarrow as pa

        table = pa.table(self._columns())
        return table.replace_schema_metadata({METADATA_KEY: self.settings.to_json().encode()})

    def to_pandas(self) -> pd.DataFrame:
        """Return a data frame with one row an input and one column a number.

        Columns are named ``lower@R`` and ``upper@R`` by the radius and ``radius@c`` by the
        threshold, both with all their digits (`smoothbound.rounding.exact`). A radius that was
        asked for twice has two columns of the same name.
        """
        import pandas as pd

        names, columns = self.flat()
        lists = [c if isinstance(c, np.ndarray) else c.to_pylist() for c in columns]
        frame: pd.DataFrame = pd.DataFrame(dict(enumerate(lists)))
        frame.columns = pd.Index(names)
        return frame

    def flat(self) -> tuple[list[str], list[Any]]:
        """Return the names and the columns of `to_pandas`, as NumPy or Arrow arrays."""
        grids = {
            "lower": self.settings.radii,
            "upper": self.settings.radii,
            "radius": self.settings.thresholds,
        }
        names: list[str] = []
        columns: list[Any] = []
        for name, array in self._columns().items():
            grid = grids.get(name)
            names += [name] if grid is None else [f"{name}@{exact(at)}" for at in grid]
            columns += [array] if grid is None else list(getattr(self, name).T)
        return names, columns


def _list_column(values: NDArray[np.float64]) -> pa.Array[Any]:
    import pyarrow as pa

    # Without a copy, and without pandas, which pa.array() takes half a second to import.
    buffer = pa.py_buffer(np.ascontiguousarray(values).data)
    flat = pa.Array.from_buffers(pa.float64(), values.size, [None, buffer])
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
