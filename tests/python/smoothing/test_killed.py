"""Runs of certify killed by SIGKILL at a hundred random moments give what they give undisturbed."""

from __future__ import annotations

import os
from pathlib import Path

import forks
import pytest
from killer import kill_and_resume
from stopped_runs import contents

KILLS = 100


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_hundred_kills_change_nothing(digits_network: Path, tmp_path: Path) -> None:
    whole, folder = tmp_path / "whole", tmp_path / "killed"
    run = ["certify", "--checkpoint", str(digits_network), "--data", "digits", "--sigma", "0.25"]
    run += ["--no-channels-last"]  # because a measured format may differ from run to run
    sizes = ["--skip", "30", "--n0", "10", "--n", "100", "--batch-size", "50", "--radii", "0,0.25"]
    done = forks.run(kill_and_resume, KILLS, whole, folder, [*run, *sizes])
    assert done.returncode == 0, done.stderr
    expected = contents(whole)
    finished = sorted(folder.iterdir())
    assert len(finished) == int(done.stdout.split()[-1])
    for one in finished:
        assert contents(one) == expected
