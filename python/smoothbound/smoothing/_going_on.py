"""How a run is continued: from its own folder, or after the run of another folder."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from smoothbound._files.checksum import digest
from smoothbound.anytime._record import FollowedRun
from smoothbound.data._loading import Dataset
from smoothbound.errors import StoreError
from smoothbound.sampling._jobs import Failure
from smoothbound.smoothing._array.further import after_failure
from smoothbound.smoothing._classifier import SmoothedClassifier
from smoothbound.smoothing._one_input.anytime_draws import AnytimeProcedure
from smoothbound.smoothing._one_input.kept_state import earlier_of, followed_run
from smoothbound.smoothing._one_input.of_settings import recorded_procedure
from smoothbound.store._folder import RESULTS, is_there, require_anytime
from smoothbound.store._results import Results
from smoothbound.store._settings import RunSettings
from smoothbound.store._stored import load, recorded_settings

__all__ = [
    "Before",
    "as_recorded",
    "digest_of",
    "family_of",
    "kept_after_failure",
    "require_own_draws",
    "require_same_inputs",
    "rows_to_draw",
]

_OF_THE_QUESTIONS = ("alpha", "n", "radii", "thresholds", "adaptive", "versions")


def as_recorded(folder: str | Path, smoothed: SmoothedClassifier) -> SmoothedClassifier:
    """Return the classifier with the automatic choices that the run of a folder made.

    Parameters
    ----------
    folder : str or Path
        Results folder of the run to continue.
    smoothed : SmoothedClassifier
        The classifier. The folder determines its batch size and memory format if they are "auto",
        and its threads if they are None, because the bits of the scores depend on them.

    Returns
    -------
    SmoothedClassifier
        A new object with the same model; `smoothed` itself if the folder holds no run.
    """
    try:
        before = recorded_settings(folder)
    except StoreError:  # the writer will say why
        return smoothed
    made = copy(smoothed)
    made.sampler = smoothed.sampler.with_choices(
        batch_size=before.batch_size,
        channels_last=before.channels_last,
        threads=before.threads,
    )
    return made


@dataclass(frozen=True, eq=False)
class Before:
    """A finished run whose inputs take further draws for other questions."""

    folder: Path
    results: Results

    @classmethod
    def load(cls, folder: Path, out: Path) -> Before:
        """Read the run of a folder, whose inputs will be written to `out`.

        Raises
        ------
        StoreError
            If the run is not finished, or its draws cannot be continued.
        ValueError
            If both folders are the same.
        """
        if folder.resolve() == out.resolve():
            raise ValueError(
                f"follow must be another folder than {out}, because questions that are added after "
                "a look have results of their own"
            )
        results = load(folder)
        require_anytime(folder, results)
        return cls(folder, results)

    @property
    def record(self) -> FollowedRun:
        """The record of this run in the settings of the later run."""
        return followed_run(self.results.settings, self.folder.resolve().name)

    @property
    def digests(self) -> dict[int, bytes]:
        """Digest of each input and its label, by index."""
        names, digests = self.results.array("index"), self.results.array("digest")
        return dict(zip(names.tolist(), digests.tolist(), strict=True))

    @property
    def failed(self) -> list[int]:
        """Indices of the inputs that failed, which have no class to draw further."""
        failed = self.results.array("status") == "failed"
        return list(self.results.array("index")[failed].tolist())

    def row(self, index: int) -> dict[str, Any]:
        """Return the row of an input."""
        place = int(np.searchsorted(self.results.array("index"), index))
        row: dict[str, Any] = self.results.table.slice(place, 1).to_pylist()[0]
        return row

    def require_same_draws(self, settings: RunSettings) -> None:
        """Refuse settings whose draws would not be those that follow this run.

        Raises
        ------
        StoreError
            If a setting differs. The error names each such setting.
        """
        own = {name: getattr(settings, name) for name in _OF_THE_QUESTIONS}
        changed = replace(self.results.settings, **own)
        if refusal := _refusal(self.folder, changed, settings):
            raise StoreError(refusal)


def family_of(folder: Path, before: Before | None, *, resume: bool) -> FollowedRun | None:
    """Return the run that the questions of a folder follow; None if they follow none.

    Raises
    ------
    StoreError
        If a run of the folder is resumed without the run that it follows.
    """
    if before is not None:
        return before.record
    try:
        adaptive = recorded_settings(folder).adaptive
    except StoreError:  # the writer will say why
        return None
    follows = None if adaptive is None else adaptive.follows
    if follows is not None and resume:
        name = follows.name or "the folder before"
        raise StoreError(
            f"the run of {folder} follows that of {name}, and needs it to go on: state both, as in "
            f"certify --continue {name} --out {folder.name}"
        )
    return follows


def rows_to_draw(
    folder: Path, settings: RunSettings, procedure: AnytimeProcedure
) -> Callable[[dict[str, Any]], bool]:
    """Return a function that tells whether the input of a row of a finished run is drawn further.

    An input is drawn further if more draws may answer a question about it. With the same n and
    strictness, only inputs that a budget ended are drawn further.

    Raises
    ------
    StoreError
        If the run is not finished or not adaptive, or the questions differ.
    ValueError
        If no setting asks for further draws, or the budget is spent.
    """
    before = load(folder)
    require_anytime(folder, before)
    require_own_draws(folder, before)
    if refusal := _refusal(folder, before.settings.with_draws_of(settings), settings):
        raise StoreError(refusal)
    n, rules = before.settings.n, before.settings.adaptive
    assert rules is not None
    assert settings.adaptive is not None
    later = settings.n > n or settings.adaptive.gives_up_later_than(rules)
    if settings.n < n or not (later or before.stopped_by_budget):
        raise ValueError(
            f"n must be larger than the n = {n} of {folder} to go on with it, got {settings.n}, or "
            f"strictness larger than its {rules.strictness:g}"
        )
    _require_some_budget(folder, before, settings)
    if later:
        return procedure.goes_on
    return lambda row: row["status"] == "budget" and procedure.goes_on(row)


def require_own_draws(folder: str | Path, results: Results) -> None:
    """Refuse a folder that shards or `recertify` wrote, and not a run.

    Raises
    ------
    StoreError
        If the folder holds shards, or its draws were made for more questions than its settings
        state.
    """
    if not is_there(Path(folder) / RESULTS):
        raise StoreError(
            f"{folder} holds a run in shards: join them with smoothbound merge {folder} --out "
            "WHOLE, and go on with WHOLE"
        )
    asked = recorded_procedure(results.settings).plan.asked
    rows = results.table.select(["index", "status", "n_draws", "state", "selected", "n_selection"])
    for i in range(len(rows)):
        earlier = earlier_of({**rows.slice(i, 1).to_pylist()[0], "mean_score": 0.0})
        if earlier is None:
            continue
        if earlier.test.questions != asked:
            raise StoreError(
                f"{folder} holds some of the questions of a run, which recertify has chosen, and "
                "its draws were made for all of them: go on with the folder of the run itself, as "
                "in certify --continue RUN, and recertify that afterwards"
            )
        return


# The subjects of settings that a command cannot change, with the advice for each.
_ASKED = {"alpha", "radii", "thresholds", "adaptive asked", "adaptive precision"}
_ASKED |= {"adaptive correct_only", "adaptive both_answers"}
_STATED = {"checkpoint", "checkpoint_sha256", "state_dict", "data", "device"}
_SELECTED = {"split", "skip", "max_inputs", "indices", "n_inputs", "shard"}


def _refusal(folder: str | Path, before: RunSettings, settings: RunSettings) -> str:
    """Return why a run cannot go on with settings, and how it can; empty if it can.

    `before` are the settings of the run, with the new values of those that may change.
    """
    lines = dict(line.split(": ", 1) for line in before.differences(settings))
    if not lines:
        return ""
    names = set(lines)
    if names & {"skip", "max_inputs", "indices"}:
        lines.pop("n_inputs", None)  # it follows from them
    advice = []
    if names & _ASKED:
        advice.append(
            "Questions or an alpha that are chosen after a look need later draws of their own: "
            "state --out, another folder, with --thresholds and --radii (docs/anytime.md)"
        )
    more_inputs = names & _SELECTED and before.goes_on_as(settings)
    if more_inputs:
        advice.append(
            "To add inputs, certify them first, by certify --resume with the larger --max-inputs "
            f"and all other options of the run, without --continue; then go on with {folder}"
        )
    versions = {name for name in names if name.startswith("version of ")}
    if versions:
        advice.append("Install the versions that the run had")
    if names & _STATED:
        advice.append("State the network and the data of the run, on a device like that of the run")
    if names - _ASKED - _STATED - versions and not more_inputs:
        advice.append(
            "Leave out what differs, and it is as in the run; or certify into another folder "
            "without --continue"
        )
    if "adaptive precision" in names:
        lines["radius_precision"] = lines.pop("adaptive precision")
        lines.pop("adaptive asked", None)  # it follows
    shown = "; ".join(f"{name.removeprefix('adaptive ')}: {line}" for name, line in lines.items())
    return (
        f"cannot go on with the draws of {folder} with other settings: {shown}. {'. '.join(advice)}"
    )


def _require_some_budget(folder: Path, before: Results, settings: RunSettings) -> None:
    """Refuse a budget that earlier draws of the folder have spent, because it counts them too."""
    assert settings.adaptive is not None
    limits, draws = settings.adaptive.budget, int(before.array("n_draws").sum())
    seconds = math.ceil(10.0 * float(before.array("seconds").sum())) / 10.0
    for name, limit, spent in (
        ("budget_draws", limits.draws, draws),
        ("budget_seconds", limits.seconds, seconds),
    ):
        if limit is not None and limit <= spent:
            raise ValueError(
                f"{name} must be larger than the {spent:.10g} of {folder}, because a budget counts "
                f"all draws of the folder; got {limit}"
            )


def kept_after_failure(row: Mapping[str, Any], failure: Failure) -> dict[str, Any]:
    """Return the row of an input whose further draws failed, from its earlier draws.

    For an input that was stopped, the row is that of an input whose draws ended there.
    """
    kept = {**row, "sketch": b"", "reason": after_failure(row["reason"], str(failure))}
    if row["status"] == "stopped":
        kept["status"] = "certified" if row["predicted"] >= 0 else "abstained"
        kept["reason"] = kept["reason"].replace("stopped: ", "", 1)
        earlier = earlier_of(row)
        assert earlier is not None
        kept["state"] = earlier.test.to_bytes()
    return kept


def digest_of(image: Any, label: int) -> bytes:
    """Return a digest of an input and its label."""
    pixels = np.ascontiguousarray(image)
    kind = f"{pixels.dtype.str} {pixels.shape} {label}"
    return digest(kind.encode(), pixels.tobytes())


def require_same_inputs(
    folder: str | Path, dataset: Dataset, indices: Sequence[int], digests: Mapping[int, bytes]
) -> None:
    """Refuse to go on if an input has changed since it was certified."""
    if other := sorted(digests.keys() - set(indices)):
        raise StoreError(f"{folder} holds input {other[0]}, which the data set does not select now")
    for index in sorted(digests):
        if digest_of(*dataset[index]) != digests[index]:
            raise StoreError(
                f"cannot go on with {folder}: input {index} of {dataset.name} is not the one that "
                "was certified: its image or its label was changed, or images are decoded by "
                "another version; certify into another folder"
            )
