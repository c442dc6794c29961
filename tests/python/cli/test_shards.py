"""certify --shard, status and merge: the union of the shards is the single run."""

from __future__ import annotations

import csv
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stopped_runs import interrupted_at, stopped_after
from typer.testing import CliRunner, Result

from smoothbound import store
from smoothbound.cli._app import app
from smoothbound.models import checkpoint
from smoothbound.store import Shard

pytestmark = pytest.mark.usefixtures("one_thread")

# In a stated memory format, because a measured one may differ from run to run.
OPTIONS = ["--data", "digits", "--sigma", "0.25", "--skip", "30", "--n0", "10", "--radii", "0,0.25"]
FIXED = ["--n", "400", "--batch-size", "100", "--no-channels-last"]
ADAPTIVE = ["--adaptive", "--n", "2000", "--thresholds", "0.4,0.7", *FIXED[2:]]
N = 4  # shards, of ten inputs


def smoothbound(*arguments: Any) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments)])


def certify(model: Path, out: Path, *more: Any, options: list[str] = FIXED) -> Result:
    return smoothbound("certify", "--checkpoint", model, *OPTIONS, *options, "--out", out, *more)


def shards(model: Path, out: Path, *, options: list[str] = FIXED) -> Path:
    for index in (1, 3, 0, 2):
        done = certify(model, out, "--shard", f"{index}/{N}", options=options)
        assert done.exit_code == 0, done.output
    return out


def contents(folder: Path) -> tuple[Any, str]:
    results = store.load(folder)
    assert results.complete
    return results.settings, repr(results.table.drop_columns(["seconds"]).to_pylist())


@pytest.fixture(scope="module")
def single(digits_network: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("single") / "results"
    done = certify(digits_network, out)
    assert done.exit_code == 0, done.output
    return out


@pytest.fixture(scope="module")
def sharded(digits_network: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shards(digits_network, tmp_path_factory.mktemp("sharded") / "results")


# --- the union of the shards is the single run --------------------------------------------------


def test_the_union_of_the_shards_is_the_single_run_bit_for_bit(
    sharded: Path, single: Path, tmp_path: Path
) -> None:
    assert contents(sharded) == contents(single)
    done = smoothbound("merge", sharded, "--out", tmp_path / "merged")
    assert done.exit_code == 0, done.output
    assert f"{tmp_path / 'merged'}: 10 inputs of 1 folder" in done.output
    assert contents(tmp_path / "merged") == contents(single)


def test_shards_of_adaptive_draws_too(digits_network: Path, tmp_path: Path) -> None:
    assert certify(digits_network, tmp_path / "single", options=ADAPTIVE).exit_code == 0
    shards(digits_network, tmp_path / "sharded", options=ADAPTIVE)
    assert contents(tmp_path / "sharded") == contents(tmp_path / "single")
    draws = store.load(tmp_path / "single").array("n_draws")
    assert len(set(draws.tolist())) > 1


def test_all_readers_take_a_folder_of_shards_as_it_is(
    sharded: Path, single: Path, tmp_path: Path, undrawn: None
) -> None:
    def said(folder: Path, *words: Any) -> str:
        done = smoothbound(words[0], folder, *words[1:])
        assert done.exit_code == 0, done.output
        return done.output.replace(str(folder), "FOLDER")

    tables = []
    for name, folder in (("a", sharded), ("b", single)):
        said(folder, "report", "--out", tmp_path / name)
        said(folder, "export", "--format", "csv", "--out", tmp_path / f"{name}.csv")
        lines = (tmp_path / f"{name}.csv").read_text(encoding="utf-8").splitlines()
        rows = list(csv.DictReader(lines))
        tables.append([{k: v for k, v in row.items() if k != "seconds"} for row in rows])
        accuracy = (tmp_path / name / "certified_accuracy.csv").read_text()
        tables.append([{"accuracy": accuracy}])
    assert len(tables[0]) == 10
    assert tables[:2] == tables[2:]
    for words in (["recommend", "--threshold", "0.5", "--radius", "0"], ["verify"]):
        assert said(sharded, *words).splitlines()[:3] == said(single, *words).splitlines()[:3]
    a, b = (store.load(folder).sketch().certify(thresholds=[0.6]) for folder in (sharded, single))
    np.testing.assert_array_equal(a.radius, b.radius)


def test_a_folder_of_shards_is_certified_again_like_the_single_run(
    sharded: Path, single: Path, tmp_path: Path
) -> None:
    found = []
    for name, folder in (("a", sharded), ("b", single)):
        words = ("--radii", "0,0.1", "--thresholds", "0.6", "--band", "ell", "--out")
        done = smoothbound("recertify", folder, *words, tmp_path / name)
        assert done.exit_code == 0, done.output
        assert smoothbound("verify", tmp_path / name).exit_code == 0
        found.append(contents(tmp_path / name))
    assert found[0] == found[1]
    assert found[0][0].radii == (0.0, 0.1)


def test_the_first_shard_decides_how_the_network_runs(digits_network: Path, tmp_path: Path) -> None:
    own = ["--n", "50", "--batch-size", "37", "--no-channels-last", "--threads", "1"]
    first = certify(digits_network, tmp_path, "--shard", "0/2", options=own)
    assert first.exit_code == 0, first.output
    second = certify(digits_network, tmp_path, "--shard", "1/2", options=["--n", "50"])
    assert second.exit_code == 0, second.output
    settings = store.load(tmp_path).settings
    assert (settings.batch_size, settings.channels_last, settings.threads) == (37, False, 1)


@pytest.mark.parametrize("choice", [True, False])
def test_a_record_that_is_lost_is_written_with_the_choices_of_the_parts(
    digits_network: Path, tmp_path: Path, choice: bool
) -> None:
    stated = ["--n", "50", "--batch-size", "37", f"--{'' if choice else 'no-'}channels-last"]
    assert certify(digits_network, tmp_path, "--shard", "0/2", options=stated).exit_code == 0
    (tmp_path / "shards" / "settings.json").unlink()
    done = certify(digits_network, tmp_path, "--shard", "1/2", options=["--n", "50"])
    assert done.exit_code == 0, done.output
    settings = store.load(tmp_path).settings
    assert (settings.batch_size, settings.channels_last) == (37, choice)


# --- a shard that goes on -----------------------------------------------------------------------


def test_a_shard_that_is_stopped_goes_on_by_the_same_command(
    digits_network: Path, single: Path, tmp_path: Path
) -> None:
    with stopped_after(1):
        done = certify(digits_network, tmp_path, "--shard", "0/4")
    assert done.exit_code == 130
    assert "1 of 3 inputs are finished and kept in" in done.output
    assert "the same command goes on" in done.output
    shards(digits_network, tmp_path)
    assert contents(tmp_path) == contents(single)


def test_a_damaged_shard_goes_on_with_what_is_whole(
    digits_network: Path, single: Path, tmp_path: Path
) -> None:
    with stopped_after(2):
        certify(digits_network, tmp_path, "--shard", "0/4")
    (journal,) = tmp_path.glob("shards/0-of-4.*/journal.bin")
    data = bytearray(journal.read_bytes())
    data[-300] ^= 1  # in the second of two rows
    journal.write_bytes(data)
    done = certify(digits_network, tmp_path, "--shard", "0/4")
    assert done.exit_code == 2
    assert "is damaged at byte" in done.output
    assert journal.read_bytes() == data
    done = certify(digits_network, tmp_path, "--shard", "0/4", "--salvage")
    assert done.exit_code == 0, done.output
    assert (journal.parent / "journal.damaged").read_bytes() == data
    shards(digits_network, tmp_path)
    assert contents(tmp_path) == contents(single)


def test_the_draws_of_a_stopped_adaptive_shard_are_kept(
    digits_network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with interrupted_at(6):
        done = certify(digits_network, tmp_path / "a", "--shard", "0/4", options=ADAPTIVE)
    assert done.exit_code == 130, done.output
    assert store.load(tmp_path / "a").stopped > 0
    monkeypatch.setattr("smoothbound.store._shards.parts.machine", lambda: "another")
    shards(digits_network, tmp_path / "a", options=ADAPTIVE)
    assert certify(digits_network, tmp_path / "b", options=ADAPTIVE).exit_code == 0
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_a_shard_of_changed_images_is_refused(
    digits_network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from smoothbound.data._dataset import Dataset

    assert certify(digits_network, tmp_path, "--shard", "0/4").exit_code == 0
    read = Dataset.__getitem__

    def mirrored(self: Dataset, index: int) -> Any:
        image, label = read(self, index)
        return image.flip(-1), label

    monkeypatch.setattr(Dataset, "__getitem__", mirrored)
    done = certify(digits_network, tmp_path, "--shard", "1/4")
    assert done.exit_code == 2
    assert "other settings: --data: its labels or its first image are others" in done.output


def test_a_shard_of_another_checkpoint_is_refused(
    digits_network: Path, sharded: Path, tmp_path: Path
) -> None:
    other = tmp_path / digits_network.name
    train = ["--data", "digits", "--arch", "digits_cnn", "--sigma", "0.25", "--epochs", "1"]
    assert smoothbound("train", *train, "--out", other).exit_code == 0
    before = contents(sharded)
    done = certify(other, sharded, "--shard", "1/4")
    assert done.exit_code == 2
    assert "other settings: checkpoint_sha256: was" in done.output
    assert contents(sharded) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--shard", "4/4"], "--shard must be i/n with i from 0 to 3, got 4/4"),
        (["--shard", "one"], "--shard must be i/n with i from 0 to n - 1, such as 0/8, or auto"),
        (["--shard", ""], "--shard must not be empty"),
        (["--shard", "0/11"], "--shard must be one of at most 10, because 10 inputs are selected"),
        (["--shard", "0/5"], "other settings: number of shards: was 4, now 5"),
        (["--shard", "1/4", "--n", "401"], "other settings: --n: was 400, now 401"),
        (["--shard", "1/4", "--max-inputs", "9"], "--max-inputs: was None, now 9"),
        (
            ["--shard", "1/4", "--adaptive", "--budget-draws", "99"],
            "left out with --continue, --budget",
        ),
        (["--salvage"], "--salvage needs --resume or --shard"),
        ([], "holds a run in shards: state --shard i/n"),
        (["--resume"], "holds a run in shards: state --shard i/n"),
        (["--shard", "auto"], "shard auto needs the variables of a scheduler, and none is set"),
    ],
)
def test_wrong_words_are_refused_and_nothing_is_changed(
    digits_network: Path,
    sharded: Path,
    words: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX", "RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    before = contents(sharded)
    done = certify(digits_network, sharded, *words)
    assert done.exit_code == 2, done.output
    assert said in done.output
    assert contents(sharded) == before


def test_the_scheduler_names_the_shard(
    digits_network: Path, sharded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "4")
    done = certify(digits_network, sharded, "--shard", "auto")
    assert done.exit_code == 0, done.output
    assert f"This is shard 2/4. smoothbound status {sharded} shows the others." in done.output


def test_a_run_in_shards_is_joined_before_it_is_continued(
    digits_network: Path, tmp_path: Path
) -> None:
    shards(digits_network, tmp_path / "a", options=ADAPTIVE)
    words = ["--checkpoint", digits_network, "--data", "digits", "--n", "3000"]
    done = smoothbound("certify", "--continue", tmp_path / "a", *words)
    assert done.exit_code == 2
    assert "in shards" in done.output
    assert smoothbound("merge", tmp_path / "a", "--out", tmp_path / "b").exit_code == 0
    done = smoothbound("certify", "--continue", tmp_path / "b", *words)
    assert done.exit_code == 0, done.output
    assert store.load(tmp_path / "b").settings.n == 3000


# --- status -------------------------------------------------------------------------------------

HELD = """
import sys
from smoothbound import store
from smoothbound.cli import main

append = store.Writer.append

def held(self, row):
    append(self, row)
    print("held", flush=True)
    sys.stdin.readline()

store.Writer.append = held
main()
"""


def test_the_exit_status_says_what_to_do(
    digits_network: Path, sharded: Path, tmp_path: Path
) -> None:
    done = smoothbound("status", sharded)
    assert done.exit_code == 0, done.output
    assert "10 of 10 inputs are done, 0 of them failed, 0 are missing" in done.output
    assert "4 shards: 4 finished." in done.output
    command = ["certify", "--checkpoint", digits_network, *OPTIONS, *FIXED, "--out", tmp_path / "a"]
    process = subprocess.Popen(
        [sys.executable, "-c", HELD, *map(str, command), "--shard", "0/1"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    done = smoothbound("status", tmp_path / "a")
    assert done.exit_code == 5, done.output
    assert "1 of 10 inputs are done" in done.output
    assert "1 running" in done.output
    assert " left for those that run" in done.output
    refused = certify(digits_network, tmp_path / "a", "--shard", "0/1")
    assert refused.exit_code == 2
    assert "another run is writing to" in refused.output
    process.kill()
    process.communicate()
    done = smoothbound("status", tmp_path / "a")
    assert done.exit_code == 6, done.output
    assert "1 stopped" in done.output
    assert smoothbound("status", tmp_path / "nothing").exit_code == 2


def test_status_watches_until_the_run_is_finished(
    digits_network: Path, tmp_path: Path, single: Path
) -> None:
    assert certify(digits_network, tmp_path, "--shard", "0/2").exit_code == 0
    words = [sys.executable, "-m", "smoothbound", "status", str(tmp_path), "--watch", "--every"]
    with subprocess.Popen([*words, "0.1"], stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        lines = iter(watching.stdout.readline, "")
        assert any("1 finished, 1 not started" in line for line in lines)
        rest: list[str] = []
        reader = threading.Thread(target=lambda: rest.extend(lines))
        reader.start()
        assert certify(digits_network, tmp_path, "--shard", "1/2").exit_code == 0
        assert watching.wait(60) == 0
        reader.join()
    assert "2 shards: 2 finished." in rest[-1]
    assert contents(tmp_path) == contents(single)


def test_inputs_that_failed_are_counted(tmp_path: Path) -> None:
    from sharded import certify as made

    failed = {"status": "failed", "selected": -1, "n_draws": 0, "n_selection": 0, "top_count": 0}
    for index in range(3):
        made(tmp_path, index, **failed)
    done = smoothbound("status", tmp_path)
    assert done.exit_code == 3
    assert "10 of them failed" in done.output


def test_shards_that_are_finished_are_left_out_of_a_long_table(tmp_path: Path) -> None:
    from dataclasses import replace

    from sharded import WHOLE
    from sharded import certify as made

    from smoothbound.store._shards.record import RunRecord

    record = RunRecord(50, "", replace(WHOLE, n_inputs=50))
    for index in range(49):
        made(tmp_path, index, record=record)
    done = smoothbound("status", tmp_path)
    assert done.exit_code == 6
    assert "49/50" in done.output
    assert " 3/50" not in done.output
    assert "50 shards: 49 finished, 1 not started." in done.output


def test_the_command_of_a_shard_names_it(sharded: Path) -> None:
    from smoothbound.store._commands import certify_command

    (part, *_) = sorted((sharded / "shards").glob("2-of-4.*"))
    results = store.load(part)
    assert results.settings.shard == Shard(2, 4)
    assert "--shard=2/4" in certify_command(results.settings, "results")
    assert "--shard" not in certify_command(store.load(sharded).settings, "results")


def test_a_shard_that_is_refused_leaves_no_trace(
    digits_network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "some" / "out"
    network, _ = checkpoint.load(digits_network)
    with monkeypatch.context() as patch:
        patch.setattr(type(network), "forward", lambda self, x: x.flatten(1) * torch.nan)
        refused = certify(digits_network, out, "--shard", f"0/{N}")
        assert refused.exit_code == 2
        assert not out.parent.exists()
        assert certify(digits_network, out).exit_code == 2
        assert not out.parent.exists()
    assert certify(digits_network, out, "--shard", f"1/{N}").exit_code == 0
    kept = sorted(out.rglob("*"))
    with monkeypatch.context() as patch:
        patch.setattr(type(network), "forward", lambda self, x: x.flatten(1) * torch.nan)
        assert certify(digits_network, out, "--shard", f"0/{N}").exit_code == 2
    assert sorted(out.rglob("*")) == kept


def test_shards_are_joined_before_their_draws_go_on(digits_network: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    more = ["certify", "--data", "digits", "--checkpoint", digits_network, "--n", 3000]
    assert certify(digits_network, out, "--shard", "0/2", options=ADAPTIVE).exit_code == 0
    (part,) = (out / "shards").glob("0-of-2.*")
    for folder, words in (
        (out, "holds shards that are not finished: finish them with certify --shard"),
        (part, "is shard 0/2 of a run: finish the other shards, join them with smoothbound merge"),
    ):
        refused = smoothbound(*more, "--continue", folder)
        assert refused.exit_code == 2
        assert words in " ".join(refused.output.split())
    assert certify(digits_network, out, "--shard", "1/2", options=ADAPTIVE).exit_code == 0
    refused = smoothbound(*more, "--continue", out)
    assert refused.exit_code == 2
    assert "holds a run in shards: join them with smoothbound merge" in " ".join(
        refused.output.split()
    )
    whole = tmp_path / "whole"
    assert smoothbound("merge", out, "--out", whole).exit_code == 0
    assert smoothbound(*more, "--continue", whole).exit_code == 0
