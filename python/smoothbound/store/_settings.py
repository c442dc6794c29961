"""Everything that decides the numbers of a run of `smoothbound certify`.

To add a setting, give `RunSettings` a field whose default is what runs did before there was a
choice, and `_CHECKS` a line for it. Folders without the setting then open with that default.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from smoothbound._utils import checks
from smoothbound.bounds._method import Method
from smoothbound.errors import StoreError

__all__ = ["FORMAT", "READABLE", "RunSettings"]

FORMAT = 5
READABLE = (3, 4, 5)  # 3 has no checksum and no digests of the inputs, 3 and 4 have no status
_WORDS = {dict: "an object", str: "text", bool: "true or false", int: "a number"}
_MOST = 2**63 - 1  # a column holds no greater number


@dataclass(frozen=True)
class RunSettings:
    """Everything that decides the numbers of a run, and so everything needed to repeat it.

    Parameters
    ----------
    sigma : float
        Standard deviation of the noise, in the units of the input before normalisation.
    alpha : float
        Failure probability of each stated certificate.
    n0, n : int
        Draws that select the class, and other draws that bound its score; with adaptive draws the
        most of an input.
    seed : int
        Seed of the noise.
    measure : str
        Confidence measure, ``"score"`` or ``"margin"``.
    score_range : tuple of float
        Range (a, b) of the measure.
    cutoff : float or None
        The run abstains where the certificate at R = 0 is not above it; None: never.
    outputs : str
        What the model returns: ``"logits"`` or ``"probabilities"``.
    methods : tuple of Method
        Ways to certify the same draws, the strongest last.
    radii : tuple of float
        Radii of the columns ``lower_*``, in the units of sigma.
    thresholds : tuple of float
        Thresholds of the columns ``radius_*``.
    data, split : str
        Name of the data set and its part.
    skip, max_inputs : int, int or None
        Every `skip`-th example is taken, at most `max_inputs` of them.
    n_inputs : int
        Number of inputs that this selects.
    arch, checkpoint, checkpoint_sha256 : str
        Network, name of its file, and the file's hash.
    noise : dict
        Kind of the noise, its grid, and where it entered; see `smoothbound.noise.Noise.describe`.
    device : str
        Where the noise was drawn and the model ran.
    batch_size, precision, channels_last, compile : int, str, bool, str or None
        How it ran, which its rounding depends on; see `smoothbound.SmoothedClassifier`.
    versions : dict of str to str
        Versions of the software.
    adaptive : dict or None
        Plan and budget of adaptive draws, as `record` returns them; None for n
        draws of each input.
    format : int
        Version of the layout of the folder.
    indices : tuple of int or None
        Positions of the examples that `skip` and `max_inputs` choose from; None: of all.
    threads : int or None
        Threads of the CPU that ran the model, which its rounding depends on; None: not known, or
        another device.
    select : str
        How the class was selected, by its mean score or by votes, as in older folders.

    Raises
    ------
    TypeError, ValueError
        If a setting is not of the kind or in the range stated above; it names the setting.
    """

    sigma: float
    alpha: float
    n0: int
    n: int
    seed: int
    measure: str
    score_range: tuple[float, float]
    cutoff: float | None
    outputs: str
    methods: tuple[Method, ...]
    radii: tuple[float, ...]
    thresholds: tuple[float, ...]
    data: str
    split: str
    skip: int
    max_inputs: int | None
    n_inputs: int
    arch: str
    checkpoint: str
    checkpoint_sha256: str
    noise: dict[str, Any]
    device: str
    batch_size: int
    precision: str
    channels_last: bool
    compile: str | None
    versions: dict[str, str]
    adaptive: dict[str, Any] | None = None
    format: int = FORMAT
    indices: tuple[int, ...] | None = None
    threads: int | None = None
    select: str = "votes"

    def __post_init__(self) -> None:
        for name, check in _CHECKS.items():
            object.__setattr__(self, name, check(name, getattr(self, name)))
        checks.thresholds("thresholds", self.thresholds, self.score_range)

    @property
    def displacement(self) -> float:
        """Most that an input lies from the lattice point drawn around; see `smoothbound.noise`."""
        return float(self.noise.get("displacement", 0.0))

    def to_json(self) -> str:
        """Write the settings as one line of JSON; floats keep every digit."""
        return json.dumps(asdict(self), allow_nan=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> RunSettings:
        """Read what `to_json` wrote.

        Raises
        ------
        StoreError
            If the text is not JSON, is of another format, lacks or adds a setting, or one of them
            is not right.
        """
        try:
            values = json.loads(text)
            if values["format"] not in READABLE:
                raise StoreError(
                    f"the results have format {values['format']!r}, this version of smoothbound "
                    f"reads the formats {READABLE}: read them with the version that wrote them, or "
                    "certify again"
                )
            return cls(**values)
        except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
            words = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
            raise StoreError(f"the settings of the results cannot be read: {words}") from error

    def goes_on_as(self, other: RunSettings) -> bool:
        """Say whether a run of these settings can go on with others: the same, or more inputs.

        Parameters
        ----------
        other : RunSettings
            The settings now wanted; `self` are those recorded.
        """
        before, now = self.max_inputs, other.max_inputs
        more = before is not None and (now is None or now > before)
        if more and other.n_inputs >= self.n_inputs:
            return not replace(self, max_inputs=now, n_inputs=other.n_inputs).differences(other)
        return not self.differences(other)

    def differences(self, other: RunSettings) -> list[str]:
        """Name each setting that differs, as ``"sigma: was 0.25, now 0.5"``.

        Parameters
        ----------
        other : RunSettings
            The settings now wanted; `self` are those recorded.
        """
        before, now = asdict(self), asdict(other)
        for values in (before, now):
            versions, noise = values.pop("versions"), values.pop("noise")
            plan = values.pop("adaptive") or {}
            values.update({f"adaptive {name}": v for name, v in plan.items() if name not in values})
            values.update({f"version of {name}": text for name, text in versions.items()})
            values.update({f"noise {name}": v for name, v in noise.items() if name not in values})
        return [
            f"{name}: was {before.get(name)!r}, now {now.get(name)!r}"
            for name in before | now
            if before.get(name) != now.get(name)
        ]


def _count(minimum: int) -> Callable[[str, Any], int]:
    def check(name: str, value: Any) -> int:
        return checks.count(name, value, minimum, _MOST)

    return check


def _kind(*kinds: type) -> Callable[[str, Any], Any]:
    def check(name: str, value: Any) -> Any:
        if not isinstance(value, kinds):
            words = " or ".join(_WORDS.get(kind, kind.__name__) for kind in kinds)
            raise TypeError(f"{name} must be {words}, got {checks.shown(value)}")
        return value

    return check


def _optional(check: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    return lambda name, value: None if value is None else check(name, value)


def _some(name: str, value: Any) -> Any:
    if not isinstance(value, list | tuple) or not value:
        raise ValueError(f"{name} must not be empty, got {checks.shown(value)}")
    return value


def _methods(name: str, value: Any) -> tuple[Method, ...]:
    try:
        made = tuple(
            Method(**one) if isinstance(one, dict) else _kind(Method)(name, one)
            for one in _some(name, value)
        )
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be ways to certify: {error}") from error
    names = [method.name for method in made]
    if len(set(names)) < len(names):
        raise ValueError(f"{name} must differ in their names, got {', '.join(names)}")
    return made


def _radii(name: str, value: Any) -> tuple[float, ...]:
    return tuple(checks.radii(name, _some(name, value)).tolist())


def _numbers(name: str, value: Any) -> tuple[float, ...]:
    return tuple(_number(f"{name}[{i}]", one) for i, one in enumerate(_some(name, value)))


def _number(name: str, value: Any) -> float:
    try:
        number = float(_kind(int, float)(name, value))
    except OverflowError:
        number = math.inf
    if isinstance(value, bool) or not math.isfinite(number):
        raise ValueError(f"{name} must be a finite number, got {checks.shown(value)}")
    return number


def _indices(name: str, value: Any) -> tuple[int, ...]:
    return tuple(_count(0)(f"{name}[{i}]", one) for i, one in enumerate(_some(name, value)))


def _noise(name: str, value: Any) -> dict[str, Any]:
    described: dict[str, Any] = _plain(name, _kind(dict)(name, value))
    _kind(str)(f"{name} kind", described.get("kind"))
    checks.non_negative(f"{name} displacement", described.get("displacement", 0.0))
    return described


def _versions(name: str, value: Any) -> dict[str, str]:
    for key, one in _kind(dict)(name, value).items():
        _kind(str)(f"{name} {key!r:.40}", one)
    return dict(value)


def _adaptive(name: str, value: Any) -> dict[str, Any]:
    plan: dict[str, Any] = _plain(name, _kind(dict)(name, value))
    _kind(str)(f"{name} asked", plan.get("asked"))
    for part in ("question", "budget"):
        for key, number in _kind(dict)(f"{name} {part}", plan.get(part, {})).items():
            if number is not None:
                _number(f"{name} {part} {key}", number)
    return plan


def _plain(name: str, value: Any) -> Any:
    """Return what JSON holds, if its numbers are finite."""
    if isinstance(value, dict):
        for key, one in value.items():
            _plain(f"{name} {_kind(str)(name, key):.40}", one)
    elif isinstance(value, list | tuple):
        for i, one in enumerate(value):
            _plain(f"{name}[{i}]", one)
    elif value is not None and not isinstance(value, bool | str):
        _number(name, value)
    return value


_text = _kind(str)
_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "sigma": checks.positive,
    "alpha": checks.probability,
    "n0": _count(1),
    "n": _count(1),
    "seed": lambda name, value: checks.count(name, value, 0, 2**64 - 1),
    "measure": _text,
    "score_range": checks.score_range,
    "cutoff": _optional(_number),
    "outputs": _text,
    "select": _text,
    "methods": _methods,
    "radii": _radii,
    "thresholds": _numbers,
    "data": _text,
    "split": _text,
    "skip": _count(1),
    "max_inputs": _optional(_count(1)),
    "n_inputs": _count(1),
    "arch": _text,
    "checkpoint": _text,
    "checkpoint_sha256": _text,
    "noise": _noise,
    "device": _text,
    "batch_size": _count(1),
    "precision": _text,
    "channels_last": _kind(bool),
    "compile": _optional(_text),
    "versions": _versions,
    "adaptive": _optional(_adaptive),
    "format": _count(1),
    "indices": _optional(_indices),
    "threads": _optional(_count(1)),
}
