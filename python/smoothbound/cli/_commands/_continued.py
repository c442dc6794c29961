"""`certify --continue`, which takes the options of a finished run from its folder."""

from __future__ import annotations

import shlex
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from smoothbound.cli._commands._on_ray import with_address
from smoothbound.cli._typed import Command, remember

__all__ = ["ContinuedCommand"]

_FOLDER = "--continue"
_PLACES = ("--data", "--checkpoint")  # options that the settings of a run do not record
_REACHES = ("--radii", "--radius-precision")
_QUESTIONS = ("--thresholds", *_REACHES, "--alpha")


class ContinuedCommand(Command):
    """The command that takes the options of a finished run from its folder."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the options of the run before the typed ones, which take precedence."""
        remember(ctx, self.params, args)  # because the folder is read first
        folder = None if ctx.resilient_parsing else _typed(_FOLDER, args)
        args = [*_recorded(folder, args), *args] if folder else args
        return super().parse_args(ctx, with_address(args))


def _typed(name: str, args: list[str]) -> str | None:
    """Return the value of an option that was typed.

    Examples
    --------
    >>> _typed("--n", ["--n=5"]), _typed("--n", ["--n", "5"]), _typed("--n", ["--n0", "5"])
    ('5', '5', None)
    >>> _typed("--n", []), _typed("--n", ["--n"])
    (None, None)
    """
    for word, following in pairwise([*args, ""]):
        if word == name:
            return following or None
        if word.startswith(f"{name}="):
            return word.partition("=")[2]
    return None


def _recorded(folder: str, args: list[str]) -> list[str]:
    """Return the options of the run in a folder that typed options do not replace."""
    from smoothbound.anytime._record import BudgetRecord
    from smoothbound.smoothing._going_on import require_own_draws
    from smoothbound.store._commands import certify_command
    from smoothbound.store._folder import require_anytime
    from smoothbound.store._stored import load

    results = load(folder)
    require_anytime(folder, results)
    typed = {name: _typed(name, args) for name in (*_PLACES, *_QUESTIONS, "--out")}
    asks_more = _asks_more(folder, typed)
    if not asks_more:
        require_own_draws(folder, results)
    settings = results.settings
    assert settings.adaptive is not None
    rules = replace(settings.adaptive, budget=BudgetRecord(), follows=None)
    left_out = [name for name in _PLACES if typed[name] is None]
    if asks_more and any(typed[name] for name in _REACHES):
        rules = replace(rules, precision=None)
        left_out.append("--radii")
    command = certify_command(
        replace(settings, adaptive=rules),
        folder,
        data=typed["--data"],
        checkpoint=typed["--checkpoint"],
    )
    words = shlex.split(command)[2:]
    for name in left_out:
        if name in words:
            place = words.index(name)
            del words[place : place + 2]
    return words


def _asks_more(folder: str, typed: dict[str, str | None]) -> bool:
    """Return whether other questions are asked, with a results folder of their own.

    Raises
    ------
    ValueError
        If other questions have no folder of their own, or such a folder is given without questions.
    """
    out, others = typed["--out"], [name for name in _QUESTIONS if typed[name] is not None]
    own = out is not None and Path(out).resolve() != Path(folder).resolve()
    if own and not others:
        raise ValueError(
            f"{' or '.join(_QUESTIONS)} must be given with {_FOLDER} and --out, to ask "
            f"other questions than {folder}. To draw further for its questions, leave out --out"
        )
    return own
