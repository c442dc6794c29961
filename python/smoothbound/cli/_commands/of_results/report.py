"""`smoothbound report`: figures and tables of results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smoothbound._display.console import note, say
from smoothbound.cli._options import numbers

__all__ = ["report"]


def report(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RESULTS...",
            help="Results folders of certify, finished or not; .parquet files of bounds, whose "
            "inputs have no labels; and logs of Kumar et al. 2020, as published (noise_0.25) or "
            "as .tsv files.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder to write to.", show_default=False)],
    class_radius: Annotated[
        list[Path] | None,
        typer.Option(
            help="Log of class radii (Cohen et al. 2019) for a log of confidence. Repeat it for "
            "each of these logs, in the same order.",
            show_default=False,
        ),
    ] = None,
    thresholds: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBERS",
            help="Thresholds to show, separated by commas.",
            show_default="0.5, 0.7 and 0.9 of the range, and those of the run",
        ),
    ] = None,
    radii: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBERS",
            help="Radii of the figure over the threshold, among the certified radii.",
            show_default="up to three",
        ),
    ] = None,
    index: Annotated[
        int | None,
        typer.Option(
            help="Position in the data set of the input whose certified confidence is drawn.",
            show_default="the correct input of median confidence",
        ),
    ] = None,
    compare: Annotated[
        bool,
        typer.Option(
            "--compare", help="Compare the results side by side, without the figures of each one."
        ),
    ] = False,
) -> None:
    """Write figures, tables and a page about one or several results.

    Certified accuracy is the share of all inputs that are classified correctly, not abstained,
    and certified strictly above a threshold everywhere within a radius.
    """
    from smoothbound.report import _folder as folder
    from smoothbound.report._write import write_report

    written = write_report(
        inputs,
        out,
        class_radius=class_radius or [],
        thresholds=[] if thresholds is None else numbers("--thresholds", thresholds),
        radii=[] if radii is None else numbers("--radii", radii),
        index=index,
        compare=compare,
    )
    for path in written:
        say(path)
    if others := folder.others(out, written):
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        note(f"{out} also holds {others[0]}{more}: not of this report")
