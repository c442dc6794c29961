"""`smoothbound train`: a base classifier, trained under Gaussian noise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smoothbound._display.console import say
from smoothbound._display.progress import progress
from smoothbound._utils import checks
from smoothbound.cli._options import Data, Sigma, introduce, look_at
from smoothbound.errors import CheckpointError, DataError

if TYPE_CHECKING:
    import torch
    from torch import nn

    from smoothbound.data._loading import Dataset
    from smoothbound.train._loop import Epoch

__all__ = ["train"]

_RECIPE, _MACHINE = "The recipe", "How it runs"
_PASSED_ON = ("sigma", "recipe", "epochs", "batch_size", "lr", "precision", "threads", "seed")
_COLUMNS = ("epoch", "loss", "accuracy", "lr", "seconds")


def train(
    data: Data,
    arch: Annotated[
        str,
        typer.Option(
            help="Network: digits_cnn, cifar_resnet20, cifar_resnet110 or resnet50.",
            show_default=False,
        ),
    ],
    sigma: Sigma,
    out: Annotated[Path, typer.Option(help="Checkpoint to write.", show_default=False)],
    recipe: Annotated[
        str,
        typer.Option(
            help="'fast' has a one-cycle schedule, and uses bfloat16 if the device supports it; "
            "'cohen' has the 90 epochs of Cohen et al. 2019.",
            rich_help_panel=_RECIPE,
        ),
    ] = "fast",
    epochs: Annotated[
        int | None,
        typer.Option(
            help="Passes over the training images.",
            show_default="the recipe's",
            rich_help_panel=_RECIPE,
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            help="Number of images in a step.",
            show_default="the recipe's",
            rich_help_panel=_RECIPE,
        ),
    ] = None,
    lr: Annotated[
        float | None,
        typer.Option(
            help="Highest learning rate.", show_default="the recipe's", rich_help_panel=_RECIPE
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            help="float32 or bfloat16.", show_default="the recipe's", rich_help_panel=_RECIPE
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            help="Number of CPU threads. It changes the order of rounding, and so gives a "
            "slightly different network.",
            show_default="1 for small networks, all cores otherwise",
            rich_help_panel=_MACHINE,
        ),
    ] = None,
    max_images: Annotated[
        int | None,
        typer.Option(
            help="Train on this many images, drawn at random by the seed.",
            show_default="all",
            rich_help_panel=_RECIPE,
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(
            help="Seed of initialisation, order, noise and augmentation.", rich_help_panel=_RECIPE
        ),
    ] = 0,
    device: Annotated[
        str | None,
        typer.Option(
            help="cpu or cuda; by default cuda if there is a GPU.", rich_help_panel=_MACHINE
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Continue after the last finished epoch of a run that was stopped, with the same "
            "settings; start a run if there is none.",
            rich_help_panel=_MACHINE,
        ),
    ] = False,
) -> None:
    """Train a base classifier under Gaussian noise.

    The checkpoint and a table of the epochs, OUT.tsv, are written after every epoch. A run that is
    killed keeps its last finished epoch, and --resume continues it. The result is the same network
    as that of a run that was not stopped; on a GPU it is the same up to rounding.
    """
    from smoothbound._utils.threads import checked
    from smoothbound.models import checkpoint
    from smoothbound.train._accuracy import accuracy_under_noise
    from smoothbound.train._batches import some
    from smoothbound.train._recipes import (
        PRECISIONS,
        best_device,
        best_precision,
        best_threads,
        training_numbers,
    )

    sigma, epochs, batch_size, lr = training_numbers(
        arch, recipe, sigma=sigma, epochs=epochs, batch_size=batch_size, lr=lr, seed=seed
    )
    where = best_device(device)
    precision = precision or best_precision(recipe, where)
    checks.choice("precision", precision, PRECISIONS)
    if threads is not None:
        checked("threads", threads)
    if max_images is not None:
        checks.count("max_images", max_images)
    going_on = resume and out.exists()
    if not going_on:
        _claim(out)
    training, held_out = _load_both(data)
    if max_images is not None:
        training = some(training, max_images, seed)
    history: list[dict[str, Any]] = []
    recorded: dict[str, Any] = {}
    if going_on:
        _, info = checkpoint.load(out)
        history, recorded = info.history, {"arch": info.arch} | info.training
    if threads is None:
        threads = recorded.get("threads") or best_threads(arch, batch_size)
    settings = {
        "data": training.name,
        "sigma": sigma,
        "recipe": recipe,
        "epochs": epochs,
        "batch_size": batch_size,
        "lr": lr,
        "precision": precision,
        "threads": threads,
        "max_images": max_images,
        "seed": seed,
        "device": str(where),
    }
    if going_on:
        _check_same(out, {"threads": threads} | recorded, {"arch": arch} | settings)
    kept = _Checkpoints(out, arch, settings, history)
    model = _fit(training, kept, where, going_on=going_on)
    share = accuracy_under_noise(model, held_out, sigma=sigma)
    trained_on = held_out.split == "all"
    which = "images, which it was trained on" if trained_on else f"{held_out.split} images"
    say(f"accuracy under noise on the {len(held_out)} {which}: {share:.1%}\ncheckpoint: {out}")


def _fit(
    training: Dataset, kept: _Checkpoints, device: torch.device, *, going_on: bool
) -> nn.Module:
    """Train with the settings of the checkpoints, and write them after every epoch."""
    from smoothbound.train._loop import steps_per_epoch, train

    epochs, batch_size = kept.settings["epochs"], kept.settings["batch_size"]
    steps = steps_per_epoch(training, batch_size)
    with (
        progress("epochs", epochs, done=len(kept.history), steps=steps) as running,
        _told_when_stopped(kept.out, kept.history, epochs),
    ):
        return train(
            training,
            kept.arch,
            **{name: kept.settings[name] for name in _PASSED_ON},
            device=device,
            resume=kept.out if going_on else None,
            on_step=lambda: running(1),
            on_epoch=lambda epoch: running.say(kept.write(epoch)),
        )


def _load_both(data: str) -> tuple[Dataset, Dataset]:
    """Return the training and the test images, and print a line about each.

    Raises
    ------
    DataError
        If they differ in shape or classes, or a test image cannot be read.
    """
    from smoothbound.data._loading import load

    training, held_out = load(data, "train"), load(data, "test")
    introduce(training)
    if held_out.split != "all":  # with "all", both sets have the same images
        introduce(held_out)
    _check_alike(training, held_out)
    look_at(held_out, range(len(held_out)))
    return training, held_out


@dataclass(frozen=True)
class _Checkpoints:
    """Writes the checkpoint and the table of the epochs after every epoch."""

    out: Path
    arch: str
    settings: dict[str, Any]
    history: list[dict[str, Any]]  # grows with every epoch

    def write(self, epoch: Epoch) -> str:
        """Write both files, and return a line about the epoch."""
        from smoothbound.models import checkpoint

        values = (epoch.number, epoch.loss, epoch.accuracy, epoch.lr, epoch.seconds)
        row = dict(zip(_COLUMNS, values, strict=True))
        checkpoint.save(
            self.out,
            epoch.model,
            arch=self.arch,
            epoch=epoch.number,
            optimizer=epoch.optimizer,
            training=self.settings,
            history=[*self.history, row],
        )
        self.history.append(row)
        _write_log(self.out, self.history)
        return (
            f"epoch {epoch.number}: loss {epoch.loss:.4f}, accuracy under noise "
            f"{epoch.accuracy:.1%}, {epoch.seconds:.1f} s"
        )


@contextmanager
def _told_when_stopped(out: Path, history: list[dict[str, Any]], epochs: int) -> Iterator[None]:
    """Add to the message of Ctrl-C which epochs are kept and how to continue."""
    try:
        yield
    except KeyboardInterrupt:
        kept = f"kept in {out}; go on with --resume" if history else "so nothing is kept"
        raise KeyboardInterrupt(f"{len(history)} of {epochs} epochs are finished, {kept}") from None


def _check_alike(training: Dataset, held_out: Dataset) -> None:
    """Refuse test images that a network for the training images does not take."""
    for name in ("shape", "num_classes"):
        one, other = getattr(training, name), getattr(held_out, name)
        if one != other:
            raise DataError(
                f"{training.name}: {training.split} has {name} {one}, and {held_out.split} has "
                f"{other}; they must agree"
            )


def _claim(out: Path) -> None:
    """Check before the work that the checkpoint can be written and does not replace a file."""
    if out.exists():
        raise CheckpointError(
            f"{out} exists; delete it, choose another --out, or go on with it by --resume"
        )
    if _log(out).exists():
        raise CheckpointError(f"{_log(out)} exists; delete it, or choose another --out")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.touch()
        out.unlink()
    except OSError as error:
        raise CheckpointError(f"cannot write checkpoint {out}: {error.strerror}") from error


def _check_same(out: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Refuse to continue a run with other settings."""
    wrong = [
        f"{name} {found.get(name)!r}, not {value!r}"
        for name, value in wanted.items()
        if found.get(name) != value
    ]
    if wrong:
        raise CheckpointError(
            f"{out} was trained with {'; '.join(wrong)}: go on with the same settings, or choose "
            "another --out"
        )


def _log(out: Path) -> Path:
    return out.with_name(f"{out.name}.tsv")


def _write_log(out: Path, history: list[dict[str, Any]]) -> None:
    """Write the epochs of a checkpoint to a tab-separated file beside it."""
    from smoothbound._files.atomic import atomic_write

    lines = [
        "\t".join(_COLUMNS),
        *("\t".join(f"{row[c]:.6g}" for c in _COLUMNS) for row in history),
    ]
    with atomic_write(_log(out)) as file:
        file.write("".join(f"{line}\n" for line in lines).encode())
