"""The names of the ways to bound scores, and of the backends."""

from __future__ import annotations

from typing import Literal, get_args

__all__ = [
    "BACKENDS",
    "BANDS",
    "BOUNDS",
    "JOINT_BAND_SHARE",
    "MEANS",
    "METHOD_BOUNDS",
    "ORDERS",
    "SIDES",
    "STATISTICS",
    "Backend",
    "Band",
    "Bound",
    "Mean",
    "MethodBound",
    "Order",
    "Side",
    "Sides",
    "Statistic",
]

Backend = Literal["cpp", "numba"]
Bound = Literal["mean", "cdf", "tangent", "joint"]
# "anytime" of draws that stop themselves, "binomial" of counts at levels
MethodBound = Literal["mean", "cdf", "tangent", "joint", "anytime", "binomial"]
Band = Literal["dkw", "ell"]
Mean = Literal["hoeffding", "bernstein", "betting"]
Order = Literal["unknown", "drawn"]
Side = Literal["lower", "upper"]
Sides = Literal["lower", "upper", "both"]
Statistic = Literal["mean", "probability", "quantile"]

BACKENDS: tuple[Backend, ...] = get_args(Backend)
BOUNDS: tuple[Bound, ...] = get_args(Bound)
METHOD_BOUNDS: tuple[MethodBound, ...] = get_args(MethodBound)
BANDS: tuple[Band, ...] = get_args(Band)
ORDERS: tuple[Order, ...] = get_args(Order)
SIDES: tuple[Sides, ...] = get_args(Sides)
STATISTICS: tuple[Statistic, ...] = get_args(Statistic)

# How each bound can bound a mean, its default first.
MEANS: dict[MethodBound, tuple[Mean, ...]] = {
    "mean": ("hoeffding", "bernstein", "betting"),
    "cdf": (),
    "tangent": ("betting", "bernstein"),
    "joint": ("betting",),
    "anytime": (),
    "binomial": (),
}

# The band's share of alpha in the joint bound. It is a power of 2, so that the shares are exact.
JOINT_BAND_SHARE = 0.125
