"""`smoothbound export`: results as a file for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smoothbound._display.console import note, say
from smoothbound._display.rounding import exact
from smoothbound.cli._options import numbers

__all__ = ["export"]


def export(
    results: Annotated[
        Path,
        typer.Argument(
            metavar="RESULTS",
            help="Results folder of certify, finished or not.",
            show_default=False,
        ),
    ],
    format: Annotated[
        str,
        typer.Option(
            "--format",
            help="'csv': a line for each input, a column for each number. 'jsonl': a JSON "
            "object for each input. 'tsv': the layout of the logs of Kumar et al. 2020 and "
            "Cohen et al. 2019. 'latex': the table of certified accuracy.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="File to write. The settings of the run are written beside it, into a file whose "
            "name has .json appended; LaTeX has them as comments.",
            show_default=False,
        ),
    ],
    method: Annotated[
        str | None,
        typer.Option(
            help="For tsv: the method with the bounds for the columns of Theorem 2, such as "
            "cdf_dkw.",
            show_default="the last one by Theorem 2",
        ),
    ] = None,
    thresholds: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBERS",
            help="For latex: thresholds of the table, separated by commas.",
            show_default="as in a report",
        ),
    ] = None,
) -> None:
    """Write results as a file for other programs: CSV, JSON Lines, published logs, LaTeX.

    Rows are read and written a few at a time. The file gets its name once it is complete. Parquet
    needs no export: pandas, polars and DuckDB read results.parquet in the folder directly.
    """
    from smoothbound._display.progress import progress
    from smoothbound._utils import checks
    from smoothbound.export._log import left_out_radii
    from smoothbound.export._write import FORMATS, write_export
    from smoothbound.store._stored import open_folder

    chosen = checks.choice("format", format, FORMATS)
    with open_folder(results) as stored:
        settings, count = stored.settings, len(stored)
        with progress("inputs written", count) as advance:
            write_export(
                stored,
                out,
                chosen,
                method=method,
                thresholds=[] if thresholds is None else numbers("--thresholds", thresholds),
                advance=advance,
            )
    say(f"{out}: {count} inputs")
    if not stored.complete:
        note(f"the run is not finished: {count} of {settings.n_inputs} inputs")
    if chosen == "tsv":
        if left := left_out_radii(settings):
            shown = ", ".join(map(exact, left))
            note(f"left out are the bounds at {shown}: a column is named by whole hundredths")
        if unnamed := _unnamed(out, settings.measure, settings.sigma):
            note(unnamed)


def _unnamed(out: Path, measure: str, sigma: float) -> str:
    """Return advice about the name of the file, from which log readers take sigma and measure."""
    from smoothbound.analysis.logs import named

    is_margin, known = named(out)
    said = []
    if known != sigma:
        said.append(f"call the file NAME_sigma{exact(sigma)}.tsv, because readers take σ from it")
    if is_margin != (measure == "margin"):
        said.append(
            "put it into a folder called margin"
            if measure == "margin"
            else "put it into a folder that is not called margin"
        )
    return "; ".join(said)
