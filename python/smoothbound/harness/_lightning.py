"""Certificates of a few validation images in each epoch of a training with Lightning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import index as whole
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy
from lightning.pytorch.utilities.seed import isolate_rng
from numpy.typing import NDArray

from smoothbound._utils import checks
from smoothbound.adapters._names import Outputs
from smoothbound.errors import DataError, ModelError
from smoothbound.harness._torchmetrics._by_name import metrics_by_name, names_of
from smoothbound.harness._torchmetrics._metric import CertifiedMean
from smoothbound.noise._kinds import Kind
from smoothbound.noise._streams import MAX_DRAWS
from smoothbound.smoothing._certificate import SmoothedCertificate
from smoothbound.smoothing._classifier import SmoothedClassifier

__all__ = ["CertifiedValidation"]

_USUAL = 64  # default number of images


class CertifiedValidation(Callback):  # type: ignore[misc]
    """Certify a few validation images after each validation epoch, as a callback of Lightning.

    The images are the same in every epoch. Each process certifies a share of them, and the metrics
    are those of all processes together. The values are logged by ``LightningModule.log``, so
    loggers, ``ModelCheckpoint`` and ``EarlyStopping`` find them. The callback does not change the
    training: weights, gradients, random states and the modes of modules are the same as without it.

    Parameters
    ----------
    dataset : sequence of (image, label)
        The validation images: ``dataset[i]`` is an image, in the form that the LightningModule
        takes in a batch, with the number of its class. Sigma and radii are in the units of these
        images. If the data set normalises them, these are the units after the normalisation.
    metrics : mapping of str to CertifiedAccuracy, CertifiedConfidence or CertifiedRadius
        The metrics by the names under which they are logged. A ``MetricCollection`` is such a
        mapping. They must have the same sigma, alpha and measure. A metric with several radii is
        logged at each of them, as in ``name_r0.25``, and one with several thresholds as in
        ``name_c0.5``.
    index : sequence of int, optional
        Positions of the images in the data set, strictly increasing. By default 64 evenly spread
        images, or all if there are fewer.
    n0, n : int
        `n0` draws of an image select its class, and `n` draws certify it.
    seed, noise, grid
        As for `SmoothedClassifier.certify`.
    outputs : {"logits", "probabilities"}, optional
        Kind of the outputs of ``LightningModule.forward``; logits by default.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is out of range. At the start of a training, if it has
        no validation, a strategy that splits the network, parameters that are not in float32, or
        processes whose callbacks have different settings. At the first values, if the training logs
        another value with one of their names.
    DataError
        If the data set does not return an image and the number of its class, or returns a different
        image the next time.
    ModelError
        If all of the first eight images of a process fail; see `SmoothedClassifier.certify`. One
        image is certified before the first epoch to find this out early. An error of one process
        ends the training on all.

    Notes
    -----
    Every epoch makes the same draws, so differences between epochs come from the network. Each
    certificate of an epoch fails with probability at most alpha. This does not hold for the best of
    many epochs, because a checkpoint that is chosen by these values depends on these draws. To
    report its certificates, compute them again with another `seed`. The metrics are means over
    certificates, and alpha is not the failure probability of a mean.

    The strategy is one device or DDP. The network runs in float32 even if the training has mixed
    precision, so the certificates are for the network without autocast. The callback belongs to the
    package ``lightning``, and not to ``pytorch_lightning``.

    Examples
    --------
    >>> from smoothbound.harness import CertifiedAccuracy
    >>> images = [(torch.tensor([value]), int(value < 0)) for value in (2.0, -1.0, 0.5)]
    >>> metrics = {"certified_accuracy": CertifiedAccuracy(sigma=0.25, radius=[0, 0.25])}
    >>> CertifiedValidation(images, metrics).index.tolist()
    [0, 1, 2]
    """

    def __init__(
        self,
        dataset: Any,
        metrics: Mapping[str, CertifiedMean],
        *,
        index: Sequence[int] | None = None,
        n0: int = 100,
        n: int = 1_000,
        seed: int = 0,
        noise: Kind | None = None,
        grid: int | None = None,
        outputs: Outputs | None = None,
    ) -> None:
        super().__init__()
        self.dataset, self._is_new = dataset, True
        self.metrics = metrics_by_name(metrics)
        self.index = _positions(index, len(dataset))
        n0, n = (checks.count(name, k, 1, MAX_DRAWS) for name, k in (("n0", n0), ("n", n)))
        questions = [metric.question for metric in self.metrics.values()]
        self._sigma, self._measure, self._outputs = (
            questions[0].sigma,
            questions[0].measure,
            outputs,
        )
        self._asked: dict[str, Any] = {
            "n0": n0,
            "n": n,
            "alpha": questions[0].alpha,
            "radii": sorted({radius for one in questions for radius in one.radii}),
            "thresholds": sorted({place for one in questions for place in one.thresholds}),
            "seed": checks.count("seed", seed, 0),
            "noise": noise,
            "grid": grid,
        }

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Read the images of this process once."""
        if not isinstance(trainer.strategy, DDPStrategy | SingleDeviceStrategy):
            raise TypeError(
                "strategy must be one device or DDP, where each process has the whole network, got "
                f"{type(trainer.strategy).__name__}"
            )
        if trainer.precision.endswith("-true") and trainer.precision != "32-true":
            raise ValueError(
                "precision must be '32-true' or a mixed one, whose parameters are in float32, got "
                f"{trainer.precision!r}"
            )
        if trainer.world_size > len(self.index):
            raise ValueError(
                "index must name at least one image for each process, got "
                f"{len(self.index)} for {trainer.world_size} processes"
            )
        with self._on_all(trainer):
            self._own = self.index[trainer.global_rank :: trainer.world_size]
            self._images, self._labels = _loaded(self.dataset, self._own)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Certify one image, so that errors of the settings or the network show early."""
        if not trainer.enable_validation:
            raise ValueError(
                "CertifiedValidation certifies after each validation epoch, but this training has "
                "none: pass val_dataloaders, define validation_step, and leave limit_val_batches "
                "above 0"
            )
        told = {"index": self.index.tolist(), "metrics": sorted(self.metrics)} | self._asked
        first = trainer.strategy.broadcast(told)
        with self._on_all(trainer):
            if others := [name for name in told if told[name] != first[name]]:
                raise ValueError(
                    f"{others[0]} must be the same on all processes, got {told[others[0]]!r} on "
                    f"process {trainer.global_rank} and {first[others[0]]!r} on process 0"
                )
            self._certified(pl_module, 1)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Certify the images and log the metrics."""
        if trainer.sanity_checking:
            return
        with _buffers_of_first(trainer, pl_module), self._on_all(trainer):
            cert = self._certified(pl_module, len(self._own))
        values: dict[str, torch.Tensor] = {}
        for name, metric in self.metrics.items():
            metric.to(pl_module.device).reset()
            metric.update(cert, self._labels)
            values |= zip(names_of(name, metric), metric.compute().reshape(-1), strict=True)
        if self._is_new and (taken := sorted(values.keys() & trainer.callback_metrics.keys())):
            raise ValueError(
                f"metrics must have names that the training does not log itself, got {taken[0]!r}, "
                "of which one value would hide the other"
            )
        self._is_new = False
        # all processes have the same values
        pl_module.log_dict(values, on_step=False, on_epoch=True, sync_dist=True, reduce_fx="min")

    def _certified(self, network: LightningModule, n_images: int) -> SmoothedCertificate:
        smoothed = SmoothedClassifier(
            network,
            self._sigma,
            measure=self._measure,
            outputs=self._outputs,
            channels_last=False,  # a measured choice could differ between processes and epochs
        )
        index = self._own[:n_images]
        return smoothed.certify(self._images[:n_images], index=index, **self._asked)

    @contextmanager
    def _on_all(self, trainer: Trainer) -> Iterator[None]:
        """Keep the random states, and raise an error of one process on all, so that none waits."""
        error: Exception | None = None
        with isolate_rng():
            try:
                yield
            except Exception as caught:
                error = caught
        if not trainer.strategy.reduce_boolean_decision(error is None, all=True):
            raise error or ModelError(
                "images could not be certified on another process, whose error says why"
            )


@contextmanager
def _buffers_of_first(trainer: Trainer, network: LightningModule) -> Iterator[None]:
    """Give all processes the buffers of the first process, which saves the checkpoints.

    Under DDP each process has running means of its own, which are restored afterwards.
    """
    buffers = list(network.buffers()) if trainer.world_size > 1 else []
    own = [buffer.clone() for buffer in buffers]
    first = trainer.strategy.broadcast([buffer.cpu() for buffer in buffers])
    try:
        for buffer, value in zip(buffers, first, strict=True):
            buffer.copy_(value)
        yield
    finally:
        for buffer, value in zip(buffers, own, strict=True):
            buffer.copy_(value)


def _positions(index: Sequence[int] | None, n_images: int) -> NDArray[np.int64]:
    """Return the positions of the images in a data set of n_images."""
    if index is None:
        taken = min(_USUAL, n_images)
        return np.arange(taken, dtype=np.int64) * n_images // max(taken, 1)
    found = checks.positions("index", index)
    if not len(found) or found[0] < 0 or found[-1] >= n_images or (np.diff(found) <= 0).any():
        raise ValueError(
            f"index must be increasing positions in the data set of {n_images} images, each once, "
            f"got {checks.shown(index)}"
        )
    return found


def _loaded(dataset: Any, index: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the images and their labels."""
    images, labels = [], []
    for position in index.tolist():
        try:
            image, label = dataset[position]
            images.append(torch.as_tensor(image))
            labels.append(checks.count("label", whole(label), 0))
        except (TypeError, ValueError, RuntimeError) as error:
            raise DataError(
                f"dataset[{position}] must be an image, as a tensor or an array, and the number of "
                f"its class: {error}"
            ) from error
        if images[-1].shape != images[0].shape or images[-1].dtype != images[0].dtype:
            raise DataError(
                f"dataset[{position}] must be of the shape {tuple(images[0].shape)} and the type "
                f"{images[0].dtype} of the others, got {tuple(images[-1].shape)} of "
                f"{images[-1].dtype}"
            )
    if not torch.equal(torch.as_tensor(dataset[index.tolist()[0]][0]), images[0]):
        raise DataError(
            f"dataset[{index[0]}] must be the same image each time: leave random changes of the "
            "images out of the validation set"
        )
    return torch.stack(images), torch.tensor(labels)
