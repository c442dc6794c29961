"""How the draws of an input were made: the settings that certificates and results folders share."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from smoothbound._utils import checks
from smoothbound.adapters._names import (
    COMPILE_MODES,
    OUTPUTS,
    PRECISIONS,
    SELECTS,
    Compile,
    Outputs,
    Precision,
    Select,
)
from smoothbound.anytime._record import AdaptiveRecord
from smoothbound.classes._arguments import Names, checked_names
from smoothbound.noise._record import NoiseRecord

__all__ = [
    "SAMPLING_CHECKS",
    "Check",
    "SamplingSettings",
    "check_fields",
    "count",
    "instance",
    "number",
    "optional",
]

Check = Callable[[str, Any], Any]

_WORDS = {dict: "an object", str: "text", bool: "true or false", int: "a number"}
_MOST = 2**63 - 1  # a column holds no greater number


@dataclass(frozen=True, kw_only=True)
class SamplingSettings:
    """The settings with which the draws of an input were made.

    Attributes
    ----------
    measure : str
        Name of the confidence measure.
    cutoff : float or None
        The classifier abstains if the certified confidence at R = 0 is not above this; None: no
        abstention.
    outputs : {"logits", "probabilities", "raw"}
        Stated kind of the model's outputs.
    n0, seed : int
        Number of selection draws of each input; seed of the noise.
    noise : NoiseRecord
        Kind of the noise, its grid, and the place where it entered.
    device : str
        Device of the noise and the model.
    batch_size, precision, channels_last, compile : int, str, bool, str or None
        How the model ran, which changes its rounding; see `smoothbound.SmoothedClassifier`. A value
        that was chosen automatically is recorded as it was chosen.
    adaptive : AdaptiveRecord or None
        Rules and budget of adaptive draws; None if every input has the same number of draws.
    select : {"score", "votes"}
        Whether mean scores or votes selected the class. Older files, which lack this, used votes.
    threads : int or None
        Number of CPU threads that ran the model, which changes its rounding; None if it is not
        known, or on another device.
    classes : "all", tuple of int, or None
        The classes whose scores and votes were counted beside those of the selected class.
    """

    measure: str
    cutoff: float | None
    outputs: Outputs
    n0: int
    seed: int
    noise: NoiseRecord
    device: str
    batch_size: int
    precision: Precision
    channels_last: bool
    compile: Compile | None
    adaptive: AdaptiveRecord | None = None
    select: Select = "votes"
    threads: int | None = None
    classes: Names | None = None

    @property
    def displacement(self) -> float:
        """Largest distance between an input and its lattice point; see `smoothbound.noise`."""
        return self.noise.displacement or 0.0

    def _records(self) -> dict[str, Any]:
        """Return the records among the settings as JSON holds them."""
        adaptive = None if self.adaptive is None else self.adaptive.to_dict()
        return {"noise": self.noise.to_dict(), "adaptive": adaptive}


def check_fields(settings: object, checked: Mapping[str, Check]) -> None:
    """Check fields of a frozen dataclass, and keep what the checks return.

    Raises
    ------
    TypeError, ValueError
        If a field has a wrong value. The error names the field.
    """
    for name, check in checked.items():
        object.__setattr__(settings, name, check(name, getattr(settings, name)))


def count(minimum: int) -> Check:
    """Return a check that a value is a whole number of at least `minimum`."""
    return lambda name, value: checks.count(name, value, minimum, _MOST)


def instance(*kinds: type) -> Check:
    """Return a check that a value is of one of some types."""

    def check(name: str, value: Any) -> Any:
        if not isinstance(value, kinds):
            words = " or ".join(_WORDS.get(kind, kind.__name__) for kind in kinds)
            raise TypeError(f"{name} must be {words}, got {checks.shown(value)}")
        return value

    return check


def optional(check: Check) -> Check:
    """Return a check that also takes None."""
    return lambda name, value: None if value is None else check(name, value)


def number(name: str, value: Any) -> float:
    """Return a finite number."""
    try:
        made = float(instance(int, float)(name, value))
    except OverflowError:
        made = math.inf
    if isinstance(value, bool) or not math.isfinite(made):
        raise ValueError(f"{name} must be a finite number, got {checks.shown(value)}")
    return made


def _one_of(words: tuple[str, ...]) -> Check:
    """Return a check that a value is one of some words."""
    return lambda name, value: checks.choice(name, value, words)


def _noise(name: str, value: Any) -> NoiseRecord:
    record = value if isinstance(value, NoiseRecord) else NoiseRecord.from_dict(value)
    if record.kind is None:
        raise ValueError(f"{name} must have a kind, got {checks.shown(value)}")
    return record


def _adaptive(name: str, value: Any) -> AdaptiveRecord:
    return value if isinstance(value, AdaptiveRecord) else AdaptiveRecord.from_dict(value)


_text = instance(str)
SAMPLING_CHECKS: dict[str, Check] = {
    "measure": _text,
    "cutoff": optional(number),
    "outputs": _one_of(OUTPUTS),
    "n0": count(1),
    "seed": lambda name, value: checks.count(name, value, 0, 2**64 - 1),
    "noise": _noise,
    "device": _text,
    "batch_size": count(1),
    "precision": _one_of(PRECISIONS),
    "channels_last": instance(bool),
    "compile": optional(_one_of(COMPILE_MODES)),
    "adaptive": optional(_adaptive),
    "select": _one_of(SELECTS),
    "threads": optional(count(1)),
    "classes": optional(checked_names),
}
