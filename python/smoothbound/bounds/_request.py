"""Requests, which state how to bound scores, and settings, which record how they were bounded."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, NamedTuple

from smoothbound._utils import checks
from smoothbound.backends._names import (
    BACKENDS,
    ORDERS,
    SIDES,
    STATISTICS,
    Backend,
    Order,
    Side,
    Sides,
    Statistic,
)
from smoothbound.bounds._levels import arguments as level_arguments
from smoothbound.bounds._method import Method, pilot_draws
from smoothbound.curves._curve import Curve
from smoothbound.curves._named import GAUSSIAN, curve
from smoothbound.noise._record import NoiseRecord

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["DrawnSettings", "OneSide", "Request", "Settings", "sigma_of"]

MAX_SEED = 2**64 - 1


class OneSide(NamedTuple):
    """The part of a request that concerns one side.

    Attributes
    ----------
    side : {"lower", "upper"}
    alpha : float
        The failure probability of this side, which is its share of the request's alpha.
    thresholds : tuple of float
        Thresholds whose radii to certify; none for the upper side.
    """

    side: Side
    alpha: float
    thresholds: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Request:
    """How to bound the scores of an input. Each field is checked when a request is made.

    Attributes
    ----------
    sigma : float
        Noise level, in the units of the model's input before normalisation; 1 for a curve without a
        scale. If each input has its own noise level (`Certificate.sigma`), this is the least of
        them.
    alpha : float
        Failure probability of each certificate as a whole.
    score_range : (float, float)
        The range [a, b] of the scores. For probabilities and quantiles either end may be infinite.
    radii, thresholds : tuple of float
        l2 radii, in the units of the model's input, and confidence thresholds.
    method : Method
    pilot : float
        Share of the draws that are pilot draws, from which the tangent and the joint bound choose
        stakes and tangents.
    sides : {"lower", "upper", "both"}
    order : {"unknown", "drawn"}
        Whether betting, the tangent and the joint bound permute the positions of each row first
        ("unknown") or keep them ("drawn").
    order_seed : int
        Key of that permutation, together with the number of the row.
    statistic : {"mean", "probability", "quantile"}
        The quantity to bound: the mean of the scores, which is the confidence; the probability that
        a score is at least a level; or a quantile of the scores at a level.
    levels : tuple of float
        The levels; none for the mean.
    curve : Curve
        The noise, and the distance that the radii measure. A name is replaced by its curve.

    Raises
    ------
    TypeError, ValueError
        If a field has the wrong type or is outside the range that `certify_scores` states.

    Examples
    --------
    >>> request = Request(sigma=0.25, method=Method("cdf", "ell"), sides="both", thresholds=(0.5,))
    >>> request.share("upper")
    OneSide(side='upper', alpha=0.0005, thresholds=())
    """

    sigma: float
    alpha: float = 1e-3
    score_range: tuple[float, float] = (0.0, 1.0)
    radii: tuple[float, ...] = (0.0,)
    thresholds: tuple[float, ...] = ()
    method: Method
    pilot: float = 0.1
    sides: Sides = "lower"
    order: Order = "unknown"
    order_seed: int = 0
    statistic: Statistic = "mean"
    levels: tuple[float, ...] = ()
    curve: Curve = GAUSSIAN

    def __post_init__(self) -> None:
        statistic = checks.choice("statistic", self.statistic, STATISTICS)
        score_range = level_arguments.score_range(statistic, self.score_range)
        checked = {
            "sigma": checks.positive("sigma", self.sigma),
            "alpha": checks.alpha("alpha", self.alpha),
            "score_range": score_range,
            "radii": checks.tuple_of_radii("radii", self.radii),
            "thresholds": level_arguments.thresholds(statistic, self.thresholds, score_range),
            "method": checks.instance("method", self.method, Method),
            "pilot": checks.probability("pilot", self.pilot),
            "sides": checks.choice("sides", self.sides, SIDES),
            "order": checks.choice("order", self.order, ORDERS),
            "order_seed": checks.count("seed", self.order_seed, 0, MAX_SEED),
            "statistic": statistic,
            "levels": level_arguments.levels(statistic, self.levels),
            "curve": curve(self.curve),
        }
        level_arguments.require_method(statistic, self.method.bound)
        vars(self).update(checked)  # the class is frozen
        _require_suited(self.curve, self)

    def share(self, side: Side) -> OneSide | None:
        """Return the part about a side, with its share of alpha; None if it is not requested."""
        if self.sides not in (side, "both"):
            return None
        alpha = self.alpha / 2 if self.sides == "both" else self.alpha
        return OneSide(side, alpha, self.thresholds if side == "lower" else ())

    @property
    def alpha_lower(self) -> float | None:
        """The lower side's share of alpha; None if that side is not requested."""
        share = self.share("lower")
        return None if share is None else share.alpha

    @property
    def alpha_upper(self) -> float | None:
        """The upper side's share of alpha; None if that side is not requested."""
        share = self.share("upper")
        return None if share is None else share.alpha


@dataclass(frozen=True, kw_only=True)
class Settings(Request):
    """A request with the record of its computation.

    The attributes are those of `Request` and these:

    Attributes
    ----------
    n : int
        Draws of each input.
    n_pilot : int
        Number of pilot draws, which chose stakes and tangents; 0 for a method without pilot draws.
    backend : {"cpp", "numba"}
        The implementation that computed it.
    version : str
        The version of smoothbound that computed it.
    """

    n: int
    n_pilot: int
    backend: Backend
    version: str

    @property
    def quantity(self) -> str:
        """The name of the bounded quantity, for titles and axes."""
        return level_arguments.quantity(
            "confidence" if self.statistic == "mean" else "score", self.statistic
        )

    @property
    def caveat(self) -> str:
        """A short reason why the certificate is not a proof; empty if it is one."""
        return ""

    def to_json(self) -> str:
        """Write the settings as one line of JSON."""
        shares = {"alpha_lower": self.alpha_lower, "alpha_upper": self.alpha_upper}
        return json.dumps(self._plain() | shares, sort_keys=True)

    def _plain(self) -> dict[str, Any]:
        """Return the settings as values that JSON can hold."""
        plain = {
            "score_range": level_arguments.range_to_json(self.score_range),
            "curve": self.curve.plain(),
        }
        return asdict(self) | plain

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read settings that `to_json` of this version or an older one wrote.

        Raises
        ------
        ArithmeticError, LookupError, RecursionError, TypeError, ValueError
            If the text is not JSON, or a setting is missing, unknown or out of range.
        """
        values = cls._objects({**_BEFORE, **json.loads(text)})
        values["score_range"] = level_arguments.range_from_json(values["score_range"])
        for name, least in (("n", 1), ("n_pilot", 0)):
            checks.count(name, values[name], least)
        if "pilot" not in values:  # older files have only the number of pilot draws
            values["pilot"] = _pilot_share(values["n_pilot"], values["n"])
        checks.choice("backend", values["backend"], BACKENDS)
        shares = {name: values.pop(name) for name in ("alpha_lower", "alpha_upper")}
        made = cls(**values)
        for name, share in shares.items():
            if share != getattr(made, name):
                raise ValueError(
                    f"{name} must be {getattr(made, name)} by alpha and sides, got {share}"
                )
        for setting in fields(cls):
            _check_type(setting.name, str(setting.type), getattr(made, setting.name))
        return made

    @classmethod
    def _objects(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Return settings from JSON, with objects in place of some dicts."""
        return values | {"method": Method(**values["method"]), "curve": curve(values["curve"])}


@dataclass(frozen=True, kw_only=True)
class DrawnSettings(Settings):
    """Settings of a certificate, with the measure and the noise of its scores.

    The attributes are those of `Settings` and these:

    Attributes
    ----------
    measure : str
        Name of the confidence measure.
    noise : NoiseRecord
    """

    measure: str
    noise: NoiseRecord

    @property
    def quantity(self) -> str:
        return level_arguments.quantity(self.measure, self.statistic)

    @property
    def caveat(self) -> str:
        return self.noise.brief_caveat

    def _plain(self) -> dict[str, Any]:
        return super()._plain() | {"noise": self.noise.to_dict()}

    @classmethod
    def _objects(cls, values: dict[str, Any]) -> dict[str, Any]:
        noise = NoiseRecord.from_dict(values.get("noise", {}))  # older sketches lack it
        return super()._objects(values) | {"noise": noise}


def sigma_of(curve: Curve, sigma: object) -> float:
    """Return the sigma of a request; a curve without a scale needs sigma=None, which gives 1."""
    if curve.has_scale and sigma is None:
        raise TypeError(f"sigma must be given: curve={curve.name!r} needs the scale of the noise")
    if not curve.has_scale and sigma is not None:
        raise ValueError(
            f"sigma must be left out: curve={curve.name!r} has no scale, got {checks.shown(sigma)}"
        )
    return 1.0 if sigma is None else checks.positive("sigma", sigma)


def _require_suited(curve: Curve, request: Request) -> None:
    """Refuse a curve that the bound cannot use, or whose table lacks a radius."""
    bound = request.method.bound
    if curve != GAUSSIAN and bound not in ("mean", "cdf", "binomial"):
        raise ValueError(
            f"curve must be 'gaussian' with bound={bound!r}, got {curve.name!r}; the bounds 'cdf' "
            "and 'mean' take other curves"
        )
    if bound == "mean" and not curve.convex:
        raise ValueError(
            "curve must be convex with bound='mean', by Jensen's inequality; the values of this "
            "table are not. bound='cdf' takes any curve"
        )
    if not curve.has_scale and request.sigma != 1.0:
        raise ValueError(f"sigma must be 1: {curve.name} has no scale, got {request.sigma!r}")
    for i, radius in enumerate(request.radii):
        curve.require_radius(f"radii[{i}]", radius)


_BEFORE: dict[str, Any] = {  # settings that older files lack
    "order": "drawn",
    "order_seed": 0,
    "statistic": "mean",
    "levels": [],
    "curve": GAUSSIAN.name,
}
_PLAIN: dict[str, Any] = {  # annotations of settings
    "str": str,
    "int": int,
    "float": int | float,
    "bool": bool,
    "dict[str, Any]": dict,
}


def _check_type(name: str, wanted: str, value: object) -> None:
    """Refuse a value whose type is not the annotation of its setting, where that is plain."""
    if wanted.endswith(" | None") and value is None:
        return
    kind = _PLAIN.get(wanted.removesuffix(" | None"))
    if kind and (not isinstance(value, kind) or isinstance(value, bool) > (kind is bool)):
        raise TypeError(f"{name} must be {wanted}, got {checks.shown(value)}")


def _pilot_share(n_pilot: int, n_draws: int) -> float:
    """Return a share that gives this number of pilot draws: the default share if it does.

    Examples
    --------
    >>> _pilot_share(10, 109), _pilot_share(50, 100)
    (0.1, 0.5)
    """
    default = Request.pilot
    if n_pilot in (0, pilot_draws(n_draws, default)):
        return default
    return n_pilot / n_draws
