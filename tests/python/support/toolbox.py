"""Certifies one model with the toolbox's smoothing or ours, and prints what it took."""

from __future__ import annotations

import resource
import time

import numpy as np
import torch

__all__ = ["measured", "options"]

SIZE = 3072


def options(model: torch.nn.Module, size: int, classes: int = 2) -> dict[str, object]:
    return {
        "model": model,
        "loss": torch.nn.CrossEntropyLoss(),
        "input_shape": (size,),
        "nb_classes": classes,
        "device_type": "cpu",
        "sample_size": 100,
        "scale": 0.25,
    }


def measured(ours: bool, n: int) -> None:
    """Print the seconds of one certificate, and by how many MiB the process grew for it."""
    from art.estimators.certification.randomized_smoothing import PyTorchRandomizedSmoothing

    from smoothbound.harness import PyTorchCertifiedSmoothing

    torch.manual_seed(0)
    torch.set_num_threads(1)
    kind = PyTorchCertifiedSmoothing if ours else PyTorchRandomizedSmoothing
    smoothed = kind(**options(torch.nn.Linear(SIZE, 2), SIZE))
    x = np.random.default_rng(0).random((1, SIZE), np.float32)
    smoothed.certify(x, n=100, batch_size=100)  # what is loaded once
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    smoothed.certify(x, n=n, batch_size=100)
    seconds = time.perf_counter() - start
    print(seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
