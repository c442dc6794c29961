"""The check on a GPU: its steps on the CPU, steps that fail or take too long, and its tables."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import gpu_table

ROOT = Path(__file__).parents[3]
CHECK = ROOT / "benchmarks" / "cuda" / "check.sh"
PAGE = ROOT / "benchmarks" / "README.md"

pytestmark = pytest.mark.skipif(
    shutil.which("bash") is None or shutil.which("timeout") is None, reason="needs bash and timeout"
)


def check(
    *options: object, python: Path | str = sys.executable
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", str(CHECK), *map(str, options)],
        env=environment(python),
        capture_output=True,
        text=True,
        check=False,
    )


def environment(python: Path | str) -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if name != "OUT"}
    return env | {"PYTHON": str(python), "CUDA_VISIBLE_DEVICES": ""}


def results(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]


def interpreter(folder: Path, cases: str) -> Path:
    """Return a program that ends as stated for some arguments, and is Python for the others."""
    path = folder / "python"
    path.write_text(f'#!/bin/sh\ncase "$*" in\n{cases}\nesac\nexec {sys.executable} "$@"\n')
    path.chmod(0o755)
    return path


@pytest.mark.slow
def test_every_step_runs_on_the_cpu(tmp_path: Path) -> None:
    done = check("--small", "--out", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    found = results(tmp_path)
    ended = {one["step"]: one["status"] for one in found if "status" in one}
    passed = (
        "build",
        "tests",
        "noise",
        "classes",
        "speed",
        "compiled",
        "run",
        "training",
        "memory",
    )
    assert ended == dict.fromkeys(passed, "passed") | {"sanitizer": "skipped"}
    (summary,) = [one for one in found if one["step"] == "tests" and one.get("what") == "summary"]
    assert summary["skipped"] >= 20  # the tests marked gpu were collected
    assert {one["equal"] for one in found if one.get("what") == "bits"} == {True}
    assert sum("sampler" in one for one in found) == 2
    table = (tmp_path / "table.md").read_text()
    assert table.startswith(gpu_table.TITLE)
    assert table.count("| digits_cnn |") == 2


@pytest.mark.parametrize("shift", [0, 1])
def test_counts_in_wrong_cells_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shift: int
) -> None:
    import check_classes

    take = check_classes.ClassCounter.take
    moved = lambda counter, slot: take(counter, slot).roll(shift, dims=1)  # noqa: E731
    monkeypatch.setattr(check_classes.ClassCounter, "take", moved)
    monkeypatch.setattr(check_classes, "sketch", lambda *_: None)
    out = tmp_path / "results.jsonl"
    monkeypatch.setattr(sys, "argv", ["check_classes.py", "--small", "--out", str(out)])
    with pytest.raises(SystemExit) as end:
        check_classes.main()
    assert end.value.code == shift
    equal = [one["equal"] for one in results(tmp_path) if one.get("what") == "bits"]
    assert equal == [not shift, not shift, True]


def test_a_step_that_fails_or_takes_too_long_does_not_stop_the_others(tmp_path: Path) -> None:
    python = interpreter(
        tmp_path,
        "*is_available*) exit 0 ;;\n*check_noise*) echo no luck; exit 5 ;;\n"
        "*check_run*) exec sleep 60 ;;\n*check_training*) echo well; exit 0 ;;",
    )
    steps = "noise,run,training"
    done = check("--only", steps, "--seconds", 12, "--out", tmp_path, python=python)
    assert done.returncode == 1
    assert "no luck" in done.stdout
    assert "steps that did not pass: 2" in done.stdout
    ends = {one["step"]: one["status"] for one in results(tmp_path) if "status" in one}
    assert ends == {"noise": "failed", "run": "out of time", "training": "passed"}
    assert "well" in (tmp_path / "log.txt").read_text()
    limits = [one["limit"] for one in results(tmp_path)]
    assert all(1 <= limit <= 12 for limit in limits)


@pytest.mark.parametrize(
    ("sent", "code", "told"),
    [(signal.SIGTERM, 143, "stopped"), (signal.SIGKILL, -9, "cut short")],
)
def test_a_check_that_is_killed_has_told_what_it_found(
    tmp_path: Path, sent: signal.Signals, code: int, told: str
) -> None:
    waiting = tmp_path / "waiting"
    python = interpreter(
        tmp_path,
        "*is_available*) exit 0 ;;\n*check_noise*) exit 0 ;;\n"
        f"*check_run*) touch {waiting}; exec sleep 30 ;;",
    )
    running = subprocess.Popen(
        ["bash", str(CHECK), "--only", "noise,run,training", "--out", str(tmp_path)],
        env=environment(python),
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    while not waiting.exists():
        assert running.poll() is None
        time.sleep(0.01)
    running.send_signal(sent)
    assert running.wait() == code
    found = (tmp_path / "results.jsonl").read_text()
    table = gpu_table.section(gpu_table.Results(found))
    assert "| noise | passed |" in table
    assert f"| run | **{told}** |" in table
    assert "training" not in found
    if sent == signal.SIGTERM:
        assert (tmp_path / "table.md").read_text() == table + "\n"


def test_packages_that_lack_and_have_no_wheel_are_named(tmp_path: Path) -> None:
    python = interpreter(tmp_path, "*is_available*) exit 0 ;;\n*wheels.txt*) echo scipy; exit 0 ;;")
    done = check("--only", "build", "--out", tmp_path, python=python)
    assert done.returncode == 1
    assert "there is no wheel of scipy: name a folder" in done.stdout
    (machine,) = [one for one in results(tmp_path) if one["step"] == "machine"]
    assert machine["versions"]["torch"]


def test_the_shares_of_the_steps_add_up_to_nine_minutes() -> None:
    text = CHECK.read_text()
    shares = re.findall(r"^ *(?:step|program) [a-z]+ (\d+) ", text, re.M)
    assert len(shares) == 10
    assert sum(map(int, shares)) == 540


@pytest.mark.parametrize(
    ("cases", "options", "message"),
    [
        ("", (), "torch finds no CUDA device on this machine"),
        (
            "*is_available*) echo No module named torch; exit 1 ;;",
            ("--small",),
            "import torch: No mod",
        ),
        ("", ("--smal",), "there is no option --smal"),
        ("", ("--out",), "--out needs a value"),
        ("", ("--only", "noise,speeds"), "--only must name some of: build .*; got speeds"),
        ("", ("--seconds", "0"), "--seconds must be a whole number above 0, got 0"),
        ("", ("--wheels", "/no/such/folder"), "--wheels must be a folder"),
    ],
)
def test_what_cannot_run_is_refused_in_a_line(
    tmp_path: Path, cases: str, options: tuple[str, ...], message: str
) -> None:
    python = interpreter(tmp_path, cases) if cases else sys.executable
    out = ("--out", tmp_path / "out") if "--out" not in options else ()
    done = check(*out, *options, python=python)
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith("check.sh: ")
    assert re.search(message, last), last


def test_the_wheels_are_those_that_the_package_needs() -> None:
    tomllib = pytest.importorskip("tomllib")
    wheels = dict(
        line.split("==")
        for line in (CHECK.parent / "wheels.txt").read_text().splitlines()
        if not line.startswith("#")
    )
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {re.split("[>=<]", each)[0] for each in project["dependencies"]}
    assert needed - set(wheels) == {
        "numpy",
        "numba",
    }  # torch brings one, the core replaces the other
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        name, _, version = line.partition(";")[0].strip().partition("==")
        assert wheels.get(name, version) == version


def measured(sampler: float, share: float) -> dict[str, Any]:
    return {
        "step": "speed",
        "network": "resnet50",
        "precision": "bfloat16",
        "channels_last": True,
        "compile": None,
        "batch": 512,
        "noise_share": share,
        "bare": [1000.0, 900.0, 950.0],
        "sampler": [sampler, 0.9 * sampler, 0.95 * sampler],
        "loop": [200.0, 100.0, 150.0],
    }


def section(*records: object) -> str:
    return gpu_table.section(gpu_table.Results("\n".join(map(json.dumps, records))))


MACHINE = {
    "step": "machine",
    "card": "NVIDIA H100",
    "memory_gib": 80,
    "driver": "580.1",
    "cores": 16,
    "versions": {"torch": "2.11.0"},
}


def test_the_tables_name_card_and_driver_and_mark_what_is_missed() -> None:
    ended = {"step": "speed", "status": "out of time", "seconds": 95, "limit": 95}
    failed = {"step": "compiled", "network": "resnet50", "options": {}, "error": "no luck"}
    text = section(MACHINE, measured(970.0, 0.01), measured(700.0, 0.04), failed, ended)
    assert "NVIDIA H100 (80 GiB), driver 580.1, 16 processor cores; torch 2.11.0" in text
    good, bad = (line for line in text.splitlines() if line.startswith("| resnet50"))
    assert good == (
        "| resnet50 | bfloat16, channels last | 512 | 970 | 0.970 (0.970) | 4.8 | 1.0% |"
    )
    assert bad.endswith("| **0.700 (0.700), missed** | **3.5, missed** | **4.0%, missed** |")
    assert "| speed | **out of time** | 95 | 95 |" in text
    assert "- resnet50 with defaults failed: no luck" in text


def test_training_tells_when_it_has_most_of_its_accuracy() -> None:
    accuracies = (0.3, 0.55, 0.6)
    epochs = [
        {"step": "training", "epoch": i + 1, "epochs": 3, "generated": False}
        | {"accuracy": accuracy, "loss": 1.0, "seconds": 60.0 * (i + 1)}
        for i, accuracy in enumerate(accuracies)
    ]
    assert "90 % of that after 2.00 minutes" in section(MACHINE, *epochs)
    cut = section(MACHINE, *epochs[:2])
    assert "2 of 3 epochs in 2.00 minutes" in cut
    assert "90 %" not in cut


def test_the_section_of_the_page_is_replaced_and_nothing_else() -> None:
    page = PAGE.read_text(encoding="utf-8")
    new = gpu_table.written(page, section(MACHINE))
    assert "NVIDIA H100" in new
    assert gpu_table.written(new, section()) == gpu_table.written(page, gpu_table.NONE_YET)
    before, after = page.split(gpu_table.TITLE)
    assert new.startswith(before)
    assert new.endswith(after[after.index("\n## ") :])


def test_results_without_the_machine_still_make_tables() -> None:
    begun = {"step": "speed", "what": "begun", "limit": 95}
    text = section(begun, measured(970.0, 0.01))
    assert "a machine that was not recorded" in text
    assert "| speed | **cut short** |  |  |" in text
    assert "| resnet50 | bfloat16, channels last | 512 | 970 |" in text


def test_damaged_lines_are_counted_and_the_others_make_tables() -> None:
    good = [MACHINE, measured(970.0, 0.01)]
    bad: list[object] = [
        3,
        {"step": ["speed"]},
        {"step": "machine"},
        {"step": "speed", "bare": []},
        measured(970.0, 0.01) | {"bare": [1000.0]},
        measured(970.0, 0.01) | {"batch": "many"},
        measured(970.0, 0.01) | {"loop": [0.0]},
        {"step": "speed", "status": "passed", "seconds": "long"},
        {"step": "noise", "what": "bits", "kind": [], "equal": True},
        {"step": "noise", "what": "speed", "kind": "grid", "shape": "CIFAR"},
        {"step": "run", "what": "fixed", "busy_percent": None},
        {"step": "training", "epoch": 1},
        {"step": "training", "what": "test"},
        {"step": "memory", "what": "pieces", "batch": 64},
        {"step": "tests", "what": "summary", "passed": "all"},
    ]
    lines = [json.dumps(one) for one in [*good, *bad]]
    text = gpu_table.section(gpu_table.Results("\n".join([*lines, '{"step": "spe', "[" * 10**5])))
    assert f"Damaged lines of the results, left out: {len(bad) + 2}." in text
    assert "| resnet50 | bfloat16, channels last | 512 | 970 |" in text


def test_texts_of_the_results_are_no_markdown() -> None:
    foreign = "a|b\n## `x` <b> \x1b[1m"
    text = section(
        MACHINE | {"card": foreign, "versions": {foreign: foreign}},
        measured(970.0, 0.01) | {"network": foreign},
        {"step": "tests", "what": None, "test": foreign, "outcome": "failed"},
        {"step": "compiled", "network": foreign, "options": {}, "error": foreign},
        {"step": foreign, "status": foreign, "why": foreign},
        {"step": "run", "what": "no data", "why": foreign},
    )
    assert "a\\|b \\#\\# \\`x\\` \\<b\\> \\[1m" in text
    assert not re.search(r"(?<!\\)<b|\n## `|\x1b", text)
    rows = [line for line in text.splitlines() if "x" in line and line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} <= {5, 8}


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xff\xfe{"])
def test_results_that_are_empty_or_no_text_make_a_section(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "results.jsonl"
    path.write_bytes(content)
    made = [sys.executable, str(CHECK.parent / "gpu_table.py"), str(path)]
    done = subprocess.run(made, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(gpu_table.TITLE)
    path.unlink()
    done = subprocess.run(made, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("results must be a file that can be read")
