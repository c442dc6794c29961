"""The output of `smoothbound recommend --adaptive`: a table, and the command to run next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from smoothbound._display.console import say, say_table
from smoothbound._display.printable import printable
from smoothbound._display.progress import progress
from smoothbound._display.rounding import ceil_significant, exact, floor_significant
from smoothbound.cli._commands.of_results._next_run import (
    checkpoint_near,
    command_of,
    say_command,
    seed_after,
)
from smoothbound.cli._options import numbers

if TYPE_CHECKING:
    from smoothbound.recommend._adaptive import AdaptiveForecast, AdaptiveRecommendation
    from smoothbound.recommend._statistics import Estimate
    from smoothbound.store._results import Results
    from smoothbound.store._settings import RunSettings

__all__ = ["answer", "settings_for"]


def answer(
    runs: Mapping[str, Results],
    *,
    radii: str,
    thresholds: str | None,
    max_draws: int,
    alpha: float,
    data: str | None,
    checkpoint: Path | None,
) -> None:
    """Print the forecast of adaptive runs, and the command to run next.

    Parameters
    ----------
    runs : mapping of str to Results
        The pilots by the names of their folders.
    radii, thresholds : str
        The options as they were typed; by default the threshold is the middle of the range.
    max_draws, alpha, data, checkpoint
        The options as they were typed.
    """
    from smoothbound.recommend._adaptive import recommend_adaptive
    from smoothbound.recommend._pilots import of_results

    pilots = [of_results(results, name) for name, results in runs.items()]
    middle = sum(pilots[0].sketch.score_range) / 2
    advice = recommend_adaptive(
        pilots,
        thresholds=[middle] if thresholds is None else numbers("--thresholds", thresholds),
        radii=numbers("--radii", radii),
        max_draws=max_draws,
        alpha=alpha,
        progress=progress,
    )
    say(
        f"Forecast of adaptive runs with at most n = {advice.max_draws} draws, from {advice.total} "
        "inputs, with 95 % intervals. An input is certified if its class is correct and its "
        f"{pilots[0].sketch.measure} above c within R. Draws that select the class are included."
    )
    say_table(_table(advice))
    for paragraph in _said(advice):
        say(paragraph)
    if advice.pilot is not None:
        settings, pilot = runs[advice.pilot.name].settings, Path(advice.pilot.name)
        wanted = settings_for(advice, settings, seed_after(runs))
        file = checkpoint or checkpoint_near(settings, pilot)
        say_command(command_of(wanted, data=data, checkpoint=file), "σ")


def settings_for(advice: AdaptiveRecommendation, settings: RunSettings, seed: int) -> RunSettings:
    """Return the settings of a run that asks the questions with the recommended sigma.

    Parameters
    ----------
    advice : AdaptiveRecommendation
        With a recommended sigma.
    settings : RunSettings
        Of its pilot.
    seed : int
        A seed that differs from those of the pilots, whose draws chose sigma.
    """
    from smoothbound.bounds._method import Method
    from smoothbound.smoothing._one_input.questions import AdaptiveDraws

    return replace(
        settings,
        n=advice.max_draws,
        seed=seed,
        alpha=advice.alpha,
        radii=tuple(sorted({question.radius for question in advice.questions})),
        thresholds=tuple(sorted({question.threshold for question in advice.questions})),
        methods=(Method("anytime"),),
        adaptive=AdaptiveDraws().record(),
        skip=1,
        max_inputs=None,
        indices=None,
    )


def _table(advice: AdaptiveRecommendation) -> Table:
    """Return a table with a row for each question and pilot, and for all questions in one run."""
    table = Table(box=box.SIMPLE)
    table.add_column("c, R")
    table.add_column("σ", justify="right")
    for name in ("% certified", "mean draws", "median", "s an input"):
        table.add_column(name, justify="right")
        table.add_column("95 %")
    rows = [*zip(*advice.singly, strict=True)]
    if len(advice.questions) > 1:
        rows.append(advice.together)
    for forecasts in rows:
        asked = _asked(forecasts[0])
        for k, forecast in enumerate(forecasts):
            table.add_row(asked if k == 0 else "", *_cells(advice, forecast))
    return table


def _asked(forecast: AdaptiveForecast) -> str:
    if len(forecast.questions) > 1:
        return f"all {len(forecast.questions)}"
    (question,) = forecast.questions
    return f"{exact(question.threshold)}, {exact(question.radius)}"


def _cells(advice: AdaptiveRecommendation, forecast: AdaptiveForecast) -> Iterator[Text]:
    yield Text(printable(_label(advice, forecast)))
    certified = forecast.certified.times(100.0)
    for estimate in (certified, forecast.mean, forecast.median, forecast.seconds):
        value, low, high = ("unknown", "", "") if estimate is None else _digits(estimate)
        yield Text(value)
        yield Text(f"{low}–{high}" if low else "")


def _label(advice: AdaptiveRecommendation, forecast: AdaptiveForecast) -> str:
    """Return the sigma of a pilot, with its name if another pilot has the same sigma."""
    sigma = forecast.pilot.sigma
    alone = sum(one.sigma == sigma for one in advice.pilots) == 1
    return exact(sigma) if alone else f"{exact(sigma)} ({forecast.pilot.name})"


def _digits(estimate: Estimate) -> tuple[str, str, str]:
    """Return an estimate and its interval, rounded outward, all in three digits."""
    value, low, high = estimate
    near = exact(float(f"{value:.2e}"))
    return near, floor_significant(low, 3), ceil_significant(high, 3)


def _range(estimate: Estimate) -> str:
    value, low, high = _digits(estimate)
    return f"{value} ({low} to {high})"


def _said(advice: AdaptiveRecommendation) -> Iterator[str]:
    if advice.place is None:
        yield from _none(advice)
    else:
        forecast = advice.together[advice.place]
        mean = _range(forecast.mean.times(1000.0))
        text = (
            f"σ = {_label(advice, forecast)} certifies most. A run that answers "
            f"{'all questions' if len(advice.questions) > 1 else 'the question'} takes {mean} "
            "draws for every thousand inputs"
        )
        seconds = forecast.seconds
        if seconds is not None:
            minutes = _range(seconds.times(1000.0 / 60.0))
            text = f"{text}; at the speed of the pilot, {minutes} minutes"
        yield f"{text}."
    n_draws = min(pilot.n_draws for pilot in advice.pilots)
    yield (
        f"A forecast, not a certificate: the {n_draws} draws of each pilot input stand for all "
        "others, and its inputs for all images. More inputs make the intervals narrower."
    )


def _none(advice: AdaptiveRecommendation) -> Iterator[str]:
    """Yield that no pilot certifies anything, and what would help."""
    yield (
        "None of these: no input is forecast to be certified with at most "
        f"{advice.max_draws} draws."
    )
    yield (
        "What would help: a lower threshold, a smaller radius, or a larger σ with a network "
        "trained for it. recommend without --adaptive says how far these pilots reach."
    )
