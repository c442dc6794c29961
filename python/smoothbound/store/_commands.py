"""The shell command that certifies with given settings."""

from __future__ import annotations

import math
import shlex
from pathlib import Path

from smoothbound.anytime._record import AdaptiveRecord
from smoothbound.backends._names import BANDS
from smoothbound.data._specs import PLACES
from smoothbound.store._settings import RunSettings

__all__ = ["FOLDER", "certify_command"]

FOLDER = "DIR"
"""Placeholder of a folder, because settings do not record where files are."""


def certify_command(
    settings: RunSettings,
    out: str | Path,
    *,
    data: str | None = None,
    checkpoint: str | Path | None = None,
) -> str:
    """Write the command line of ``smoothbound certify`` that certifies with these settings.

    It leaves out options that have their default value, the device, the batch size and the number
    of threads.

    Parameters
    ----------
    settings : RunSettings
        The settings of the run.
    out : str or Path
        The results folder to write.
    data, checkpoint : str or Path, optional
        The values of ``--data`` and ``--checkpoint``. By default they are made from the names that
        the settings record, with `FOLDER` for each folder.

    Returns
    -------
    str
        One line for a POSIX shell.
    """
    rules = settings.adaptive or AdaptiveRecord(asked="Decide")
    strictness, precision = rules.strictness, rules.precision
    a, b = settings.score_range
    words = ["smoothbound", "certify", *_network(settings, checkpoint)]
    begins = rules.follows is None  # else an option that is left out has the value of that run
    if rules.follows is not None:
        words += ["--continue", f"{FOLDER}/{rules.follows.name or 'results'}"]
    words += ["--data", data or _data(settings.data), "--sigma", repr(settings.sigma)]
    words += ["--n", str(settings.n)]
    if precision is None or rules.stages is None:
        words += ["--radii", _listed(settings.radii)]
    words.append(f"--thresholds={_listed(settings.thresholds)}")
    for bound in dict.fromkeys(method.bound for method in settings.methods):
        words += [] if bound == "anytime" else ["--bound", bound]
    for band in BANDS:
        if any(method.band == band for method in settings.methods):
            words += ["--band", band]
    words += ["--seed", str(settings.seed)]
    cutoff = -math.inf if settings.cutoff is None else settings.cutoff
    optional: dict[str, tuple[object, object]] = {
        "--alpha": (settings.alpha, 1e-3 if begins else None),
        "--n0": (settings.n0, 100),
        "--n-bins": (next((m.n_bins for m in settings.methods if m.n_bins), None), None),
        "--measure": (settings.measure, "score"),
        "--outputs": (settings.outputs, "logits"),
        "--select": (settings.select, "score"),
        "--split": (None if settings.split == "all" else settings.split, "test"),
        "--skip": (settings.skip, 1),
        "--max-inputs": (settings.max_inputs, None),
        "--shard": (settings.shard, None),
        "--indices": (_listed(settings.indices or ()), ""),
        "--cutoff": (cutoff, (a + b) / 2),
        "--precision": (settings.precision, "float32"),
        "--compile": (settings.compile, None),
        "--noise": (settings.noise.kind, "lattice"),
        "--classes": (_classes(settings), None),
        "--radius-precision": (precision, None),
        "--strictness": (strictness, 0.25 if begins else None),
        "--budget-draws": (rules.budget.draws, None),
        "--budget-seconds": (rules.budget.seconds, None),
    }
    words += [
        f"{name}={value}" for name, (value, usual) in optional.items() if value not in (usual, None)
    ]
    words.append("--channels-last" if settings.channels_last else "--no-channels-last")
    words += [] if settings.adaptive is None else ["--adaptive"]
    words += ["--correct-only"] if rules.correct_only else []
    words += ["--both-answers"] if rules.both_answers else []
    return shlex.join([*words, "--out", str(out)])


def _classes(settings: RunSettings) -> str | None:
    """Return the value of --classes."""
    names = settings.classes
    return names if names is None or isinstance(names, str) else _listed(names)


def _listed(values: tuple[float, ...] | tuple[int, ...]) -> str:
    return ",".join(map(repr, values))


def _network(settings: RunSettings, checkpoint: str | Path | None) -> list[str]:
    kind, _, name = settings.arch.partition(":")
    if kind == "hf":  # a folder of Transformers, whose name alone is recorded
        return ["--model", f"hf:{FOLDER}/{name}"]
    if name and settings.checkpoint == settings.arch:  # a factory without a checkpoint
        return ["--model", settings.arch]
    file = checkpoint or f"{FOLDER}/{settings.checkpoint}"
    option = "--model" if name else "--arch"  # of your own or of timm, or one of those here
    words = ["--checkpoint", str(file), option, settings.arch]
    return words if settings.state_dict is None else [*words, "--state-dict", settings.state_dict]


def _data(name: str) -> str:
    """Return the value of --data for a recorded name, with `FOLDER` for the folder.

    Examples
    --------
    >>> [_data(name) for name in ("digits", "cifar10", "npz:photos.npz", "images:photos")]
    ['digits', 'cifar10:DIR', 'npz:DIR/photos.npz', 'images:DIR/photos']
    """
    kind, _, file = name.partition(":")
    if not PLACES.get(kind, FOLDER):
        return kind
    return f"{kind}:{FOLDER}/{file}" if file else f"{kind}:{FOLDER}"
