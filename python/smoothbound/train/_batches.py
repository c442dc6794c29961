"""The batches of an epoch: in random order, augmented, from memory or from their files.

Images of one size, such as CIFAR, are kept in the memory of the device, and photographs are shifted
and mirrored there. Images of ImageNet are decoded, cropped and mirrored when they are needed, by
threads that run ahead of the device. Both follow Cohen et al. 2019.
"""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from smoothbound._utils import checks
from smoothbound.data._encoded import EncodedImages
from smoothbound.data._loading import Dataset, unit_scale

__all__ = ["Batches", "batches", "noisy", "shifted_and_mirrored", "some"]

# Takes the generator of an epoch and its seed; yields images in [0, 1] and their labels.
Batches = Callable[[torch.Generator, int], Iterator[tuple[Tensor, Tensor]]]

_MARGIN = 4  # the most pixels by which a photograph is shifted
_AHEAD = 3  # number of batches that are decoded ahead


def batches(dataset: Dataset, batch_size: int, device: torch.device) -> Batches:
    """Return a function that yields the batches of an epoch.

    Parameters
    ----------
    dataset : Dataset
        Training images.
    batch_size : int
        Number of images in a batch; the last one of an epoch may be smaller.
    device : device
        Where the batches go.

    Raises
    ------
    ValueError
        If the images do not fit into the memory, and cannot be read as they are needed.
    """
    if isinstance(dataset.images, EncodedImages) and dataset.images.vary is not None:
        return _streamed(dataset, dataset.images, batch_size, device)
    return _in_memory(dataset, batch_size, device)


def some(dataset: Dataset, count: int, seed: int) -> Dataset:
    """Return `count` images of a data set, drawn at random, in their order.

    Parameters
    ----------
    dataset : Dataset
        Images that are an array or `EncodedImages`.
    count : int
        Number of images; all are returned if there are no more.
    seed : int
        Seed of the draw.

    Examples
    --------
    >>> from smoothbound.data import load
    >>> len(some(load("digits", "train"), 100, seed=0))
    100
    """
    rng = np.random.default_rng([checks.count("seed", seed, minimum=0), len(dataset)])
    order = rng.permutation(len(dataset))[: checks.count("max_images", count)]
    rows, images = np.sort(order), dataset.images
    if isinstance(images, EncodedImages):
        images = replace(images, encoded=[images.encoded[row] for row in rows])
    else:
        images = np.stack([images[int(row)] for row in rows])
    return replace(dataset, images=images, labels=dataset.labels[rows])


def _in_memory(dataset: Dataset, batch_size: int, device: torch.device) -> Batches:
    _check_memory(dataset)
    images, labels = (tensor.to(device) for tensor in dataset.tensors())

    def epoch(generator: torch.Generator, _: int) -> Iterator[tuple[Tensor, Tensor]]:
        for rows in _shuffled(len(images), batch_size, generator):
            batch = unit_scale(images[rows])
            if dataset.augment:
                batch = shifted_and_mirrored(batch, generator)
            yield batch, labels[rows]

    return epoch


def _streamed(
    dataset: Dataset, images: EncodedImages, batch_size: int, device: torch.device
) -> Batches:
    labels = torch.from_numpy(dataset.labels)

    def epoch(generator: torch.Generator, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
        def read(index: int) -> NDArray[np.uint8]:
            return images.varied(index, np.random.default_rng([seed, index]))

        pool = ThreadPoolExecutor(os.cpu_count())
        try:
            queue: Iterator[tuple[Tensor, list[Future[NDArray[np.uint8]]]]] = (
                (rows, [pool.submit(read, int(index)) for index in rows])
                for rows in (rows.cpu() for rows in _shuffled(len(images), batch_size, generator))
            )
            ahead = deque(islice(queue, _AHEAD))
            while ahead:
                rows, decoded = ahead.popleft()
                batch = torch.from_numpy(np.stack([one.result() for one in decoded]))
                ahead.extend(islice(queue, 1))
                yield unit_scale(batch.to(device)), labels[rows].to(device)
        finally:
            pool.shutdown(cancel_futures=True)

    return epoch


def _check_memory(dataset: Dataset) -> None:
    """Refuse more images than fit into the memory, before hours of decoding."""
    if isinstance(dataset.images, np.ndarray):
        return
    needed = len(dataset) * math.prod(dataset.shape)  # encoded images have one byte per value
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > memory:
        raise ValueError(
            f"the {len(dataset)} images of {dataset.name} are {needed / 2**30:.0f} GiB of pixels, "
            f"which training holds in memory, and this machine has {memory / 2**30:.0f} GiB; take "
            "fewer images"
        )


def _shuffled(count: int, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    order = torch.randperm(count, generator=generator, device=generator.device)
    for start in range(0, count, batch_size):
        yield order[start : start + batch_size]


def shifted_and_mirrored(images: Tensor, generator: torch.Generator) -> Tensor:
    """Shift each image by up to 4 pixels, filled with black, and mirror half of them."""
    count, channels, height, width = images.shape
    where = images.device

    def draw(high: int) -> Tensor:
        return torch.randint(high, (count, 1), generator=generator, device=where)

    rows = draw(2 * _MARGIN + 1) + torch.arange(height, device=where)
    columns = torch.arange(width, device=where)
    columns = draw(2 * _MARGIN + 1) + torch.where(draw(2) == 1, columns, columns.flip(0))
    padded = functional.pad(images, (_MARGIN,) * 4)
    each = torch.arange(count, device=where)[:, None, None, None]
    channel = torch.arange(channels, device=where)[:, None, None]
    return padded[each, channel, rows[:, None, :, None], columns[:, None, None, :]]


def noisy(images: Tensor, sigma: float, generator: torch.Generator) -> Tensor:
    """Add noise N(0, sigma^2) to every value."""
    noise = torch.randn(images.shape, generator=generator, device=images.device)
    return images + sigma * noise
