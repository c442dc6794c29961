"""What the steps of the check share: their options, and lines of JSON that are written at once.

    python records.py --out results.jsonl          # records the machine
    python records.py --out results.jsonl --core   # records the core that was built

Every line has the name of its step. A check that is cut short has then still told what it found.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from smoothbound.data import Dataset

SKIPPED = 77  # the exit code of a step that cannot run here


@dataclass(frozen=True)
class Step:
    """A step of the check: where it writes, and how much it does."""

    name: str
    path: Path
    small: bool
    data: str | None

    @property
    def device(self) -> torch.device:
        return torch.device("cpu" if self.small else "cuda")

    def write(self, **values: Any) -> None:
        """Append a line to the results, and print it."""
        line = json.dumps({"step": self.name} | values)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())
        print(line, flush=True)

    def images(self, split: str, count: int | None = None) -> Dataset | None:
        """Return the images that were given; None, with the reason written, if there are none."""
        why = "no --data was given"
        if self.data is not None:
            import smoothbound as sb
            from smoothbound.train._batches import some

            try:
                found = sb.data.load(self.data, split)
                return found if count is None else some(found, count, seed=0)
            except (sb.errors.DataError, ImportError, ValueError) as error:
                why = str(error)
        self.write(what="no data", split=split, why=why)
        return None


def step(name: str, /, **more: dict[str, Any]) -> tuple[Step, argparse.Namespace]:
    """Read the options of a step; `more` are further options with their settings."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True, help="the file of the results")
    parser.add_argument("--small", action="store_true", help="small numbers, on the CPU")
    parser.add_argument("--data", help="images, such as cifar10:DIR")
    for option, settings in more.items():
        parser.add_argument(f"--{option}", **settings)
    given = parser.parse_args()
    return Step(name, given.out, given.small, given.data), given


def seconds_a_call(run: Callable[[], object], device: torch.device, at_least: float) -> float:
    """Time a call that queues work, by calling it again and again for some time."""
    run()
    times = 1
    while True:
        wait_for(device)
        start = perf_counter()
        for _ in range(times):
            run()
        wait_for(device)
        elapsed = perf_counter() - start
        if elapsed >= at_least:
            return elapsed / times
        times = max(2 * times, int(1.2 * times * at_least / max(elapsed, 1e-6)))


def wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def rounded(value: float) -> float:
    """Return four digits of a number, which is more than any time is worth."""
    return float(f"{value:.4g}")


def random_images(shape: tuple[int, ...], count: int) -> Tensor:
    """Return random images of 8 bits in [0, 1]."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, *shape), generator=generator) / 255


def machine() -> dict[str, Any]:
    """Return the card, its driver, and the versions; nothing here needs the package."""
    found: dict[str, Any] = {"card": None, "driver": None, "cores": os.cpu_count()}
    if torch.cuda.is_available():
        card = torch.cuda.get_device_properties(0)
        found |= {"card": card.name, "memory_gib": round(card.total_memory / 2**30)}
        found["driver"] = asked_of_driver("driver_version")
    versions = {"python": platform.python_version(), "torch": torch.__version__}
    versions |= {"cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version()}
    try:
        import triton

        versions["triton"] = triton.__version__
    except ImportError:
        versions["triton"] = None
    return found | {"versions": versions}


def asked_of_driver(what: str) -> str | None:
    """Return what nvidia-smi says; None where it does not run."""
    command = ["nvidia-smi", f"--query-gpu={what}", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.partition("\n")[0].strip() or None


def core() -> dict[str, Any]:
    """Return how the core was built."""
    import smoothbound as sb

    return sb.build_info()


def main() -> None:
    this, given = step("machine", core={"action": "store_true"})
    if not given.core:
        this.write(**machine())
        return
    found = core()
    Step("build", this.path, this.small, None).write(what="core", **found)
    if not found["extension"]:
        raise SystemExit(f"the core was built and cannot be imported: {found['extension_error']}")


if __name__ == "__main__":
    main()
