"""A curve that is given by a table of values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from smoothbound._display.rounding import exact
from smoothbound._files.atomic import atomic_write
from smoothbound._utils import checks
from smoothbound.curves import _table_file as files
from smoothbound.curves._curve import Curve, Vector
from smoothbound.errors import StoreError, said

__all__ = ["Tabulated", "table_of"]

_TOLERANCE = 1e-12  # of convexity, because the values of a convex function are rounded


@dataclass(frozen=True)
class Tabulated(Curve):
    """The values of psi_R on a grid of p, at one radius or several.

    Between two points of the grid the value at the lower point is used, and below the first point
    the value is 0. Between two radii the values of the next larger radius are used. Both are valid
    for every psi that these values bound from below. At R = 0 the value is psi_0(p) = p.

    The class cannot check that psi is a certificate of the noise, which the caller must prove.
    ``bound="mean"`` needs a psi that is convex between the points of the grid too, or that holds
    for classifiers with randomness of their own. Only the values are checked.

    Parameters
    ----------
    radii : array-like, shape (n_radii,)
        Radii >= 0, ascending, in the units of the inputs. This curve has no `sigma`.
    p : array-like, shape (n_points,)
        The grid, ascending, in [0, 1].
    values : array-like, shape (n_radii, n_points), or (n_points,) for a single radius
        ``values[j][i]`` is psi at ``radii[j]`` and ``p[i]``: in [0, p[i]], not decreasing along the
        grid, and not increasing with the radius. At most 2^20 values.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong shape or is out of range. The error names the first wrong
        value.

    Examples
    --------
    >>> curve = Tabulated(radii=[1.0], p=[0.0, 0.5, 0.9, 1.0], values=[0.0, 0.2, 0.7, 1.0])
    >>> curve.lower([0.6, 0.9, 0.95], radius=1.0).tolist()
    [0.2, 0.7, 0.7]
    >>> curve.upper([0.05], radius=0.5).round(6).tolist(), curve.convex
    ([0.3], True)
    """

    distance: ClassVar[str] = "a distance of its own"
    axis: ClassVar[str] = "radius R (distance of the table)"
    has_scale: ClassVar[bool] = False

    radii: tuple[float, ...]
    p: tuple[float, ...]
    values: tuple[tuple[float, ...], ...]

    def __init__(self, radii: ArrayLike, p: ArrayLike, values: ArrayLike) -> None:
        at, grid = checks.radii("radii", radii), checks.vector("p", p)
        table = checks.numbers("values", values)
        table = table[None] if table.ndim == 1 else table
        _require_table(at, grid, table)
        vars(self).update(
            radii=tuple(at.tolist()),
            p=tuple(grid.tolist()),
            values=tuple(map(tuple, table.tolist())),
        )

    @property
    def name(self) -> str:
        return "table"

    @property
    def meaning(self) -> str:
        return (
            "The radius, in the distance of a table of psi at the radii "
            f"{', '.join(map(exact, self.radii[:8]))}{', ...' if len(self.radii) > 8 else ''}. "
            "The author of the table must have proved it."
        )

    @property
    def convex(self) -> bool:
        p, values = np.array(self.p), np.array(self.values)
        steps = np.diff(p)
        share = steps[:-1] / (steps[:-1] + steps[1:])
        chord = values[:, :-2] + share * (values[:, 2:] - values[:, :-2])
        return bool(np.all(values[:, 1:-1] <= chord + _TOLERANCE))

    @property
    def size(self) -> int:
        return len(self.radii) * len(self.p)

    @property
    def farthest(self) -> float:
        return self.radii[-1]

    def _between(self, p: Vector, q: Vector, r: float) -> Vector:
        row = np.array(self.values[int(np.searchsorted(self.radii, r))])
        place = np.searchsorted(np.array(self.p), p, side="right")
        return np.append(0.0, row)[place]

    def plain(self) -> Any:
        return {
            "radii": list(self.radii),
            "p": list(self.p),
            "values": list(map(list, self.values)),
        }

    def save(self, path: str | Path) -> None:
        """Write the table with the keys radii, p and values. `load` reads it back.

        Parameters
        ----------
        path : str or Path
            The file, which is replaced if it exists. With the ending .npz it holds NumPy arrays,
            with any other JSON. The name should end with .npz or .json, because
            ``smoothbound bounds --curve FILE`` recognises files by it.

        Raises
        ------
        StoreError
            If the file cannot be written.
        """
        place = checks.path("path", path)
        with atomic_write(place) as file:
            files.write(file, place, self.plain())

    @classmethod
    def load(cls, path: str | Path) -> Tabulated:
        """Read a table with the keys radii, p and values. No code in the file is executed.

        Parameters
        ----------
        path : str or Path
            A file of at most 64 MiB: arrays as ``numpy.savez`` writes them if its name ends in
            .npz, and JSON otherwise.

        Returns
        -------
        Tabulated

        Raises
        ------
        StoreError
            If the file cannot be read, or is not such a table. The error states the reason.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> table = Tabulated(radii=[1.0], p=[0.0, 0.5, 1.0], values=[0.0, 0.2, 0.8])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     table.save(Path(folder) / "curve.json")
        ...     Tabulated.load(Path(folder) / "curve.json") == table
        True
        """
        place = checks.path("path", path)
        try:
            return table_of(files.read(place))
        except (ArithmeticError, RecursionError, TypeError, ValueError) as error:
            raise StoreError(f"{path} must be {files.form_of(place)}: {said(error)}") from error

    def for_core(self) -> dict[str, Any]:
        return {"kind": "table", "radii": self.radii, "p": self.p, "values": np.array(self.values)}


def table_of(values: object) -> Tabulated:
    """Return the table of a dict from JSON.

    Raises
    ------
    TypeError, ValueError
        If its keys are not the arguments of `Tabulated`, or the values are not a table.
    """
    if not isinstance(values, dict) or set(values) != set(files.KEYS):
        raise ValueError(
            "a table must have the keys 'radii', 'p' and 'values', and no other, got "
            f"{checks.shown(values)}"
        )
    return Tabulated(**values)


def _require_table(radii: Vector, p: Vector, values: Vector) -> None:
    """Refuse arguments that are not a valid table."""
    for name, grid in (("radii", radii), ("p", p)):
        if not grid.size:
            raise ValueError(f"{name} must not be empty")
        for i in np.flatnonzero(~(np.diff(grid) > 0.0))[:1]:
            raise ValueError(
                f"{name} must ascend, got {name}[{i}] = {grid[i]} and {name}[{i + 1}] = "
                f"{grid[i + 1]}"
            )
    if not (p[0] >= 0.0 and p[-1] <= 1.0):
        raise ValueError(f"p must lie in [0, 1], got {p[0]} to {p[-1]}")
    if values.shape != (radii.size, p.size):
        raise ValueError(
            f"values must have shape (n_radii, n_points) = {(radii.size, p.size)}, got "
            f"{values.shape}"
        )
    if values.size > files.MOST_VALUES:
        raise ValueError(f"values must be at most 2^20 numbers, got {values.size}")
    sound = (values >= 0.0) & (values <= p)
    _require(sound, values, "lie in [0, p]: psi of p is a probability, and no more than p")
    step = np.diff(values, axis=1, prepend=0.0) >= 0.0
    _require(step, values, "not decrease along p")
    step = np.diff(values, axis=0, prepend=np.minimum(p, 1.0)[None]) <= 0.0
    _require(step, values, "not increase with the radius")


def _require(holds: Any, values: Vector, need: str) -> None:
    for j, i in np.argwhere(~holds)[:1].tolist():
        raise ValueError(f"values must {need}; got values[{j}][{i}] = {values[j, i]}")
