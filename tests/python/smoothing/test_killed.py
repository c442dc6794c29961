"""Runs of certify killed by SIGKILL at a hundred random moments give what they give undisturbed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from stopped_runs import contents

KILLS = 100


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_hundred_kills_change_nothing(digits_network: Path, tmp_path: Path) -> None:
    whole, folder = tmp_path / "whole", tmp_path / "killed"
    killer = [sys.executable, str(Path(__file__).parents[1] / "support" / "killer.py")]
    run = ["certify", "--checkpoint", str(digits_network), "--data", "digits", "--sigma", "0.25"]
    run += ["--no-channels-last"]  # because a measured format may differ from run to run
    sizes = ["--skip", "30", "--n0", "10", "--n", "200", "--batch-size", "100", "--radii", "0,0.25"]
    done = subprocess.run(
        [*killer, str(KILLS), str(whole), str(folder), *run, *sizes],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    expected = contents(whole)
    finished = sorted(folder.iterdir())
    assert len(finished) == int(done.stdout.split()[-1])
    for one in finished:
        assert contents(one) == expected
