"""Make the section "On a GPU" of benchmarks/README.md from the results of check.sh.

    python benchmarks/cuda/gpu_table.py results.jsonl                # prints it
    python benchmarks/cuda/gpu_table.py results.jsonl --readme PAGE  # writes it into a page

Draws per second are the best of the turns. A fraction is that of the best turns; in brackets is the
median of the pairs. A goal that is missed is marked.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
from pathlib import Path
from typing import Any

TITLE = "## On a GPU"
OF_BARE, OVER_LOOP, NOISE = 0.95, 4.0, 0.03
COMMAND = "    benchmarks/cuda/check.sh --data cifar10:DIR --out FOLDER"
GOALS = """\
Goals in every row: at least 0.95 of the bare model on ready batches, at least 4 times the published
loop, and below 3 % for noise, as a share of the time of noise and model.
"""
NONE_YET = f"""{TITLE}

No GPU has run this yet, so there is no figure for one. One command measures all of it in nine
minutes on a machine with an NVIDIA card ([how](cuda/README.md)), and `cuda/gpu_table.py` makes its
tables:

{COMMAND}

{GOALS}"""

Record = dict[str, Any]


def marked(text: str, reached: bool) -> str:
    return text if reached else f"**{text}, missed**"


def table(head: str, rows: list[list[str]]) -> list[str]:
    columns = head.split(" | ")
    lines = [f"| {head} |", "|" + "---|" * len(columns)]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows), ""]


def of(records: list[Record], step: str, what: str | None = None) -> list[Record]:
    """Return the lines of a step about one thing."""
    return [one for one in records if one["step"] == step and one.get("what") == what]


def heading(records: list[Record]) -> list[str]:
    lines = [TITLE, "", "Measured by", "", COMMAND, ""]
    for found in [one for one in records if one["step"] == "machine"]:
        versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
        card = f"{found['card']} ({found['memory_gib']} GiB)" if found["card"] else "no card"
        driver = f"driver {found['driver']}, {found['cores']} processor cores"
        lines += [f"on a machine with {card}, {driver}; {versions}.", ""]
    return [*lines, GOALS]


def steps(records: list[Record]) -> list[str]:
    rows = []
    for one in [one for one in records if "status" in one]:
        why = [each["why"] for each in (one, *of(records, one["step"], "skipped")) if "why" in each]
        result = ": ".join([one["status"], *why])
        passed = one["status"] in ("passed", "skipped")
        times = [str(one.get(name, "")) for name in ("seconds", "limit")]
        rows.append([one["step"], result if passed else f"**{result}**", *times])
    return table("step | result | seconds | limit", rows)


def tests(records: list[Record]) -> list[str]:
    lines = []
    for step, title in (("tests", "Tests marked `gpu`"), ("sanitizer", "Under memcheck")):
        for found in of(records, step, "summary"):
            names = [name for name in ("passed", "failed", "skipped") if name in found]
            counts = ", ".join(f"{found[name]} {name}" for name in names)
            lines += [f"{title}: {counts or 'none'}.", ""]
        failed = [one["test"] for one in of(records, step) if one.get("outcome") == "failed"]
        lines += [f"- `{test}` failed" for test in failed] + [""] * bool(failed)
    return lines


def noise(records: list[Record]) -> list[str]:
    equal = {(one["kind"], one["shape"]): one["equal"] for one in of(records, "noise", "bits")}
    rows = []
    for one in of(records, "noise", "speed"):
        same = equal.get((one["kind"], one["shape"]))
        rate, rival = one["elements_per_second"], one["randn_per_second"]
        bits = "not compared" if same is None else marked("equal" if same else "other", same)
        rows.append([one["kind"], one["shape"], f"{rate / 1e9:.3g}", f"{rate / rival:.2f}", bits])
    head = "noise | shape | 10⁹ elements/s | over `torch.randn` | bits, and those of the CPU"
    return table(head, rows) if rows else []


def speed(records: list[Record]) -> list[str]:
    rows, failed = [], []
    for one in [*of(records, "speed"), *of(records, "compiled")]:
        if "error" in one:
            failed += [f"- `{one['network']}` with {one['options']} failed: {one['error']}", ""]
        if "bare" not in one:
            continue
        how = [one["precision"], *(["channels last"] if one["channels_last"] else [])]
        how += [f"compiled ({one['compile']})"] if one["compile"] else []
        best = max(one["sampler"])
        fraction, over = best / max(one["bare"]), best / max(one["loop"])
        pairs = [a / b for a, b in zip(one["sampler"], one["bare"], strict=True)]
        share = one["noise_share"]
        rows.append(
            [
                one["network"],
                ", ".join(how),
                str(one["batch"]),
                f"{best:,.0f}",
                marked(f"{fraction:.3f} ({statistics.median(pairs):.3f})", fraction >= OF_BARE),
                marked(f"{over:.1f}", over >= OVER_LOOP),
                marked(f"{share:.1%}", share < NOISE),
            ]
        )
    head = "network | how | batch | draws/s | of the bare model | over the loop | noise"
    return [*(table(head, rows) if rows else []), *failed]


def run(records: list[Record]) -> list[str]:
    rows = []
    for what, title in (("fixed", "n draws each"), ("adaptive", "adaptive, at most n")):
        for one in of(records, "run", what):
            busy = "not known" if one["busy_percent"] is None else f"{one['busy_percent']:.0f} %"
            rows.append(
                [
                    f"{one['inputs']} images, {title}",
                    f"{one['n']:,}",
                    f"{one['draws']:,}",
                    f"{one['seconds']:.1f}",
                    f"{one['of_bare']:.3f}",
                    busy,
                    str(one["certified"]),
                ]
            )
    head = "`cifar_resnet20` | n | draws | seconds | of the bare model | GPU busy | certified"
    return table(head, rows) if rows else []


def training(records: list[Record]) -> list[str]:
    epochs = [one for one in of(records, "training") if "epoch" in one]
    if not epochs:
        return []
    last = epochs[-1]
    said = f"Training of `cifar_resnet20`: {last['epoch']} of {last['epochs']} epochs in "
    said += f"{last['seconds'] / 60:.2f} minutes"
    if last["generated"]:
        return [f"{said}, on random images.", ""]
    said += f", {last['accuracy']:.1%} of the noisy training images right"
    if last["epoch"] == last["epochs"]:
        enough = next(one for one in epochs if one["accuracy"] >= 0.9 * last["accuracy"])
        said += f"; 90 % of that after {enough['seconds'] / 60:.2f} minutes"
    for test in of(records, "training", "test"):
        said += f"; {test['accuracy']:.1%} of {test['images']} noisy test images right"
    return [f"{said}.", ""]


def memory(records: list[Record]) -> list[str]:
    said = []
    for one in of(records, "memory", "pieces"):
        went = "went through in pieces" if one["in_pieces"] else "**did not meet the limit**"
        said.append(f"batches of {one['batch']} {went}")
    for one in of(records, "memory", "chosen"):
        said.append(f"the size chosen under the limit is {one['batch']}")
    differences = [one["largest_difference"] for one in records if "largest_difference" in one]
    if not said:
        return []
    return [
        f"Out of memory: {'; '.join(said)}; scores differ by at most {max(differences):.1g}.",
        "",
    ]


def section(records: list[Record]) -> str:
    """Return the section of the page."""
    if not any(one["step"] == "machine" for one in records):
        return NONE_YET
    parts = heading, steps, tests, noise, speed, run, training, memory
    return "\n".join(line for part in parts for line in part(records))


def written(page: str, section: str) -> str:
    """Return a page with its section about GPUs replaced."""
    pattern = rf"^{TITLE}\n.*?(?=^## |\Z)"
    found, times = re.subn(pattern, lambda _: section + "\n", page, flags=re.M | re.S)
    if times != 1:
        raise SystemExit(f"the page must have one section {TITLE!r}, got {times}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, help="results.jsonl of check.sh")
    parser.add_argument("--readme", type=Path, help="the page whose section is replaced")
    given = parser.parse_args()
    lines = given.results.read_text(encoding="utf-8").splitlines()
    made = section([json.loads(line) for line in lines if line.strip()])
    if given.readme is None:
        print(made)
    else:
        page = given.readme.read_text(encoding="utf-8")
        given.readme.write_text(written(page, made), encoding="utf-8")


if __name__ == "__main__":
    main()
