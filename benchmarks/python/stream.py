"""Certify a file that is larger than the memory it may take, and compare with np.sum over it.

    python benchmarks/python/stream.py [--inputs 1000000] [--draws 1000] [--folder /tmp]

Writes inputs x draws float32 scores (4 GB) to a .npy file, deleted at the end, then lets np.sum
over the mapped file and `smoothbound bounds` with its defaults, with one thread, and with one
thread and a single radius take turns, and prints the least times. All find the
file in the page cache. Processor time is that of all threads, to start Python included.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

import numpy as np
import pyarrow.parquet as pq

import smoothbound as sb
from smoothbound.cli._options import default_radii

SIGMA, ROUNDS, ROWS = 0.25, 3, 10_000
SUM, BOUNDS = "np.sum", "smoothbound bounds"
COMMANDS: dict[str, list[str]] = {
    f"{BOUNDS} --threads 1 --radii 0.25": ["--threads", "1", "--radii", "0.25"],
    f"{BOUNDS} --threads 1": ["--threads", "1"],
    BOUNDS: [],  # the last: its output is checked
}


def write(path: Path, n_inputs: int, n_draws: int) -> None:
    """Scores of inputs from hard to easy: row i is Beta(k_i, 1), k_i from 0.2 to 20."""
    random = np.random.default_rng(0)
    scores = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(n_inputs, n_draws))
    for start in range(0, n_inputs, ROWS):
        part = scores[start : start + ROWS]
        k = random.uniform(0.2, 20, size=(len(part), 1)).astype(np.float32)
        part[:] = random.random(part.shape, dtype=np.float32) ** (1 / k)
    scores.flush()


def processor_time() -> float:
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


@contextmanager
def timed(times: list[tuple[float, float]]) -> Iterator[None]:
    """Append the elapsed time and the processor time of what is done in it."""
    start, used = perf_counter(), processor_time()
    yield
    times.append((perf_counter() - start, processor_time() - used))


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


def certify(path: Path, out: Path, options: list[str]) -> float:
    """Certify the file; returns the greatest resident memory in MB."""
    out.unlink(missing_ok=True)
    arguments = ["bounds", path, "--sigma", SIGMA, "--out", out, *options]
    command = [sys.executable, "-c", COMMAND, *map(str, arguments)]
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
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in (SUM, *COMMANDS)}
        memory = 0.0
        sum_of(path)  # reads it into the page cache
        for _ in range(ROUNDS):
            with timed(times[SUM]):
                sum_of(path)
            for name, arguments in COMMANDS.items():
                with timed(times[name]):
                    memory = max(memory, certify(path, out, arguments))
        check(path, out)
        size = path.stat().st_size
    print(f"{options.inputs} inputs x {options.draws} draws, {size / 1e9:.1f} GB")
    sum_elapsed, sum_processor = map(min, zip(*times[SUM], strict=True))
    for name, taken in times.items():
        elapsed, processor = map(min, zip(*taken, strict=True))
        print(
            f"{name:42s} {elapsed:6.2f} s, {elapsed / sum_elapsed:5.1f} x np.sum; "
            f"processor {processor:6.2f} s, {processor / sum_processor:5.1f} x"
        )
    print(f"resident memory at most {memory:.0f} MB")


if __name__ == "__main__":
    main()
