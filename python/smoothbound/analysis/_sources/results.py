"""Evaluations of results folders, with notes that say how they were made."""

from __future__ import annotations

import numpy as np

from smoothbound._display.printable import printable
from smoothbound._display.rounding import exact
from smoothbound._utils.checks import SUM_TOLERANCE
from smoothbound.analysis._sources.sentences import (
    describe_draws,
    describe_family,
    describe_unreachable,
    noise_caveat,
)
from smoothbound.analysis._sources.stored import MOST_IN_MEMORY, StoredEvaluation, in_memory
from smoothbound.analysis.evaluation import WITHOUT_DRAWS, Evaluation
from smoothbound.errors import StoreError
from smoothbound.store._commands import certify_command
from smoothbound.store._results import Results
from smoothbound.store._settings import RunSettings
from smoothbound.store._stored import StoredResults, of_memory

__all__ = ["evaluate"]

_SELECTED = {"score": "mean score", "votes": "votes"}


def evaluate(results: Results | StoredResults, name: str) -> Evaluation:
    """Make an evaluation of a results folder.

    Parameters
    ----------
    results : Results or StoredResults
        A finished or unfinished run. Stored results must stay open while the evaluation is used.
        Results of many inputs stay on the disk, and are read again for each statistic.
    name : str
        Its name in figures, tables and files.

    Returns
    -------
    Evaluation

    Raises
    ------
    StoreError
        If no input is finished yet.
    """
    settings = results.settings
    if not len(results):
        raise StoreError(f"{name} has no finished input yet")
    adaptive, shown = settings.adaptive, exact(settings.sigma)
    fields = {
        "name": name,
        "measure": settings.measure,
        "score_range": settings.score_range,
        "sigma": settings.sigma,
        "radii": np.unique(np.asarray(settings.radii)),
        "thresholds": np.asarray(settings.thresholds),
        "notes": tuple(map(printable, _notes(results))),
        "alpha": settings.alpha,
        "adaptive": adaptive is not None,
        "correct_only": adaptive is not None and adaptive.correct_only,
        "data": f"{settings.data}, {settings.split}",
        "network": f"{settings.arch}, {settings.checkpoint_sha256}, {settings.state_dict}",
        "title": printable(f"{settings.arch} on {settings.data}, {settings.measure}, σ = {shown}"),
        "origin": tuple(map(printable, _origin(settings))),
        "sum_error": SUM_TOLERANCE if settings.outputs == "probabilities" else Evaluation.sum_error,
    }
    stored = of_memory(results) if isinstance(results, Results) else results
    make = StoredEvaluation if len(results) > MOST_IN_MEMORY else in_memory
    return make(stored, fields, searched=adaptive is None or adaptive.finds_radii)


def _notes(results: Results | StoredResults) -> tuple[str, ...]:
    settings = results.settings
    n = settings.n
    draws, others = f"{n} draws", f"on {settings.n0} others, "
    if settings.adaptive is not None:
        draws, others = f"adaptive draws, {describe_draws(results)},", ""
    cutoff = settings.cutoff
    file = ", ".join(filter(None, (settings.checkpoint, settings.state_dict)))
    split = "" if settings.split == "all" else f", {settings.split} split"
    notes = [
        f"{settings.arch} ({file}) on {settings.data}{split}: "
        f"{settings.n_inputs} inputs{f', one in {settings.skip}' if settings.skip > 1 else ''}.",
        f"σ = {exact(settings.sigma)}, α = {exact(settings.alpha)}, {draws} to bound the "
        f"{settings.measure}; the class is selected {others}by its "
        f"{_SELECTED[settings.select]}; "
        f"{settings.noise.kind} noise, {settings.precision}.",
        *noise_caveat(settings.noise.kind, settings.displacement),
        "Never abstains."
        if cutoff is None
        else f"Abstains if the {settings.measure} certified at R = 0 is not above {exact(cutoff)}.",
    ]
    if settings.from_counts:
        notes.append(
            "Certified again from the counted scores: at most the width of a cell, 1/4096 of "
            "the range, below the certificates of the scores."
        )
    if settings.adaptive is not None:
        notes.append(
            f"Drawing stopped once the questions about c = "
            f"{', '.join(map(exact, settings.thresholds))} were answered or seemed out of reach: "
            f"shares at other thresholds are lower than {n} draws of each input would give, and "
            "there are more abstentions."
        )
        if settings.adaptive.correct_only:
            notes.append(
                f"**Certified accuracy only**: {WITHOUT_DRAWS}, so abstention, mean "
                "confidence and calibration are not known."
            )
    if unreachable := describe_unreachable(results):
        notes += unreachable
        notes.append(
            f"Each of the two answers to a question holds at α / 2 = {exact(settings.alpha / 2)}. "
            "A radius that is out of reach does not mean that the class changes within it."
        )
    if family := describe_family(results):
        notes.append(family)
    if results.failed:
        notes.append(
            f"**Failed inputs**: the model failed on {results.failed} of {len(results)}; "
            "they count as not certified."
        )
    if not results.complete:
        notes.append(
            f"**Unfinished run**: {len(results)} of {settings.n_inputs} inputs; every share "
            "is a share of these."
        )
    return tuple(notes)


def _origin(settings: RunSettings) -> tuple[str, ...]:
    """Return how to make the results again: the versions and the command."""
    count = settings.threads
    threads = "" if count is None else f", by {count} thread{'' if count == 1 else 's'}"
    versions = ", ".join(f"{name} {version}" for name, version in settings.versions.items())
    return (
        f"Made with {versions}, on {settings.device}, in batches of {settings.batch_size}"
        f"{threads}; seed {settings.seed}.",
        f"{certify_command(settings, 'results')}"
        f"{', and then smoothbound recertify results' if settings.from_counts else ''}.",
    )
