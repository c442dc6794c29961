"""The part of a report that compares the average score and the margin of the same inputs."""

from __future__ import annotations

from functools import partial

import numpy as np

from smoothbound._display.rounding import exact
from smoothbound.analysis._statistics.accuracy import UNKNOWN
from smoothbound.analysis.concentration import spreads
from smoothbound.analysis.evaluation import Evaluation
from smoothbound.figures._measures import score_and_margin_by_radius, score_vs_margin_spread
from smoothbound.report._defaults import FRACTIONS
from smoothbound.report._drawing import draw
from smoothbound.report._parts import Part
from smoothbound.report._sections.curves import SHADED
from smoothbound.report._tables import percent_table

__all__ = ["measures_table", "score_and_margin"]


def score_and_margin(score: Evaluation, margin: Evaluation, number: int) -> Part:
    """Return the part about which of the two certifies more, and which is more concentrated."""
    title = f"Score and margin: {score.name}, {margin.name}"
    figures = [
        draw(
            f"score_and_margin_{number}",
            title,
            "Certified accuracy by each measure, at thresholds at the same position in "
            "their ranges. A score above c implies a margin above 2c − 1 of the same draw. Score > "
            "0.5 and margin > 0 both mean that the predicted class does not change. "
            f"{_count_wins(score, margin)} {SHADED}",
            [
                partial(
                    score_and_margin_by_radius,
                    score=score,
                    margin=margin,
                    fraction=fraction,
                )
                for fraction in FRACTIONS
            ],
        )
    ]
    spread = spreads(score, margin)
    if spread is not None:
        figures.append(
            draw(
                f"spread_{number}",
                title,
                "Concentration of each measure: the standard deviation of each input's margins "
                "against that of its scores, as shares of their ranges, 2 and 1. Below the "
                "diagonal the margin is more concentrated. "
                f"The {len(spread.index)} inputs are those whose scores both results kept.",
                [partial(score_vs_margin_spread, found=spread)],
                table="spread",
                rows=[
                    {
                        "score": score.name,
                        "margin": margin.name,
                        "index": int(index),
                        "score_spread": float(one),
                        "margin_spread": float(two),
                    }
                    for index, one, two in zip(
                        spread.index, spread.score, spread.margin, strict=True
                    )
                ],
            )
        )
    notes = (
        f"The {score.n_inputs} inputs of both results, each with the last of its methods: "
        f"{score.bounds[-1].method.label}, {margin.bounds[-1].method.label}.",
    )
    absent = [] if spread is not None else ["how concentrated each is (a log has no scores)"]
    return Part(title, notes, figures, measures_table(score, margin), score.n_inputs, absent)


def _count_wins(score: Evaluation, margin: Evaluation) -> str:
    """Return a sentence about how often each measure certifies more."""
    by_score, by_margin = (
        np.concatenate(
            [
                one.counts_at(one.bounds[-1], one.threshold_at(fraction), score.radii)
                for fraction in FRACTIONS
            ]
        )
        for one in (score, margin)
    )
    known = (by_score != UNKNOWN) & (by_margin != UNKNOWN)
    by_score, by_margin = by_score[known], by_margin[known]
    places = int(np.count_nonzero(by_score | by_margin))
    if not places:
        return "Neither certifies any input here."
    return (
        f"Of the {places} entries of the table at which either certifies an input, the "
        f"margin certifies more at {np.count_nonzero(by_margin > by_score)}, the score at "
        f"{np.count_nonzero(by_score > by_margin)}."
    )


def measures_table(score: Evaluation, margin: Evaluation) -> list[list[str]]:
    """Return certified accuracy in percent, at thresholds at the same position in their ranges.

    There is a row for each radius of the score and a column for each threshold and measure. The
    first row is the header.
    """
    columns = [
        (f"{one.measure} > {exact(c)}", one.counts_at(one.bounds[-1], c, score.radii))
        for fraction in FRACTIONS
        for one in (score, margin)
        for c in [one.threshold_at(fraction)]
    ]
    return percent_table(score.radii, columns, score.n_inputs)
