"""`smoothbound merge`: join several results folders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smoothbound._display.console import say

__all__ = ["merge"]


def merge(
    results: Annotated[
        list[Path],
        typer.Argument(
            metavar="RESULTS...",
            help="Results folders of certify: those of one run, in shards or not, or of finished "
            "runs with the same settings on other inputs.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="Results folder to write.", show_default=False)],
) -> None:
    """Join results folders into one.

    Every input must be finished. An input that is in several folders must have the same numbers in
    each. The folder is written completely or not at all. If it holds the same results already,
    nothing is done.
    """
    from smoothbound._display.progress import progress
    from smoothbound.store._shards.merge import merge as join
    from smoothbound.store._stored import open_folder

    counts = []
    for folder in results:
        with open_folder(folder) as stored:
            counts.append(len(stored))
    with progress("inputs joined", sum(counts)) as advance:
        join(results, out, advance=advance)
    with open_folder(out) as stored:
        folders = "1 folder" if len(results) == 1 else f"{len(results)} folders"
        say(f"{out}: {len(stored)} inputs of {folders}")
