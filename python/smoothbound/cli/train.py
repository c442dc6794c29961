"""`smoothbound train`: a base classifier, trained under Gaussian noise."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smoothbound.cli.options import Sigma
from smoothbound.errors import CheckpointError
from smoothbound.progress import progress

__all__ = ["train"]


def train(
    data: Annotated[
        str, typer.Option(help="Data set: digits, cifar10:DIR or npz:FILE.", show_default=False)
    ],
    arch: Annotated[
        str,
        typer.Option(
            help="Network: digits_cnn, cifar_resnet20 or cifar_resnet110.", show_default=False
        ),
    ],
    sigma: Sigma,
    out: Annotated[Path, typer.Option(help="Checkpoint to write.", show_default=False)],
    epochs: Annotated[int, typer.Option(help="Passes over the training images.")] = 40,
    batch_size: Annotated[int, typer.Option(help="Images a step.")] = 128,
    lr: Annotated[float, typer.Option(help="Highest learning rate of the one-cycle.")] = 0.1,
    seed: Annotated[int, typer.Option(help="Of initialisation, order, noise, augmentation.")] = 0,
    device: Annotated[
        str | None, typer.Option(help="cpu or cuda; by default cuda where there is one.")
    ] = None,
) -> None:
    """Train a base classifier under Gaussian noise.

    The checkpoint is written anew after every epoch, so a run that is killed leaves its last
    finished epoch.
    """
    from smoothbound import checkpoint
    from smoothbound.data import load
    from smoothbound.train import Epoch, accuracy_under_noise, best_device, steps_per_epoch
    from smoothbound.train import train as fit

    _claim(out)
    where = best_device(device)
    training, held_out = load(data, "train"), load(data, "test")
    settings = {
        "data": training.name,
        "sigma": sigma,
        "epochs": epochs,
        "batch_size": batch_size,
        "lr": lr,
        "seed": seed,
        "device": str(where),
    }

    def keep(epoch: Epoch) -> None:
        checkpoint.save(
            out,
            epoch.model,
            arch=arch,
            epoch=epoch.number,
            optimizer=epoch.optimizer,
            training=settings,
        )
        typer.echo(
            f"epoch {epoch.number}: loss {epoch.loss:.4f}, accuracy under noise "
            f"{epoch.accuracy:.1%}, {epoch.seconds:.1f} s"
        )

    with progress("epochs", epochs, steps=steps_per_epoch(training, batch_size)) as advance:
        model = fit(
            training,
            arch,
            sigma=sigma,
            epochs=epochs,
            batch_size=batch_size,
            lr=lr,
            seed=seed,
            device=where,
            on_step=lambda: advance(1),
            on_epoch=keep,
        )
    share = accuracy_under_noise(model, held_out, sigma=sigma)
    typer.echo(
        f"accuracy under noise on the {len(held_out)} {held_out.split} images: {share:.1%}\n"
        f"checkpoint: {out}"
    )


def _claim(out: Path) -> None:
    """Make sure, before any work, that the checkpoint can be written and replaces nothing."""
    if out.exists():
        raise CheckpointError(f"{out} exists; delete it or choose another --out")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.touch()
        out.unlink()
    except OSError as error:
        raise CheckpointError(f"cannot write checkpoint {out}: {error.strerror}") from error
