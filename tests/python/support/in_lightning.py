"""Trainings with Lightning for tests, alone and on two ranks; the processes import this file."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from smoothbound.harness import (
    CertifiedAccuracy,
    CertifiedConfidence,
    CertifiedRadius,
    CertifiedValidation,
)

__all__ = [
    "Network",
    "callback",
    "images",
    "metrics",
    "on_two_ranks",
    "other_settings",
    "trained",
    "trainer",
]

SIGMA = 0.25


class Network(LightningModule):
    """A network whose training takes random numbers, and whose layers know train mode."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 2)
        )
        self.modes: list[bool] = []

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)

    def training_step(self, batch: list[Tensor], number: int) -> Tensor:
        x, y = batch
        self.modes.append(self.training)
        noisy = x + SIGMA * torch.randn_like(x) + np.random.normal(0, 0.01)  # noqa: NPY002
        return nn.functional.cross_entropy(self(noisy), y)

    def validation_step(self, batch: list[Tensor], number: int) -> None:
        x, y = batch
        self.log("plain", (self(x).argmax(dim=1) == y).float().mean(), sync_dist=True)

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)


def images(n: int = 60, seed: int = 0) -> TensorDataset:
    """Return points of two classes, told apart by the first element."""
    made = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 2
    x = torch.randn((n, 2), generator=made) * 0.3
    x[:, 0] += 1.0 - 2.0 * labels
    return TensorDataset(x, labels)


def metrics() -> dict[str, Any]:
    return {
        "certified_accuracy": CertifiedAccuracy(SIGMA, [0.0, 0.25]),
        "certified_confidence": CertifiedConfidence(SIGMA, 0.1),
        "certified_radius": CertifiedRadius(SIGMA),
    }


def callback(**options: Any) -> CertifiedValidation:
    return CertifiedValidation(images(40, 1), metrics(), **({"n0": 20, "n": 300} | options))


def trainer(folder: Path | str, *callbacks: Any, **options: Any) -> Trainer:
    usual = {
        "max_epochs": 2,
        "accelerator": "cpu",
        "devices": 1,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    return Trainer(**(usual | options), callbacks=list(callbacks), default_root_dir=str(folder))


def trained(folder: Path | str, *callbacks: Any, **options: Any) -> tuple[Network, Trainer]:
    seed_everything(3, verbose=False)
    network, made = Network(), trainer(folder, *callbacks, **options)
    training = DataLoader(images(), batch_size=8, shuffle=True)
    with warnings.catch_warnings():  # of loaders without workers, and the like
        warnings.simplefilter("ignore")
        made.fit(network, training, DataLoader(images(40, 1), batch_size=8))
    return network, made


def _rank(rank: int, port: int) -> dict[str, Any]:
    os.environ |= {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "NODE_RANK": str(rank),
        "LOCAL_RANK": "0",
        "WORLD_SIZE": "2",
        "GLOO_SOCKET_IFNAME": "lo",
    }
    return {"num_nodes": 2, "strategy": DDPStrategy(broadcast_buffers=False)}


def on_two_ranks(rank: int, port: int, folder: str, certified: bool) -> None:
    """Print what a rank logged, and save its weights."""
    options = _rank(rank, port)
    callbacks = [callback(index=range(0, 39, 3))] if certified else []
    network, made = trained(folder, *callbacks, **options)
    torch.save(network.state_dict(), Path(folder) / f"{rank}-{certified}.pt")
    logged = made.callback_metrics.items()
    print(*(f"{name}={float(value)!r}" for name, value in logged if name != "plain"))


def other_settings(rank: int, port: int, folder: str, what: str) -> None:
    """Print the error of ranks whose callbacks differ, or of which one fails."""
    options = _rank(rank, port)
    given = {"seed": {"seed": rank}, "grid": {"grid": [None, 16][rank]}}[what]
    try:
        trained(folder, callback(**given), **options)
    except Exception as error:
        print(type(error).__name__, error)
