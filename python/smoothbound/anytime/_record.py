"""The record of adaptive draws in results: the questions, when draws end, and the budget."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, TypeVar, get_args

from smoothbound._utils import checks

__all__ = ["AdaptiveRecord", "BudgetRecord", "FollowedRun"]

Asked = Literal["Decide", "FindRadius"]
Part = TypeVar("Part", "BudgetRecord", "FollowedRun")

_MOST = 2**63 - 1  # the largest number in a column


@dataclass(frozen=True, kw_only=True)
class BudgetRecord:
    """The limits on the draws of all inputs together.

    Attributes
    ----------
    draws : int or None
    seconds : float or None
        None means no limit.
    """

    draws: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.draws is not None:
            checks.count("adaptive budget draws", self.draws, 1, _MOST)
        if self.seconds is not None:
            checks.positive("adaptive budget seconds", self.seconds)


@dataclass(frozen=True, kw_only=True)
class FollowedRun:
    """An earlier run whose results were known when the questions of this run were chosen.

    Attributes
    ----------
    name : str
        Name of its results folder, as information for readers; empty if it has none.
    fingerprint : str
        Digest of its settings, in hexadecimal digits.
    alphas : tuple of float
        Failure probability of each certificate of that run and of the runs that it follows in turn,
        with the first run first.
    """

    name: str
    fingerprint: str
    alphas: tuple[float, ...]

    def __post_init__(self) -> None:
        checks.instance("adaptive follows name", self.name, str)
        checks.instance("adaptive follows fingerprint", self.fingerprint, str)
        if not isinstance(self.alphas, list | tuple) or not self.alphas:
            raise TypeError(
                f"adaptive follows alphas must be numbers, got {checks.shown(self.alphas)}"
            )
        vars(self)["alphas"] = tuple(  # the class is frozen
            checks.probability("adaptive follows alphas", one) for one in self.alphas
        )


@dataclass(frozen=True, kw_only=True)
class AdaptiveRecord:
    """The rules of adaptive draws, as far as they are recorded.

    Attributes
    ----------
    asked : {"Decide", "FindRadius"}
        "Decide" if the questions are whether each threshold holds at each radius. "FindRadius" if
        the radius of each threshold is searched as well.
    precision : float or None
        Precision of the radii that are searched, in multiples of sigma.
    strictness : float or None
        When a claim is given up; see `smoothbound.anytime.Plan`. None if it is not recorded.
    correct_only : bool
        Whether an input was given up when the selected class was not its label.
    both_answers : bool
        Whether the opposite questions were asked too: that no number of draws certifies a radius.
        Each side then has half of alpha.
    budget : BudgetRecord
        The limits on the draws of all inputs together.
    follows : FollowedRun or None
        The run on whose draws the questions may depend. Only later draws count for the answers.
        None if the questions were fixed before the first draw.
    stages : dict or None
        The record of an older version that made draws in stages. None if the anytime test was used.

    Raises
    ------
    TypeError, ValueError
        If a field has the wrong type or is out of range.

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
    both_answers: bool = False
    budget: BudgetRecord = field(default_factory=BudgetRecord)
    follows: FollowedRun | None = None
    stages: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        for name, check in _CHECKS.items():
            check(f"adaptive {name}", getattr(self, name))

    @property
    def finds_radii(self) -> bool:
        """Whether radii are looked for; if not, the bounds at the radii are the whole answer."""
        return self.asked == "FindRadius"

    def gives_up_later_than(self, other: AdaptiveRecord) -> bool:
        """Return whether claims are known to be given up later than under other rules."""
        ours, theirs = self.strictness, other.strictness
        return ours is not None and theirs is not None and ours > theirs

    def to_dict(self) -> dict[str, Any]:
        """Return the rules as values that JSON can hold."""
        if self.stages is not None:
            return self.stages
        values = asdict(self)
        del values["stages"]
        for name in ("both_answers", "follows"):  # left out if they are not used
            if not values[name]:
                del values[name]
        return {"test": "anytime", **values}

    @classmethod
    def from_dict(cls, values: object) -> AdaptiveRecord:
        """Read a record that `to_dict` of this version or an older one returned.

        Raises
        ------
        TypeError, ValueError
            If an entry is missing, is unknown, has the wrong type or is out of range.
        """
        if not isinstance(values, dict):
            raise TypeError(f"adaptive must be an object, got {checks.shown(values)}")
        known = dict(values)
        budget = _made(BudgetRecord, "adaptive budget", known.pop("budget", {}))
        if known.pop("test", None) != "anytime":
            return cls._of_stages(values, budget)
        if unknown := known.keys() - cls.__dataclass_fields__.keys() | known.keys() & {"stages"}:
            raise ValueError(f"adaptive has an unknown entry {checks.shown(min(unknown))}")
        if "asked" not in known:
            raise ValueError("adaptive must have the entry 'asked' or 'question'")
        follows = known.pop("follows", None)
        if follows is not None:
            follows = _made(FollowedRun, "adaptive follows", follows)
        return cls(**known, budget=budget, follows=follows)

    @classmethod
    def _of_stages(cls, values: dict[str, Any], budget: BudgetRecord) -> AdaptiveRecord:
        """Read the record of an older version that made draws in stages."""
        question = checks.instance("adaptive question", values.get("question", {}), dict)
        return cls(
            asked=values.get("asked"),  # type: ignore[arg-type]  # checked later
            precision=question.get("precision"),
            budget=budget,
            stages=_plain("adaptive", values),
        )


def _made(kind: type[Part], name: str, values: object) -> Part:
    """Return a part of a record from its JSON values."""
    known = checks.instance(name, values, dict)
    if unknown := known.keys() - {one.name for one in fields(kind)}:
        raise ValueError(f"{name} has an unknown entry {checks.shown(min(unknown))}")
    try:
        return kind(**known)
    except TypeError as error:
        raise TypeError(str(error) if name in str(error) else f"{name}: {error}") from None


def _plain(name: str, value: Any) -> Any:
    """Return a value from JSON after checks that all its numbers are finite."""
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
    """Return a check that accepts None too."""
    return lambda name, value: None if value is None else check(name, value)


_CHECKS: dict[str, Callable[[str, Any], object]] = {
    "asked": lambda name, value: checks.choice(name, value, get_args(Asked)),
    "precision": _some(checks.positive),
    "strictness": _some(checks.non_negative),
    "correct_only": checks.flag,
    "both_answers": checks.flag,
    "budget": lambda name, value: checks.instance(name, value, BudgetRecord),
    "follows": lambda name, value: checks.optional(name, value, FollowedRun),
    "stages": lambda name, value: checks.optional(name, value, dict),
}
