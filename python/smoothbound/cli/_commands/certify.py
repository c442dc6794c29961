"""`smoothbound certify`: a data set, a checkpoint, and a table of certificates."""

from __future__ import annotations

import math
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from smoothbound._display.console import say
from smoothbound._display.rounding import ceil_decimal
from smoothbound._utils import checks
from smoothbound.backends._names import BANDS, BOUNDS
from smoothbound.cli._options import (
    Alpha,
    Data,
    NBins,
    Radii,
    Sigma,
    Thresholds,
    default_radii,
    indices_of,
    introduce,
    look_at,
    methods,
    note,
    numbers,
)

if TYPE_CHECKING:
    from torch import Tensor

    from smoothbound.data._loading import Dataset
    from smoothbound.models.checkpoint import Info
    from smoothbound.noise._noise import Noise
    from smoothbound.sampling._sampler import Outlook
    from smoothbound.smoothing._classifier import SmoothedClassifier

__all__ = ["certify"]

_NETWORK, _INPUTS = "The network, and how it runs", "Which inputs"
_ADAPTIVE, _STOPPED = "Adaptive draws", "Runs that were stopped"
_BOUNDS = ["mean", "cdf"]  # those of the paper, unless others are asked for


def certify(
    data: Data,
    sigma: Sigma,
    out: Annotated[Path, typer.Option(help="Results folder to write.", show_default=False)],
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            help="Parameters of the network: a file made by train, one published with Cohen et al. "
            "2019, or a state_dict, from torch.save or .safetensors.",
            show_default=False,
            rich_help_panel=_NETWORK,
        ),
    ] = None,
    arch: Annotated[
        str | None,
        typer.Option(
            "--arch",
            "--model",
            help="Network, where the checkpoint does not name it: digits_cnn, cifar_resnet20, "
            "cifar_resnet110, resnet50, or your own package.module:factory, whose code is run.",
            show_default=False,
            rich_help_panel=_NETWORK,
        ),
    ] = None,
    state_dict: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Which parameters, where the checkpoint holds several: a key of the file, such as "
            "model_ema, or the beginning of names in its state_dict.",
            show_default=False,
            rich_help_panel=_NETWORK,
        ),
    ] = None,
    measure: Annotated[
        str,
        typer.Option(
            help="Confidence measure: 'score' of the predicted class, or its 'margin' over the "
            "best of the others."
        ),
    ] = "score",
    split: Annotated[
        str, typer.Option(help="Part of the data: train or test.", rich_help_panel=_INPUTS)
    ] = "test",
    skip: Annotated[
        int, typer.Option(help="Take one input in this many.", rich_help_panel=_INPUTS)
    ] = 1,
    max_inputs: Annotated[
        int | None,
        typer.Option(
            help="Take at most this many inputs.", show_default="all", rich_help_panel=_INPUTS
        ),
    ] = None,
    indices: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBERS|FILE",
            help="Take these inputs: positions from 0, separated by commas or blanks, or a text "
            "file of them.",
            show_default="all",
            rich_help_panel=_INPUTS,
        ),
    ] = None,
    n: Annotated[
        int,
        typer.Option(
            "--n", help="Draws that bound the confidence; with --adaptive, at most this many."
        ),
    ] = 100_000,
    n0: Annotated[int, typer.Option("--n0", help="Other draws that select the class.")] = 100,
    alpha: Alpha = 1e-3,
    radii: Radii = None,
    thresholds: Thresholds = None,
    bound: Annotated[
        list[str] | None,
        typer.Option(
            help=f"One of {', '.join(BOUNDS)}; more than once for several, from the same draws. "
            "'mean' is Theorem 1 of Kumar et al. 2020, 'cdf' Theorem 2, 'tangent' the tightest at "
            "one radius at a time.",
            show_default="mean and cdf, tangent if adaptive",
        ),
    ] = None,
    band: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Confidence band of the bound 'cdf': {' or '.join(BANDS)}; more than once for "
            "several. 'dkw' is the paper's, 'ell' equal local levels.",
            show_default="all, ell if adaptive",
        ),
    ] = None,
    n_bins: NBins = None,
    outputs: Annotated[
        str | None,
        typer.Option(
            help="What the network returns: logits or probabilities.",
            show_default="logits",
            rich_help_panel=_NETWORK,
        ),
    ] = None,
    select: Annotated[
        str | None,
        typer.Option(
            help="Which class is certified: that of the largest mean 'score' over the n0 draws, as "
            "in Kumar et al. 2020, or that of most 'votes', as in Cohen et al. 2019.",
            show_default="score",
        ),
    ] = None,
    cutoff: Annotated[
        float | None,
        typer.Option(
            help="Abstain where the certified confidence at R = 0 is not above this.",
            show_default="0.5 for the score, 0 for the margin",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the noise.")] = 0,
    noise: Annotated[
        str | None,
        typer.Option(
            help="'lattice': noise in whole steps of the grid of the pixel values, or of a fine "
            "lattice where the data have none, by which radii are a little smaller; or 'gaussian': "
            "floating-point noise, for which certificates are no proof.",
            show_default="lattice",
        ),
    ] = None,
    batch_size: Annotated[
        str,
        typer.Option(
            metavar="NUMBER", help="Draws in one call of the network.", rich_help_panel=_NETWORK
        ),
    ] = "auto",
    precision: Annotated[
        str,
        typer.Option(
            help="float32; tf32 on CUDA; bfloat16 or float16 by autocast. The certificate is for "
            "the network in this precision.",
            rich_help_panel=_NETWORK,
        ),
    ] = "float32",
    channels_last: Annotated[
        bool | None,
        typer.Option(
            "--channels-last/--no-channels-last",
            help="Give images to the network in channels-last order, which rounds otherwise and is "
            "recorded.",
            show_default="where a measurement finds it faster; the run's with --resume",
            rich_help_panel=_NETWORK,
        ),
    ] = None,
    compile: Annotated[
        str | None,
        typer.Option(
            metavar="MODE",
            help="Compile the network: default, reduce-overhead or max-autotune.",
            show_default=False,
            rich_help_panel=_NETWORK,
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            help="cpu or cuda.", show_default="cuda where there is one", rich_help_panel=_NETWORK
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            help="Threads of the CPU that run the network. Another number rounds otherwise, and is "
            "recorded.",
            show_default="1 for small networks, else all cores; the run's with --resume",
            rich_help_panel=_NETWORK,
        ),
    ] = None,
    adaptive: Annotated[
        bool,
        typer.Option(
            "--adaptive",
            help="Draw each input in stages, until it is decided whether the confidence at one of "
            "--radii is above one of --thresholds.",
            rich_help_panel=_ADAPTIVE,
        ),
    ] = False,
    radius_precision: Annotated[
        float | None,
        typer.Option(
            metavar="NUMBER",
            help="With --adaptive: find the certified radius, and stop when more draws are "
            "expected to raise it by no more than this many sigma.",
            show_default=False,
            rich_help_panel=_ADAPTIVE,
        ),
    ] = None,
    max_draws: Annotated[
        int | None,
        typer.Option(
            help="With --adaptive: draws of all inputs together; what they do not reach abstains.",
            show_default="no limit",
            rich_help_panel=_ADAPTIVE,
        ),
    ] = None,
    max_seconds: Annotated[
        float | None,
        typer.Option(
            help="With --adaptive: seconds, after which no stage is begun.",
            show_default="no limit",
            rich_help_panel=_ADAPTIVE,
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with a run that was stopped, with the same settings, or with a larger "
            "--max-inputs; start it if there is none.",
            rich_help_panel=_STOPPED,
        ),
    ] = False,
    salvage: Annotated[
        bool,
        typer.Option(
            "--salvage",
            help="With --resume, where the journal of the run is damaged: keep every whole input "
            "and certify the others again. A copy of the damaged journal stays in the folder.",
            rich_help_panel=_STOPPED,
        ),
    ] = False,
) -> None:
    """Certify the confidence of a smoothed classifier on a data set.

    Each input gets a lower bound on its confidence at each radius, a certified radius for each
    threshold, and the certified radius of its class (Cohen et al. 2019). Finished inputs are on
    the disk at once: a run that is killed goes on with --resume.

    Inputs on which the network fails (it raises, returns NaN or runs out of memory) are kept with
    the reason and count as not certified; the exit status is then 3, and 2 after any other error.
    """
    from smoothbound._utils.devices import best_device
    from smoothbound._utils.threads import checked
    from smoothbound.adaptive import Budget, ask
    from smoothbound.cli._closing import concerns
    from smoothbound.cli._tables import show
    from smoothbound.data._loading import load
    from smoothbound.errors import CheckpointError
    from smoothbound.models import checkpoint as checkpoints
    from smoothbound.smoothing._classifier import SmoothedClassifier
    from smoothbound.smoothing._run import as_recorded, run
    from smoothbound.store._settings import RunSettings

    if not adaptive and {radius_precision, max_draws, max_seconds} != {None}:
        raise ValueError("--radius-precision, --max-draws and --max-seconds need --adaptive")
    if adaptive and radii is None and radius_precision is None:
        raise ValueError(
            "--adaptive answers one question about each input: state --radii 0.25 and --thresholds "
            "0.7 (is the confidence above 0.7 within 0.25?), or --radius-precision 0.05 (up to "
            "which radius is it?)"
        )
    if salvage and not resume:
        raise ValueError("--salvage needs --resume")
    if max_draws is not None:
        checks.count("max_draws", max_draws)
    if max_seconds is not None:
        checks.positive("max_seconds", max_seconds)
    budget = Budget(draws=max_draws, seconds=max_seconds) if adaptive else None
    _require_network(checkpoint, arch)
    where = best_device(device)
    dataset = load(data, split)
    introduce(dataset)
    chosen = None if indices is None else indices_of(indices)
    selected = dataset.select(skip, max_inputs, chosen)
    look_at(dataset, selected)
    if arch is not None and ":" in arch:
        sys.path.insert(0, str(Path.cwd()))  # where a module of the user's own lies
    model, info = checkpoints.load(checkpoint, where, arch=arch, state_dict=state_dict)
    for remark in info.remarks:
        note(f"{checkpoint}: {remark}")
    if (info.shape or dataset.shape) != dataset.shape or (
        info.num_classes is not None and info.num_classes < dataset.num_classes
    ):
        raise CheckpointError(
            f"{checkpoint} takes images of shape {info.shape} and knows {info.num_classes} "
            f"classes; {data} has shape {dataset.shape} and {dataset.num_classes} classes"
        )
    name = info.arch if checkpoint is None else checkpoint.name
    smoothed = SmoothedClassifier(
        model,
        sigma,
        measure=measure,
        outputs=outputs or "logits",  # type: ignore[arg-type]  # `_introduce_model` warns
        select=select,  # type: ignore[arg-type]
        device=where,
        batch_size=_batch_size(batch_size),
        precision=precision,  # type: ignore[arg-type]
        channels_last="auto" if channels_last is None else channels_last,
        compile=compile,  # type: ignore[arg-type]
        cutoff=cutoff,
        threads=None if threads is None else checked("--threads", threads),
    )
    if resume:
        smoothed = as_recorded(out, smoothed)
    first, _ = dataset[0]
    made = smoothed.sampler.noise(
        noise, seed=seed, grid=None if noise == "gaussian" else dataset.grid
    )
    seen = _introduce_model(smoothed, made, first, dataset, outputs is not None)
    _warn_of_another(checkpoint, info, sigma, dataset.num_classes)
    middle = sum(smoothed.measure.score_range) / 2
    if radii is not None:
        grid = numbers("--radii", radii)
    else:
        grid = [0.0] if radius_precision is not None else default_radii(sigma)
    levels = [middle] if thresholds is None else numbers("--thresholds", thresholds)
    settings = RunSettings(
        sigma=sigma,
        alpha=alpha,
        n0=n0,
        n=n,
        seed=seed,
        measure=smoothed.measure.name,
        score_range=smoothed.measure.score_range,
        cutoff=smoothed.cutoff,
        outputs=smoothed.outputs,
        methods=methods(
            bound or (["tangent"] if adaptive else _BOUNDS),
            band or (["ell"] if adaptive else list(BANDS)),
            n_bins,
        ),
        radii=tuple(grid),
        thresholds=tuple(levels),
        data=dataset.name,
        split=dataset.split,
        skip=skip,
        max_inputs=max_inputs,
        indices=None if chosen is None else tuple(chosen),
        n_inputs=len(selected),
        arch=info.arch,
        checkpoint=name,
        checkpoint_sha256=info.sha256,
        noise=made.describe(math.prod(dataset.shape)),
        **smoothed.sampler.describe(first),
        versions=_versions(),
    )
    results = run(
        out,
        settings,
        smoothed,
        dataset,
        question=ask(grid, levels, radius_precision) if adaptive else None,
        budget=budget,
        resume=resume,
        salvage=salvage,
    )
    show(results, out)
    for concern in concerns(results, normalised=seen is None or seen.normalised):
        note(concern)
    if results.failed:
        raise typer.Exit(3)


def _require_network(checkpoint: Path | None, arch: str | None) -> None:
    """Say how a network is named, where none is."""
    from smoothbound.models.architectures import ARCHITECTURES

    if arch is not None and arch not in ARCHITECTURES and Path(arch).is_file():
        raise ValueError(f"{arch} is a file: give it as --checkpoint; --arch names a network")
    if checkpoint is None and (arch is None or arch in ARCHITECTURES):
        raise ValueError(
            "a checkpoint is needed: state --checkpoint FILE, the parameters of the network; or "
            "--model package.module:factory, a function of your own that makes a trained network, "
            "such as nets:make in nets.py"
        )


def _introduce_model(
    smoothed: SmoothedClassifier, noise: Noise, image: Tensor, dataset: Dataset, stated: bool
) -> Outlook | None:
    """Say in one line what the network returns, if it does, and refuse labels that it lacks."""
    from smoothbound.errors import CheckpointError, ModelError

    seen = None
    with suppress(ModelError):  # the run will say what is wrong, and whether with all images
        seen = smoothed.sampler.look(image, noise)
        say(f"model: {seen}", Console(stderr=True))
        if seen.outputs == "logits" and seen.normalised and not stated:
            note(
                "these look like probabilities, and a second softmax makes every score small: "
                "state --outputs probabilities, or --outputs logits if they are logits all the same"
            )
        if dataset.num_classes > seen.classes:
            raise CheckpointError(
                f"the network has {seen.classes} outputs, and the data have "
                f"{dataset.num_classes} classes, labels from 0 to {dataset.num_classes - 1}: "
                "labels must be columns of its outputs, counted from 0"
            )
    if (displacement := noise.displacement(math.prod(dataset.shape))) > 0:
        common = noise.common_grid(image)
        advice = f" (but the first image lies on 1/{common})" if common else ""
        note(
            f"the images are on no stated grid{advice}: they are placed on a fine lattice, and "
            f"radii are stated {ceil_decimal(2 * displacement, 6)} smaller for it"
        )
    return seen


def _warn_of_another(path: Path | None, info: Info, sigma: float, num_classes: int) -> None:
    """Say so if a checkpoint was trained under another sigma, or for more classes."""
    if path is None:
        return
    trained = info.training.get("sigma")
    folder = re.fullmatch(r"noise_(\d+\.\d+)", path.absolute().parent.name)  # as published
    if trained not in (None, sigma):
        note(
            f"{path.name} was trained under noise of sigma {trained}, and is smoothed with {sigma}"
        )
    elif trained is None and folder and float(folder[1]) != sigma:
        note(
            f"{path.name} lies in {folder[0]}, as if trained under noise of sigma {folder[1]}, and "
            f"is smoothed with {sigma}"
        )
    if info.num_classes is not None and info.num_classes > num_classes:
        note(f"{path.name} knows {info.num_classes} classes, and the data have {num_classes}")


def _batch_size(text: str) -> Any:
    """Return the number of rows, or "auto"."""
    if text == "auto":
        return text
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"--batch-size must be a number or auto, got {text!r}") from None


def _versions() -> dict[str, str]:
    import numpy as np
    import torch

    from smoothbound import build_info

    built = build_info()
    return {
        "smoothbound": str(built["version"]),
        "backend": str(built["backend"]),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }
