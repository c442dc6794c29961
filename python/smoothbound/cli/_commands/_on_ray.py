"""`certify --ray`: the cluster, its workers, and their jobs."""

from __future__ import annotations

import logging
import math
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from smoothbound._display.console import say
from smoothbound._utils import checks
from smoothbound._utils.extras import name_the_extra
from smoothbound.cli._commands._prepare import prepare
from smoothbound.errors import ClusterError

if TYPE_CHECKING:
    from smoothbound.smoothing._run import PreparedRun
    from smoothbound.store._results import Results

__all__ = ["RayOptions", "certified_on_ray", "with_address"]

_ANY, _LOCAL = "any", "local"
_SECONDS = 5.0  # the longest wait for an answer of a cluster
_OBJECTS = 256 << 20  # bytes for objects of Ray, which are a few numbers for each input


def with_address(args: list[str]) -> list[str]:
    """Return arguments in which --ray has a value, which users may leave out.

    Examples
    --------
    >>> with_address(["--ray", "--n", "5"]), with_address(["--ray", "10.0.0.1:6379"])
    (['--ray', 'any', '--n', '5'], ['--ray', '10.0.0.1:6379'])
    """
    made = []
    for word, following in pairwise([*args, "-"]):
        made += [word, _ANY] if word == "--ray" and following.startswith("-") else [word]
    return made


@dataclass(frozen=True)
class RayOptions:
    """The options of the cluster and its workers, as they were typed."""

    address: str | None
    workers: int | None
    gpus: float | None

    def check(self, *, one_process: bool) -> None:
        """Refuse inconsistent options before anything is loaded.

        Parameters
        ----------
        one_process : bool
            Whether there are options that need a single process.

        Raises
        ------
        ValueError, TypeError
            If options of workers are given without --ray, or options that exclude --ray.
        """
        if self.address is None:
            if self.workers is not None or self.gpus is not None:
                raise ValueError("--workers and --worker-gpus need --ray")
            return
        if one_process:
            raise ValueError(
                "--ray must be left out with --shard, --continue, --salvage, --budget-draws and "
                "--budget-seconds. To mend a damaged run or to finish it in one process, use "
                "--shard 0/1 with or without --salvage; a finished run goes on after "
                "smoothbound merge"
            )
        if self.workers is not None:
            checks.count("workers", self.workers)
        if self.gpus is not None:
            checks.non_negative("worker_gpus", self.gpus)
        if self.address not in (_ANY, _LOCAL):
            _host_and_port(self.address)


def certified_on_ray(options: RayOptions, parts: tuple[Any, ...], out: Path) -> Results:
    """Certify on a cluster.

    Parameters
    ----------
    options : RayOptions
    parts : tuple
        The options of the run, the network last.
    out : Path
        The results folder.
    """
    from smoothbound._display.progress import progress

    cpus = parts[-1].threads or 1
    with _connected(options, cpus) as n_gpus:
        from smoothbound.harness._ray.driver import certify_on_ray

        gpus = options.gpus
        if gpus is None:
            gpus = float(n_gpus > 0 and parts[-1].device != "cpu")
        there = partial(_prepared, parts, out)
        return certify_on_ray(
            out,
            partial(there, look=False),
            first=there,
            workers=options.workers,
            cpus=cpus,
            gpus=gpus,
            progress=progress,
            show=_show,
        )


def _prepared(parts: tuple[Any, ...], out: Path, look: bool = True) -> PreparedRun:
    inputs, draws, question, network = parts
    return prepare(inputs, draws, question, network, out, look=look)[0]


def _show(text: str) -> None:
    say(text.rstrip("\n"), Console(stderr=True))


@contextmanager
def _connected(options: RayOptions, cpus: int) -> Iterator[float]:
    """Connect to a cluster, or start one here; yield its number of GPUs."""
    # Ray would print on the terminal what its dashboard shows.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    with name_the_extra():
        import ray
        import ray.data
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    handler = signal.getsignal(signal.SIGTERM)
    try:
        context = _init(ray, options, cpus, quiet)
        signal.signal(signal.SIGTERM, handler)  # Ray installs one of its own
        resources = ray.cluster_resources()
        n_gpus = float(resources.get("GPU", 0.0))
        page = f"http://{context.dashboard_url}" if context.dashboard_url else "none"
        say(
            f"Ray: {resources.get('CPU', 0.0):g} CPUs, {n_gpus:g} GPUs; dashboard: {page}",
            Console(stderr=True),
        )
        yield n_gpus
    finally:
        ray.shutdown()


def _init(ray: Any, options: RayOptions, cpus: int, quiet: dict[str, Any]) -> Any:
    address = options.address or _ANY
    if address == _ANY:
        address = os.environ.get("RAY_ADDRESS", "auto")
    try:
        if address not in (_LOCAL, "auto"):
            _reach(address)
        if address != _LOCAL:
            return ray.init(address=address, **quiet)
    except (ConnectionError, RuntimeError, SystemExit) as error:
        if address != "auto":
            raise ClusterError(f"the cluster at {address} does not answer: {error}") from error
    wanted = 1 + math.ceil(cpus * (options.workers or 0))  # one CPU stays free for Ray Data
    count = max(os.cpu_count() or 1, wanted)
    return ray.init(address="local", num_cpus=count, object_store_memory=_OBJECTS, **quiet)


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "://" in address:
        raise ValueError(
            f"--ray must be HOST:PORT, such as 10.0.0.1:6379, or local; got {address!r}"
        )
    return host, int(port)


def _reach(address: str) -> None:
    """Refuse at once a cluster that does not answer, because Ray would wait for minutes."""
    try:
        socket.create_connection(_host_and_port(address), _SECONDS).close()
    except OSError as error:
        raise ClusterError(
            f"no cluster answers at {address}: {error}. Start one there by ray start --head, or "
            "state the HOST:PORT that it prints"
        ) from error
