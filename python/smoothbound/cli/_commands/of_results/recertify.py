"""`smoothbound recertify`: other questions about a finished run, without the model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smoothbound._display.console import note
from smoothbound.backends._names import BANDS
from smoothbound.cli._options import checked_alpha, numbers

__all__ = ["recertify"]


def recertify(
    results: Annotated[
        Path,
        typer.Argument(
            metavar="RESULTS", help="Folder of a finished run of certify.", show_default=False
        ),
    ],
    out: Annotated[Path, typer.Option(help="Results folder to write.", show_default=False)],
    radii: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBERS",
            help="Radii at which to bound the confidence, separated by commas.",
            show_default="those of the run",
        ),
    ] = None,
    thresholds: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBERS",
            help="Thresholds for which to find the certified radius, separated by commas.",
            show_default="those of the run",
        ),
    ] = None,
    band: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Confidence band: {' or '.join(BANDS)}. Repeat the option for several, of "
            "which the last one decides on abstention.",
            show_default="ell",
        ),
    ] = None,
    alpha: Annotated[
        float | None,
        typer.Option(
            help="Failure probability of each certificate. Choose it and the band before a look at "
            "any result: the best of several choices is false more often (docs/choices.md).",
            show_default="that of the run",
        ),
    ] = None,
) -> None:
    """Certify a finished run at other radii and thresholds, without the model.

    A run with a fixed number of draws keeps counts of its scores. They certify all radii and
    thresholds by Theorem 2, with bounds at most 1/4096 of the range below those from the scores
    themselves. A run with adaptive draws answers only the questions that it asked.
    """
    from smoothbound._display.progress import progress
    from smoothbound.cli._tables import show
    from smoothbound.store._stored import open_folder
    from smoothbound.verify._recertify import recertify_results

    if alpha is not None:
        checked_alpha(alpha)
    with open_folder(results) as stored:
        with progress("inputs certified", len(stored)) as advance:
            recertify_results(
                stored,
                out,
                radii=None if radii is None else numbers("--radii", radii),
                thresholds=None if thresholds is None else numbers("--thresholds", thresholds),
                bands=band,  # type: ignore[arg-type]  # checked later
                alpha=alpha,
                advance=advance,
            )
        fixed = stored.settings.adaptive is None
    with open_folder(out) as made:
        show(made, out)
    if fixed and (band is not None or alpha is not None):
        note(
            "alpha and the band must not be chosen by what they certify: each further choice is a "
            "family of its own, and both hold at the sum of their alphas"
        )
