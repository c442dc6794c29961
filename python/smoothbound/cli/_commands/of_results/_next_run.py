"""The command to run after a recommendation, with its folder and the file of its network."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from smoothbound._display.console import say
from smoothbound.store._commands import FOLDER, certify_command

if TYPE_CHECKING:
    from smoothbound.store._results import Results
    from smoothbound.store._settings import RunSettings

__all__ = ["checkpoint_near", "command_of", "say_command", "seed_after"]


def seed_after(runs: Mapping[str, Results]) -> int:
    """Return a seed that no pilot run had."""
    return 1 + max(results.settings.seed for results in runs.values())


def command_of(wanted: RunSettings, *, data: str | None, checkpoint: Path | None) -> str:
    """Write the command that certifies all inputs with these settings, into a free folder."""
    out = _free(Path("results") / repr(wanted.sigma))
    return certify_command(wanted, out, data=data, checkpoint=checkpoint)


def say_command(command: str, chosen: str) -> None:
    """Print the command to run next, and why its seed differs."""
    say(
        f"\nRun this next, with another seed, because draws that chose {chosen} cannot also "
        "certify:"
    )
    say(f"  {command}")
    if FOLDER in command:
        say(
            f"Put your folders in place of {FOLDER}, which no results hold, or give recommend "
            "--data and --checkpoint."
        )


def _free(folder: Path) -> Path:
    """Return the folder, or a free name beside it, because certify replaces nothing."""
    names = (folder, *(folder.with_name(f"{folder.name}-{k}") for k in range(2, 1000)))
    return next((name for name in names if not name.exists()), folder)


def checkpoint_near(settings: RunSettings, pilot: Path) -> Path | None:
    """Search here and near the pilot run for the file with the recorded hash of the network."""
    for folder in (Path(), pilot, *list(pilot.absolute().parents)[:2]):
        file = folder / settings.checkpoint
        with suppress(OSError):
            if file.is_file() and sha256(file.read_bytes()).hexdigest() == (
                settings.checkpoint_sha256
            ):
                return file
    return None
