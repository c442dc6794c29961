"""Everything that decides the numbers of a run of `smoothbound certify`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from smoothbound.errors import StoreError
from smoothbound.method import Method

__all__ = ["FORMAT", "RunSettings"]

FORMAT = 3


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
        Plan and budget of adaptive draws, as `smoothbound.smoothed.record` returns them; None for n
        draws of each input.
    format : int
        Version of the layout of the folder.
    indices : tuple of int or None
        Positions of the examples that `skip` and `max_inputs` choose from; None: of all.

    Raises
    ------
    ValueError
        If there is no method, no radius or no threshold.
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

    def __post_init__(self) -> None:
        for name in ("methods", "radii", "thresholds"):
            if not getattr(self, name):
                raise ValueError(f"{name} must not be empty")

    def to_json(self) -> str:
        """Write the settings as one line of JSON; floats keep every digit."""
        return json.dumps(asdict(self), allow_nan=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> RunSettings:
        """Read what `to_json` wrote.

        Raises
        ------
        StoreError
            If the text is not JSON, is of another format, or lacks or adds a setting.
        """
        try:
            values = json.loads(text)
            if values["format"] != FORMAT:
                raise StoreError(
                    f"the results have format {values['format']!r}, this version of smoothbound "
                    f"reads format {FORMAT}: read them with the version that wrote them, or "
                    "certify again"
                )
            values["methods"] = tuple(Method(**method) for method in values["methods"])
            if not isinstance(values.get("adaptive"), dict | None):
                raise TypeError("adaptive must be an object or null")
            a, b = values["score_range"]
            values["score_range"] = (float(a), float(b))
            for name in ("radii", "thresholds"):
                values[name] = tuple(float(value) for value in values[name])
            if values.get("indices") is not None:
                values["indices"] = tuple(int(value) for value in values["indices"])
            return cls(**values)
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(f"the settings of the results cannot be read: {error!r}") from error

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
