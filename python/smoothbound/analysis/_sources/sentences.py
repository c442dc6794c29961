"""Sentences about results, for reports and for the command line."""

from __future__ import annotations

import numpy as np

from smoothbound._display.interval import product
from smoothbound._display.rounding import ceil_significant, exact, percent
from smoothbound.analysis.evaluation import Evaluation
from smoothbound.noise._kinds import Kind
from smoothbound.store._results import Results, as_array
from smoothbound.store._stored import StoredResults, of_memory

__all__ = [
    "describe_draws",
    "describe_false",
    "describe_family",
    "describe_unreachable",
    "noise_caveat",
]


def describe_draws(results: Results | StoredResults) -> str:
    """Return a text about how many adaptive draws were made, and how many this saved.

    Draws of inputs that failed are not counted.
    """
    n, count = results.settings.n, len(results)
    total = results.totals.n_draws
    selection = results.totals.n_selection / count
    saved = f"{percent(n * count - total, n * count)} % saved"
    ended = results.stopped_by_budget
    stopped = f"; the budget ended {ended} of {count} inputs" if ended else ""
    return (
        f"on average {total / count:.0f} of at most {n} per input ({saved}{stopped}), and "
        f"{selection:.0f} that selected its class"
    )


def describe_unreachable(results: Results | StoredResults) -> tuple[str, ...]:
    """Return the counts of inputs with each radius certified out of reach; may be empty."""
    settings = results.settings
    if not settings.both_answers:
        return ()
    name = f"unreachable_{settings.methods[-1].name}"
    stored = of_memory(results) if isinstance(results, Results) else results
    radii = np.asarray(settings.radii)
    counts = np.zeros((len(settings.thresholds), len(radii)), np.int64)
    for part in stored.batches([name]):
        counts += (as_array(part[name])[:, :, None] <= radii).sum(axis=0)
    return tuple(
        f"Certified no at c = {exact(c)}: by this theorem no number of draws certifies "
        + ", ".join(
            f"R = {exact(radius)} for {count} of {len(results)} inputs"
            for radius, count in zip(radii.tolist(), row.tolist(), strict=True)
        )
        + "."
        for c, row in zip(settings.thresholds, counts, strict=True)
    )


def describe_family(results: Results | StoredResults, *, of: str = "α") -> str:
    """Return the run that the questions follow, and the level of both; empty if they follow none.

    Parameters
    ----------
    results : Results or StoredResults
    of : str
        The name of alpha.
    """
    settings = results.settings
    follows = None if settings.adaptive is None else settings.adaptive.follows
    if follows is None:
        return ""
    least, most = results.totals.first_draws
    levels = " + ".join(map(exact, (*follows.alphas, settings.alpha)))
    which = follows.name or "earlier draws"
    return (
        f"These questions were added after {which} (its settings have the fingerprint "
        f"{follows.fingerprint[:8]}); they are a family of their own at {of} = "
        f"{exact(settings.alpha)}, only on later draws (the first has a number from "
        f"{least} to {most}). For an input, one certificate of each family hold "
        f"together with probability at least 1 - ({levels})."
    )


def describe_false(evaluation: Evaluation, *, of: str = "α") -> str:
    """Return how many inputs may be expected to have a false certificate; empty without alpha.

    Each input has a false certificate with probability at most alpha, so the expected number is at
    most the product of both. Methods whose bounds hold at all radii and thresholds at once have one
    certificate for each input. Other methods have one for each radius and threshold.

    Parameters
    ----------
    evaluation : Evaluation
    of : str
        The name of alpha.
    """
    alpha, total = evaluation.alpha, evaluation.n_inputs
    if alpha is None:
        return ""
    together = [one.method.label for one in evaluation.bounds if one.method.holds_at_all_radii]
    single = [one.method.label for one in evaluation.bounds if not one.method.holds_at_all_radii]
    scopes = [
        f"for {_listed(labels)} at {where}"
        for labels, where in (
            (together, "all radii and thresholds together"),
            (single, "each radius and threshold"),
        )
        if labels
    ]
    return (
        f"For each method, at most {total} × {of} = {product(total, alpha)} of the {total} inputs "
        f"are expected to have a false certificate: {'; '.join(scopes)}. These are among the "
        "certified inputs."
    )


def _listed(words: list[str]) -> str:
    """Join words by commas, and the last one by "and"."""
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def noise_caveat(kind: Kind | None, displacement: float) -> tuple[str, ...]:
    """Return the limits of floating-point noise, and how far inputs were moved to a lattice."""
    if kind == "gaussian":
        return (
            "**Floating-point noise**: its samples are not exactly Gaussian. A network could "
            "distinguish them from exact ones, so these certificates are not a proof. "
            "Certify with lattice noise for a proof (docs/noise.md).",
        )
    if not displacement:
        return ()
    return (
        f"Inputs were moved to the nearest point of a lattice, by at most d = "
        f"{ceil_significant(displacement)}; every stated radius is 2d smaller than the one "
        "certified there.",
    )
