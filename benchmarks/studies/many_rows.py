"""Print time and memory of everything that reads a results folder, by the number of its rows.

Run it as `OMP_NUM_THREADS=1 python benchmarks/studies/many_rows.py`. It writes runs of made-up
inputs at 17 radii by three methods, and reads each with the commands and calls below, each in a
process of its own. "MB" is the greatest resident memory of that process, the start of Python and
its imports included. The run of 10 000 000 rows takes 5 GB on the disk; `--rows 10000 100000`
leaves it out. `--scores` adds counted scores to the rows, for what reads them, and `--shards 1000`
writes the run in shards, which `merge` and `report` read. Time is elapsed, and
the files are in the page cache as far as memory goes.
"""

from __future__ import annotations

import argparse
import dataclasses
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.special import ndtr

from smoothbound._files import sealed
from smoothbound._utils.radii import default_radii
from smoothbound.bounds._method import Method
from smoothbound.noise._record import NoiseRecord
from smoothbound.store._settings import RunSettings
from smoothbound.store._shards.record import SHARDS, RunRecord, write_record
from smoothbound.store._shards.shard import Shard
from smoothbound.store._table import packed_counts
from smoothbound.store._table.schema import SKETCH_EDGES, schema

SIGMA, N, PART, CLASSES = 0.25, 10_000, 20_000, 1000
ROWS = (10_000, 100_000, 1_000_000, 10_000_000)
SETTINGS = RunSettings(
    sigma=SIGMA,
    alpha=1e-3,
    n0=100,
    n=N,
    seed=0,
    measure="score",
    score_range=(0.0, 1.0),
    cutoff=0.5,
    outputs="logits",
    methods=(Method("mean"), Method("cdf", "dkw"), Method("cdf", "ell")),
    radii=tuple(default_radii(SIGMA)),
    thresholds=(0.5,),
    data="imagenet",
    split="test",
    skip=1,
    max_inputs=None,
    n_inputs=1,
    arch="resnet50",
    checkpoint="resnet50.pt",
    checkpoint_sha256="0" * 64,
    noise=NoiseRecord(kind="lattice", sigma=SIGMA, seed=0, grid=255),
    device="cuda",
    batch_size=1000,
    precision="float32",
    channels_last=True,
    compile=None,
    versions={"smoothbound": "made up"},
    select="score",
)

# What reads a folder; each is run as a program with the folder and a file to write.
TASKS = {
    "open": "import smoothbound as sb; sb.store.open_folder(folder).close()",
    "filter": """
import smoothbound as sb
with sb.store.open_folder(folder) as stored:
    tests = [("status", "=", "certified"), ("class_radius", ">", 0.5)]
    print(sum(len(part) for part in stored.batches(["index"], tests)))
""",
    "report": 'main("report", folder, "--out", out)',
    "export csv": 'main("export", folder, "--format", "csv", "--out", out + ".csv")',
    "export latex": 'main("export", folder, "--format", "latex", "--out", out + ".tex")',
}
WITH_SCORES = {
    "sketch": """
import smoothbound as sb
with sb.store.open_folder(folder) as stored:
    print(sum(int(one.n_draws.sum()) for one in stored.sketches()))
""",
    "recertify": 'main("recertify", folder, "--radii", "0,0.25", "--out", out)',
    "verify": 'main("verify", folder)',
    "report": TASKS["report"],
}
IN_SHARDS = {"merge": 'main("merge", folder, "--out", out + "-merged")', "report": TASKS["report"]}
PROGRAM = """
import pathlib, re, sys

def main(*words):
    from smoothbound.cli import main
    sys.argv[1:] = words
    try:
        main()
    except SystemExit as end:
        assert end.code in (None, 0, 1), end.code  # 1: made-up bounds do not fit the counts

folder, out = sys.argv[1:]
{task}
status = pathlib.Path("/proc/self/status").read_text()
print(re.search(r"VmHWM:\\s*(\\d+)", status)[1])
"""


def counts_of(shape: float, rng: np.random.Generator) -> bytes:
    """Return packed counts of N scores around a mean, in some hundred cells."""
    counts = np.zeros(2 * SKETCH_EDGES - 1, np.uint32)
    scores = np.round(rng.beta(shape, 1.0, N) * 100) / 100
    cells = np.minimum((scores * (SKETCH_EDGES - 1)).astype(int), SKETCH_EDGES - 2)
    np.add.at(counts, 2 * cells + 1, 1)
    return packed_counts.pack(counts)


def columns(index: NDArray[np.int64], sketches: list[bytes] | None) -> dict[str, Any]:
    """Make up the results of inputs."""
    n = len(index)
    rng = np.random.default_rng([1, index[0]])
    z = rng.normal(1.5, 1.2, n)
    label = rng.integers(CLASSES, size=n)
    selected = np.where(rng.uniform(size=n) < 0.75, label, rng.integers(CLASSES, size=n))
    r = np.array(SETTINGS.radii) / SIGMA
    found: dict[str, Any] = {}
    for slack, method in zip((0.3, 0.1, 0.02), SETTINGS.methods, strict=True):
        found[f"lower_{method.name}"] = ndtr(z[:, None] - slack - r)
        reach = SIGMA * (z - slack)
        found[f"radius_{method.name}"] = np.where(reach >= 0.0, reach, np.nan)[:, None]
    certified = found[f"lower_{SETTINGS.methods[-1].name}"][:, 0] > 0.5
    packed = [b""] * n
    if sketches is not None:
        packed = [sketches[i] for i in rng.integers(len(sketches), size=n)]
    return found | {
        "index": index,
        "label": label,
        "selected": selected,
        "predicted": np.where(certified, selected, -1),
        "status": np.where(certified, "certified", "abstained"),
        "reason": np.where(certified, "", "below the cut-off"),
        "class_radius": np.where(z > 0.0, SIGMA * z, np.nan),
        "n_selection": np.full(n, SETTINGS.n0),
        "n_draws": np.full(n, N if sketches is not None else 0),
        "top_count": (N * ndtr(z)).astype(np.int64),
        "mean_score": ndtr(z),
        "sketch": packed,
        "seconds": np.full(n, 0.1),
        "digest": [bytes(16)] * n,
        "state": [b""] * n,
    }


def write(folder: Path, rows: int, *, scores: bool, shards: int = 0) -> None:
    """Write a finished run of made-up inputs, in shards if there are any."""
    rng = np.random.default_rng(0)
    sketches = [counts_of(shape, rng) for shape in np.geomspace(0.5, 50, 200)] if scores else None
    settings = dataclasses.replace(SETTINGS, n_inputs=rows)
    if not shards:
        _write_part(folder, settings, sketches)
        return
    record = write_record(folder, RunRecord(shards, "0" * 32, settings))
    for i in range(shards):
        shard = Shard(i, shards)
        _write_part(folder / SHARDS / f"{shard.name}.node", record.of(shard), sketches)


def _write_part(folder: Path, settings: RunSettings, sketches: list[bytes] | None) -> None:
    kinds, inputs = schema(settings), np.asarray(settings.inputs)
    plain: dict[str, Any] = {"use_dictionary": ["status", "reason", "label", "selected"]}
    with sealed.writing(folder / "results.parquet", kinds, compression="lz4", **plain) as put:
        for start in range(0, len(inputs), PART):
            made = columns(inputs[start : start + PART], sketches)
            put(pa.table([column(made[field.name], field.type) for field in kinds], schema=kinds))


def column(values: Any, kind: pa.DataType) -> Any:
    """Return values as a column of a type; arrays with two axes are fixed-size lists."""
    if isinstance(values, np.ndarray) and values.ndim == 2:
        flat: NDArray[np.float64] = values.ravel()
        return pa.FixedSizeListArray.from_arrays(pa.array(flat), type=kind)
    return pa.array(values, kind)


def run(task: str, folder: Path, out: Path) -> tuple[float, float]:
    """Run a task in a process of its own; return seconds and MB."""
    code = PROGRAM.format(task=task)
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder), str(out)], stdout=subprocess.PIPE, check=True
    )
    return time.perf_counter() - start, int(done.stdout.split()[-1]) / 1024


def main() -> None:
    """Print a row for each task and number of rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=list(ROWS))
    parser.add_argument("--scores", action="store_true", help="rows with counted scores")
    parser.add_argument("--shards", type=int, default=0, help="of how many shards the run is")
    parser.add_argument("--tasks", nargs="+", help="by default all")
    parser.add_argument("--folder", type=Path, help="where to write; by default a temporary one")
    args = parser.parse_args()
    tasks = IN_SHARDS if args.shards else WITH_SCORES if args.scores else TASKS
    print("| rows | file, GB | task | s | MB |\n|---:|---:|---|---:|---:|")
    for rows in args.rows:
        with tempfile.TemporaryDirectory(dir=args.folder) as place:
            folder, out = Path(place) / "run", Path(place) / "out"
            write(folder, rows, scores=args.scores, shards=args.shards)
            size = sum(one.stat().st_size for one in folder.rglob("*.parquet")) / 1e9
            for name in args.tasks or tasks:
                seconds, memory = run(tasks[name], folder, out)
                print(
                    f"| {rows} | {size:.2f} | {name} | {seconds:.1f} | {memory:.0f} |", flush=True
                )


if __name__ == "__main__":
    main()
