"""A small results folder with made-up rows, for the tests of the store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smoothbound import store
from smoothbound.bounds._method import Method
from smoothbound.noise._record import NoiseRecord
from smoothbound.store._settings import RunSettings
from smoothbound.store._table import packed_counts
from smoothbound.store._table.schema import SKETCH_EDGES

SETTINGS = RunSettings(
    sigma=0.25,
    alpha=0.001,
    n0=10,
    n=1000,
    seed=3,
    measure="score",
    score_range=(0.0, 1.0),
    cutoff=0.5,
    outputs="logits",
    methods=(Method("mean"), Method("cdf", "dkw", 100)),
    radii=(0.0, 0.1, 0.25),
    thresholds=(0.5, 0.7),
    data="digits",
    split="test",
    skip=2,
    max_inputs=None,
    n_inputs=5,
    arch="digits_cnn",
    checkpoint="model.pt",
    checkpoint_sha256="0" * 64,
    noise=NoiseRecord(kind="lattice", sigma=0.25, seed=3, grid=16),
    device="cpu",
    batch_size=1000,
    precision="float32",
    channels_last=False,
    compile=None,
    versions={"smoothbound": "0.1.0", "torch": "2.4"},
)


INDICES = [0, 2, 4, 6, 8]


def counts(index: int) -> NDArray[np.uint32]:
    """Counts of 1000 draws over the edges of a results folder."""
    rng = np.random.default_rng(index)
    sizes = rng.multinomial(1000, [1 / 20] * 20)
    cells = np.zeros(2 * SKETCH_EDGES - 1, np.uint32)
    cells[rng.choice(cells.size, 20, replace=False)] = sizes
    return cells


def row(index: int, **changes: object) -> dict[str, object]:
    return {
        "index": index,
        "label": index % 3,
        "selected": index % 3,
        "predicted": -1,
        "status": "abstained",
        "reason": f"grüße {index}",
        "class_radius": float("nan"),
        "n_selection": 10,
        "n_draws": 1000,
        "top_count": 990,
        "mean_score": 0.1 + index / 10,
        "seconds": 0.5,
        "sketch": packed_counts.pack(counts(index)),
        "state": b"",
        "digest": bytes([index] * 16),
        "lower_mean": [0.1, 1 / 3, index / 9],
        "radius_mean": [float("nan"), 0.25],
        "lower_cdf_dkw": [0.2, 0.3, 0.4],
        "radius_cdf_dkw": [0.1, 0.2],
    } | changes


def write(folder: Path, indices: list[int], *, resume: bool = False) -> store.Writer:
    with store.Writer(folder, SETTINGS, resume=resume) as writer:
        for index in indices:
            writer.append(row(index))
    return writer


def contents(folder: Path) -> tuple[RunSettings, str]:
    """What a folder holds, comparable where values are NaN."""
    results = store.load(folder)
    return results.settings, repr(results.table.to_pylist())


def frame_ends(journal: bytes) -> list[int]:
    """Where the settings and each input end, found without the code under test."""
    ends, at = [], 8
    while at < len(journal):
        at += 12 + int.from_bytes(journal[at : at + 4], "little") + 1
        ends.append(at)
    assert at == len(journal)
    return ends[1:]  # the settings are there twice
