"""Print bytes, files and times of a folder that many shards wrote, by the number of shards.

Run it as `OMP_NUM_THREADS=1 python benchmarks/studies/many_parts.py`. It prints the sizes of what
an input leaves; the times to list 50 000 made-up JPEG files of 500 x 375 pixels as ImageNet, to
decode one, and to force a finished input to the disk. Then it writes runs of 50 000 made-up inputs
in 1 to 1000 shards, with counts of 100 000 scores, as `certify` leaves them: finished, and with all
inputs done but no shard finished ("journals"). `open_folder`, `status`, `merge` and `report` then
read each folder, each in a process of its own; "s" is processor time, so that it holds on a
busy machine too, and "MB of memory" is the greatest that was resident.
`--rows` and `--shards` choose other sizes, and `--tasks` some of the commands.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

import many_rows
from smoothbound import data
from smoothbound.anytime import AnytimeTest, Decide
from smoothbound.store import Shard, Writer
from smoothbound.store._settings import RunSettings
from smoothbound.store._shards.record import SHARDS, RunRecord, write_record
from smoothbound.store._table import packed_counts
from smoothbound.store._table.schema import SKETCH_EDGES, schema

N = 100_000
SIGMA = many_rows.SIGMA
SETTINGS = dataclasses.replace(many_rows.SETTINGS, n=N)
TASKS = {
    "open": many_rows.TASKS["open"],
    "status": "import smoothbound as sb; sb.store.status(folder)",
    "report": 'main("report", folder, "--out", out)',
    "merge": 'main("merge", folder, "--out", out)',
}
Scores = Callable[[np.random.Generator, int], NDArray[np.float64]]
SCORES: dict[str, Scores] = {
    "logistic(7 + N)": lambda rng, n: 1 / (1 + np.exp(-7 - rng.normal(size=n))),
    "Beta(20, 1)": lambda rng, n: rng.beta(20, 1, n),
    "logistic(4 + 1.5 N)": lambda rng, n: 1 / (1 + np.exp(-4 - 1.5 * rng.normal(size=n))),
    "Beta(3, 1.5)": lambda rng, n: rng.beta(3, 1.5, n),
}


def packed(scores: NDArray[np.float64]) -> bytes:
    """Return the packed counts of scores between 0 and 1, as a results folder keeps them."""
    cells = np.minimum(scores * (SKETCH_EDGES - 1), SKETCH_EDGES - 2).astype(int)
    counts = np.bincount(2 * cells + 1, minlength=2 * SKETCH_EDGES - 1)
    return packed_counts.pack(counts.astype(np.uint32))


@cache
def sketches() -> list[bytes]:
    """Return the packed counts of a thousand rows of scores, which all differ."""
    rng = np.random.default_rng(0)
    return [packed(draw(rng, N)) for _ in range(250) for draw in SCORES.values()]


def state_size(draw: Scores, n: int) -> int:
    """Return the bytes of the state of an anytime test after n draws."""
    rng = np.random.default_rng(0)
    test = AnytimeTest([Decide(0.5, radius=SIGMA)], sigma=SIGMA, guess=draw(rng, 10))
    test.update(draw(rng, n))
    return len(test.to_bytes())


def reading(place: Path, rows: int) -> Iterator[str]:
    """Yield lines with the times to list and to decode made-up files of ImageNet."""
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8))
    smooth = np.asarray(coarse.resize((500, 375), Image.Resampling.BICUBIC), float)
    noisy = np.clip(smooth + rng.normal(0, 12, smooth.shape), 0, 255).astype(np.uint8)
    Image.fromarray(noisy).save(place / "one.jpg", quality=90)
    size = (place / "one.jpg").stat().st_size / 1000
    for k in range(1000):
        (place / "val" / f"n{k:08}").mkdir(parents=True)
    for i in range(rows):
        os.link(place / "one.jpg", place / "val" / f"n{i % 1000:08}" / f"{i:08}.JPEG")
    start = time.process_time()
    images = data.load(f"imagenet:{place}")
    yield f"| list {rows} files | {time.process_time() - start:.2f} s |"
    start = time.process_time()
    for i in range(50):
        images[i]
    each = (time.process_time() - start) / 50
    yield f"| decode an image of {size:.0f} kB | {each * 1e3:.1f} ms |"


def appending(folder: Path, rows: int = 200) -> float:
    """Return the seconds to force a finished input to the disk, elapsed."""
    settings = dataclasses.replace(SETTINGS, n_inputs=rows)
    made = made_up(settings).to_pylist()
    with Writer(folder, settings) as writer:
        start = time.perf_counter()
        for row in made:
            writer.append(row)
        return (time.perf_counter() - start) / rows


def made_up(settings: RunSettings) -> pa.Table:
    """Make up the rows of the inputs, with counts of 100 000 scores."""
    made = many_rows.columns(np.asarray(settings.inputs), sketches())
    made["n_draws"] = np.full(settings.n_inputs, N)
    kinds = schema(settings)
    columns = [many_rows.column(made[field.name], field.type) for field in kinds]
    return pa.table(columns, schema=kinds)


def write(folder: Path, rows: int, shards: int, *, finished: bool) -> None:
    """Write a run of made-up inputs in shards."""
    record = RunRecord(shards, "0" * 32, dataclasses.replace(SETTINGS, n_inputs=rows))
    write_record(folder, record)
    for shard in (Shard(i, shards) for i in range(shards)):
        settings = record.of(shard)
        part = folder / SHARDS / f"{shard.name}.node{shard.index // 8}-0badcafe"
        with Writer(part, settings) as writer:
            writer.adopt(made_up(settings))
            if finished:
                writer.finish()


def times(place: Path, args: argparse.Namespace, shards: int, *, finished: bool) -> Iterator[str]:
    """Yield a line for each task."""
    folder = place / "run"
    write(folder, args.rows, shards, finished=finished)
    files = [path for path in folder.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files) / 1e6
    name = f"{shards}" if finished else f"{shards}, journals"
    for task in args.tasks:
        before = sum(os.times()[2:4])
        _, memory = many_rows.run(TASKS[task], folder, place / f"{task}.out")
        seconds = sum(os.times()[2:4]) - before
        yield f"| {name} | {len(files)} | {size:.0f} | {task} | {seconds:.1f} | {memory:.0f} |"


def main() -> None:
    """Print the table of sizes, and a row for each number of shards and command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--shards", type=int, nargs="+", default=[1, 8, 64, 1000])
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--folder", type=Path, help="where to write; by default a temporary one")
    args = parser.parse_args()
    print("| scores | counts of 100 000, kB | state after 300, kB | 2500 | 100 000 |")
    print("|---|---:|---:|---:|---:|")
    for name, draw in SCORES.items():
        sizes = [len(packed(draw(np.random.default_rng(0), N)))]
        sizes += [state_size(draw, n) for n in (300, 2500, N)]
        print(f"| {name} | {' | '.join(f'{size / 1000:.1f}' for size in sizes)} |")
    print("\n| one process | time |\n|---|---:|")
    with tempfile.TemporaryDirectory(dir=args.folder) as place:
        for line in reading(Path(place), args.rows):
            print(line)
        print(f"| force an input to the disk | {appending(Path(place) / 'run') * 1e3:.1f} ms |")
    print("\n| shards | files | MB | task | s | MB of memory |\n|---|---:|---:|---|---:|---:|")
    for shards, finished in product(args.shards, (True, False)):
        with tempfile.TemporaryDirectory(dir=args.folder) as place:
            for line in times(Path(place), args, shards, finished=finished):
                print(line, flush=True)


if __name__ == "__main__":
    main()
