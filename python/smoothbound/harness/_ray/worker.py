"""A worker on Ray, an actor that holds the model and certifies the inputs that it gets."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from smoothbound.errors import ClusterError
from smoothbound.harness._ray.shared import TOLD, WHOLE, record_of
from smoothbound.smoothing._run import PreparedRun, agreed, certify_items, selected, settled
from smoothbound.smoothing._run_rows import Items
from smoothbound.store._folder import read_single
from smoothbound.store._shards.parts import gather, machine, parts_of
from smoothbound.store._shards.record import SHARDS
from smoothbound.store._writer import Writer

__all__ = ["Worker"]

_MOST_DEATHS = 3  # of a worker that finishes no input; lost nodes are no reason to end the run


class Worker:
    """An actor that holds the model and certifies the inputs that it gets."""

    def __init__(self, prepare: Callable[[], PreparedRun], folder: Path) -> None:
        self._prepare, self._folder = prepare, folder

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Certify inputs; return each with its failure or "". An error of the run is a row too."""
        index, kind = list(dict.fromkeys(batch["index"].tolist())), ""
        try:
            reason = self._part.certify(index)
        except tuple(TOLD.values()) as error:
            index, reason, kind = [-1], [str(error)], type(error).__name__
        return {
            "index": np.array(index, np.int64),
            "reason": np.array(reason, object),
            "kind": np.array([kind] * len(index), object),
        }

    @cached_property
    def _part(self) -> _Part:
        """The model and the part, made in a call, because Ray hides reasons of earlier errors."""
        return _Part(self._prepare, self._folder)


class _Part:
    """The part of a worker, with the model for its certificates."""

    def __init__(self, prepare: Callable[[], PreparedRun], folder: Path) -> None:
        import ray

        context = ray.get_runtime_context()
        record = record_of(folder, f"node {context.get_node_id()}")
        # A worker that Ray restarts keeps its id, and continues after the inputs that it finished.
        own = f".{context.get_actor_id()}-"
        earlier = [part for part in parts_of(folder, WHOLE) if own in part.name]
        name = f"{WHOLE.name}.{machine()}{own}{secrets.token_hex(4)}"
        self._writer = Writer(folder / SHARDS / name, record.settings)
        gather(earlier, record, self._writer)
        self._deaths = sum(_n_rows(part) == len(self._writer.done) for part in earlier)
        if self._deaths > _MOST_DEATHS:
            return
        settings, smoothed, self._dataset, adaptive = prepare()
        record, self._smoothed = agreed(
            folder, settings, smoothed, self._dataset, adaptive, WHOLE.count
        )
        _, self._noise, self._procedure = settled(
            record.settings, self._smoothed, self._dataset, adaptive, None
        )
        self._selected = frozenset(selected(record.settings, self._dataset))

    def certify(self, index: Sequence[int]) -> list[str]:
        """Certify the unfinished ones of some inputs; return the failure of each or "".

        Raises
        ------
        ClusterError
            If the worker has died repeatedly without finishing an input.
        ValueError
            If the settings do not select an input.
        """
        if self._deaths > _MOST_DEATHS:
            left = ", ".join(str(one) for one in index if one not in self._writer.done)
            raise ClusterError(
                f"a worker died {self._deaths} times and finished none of the inputs {left}. The "
                "system kills a worker that takes too much memory: take fewer workers or a smaller "
                "batch size, or start nodes with more memory. The log of Ray has the reason. "
                "Finished inputs are kept, and the same command goes on"
            )
        if others := sorted(set(index) - self._selected):
            raise ValueError(f"inputs must be selected by the settings, got index {others[0]}")
        items = Items(self._dataset, index, self._procedure, None, self._writer)
        certify_items(items, self._smoothed, self._noise, self._writer, known_good=True)
        return [self._writer.failed.get(one, "") for one in index]


def _n_rows(part: Path) -> int:
    held = read_single(part)
    return 0 if held is None else len(held)
