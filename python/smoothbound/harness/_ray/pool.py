"""The workers for which a cluster has room."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from smoothbound._utils import checks
from smoothbound.errors import ClusterError

__all__ = ["Pool"]


class Pool(NamedTuple):
    """The number of workers, and the CPUs and GPUs of each."""

    size: int
    cpus: float
    gpus: float

    @classmethod
    def of(cls, workers: int | None, cpus: float, gpus: float) -> Pool:
        """Return the pool for which the cluster has room, with one CPU left for Ray Data.

        Raises
        ------
        ValueError, ClusterError
            If it has no room.
        """
        import ray

        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        total, total_gpus = (sum(node.get(name, 0.0) for node in nodes) for name in ("CPU", "GPU"))
        most = sum(
            min(_times(node.get("CPU", 0.0), cpus), _times(node.get("GPU", 0.0), gpus))
            for node in nodes
        )
        most = int(min(most, _times(total - 1.0, cpus)))
        room = (
            f"the cluster has {total:g} CPUs and {total_gpus:g} GPUs; a worker takes {cpus:g} and "
            f"{gpus:g} of them, and one CPU stays free for Ray Data, which hands out the inputs"
        )
        if most < 1:
            raise ClusterError(
                f"there is no room for a worker: {room}. Add a node, start the node with a greater "
                "--num-cpus, or take less for a worker"
            )
        if workers is not None and checks.count("workers", workers) > most:
            raise ValueError(
                f"workers must be at most {most} because {room}; got {workers}. Take fewer workers "
                "or less for each, or start nodes with a greater --num-cpus"
            )
        return cls(workers or most, cpus, gpus)

    @property
    def resources(self) -> dict[str, Any]:
        """The resources of a worker, as options of Ray."""
        return {"num_cpus": self.cpus, "num_gpus": self.gpus}


def _times(whole: float, share: float) -> float:
    return math.inf if share == 0 else math.floor(whole / share + 1e-9)
