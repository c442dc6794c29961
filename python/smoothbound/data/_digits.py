"""Handwritten digits, which come with scikit-learn: no download."""

from __future__ import annotations

import numpy as np

from smoothbound.data._dataset import EXTRA, Dataset
from smoothbound.errors import DataError

_TRAIN = 1500  # the first of scikit-learn's 1797 digits; the other 297 are the test


def digits(split: str) -> Dataset:
    """Return the digits as float32, (1, 8, 8), in sixteenths."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise DataError(f"digits come with scikit-learn; {EXTRA}") from error
    source = load_digits()
    part = slice(_TRAIN) if split == "train" else slice(_TRAIN, None)
    images = (source.images[part, None] / 16).astype(np.float32)  # sixteenths: exact in float32
    labels = source.target[part].astype(np.int64)
    return Dataset("digits", split, images, labels, num_classes=10, shape=(1, 8, 8), grid=16)
