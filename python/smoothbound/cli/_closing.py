"""Notes about finished runs that look wrong, such as a run that certified nothing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from smoothbound._display.rounding import exact
from smoothbound.analysis._statistics.rows import Ints
from smoothbound.store._results import Results

__all__ = ["concerns"]

_FEW = 10  # with fewer inputs, shares mean little
_CHANCE = 0.05  # level of the test of whether more predictions are right than by chance


def concerns(results: Results, *, normalised: bool = False) -> Iterator[str]:
    """Yield notes about numbers that look wrong, with the likely causes.

    Parameters
    ----------
    results : Results
    normalised : bool
        Whether the outputs for the first image lie in [0, 1] and sum to 1. If they do not, the
        network does not return probabilities.
    """
    settings = results.settings
    failed = results.array("status") == "failed"
    if failed.any():
        first = int(np.argmax(failed))
        which = "every input" if failed.all() else f"{failed.sum()} of {len(failed)} inputs"
        index, reason = (results.array(name)[first] for name in ("index", "reason"))
        yield f"{which} failed; input {index} {reason}"
    selected, label = results.array("selected"), results.array("label")
    drawn = (selected >= 0) & ~failed
    if not drawn.any():
        return
    stopped = results.array("status") == "budget"
    kept = drawn & ((results.array("predicted") >= 0) | stopped)
    if not kept.any():
        causes = [
            f"the network is not trained for noise of sigma {exact(settings.sigma)} in the units "
            "of its input",
            "the images are not in the range that it was trained on",
            f"{settings.n} draws are too few",
        ]
        if settings.outputs == "logits" and normalised:
            causes.append("it returns probabilities, but --outputs is logits")
        if settings.cutoff is not None:
            causes.append(f"the cut-off {exact(settings.cutoff)} is too high")
        yield f"the classifier abstained on every input. Likely causes: {'; '.join(causes)}"
    yield from _classes(selected[drawn], label[drawn])


def _classes(selected: Ints, label: Ints) -> Iterator[str]:
    """Yield a note if few of the selected classes agree with the labels."""
    right, total = int((selected == label).sum()), len(label)
    n_classes = int(max(selected.max(), label.max())) + 1
    if total < _FEW or n_classes < 2:
        return
    if len(np.unique(selected)) == 1:
        yield (
            f"the network predicts class {selected[0]} for every input: it may be untrained, or "
            "not trained for these images or this noise"
        )
    elif _by_chance(right, total, n_classes):
        yield (
            f"the class is right for {right} of {total} inputs, no more than by chance among "
            f"{n_classes} classes. Likely causes: labels in another order than the outputs of "
            "the network, images with another order of channels or another range, a network "
            "that is not trained for these images or this noise"
        )


def _by_chance(right: int, total: int, n_classes: int) -> bool:
    """Return whether the share of right predictions is explained by chance."""
    from scipy.stats import binomtest

    return bool(binomtest(right, total, 1 / n_classes, "greater").pvalue > _CHANCE)
