"""Simulate the certification of ImageNet's validation set on many GPUs, some of which are lost.

Run it as `python benchmarks/studies/scale.py`. It prints the tables of docs/scale.md: without
losses, and with workers that are lost, where expectations in closed form are beside the means of
simulated runs. `--inputs`, `--rate`, `--start`, `--workers` and `--runs` change the assumptions,
each of which has its source on that page.

A worker is a process with one GPU. It starts, then certifies inputs one after the other. A lost
worker loses the draws of its input, is away for a while, and starts again. Inputs are either dealt
to the workers beforehand, the k-th to worker k mod n as by `--shard`, or handed out one by one.
"""

from __future__ import annotations

import argparse
import heapq
import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

INPUTS = 50_000
WORKERS = (1, 8, 64, 1000)
RATE = 5088.0  # draws a second of one GPU
START = 60.0  # seconds from the start of a process to its first draw
MOST = 100_100  # draws of an input, with those that select its class
HOUR = 3600.0
Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Losses:
    """How workers are lost: at a constant rate while they hold a GPU.

    Attributes
    ----------
    name : str
        How often, in words.
    up : float
        Mean number of seconds that a worker holds a GPU until it is lost.
    away : float
        Seconds until its process starts again.
    """

    name: str
    up: float
    away: float


@dataclass(frozen=True)
class Draws:
    """How many draws an input takes: a made-up distribution with measured shares and means.

    A share of the inputs is certified, after a number of draws whose logarithm is normal. The
    others are given up after a number that is exponential. No input takes more than `MOST`.

    Attributes
    ----------
    name : str
    share : float
        Of the inputs that are certified.
    median, mean : float
        Of the draws of certified inputs.
    other : float
        Mean draws of the other inputs.
    """

    name: str
    share: float
    median: float
    mean: float
    other: float

    def sample(self, n: int, rng: np.random.Generator) -> Vector:
        """Return the draws of n inputs."""
        width = math.sqrt(2.0 * math.log(self.mean / self.median))
        certified = self.median * np.exp(width * rng.normal(size=n))
        other = self.other * rng.exponential(size=n)
        taken = np.where(rng.uniform(size=n) < self.share, certified, other)
        return np.minimum(np.ceil(taken), MOST)


FIXED = Draws("n = 100 000", 1.0, MOST, MOST, MOST)
# CIFAR-10, c = 0.5: the tables of benchmarks/README.md.
NEAR = Draws("anytime, R = σ", 0.39, 115, 18928 / 39, 188)
FAR = Draws("anytime, R = 3 σ", 0.09, 18991, 222085 / 9, 325)
RATES = {  # published images a second of ResNet-50; docs/scale.md has the sources
    "V100, PyTorch, float32": 1261.0,
    "V100, PyTorch, mixed precision": 3382.0,
    "RTX 4090, PyTorch, mixed precision": RATE,
    "H100, TensorRT, MLPerf": 88714.3,
}
QUIET = Losses("never", 1e15, 0.0)
LOSSES = (Losses("4 h", 4 * HOUR, 600.0), Losses("30 min", HOUR / 2, 600.0))


class Timeline(NamedTuple):
    """What became of a run: seconds, of all workers together where nothing else is said."""

    ends: Vector  # of each worker: when it ended its last input
    held: float  # with a GPU: starting and drawing
    wasted: float  # of these, until a loss: draws and starts that were lost, and starts again
    losses: int  # number of lost workers


class _Run:
    """A run on several workers, event by event."""

    def __init__(
        self, seconds: Vector, n: int, start: float, losses: Losses, *, rng: np.random.Generator
    ) -> None:
        self.seconds, self.start, self.losses, self.rng = seconds, start, losses, rng
        self.left = rng.exponential(losses.up, n)  # of each worker until it is lost
        self.held = self.wasted = 0.0
        self.n_lost = 0

    def ready(self, time: float, worker: int) -> float:
        """Start a worker; return the time of its first draw."""
        while not self.survives(worker, self.start):
            time += self.lose(worker) + self.losses.away
        return time + self.start

    def survives(self, worker: int, seconds: float) -> bool:
        """Return whether a worker lives for so long, and let it if it does."""
        if self.left[worker] < seconds:
            return False
        self.left[worker] -= seconds
        self.held += seconds
        return True

    def lose(self, worker: int) -> float:
        """Return after how many seconds a worker is lost, and forget them."""
        after = float(self.left[worker])
        self.held += after
        self.wasted += after
        self.n_lost += 1
        self.left[worker] = self.rng.exponential(self.losses.up)
        return after

    def timeline(self, queues: list[deque[int]]) -> Timeline:
        """Certify all inputs; each worker takes them from its queue, which may be that of all."""
        n = len(queues)
        ends, idle = np.zeros(n), []
        events = [(self.ready(0.0, worker), worker, -1) for worker in range(n)]
        heapq.heapify(events)
        while events:
            time, worker, lost = heapq.heappop(events)
            if lost >= 0:
                queues[worker].appendleft(lost)
                if idle and queues[idle[-1]] is queues[worker]:
                    heapq.heappush(events, (time, idle.pop(), -1))
                again = self.ready(time + self.losses.away, worker)
                self.wasted += self.start
                heapq.heappush(events, (again, worker, -1))
            elif not queues[worker]:
                idle.append(worker)
            elif self.survives(worker, self.seconds[item := queues[worker].popleft()]):
                ends[worker] = time + self.seconds[item]
                heapq.heappush(events, (ends[worker], worker, -1))
            else:
                heapq.heappush(events, (time + self.lose(worker), worker, item))
        return Timeline(ends, self.held, self.wasted, self.n_lost)


def simulate(
    seconds: Vector,
    workers: int,
    start: float,
    losses: Losses,
    rng: np.random.Generator,
    *,
    dealt: bool,
) -> Timeline:
    """Simulate a run of inputs that take so many seconds.

    Parameters
    ----------
    seconds : ndarray, shape (n_inputs,)
        Time of each input on one GPU.
    workers : int
    start : float
        Seconds from the start of a process to its first draw.
    losses : Losses
    rng : numpy.random.Generator
    dealt : bool
        Whether the k-th input belongs to worker k mod n; otherwise a worker gets the next input
        whenever it has ended one.

    Returns
    -------
    Timeline
    """
    inputs = range(len(seconds))
    if dealt:
        queues = [deque(inputs[worker::workers]) for worker in range(workers)]
    else:
        queues = [deque(inputs)] * workers
    return _Run(seconds, workers, start, losses, rng=rng).timeline(queues)


def expected(seconds: Vector, start: float, losses: Losses) -> float:
    """Return the mean time until a worker has certified inputs that take so many seconds.

    A loss falls within t seconds with probability 1 - exp(-t/u) for the mean time u between losses.
    What takes t seconds therefore fails exp(t/u) - 1 times on average until it succeeds once, which
    takes u (exp(t/u) - 1) seconds without the times between loss and next attempt. These are
    the time away and, for an input, that of a start with its own losses.
    """
    up, away = losses.up, losses.away
    first = math.expm1(start / up) * (up + away)
    return first + float(np.expm1(seconds / up).sum()) * (up + away + first)


def expected_held(seconds: Vector, start: float, losses: Losses) -> float:
    """Return the mean time that the worker of `expected` holds a GPU."""
    return expected(seconds, start, Losses(losses.name, losses.up, 0.0))


def over_shards(value: Callable[[Vector], float], seconds: Vector, workers: int) -> Vector:
    """Return a value of each shard, from the seconds of its inputs."""
    return np.array([value(seconds[worker::workers]) for worker in range(workers)])


def expectations(seconds: Vector, workers: int, start: float, losses: Losses) -> tuple[str, str]:
    """Return the expected GPU hours of a run in shards, and the expected end of a shard."""
    held = over_shards(lambda own: expected_held(own, start, losses), seconds, workers)
    end = over_shards(lambda own: expected(own, start, losses), seconds, workers)
    return f"{held.sum() / HOUR:.3g}", words(end.mean())


def words(seconds: float) -> str:
    """Return a duration with three digits or fewer.

    Examples
    --------
    >>> words(42.0), words(984.4), words(123456.0), words(983686.0)
    ('42 s', '16.4 min', '34.3 h', '11.4 d')
    """
    for size, unit in ((24 * HOUR, "d"), (HOUR, "h"), (60.0, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.0f} s"


def of_all(kind: Draws, args: argparse.Namespace) -> Vector:
    """Return the draws of all inputs."""
    return kind.sample(args.inputs, np.random.default_rng(0))


def cards_table(args: argparse.Namespace) -> Iterator[str]:
    """Yield the lines of the table of the time of one GPU at published rates, without starts."""
    kinds = (FIXED, FAR, NEAR)
    yield f"| GPU | images a second | {' | '.join(kind.name for kind in kinds)} |"
    yield "|---|" + "---:|" * (1 + len(kinds))
    for name, rate in RATES.items():
        times = [words(of_all(kind, args).sum() / rate) for kind in kinds]
        yield f"| {name} | {rate:.0f} | {' | '.join(times)} |"


def quiet_table(args: argparse.Namespace) -> Iterator[str]:
    """Yield the lines of the table without losses: nothing of it is simulated."""
    yield "| draws of an input | draws | GPUs | GPU hours | mean shard | last shard | handed out |"
    yield "|---|" + "---:|" * 6
    for kind in (FIXED, FAR, NEAR):
        draws = of_all(kind, args)
        seconds = draws / args.rate
        for workers in args.workers:
            ends = over_shards(np.sum, seconds, workers) + args.start
            rng = np.random.default_rng(0)
            shared = simulate(seconds, workers, args.start, QUIET, rng, dealt=False)
            yield (
                f"| {kind.name} | {draws.sum() / 1e6:.4g} million | {workers} | "
                f"{ends.sum() / HOUR:.3g} | {words(ends.mean())} | {words(ends.max())} | "
                f"{words(shared.ends.max())} |"
            )


def losses_table(args: argparse.Namespace) -> Iterator[str]:
    """Yield the lines of the table with losses: means over the simulated runs."""
    yield (
        "| draws of an input | lost every | GPUs | workers lost | GPU hours, expected | "
        "simulated | wasted | mean shard, expected | simulated | last shard | handed out |"
    )
    yield "|---|---|" + "---:|" * 9
    for kind in (FIXED, FAR):
        seconds = of_all(kind, args) / args.rate
        for losses in LOSSES:
            for workers in args.workers:
                row = " | ".join(cells(seconds, workers, losses, args))
                yield f"| {kind.name} | {losses.name} | {workers} | {row} |"


def cells(seconds: Vector, workers: int, losses: Losses, args: argparse.Namespace) -> list[str]:
    """Return the other cells of a row of the table with losses."""
    rng = np.random.default_rng([workers, int(losses.up)])
    dealt, shared = (
        [simulate(seconds, workers, args.start, losses, rng, dealt=way) for _ in range(args.runs)]
        for way in (True, False)
    )
    held, end = expectations(seconds, workers, args.start, losses)
    simulated = np.mean([one.held for one in dealt])
    return [
        f"{np.mean([one.losses for one in dealt]):.3g}",
        held,
        f"{simulated / HOUR:.3g}",
        f"{100 * np.mean([one.wasted for one in dealt]) / simulated:.2g} %",
        end,
        words(float(np.mean([one.ends.mean() for one in dealt]))),
        words(float(np.mean([one.ends.max() for one in dealt]))),
        words(float(np.mean([one.ends.max() for one in shared]))),
    ]


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """Return the assumptions."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=INPUTS)
    parser.add_argument("--workers", type=int, nargs="+", default=list(WORKERS))
    parser.add_argument("--rate", type=float, default=RATE, help="draws a second of one GPU")
    parser.add_argument("--start", type=float, default=START, help="seconds until the first draw")
    parser.add_argument("--runs", type=int, default=20, help="simulated runs of each row")
    return parser.parse_args(words)


def main() -> None:
    """Print the tables."""
    args = arguments()
    for table in (cards_table(args), quiet_table(args), losses_table(args)):
        for line in table:
            print(line, flush=True)
        print()


if __name__ == "__main__":
    main()
