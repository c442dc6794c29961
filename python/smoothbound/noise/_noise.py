"""Gaussian noise that depends on the seed, the index of the input and the number of the draw.

Every number comes from Philox 4x32-10, a counter-based generator (Salmon et al., *Parallel random
numbers: as easy as 1, 2, 3*, 2011). Its key is the seed. Its counter is (block of elements, draw,
index of the input, stream). Noise therefore has the same bits on every device and for every batch
size, order, shard and resumed run. docs/noise.md states the two kinds, explains how random words
become noise, and proves that lattice noise is exactly Gaussian smoothing.
"""

from __future__ import annotations

import importlib
import math
import warnings
from dataclasses import replace
from functools import cache
from types import ModuleType

import torch
from torch import Tensor

from smoothbound._display.rounding import exact, floor_significant
from smoothbound._utils import checks
from smoothbound._utils.devices import resolved, sent
from smoothbound._utils.renamed import renamed
from smoothbound.errors import said
from smoothbound.noise._kinds import KINDS, Kind
from smoothbound.noise._lattice import MAX_FINE_NUMBER, MAX_NUMBER, fine_lattice, lattice
from smoothbound.noise._record import NoiseRecord
from smoothbound.noise._streams import MAX_SEED
from smoothbound.noise._torch import Key

__all__ = ["Noise"]

MAX_ELEMENTS = 2**31 - 1  # of an input
MAX_DRAWS = 2**32  # of an input and a stream

_COMMON_GRIDS = (255, 16)  # of 8-bit images and of the digits
_GRID_ERROR = 2.0**-22  # relative; the error of k * (1 / 255) in float32 is less


class Noise:
    """Noise of one kind and seed on one device.

    Parameters
    ----------
    kind : {"lattice", "gaussian"}
        "lattice" is noise in whole steps of a lattice, from thresholds that are exact to 2^-79.
        Certificates hold, under exactly Gaussian noise, for the classifier that rounds its input to
        the lattice and passes it to the base classifier. "gaussian" is noise of float32 normal
        numbers, added in floating point. Certificates assume that the sum is exactly Gaussian, but
        it is rounded. They are not a proof, because a network that uses the last digits of its
        input can be certified falsely.
    sigma : float
        Standard deviation of the noise, > 0, in the units of the input.
    seed : int, default 0
        From 0 to 2^64 - 1.
    grid : int, optional
        For lattice noise, states that the inputs are whole multiples of 1 / grid: 255 for 8-bit
        images in [0, 1]. Without a grid, inputs are moved to a fine lattice with 2^13 steps per
        sigma, and each certified radius is smaller by twice the `displacement`.
    device : torch.device or str, default "cpu"
        Device on which the noise is made.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is out of range.

    Examples
    --------
    >>> noise = Noise("lattice", 0.25, grid=255)
    >>> point = noise.point(torch.tensor([0, 128, 255]) / 255)
    >>> key = torch.tensor([0, 1, 2])  # three draws of input 7
    >>> out = torch.empty(3, 3)
    >>> noise.add(point[None], 0 * key, 0 * key + 7, key, 0 * key + 1, out)  # 1: Stream.ESTIMATION
    >>> (out * 255).round().int()
    tensor([[-43, 120, 267],
            [ 13, 111, 130],
            [-18, 114, 226]], dtype=torch.int32)
    """

    def __init__(
        self,
        kind: Kind,
        sigma: float,
        *,
        seed: int = 0,
        grid: int | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        checks.choice("noise", kind, KINDS)
        self.kind: Kind = kind
        self.sigma = checks.positive("sigma", sigma)
        self.seed = checks.count("seed", seed, 0, MAX_SEED)
        self.device = resolved(device)
        self.lattice = None
        if kind == "lattice":
            self.lattice = (
                fine_lattice(self.sigma)
                if grid is None
                else lattice(self.sigma, checks.count("grid", grid, 1, MAX_NUMBER))
            )
        elif grid is not None:
            raise ValueError(f"grid={grid!r} is for noise='lattice'; leave it out for 'gaussian'")
        self._made_by = _implementation(self.device)

    def at(self, sigma: float) -> Noise:
        """Return noise of another level with the same kind, seed, grid and device.

        Raises
        ------
        TypeError, ValueError
            If `sigma` has the wrong type or is out of range.

        Examples
        --------
        >>> noise = Noise("lattice", 0.25, seed=3, grid=255).at(0.5)
        >>> noise.sigma, noise.seed, noise.lattice.levels
        (0.5, 3, 255)
        """
        grid = None if self.lattice is None or self.lattice.fine else int(self.lattice.levels)
        return Noise(self.kind, sigma, seed=self.seed, grid=grid, device=self.device)

    def point(self, x: Tensor) -> Tensor:
        """Return the point of one input that `add` takes, on the device.

        Parameters
        ----------
        x : Tensor of float32 or float64
            One input, of any shape.

        Returns
        -------
        Tensor
            For lattice noise, int32 numbers of steps. On a stated grid they represent x itself,
            which may be off the grid by four units in the last place of float32. Otherwise they
            represent the nearest point of the lattice. For Gaussian noise, x.

        Raises
        ------
        TypeError
            If x is not a tensor of float32 or float64.
        ValueError
            If x is empty, not finite, not on the stated grid, or too far from 0.
        """
        _check_floats(x)
        x = x.detach()
        if not bool(torch.isfinite(x).all()):
            raise ValueError("x must be finite, got NaN or infinity in it")
        if self.lattice is None:
            numbers = x
        else:
            numbers = self._nearest(x) if self.lattice.fine else self._on_grid(x)
        return sent(numbers, self.device).contiguous()

    def displacement(self, elements: int) -> float:
        """Bound the distance between an input and the lattice point that represents it.

        A certificate for the radius R + 2 d at that point holds for R at the input, because the
        smoothed classifier also rounds a perturbed input (docs/noise.md). On a lattice with L
        points per unit, d = sqrt(elements) / (2 L).

        Parameters
        ----------
        elements : int
            Number of elements of one input.

        Returns
        -------
        float
            d >= 0 in the units of the input, rounded up. It is 0 on a stated grid. It is also 0 for
            Gaussian noise, whose certificates do not account for rounding.

        Examples
        --------
        >>> f"{Noise('lattice', 0.25).displacement(3 * 32 * 32):.6f}"
        '0.000846'
        >>> Noise("lattice", 0.25, grid=255).displacement(3 * 32 * 32)
        0.0
        """
        elements = checks.count("elements", elements, maximum=MAX_ELEMENTS)
        if self.lattice is None or not self.lattice.fine:
            return 0.0
        # Half a diagonal of a cell. The roundings in point() and here are below 2^-20 of it.
        return math.sqrt(elements) / (2.0 * self.lattice.levels) * (1.0 + 2.0**-20)

    def common_grid(self, x: Tensor) -> int | None:
        """Return a common grid of images on which x lies if no grid was stated, or None.

        Parameters
        ----------
        x : Tensor of float32 or float64
            Inputs of any shape. Inputs outside [0, 1] or with fewer than 8 different values do not
            count as images.

        Returns
        -------
        int or None
            255 or 16. None if there is no such grid, if a grid was stated, and for Gaussian noise.

        Examples
        --------
        >>> Noise("lattice", 0.25).common_grid(torch.arange(100) / 255)
        255
        """
        _check_floats(x)
        x = x.detach()
        if self.lattice is None or not self.lattice.fine:
            return None
        if float(x.min()) < 0.0 or float(x.max()) > 1.0 or len(torch.unique(x)) < 8:
            return None
        for levels in _COMMON_GRIDS:
            scaled = x.double() * levels
            if bool(((scaled - scaled.round()).abs() <= _GRID_ERROR * scaled.round()).all()):
                return levels
        return None

    def _nearest(self, x: Tensor) -> Tensor:
        """Move x to the fine lattice."""
        assert self.lattice is not None
        most = MAX_FINE_NUMBER - 1 - self.lattice.largest
        numbers = (x.double() * self.lattice.levels).round()
        if bool((numbers.abs() > most).any()):
            raise ValueError(
                f"x must lie within {floor_significant(most / self.lattice.levels)} of 0 for "
                f"lattice noise of sigma = {self.sigma}, got {exact(float(x.abs().max()))}: "
                "subtract a constant from x and add it in the model, or use noise='gaussian', "
                "which proves less"
            )
        return numbers.int()

    def _on_grid(self, x: Tensor) -> Tensor:
        assert self.lattice is not None
        levels = self.lattice.levels
        scaled = x.double() * levels
        nearest = scaled.round()
        off = ((scaled - nearest).abs() > _GRID_ERROR * nearest.abs()).flatten()
        if bool(off.any()):
            first = int(off.int().argmax())
            raise ValueError(
                f"x must lie on the grid of whole multiples of 1/{levels}, and {int(off.sum())} of "
                f"{x.numel()} elements do not, the first {float(x.flatten()[first])!r} = "
                f"{exact(float(scaled.flatten()[first]))}/{levels}. Pass x before normalisation, "
                "state another grid, or leave grid out, so that x is moved to a fine lattice"
            )
        steps = 2**self.lattice.refine
        most = (MAX_NUMBER - 1 - self.lattice.largest) // steps
        if bool((nearest.abs() > most).any()):
            raise ValueError(
                f"x must lie within {floor_significant(most / levels)} of 0, got "
                f"{exact(float(x.abs().max()))}: beyond, float32 does not hold multiples of "
                f"1/{self.lattice.denominator}. Leave grid out, so that x is placed on a fine "
                "lattice"
            )
        return nearest.mul(steps).int()

    @renamed(examples="indices")
    def add(
        self,
        points: Tensor,
        rows: Tensor,
        indices: Tensor,
        draws: Tensor,
        streams: Tensor,
        out: Tensor,
    ) -> None:
        """Fill out[i] with points[rows[i]] plus the noise of (seed, index, stream, draw) number i.

        Lattice noise is added in whole numbers of steps. The sum and the number of steps in 1 are
        converted to the type of `out`, and then divided. Each of the three results is rounded to
        the nearest. On a stated grid both conversions are exact, so an element without noise keeps
        the value of k / 255.

        Parameters
        ----------
        points : Tensor, shape (k, ...)
            Points of any number of inputs of one shape, as returned by `point`, stacked.
        rows, indices, draws, streams : Tensor of int64, shape (batch,)
            For each row of `out`: the row of its point in `points`; the index of its input, from 0
            to 2^31 - 1, such as its position in a data set; the number of its draw, from 0 to
            2^32 - 1; and its `Stream`. On the device of the noise.
        out : Tensor, shape (batch, ...)
            Contiguous, float32 or float64 for lattice noise, else of the type of `points`.

        Raises
        ------
        TypeError, ValueError
            If a tensor has another shape, type, layout or device than stated, or a number is
            outside its range. Ranges are checked only on the CPU, because a check on another device
            would wait for it.
        """
        key = Key(rows, indices, draws, streams)
        self._check(points, key, out)
        if out.numel() == 0:
            return
        size = out[0].numel()
        flat = points.view(len(points), size), key, out.view(len(out), size)
        if self.lattice is not None:
            self._made_by.add_lattice(*flat, lattice=self.lattice, seed=self.seed)
        else:
            self._made_by.add_gaussian(*flat, sigma=self.sigma, seed=self.seed)

    def _check(self, points: Tensor, key: Key, out: Tensor) -> None:
        named = {"points": points, **key._asdict(), "out": out}
        for name, tensor in named.items():
            if tensor.device != self.device or not tensor.is_contiguous():
                raise ValueError(
                    f"{name} must be contiguous and on {self.device}, got strides "
                    f"{tensor.stride()} for shape {tuple(tensor.shape)} on {tensor.device}"
                )
        floats = (torch.float32, torch.float64)
        stated = torch.int32 if self.lattice is not None else out.dtype
        if points.dtype != stated or out.dtype not in floats:
            raise TypeError(
                "points must be as point() returns them (int32 for lattice noise, else of the type "
                f"of out) and out float32 or float64; got {points.dtype} and {out.dtype}"
            )
        if points.ndim == 0 or out.ndim == 0 or points.shape[1:] != out.shape[1:]:
            raise ValueError(
                "points and out must be stacks of inputs of one shape, got shapes "
                f"{tuple(points.shape)} and {tuple(out.shape)}"
            )
        for name, tensor in key._asdict().items():
            if tensor.dtype != torch.int64 or tensor.shape != out.shape[:1]:
                raise TypeError(
                    f"{name} must be int64 of shape {tuple(out.shape[:1])}, one for each row of "
                    f"out, got {tensor.dtype} of shape {tuple(tensor.shape)}"
                )

    def describe(self, elements: int | None = None) -> NoiseRecord:
        """Return the record of the noise for the settings of a result.

        Parameters
        ----------
        elements : int, optional
            Number of elements of one input, which determines the displacement.

        Examples
        --------
        >>> Noise("lattice", 0.12, grid=255).describe().steps
        510
        """
        record = replace(
            NoiseRecord.of_kind(self.kind),
            sigma=self.sigma,
            seed=self.seed,
            generator="philox4x32-10",
            enters="before normalisation, in the units of sigma",
        )
        if self.lattice is None:
            return record
        record = replace(record, steps=self.lattice.denominator)
        if not self.lattice.fine:
            return replace(record, grid=int(self.lattice.levels))
        if elements is None:
            return record
        return replace(record, displacement=self.displacement(elements))


def _check_floats(x: object) -> None:
    if not isinstance(x, Tensor) or x.dtype not in (torch.float32, torch.float64):
        got = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise TypeError(f"x must be a tensor of float32 or float64, got {got}")
    if x.numel() == 0:
        raise ValueError(f"x is empty: its shape is {tuple(x.shape)}")


def _implementation(device: torch.device) -> ModuleType:
    """Import the fastest implementation that works on a device; `_torch` works on all, slowly."""
    name = {"cpu": "_cpp", "cuda": "_triton"}.get(device.type, "_torch")
    try:
        found = importlib.import_module(f"smoothbound.noise.{name}")
    except ImportError:
        found = None
    if found is None or (name == "_triton" and not _runs(found, device)):
        return importlib.import_module("smoothbound.noise._torch")
    return found


@cache
def _runs(kernels: ModuleType, device: torch.device) -> bool:
    """Return whether Triton can compile and run kernels here; warn if it cannot."""
    try:
        kernels.try_out(device)
    except Exception as error:  # of a subprocess, of the driver, of a folder that is read-only
        warnings.warn(
            f"Triton cannot run the kernels of the noise on {device}: {said(error)}. The noise is "
            "made by torch instead, with the same bits but more slowly. Triton needs a C compiler, "
            "the headers of Python, and a folder that it can write",
            RuntimeWarning,
            stacklevel=4,
        )
        return False
    return True
