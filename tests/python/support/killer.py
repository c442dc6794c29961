"""Runs certify again and again and kills the runs at random moments; see test_killed.py."""

from __future__ import annotations

import os
import random
import signal
import time
from functools import cache
from pathlib import Path

import torch
import typer
from sklearn import datasets

from smoothbound.cli._app import app

COMMAND = typer.main.get_command(app)  # made once, because that takes a third of a run


def run(words: list[str]) -> int:
    """Run a command, and return its exit status."""
    return COMMAND(words, standalone_mode=False) or 0


def begin(words: list[str]) -> int:
    """Start a command in a process of its own; return its id."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        status = run(words)
    finally:
        os._exit(status)


def wait(child: int, seconds: float) -> int | None:
    """Wait for a run at most so long; return its status if it ended."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        time.sleep(0.001)
    return None


def kill_and_resume(kills: int, whole: Path, folder: Path, arguments: list[str]) -> None:
    """Run certify into the folder `whole`, and into folder/0, folder/1, ... with this many kills.

    The latter are killed and resumed until they end, and the last one when all kills have been
    made. Prints how many folders were finished. Each run after the first is a fork of this process,
    which has run the first, so that a killed run has no data to read and nothing to import or to
    compile.
    """
    torch.set_num_threads(1)
    datasets.load_digits = cache(datasets.load_digits)
    run([*arguments, "--out", str(whole)])
    alone = float("inf")  # seconds that a whole run takes: the first one is not killed
    moments = random.Random(0)
    rounds = 0
    while True:
        out = folder / str(rounds)
        fresh, start = not out.exists(), time.monotonic()
        child = begin([*arguments, "--out", str(out), "--resume"])
        status = wait(child, moments.random() * alone if kills else float("inf"))
        if status is None:
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            if os.WIFSIGNALED(status):
                kills -= 1
                continue
        assert status == 0, f"a run ended with status {status}"
        rounds += 1
        if fresh:  # whole, and perhaps on a less busy machine than those before
            alone = min(alone, time.monotonic() - start)
        if not kills:
            print(rounds)
            return


def kill_shards(kills: int, shards: int, whole: Path, folder: Path, words: list[str]) -> None:
    """Run certify into the folder `whole`, and in shards into folder/0, folder/1, ... with kills.

    Two shards, or twice the same one, run at once until both have ended or a random moment has
    come, at which those that run are killed. When a run is finished, two merges at once write it to
    folder/0/merged, folder/1/merged, ..., and are killed and repeated in the same way. Prints how
    many runs were finished and how many kills were made.
    """
    torch.set_num_threads(1)
    datasets.load_digits = cache(datasets.load_digits)
    assert run([*words, "--out", str(whole)]) == 0  # warms up; a second run takes less
    start = time.monotonic()
    assert wait(begin([*words, "--out", str(folder / "alone")]), float("inf")) == 0
    alone, moments, made, rounds = time.monotonic() - start, random.Random(0), 0, 0
    while made < kills:
        out = folder / str(rounds)
        shard = [
            [*words, "--out", str(out / "run"), "--shard", f"{i}/{shards}"] for i in range(shards)
        ]
        merge = ["merge", str(out / "run"), "--out", str(out / "merged")]
        left, longest = shard, alone
        while left:
            pair = moments.choices(left, k=2)
            ended, killed = _at_once(pair, moments.random() * longest)
            left = [one for one in left if one not in ended]
            made, longest = made + killed, 1.1 * longest  # all end, also on a busier machine
        ended, longest = [], alone / 4
        while not ended:
            ended, killed = _at_once([merge, merge], moments.random() * longest)
            made, longest = made + killed, 1.1 * longest
        assert wait(begin(merge), float("inf")) == 0  # deletes what the killed one left
        rounds += 1
    print(rounds, made)


def _at_once(pair: list[list[str]], seconds: float) -> tuple[list[list[str]], int]:
    """Run two commands at once for so long; return those that have ended, and how many were killed.

    A shard that runs twice ends with an error.
    """
    children, end = [begin(words) for words in pair], time.monotonic() + seconds
    ended, killed = [], 0
    for words, child in zip(pair, children, strict=True):
        status = wait(child, end - time.monotonic())
        if status is None:
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            killed += 1
        elif os.waitstatus_to_exitcode(status) == 0:
            ended.append(words)
        else:
            assert os.waitstatus_to_exitcode(status) == 2, f"a command ended with {status}"
            assert pair[0] == pair[1], "only a shard that runs twice may be refused"
    return ended, killed
