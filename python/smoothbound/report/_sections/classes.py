"""Calibration of all classes under attack, from the counts of their scores."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from smoothbound._display.rounding import exact
from smoothbound._utils.spread import evenly_spread
from smoothbound.analysis import calibration
from smoothbound.analysis.calibration import Calibration
from smoothbound.analysis.evaluation import Evaluation
from smoothbound.classes._certify import ClassCertificate
from smoothbound.figures._calibration import certified_calibration
from smoothbound.report._drawing import Figure, draw

__all__ = ["calibration_of_classes"]

_MOST_SCORES = 2**17  # inputs times classes to certify; more take minutes
_NAMED = 3  # classes that the caption names


def calibration_of_classes(evaluation: Evaluation) -> Figure | str:
    """Draw bounds on the classwise calibration of an evaluation whose run counted its classes.

    A str is the reason why the figure is missing. See docs/classes.md.
    """
    what, evaluation = "calibration of each class", evaluation.sample
    kept = evaluation.with_scores
    if evaluation.classes is None or evaluation.alpha is None or not len(kept):
        return f"{what} (certify --classes all)"
    n_classes = evaluation.classes(kept[:1]).n_classes
    index = kept[evenly_spread(len(kept), max(1, _MOST_SCORES // n_classes))]
    try:
        # Each input gets a share of alpha, at which its bounds on all classes hold together.
        certified = evaluation.classes(index).certify(
            radii=evaluation.radii, alpha=evaluation.alpha / len(index)
        )
    except ValueError as error:  # too few draws for so small a share
        return f"{what} ({error})"
    rows = np.argsort(evaluation.index)[np.searchsorted(np.sort(evaluation.index), index)]
    columns = certified.columns(evaluation.label[rows])
    each = calibration.each_class(certified.lower, certified.upper, columns)
    mean = calibration.mean_of_classes(each)
    shown = {
        "classwise Brier score": (mean.brier_lower, mean.brier_upper),
        "classwise calibration error": (mean.ece_lower, mean.ece_upper),
    }
    return draw(
        f"{evaluation.name}_classes",
        evaluation.title,
        _caption(evaluation, certified, each, len(kept)),
        [
            partial(
                certified_calibration, radii=evaluation.radii, lower=low, upper=high, error=error
            )
            for error, (low, high) in shown.items()
        ],
        alike=False,
        table="classwise_calibration",
        rows=[*_rows(evaluation, certified, each)],
    )


def _caption(
    evaluation: Evaluation, certified: ClassCertificate, each: Calibration, n_kept: int
) -> str:
    of, n = certified.settings, len(certified)
    which = "" if n == n_kept else f" of {n_kept}, spread evenly"
    classes = "all" if of.is_complete else f"{len(of.classes)} of the {of.n_model_classes}"
    order = np.argsort(-each.ece_upper[:, 0], kind="stable")[:_NAMED]
    worst = ", ".join(f"{of.classes[k]} ({each.ece_upper[k, 0]:.3f})" for k in order)
    return (
        f"Calibration of {classes} classes under attack, class by class (Kull et al. 2019): the "
        "ranges in which the sum of the Brier scores and the mean of the calibration errors (ten "
        f"bins) stay if each of {n} inputs{which} is changed by up to R. They follow from bounds "
        f"on the score of every class (ell, each at level {exact(of.alpha_each)}), all of which "
        f"hold at once with probability at least 1 − {exact(evaluation.alpha or 0.0)}. At R = "
        f"{exact(evaluation.radii[0])} the largest bounds on a calibration error are those of the "
        f"classes {worst}; classwise_calibration.csv has all."
    )


def _rows(
    evaluation: Evaluation, certified: ClassCertificate, each: Calibration
) -> Iterator[dict[str, object]]:
    for k, name in enumerate(certified.settings.classes):
        for r, radius in enumerate(evaluation.radii.tolist()):
            yield {
                "name": evaluation.name,
                "class": name,
                "radius": radius,
                "inputs": len(certified),
                **{field: float(values[k, r]) for field, values in vars(each).items()},
            }
