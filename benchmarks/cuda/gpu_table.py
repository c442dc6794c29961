"""Make the section "On a GPU" of benchmarks/README.md from the results of check.sh.

    python benchmarks/cuda/gpu_table.py results.jsonl                # prints it
    python benchmarks/cuda/gpu_table.py results.jsonl --readme PAGE  # writes it into a page

Draws per second are the best of the turns. A fraction is that of the best turns; in brackets is the
median of the pairs. A goal that is missed is marked. Results of a check that was cut short make
tables too: a line that is damaged is left out, and the section says how many are.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

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
_Made = TypeVar("_Made")
_DAMAGED = (KeyError, TypeError, ValueError, ArithmeticError, AttributeError, IndexError)


class Results:
    """The lines of a check, and how many of them are damaged.

    Parameters
    ----------
    text : str
        The content of `results.jsonl`, whose last line may be cut.
    """

    def __init__(self, text: str) -> None:
        self.records: list[Record] = []
        self._damaged: set[int] = set()  # numbers of lines
        for number, line in enumerate(text.splitlines()):
            try:
                found = json.loads(line) if line.strip() else None
            except (ValueError, RecursionError):
                found = line
            if isinstance(found, dict) and isinstance(found.get("step"), str):
                self.records.append(found | {"line": number})
            elif found is not None:
                self._damaged.add(number)

    @property
    def damaged(self) -> int:
        """Number of damaged lines."""
        return len(self._damaged)

    def each(
        self, step: str, what: str | None, made: Callable[[Record], _Made | None]
    ) -> list[_Made]:
        """Return what is made of each line of a step about one thing; None makes nothing."""
        found = []
        for one in self.records:
            if one["step"] != step or one.get("what") != what:
                continue
            try:
                found.append(made(one))
            except _DAMAGED:
                self._damaged.add(one["line"])
        return [one for one in found if one is not None]


def plain(value: object) -> str:
    """Return a text of the results as one line that is no Markdown and no HTML."""
    line = "".join(c if c.isprintable() else " " for c in str(value))
    return re.sub(r"([\\`*\[\]<>|&#~])", r"\\\1", " ".join(line.split()))


def marked(text: str, reached: bool) -> str:
    return text if reached else f"**{text}, missed**"


def table(head: str, rows: list[list[str]]) -> list[str]:
    columns = head.split(" | ")
    lines = [f"| {head} |", "|" + "---|" * len(columns)]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows), ""]


def heading(results: Results) -> list[str]:
    lines = [TITLE, "", "Measured by", "", COMMAND, ""]

    def described(found: Record) -> str:
        versions = [f"{plain(name)} {plain(number)}" for name, number in found["versions"].items()]
        card = (
            f"{plain(found['card'])} ({found['memory_gib']:g} GiB)" if found["card"] else "no card"
        )
        driver = f"driver {plain(found['driver'])}, {found['cores']:g} processor cores"
        return f"on a machine with {card}, {driver}; {', '.join(versions)}."

    machines = results.each("machine", None, described)
    for said in machines or [
        "on a machine that was not recorded, because the check was cut short."
    ]:
        lines += [said, ""]
    return [*lines, GOALS]


def steps(results: Results) -> list[str]:
    names = dict.fromkeys(one["step"] for one in results.records)

    def row(one: Record) -> list[str] | None:
        if "status" not in one:
            return None
        why = [*([plain(one["why"])] if "why" in one else [])]
        why += results.each(one["step"], "skipped", lambda each: plain(each["why"]))
        result = ": ".join([plain(one["status"]), *why])
        passed = one["status"] in ("passed", "skipped")
        times = [f"{one[name]:g}" if name in one else "" for name in ("seconds", "limit")]
        return [plain(one["step"]), result if passed else f"**{result}**", *times]

    rows = []
    for name in names:
        ended = results.each(name, None, row)
        begun = name != "machine" and not ended
        rows += ended or [[plain(name), "**cut short**", "", ""]] * begun
    return table("step | result | seconds | limit", rows)


def tests(results: Results) -> list[str]:
    lines = []
    for step, title in (("tests", "Tests marked `gpu`"), ("sanitizer", "Under memcheck")):

        def counted(found: Record) -> str:
            names = [name for name in ("passed", "failed", "skipped") if name in found]
            return ", ".join(f"{found[name]:d} {name}" for name in names)

        def outcome(one: Record) -> tuple[str, str] | None:
            return (plain(one["test"]), one["outcome"]) if "test" in one else None

        outcomes = results.each(step, None, outcome)
        for said in results.each(step, "summary", counted):
            lines += [f"{title}: {said or 'none'}.", ""]
        if outcomes and not results.each(step, "summary", counted):
            lines += [f"{title}: cut short after {len(outcomes)}.", ""]
        failed = [f"- {test} failed" for test, outcome in outcomes if outcome == "failed"]
        lines += failed + [""] * bool(failed)
    return lines


def noise(results: Results) -> list[str]:
    def compared(one: Record) -> tuple[tuple[str, str], str]:
        same = one["equal"] is True
        return (plain(one["kind"]), plain(one["shape"])), marked("equal" if same else "other", same)

    bits = dict(results.each("noise", "bits", compared))

    def timed(one: Record) -> tuple[tuple[str, str], list[str]]:
        rate, rival = one["elements_per_second"], one["randn_per_second"]
        of = plain(one["kind"]), plain(one["shape"])
        return of, [f"{rate / 1e9:.3g}", f"{rate / rival:.2f}"]

    speeds = dict(results.each("noise", "speed", timed))
    rows = [
        [*of, *speeds.get(of, ["not timed"] * 2), bits.get(of, "not compared")]
        for of in dict.fromkeys([*speeds, *bits])
    ]
    head = "noise | shape | 10⁹ elements/s | over `torch.randn` | bits, and those of the CPU"
    return table(head, rows) if rows else []


def speed(results: Results) -> list[str]:
    head = "network | how | batch | draws/s | of the bare model | over the loop | noise"
    steps = ("speed", "compiled")
    rows = [row for step in steps for row in results.each(step, None, raced)]
    failed = [said for step in steps for said in results.each(step, None, failure)]
    return [*(table(head, rows) if rows else []), *failed, *([""] * bool(failed))]


def raced(one: Record) -> list[str] | None:
    """Return the row of one setting, unless the line is about anything else."""
    if "bare" not in one:
        return None
    how = [plain(one["precision"]), *(["channels last"] if one["channels_last"] else [])]
    how += [f"compiled ({plain(one['compile'])})"] if one["compile"] else []
    best = max(one["sampler"])
    fraction, over = best / max(one["bare"]), best / max(one["loop"])
    pairs = [a / b for a, b in zip(one["sampler"], one["bare"], strict=True)]
    share = one["noise_share"]
    return [
        plain(one["network"]),
        ", ".join(how),
        f"{one['batch']:d}",
        f"{best:,.0f}",
        marked(f"{fraction:.3f} ({statistics.median(pairs):.3f})", fraction >= OF_BARE),
        marked(f"{over:.1f}", over >= OVER_LOOP),
        marked(f"{share:.1%}", share < NOISE),
    ]


def failure(one: Record) -> str | None:
    """Return why one setting was not measured."""
    if "error" not in one:
        return None
    how = ", ".join(f"{name}={value}" for name, value in one["options"].items())
    return (
        f"- {plain(one['network'])} with {plain(how or 'defaults')} failed: {plain(one['error'])}"
    )


def run(results: Results) -> list[str]:
    rows = []
    for what, title in (("fixed", "n draws each"), ("adaptive", "adaptive, at most n")):

        def row(one: Record, title: str = title) -> list[str]:
            busy = "not known" if one["busy_percent"] is None else f"{one['busy_percent']:.0f} %"
            numbers = [f"{one['n']:,d}", f"{one['draws']:,d}", f"{one['seconds']:.1f}"]
            share = [f"{one['of_bare']:.3f}", busy, f"{one['certified']:d}"]
            return [f"{one['inputs']:d} images, {title}", *numbers, *share]

        rows += results.each("run", what, row)
    head = "`cifar_resnet20` | n | draws | seconds | of the bare model | GPU busy | certified"
    why = dict.fromkeys(results.each("run", "no data", lambda one: plain(one["why"])))
    said = [f"The images of this run are random: {'; '.join(why)}.", ""] if why else []
    return [*table(head, rows), *said] if rows else []


def training(results: Results) -> list[str]:
    def passed(one: Record) -> tuple[float, float, float, float, bool] | None:
        if "epoch" not in one:
            return None
        numbers = [float(one[name]) for name in ("epoch", "epochs", "seconds", "accuracy")]
        return (*numbers, bool(one["generated"]))  # type: ignore[return-value]

    epochs = results.each("training", None, passed)
    tests = results.each(
        "training", "test", lambda one: f"{one['accuracy']:.1%} of {one['images']:d}"
    )
    if not epochs:
        return []
    epoch, of_all, seconds, accuracy, generated = epochs[-1]
    said = f"Training of `cifar_resnet20`: {epoch:g} of {of_all:g} epochs in "
    said += f"{seconds / 60:.2f} minutes"
    if generated:
        return [f"{said}, on random images.", ""]
    said += f", {accuracy:.1%} of the noisy training images right"
    if epoch == of_all:
        enough = min(then for _, _, then, right, _ in epochs if not right < 0.9 * accuracy)
        said += f"; 90 % of that after {enough / 60:.2f} minutes"
    for test in tests:
        said += f"; {test} noisy test images right"
    return [f"{said}.", ""]


def memory(results: Results) -> list[str]:
    def in_pieces(one: Record) -> str:
        went = "went through in pieces" if one["in_pieces"] else "**did not meet the limit**"
        return f"batches of {one['batch']:d} {went}"

    said = results.each("memory", "pieces", in_pieces)
    said += results.each(
        "memory", "chosen", lambda one: f"the size chosen under the limit is {one['batch']:d}"
    )
    differences = [
        difference
        for what in ("pieces", "chosen", "after")
        for difference in results.each("memory", what, lambda one: float(one["largest_difference"]))
    ]
    if not said or not differences:
        return []
    return [
        f"Out of memory: {'; '.join(said)}; scores differ by at most {max(differences):.1g}.",
        "",
    ]


def section(results: Results) -> str:
    """Return the section of the page."""
    if not results.records and not results.damaged:
        return NONE_YET
    parts = heading, steps, tests, noise, speed, run, training, memory
    lines = [line for part in parts for line in part(results)]
    if results.damaged:
        lines += [f"**Damaged lines of the results, left out: {results.damaged}.**", ""]
    return "\n".join(lines)


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
    try:
        text = given.results.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise SystemExit(f"results must be a file that can be read: {error}") from None
    made = section(Results(text))
    if given.readme is None:
        print(made)
    else:
        page = given.readme.read_text(encoding="utf-8")
        given.readme.write_text(written(page, made), encoding="utf-8")


if __name__ == "__main__":
    main()
