"""Gaussian noise whose draws belong to an input, not to a run.

Every number comes from Philox 4x32-10, a counter-based generator (Salmon et al., *Parallel random
numbers: as easy as 1, 2, 3*, 2011): its key is the seed, its counter is (block of elements, draw,
example, stream). Noise is therefore the same bits on every device and for every batch size, order,
shard and resumed run. docs/noise.md states the two kinds, how numbers become noise, and why lattice
noise is exactly Gaussian smoothing.
"""

from __future__ import annotations

import hashlib
from enum import IntEnum
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from smoothbound import _noise_torch, checks
from smoothbound.lattice import MAX_NUMBER, lattice

__all__ = [
    "DEFAULT",
    "MAX_DRAW",
    "MAX_EXAMPLE",
    "MAX_SEED",
    "Kind",
    "Noise",
    "Purpose",
    "Stream",
    "generator",
]

Kind = Literal["lattice", "gaussian"]

DEFAULT: Kind = "lattice"
MAX_SEED = 2**64 - 1
MAX_EXAMPLE = 2**31 - 1
MAX_DRAW = 2**32 - 1

_GRID_ERROR = 2.0**-22  # relative: k * (1 / 255) in float32 is off by less


class Stream(IntEnum):
    """What a draw is for; draws of different streams are independent."""

    SELECTION = 0
    ESTIMATION = 1


class Noise:
    """Noise of one kind and seed on one device.

    Parameters
    ----------
    kind : {"lattice", "gaussian"}
        "lattice": whole steps of a grid that the inputs lie on, from thresholds exact to 2^-80;
        certificates hold for the base classifier behind rounding to that grid, under exactly
        Gaussian noise. "gaussian": float32 normal numbers, added in floating point; Gaussian but
        for rounding, for inputs that are on no grid.
    sigma : float
        Standard deviation, in the units of the input.
    seed : int, default 0
        0 to 2^64 - 1.
    grid : int, optional
        For lattice noise: inputs are whole multiples of 1 / grid; 255 for 8-bit images in [0, 1].
    device : torch.device or str, default "cpu"
        Where the noise is made.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or outside its range, or lattice noise has no grid.

    Examples
    --------
    >>> noise = Noise("lattice", 0.25, grid=255)
    >>> point = noise.point(torch.tensor([0, 128, 255]) / 255)
    >>> key = torch.tensor([0, 1, 2])  # three draws of input 7
    >>> out = torch.empty(3, 3)
    >>> noise.add(point[None], 0 * key, 0 * key + 7, key, 0 * key + Stream.ESTIMATION, out)
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
        checks.choice("noise", kind, get_args(Kind))
        if checks.count("seed", seed, minimum=0) > MAX_SEED:
            raise ValueError(f"seed must be at most {MAX_SEED}, got {seed!r}")
        self.kind: Kind = kind
        self.sigma = checks.positive("sigma", sigma)
        self.seed = int(seed)
        self.device = torch.empty(0, device=device).device  # "cuda" as the "cuda:0" that it means
        self.lattice = None
        if kind == "lattice":
            if grid is None:
                raise ValueError(
                    "lattice noise needs the grid that inputs lie on: grid=255 for 8-bit images "
                    "k/255, grid=16 for the digits; for inputs on no grid use noise='gaussian'"
                )
            self.lattice = lattice(self.sigma, grid)
        elif grid is not None:
            raise ValueError(f"grid={grid!r} is for noise='lattice'; leave it out for 'gaussian'")

    def point(self, x: Tensor) -> Tensor:
        """Return one input as `add` takes it, on the device.

        Parameters
        ----------
        x : Tensor of float32 or float64
            One input, of any shape.

        Returns
        -------
        Tensor
            For lattice noise int32 numbers of grid steps: x up to the rounding of x itself, four
            units in the last place of float32. For Gaussian noise x.

        Raises
        ------
        TypeError
            If x is not a tensor of float32 or float64.
        ValueError
            If x is empty, not finite, or not on the grid.
        """
        if not isinstance(x, Tensor) or x.dtype not in (torch.float32, torch.float64):
            got = x.dtype if isinstance(x, Tensor) else type(x).__name__
            raise TypeError(f"x must be a tensor of float32 or float64, got {got}")
        if x.numel() == 0:
            raise ValueError(f"x is empty: its shape is {tuple(x.shape)}")
        x = x.detach()
        if not bool(torch.isfinite(x).all()):
            raise ValueError("x must be finite, got NaN or infinity in it")
        numbers = x if self.lattice is None else self._on_grid(x)
        return numbers.to(self.device).contiguous()

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
                f"{float(scaled.flatten()[first]):.6g}/{levels}. Pass x before normalisation, "
                "state another grid, or use noise='gaussian'"
            )
        most = (MAX_NUMBER - 1 - self.lattice.largest) // 2**self.lattice.refine
        if bool((nearest.abs() > most).any()):
            raise ValueError(
                f"x must lie within {most / levels:.6g} of 0, got {float(x.abs().max()):.6g}: beyond "
                f"that float32 cannot hold the sum with noise in steps of 1/{self.lattice.denominator}; "
                "use noise='gaussian'"
            )
        return (nearest * 2**self.lattice.refine).int()

    def add(
        self,
        points: Tensor,
        rows: Tensor,
        examples: Tensor,
        draws: Tensor,
        streams: Tensor,
        out: Tensor,
    ) -> None:
        """Fill out[i] with points[rows[i]] plus the noise of (seed, example, stream, draw) i.

        Lattice noise is added in whole numbers of steps, and the sum divided by the number of steps
        in 1, correctly rounded to the type of `out`: an element that gets no noise keeps the value
        of k / 255 in that type.

        Parameters
        ----------
        points : Tensor, shape (k, ...)
            Inputs as `point` returns them, stacked; any number of them, all of one shape.
        rows, examples, draws, streams : Tensor of int64, shape (batch,)
            For each row of `out`: which of the points, the number that identifies the input (0 to
            2^31 - 1; for a data set, its index there), the number of the draw (0 to 2^32 - 1), and
            a `Stream`. On the device of the noise.
        out : Tensor, shape (batch, ...)
            Contiguous, float32 or float64 for lattice noise, else of the type of `points`.

        Raises
        ------
        TypeError, ValueError
            If a tensor has another shape, type, layout or device than stated, or a number is
            outside its range. On other devices than the CPU numbers are not looked at, for that
            would wait for the device.
        """
        key = _noise_torch.Key(rows, examples, draws, streams)
        self._check(points, key, out)
        if out.numel() == 0:
            return
        flat_points, flat_out = points.reshape(len(points), -1), out.view(len(out), -1)
        with torch.inference_mode():
            if self.lattice is not None:
                _noise_torch.add_lattice(
                    flat_points, key, flat_out, lattice=self.lattice, seed=self.seed
                )
            else:
                _noise_torch.add_gaussian(
                    flat_points, key, flat_out, sigma=self.sigma, seed=self.seed
                )

    def _check(self, points: Tensor, key: _noise_torch.Key, out: Tensor) -> None:
        batch = (len(out),) if out.ndim else ()
        named = key._asdict()
        for name, tensor in (("points", points), *named.items(), ("out", out)):
            if tensor.device != self.device:
                raise ValueError(f"{name} must be on {self.device}, got {tensor.device}")
            if name in named and (tensor.dtype != torch.int64 or tensor.shape != batch):
                raise TypeError(
                    f"{name} must be int64 of shape {batch}, one for each row of out, got "
                    f"{tensor.dtype} of shape {tuple(tensor.shape)}"
                )
            if not tensor.is_contiguous():
                raise ValueError(f"{name} must be contiguous: pass {name}.contiguous()")
        stated = torch.int32 if self.lattice is not None else out.dtype
        if points.dtype != stated or out.dtype not in (torch.float32, torch.float64):
            raise TypeError(
                f"points must be as point() returns them and out float32 or float64"
                f"{'' if self.lattice is not None else ', of the type of points'}; got "
                f"{points.dtype} and {out.dtype}"
            )
        if points.ndim == 0 or out.ndim == 0 or points.shape[1:] != out.shape[1:]:
            raise ValueError(
                "points and out must be stacks of inputs of one shape, got shapes "
                f"{tuple(points.shape)} and {tuple(out.shape)}"
            )
        if self.device.type != "cpu" or len(out) == 0:
            return
        limits = (len(points) - 1, MAX_EXAMPLE, MAX_DRAW, max(Stream))
        for (name, tensor), most in zip(named.items(), limits, strict=True):
            low, high = (int(value) for value in tensor.aminmax())
            if low < 0 or high > most:
                raise ValueError(f"{name} must lie in [0, {most}], got {low} to {high}")

    def describe(self) -> dict[str, Any]:
        """Return what a result says about its noise.

        Returns
        -------
        dict
            ``kind``, ``sigma``, ``seed``, ``generator``, ``enters`` (where in the pipeline), and
            for lattice noise ``grid``, the levels of the inputs, and ``steps``, grid steps in 1.

        Examples
        --------
        >>> Noise("lattice", 0.12, grid=255).describe()["steps"]
        510
        """
        described = {
            "kind": self.kind,
            "sigma": self.sigma,
            "seed": self.seed,
            "generator": "philox4x32-10",
            "enters": "before normalisation, in the units of sigma",
        }
        if self.lattice is not None:
            described |= {"grid": self.lattice.levels, "steps": self.lattice.denominator}
        return described


Purpose = Literal["selection", "estimation"]

_ODD = 0x9E3779B1  # multiplying by an odd number permutes the integers below 2**32


def _key(seed: int, example: int, purpose: Purpose) -> int:
    """Mix the three into 64 bits.

    torch's generator for the CPU reads only the low 32 bits, where plain hashing would give the
    same noise to two of 100 000 inputs. They are a permutation of (example, purpose) instead, so
    that within one seed no two streams are the same; the seed picks the permutation.
    """
    digest = hashlib.blake2b(seed.to_bytes(8, "little"), digest_size=8).digest()
    high, offset = int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:], "little")
    stream = 2 * example + get_args(Purpose).index(purpose)
    return high << 32 | (stream * _ODD + offset) % 2**32


def generator(
    seed: int, example: int, purpose: Purpose, device: torch.device | str = "cpu"
) -> torch.Generator:
    """Return the torch generator for one purpose of one input.

    Parameters
    ----------
    seed : int
        Seed of the run, 0 to 2**64 - 1.
    example : int
        Number that identifies the input, 0 to 2**31 - 1; for a data set, its index there.
    purpose : {"selection", "estimation"}
        Selecting the class, or bounding its confidence.
    device : torch.device or str, default "cpu"
        Where the noise is made.

    Raises
    ------
    TypeError, ValueError
        If a number is not a whole number in its range, or the purpose is unknown.

    Examples
    --------
    >>> first = torch.randn(3, generator=generator(0, 7, "selection"))
    >>> again = torch.randn(3, generator=generator(0, 7, "selection"))
    >>> other = torch.randn(3, generator=generator(0, 7, "estimation"))
    >>> torch.equal(first, again), torch.equal(first, other)
    (True, False)
    """
    for name, value, most in (("seed", seed, MAX_SEED), ("example", example, MAX_EXAMPLE)):
        if checks.count(name, value, minimum=0) > most:
            raise ValueError(f"{name} must be at most {most}, got {value!r}")
    checks.choice("purpose", purpose, get_args(Purpose))
    return torch.Generator(device).manual_seed(_key(int(seed), int(example), purpose))
