"""`certify --continue`: the options of a finished run, as if they were typed again."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from smoothbound.cli._typed import Command

__all__ = ["ContinuedCommand"]

_FOLDER = "--continue"
_PLACES = ("--data", "--checkpoint")  # which the settings of a run do not record


class ContinuedCommand(Command):
    """A command that takes the options of a finished run from its folder."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the options of the run before those that were typed, which come last and win."""
        folder = _typed(_FOLDER, args)
        return super().parse_args(ctx, [*_recorded(folder, args), *args] if folder else args)


def _typed(name: str, args: list[str]) -> str | None:
    """Return the value of an option that was typed.

    Examples
    --------
    >>> _typed("--n", ["--n=5"]), _typed("--n", ["--n", "5"]), _typed("--n", ["--n0", "5"])
    ('5', '5', None)
    """
    for word, following in zip(args, [*args[1:], None], strict=True):
        if word == name:
            return following
        if word.startswith(f"{name}="):
            return word.partition("=")[2]
    return None


def _recorded(folder: str, args: list[str]) -> list[str]:
    """Return the options of the run in a folder."""
    from smoothbound.store._commands import certify_command
    from smoothbound.store._results import require_anytime
    from smoothbound.store._stored import load

    results = load(folder)
    require_anytime(folder, results)
    out = _typed("--out", args)
    if out is not None and Path(out).resolve() != Path(folder).resolve():
        raise ValueError(f"--out must be left out with {_FOLDER}, which goes on in {folder}")
    data, checkpoint = (_typed(name, args) for name in _PLACES)
    words = shlex.split(
        certify_command(results.settings, folder, data=data, checkpoint=checkpoint)
    )[2:]
    for name, value in zip(_PLACES, (data, checkpoint), strict=True):
        if value is None and name in words:
            place = words.index(name)
            del words[place : place + 2]
    return words
