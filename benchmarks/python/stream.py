"""Certify a file that is larger than the memory it may take, and compare with np.sum over it.

    python benchmarks/python/stream.py [--inputs 1000000] [--draws 1000] [--folder /tmp]

Writes inputs x draws float32 scores (4 GB) to a .npy file, deleted at the end, then lets np.sum
over the mapped file and `smoothbound bounds` with its defaults take turns, and prints the medians.
Both find the file in the page cache.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
import pyarrow.parquet as pq

import smoothbound as sb
from smoothbound.cli.options import default_radii

SIGMA, ROUNDS, ROWS = 0.25, 3, 10_000


def write(path: Path, n_inputs: int, n_draws: int) -> None:
    """Scores of inputs from hard to easy: row i is Beta(k_i, 1), k_i from 0.2 to 20."""
    random = np.random.default_rng(0)
    scores = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(n_inputs, n_draws))
    for start in range(0, n_inputs, ROWS):
        part = scores[start : start + ROWS]
        k = random.uniform(0.2, 20, size=(len(part), 1)).astype(np.float32)
        part[:] = random.random(part.shape, dtype=np.float32) ** (1 / k)
    scores.flush()


def sum_of(path: Path) -> float:
    return float(np.sum(np.load(path, mmap_mode="r")))


# The command line in a process that tells its greatest resident memory, in kB: getrusage() would
# count what this process held when it started that one.
COMMAND = """
import atexit, pathlib, re
from smoothbound.cli import main
status = pathlib.Path("/proc/self/status")
atexit.register(lambda: print(*re.findall(r"VmHWM:\\s*(\\d+)", status.read_text())))
main()
"""


def certify(path: Path, out: Path) -> float:
    """Certify the file; returns the greatest resident memory in MB."""
    out.unlink(missing_ok=True)
    options = ["bounds", path, "--sigma", SIGMA, "--out", out]
    command = [sys.executable, "-c", COMMAND, *map(str, options)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout.split()[-1]) / 1e3


def check(path: Path, out: Path) -> None:
    """The last rows are those that Python computes."""
    scores = np.load(path, mmap_mode="r")[-100:]
    radii = default_radii(SIGMA)
    expected = sb.certify_scores(scores, sigma=SIGMA, radii=radii, thresholds=[0.5])
    found = pq.ParquetFile(out).read(columns=["lower"])["lower"]
    assert len(found) == len(np.load(path, mmap_mode="r"))
    assert np.array_equal(np.array(found[-100:].to_pylist()), expected.lower)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--draws", type=int, default=1_000)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path, out = Path(folder) / "scores.npy", Path(folder) / "bounds.parquet"
        write(path, options.inputs, options.draws)
        times: dict[str, list[float]] = {"np.sum": [], "smoothbound bounds": []}
        memory = [0.0]
        sum_of(path)  # reads it into the page cache
        for _ in range(ROUNDS):
            start = perf_counter()
            sum_of(path)
            times["np.sum"].append(perf_counter() - start)
            start = perf_counter()
            memory.append(certify(path, out))
            times["smoothbound bounds"].append(perf_counter() - start)
        check(path, out)
        size = path.stat().st_size
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = (usage.ru_utime + usage.ru_stime) / ROUNDS
    seconds = {name: statistics.median(taken) for name, taken in times.items()}
    print(f"{options.inputs} inputs x {options.draws} draws, {size / 1e9:.1f} GB")
    for name, taken in seconds.items():
        print(f"{name:20s} {taken:6.2f} s, {taken / seconds['np.sum']:5.1f} x np.sum")
    print(f"processor time {processor:.2f} s, resident memory at most {max(memory):.0f} MB")


if __name__ == "__main__":
    main()
