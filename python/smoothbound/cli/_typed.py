"""Options as they were typed: checks of empty values, and names of options in errors."""

from __future__ import annotations

import re
from itertools import takewhile
from pathlib import Path
from typing import Any

import typer

from smoothbound._display.console import note

__all__ = ["Command", "as_typed", "remember", "way_on"]

_KEY = "smoothbound.typed"  # key in the context of a command
_LISTS = ("--radii", "--thresholds", "--levels", "--indices", "--classes")  # of numbers

# The old names of options, by command: they still work, and they warn, until version 1.0.
_FORMER = {
    "certify": {"--max-draws": "--budget-draws", "--max-seconds": "--budget-seconds"},
    "recommend": {"--max-n": "--max-draws"},
    "report": {"--example": "--index"},
}


class Command(typer.core.TyperCommand):
    """A command that keeps its options and the typed arguments."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Refuse an option with an empty value, which would mean the current folder for a path.

        Numbers of an option that are separated by blanks are refused with the right form. Old names
        of options are replaced by the new ones.
        """
        args = _renamed(_FORMER.get(self.name or "", {}), args)
        remember(ctx, self.params, args)
        if not ctx.resilient_parsing:  # true while a shell completes a command
            _require_some(self.params, args)
            _require_commas(args)
        return super().parse_args(ctx, args)


def remember(ctx: Any, params: list[Any], args: list[str]) -> None:
    """Keep the options of a command and the typed arguments in its context."""
    ctx.meta[_KEY] = params, list(args)


def _renamed(former: dict[str, str], args: list[str]) -> list[str]:
    """Replace the old names of options by the new ones, with a note for each."""
    typed = {word.partition("=")[0] for word in args}
    for old in former.keys() & typed:
        if former[old] in typed:
            raise ValueError(f"{old} is now called {former[old]}: give one of the two")
        note(f"{old} is now called {former[old]}")
    words = (word.partition("=") for word in args)
    return [former.get(name, name) + equals + value for name, equals, value in words]


def _require_some(params: list[Any], args: list[str]) -> None:
    valued = {
        name: param for param in params if not getattr(param, "is_flag", False)
        for name in param.opts
    }  # fmt: skip
    for before, text in zip(["", *args], args, strict=False):
        name, equals, value = text.partition("=")
        if equals and not value and name in valued:
            raise ValueError(f"{name} must not be empty")
        if not text:
            raise ValueError(f"{before if before in valued else 'an argument'} must not be empty")


def _require_commas(args: list[str]) -> None:
    """Refuse ``--radii 0 0.5``, where the second number would count as an argument."""
    for at, word in enumerate(args):
        name, equals, value = word.partition("=")
        following = [value] * bool(equals) + args[at + 1 :]
        values = list(takewhile(_is_number, following))
        if name in _LISTS and len(values) > 1 and not Path(values[1]).exists():
            raise ValueError(
                f"{name} must be numbers separated by commas, without blanks: "
                f"{name} {','.join(values)}; got {name} {' '.join(values)}"
            )


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def way_on(ctx: Any) -> str:
    """Return how to continue a command that was stopped before it knew what was finished."""
    params, args = ctx.meta.get(_KEY, ([], []))
    if all(param.name != "resume" for param in params):
        return ""
    going_on = ("--resume", "--shard", "--ray", "--continue")
    resuming = any(word.partition("=")[0] in going_on for word in args)
    return f": the same command{'' if resuming else ' with --resume'} goes on with what is finished"


def as_typed(text: str, ctx: Any) -> str:
    """Replace names of arguments in an error of the library by the options as they were typed.

    Parameters
    ----------
    text : str
        The error. It begins with the name of an argument, as in
        ``"max_inputs must be at least 1"``, or has advice for Python, as in
        ``"state outputs='logits'"``.
    ctx : context of a command
        The context. If no `Command` ran in it, the text is not changed.
    """
    params, args = ctx.meta.get(_KEY, ([], []))
    options = {}
    for param in params:
        if param.param_type_name == "option":
            names = [one for one in param.opts if one.startswith("--")]
            typed = [one for one in names if any(arg.split("=")[0] == one for arg in args)]
            for name in (param.name, *(one[2:].replace("-", "_") for one in names)):
                options[name] = (typed or names)[0]
    if not options:
        return text
    any_of = "|".join(map(re.escape, sorted(options, key=len, reverse=True)))
    subject = rf"(?:^|(?<=within )|(?<= in )|(?<=: )|(?<=; ))({any_of})"
    follows = r"( (?:must|takes|is|=) |: | \[|, e\.g\.)"
    text = re.sub(subject + follows, lambda m: options[m[1]] + m[2], text)
    text = re.sub(rf"(?<![\w.-])({any_of})(?=\[\d+\])", lambda m: options[m[1]], text)
    return re.sub(
        rf"\b({any_of})=(?:'([^']*)'|([\w.+-]*\w))",
        lambda m: f"{options[m[1]]} {m[2] or m[3]}",
        text,
    )
