"""Run every benchmark of the bounds engine and print the tables of benchmarks/README.md.

    python benchmarks/python/tables.py          # some ten minutes; a file of 4 GB for a while

One thread each, where a table does not say otherwise.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
SMALL = ["-m", "pytest", HERE / "test_small.py", "--benchmark-only"]
SMALL += ["--benchmark-columns=min,median", "--quiet"]
RUNS: dict[str, list[str | Path]] = {
    "Bounds": [HERE / "ratios.py"],
    "Sketches": [HERE / "test_sketch.py"],
    "Small calls": SMALL,
    "Large files": [HERE / "stream.py"],
    "Noise": [HERE / "test_noise.py"],
    "Sampler": [HERE / "test_sampler.py"],
    "Tightness": [HERE / "tightness.py"],
}


def main() -> None:
    failed = []
    for title, arguments in RUNS.items():
        print(f"\n## {title}", flush=True)
        done = subprocess.run(
            [sys.executable, *arguments], env=os.environ | ONE_THREAD, check=False
        )
        if done.returncode:
            failed.append(title)
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
