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


def run(out: Path, arguments: list[str]) -> None:
    """Begin a run, or go on with it."""
    COMMAND([*arguments, "--out", str(out), "--resume"], standalone_mode=False)


def begin(out: Path, arguments: list[str]) -> int:
    """Start a run in a process of its own; return its id."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        run(out, arguments)
        status = 0
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
    run(whole, arguments)
    alone = float("inf")  # seconds that a whole run takes: the first one is not killed
    moments = random.Random(0)
    rounds = 0
    while True:
        out = folder / str(rounds)
        fresh, start = not out.exists(), time.monotonic()
        child = begin(out, arguments)
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
