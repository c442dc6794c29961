"""What a result says about adaptive draws: what was asked, when draws ended, and the budget."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from smoothbound._utils import checks

__all__ = ["AdaptiveRecord", "BudgetRecord"]

Asked = Literal["Decide", "FindRadius"]

_MOST = 2**63 - 1  # a column holds no greater number


@dataclass(frozen=True, kw_only=True)
class BudgetRecord:
    """The limits on the draws of all inputs together.

    Attributes
    ----------
    draws : int or None
    seconds : float or None
        None: no limit.
    """

    draws: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.draws is not None:
            checks.count("adaptive budget draws", self.draws, 1, _MOST)
        if self.seconds is not None:
            checks.positive("adaptive budget seconds", self.seconds)


@dataclass(frozen=True, kw_only=True)
class AdaptiveRecord:
    """The rules of adaptive draws, as far as they are known.

    Attributes
    ----------
    asked : {"Decide", "FindRadius"}
        Whether each threshold is asked about at each radius, or its radius is looked for as well.
    precision : float or None
        Precision of the radii that are looked for, in multiples of sigma.
    strictness : float or None
        When a claim is given up; see `smoothbound.anytime.Plan`. None: not known.
    correct_only : bool
        Whether an input was given up if the selected class was not its label.
    budget : BudgetRecord
        The limits on the draws of all inputs together.
    stages : dict or None
        All that an older version recorded of draws in stages; None: the draws rest on the anytime
        test.

    Raises
    ------
    TypeError, ValueError
        If one of them is of the wrong kind or outside its range.

    Examples
    --------
    >>> record = AdaptiveRecord(asked="Decide", strictness=0.25, budget=BudgetRecord(draws=1000))
    >>> record.to_dict()["budget"]
    {'draws': 1000, 'seconds': None}
    >>> AdaptiveRecord.from_dict(record.to_dict()) == record
    True
    """

    asked: Asked
    precision: float | None = None
    strictness: float | None = None
    correct_only: bool = False
    budget: BudgetRecord = field(default_factory=BudgetRecord)
    stages: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        for name, check in _CHECKS.items():
            check(f"adaptive {name}", getattr(self, name))

    def to_dict(self) -> dict[str, Any]:
        """Return the rules as plain values for JSON."""
        if self.stages is not None:
            return self.stages
        values = asdict(self)
        del values["stages"]
        return {"test": "anytime", **values}

    @classmethod
    def from_dict(cls, values: object) -> AdaptiveRecord:
        """Read what `to_dict` returned, in this version or an older one.

        Raises
        ------
        TypeError, ValueError
            If an entry is missing, unknown, of the wrong kind or outside its range.
        """
        if not isinstance(values, dict):
            raise TypeError(f"adaptive must be an object, got {checks.shown(values)}")
        known = dict(values)
        budget = _budget(known.pop("budget", {}))
        if known.pop("test", None) != "anytime":
            return cls._of_stages(values, budget)
        if unknown := known.keys() - cls.__dataclass_fields__.keys() | known.keys() & {"stages"}:
            raise ValueError(f"adaptive has an unknown entry {checks.shown(min(unknown))}")
        if "asked" not in known:
            raise ValueError("adaptive must say what was asked")
        return cls(**known, budget=budget)

    @classmethod
    def _of_stages(cls, values: dict[str, Any], budget: BudgetRecord) -> AdaptiveRecord:
        """Read what older versions recorded of draws in stages."""
        question = checks.instance("adaptive question", values.get("question", {}), dict)
        return cls(
            asked=values.get("asked"),  # type: ignore[arg-type]  # it is checked
            precision=question.get("precision"),
            budget=budget,
            stages=_plain("adaptive", values),
        )


def _budget(values: object) -> BudgetRecord:
    limits = checks.instance("adaptive budget", values, dict)
    if unknown := limits.keys() - BudgetRecord.__dataclass_fields__.keys():
        raise ValueError(f"adaptive budget has an unknown entry {checks.shown(min(unknown))}")
    return BudgetRecord(**limits)


def _plain(name: str, value: Any) -> Any:
    """Return a value that was read from JSON if all its numbers are finite."""
    if isinstance(value, dict):
        for key, one in value.items():
            _plain(f"{name} {checks.instance(name, key, str):.40}", one)
    elif isinstance(value, list | tuple):
        for i, one in enumerate(value):
            _plain(f"{name}[{i}]", one)
    elif not isinstance(value, bool | str | None) and not math.isfinite(checks.number(name, value)):
        raise ValueError(f"{name} must be a finite number, got {checks.shown(value)}")
    return value


def _some(check: Callable[[str, Any], object]) -> Callable[[str, Any], object]:
    """Return a check that also takes None."""
    return lambda name, value: None if value is None else check(name, value)


_CHECKS: dict[str, Callable[[str, Any], object]] = {
    "asked": lambda name, value: checks.choice(name, value, get_args(Asked)),
    "precision": _some(checks.positive),
    "strictness": _some(checks.non_negative),
    "correct_only": checks.flag,
    "budget": lambda name, value: checks.instance(name, value, BudgetRecord),
    "stages": lambda name, value: checks.optional(name, value, dict),
}
