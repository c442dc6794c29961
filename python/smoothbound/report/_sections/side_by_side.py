"""Evaluations of the same inputs and measure, side by side, each by its last method."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from smoothbound._display.rounding import exact, floored
from smoothbound.analysis import comparison
from smoothbound.analysis.evaluation import Evaluation
from smoothbound.curves._named import GAUSSIAN
from smoothbound.figures._side_by_side import best_by_radius, compared_by_radius
from smoothbound.report._defaults import thresholds_of
from smoothbound.report._drawing import draw
from smoothbound.report._parts import Part
from smoothbound.report._sections.curves import SHADED
from smoothbound.report._tables import comparison_table

__all__ = ["side_by_side"]


def side_by_side(group: Sequence[Evaluation], asked: Sequence[float], number: int) -> Part:
    """Return the part that compares evaluations of the same inputs, each by its last method."""
    first = group[0]
    thresholds = thresholds_of(first, asked)
    title = f"Side by side: {first.measure}"
    accuracy = (
        f"Certified accuracy of {first.n_inputs} inputs against the radius. Markers show the "
        f"computed values; between two radii, the value of the larger one is drawn. {SHADED} All "
        "results share the inputs, so their differences are more certain than the intervals "
        "suggest."
    )
    gaussian = all(one.curve == GAUSSIAN for one in group)
    choose = (
        "σ by pilots with another seed (smoothbound recommend)" if gaussian else "by other draws"
    )
    best = (
        "The largest certified accuracy at each radius; of equal ones, that of the first results. "
        + " ".join(_best(group, c) for c in thresholds)
        + f" The best was chosen after a look at the results: a certificate of the best of "
        f"{len(group)} runs can fail with probability up to {len(group)} α instead of α. For "
        f"certificates at α, choose {choose} and certify only with that choice."
    )
    figures = [
        draw(
            f"side_by_side_{number}",
            title,
            accuracy,
            [partial(compared_by_radius, evaluations=group, threshold=c) for c in thresholds],
        ),
        draw(
            f"best_by_radius_{number}",
            title,
            best,
            [partial(best_by_radius, evaluations=group, threshold=c) for c in thresholds],
            table="best_by_radius",
            rows=[row for c in thresholds for row in _best_rows(group, c)],
        ),
    ]
    notes = (
        f"The {first.n_inputs} inputs of all results, each with the last of its methods: "
        + ", ".join(f"{one.name} ({one.bounds[-1].method.label})" for one in group)
        + ".",
        *_rule(group, thresholds),
    )
    return Part(title, notes, figures, comparison_table(group, thresholds), first.n_inputs)


def _best(group: Sequence[Evaluation], threshold: float) -> str:
    """Return a text about the radii up to which each evaluation certifies most."""
    reach = comparison.best_by_radius(group, threshold)
    stretches = [
        f"{group[place].name} up to R = {exact(floored(float(reach.radius[steps][-1])))}"
        for place, steps in reach.runs()
    ]
    return f"Best at c = {exact(threshold)}: {', then '.join(stretches) or 'none'}."


def _best_rows(group: Sequence[Evaluation], threshold: float) -> Iterator[dict[str, object]]:
    """Yield the best evaluation up to each radius at which a certified accuracy changes."""
    reach = comparison.best_by_radius(group, threshold)
    for radius, counts, place in zip(reach.radius, reach.counts.T, reach.best, strict=True):
        if place >= 0:
            yield {
                "measure": group[place].measure,
                "threshold": threshold,
                "radius": float(radius),
                "best": group[place].name,
                "sigma": group[place].sigma,
                "certified": int(counts[place]),
                "inputs": group[place].n_inputs,
            }


def _rule(group: Sequence[Evaluation], thresholds: Sequence[float]) -> Iterator[str]:
    """Return a text about whether the best sigma grows with the radius, if sigma is known."""
    if len({one.sigma for one in group} - {None}) < 2 or any(one.sigma is None for one in group):
        return
    if len({one.curve for one in group}) > 1:  # the sigma of different noises is not comparable
        return
    best = [
        [group[place].sigma or 0.0 for place, _ in comparison.best_by_radius(group, c).runs()]
        for c in thresholds
    ]
    if all(len(set(sigmas)) < 2 for sigmas in best):
        found = "; here one σ is the best at all radii at which anything is certified."
    elif all(sigmas == sorted(sigmas) for sigmas in best):
        found = ", as it does here."
    else:
        found = "; here the best σ does not always, so look at the figure of the best."
    yield (
        "A larger σ lowers the confidence at small radii and certifies larger radii, so σ "
        "should grow with the radius" + found
    )
