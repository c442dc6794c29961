"""`smoothbound certify`: a data set, a checkpoint, and a table of certificates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smoothbound._display.console import note, say
from smoothbound.backends._names import BANDS, BOUNDS
from smoothbound.cli._commands._on_ray import RayOptions, certified_on_ray
from smoothbound.cli._commands._prepare import prepare
from smoothbound.cli._network import Network
from smoothbound.cli._options import Alpha, Data, NBins, Radii, Sigma, Thresholds
from smoothbound.cli._run_options import DrawOptions, Inputs, Question, shard_of
from smoothbound.cli._statuses import FAILED_INPUTS

if TYPE_CHECKING:
    from smoothbound.sampling._model.outputs import OutputSummary
    from smoothbound.store._results import Results

__all__ = ["certify"]

_NETWORK, _INPUTS = "The network, and how it runs", "Which inputs"
_ADAPTIVE, _STOPPED = "Adaptive draws", "Runs that were stopped"
_SHARDS, _RAY = "Runs in shards", "Runs on a cluster of Ray"


def certify(
    data: Data,
    sigma: Sigma,
    out: Annotated[Path, typer.Option(help="Results folder to write.", show_default=False)],
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            help="Parameters of the network: a file that train wrote, one published with Cohen et "
            "al. 2019, or a state_dict from torch.save or safetensors.",
            show_default=False,
            rich_help_panel=_NETWORK,
        ),
    ] = None,
    arch: Annotated[
        str | None,
        typer.Option(
            "--arch",
            "--model",
            help="Network, if the checkpoint does not name it: digits_cnn, cifar_resnet20, "
            "cifar_resnet110, resnet50, or your own package.module:factory, whose code is run. "
            "timm:NAME is a network of timm, whose parameters are the checkpoint. hf:DIR is a "
            "folder that Transformers saved, with its parameters. Nothing is downloaded.",
            show_default=False,
            rich_help_panel=_NETWORK,
        ),
    ] = None,
    state_dict: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The parameters to use, if the checkpoint holds several sets: a key of the file, "
            "such as model_ema, or a prefix of names in its state_dict.",
            show_default=False,
            rich_help_panel=_NETWORK,
        ),
    ] = None,
    measure: Annotated[
        str,
        typer.Option(
            help="Confidence measure: the 'score' of the predicted class, its 'margin' over the "
            "best other class, or the 'vote', which is 1 if the class has the largest output and "
            "0 otherwise."
        ),
    ] = "score",
    split: Annotated[
        str, typer.Option(help="Part of the data: train or test.", rich_help_panel=_INPUTS)
    ] = "test",
    skip: Annotated[int, typer.Option(help="Take every N-th input.", rich_help_panel=_INPUTS)] = 1,
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
            "--n",
            help="Number of draws that bound the confidence; with --adaptive, the largest number.",
        ),
    ] = 100_000,
    n0: Annotated[
        int,
        typer.Option(
            "--n0",
            help="Number of other draws that select the class; with --adaptive, the largest "
            "number.",
        ),
    ] = 100,
    classes: Annotated[
        str | None,
        typer.Option(
            metavar="all|NUMBERS",
            help="Count the scores and votes of all or of these classes in the same draws, to "
            "bound them together later (docs/classes.md).",
            show_default="only the selected class",
        ),
    ] = None,
    alpha: Alpha = 1e-3,
    radii: Radii = None,
    thresholds: Thresholds = None,
    bound: Annotated[
        list[str] | None,
        typer.Option(
            help=f"One of {', '.join(BOUNDS)}. Repeat the option for several bounds from the "
            "same draws. 'mean' is Theorem 1 of Kumar et al. 2020, 'cdf' is Theorem 2, "
            "'tangent' is usually the tightest at a single radius, 'joint' at all at once.",
            show_default="mean and cdf",
        ),
    ] = None,
    band: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Confidence band of the bound 'cdf': {' or '.join(BANDS)}. Repeat the "
            "option for several. 'dkw' is that of the paper, 'ell' has equal local levels.",
            show_default="both",
        ),
    ] = None,
    n_bins: NBins = None,
    outputs: Annotated[
        str | None,
        typer.Option(
            help="Outputs of the network: logits or probabilities.",
            show_default="logits",
            rich_help_panel=_NETWORK,
        ),
    ] = None,
    select: Annotated[
        str | None,
        typer.Option(
            help="How the n0 draws select the class: by the largest mean 'score', as in Kumar et "
            "al. 2020, or by the most 'votes', as in Cohen et al. 2019.",
            show_default="score; votes with --measure vote",
        ),
    ] = None,
    cutoff: Annotated[
        float | None,
        typer.Option(
            help="Abstain if the certified confidence at R = 0 is not above this.",
            show_default="0.5 for the score and the vote, 0 for the margin",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the noise.")] = 0,
    noise: Annotated[
        str | None,
        typer.Option(
            help="'lattice' noise takes whole steps of the grid of the pixel values, or of a fine "
            "lattice if the data have no grid, which makes radii slightly smaller. 'gaussian' is "
            "floating-point noise, whose certificates are not a proof.",
            show_default="lattice",
        ),
    ] = None,
    batch_size: Annotated[
        str,
        typer.Option(
            metavar="NUMBER",
            help="Number of draws in one call of the network.",
            rich_help_panel=_NETWORK,
        ),
    ] = "auto",
    precision: Annotated[
        str,
        typer.Option(
            help="float32, tf32 (on CUDA), or bfloat16 or float16 (by autocast). The "
            "certificate holds for the network in this precision.",
            rich_help_panel=_NETWORK,
        ),
    ] = "float32",
    channels_last: Annotated[
        bool | None,
        typer.Option(
            "--channels-last/--no-channels-last",
            help="Give images to the network in channels-last order, which changes the rounding "
            "and is recorded.",
            show_default="if a measurement finds it faster; with --resume that of the run",
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
            help="cpu or cuda.", show_default="cuda if there is a GPU", rich_help_panel=_NETWORK
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            help="Number of CPU threads of the network. It changes the rounding and is recorded.",
            show_default="1 for small networks, all cores otherwise; with --resume that of the run",
            rich_help_panel=_NETWORK,
        ),
    ] = None,
    adaptive: Annotated[
        bool,
        typer.Option(
            "--adaptive",
            help="Draw each input until it is decided whether the confidence is above each of "
            "--thresholds within each of --radii, or --n draws seem too few to decide it.",
            rich_help_panel=_ADAPTIVE,
        ),
    ] = False,
    radius_precision: Annotated[
        float | None,
        typer.Option(
            metavar="NUMBER",
            help="With --adaptive: find the certified radius of each threshold, in steps of this "
            "many sigma.",
            show_default=False,
            rich_help_panel=_ADAPTIVE,
        ),
    ] = None,
    strictness: Annotated[
        float | None,
        typer.Option(
            metavar="NUMBER",
            help="With --adaptive: the number of draws that a certificate is worth, as a share "
            "of n. A larger number gives up later. It does not change alpha.",
            show_default="0.25",
            rich_help_panel=_ADAPTIVE,
        ),
    ] = None,
    correct_only: Annotated[
        bool,
        typer.Option(
            "--correct-only",
            help="With --adaptive, if only certified accuracy matters: stop if the selected "
            "class is not the label.",
            rich_help_panel=_ADAPTIVE,
        ),
    ] = False,
    both_answers: Annotated[
        bool,
        typer.Option(
            "--both-answers",
            help="With --adaptive and --measure vote: also certify that no number of draws "
            "certifies a radius, if that holds. Each of the two answers has half of alpha.",
            rich_help_panel=_ADAPTIVE,
        ),
    ] = False,
    budget_draws: Annotated[
        int | None,
        typer.Option(
            help="With --adaptive: limit on the draws of all inputs together. The classifier "
            "abstains on inputs without draws. With --continue, earlier draws count too.",
            show_default="no limit",
            rich_help_panel=_ADAPTIVE,
        ),
    ] = None,
    budget_seconds: Annotated[
        float | None,
        typer.Option(
            help="With --adaptive: time in seconds after which no more draws begin. With "
            "--continue, earlier time counts too.",
            show_default="no limit",
            rich_help_panel=_ADAPTIVE,
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Certify shard I of N of the inputs, with I from 0 to N - 1. All shards have the "
            "same options and the same --out. The same command continues a shard that was stopped. "
            "'auto' takes I and N from the scheduler (docs/clusters.md).",
            show_default="all inputs",
            rich_help_panel=_SHARDS,
        ),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            "--ray",
            metavar="[ADDRESS]",
            help="Let Ray distribute the inputs to workers. HOST:PORT is the address of a "
            "cluster; 'local' starts one on this machine. The default is the cluster of "
            "RAY_ADDRESS or the one of this machine, and 'local' if there is none. The same "
            "command continues a run that was stopped (docs/clusters.md).",
            show_default="one process",
            rich_help_panel=_RAY,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="With --ray: number of workers, each with a copy of the network.",
            show_default="as many as there is room for",
            rich_help_panel=_RAY,
        ),
    ] = None,
    worker_gpus: Annotated[
        float | None,
        typer.Option(
            metavar="NUMBER",
            help="With --ray: GPUs of each worker; with 0.5 two workers share one. A worker has "
            "as many CPUs as --threads, or one.",
            show_default="1 if the cluster has GPUs, 0 with --device cpu",
            rich_help_panel=_RAY,
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Continue a run that was stopped, with the same settings or a larger "
            "--max-inputs; start a run if there is none.",
            rich_help_panel=_STOPPED,
        ),
    ] = False,
    continued: Annotated[
        Path | None,
        typer.Option(
            "--continue",
            metavar="FOLDER",
            help="Continue a finished run with --adaptive; its options are used, except for --data "
            "and --checkpoint. With a larger --n: draw inputs with open questions further, in "
            "its folder, at the same alpha. With --out and other --thresholds, --radii, "
            "--radius-precision or --alpha: ask more after a look, on later draws of all inputs.",
            show_default=False,
            rich_help_panel=_STOPPED,
        ),
    ] = None,
    salvage: Annotated[
        bool,
        typer.Option(
            "--salvage",
            help="With --resume, if the journal of the run is damaged: keep every complete "
            "input and certify the others again. A copy of the damaged journal stays in the "
            "folder.",
            rich_help_panel=_STOPPED,
        ),
    ] = False,
) -> None:
    """Certify the confidence of a smoothed classifier on a data set.

    Each input gets a lower bound on its confidence at each radius, a certified radius for each
    threshold, and the certified radius of its class (Cohen et al. 2019). Finished inputs are
    written to the disk at once, so --resume continues a run that was killed.

    If the network fails on an input (it raises an exception, returns NaN or runs out of memory),
    the input is kept with the reason and counts as not certified. The exit status is then 3. It is
    2 after any other error.
    """
    from smoothbound.cli._closing import concerns
    from smoothbound.cli._tables import show

    inputs = Inputs(data, split, skip, max_inputs, indices)
    draws = DrawOptions(n, n0, seed, noise, classes)
    question = Question(
        sigma=sigma,
        alpha=alpha,
        radii=radii,
        thresholds=thresholds,
        bound=bound,
        band=band,
        n_bins=n_bins,
        adaptive=adaptive,
        radius_precision=radius_precision,
        strictness=strictness,
        correct_only=correct_only,
        both_answers=both_answers,
        budget_draws=budget_draws,
        budget_seconds=budget_seconds,
    )
    network = Network(
        checkpoint=checkpoint,
        arch=arch,
        state_dict=state_dict,
        measure=measure,
        outputs=outputs,
        select=select,
        cutoff=cutoff,
        batch_size=batch_size,
        precision=precision,
        channels_last=channels_last,
        compile=compile,
        device=device,
        threads=threads,
    )
    question.check()
    draws.check(adaptive=adaptive)
    if salvage and not (resume or continued or shard):
        raise ValueError("--salvage needs --resume or --shard")
    part = None if shard is None else shard_of(shard)
    if part is not None and (continued or budget_draws is not None or budget_seconds is not None):
        raise ValueError(
            "--shard must be left out with --continue, --budget-draws and --budget-seconds, "
            "because a shard does not know the others; to continue a run in shards, join them "
            "with smoothbound merge"
        )
    cluster = RayOptions(ray, workers, worker_gpus)
    cluster.check(
        one_process=bool(
            shard or continued or salvage or budget_draws or budget_seconds is not None
        )
    )
    network.check(here=ray is None)
    follow = continued if continued is not None and continued.resolve() != out.resolve() else None
    more_draws = continued is not None and follow is None
    modes = {
        "resume": resume,
        "salvage": salvage,
        "more_draws": more_draws,
        "follow": follow,
        "shard": part,
    }
    parts = inputs, draws, question, network
    if ray is not None:
        results, seen = certified_on_ray(cluster, parts, out), None
    else:
        results, seen = _run(*parts, out, modes)
    show(results, out)
    if part is not None:
        say(f"This is shard {part}. smoothbound status {out} shows the others.")
    for concern in concerns(results, normalised=seen is None or seen.normalised):
        note(concern)
    if results.failed:
        raise typer.Exit(FAILED_INPUTS)


def _run(
    inputs: Inputs,
    draws: DrawOptions,
    question: Question,
    network: Network,
    out: Path,
    modes: dict[str, Any],
) -> tuple[Results, OutputSummary | None]:
    """Load data and network and certify; also return a summary of the outputs for one image."""
    from smoothbound._display.progress import progress
    from smoothbound.smoothing._run import run

    goes_on = any(modes[name] for name in ("resume", "more_draws", "follow", "shard"))
    recorded = (modes["follow"] or out) if goes_on else None
    prepared, seen = prepare(inputs, draws, question, network, recorded)
    settings, smoothed, dataset, rules = prepared
    options: dict[str, Any] = {"adaptive": rules, "progress": progress, **modes}
    return run(out, settings, smoothed, dataset, **options), seen
