"""Certify a file that is larger than the memory it may take, and compare with np.sum over it.

The file has 1 000 000 x 1 000 float32 scores (4 GB), or 1 000 rows if time is not measured. It lies
in pytest's `--basetemp`. `smoothbound bounds` runs in its own process, so the clock is elapsed time
and includes the start of Python. The file is in the page cache for all of them.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import numpy as np
import pyarrow.parquet as pq
import pytest

import smoothbound as sb
from measure import SIGMA, Measure
from smoothbound._utils.radii import default_radii

N_INPUTS, N_INPUTS_UNTIMED, N_DRAWS, ROWS = 1_000_000, 1_000, 1_000, 10_000
COMMANDS: dict[str, list[str]] = {
    "np.sum over the file": [],
    "smoothbound bounds": [],
    "with --threads 1": ["--threads", "1"],
    "with --threads 1 --radii 0.25": ["--threads", "1", "--radii", "0.25"],
}


def write(path: Path, n_inputs: int, n_draws: int) -> None:
    """Write scores of inputs from hard to easy: row i is Beta(k_i, 1), k_i from 0.2 to 20."""
    random = np.random.default_rng(0)
    scores = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(n_inputs, n_draws))
    for start in range(0, n_inputs, ROWS):
        part = scores[start : start + ROWS]
        k = random.uniform(0.2, 20, size=(len(part), 1)).astype(np.float32)
        part[:] = random.random(part.shape, dtype=np.float32) ** (1 / k)
    scores.flush()


def sum_of(path: Path) -> float:
    return float(np.sum(np.load(path, mmap_mode="r")))


# Runs the command line in a process that prints its greatest resident memory, in kB. getrusage()
# here would also count the memory that this process held when it started the other one.
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


def check(path: Path, out: Path, radii: Sequence[float]) -> None:
    """Check that the last rows are those that Python computes."""
    scores = np.load(path, mmap_mode="r")[-100:]
    expected = sb.certify_scores(scores, sigma=SIGMA, radii=radii, thresholds=[0.5])
    found = pq.ParquetFile(out).read(columns=["lower"])["lower"]
    assert len(found) == len(np.load(path, mmap_mode="r"))
    assert np.array_equal(np.array(found[-100:].to_pylist()), expected.lower)


@pytest.fixture(scope="module")
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    untimed = request.config.getoption("benchmark_disable")
    path = tmp_path_factory.mktemp("files") / "scores.npy"
    write(path, N_INPUTS_UNTIMED if untimed else N_INPUTS, N_DRAWS)
    sum_of(path)  # reads it into the page cache
    return path


@pytest.mark.benchmark(group="A file of 4 GB, s", timer=perf_counter)
@pytest.mark.parametrize("how", COMMANDS)
def test_file(measure: Measure, path: Path, tmp_path: Path, how: str) -> None:
    cell = {"row": how, "column": "elapsed", "unit": "s", "rounds": 3}
    if how.startswith("np.sum"):
        assert measure(sum_of, path, **cell) > 0
        return
    out = tmp_path / "bounds.parquet"
    megabytes = measure(certify, path, out, COMMANDS[how], **cell)
    measure.benchmark.extra_info["resident MB"] = megabytes
    check(path, out, [0.25] if "--radii" in COMMANDS[how] else default_radii(SIGMA))
