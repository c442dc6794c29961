"""`smoothbound recommend`: the sigma and n to certify with, from short runs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from smoothbound._display.console import say, say_table
from smoothbound._display.printable import printable
from smoothbound._display.rounding import exact, floored
from smoothbound._utils import checks
from smoothbound.backends._names import BANDS
from smoothbound.bounds._method import Method
from smoothbound.cli._commands.of_results import _recommend_adaptive as adaptive_runs
from smoothbound.cli._commands.of_results._next_run import (
    checkpoint_near,
    command_of,
    say_command,
    seed_after,
)
from smoothbound.cli._options import Alpha

if TYPE_CHECKING:
    from collections.abc import Mapping

    from smoothbound.recommend._pilots import Pilot
    from smoothbound.recommend._recommendation import Recommendation
    from smoothbound.store._results import Results
    from smoothbound.store._settings import RunSettings

__all__ = ["recommend"]

_ADAPTIVE = "Adaptive runs"


def recommend(
    pilots: Annotated[
        list[Path],
        typer.Argument(
            metavar="PILOTS...",
            help="Results folders of short runs of certify, one for each sigma, of the same images "
            "and measure. 50 inputs with --n 1000 are usually enough.",
            show_default=False,
        ),
    ],
    threshold: Annotated[
        float | None,
        typer.Option(help="Threshold that the confidence should stay above.", show_default=False),
    ] = None,
    radius: Annotated[
        float | None,
        typer.Option(
            help="Radius within which it should stay above, in the units of the input.",
            show_default=False,
        ),
    ] = None,
    band: Annotated[
        str | None,
        typer.Option(
            help=f"Confidence band of the bound 'cdf': {' or '.join(BANDS)}.", show_default="ell"
        ),
    ] = None,
    alpha: Alpha = 1e-3,
    max_draws: Annotated[
        int, typer.Option(help="Largest number of draws of an input to consider.")
    ] = 100_000,
    share: Annotated[
        float | None,
        typer.Option(
            help="Recommend the fewest draws that certify this share of the inputs that "
            "--max-draws draws would certify.",
            show_default="0.95",
        ),
    ] = None,
    adaptive: Annotated[
        bool,
        typer.Option(
            "--adaptive",
            help="Forecast runs of certify --adaptive: the inputs that they certify, the draws "
            "that they take, and the time. --radii and --thresholds state the questions.",
            rich_help_panel=_ADAPTIVE,
        ),
    ] = False,
    radii: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBERS",
            help="With --adaptive: radii, in the units of the input, separated by commas.",
            show_default=False,
            rich_help_panel=_ADAPTIVE,
        ),
    ] = None,
    thresholds: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBERS",
            help="With --adaptive: thresholds, separated by commas.",
            show_default="the middle of the range",
            rich_help_panel=_ADAPTIVE,
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="The --data of certify in the printed command.",
            show_default=False,
        ),
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            help="The --checkpoint of certify in the printed command.",
            show_default="the same file, found here or near the pilot",
        ),
    ] = None,
) -> None:
    """Recommend the sigma and the number of draws for a threshold and a radius.

    The draws of the pilots represent those of a longer run. They give a forecast, for each sigma
    and n, of the inputs that would be certified. With --adaptive they give a forecast for runs that
    draw each input until its questions are answered. A forecast is not a certificate, so the
    command to run next is printed. Its seed differs from those of the pilots, because draws that
    chose sigma and n cannot also certify at alpha. If no sigma certifies anything, the output
    states what would help, and the exit status is 0.
    """
    from smoothbound.store import _stored as store

    _refuse_others(
        adaptive,
        {"threshold": threshold, "radius": radius, "band": band, "share": share},
        {"radii": radii, "thresholds": thresholds},
    )
    runs = {str(folder): store.load(folder) for folder in pilots}
    if radii is not None:
        adaptive_runs.answer(
            runs,
            radii=radii,
            thresholds=thresholds,
            max_draws=max_draws,
            alpha=alpha,
            data=data,
            checkpoint=checkpoint,
        )
    elif threshold is not None and radius is not None:
        _answer(
            runs,
            {"threshold": threshold, "radius": radius, "alpha": alpha, "max_draws": max_draws}
            | {"band": checks.choice("band", band or "ell", BANDS)}
            | {"share": 0.95 if share is None else share},
            data=data,
            checkpoint=checkpoint,
        )


def _refuse_others(adaptive: bool, fixed: dict[str, object], asked: dict[str, object]) -> None:
    """Refuse options of the other kind of run, and a missing question."""
    stated = [name for name, value in (fixed if adaptive else asked).items() if value is not None]
    if stated and adaptive:
        raise ValueError(
            f"--{stated[0]} belongs to runs with a fixed number of draws; with --adaptive state "
            "--radii and --thresholds"
        )
    if stated:
        raise ValueError(
            f"--{stated[0]} needs --adaptive; without it state one --threshold and one --radius"
        )
    if adaptive and asked["radii"] is None:
        raise ValueError(
            "--radii must be stated with --adaptive, as in --radii 0,0.25 --thresholds 0.5: is the "
            "confidence above 0.5 within 0 and within 0.25?"
        )
    if not adaptive and None in (fixed["threshold"], fixed["radius"]):
        raise ValueError(
            "--threshold and --radius must be stated, as in --threshold 0.5 --radius 0.25; for "
            "adaptive runs, --adaptive with --thresholds 0.5 --radii 0,0.25"
        )


def _answer(
    runs: Mapping[str, Results],
    asked: dict[str, Any],
    *,
    data: str | None,
    checkpoint: Path | None,
) -> None:
    """Print the forecast of runs with a fixed number of draws, and the command to run next."""
    from smoothbound.recommend import _recommendation as plan
    from smoothbound.recommend._pilots import of_results

    advice = plan.recommend([of_results(one, name) for name, one in runs.items()], **asked)
    say(
        f"Forecast of certified accuracy, % of {advice.total} inputs: correct, and "
        f"{advice.pilots[0].sketch.measure} above {exact(advice.threshold)} within R = "
        f"{exact(advice.radius)}"
    )
    say_table(_table(advice))
    for paragraph in _said(advice):
        say(paragraph)
    if advice.pilot is not None:
        settings = runs[advice.pilot.name].settings
        file = checkpoint or checkpoint_near(settings, Path(advice.pilot.name))
        seed = seed_after(runs)
        command = next_command(advice, settings, seed, data=data, checkpoint=file)
        say_command(command, "σ and n")


# ---------------------------------------------------------------------------------------------
# The text of the answer


def _table(advice: Recommendation) -> Table:
    """Return a table with a column per pilot and a row per number of draws that certifies."""
    from smoothbound._display.rounding import percent

    counts = advice.counts
    first = int(counts.any(axis=0).argmax()) if counts.any() else len(advice.draws) - 1
    table = Table(box=box.SIMPLE)
    table.add_column("n =", justify="right", no_wrap=True)
    for pilot in advice.pilots:
        table.add_column(Text(printable(_label(advice, pilot))), justify="right")
    for k in range(first, len(advice.draws)):
        shares = [percent(count, advice.total) for count in counts[:, k]]
        table.add_row(str(advice.draws[k]), *shares)
    return table


def _label(advice: Recommendation, pilot: Pilot) -> str:
    """Return the sigma of a pilot, with its name if another pilot has the same sigma."""
    alone = sum(one.sigma == pilot.sigma for one in advice.pilots) == 1
    return f"σ = {exact(pilot.sigma)}" if alone else f"{pilot.name}, σ = {exact(pilot.sigma)}"


def _said(advice: Recommendation) -> Iterator[str]:
    if advice.pilot is None:
        yield from _none(advice)
    else:
        yield _recommended(advice)
        yield _cost(advice)
        yield from _runner_up(advice)
        yield from _rule(advice)
    n_draws = min(pilot.n_draws for pilot in advice.pilots)
    yield (
        f"A forecast, not a certificate: the {n_draws} draws of each pilot input stand for all "
        "others, and beyond as many the forecast is on average too high rather than too low."
    )


def _recommended(advice: Recommendation) -> str:
    from smoothbound._display.rounding import percent

    assert advice.pilot is not None
    assert advice.place is not None
    low, high = advice.interval
    most = advice.counts[advice.place, -1]
    text = (
        f"{_label(advice, advice.pilot)} with n = {advice.n}: {advice.count} of {advice.total} "
        f"inputs forecast certified, {percent(advice.count, advice.total)} % (95 % interval for "
        f"so few inputs: {math.floor(100 * low)} to {math.ceil(100 * high)} %)"
    )
    if advice.n == advice.draws[-1]:
        return f"{text}."
    return f"{text}, where n = {advice.draws[-1]} gives {percent(most, advice.total)} %."


def _cost(advice: Recommendation) -> str:
    """State the cost of an input and of a thousand inputs, in draws and by the pilot's clock."""
    pilot = advice.pilot
    assert pilot is not None
    assert advice.n is not None
    draws = advice.n + pilot.n0
    thousand = f"{1000 * draws:,}".replace(",", " ")
    text = f"It costs n + n0 = {draws} draws an input, {thousand} for every thousand inputs"
    if pilot.seconds_per_draw is None:
        return f"{text}."
    seconds = draws * pilot.seconds_per_draw
    return f"{text}; at the speed of the pilot, {seconds:.2g} s an input."


def _runner_up(advice: Recommendation) -> Iterator[str]:
    from smoothbound._display.rounding import percent

    second = advice.runner_up
    if second is None:
        return
    share = percent(advice.counts[second.place, -1], advice.total)
    verdict = "" if second.significant else ", too few to tell the two apart: take more inputs"
    yield (
        f"Next comes {_label(advice, advice.pilots[second.place])}, with {share} % at "
        f"n = {advice.draws[-1]}: {second.lost} inputs only the first certifies, {second.won} only "
        f"the second{verdict}."
    )


def _rule(advice: Recommendation) -> Iterator[str]:
    """Yield the best sigma at half and at twice the radius."""
    if len({pilot.sigma for pilot in advice.pilots}) < 2 or not advice.rule:
        return
    best = ", ".join(
        f"{'none' if sigma is None else f'σ = {exact(sigma)}'} at R = {exact(radius)}"
        for radius, sigma in advice.rule
    )
    yield f"σ should grow with the radius. By the same forecast the best is {best}."


def _none(advice: Recommendation) -> Iterator[str]:
    """Yield that no pilot certifies anything, and what would help."""
    yield (
        f"None of these: no input is forecast to be certified above {exact(advice.threshold)} "
        f"within R = {exact(advice.radius)}, even with n = {advice.draws[-1]}."
    )
    for pilot, furthest, highest in zip(
        advice.pilots, advice.furthest, advice.highest, strict=True
    ):
        name = _label(advice, pilot)
        if math.isnan(highest):
            yield f"{name}: no input is of the true class and above the cut-off at R = 0."
            continue
        reach = (
            f"nothing is above {exact(advice.threshold)} even at R = 0"
            if math.isnan(furthest)
            else f"the largest radius above {exact(advice.threshold)} is {exact(floored(furthest))}"
        )
        yield f"{name}: {reach}; the highest confidence within R is {exact(floored(highest))}."
    yield _help(advice)


def _help(advice: Recommendation) -> str:
    """Return advice: questions that these pilots could answer, or another network or sigma."""
    reach = [-math.inf if math.isnan(r) else floored(r) for r in advice.furthest]
    highest = [-math.inf if math.isnan(c) else floored(c) for c in advice.highest]
    parts = []
    if max(reach) > 0:
        parts.append(f"a radius below {exact(max(reach))} at this threshold")
    if max(highest) > advice.pilots[0].sketch.score_range[0]:
        parts.append(f"a threshold below {exact(max(highest))} at this radius")
    if not parts:
        return "A lower threshold, a smaller radius or a better network is needed."
    text = f"What would do with these: {', or '.join(parts)}."
    if reach[-1] == max(reach):
        return f"{text} A larger σ, with a network trained for it, may reach further."
    return f"{text} The largest σ is not the one that reaches furthest: a larger one is no help."


# ---------------------------------------------------------------------------------------------
# The command to run


def next_command(
    advice: Recommendation,
    settings: RunSettings,
    seed: int,
    *,
    data: str | None = None,
    checkpoint: Path | None = None,
) -> str:
    """Write the command that certifies with the recommended sigma and n.

    Parameters
    ----------
    advice : Recommendation
        With a recommended sigma.
    settings : RunSettings
        Of its pilot.
    seed : int
        A seed that differs from those of the pilots. The same seed would repeat their draws, which
        chose sigma and n, so the certificates would not be valid.
    data, checkpoint : str or Path, optional
        The values of ``--data`` and ``--checkpoint``, which settings do not record.

    Returns
    -------
    str
        One line for a POSIX shell.
    """
    assert advice.n is not None
    wanted = replace(
        settings,
        n=advice.n,
        seed=seed,
        alpha=advice.alpha,
        radii=(advice.radius,),
        thresholds=(advice.threshold,),
        methods=(Method("cdf", advice.band),),
        skip=1,
        max_inputs=None,
        indices=None,
    )
    return command_of(wanted, data=data, checkpoint=checkpoint)
