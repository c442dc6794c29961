"""`smoothbound verify`: compute the certificates of a folder again without the model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Table

from smoothbound._display.console import note, say, say_table
from smoothbound._display.rounding import ceil_significant
from smoothbound.cli._statuses import DOES_NOT_HOLD, NOT_VERIFIED

if TYPE_CHECKING:
    from smoothbound.verify._verification import Verification

__all__ = ["verify"]


def verify(
    results: Annotated[
        Path,
        typer.Argument(
            metavar="RESULTS",
            help="Results folder of certify, finished or not.",
            show_default=False,
        ),
    ],
) -> None:
    """Compute all certificates of a folder again, without the model, the data or a GPU.

    A slow reference implementation computes them from the counted scores, or from the states of
    adaptive draws, and reports which of them hold. The exit status is 0 if all certificates hold, 1
    if one does not, 4 if some cannot be verified and all others hold, and 2 after any other error,
    such as a damaged file.
    """
    from smoothbound._display.progress import progress
    from smoothbound.store._stored import open_folder
    from smoothbound.verify._verify import verify_results

    with open_folder(results) as stored:
        if any(method.band == "ell" for method in stored.settings.methods):
            note(
                f"first the band ell of {stored.settings.n} draws is verified, which takes a while"
            )
        with progress("inputs verified", len(stored)) as advance:
            found = verify_results(stored, advance=advance)
    _say(found)
    if not stored.complete:
        note(f"the run is not finished: {found.n_inputs} of {stored.settings.n_inputs} inputs")
    for reason, count in found.reasons.items():
        note(f"{count} certificates cannot be verified: {reason}")
    if not found.holds:
        raise typer.Exit(DOES_NOT_HOLD)
    if not found.complete:
        raise typer.Exit(NOT_VERIFIED)


def _say(found: Verification) -> None:
    table = Table(box=box.SIMPLE)
    table.add_column("certificates", no_wrap=True)
    for title in ("proved", "within a cell", "do not hold", "cannot be verified"):
        table.add_column(title, justify="right")
    for kind, tally in found.tallies.items():
        counts = (tally.proved, tally.within, tally.wrong, tally.unknown)
        table.add_row(kind, *map(str, counts))
    say_table(table)
    widest = max((tally.widest for tally in found.tallies.values()), default=0.0)
    if any(tally.within for tally in found.tallies.values()):
        say(
            "Within a cell: the counts allow these certificates. What the counts alone prove is at "
            f"most {ceil_significant(widest, 3)} lower, because a score may lie anywhere in its "
            "cell."
        )
    for finding in found.findings:
        say(finding)
    if found.holds:
        say(f"No certificate of {found.n_inputs} inputs is above what was kept.")
        return
    more = found.n_findings - len(found.findings)
    say(
        f"{f'... and {more} more. ' if more else ''}{found.n_findings} numbers of "
        f"{found.n_wrong_inputs} of {found.n_inputs} inputs do not hold."
    )
