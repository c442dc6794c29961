"""Runs on a real cluster of Ray give what one process gives, whatever dies meanwhile."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import on_ray
import pytest
from on_ray import changed, contents, prepared
from typer.testing import CliRunner

import smoothbound
from smoothbound import store
from smoothbound.cli._app import app
from smoothbound.errors import ClusterError, ModelError, StoreError
from smoothbound.harness import certify_on_ray
from smoothbound.smoothing import run

# Ray warns of parts of itself, and leaves files to the garbage collection.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

SUPPORT = Path(on_ray.__file__).parent
WORKERS = 2
OPTIONS = ["--data", "digits", "--sigma", "0.25", "--skip", "10", "--n0", "10", "--n", "300"]
OPTIONS += ["--radii", "0,0.25", "--thresholds", "0.4,0.7", "--batch-size", "100"]
OPTIONS += ["--no-channels-last", "--threads", "1", "--device", "cpu"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Start a cluster of two nodes, with a CPU for each of two workers and one for Ray Data."""
    pytest.importorskip("ray", reason="needs ray", exc_type=ModuleNotFoundError)
    with pytest.MonkeyPatch.context() as patch:
        path = [str(Path(smoothbound.__file__).parents[1]), str(SUPPORT)]
        patch.setenv("PYTHONPATH", os.pathsep.join([*path, os.environ.get("PYTHONPATH", "")]))
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setenv("RAY_BACKEND_LOG_LEVEL", "fatal")
        import ray
        from ray.cluster_utils import Cluster

        memory = {"object_store_memory": 100 << 20}
        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, **memory})
        made.add_node(num_cpus=1, **memory)
        ray.init(address=made.address, log_to_driver=False)
        yield made
        ray.shutdown()
        made.shutdown()


def alone(prepare: Any, folder: Path) -> Path:
    """Certify in this process."""
    settings, smoothed, dataset, adaptive = prepare()
    run(folder, settings, smoothed, dataset, adaptive=adaptive)
    return folder


@pytest.fixture(scope="module")
def single(digits_network: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return alone(partial(prepared, digits_network), tmp_path_factory.mktemp("single") / "results")


def parts(folder: Path) -> list[Path]:
    """Return the parts of the workers."""
    return [part for part in (folder / "shards").iterdir() if part.name.count(".") > 1]


def index_of(part: Path) -> list[int]:
    from smoothbound.store._folder import read_single

    held = read_single(part)
    return [] if held is None else list(held.array("index").tolist())


# --- the same results ---------------------------------------------------------------------------


@pytest.mark.parametrize("adaptive", [False, True])
def test_workers_give_what_one_process_gives(
    cluster: Any, digits_network: Path, tmp_path: Path, adaptive: bool
) -> None:
    prepare = partial(prepared, digits_network, adaptive=adaptive, n=600)
    results = certify_on_ray(tmp_path / "ray", prepare, workers=WORKERS)
    assert results.complete
    assert contents(tmp_path / "ray") == contents(alone(prepare, tmp_path / "single"))
    written = [index_of(part) for part in parts(tmp_path / "ray")]
    assert len(written) == WORKERS
    assert sorted(chain.from_iterable(written)) == list(range(0, 297, 10))
    before = contents(tmp_path / "ray")
    assert certify_on_ray(tmp_path / "ray", prepare, workers=WORKERS).complete
    assert contents(tmp_path / "ray") == before
    assert len(parts(tmp_path / "ray")) == WORKERS


def test_a_dataset_of_ids_says_which_inputs(
    cluster: Any, digits_network: Path, tmp_path: Path, single: Path
) -> None:
    import ray.data

    prepare = partial(prepared, digits_network)
    ids = ray.data.from_items([{"index": 200, "path": "b"}, {"index": 30, "path": "a"}])
    first = certify_on_ray(tmp_path, prepare, ids)
    assert not first.complete
    assert first.array("index").tolist() == [30, 200]
    every = ray.data.range(30).map_batches(lambda batch: {"index": batch["id"] * 10})
    assert certify_on_ray(tmp_path, prepare, every).complete
    assert contents(tmp_path) == contents(single)
    others = ray.data.from_items([{"index": 1}])
    with pytest.raises(ValueError, match="must be selected by the settings, got index 1"):
        certify_on_ray(tmp_path / "other", prepare, others)
    with pytest.raises(ValueError, match="must have a column index, got the columns"):
        certify_on_ray(tmp_path, prepare, ray.data.range(3))


def test_failed_inputs_are_rows_with_their_reason(
    cluster: Any, digits_network: Path, tmp_path: Path
) -> None:
    prepare = partial(on_ray.fragile, digits_network)
    certify_on_ray(tmp_path / "ray", prepare, workers=WORKERS)
    results = store.load(tmp_path / "ray")
    failed = results.array("index")[results.array("status") == "failed"]
    assert failed.tolist() == list(range(0, 297, 40))
    assert contents(tmp_path / "ray") == contents(alone(prepare, tmp_path / "single"))


# --- what dies ----------------------------------------------------------------------------------


def test_a_worker_that_is_killed_within_its_inputs_goes_on(
    cluster: Any, digits_network: Path, tmp_path: Path, single: Path
) -> None:
    prepare = partial(on_ray.with_a_kill, digits_network, tmp_path / "killed")
    first = partial(prepared, digits_network)
    certify_on_ray(tmp_path / "ray", prepare, first=first, workers=WORKERS)
    assert (tmp_path / "killed").exists()
    assert contents(tmp_path / "ray") == contents(single)
    owners: dict[str, list[Path]] = {}
    for part in parts(tmp_path / "ray"):
        owners.setdefault(part.name.split(".")[2].partition("-")[0], []).append(part)
    killed = [index_of(part) for own in owners.values() if len(own) > 1 for part in own]
    assert len(killed) == 2
    assert sorted(map(len, killed))[0] == 2
    short, long = sorted(killed, key=len)
    assert set(short) < set(long)


def ids_of(index: list[int]) -> Any:
    import ray.data

    return ray.data.from_items([{"index": one} for one in index])


def test_a_node_that_is_lost_loses_no_input(
    cluster: Any, digits_network: Path, tmp_path: Path
) -> None:
    from contextlib import contextmanager

    node = cluster.add_node(num_cpus=1, object_store_memory=100 << 20)
    cluster.wait_for_nodes()
    lost: list[int] = []

    @contextmanager
    def losing(what: str, total: int, **_: Any) -> Iterator[Any]:
        def lose(count: int) -> None:
            if not lost:
                cluster.remove_node(node, allow_graceful=False)
            lost.append(count)

        yield lose

    prepare = partial(prepared, digits_network, n=3000)
    certify_on_ray(tmp_path / "ray", prepare, workers=3, progress=losing)
    assert lost
    assert contents(tmp_path / "ray") == contents(alone(prepare, tmp_path / "single"))


def test_a_driver_that_is_killed_goes_on(
    cluster: Any, digits_network: Path, tmp_path: Path, single: Path
) -> None:
    words = [sys.executable, on_ray.__file__, cluster.address, str(tmp_path), str(digits_network)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    before = {part: index_of(part) for part in parts(tmp_path)}
    assert sum(map(len, before.values())) > 0
    assert not store.load(tmp_path).complete
    certify_on_ray(tmp_path, partial(prepared, digits_network), workers=WORKERS)
    assert contents(tmp_path) == contents(single)
    finished = {index for part in before for index in index_of(part)}
    later = {index for part in parts(tmp_path) if part not in before for index in index_of(part)}
    assert not finished & later


def test_workers_that_die_again_and_again_end_the_run(
    cluster: Any, digits_network: Path, tmp_path: Path, single: Path
) -> None:
    prepare = partial(changed, digits_network, on_ray.deadly)
    first = partial(prepared, digits_network)
    said = "a worker died 4 times and finished none of the inputs 50. The system kills a worker"
    with pytest.raises(ClusterError, match=said):
        certify_on_ray(tmp_path, prepare, ids_of([50]), workers=1, first=first)
    certify_on_ray(tmp_path, partial(prepared, digits_network), workers=WORKERS)
    assert contents(tmp_path) == contents(single)


# --- what is refused ----------------------------------------------------------------------------


def test_a_model_that_fails_on_all_inputs_writes_nothing(
    cluster: Any, digits_network: Path, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="out of order"):
        certify_on_ray(tmp_path / "ray", partial(on_ray.broken, digits_network), workers=WORKERS)
    assert not (tmp_path / "ray").exists()


def test_a_first_worker_that_dies_is_told(
    cluster: Any, digits_network: Path, tmp_path: Path
) -> None:
    prepare = partial(on_ray.dying, digits_network)
    with pytest.raises(ClusterError, match="the first worker died, before any input was"):
        certify_on_ray(tmp_path / "ray", prepare, workers=WORKERS)
    assert not (tmp_path / "ray").exists()


def test_other_images_are_refused(
    cluster: Any, digits_network: Path, tmp_path: Path, single: Path
) -> None:
    prepare = partial(prepared, digits_network)
    certify_on_ray(tmp_path, prepare, ids_of([0, 10]), workers=1)
    others = partial(changed, digits_network, on_ray.mirrored)
    with pytest.raises(StoreError, match="data: its labels or its first image are others"):
        certify_on_ray(tmp_path, others)
    with pytest.raises(StoreError, match="other settings: n: was 300, now 301"):
        certify_on_ray(tmp_path, partial(prepared, digits_network, n=301))
    with pytest.raises(StoreError, match="data: its labels or its first image are others"):
        certify_on_ray(tmp_path, others, first=prepare, workers=1)  # found by the workers


def test_more_workers_than_there_is_room_for_are_refused(cluster: Any, tmp_path: Path) -> None:
    import ray

    n_cpus = int(ray.cluster_resources()["CPU"])
    with pytest.raises(
        ValueError,
        match=f"workers must be at most {n_cpus - 1} because .* one "
        f"CPU stays free for Ray Data, .*; got {n_cpus}. Take fewer",
    ):
        certify_on_ray(tmp_path, prepared, workers=n_cpus)
    with pytest.raises(ClusterError, match=r"no room for a worker: .* takes 1 and 0.5 of them"):
        certify_on_ray(tmp_path, prepared, gpus=0.5)
    assert not list(tmp_path.iterdir())


# --- the command --------------------------------------------------------------------------------


def smoothbound_on_ray(*words: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "smoothbound", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command(cluster: Any, digits_network: Path, tmp_path: Path, single: Path) -> None:
    words = ["certify", "--checkpoint", digits_network, *OPTIONS, "--out", tmp_path / "a"]
    done = smoothbound_on_ray(*words, "--ray", cluster.address, "--workers", WORKERS)
    assert done.returncode == 0, done.stderr
    assert "CPUs, 0 GPUs; dashboard: " in done.stderr
    assert done.stderr.count("data: digits (test): 297 images") == 1
    assert f"Results: {tmp_path / 'a'}" in done.stdout
    assert contents(tmp_path / "a") == contents(single)
    for command in (["status"], ["verify"], ["merge", "--out", tmp_path / "b"]):
        read = CliRunner().invoke(app, [command[0], str(tmp_path / "a"), *map(str, command[1:])])
        assert read.exit_code == 0, read.output
    assert contents(tmp_path / "b") == contents(single)


def test_the_page_runs(
    cluster: Any, digits_network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = Path(__file__).parents[3] / "docs" / "clusters.md"
    section = page.read_text(encoding="utf-8").partition("\n## Ray\n")[2].partition("\n## ")[0]
    (command,) = re.findall(r"```bash\n(.*?)```", section, re.DOTALL)
    (script,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    monkeypatch.chdir(tmp_path)
    shutil.copy(digits_network, "net.pt")
    program, *words = shlex.split(command.replace("10000", "200"))
    assert program == "smoothbound"
    done = smoothbound_on_ray(*words, *OPTIONS[4:6], *OPTIONS[-7:])
    assert done.returncode == 0, done.stderr
    Path("script.py").write_text(script, encoding="utf-8")
    done = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    again, before = (store.load(tmp_path / name) for name in ("again", "on_ray"))
    assert again.complete
    assert again.array("index").tolist() == before.array("index").tolist()
    assert again.settings.batch_size != before.settings.batch_size  # its own choice


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--workers", "2"], "--workers and --worker-gpus need --ray"),
        (["--ray", "--shard", "0/2"], "--ray must be left out with --shard"),
        (["--ray", "--adaptive", "--budget-draws", "9"], "--ray must be left out with --shard"),
        (["--ray", "nowhere"], "--ray must be HOST:PORT"),
        (["--ray", "--workers", "0"], "--workers must be at least 1"),
        (["--ray", "--worker-gpus", "-1"], "--worker-gpus must be"),
    ],
)
def test_wrong_words_are_refused(
    digits_network: Path, tmp_path: Path, words: list[str], said: str
) -> None:
    command = ["certify", "--checkpoint", str(digits_network), *OPTIONS]
    done = CliRunner().invoke(app, [*command, "--out", str(tmp_path / "a"), *words])
    assert done.exit_code == 2
    assert said in " ".join(done.output.split())
    assert not (tmp_path / "a").exists()


def test_a_cluster_that_is_not_there_is_an_error_within_seconds(
    cluster: Any, digits_network: Path, tmp_path: Path
) -> None:
    words = ["certify", "--checkpoint", digits_network, *OPTIONS, "--out", tmp_path / "a"]
    start = time.monotonic()
    done = smoothbound_on_ray(*words, "--ray", "127.0.0.1:9")
    assert done.returncode == 2
    assert "no cluster answers at 127.0.0.1:9: " in done.stderr
    assert "Start one there by ray start --head" in done.stderr
    assert time.monotonic() - start < 60  # Ray by itself takes two minutes
    assert not (tmp_path / "a").exists()


def test_the_extra_is_named_where_ray_is_missing(
    digits_network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    words = ["certify", "--checkpoint", str(digits_network), *OPTIONS, "--out", str(tmp_path / "a")]
    done = CliRunner().invoke(app, [*words, "--ray"])
    assert done.exit_code == 2
    assert 'pip install "smoothbound[ray]" brings it' in " ".join(done.output.split())
