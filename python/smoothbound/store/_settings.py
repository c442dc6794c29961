"""The settings of a run of `smoothbound certify`, which determine its numbers.

To add a setting, add a field to `RunSettings` and a line to `_CHECKS`. The default of the field is
the behaviour of runs before there was a choice, because folders without the setting open with the
default. Settings of how inputs are drawn belong to `SamplingSettings`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from smoothbound._utils import checks
from smoothbound.bounds._method import Method
from smoothbound.errors import StoreError
from smoothbound.store._sampling_settings import (
    SAMPLING_CHECKS,
    Check,
    SamplingSettings,
    check_fields,
    count,
    instance,
    number,
    optional,
)
from smoothbound.store._shards import shard as shards
from smoothbound.store._shards.shard import Shard

__all__ = ["FORMAT", "READABLE", "RunSettings"]

# 3 has no checksum and no digests of the inputs, 3 and 4 have no status, and those before 6 neither
# the number of selection draws of each input nor the state of its test.
FORMAT = 6
READABLE = (3, 4, 5, 6)


@dataclass(frozen=True, kw_only=True)
class RunSettings(SamplingSettings):
    """The settings that determine the numbers of a run, and that are needed to repeat it.

    Parameters
    ----------
    sigma : float
        Standard deviation of the noise, > 0, in the units of the input before normalisation.
    alpha : float
        Failure probability of each stated certificate, in (0, 1).
    n : int
        Number of draws that bound the score of the selected class. With adaptive draws it is the
        largest number of an input.
    score_range : tuple of float
        Range (a, b) of the measure.
    methods : tuple of Method
        Ways to certify the same draws, the strongest last. The last one decides on abstention.
    radii : tuple of float
        Radii of the columns ``lower_*``, in the units of sigma.
    thresholds : tuple of float
        Thresholds of the columns ``radius_*``.
    data, split : str
        Name of the data set and its part.
    skip, max_inputs : int, int or None
        Every `skip`-th input is taken, at most `max_inputs` of them.
    indices : tuple of int or None
        Positions of the inputs that `skip` and `max_inputs` choose from; None: of all.
    shard : Shard or None
        The shard of the selected inputs; None: all of them.
    n_inputs : int
        Number of inputs that this selects.
    arch, checkpoint, checkpoint_sha256 : str
        Network, name of its file, and the file's hash.
    state_dict : str or None
        Which parameters of the file were taken, where ``--state-dict`` chose; None: it did not.
    versions : dict of str to str
        Versions of the software.
    format : int
        Version of the layout of the folder.
    from_counts : bool
        Whether the certificates were computed from the counted scores (`recertify`), and not from
        the scores.
    measure, cutoff, outputs, n0, seed, noise, device, batch_size, precision, channels_last, \
compile, adaptive, select, threads, classes
        How inputs were drawn; see `SamplingSettings`.

    Raises
    ------
    TypeError, ValueError
        If a setting has the wrong type or is out of range. The error names the setting.
    """

    sigma: float
    alpha: float
    n: int
    score_range: tuple[float, float]
    methods: tuple[Method, ...]
    radii: tuple[float, ...]
    thresholds: tuple[float, ...]
    data: str
    split: str
    skip: int
    max_inputs: int | None
    indices: tuple[int, ...] | None = None
    shard: Shard | None = None
    n_inputs: int
    arch: str
    checkpoint: str
    checkpoint_sha256: str
    versions: dict[str, str]
    format: int = FORMAT
    from_counts: bool = False
    state_dict: str | None = None

    def __post_init__(self) -> None:
        check_fields(self, SAMPLING_CHECKS | _CHECKS)
        checks.thresholds("thresholds", self.thresholds, self.score_range)
        if self.classes is not None and (self.adaptive is not None or self.outputs == "raw"):
            raise ValueError(
                "classes must be None with adaptive draws, whose number the scores decide, and "
                "with outputs='raw', which are no scores"
            )

    @property
    def inputs(self) -> Sequence[int]:
        """Index of each selected input, in increasing order."""
        shard, n = self.shard or Shard(0, 1), self.n_inputs
        if self.indices is not None:
            return shard.of(self.indices[:: self.skip])[:n]
        ranks = range(shard.index, shard.index + n * shard.count, shard.count)
        return range(ranks.start * self.skip, ranks.stop * self.skip, ranks.step * self.skip)

    @property
    def both_answers(self) -> bool:
        """Whether adaptive draws also show which radii no number of draws certifies."""
        return self.adaptive is not None and self.adaptive.both_answers

    def to_json(self) -> str:
        """Write the settings as one line of JSON; floats keep every digit."""
        return json.dumps(self._plain(), allow_nan=False)

    def _plain(self) -> dict[str, Any]:
        """Return the settings as JSON holds them."""
        return asdict(self) | self._records()

    @classmethod
    def from_json(cls, text: str | bytes) -> RunSettings:
        """Read what `to_json` wrote.

        Raises
        ------
        StoreError
            If the text is not JSON or has an unknown format, or if a setting is missing, unknown or
            wrong.
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

    def goes_on_as(self, other: RunSettings, *, more_draws: bool = False) -> bool:
        """Return whether a run of these settings can go on with the same ones, or more inputs.

        Parameters
        ----------
        other : RunSettings
            The new settings. `self` has the recorded ones.
        more_draws : bool
            Whether adaptive draws may go on instead: to a larger `n`, with another budget, or given
            up later.
        """
        if more_draws and other.draws_further_than(self):
            return not self.with_draws_of(other).differences(other)
        before, now = self.max_inputs, other.max_inputs
        more = before is not None and (now is None or now > before)
        if more and other.n_inputs >= self.n_inputs:
            return not replace(self, max_inputs=now, n_inputs=other.n_inputs).differences(other)
        return not self.differences(other)

    def draws_further_than(self, other: RunSettings) -> bool:
        """Return whether adaptive draws of these settings go on where those of others end."""
        if self.adaptive is None or other.adaptive is None or self.n < other.n:
            return False
        return (
            self.n > other.n
            or self.adaptive.gives_up_later_than(other.adaptive)
            or self.adaptive.budget != other.adaptive.budget
        )

    def with_draws_of(self, other: RunSettings) -> RunSettings:
        """Return these settings with the `n`, strictness and budget of others."""
        if self.adaptive is None or other.adaptive is None:
            return replace(self, n=other.n)
        now = other.adaptive
        rules = replace(self.adaptive, strictness=now.strictness, budget=now.budget)
        return replace(self, n=other.n, adaptive=rules)

    def differences(self, other: RunSettings) -> list[str]:
        """Return a line for each setting that differs, such as ``"sigma: was 0.25, now 0.5"``.

        Parameters
        ----------
        other : RunSettings
            The new settings. `self` has the recorded ones.
        """
        before, now = self._plain(), other._plain()
        for values in (before, now):
            versions, noise = values.pop("versions"), values.pop("noise")
            plan = values.pop("adaptive") or {}
            values.update({f"adaptive {name}": value for name, value in plan.items()})
            values.update({f"version of {name}": text for name, text in versions.items()})
            values.update({f"noise {name}": v for name, v in noise.items() if name not in values})
        return [
            f"{name}: was {before.get(name)!r}, now {now.get(name)!r}"
            for name in before | now
            if before.get(name) != now.get(name)
        ]


def _some(name: str, value: Any) -> Any:
    if not isinstance(value, list | tuple) or not value:
        raise ValueError(f"{name} must not be empty, got {checks.shown(value)}")
    return value


def _methods(name: str, value: Any) -> tuple[Method, ...]:
    try:
        made = tuple(
            Method(**one) if isinstance(one, dict) else instance(Method)(name, one)
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
    return tuple(number(f"{name}[{i}]", one) for i, one in enumerate(_some(name, value)))


def _indices(name: str, value: Any) -> tuple[int, ...]:
    return tuple(count(0)(f"{name}[{i}]", one) for i, one in enumerate(_some(name, value)))


def _versions(name: str, value: Any) -> dict[str, str]:
    for key, one in instance(dict)(name, value).items():
        instance(str)(f"{name} {key!r:.40}", one)
    return dict(value)


_text = instance(str)
_CHECKS: dict[str, Check] = {
    "sigma": checks.positive,
    "alpha": checks.probability,
    "n": count(1),
    "score_range": checks.score_range,
    "methods": _methods,
    "radii": _radii,
    "thresholds": _numbers,
    "data": _text,
    "split": _text,
    "skip": count(1),
    "max_inputs": optional(count(1)),
    "indices": optional(_indices),
    "shard": optional(shards.checked),
    "n_inputs": count(1),
    "arch": _text,
    "checkpoint": _text,
    "checkpoint_sha256": _text,
    "versions": _versions,
    "format": count(1),
    "from_counts": instance(bool),
    "state_dict": optional(_text),
}
