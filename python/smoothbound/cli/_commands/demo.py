"""`smoothbound demo`: train, certify and report, on data that needs no download."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from smoothbound._display.console import say
from smoothbound.cli._commands.certify import certify
from smoothbound.cli._commands.of_results.report import report
from smoothbound.cli._commands.train import train

__all__ = ["demo"]

_SIGMA = 0.25
_SKIP, _N = 3, 10_000
_THRESHOLDS = {"score": "0.5,0.7,0.9", "margin": "0,0.4,0.8"}
_QUESTION = {"radii": "0.25", "thresholds": "0.7", "n": 100_000}  # for the adaptive run


def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything that the demo makes.")] = Path(
        "smoothbound-demo"
    ),
) -> None:
    """Train a small network on handwritten digits, certify it and draw the figures.

    The curves come from a fixed number of draws of each image. One more run asks a single question
    about each image. It may take up to ten times as many draws, but takes only those that it needs.

    The demo takes less than two minutes on two CPU cores and downloads nothing. Each step is a
    command, which is printed. Start the demo again to continue one that was stopped.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(
        1
    )  # more threads are little faster with this network, and slower on a busy machine
    try:
        _steps(out)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("the same command goes on") from None
    finally:
        torch.set_num_threads(threads)


def _steps(out: Path) -> None:
    model, folders = out / "model.pt", [out / measure for measure in _THRESHOLDS]
    common: dict[str, Any] = {
        "checkpoint": model,
        "data": "digits",
        "sigma": _SIGMA,
        "skip": _SKIP,
        "channels_last": False,  # so that every demo on a machine gives the same numbers
        "resume": True,
    }
    if not model.exists():
        training = out / "training.pt"
        for left in (training, out / "training.pt.tsv"):  # of a demo that was stopped
            left.unlink(missing_ok=True)
        _step(train, data="digits", arch="digits_cnn", sigma=_SIGMA, out=training)
        _show("mv", training, model)
        training.replace(model)
    for folder in folders:
        _step(
            certify,
            **common,
            measure=folder.name,
            thresholds=_THRESHOLDS[folder.name],
            n=_N,
            out=folder,
        )
    _step(certify, **common, **_QUESTION, adaptive=True, out=out / "adaptive")
    _step(report, inputs=[*folders, out / "adaptive"], out=out / "report")


def _step(command: Callable[..., None], **options: Any) -> None:
    """Print a command as it would be typed, and run it."""
    words = ["smoothbound", command.__name__]
    for name, value in options.items():
        option = f"--{name.replace('_', '-')}"
        if isinstance(value, list):
            words += map(str, value)
        else:
            words += _typed(option, value)
    _show(*words)
    command(**options)


def _typed(option: str, value: Any) -> list[str]:
    """Return an option as it would be typed.

    Examples
    --------
    >>> [_typed("--skip", 5), _typed("--resume", True), _typed("--channels-last", False)]
    [['--skip', '5'], ['--resume'], ['--no-channels-last']]
    """
    if isinstance(value, bool):
        return [option] if value else [option.replace("--", "--no-", 1)]
    return [option, str(value)]


def _show(*words: object) -> None:
    say(f"\n$ {shlex.join(map(str, words))}", style="bold")
