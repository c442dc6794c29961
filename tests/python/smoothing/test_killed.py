"""Runs of certify killed by SIGKILL at a hundred random moments give what they give undisturbed."""

from __future__ import annotations

import os
from pathlib import Path

import forks
import pytest
from killer import kill_and_resume, kill_shards
from stopped_runs import contents

from smoothbound import store

KILLS = 100
# In one memory format, because a measured one may differ from run to run.
WORDS = ["certify", "--data", "digits", "--sigma", "0.25", "--no-channels-last"]
WORDS += ["--n0", "10", "--n", "100", "--batch-size", "50", "--radii", "0,0.25"]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_hundred_kills_change_nothing(digits_network: Path, tmp_path: Path) -> None:
    whole, folder = tmp_path / "whole", tmp_path / "killed"
    run = [*WORDS, "--checkpoint", str(digits_network), "--skip", "30"]
    done = forks.run(kill_and_resume, KILLS, whole, folder, run)
    assert done.returncode == 0, done.stderr
    expected = contents(whole)
    finished = sorted(folder.iterdir())
    assert len(finished) == int(done.stdout.split()[-1])
    for one in finished:
        assert contents(one) == expected


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_hundred_kills_over_shards_and_merges_change_nothing(
    digits_network: Path, tmp_path: Path
) -> None:
    whole, folder = tmp_path / "whole", tmp_path / "killed"
    run = [*WORDS, "--checkpoint", str(digits_network), "--skip", "25"]
    done = forks.run(kill_shards, KILLS, 4, whole, folder, run)
    assert done.returncode == 0, done.stderr
    rounds, kills = map(int, done.stdout.split()[-2:])
    assert kills >= KILLS
    expected = contents(whole)
    for k in range(rounds):
        assert contents(folder / str(k) / "merged") == expected
        union = store.load(folder / str(k) / "run")
        rows = repr(union.table.drop_columns(["seconds"]).to_pylist())
        assert (union.settings, rows) == expected
