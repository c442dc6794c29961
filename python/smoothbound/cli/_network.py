"""The network of `certify`: loading, smoothing, a trial with one image, and checks."""

from __future__ import annotations

import math
import re
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from smoothbound._display.console import note, say
from smoothbound._display.rounding import ceil_decimal
from smoothbound.errors import CheckpointError, ModelError

if TYPE_CHECKING:
    from torch import nn

    from smoothbound.data._dataset import Dataset
    from smoothbound.models.checkpoint import Info
    from smoothbound.noise._noise import Noise
    from smoothbound.sampling._model.outputs import OutputSummary
    from smoothbound.smoothing._classifier import SmoothedClassifier

__all__ = ["Network", "versions"]


@dataclass(frozen=True)
class Network:
    """The options of the network and of how it runs, as they were typed."""

    checkpoint: Path | None
    arch: str | None
    state_dict: str | None
    measure: str
    outputs: str | None
    select: str | None
    cutoff: float | None
    batch_size: str
    precision: str
    channels_last: bool | None
    compile: str | None
    device: str | None
    threads: int | None

    def check(self, *, here: bool = True) -> None:
        """Refuse options without a network or a valid device before anything is loaded.

        Parameters
        ----------
        here : bool
            Whether the network runs in this process, which then needs the device.

        Raises
        ------
        ValueError, TypeError
            If there is no network, or the device does not exist.
        """
        from smoothbound._utils.devices import best_device
        from smoothbound.models._factory import TIMM
        from smoothbound.models.architectures import ARCHITECTURES

        arch = self.arch
        if arch is not None and arch not in ARCHITECTURES and Path(arch).is_file():
            raise ValueError(f"{arch} is a file: give it as --checkpoint; --arch names a network")
        needs_file = arch is None or arch in ARCHITECTURES or arch.startswith(TIMM)
        if self.checkpoint is None and needs_file:
            raise ValueError(
                "a checkpoint is needed: state --checkpoint FILE, the parameters of the network; "
                "or --model package.module:factory, a function of your own that makes a trained "
                "network, such as nets:make in nets.py; or --model hf:DIR, a folder that "
                "Transformers saved"
            )
        if here:
            best_device(self.device)

    def load(self, dataset: Dataset, data: str) -> tuple[nn.Module, Info]:
        """Return the network and the information in its file, and print remarks about the file.

        Raises
        ------
        CheckpointError, ModelError
            If the network cannot be loaded, or does not take the images of `dataset`. `data` is the
            name that ``--data`` states.
        """
        from smoothbound._utils.devices import best_device
        from smoothbound.models import checkpoint as checkpoints
        from smoothbound.models._factory import LIBRARIES

        if self.arch is not None and ":" in self.arch and not self.arch.startswith(LIBRARIES):
            sys.path.insert(0, str(Path.cwd()))  # modules of the user are there
        model, info = checkpoints.load(
            self.checkpoint,
            best_device(self.device),
            arch=self.arch,
            state_dict=self.state_dict,
            shape=dataset.shape,
        )
        for remark in info.remarks:
            note(f"{self.checkpoint}: {remark}")
        if (info.shape or dataset.shape) != dataset.shape or (
            info.num_classes is not None and info.num_classes < dataset.num_classes
        ):
            raise CheckpointError(
                f"{self.checkpoint or info.arch} takes images of shape {info.shape} and has "
                f"{info.num_classes} classes; {data} has shape {dataset.shape} and "
                f"{dataset.num_classes} classes"
            )
        _check_names(getattr(model, "class_names", None), dataset)
        return model, info

    def smoothed(self, model: nn.Module, sigma: float) -> SmoothedClassifier:
        """Return the smoothed classifier of the loaded network."""
        from smoothbound._utils.devices import best_device
        from smoothbound._utils.threads import checked
        from smoothbound.smoothing._classifier import SmoothedClassifier

        return SmoothedClassifier(
            model,
            sigma,
            measure=self.measure,
            outputs=self.outputs or "logits",  # type: ignore[arg-type]  # `introduce` warns
            select=self.select,  # type: ignore[arg-type]
            device=best_device(self.device),
            batch_size=_batch_size(self.batch_size),
            precision=self.precision,  # type: ignore[arg-type]
            channels_last="auto" if self.channels_last is None else self.channels_last,
            compile=self.compile,  # type: ignore[arg-type]
            cutoff=self.cutoff,
            threads=None if self.threads is None else checked("--threads", self.threads),
        )

    def introduce(
        self, smoothed: SmoothedClassifier, noise: Noise, dataset: Dataset
    ) -> OutputSummary | None:
        """Print a line about the outputs of the network for the first image.

        Returns
        -------
        OutputSummary or None
            Summary of the outputs; None if the network failed, which the run reports for every
            input.

        Raises
        ------
        CheckpointError
            If the data have labels for which the network has no output.
        """
        image, _ = dataset[0]
        seen = None
        with suppress(ModelError):
            seen = smoothed.sampler.preview(image, noise)
            say(f"model: {seen}", Console(stderr=True))
            if seen.outputs == "logits" and seen.normalised and self.outputs is None:
                note(
                    "these look like probabilities, and a second softmax would make every score "
                    "small: state --outputs probabilities, or --outputs logits if they are "
                    "logits after all"
                )
            if dataset.num_classes > seen.classes:
                raise CheckpointError(
                    f"the network has {seen.classes} outputs, and the data have "
                    f"{dataset.num_classes} classes, labels from 0 to {dataset.num_classes - 1}: "
                    "labels must be columns of its outputs, counted from 0"
                )
        if (displacement := noise.displacement(math.prod(dataset.shape))) > 0:
            common = noise.common_grid(image)
            advice = (
                f" (but the first image lies on 1/{common}: if all do, grid={common} of "
                "SmoothedClassifier.certify in Python loses no radius)"
                if common
                else ""
            )
            note(
                f"the images have no stated grid{advice}: they are moved to a fine lattice, and "
                f"radii are {ceil_decimal(2 * displacement, 6)} smaller because of it"
            )
        return seen

    def compare(self, info: Info, sigma: float, num_classes: int) -> None:
        """Print a note if a checkpoint was trained with another sigma or for more classes."""
        path = self.checkpoint
        if path is None:
            return
        trained = info.training.get("sigma")
        folder = re.fullmatch(r"noise_(\d+\.\d+)", path.absolute().parent.name)  # as published
        if trained not in (None, sigma):
            note(
                f"{path.name} was trained under noise of sigma {trained}, and is smoothed with "
                f"{sigma}"
            )
        elif trained is None and folder and float(folder[1]) != sigma:
            note(
                f"{path.name} lies in {folder[0]}, as if trained under noise of sigma {folder[1]}, "
                f"and is smoothed with {sigma}"
            )
        if info.num_classes is not None and info.num_classes > num_classes:
            note(f"{path.name} has {info.num_classes} classes, but the data have {num_classes}")


def _check_names(names: tuple[str, ...] | None, dataset: Dataset) -> None:
    """Refuse data with the class names of the network in another order."""
    if names is None or dataset.classes is None:
        return
    for label, name in enumerate(dataset.classes):
        if name in names and names.index(name) != label:
            raise CheckpointError(
                f"the class {name!r} is the label {label} of the data, and the output "
                f"{names.index(name)} of the network, so every result would be wrong: give "
                "the data labels in the order of the network"
            )


def _batch_size(text: str) -> Any:
    """Return the number of rows, or "auto"."""
    if text == "auto":
        return text
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"--batch-size must be a number or auto, got {text!r}") from None


def versions() -> dict[str, str]:
    """Return the versions of the packages that compute, which results record."""
    import numpy as np
    import torch

    from smoothbound.backends._select import build_info

    built = build_info()
    return {
        "smoothbound": str(built["version"]),
        "backend": str(built["backend"]),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }
