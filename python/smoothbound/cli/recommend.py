"""`smoothbound recommend`: which sigma and n to certify with, from short runs."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from smoothbound.cli.options import Alpha, Band
from smoothbound.printable import printable
from smoothbound.printing import say, say_table
from smoothbound.rounding import exact, floored

if TYPE_CHECKING:
    from smoothbound.pilots import Pilot
    from smoothbound.recommend import Recommendation
    from smoothbound.run_settings import RunSettings

__all__ = ["recommend"]


def recommend(
    pilots: Annotated[
        list[Path],
        typer.Argument(
            metavar="PILOTS...",
            help="Results folders of short runs of certify, one for each sigma, of the same images "
            "and measure: 50 inputs with --n 1000 tell much.",
            show_default=False,
        ),
    ],
    threshold: Annotated[
        float,
        typer.Option(help="Threshold that the confidence is to stay above.", show_default=False),
    ],
    radius: Annotated[
        float,
        typer.Option(
            help="Radius within which it is to, in the units of the input.", show_default=False
        ),
    ],
    band: Band = "ell",
    alpha: Alpha = 1e-3,
    max_n: Annotated[
        int, typer.Option("--max-n", help="The most draws of an input to consider.")
    ] = 100_000,
    share: Annotated[
        float,
        typer.Option(
            help="Recommend the fewest draws that certify so much of what --max-n draws would."
        ),
    ] = 0.95,
) -> None:
    """Recommend the sigma and the number of draws for a threshold and a radius.

    The draws of the pilots, counted, stand for those of a longer run: for each sigma and n it is
    forecast which inputs would be certified. A forecast is no certificate; the command to run is
    printed. It has another seed than the pilots, because draws that chose sigma and n cannot
    certify at alpha as well. "No sigma of these" is an answer too, with what would help, and exit
    status 0.
    """
    from smoothbound import recommend as plan
    from smoothbound import store
    from smoothbound.pilots import of_results

    runs = {str(folder): store.load(folder) for folder in pilots}
    advice = plan.recommend(
        [of_results(results, name) for name, results in runs.items()],
        threshold=threshold,
        radius=radius,
        band=band,
        alpha=alpha,
        max_n=max_n,
        share=share,
    )
    say(
        f"Forecast of certified accuracy, % of {advice.total} inputs: correct, and "
        f"{advice.pilots[0].sketch.measure} above {exact(advice.threshold)} within R = "
        f"{exact(advice.radius)}"
    )
    say_table(_table(advice))
    for paragraph in _said(advice):
        say(paragraph)
    if advice.pilot is not None:
        seed = 1 + max(results.settings.seed for results in runs.values())
        say(
            "\nTo run next, with another seed, because draws that chose σ and n cannot certify too:"
        )
        say("  " + next_command(advice, runs[advice.pilot.name].settings, seed))


# ---------------------------------------------------------------------------------------------
# What is said


def _table(advice: Recommendation) -> Table:
    """One row for each number of draws from the first that certifies, one column a pilot."""
    from smoothbound.evaluation import percent

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
    """Call a pilot by its sigma, and by its name too where another has the same."""
    alone = sum(one.sigma == pilot.sigma for one in advice.pilots) == 1
    return f"σ = {exact(pilot.sigma)}" if alone else f"{pilot.name}, σ = {exact(pilot.sigma)}"


def _said(advice: Recommendation) -> Iterator[str]:
    if advice.pilot is None:
        yield from _none(advice)
    else:
        yield _recommended(advice)
        yield _cost(advice)
        yield from _rival(advice)
        yield from _rule(advice)
    m = min(pilot.m for pilot in advice.pilots)
    yield (
        f"A forecast, not a certificate: the {m} draws of each pilot input stand for all others, "
        "and beyond as many the forecast is on average too high rather than too low."
    )


def _recommended(advice: Recommendation) -> str:
    from smoothbound.evaluation import percent

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
    """Say what an input and a thousand of them cost, in draws and by the pilot's clock."""
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


def _rival(advice: Recommendation) -> Iterator[str]:
    from smoothbound.evaluation import percent

    rival = advice.rival
    if rival is None:
        return
    share = percent(advice.counts[rival.place, -1], advice.total)
    verdict = "" if rival.told_apart else ", too few to tell the two apart: take more inputs"
    yield (
        f"Next comes {_label(advice, advice.pilots[rival.place])}, with {share} % at "
        f"n = {advice.draws[-1]}: {rival.lost} inputs only the first certifies, {rival.won} only "
        f"the second{verdict}."
    )


def _rule(advice: Recommendation) -> Iterator[str]:
    """Say which sigma is best at half and at twice the radius too."""
    if len({pilot.sigma for pilot in advice.pilots}) < 2 or not advice.rule:
        return
    best = ", ".join(
        f"{'none' if sigma is None else f'σ = {exact(sigma)}'} at R = {exact(radius)}"
        for radius, sigma in advice.rule
    )
    yield f"σ should grow with the radius. By the same forecast the best is {best}."


def _none(advice: Recommendation) -> Iterator[str]:
    """Say that no pilot certifies anything, and what the data say would help."""
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
    """Say, by the reach of the pilots, what to ask for or to try instead."""
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


def next_command(advice: Recommendation, settings: RunSettings, seed: int) -> str:
    """Write the command that certifies with the recommended sigma and n.

    Parameters
    ----------
    advice : Recommendation
        With a recommended sigma.
    settings : RunSettings
        Of its pilot. They hold no folders: these are left for the user to put in.
    seed : int
        Another seed than those of the pilots. With the same one the pilots' draws would be used
        again, which decided what is asked, and the certificates would not be valid.

    Returns
    -------
    str
        One line for a POSIX shell.
    """
    a, b = settings.score_range
    words = ["smoothbound", "certify", *_network(settings), "--data", _data(settings.data)]
    words += ["--sigma", repr(settings.sigma), "--n", str(advice.n)]
    words += ["--radii", repr(advice.radius), f"--thresholds={advice.threshold!r}"]
    words += ["--bound", "cdf", "--band", advice.band, "--seed", str(seed)]
    cutoff = -math.inf if settings.cutoff is None else settings.cutoff
    optional: dict[str, tuple[object, object]] = {
        "--alpha": (advice.alpha, 1e-3),
        "--n0": (settings.n0, 100),
        "--measure": (settings.measure, "score"),
        "--split": (settings.split, "test"),
        "--cutoff": (cutoff, (a + b) / 2),
        "--precision": (settings.precision, "float32"),
        "--compile": (settings.compile, None),
    }
    words += [f"{name}={value}" for name, (value, usual) in optional.items() if value != usual]
    if settings.noise.get("kind") == "gaussian":
        words += ["--noise=gaussian"]
    if settings.channels_last:
        words += ["--channels-last"]
    return shlex.join([*words, "--out", f"results/{settings.sigma!r}"])


def _network(settings: RunSettings) -> list[str]:
    if settings.checkpoint == settings.arch:  # a factory alone
        return ["--model", settings.arch]
    return ["--checkpoint", f"DIR/{settings.checkpoint}", "--arch", settings.arch]


def _data(name: str) -> str:
    """Return what --data takes, with DIR where a folder is not recorded.

    Examples
    --------
    >>> [_data(name) for name in ("digits", "cifar10", "npz:photos.npz", "images:photos")]
    ['digits', 'cifar10:DIR', 'npz:DIR/photos.npz', 'images:DIR/photos']
    """
    kind, _, file = name.partition(":")
    if kind == "digits":
        return kind
    return f"{kind}:DIR/{file}" if file else f"{kind}:DIR"
