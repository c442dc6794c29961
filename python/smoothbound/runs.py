"""Certify a data set into a results folder."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from torch import Tensor, nn

from smoothbound import checks
from smoothbound.class_radius import class_radius
from smoothbound.data import Dataset
from smoothbound.engine import certify_scores
from smoothbound.errors import ModelError
from smoothbound.method import Method
from smoothbound.noise import Noise, check_example
from smoothbound.progress import progress
from smoothbound.smoothed import SmoothedClassifier, judge
from smoothbound.store import Results, RunSettings, Writer, load

__all__ = ["run"]


def run(
    folder: str | Path,
    settings: RunSettings,
    smoothed: SmoothedClassifier,
    dataset: Dataset,
    *,
    resume: bool = False,
) -> Results:
    """Certify the inputs that `settings` select, each by all methods from the same draws.

    Progress is shown on the standard error stream. Every finished input is on the disk, so the
    run can be killed at any moment.

    Parameters
    ----------
    folder : str or Path
        Results folder to write.
    settings : RunSettings
        What to certify and how; the folder keeps them.
    smoothed : SmoothedClassifier
        A module, smoothed as the settings say.
    dataset : Dataset
        The data that the settings name.
    resume : bool
        Go on with a run that was stopped.

    Returns
    -------
    Results
        The finished run.

    Raises
    ------
    ValueError
        If the settings can certify nothing, such as with too few draws; before any draw.
    StoreError
        If the folder cannot be written or continued; what is finished is kept.
    ModelError, DataError
        If an input cannot be read or drawn; what is finished is kept.
    """
    indices = dataset.select(settings.skip, settings.max_inputs).tolist()
    checks.count("n0", settings.n0)
    checks.count("n", settings.n)
    Noise("gaussian", settings.sigma, seed=settings.seed)
    check_example(indices[-1])
    for method in settings.methods:
        smoothed.rehearse(settings.n, _options(settings, method))
    with (
        Writer(folder, settings, resume=resume) as writer,
        progress(
            "inputs certified",
            len(indices),
            done=len(writer.done),
            steps=settings.n0 + settings.n,
        ) as advance,
        # Draws are counted as batches leave the model, without waiting for the device.
        _module(smoothed).register_forward_hook(lambda _, args, __: advance(len(args[0]))),
    ):
        try:
            for index in indices:
                if index not in writer.done:
                    image, label = dataset[index]
                    writer.append(_certify(settings, smoothed, index, image, label))
        except KeyboardInterrupt:
            Console(stderr=True).print(
                f"stopped: {len(writer.done)} of {len(indices)} inputs are finished and kept in "
                f"{folder}; go on with --resume",
                soft_wrap=True,
                markup=False,
            )
            raise
        writer.finish()
    return load(folder)


def _module(smoothed: SmoothedClassifier) -> nn.Module:
    if not isinstance(smoothed.model, nn.Module):
        raise TypeError(f"the model must be a torch.nn.Module, got {type(smoothed.model).__name__}")
    return smoothed.model


def _options(settings: RunSettings, method: Method) -> dict[str, Any]:
    """Return the arguments of `certify_scores`, with R = 0 before the radii, to be judged by."""
    return {
        "sigma": settings.sigma,
        "alpha": settings.alpha,
        "score_range": settings.score_range,
        "radii": (0.0, *settings.radii),
        "thresholds": settings.thresholds,
        "bound": method.bound,
        "band": method.band or "dkw",
        "n_bins": method.n_bins,
        "mean": method.mean,
    }


def _certify(
    settings: RunSettings, smoothed: SmoothedClassifier, index: int, image: Tensor, label: int
) -> dict[str, object]:
    """Certify one input; return its row of the results."""
    start = time.perf_counter()
    try:
        draws = smoothed.draw(
            image, n0=settings.n0, n=settings.n, seed=settings.seed, example=index
        )
    except ModelError as error:
        raise ModelError(f"input {index} of {settings.data}: {error}") from error
    bounds = {
        method.name: _bounds(draws.scores, _options(settings, method))
        for method in settings.methods
    }
    lower, _ = bounds[settings.methods[-1].name]
    predicted, reason = judge(
        [draws.predicted], lower[:1], settings.cutoff, measure=settings.measure
    )
    vote = class_radius(draws.top_count, settings.n, sigma=settings.sigma, alpha=settings.alpha)
    return {
        "index": index,
        "label": label,
        "predicted": int(predicted[0]),
        "reason": reason[0],
        "class_radius": float(vote),
        "n_draws": settings.n,
        "top_count": draws.top_count,
        "mean_score": float(draws.scores.mean(dtype=np.float64)),
        "seconds": time.perf_counter() - start,
        **{f"lower_{name}": lower[1:].tolist() for name, (lower, _) in bounds.items()},
        **{f"radius_{name}": radius.tolist() for name, (_, radius) in bounds.items()},
    }


def _bounds(
    scores: NDArray[np.float32], options: dict[str, Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the certified confidences and the certified radii of one input."""
    certificate = certify_scores(scores[None], **options)
    assert certificate.lower is not None
    assert certificate.radius is not None
    return certificate.lower[0], certificate.radius[0]
