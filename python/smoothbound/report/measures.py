"""The average score against the margin, of the same inputs."""

from __future__ import annotations

from functools import partial

from smoothbound import figures
from smoothbound.evaluation import Evaluation
from smoothbound.report.choosing import FRACTIONS, threshold_at
from smoothbound.report.drawing import draw
from smoothbound.report.parts import Part
from smoothbound.report.tables import percent_table

__all__ = ["score_and_margin"]


def score_and_margin(score: Evaluation, margin: Evaluation, number: int) -> Part:
    """Show which is more concentrated, and which certifies more."""
    title = f"Score and margin: {score.name}, {margin.name}"
    drawn = []
    if score.sketch is not None and margin.sketch is not None:
        drawn.append(
            draw(
                f"spread_{number}",
                title,
                "How concentrated each measure is: the standard deviation of each input's margins "
                "against that of its scores, as shares of their ranges, 2 and 1. Below the "
                "diagonal the margin is the more concentrated.",
                [partial(figures.score_vs_margin_spread, score=score, margin=margin)],
            )
        )
    drawn.append(
        draw(
            f"score_and_margin_{number}",
            title,
            "Which certifies more: certified accuracy by each, at thresholds at the same place in "
            "their ranges. A score above c implies a margin above 2c − 1 of the same draw; score > "
            "0.5 and margin > 0 both say that the class stays as predicted.",
            [
                partial(
                    figures.score_and_margin_by_radius,
                    score=score,
                    margin=margin,
                    fraction=fraction,
                )
                for fraction in FRACTIONS
            ],
        )
    )
    notes = (
        f"The {len(score.index)} inputs that both have, each by its last method: "
        f"{score.bounds[-1].method.label}, {margin.bounds[-1].method.label}.",
    )
    return Part(title, notes, drawn, _table(score, margin), len(score.index))


def _table(score: Evaluation, margin: Evaluation) -> list[list[str]]:
    """One row per radius of the score, one column per threshold and measure, in percent."""
    columns = [
        (f"{one.measure} > {c:g}", one.counts_at(one.bounds[-1], c, score.radii))
        for fraction in FRACTIONS
        for one in (score, margin)
        for c in [threshold_at(one, fraction)]
    ]
    return percent_table(score.radii, columns, len(score.index))
