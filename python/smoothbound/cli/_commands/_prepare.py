"""Preparation of a run of `certify` from its options: data, network and settings."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from smoothbound.cli._network import Network, versions
from smoothbound.cli._run_options import DrawOptions, Inputs, Question

if TYPE_CHECKING:
    from smoothbound.sampling._model.outputs import OutputSummary
    from smoothbound.smoothing._run import PreparedRun

__all__ = ["prepare"]


def prepare(
    inputs: Inputs,
    draws: DrawOptions,
    question: Question,
    network: Network,
    recorded: Path | None,
    *,
    look: bool = True,
) -> tuple[PreparedRun, OutputSummary | None]:
    """Load data and network, and return the prepared run.

    Parameters
    ----------
    inputs, draws, question, network
        The options of the run.
    recorded : Path or None
        Results folder of a run whose automatic choices are kept.
    look : bool
        Whether to check the images, and to print a line about the data and one about the network.

    Returns
    -------
    PreparedRun
    OutputSummary or None
        Summary of the outputs of the network for one image; None if it failed or was not tried.
    """
    from smoothbound.smoothing._going_on import as_recorded
    from smoothbound.smoothing._run import PreparedRun
    from smoothbound.store._settings import RunSettings

    dataset, selected = inputs.load(look=look)
    model, info = network.load(dataset, inputs.data)
    smoothed = network.smoothed(model, question.sigma)
    if recorded is not None:
        smoothed = as_recorded(recorded, smoothed)
    noise = draws.noise_of(smoothed, dataset)
    seen = None
    if look:
        seen = network.introduce(smoothed, noise, dataset)
        network.compare(info, question.sigma, dataset.num_classes)
    radii, thresholds = question.grids(smoothed.measure.score_range)
    settings = RunSettings(
        sigma=question.sigma,
        alpha=question.alpha,
        n0=draws.n0,
        n=draws.n,
        seed=draws.seed,
        measure=smoothed.measure.name,
        score_range=smoothed.measure.score_range,
        cutoff=smoothed.cutoff,
        outputs=smoothed.outputs,
        methods=question.methods,
        radii=tuple(radii),
        thresholds=tuple(thresholds),
        data=dataset.name,
        split=dataset.split,
        skip=inputs.skip,
        max_inputs=inputs.max_inputs,
        indices=None if inputs.positions is None else tuple(inputs.positions),
        n_inputs=len(selected),
        arch=info.arch,
        checkpoint=info.arch if network.checkpoint is None else network.checkpoint.name,
        checkpoint_sha256=info.sha256,
        state_dict=network.state_dict,
        noise=noise.describe(math.prod(dataset.shape)),
        **vars(smoothed.sampler.describe(dataset[0][0])),
        versions=versions(),
        classes=draws.names,
    )
    return PreparedRun(settings, smoothed, dataset, question.rules()), seen
