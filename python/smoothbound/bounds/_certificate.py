"""Certificates: the numbers, and everything needed to repeat them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smoothbound._display.axes import require_axes
from smoothbound._display.bound_curves import draw_bounds
from smoothbound._display.preview import Preview
from smoothbound._display.rounding import exact, exact_levels
from smoothbound._utils import checks
from smoothbound._utils.extras import name_the_extra
from smoothbound._utils.faces import public
from smoothbound.bounds._request import Settings
from smoothbound.errors import StoreError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from matplotlib.axes import Axes
    from typing_extensions import Self

__all__ = ["Certificate"]


@dataclass(frozen=True, eq=False, repr=False)
class Certificate:
    """Certified confidence and certified radii of many inputs.

    ``len(cert)`` is the number of inputs. ``cert[i]``, ``cert[2:5]`` and ``cert[mask]`` are
    certificates of some of them. Two certificates are equal if they have the same type, settings
    and numbers, where NaN equals NaN. A certificate never changes, so threads may share it.

    Attributes
    ----------
    settings : Settings
    lower : ndarray of float64, shape (n_inputs, n_radii), or None
        Lower bounds on the expected score at every point within the radius. Each entry holds with
        probability at least 1 - alpha over the draws. All radii of an input hold at once, except
        with ``bound="tangent"``. None without the lower side.
    upper : ndarray of float64, shape (n_inputs, n_radii), or None
        Upper bounds on the expected score at every point within the radius. None without the upper
        side.
    radius : ndarray of float64, shape (n_inputs, n_thresholds), or None
        Certified radii, in the units of the input. The expected score stays above the threshold at
        every point within the radius. NaN if it is not certified above the threshold at R = 0. None
        without the lower side.
    sigma : ndarray of float64, shape (n_inputs,), or None
        Noise level of each input. None if all inputs have the noise level ``settings.sigma``.
        Otherwise ``settings.sigma`` is the least of them.
    constant_within : ndarray of float64, shape (n_inputs,), or None
        Radius around each input within which sigma is constant. No certified radius exceeds it.
        None if none was stated.
    """

    settings_class: ClassVar[type[Settings]] = Settings

    settings: Settings
    lower: NDArray[np.float64] | None
    upper: NDArray[np.float64] | None
    radius: NDArray[np.float64] | None
    sigma: NDArray[np.float64] | None = field(default=None, kw_only=True)
    constant_within: NDArray[np.float64] | None = field(default=None, kw_only=True)

    _own_columns: ClassVar[tuple[str, ...]] = ()  # attributes that only a subclass has
    _in_files_only: ClassVar[tuple[str, ...]] = ()  # columns that data frames and texts leave out

    def __len__(self) -> int:
        """Return the number of inputs."""
        return next(len(a) for a in (self.lower, self.upper, self.radius) if a is not None)

    def __getitem__(self, which: Any) -> Self:
        """Return the certificate of some inputs, which are selected like rows of an array.

        Parameters
        ----------
        which : int, slice, or array of int or bool, shape (n_chosen,) or (n_inputs,)

        Raises
        ------
        IndexError
            If an input does not exist, or `which` has more than one dimension.
        """
        rows = np.atleast_1d(np.arange(len(self))[which])
        if rows.ndim > 1:
            raise IndexError(f"a certificate has one dimension, got an index with {rows.ndim}")
        return replace(self, **{name: _taken(values, rows) for name, values in self._parts()})

    def __eq__(self, other: object) -> bool:
        """Return whether all settings and numbers are the same; NaN equals NaN."""
        if type(other) is not type(self):
            return NotImplemented
        pairs = zip(self._parts(), other._parts(), strict=True)
        return self.settings == other.settings and all(_same(a, b) for (_, a), (_, b) in pairs)

    __hash__ = None  # type: ignore[assignment]  # like every object that holds arrays

    def __repr__(self) -> str:
        return self._preview().text()

    def _repr_html_(self) -> str:
        return self._preview().html()

    def _preview(self) -> Preview:
        of, names_and_columns = self.settings, self.flat()
        about = "" if of.quantity == "confidence" else f", {of.quantity}"
        levels = self.noise_levels("sigma")
        title = (
            f"{type(self).__name__} of {len(self)} input{'s' * (len(self) != 1)}{about}: "
            f"{of.method.label}, n = {of.n}, {levels}, alpha = {exact(of.alpha)}"
        )
        title += f"; {of.caveat}" if of.caveat else ""
        return Preview(title, len(self), *names_and_columns, checks.remark_on_alpha(of.alpha))

    def noise_levels(self, symbol: str) -> str:
        """Return the noise levels of the inputs as text."""
        return exact_levels(symbol, self.settings.sigma, self.sigma)

    def _parts(self) -> Iterator[tuple[str, Any]]:
        """Yield the name and the values, or None, of each attribute with one entry per input."""
        for part in fields(self):
            if part.name != "settings":
                yield part.name, getattr(self, part.name)

    def save(self, path: str | Path) -> None:
        """Write the certificate to a Parquet file, which replaces `path` once it is complete.

        The columns are those of `to_arrow`. A checksum covers settings and numbers.

        Parameters
        ----------
        path : str or Path
            Name of the file, which must end in .parquet.

        Raises
        ------
        StoreError
            If the file cannot be written. `path` then keeps its old content.
        TypeError, ValueError
            If `path` is not a path or has another ending, or the certificate has neither radii nor
            thresholds.

        Examples
        --------
        >>> import tempfile, smoothbound as sb
        >>> cert = sb.certify_scores(np.full((2, 500), 0.9), sigma=0.25, radii=[0, 0.25])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     cert.save(f"{folder}/cert.parquet")
        ...     sb.Certificate.load(f"{folder}/cert.parquet") == cert
        True
        """
        with name_the_extra():
            from smoothbound.bounds._certificate_files import write

        write(self, path)

    @classmethod
    def upgraded(cls, table: pa.Table, settings: Settings) -> pa.Table:
        """Return the table of a file with the columns of this version; the file may be older."""
        return table

    @classmethod
    def shape_of(cls, name: str, settings: Settings) -> tuple[int, ...]:
        """Return the shape that `lower`, `upper` or `radius` has for one input."""
        return (len(settings.thresholds if name == "radius" else settings.radii),)

    @classmethod
    def limits_of(cls, name: str, settings: Settings) -> tuple[float, float]:
        """Return the least and the largest possible number in `lower`, `upper` or `radius`."""
        return (0.0, math.inf) if name == "radius" else settings.score_range

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a certificate that `save` or ``smoothbound bounds`` wrote.

        Parameters
        ----------
        path : str or Path
            A .parquet file, or a folder with all shards that ``bounds --shard`` wrote.

        Returns
        -------
        Certificate
            An object of the class that was saved.

        Raises
        ------
        StoreError
            If the file does not exist, is damaged, holds no certificate or one of another class, or
            a setting or a number in it is out of range.
        """
        with name_the_extra():
            from smoothbound.bounds._certificate_files import read

        made = read(path, _class_named)
        if not isinstance(made, cls):
            raise StoreError(f"{path} holds a {type(made).__name__}, not a {cls.__name__}")
        return made

    def plot(self, ax: Axes | None = None, inputs: ArrayLike | None = None) -> Axes:
        """Draw the certified confidence over the radius, one curve for each input.

        The curves have labels, which ``cert.plot().legend()`` shows.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            The axes to draw on; by default new ones of pyplot.
        inputs : array_like of int, optional
            Rows of the inputs to draw; by default the first ten.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ValueError
            If the certificate has no radii, or an input does not exist.
        """
        of = self.settings
        if not of.radii:
            raise ValueError(
                "certificate has no radii, so there is no confidence to draw; certify with radii"
            )
        try:
            chosen = self[:10] if inputs is None else self[checks.array("inputs", inputs)]
        except (IndexError, TypeError, ValueError) as error:
            raise ValueError(
                f"inputs must be rows of the certificate, from 0 to {len(self) - 1}, got "
                f"{checks.shown(inputs)}: {error}"
            ) from None
        if ax is None:
            with name_the_extra():
                from matplotlib import pyplot

            ax = pyplot.figure().subplots()
        require_axes(ax)
        draw_bounds(ax, of.radii, *chosen._curves())
        ax.set(xlabel=of.curve.axis, ylabel=f"certified {of.quantity}")
        if limits := self._limits():
            ax.set_ylim(*limits)
        return ax

    def _curves(self) -> tuple[NDArray[Any] | None, NDArray[Any] | None, Iterable[object]]:
        """Return lower bounds, upper bounds and names of the curves that `plot` draws."""
        return self.lower, self.upper, getattr(self, "index", range(len(self)))

    def _limits(self) -> tuple[float, float] | None:
        """Return the limits of the axis of the bounds; None if it has none."""
        return self.limits_of("lower", self.settings)

    def _columns(self) -> dict[str, Any]:
        """Return the columns of `to_arrow` by name, each with one row for each input."""
        own = {name: getattr(self, name) for name in self._own_columns}
        of_inputs = {"sigma": self.sigma, "constant_within": self.constant_within}
        own |= {name: values for name, values in of_inputs.items() if values is not None}
        return own | {
            name: values
            for name in ("lower", "upper", "radius")
            if (values := getattr(self, name)) is not None and math.prod(values.shape[1:]) > 0
        }

    def to_arrow(self) -> pa.Table:
        """Return an Arrow table with one row for each input, and the settings in its metadata.

        The columns "lower", "upper" and "radius" hold lists with one entry for each radius or
        threshold. A column without radii or thresholds is left out, as are "sigma" and
        "constant_within" if they are None. The metadata key ``smoothbound`` holds the settings as
        JSON, and ``smoothbound class`` the name of the class.
        """
        with name_the_extra():
            import pyarrow as pa

        from smoothbound._files.sealed import METADATA_KEY
        from smoothbound.bounds._certificate_files import CLASS_KEY

        metadata = {
            METADATA_KEY: self.settings.to_json().encode(),
            CLASS_KEY: type(self).__name__.encode(),
        }
        columns = {name: _arrow_column(values) for name, values in self._columns().items()}
        return pa.table(columns).replace_schema_metadata(metadata)

    def to_pandas(self) -> pd.DataFrame:
        """Return a data frame with one row for each input and one column for each number.

        The columns are named ``lower@R`` and ``upper@R`` by the radius, and ``radius@c`` by the
        threshold, with all digits. A radius that is requested twice has two columns of the same
        name.
        """
        with name_the_extra():
            import pandas as pd

        names, columns = self.flat()
        frame: pd.DataFrame = pd.DataFrame(dict(enumerate(columns)))
        frame.columns = pd.Index(names)
        return frame

    def flat(self) -> tuple[list[str], list[Any]]:
        """Return the names and the columns of `to_pandas`."""
        grids = {
            "lower": self.settings.radii,
            "upper": self.settings.radii,
            "radius": self.settings.thresholds,
        }
        names: list[str] = []
        columns: list[Any] = []
        for name, values in self._columns().items():
            if name in self._in_files_only:
                continue
            grid = grids.get(name)
            names += [name] if grid is None else [f"{name}@{exact(at)}" for at in grid]
            columns += [values] if grid is None else list(values.T)
        return names, columns


def _class_named(name: str) -> type[Certificate]:
    """Return the public class of certificates that has a name."""
    named = public(name) if name.endswith("Certificate") else None
    if not (isinstance(named, type) and issubclass(named, Certificate)):
        raise LookupError(f"there is no class {name!r} of certificates")
    return named


def _taken(values: Any, rows: NDArray[np.int64]) -> Any:
    if isinstance(values, tuple):
        return tuple(values[row] for row in rows)
    return None if values is None else values[rows]


def _same(one: Any, other: Any) -> bool:
    if not (isinstance(one, np.ndarray) and isinstance(other, np.ndarray)):
        return bool(one is other or one == other)
    return np.array_equal(one, other, equal_nan=one.dtype.kind == "f" == other.dtype.kind)


def _arrow_column(values: Any) -> pa.Array[Any]:
    import pyarrow as pa

    if np.ndim(values) == 1:
        column: pa.Array[Any] = pa.array(values)
        return column
    # This needs no copy, and no pandas, which pa.array() takes half a second to import.
    buffer = pa.py_buffer(np.ascontiguousarray(values).data)
    column = pa.Array.from_buffers(pa.float64(), values.size, [None, buffer])
    for width in values.shape[:0:-1]:
        column = pa.FixedSizeListArray.from_arrays(column, width)
    return column
