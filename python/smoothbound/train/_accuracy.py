"""The accuracy of a base classifier under noise."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from smoothbound.data._loading import Dataset, unit_scale
from smoothbound.train._batches import noisy

__all__ = ["accuracy_under_noise"]


@torch.inference_mode()
def accuracy_under_noise(
    model: nn.Module, dataset: Dataset, *, sigma: float, seed: int = 0, batch_size: int = 500
) -> float:
    """Return the share of images classified correctly under one draw of noise each, in [0, 1].

    This is the base classifier's accuracy, not the smoothed one's, which is higher.

    Parameters
    ----------
    model : nn.Module
        Takes images in [0, 1] and returns logits; used in the mode it is in.
    dataset : Dataset
        Images and labels.
    sigma : float
        Standard deviation of the noise, in the units of the image.
    seed : int
        Of the noise.
    batch_size : int
        Images a forward pass.
    """
    where = next(model.parameters()).device
    generator = torch.Generator(where).manual_seed(seed)
    right = 0
    labels = torch.from_numpy(dataset.labels)
    for start in range(0, len(dataset), batch_size):
        rows = range(start, min(start + batch_size, len(dataset)))
        images = torch.from_numpy(np.stack([dataset.images[i] for i in rows])).to(where)
        logits = model(noisy(unit_scale(images), sigma, generator))
        right += int((logits.argmax(1).cpu() == labels[start : start + batch_size]).sum())
    return right / len(dataset)
