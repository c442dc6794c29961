"""Starts one run of certify after the other and kills them at random moments; see test_killed.py.

Run as ``python killer.py KILLS WHOLE FOLDER ARGUMENTS...``: the run into the folder WHOLE is left
alone, those into FOLDER/0, FOLDER/1, ... are killed and resumed until they end, and the last one
when KILLS have been made. Prints how many folders were finished. Each run is a fork of this
process, which has imported everything, so that most of a run's time is spent in the run.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

import sklearn.datasets  # noqa: F401  (imported by the runs)
import torch

import smoothbound.smoothing._run  # noqa: F401
from smoothbound.cli._app import app


def begin(out: Path, arguments: list[str]) -> int:
    """Start a run in a process of its own; return its id."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        app([*arguments, "--out", str(out), "--resume"], standalone_mode=False)
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
        time.sleep(0.005)
    return None


def main() -> None:
    kills, whole, folder = int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
    arguments = sys.argv[4:]
    start = time.monotonic()
    os.waitpid(begin(whole, arguments), 0)
    alone = time.monotonic() - start
    moments = random.Random(0)
    rounds = 0
    while True:
        out = folder / str(rounds)
        fresh, start = not out.exists(), time.monotonic()
        child = begin(out, arguments)
        status = wait(child, moments.uniform(0.0, alone) if kills else float("inf"))
        if status is None:
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            if os.WIFSIGNALED(status):
                kills -= 1
                continue
        assert status == 0, f"a run ended with status {status}"
        rounds += 1
        if fresh:  # the machine was busier when the first run was timed
            alone = min(alone, time.monotonic() - start)
        if not kills:
            print(rounds)
            return


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
