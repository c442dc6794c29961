"""The commands for the published networks, as the page gives them, on random weights.

The checkpoints have the names, shapes and format of the published ones, and the data their layouts;
only the device, the numbers of draws and inputs, and how the draws run are not those of the page.
"""

from __future__ import annotations

import hashlib
import io
import re
import shlex
from collections import OrderedDict
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from published import Shapes, cifar_shapes, imagenet_shapes
from typer.testing import CliRunner

from smoothbound import store
from smoothbound.cli._app import app

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[3] / "docs" / "reproduction.md"
RADII = (0, 0.25, 0.5, 0.75, 1, 1.25, 1.5)  # of the paper
METHODS = ["mean", "cdf_dkw", "cdf_ell", "tangent"]
DRAWS = 15
# Small batches, because one of each run tries the network and another its rows.
QUICK = ["--n", str(DRAWS), "--n0", "2", "--batch-size", "3", "--device", "cpu"]
QUICK += ["--no-channels-last", "--threads", "1"]  # because measuring them takes most of the time
FAVOURITE = 3  # the class that the networks below predict


def commands(name: str) -> list[str]:
    """Return the commands of that name in the page, a line each."""
    section = PAGE.read_text().partition("## (c)")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```bash\n(.*?)^```", section, flags=re.DOTALL | re.MULTILINE)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.startswith(f"smoothbound {name} ")]


def option(command: str, name: str) -> str:
    words = shlex.split(command)
    return words[words.index(name) + 1]


CERTIFY = {option(command, "--out"): command for command in commands("certify")}
REPORT = {option(command, "--out"): command for command in commands("report")}


# what the page asks for -------------------------------------------------------------------------


def write_checkpoint(path: Path, arch: str, shapes: Shapes, seed: int) -> None:
    """Write a checkpoint as the program of Cohen et al. did, in torch's format of 2019."""
    generator = torch.Generator().manual_seed(seed)
    state: OrderedDict[str, torch.Tensor] = OrderedDict()
    for name, shape in shapes.items():
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(90 * 125)
        elif name.endswith("running_var"):
            state[name] = torch.rand(shape, generator=generator) + 0.5
        else:
            state[name] = 0.05 * torch.randn(shape, generator=generator)
    next(value for name, value in state.items() if name.endswith("fc.bias"))[FAVOURITE] = 30
    keys = range(140_000_000_000_000, 140_000_000_000_000 + len(state))  # they were addresses
    group = {"lr": 0.001, "momentum": 0.9, "dampening": 0, "weight_decay": 1e-4, "nesterov": False}
    optimizer = {
        "state": {key: {"momentum_buffer": torch.zeros(1)} for key in keys},
        "param_groups": [group | {"initial_lr": 0.1, "params": list(keys)}],
    }
    path.parent.mkdir(parents=True)
    content = {"epoch": 90, "arch": arch, "state_dict": state, "optimizer": optimizer}
    torch.save(content, path, _use_new_zipfile_serialization=False)


def write_cifar(folder: Path) -> None:
    """Write the test images in the binary layout; all are of the favourite class."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    rows = rng.integers(0, 256, (10_000, 3073), dtype=np.uint8)
    rows[:, 0] = FAVOURITE
    rows.tofile(folder / "test_batch.bin")


def write_imagenet(folder: Path) -> None:
    """Write the folders of all classes, and a few small images in that of the favourite one."""
    for label in range(1000):
        (folder / f"n{label:08}").mkdir(parents=True)
    image = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(image, "JPEG")
    for number in range(101):
        name = f"ILSVRC2012_val_{number + 1:08}.JPEG"
        (folder / f"n{FAVOURITE:08}" / name).write_bytes(image.getvalue())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reproduction")
    networks = (
        ("cifar10/resnet110", "cifar_resnet110", cifar_shapes(110)),
        ("imagenet/resnet50", "resnet50", imagenet_shapes()),
    )
    for place, arch, shapes in networks:
        for seed, sigma in enumerate(("0.25", "0.50")):
            path = folder / "models" / place / f"noise_{sigma}" / "checkpoint.pth.tar"
            write_checkpoint(path, arch, shapes, seed)
    write_cifar(folder / "cifar10" / "cifar-10-batches-bin")
    write_imagenet(folder / "imagenet" / "val")
    (folder / "logs").mkdir()
    log = folder / "logs" / "cifar10_pred_score_sigma0.25.tsv"
    names = [f"{kind}_{100 * radius:02.0f}" for kind in ("exp_cdf", "exp") for radius in RADII]
    rows = ["\t".join(["idx", "label", "predict", *names, "correct", "time"])]
    rows += [
        "\t".join([str(i), "3", "3", *["0.5"] * len(names), "1", "0:00:36.4"]) for i in (0, 20)
    ]
    log.write_text("".join(f"{row}\n" for row in rows))
    return folder


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(folder)
    return folder


@cache
def run(command: str) -> str:
    """Run a command of the page in the current folder, once; return what it printed."""
    program, *words = shlex.split(command)
    assert program == "smoothbound"
    if words[0] == "certify":
        words += [*QUICK, "--max-inputs", "2" if "cifar10:cifar10" in words else "1"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    return result.output


# the commands -----------------------------------------------------------------------------------


def test_the_page_has_every_run_of_the_paper() -> None:
    asked = {
        (option(line, "--data"), option(line, "--measure"), float(option(line, "--sigma")))
        for line in CERTIFY.values()
    }
    data = ("imagenet:imagenet", "cifar10:cifar10")
    assert asked == {(d, m, s) for d in data for m in ("score", "margin") for s in (0.25, 0.5)}
    for line in CERTIFY.values():
        named = {name: option(line, name) for name in ("--n", "--n0", "--alpha", "--n-bins")}
        assert named == {"--n": "100000", "--n0": "100", "--alpha": "0.001", "--n-bins": "10000"}
        assert 500 * int(option(line, "--skip")) == (50_000 if "imagenet" in line else 10_000)
        assert f"/noise_{option(line, '--sigma')}/checkpoint.pth.tar" in line
    reported = {word for line in REPORT.values() for word in shlex.split(line)}
    assert set(CERTIFY) <= reported


@pytest.mark.parametrize("out", CERTIFY)
def test_a_run_of_the_page_certifies(here: Path, out: str) -> None:
    command = CERTIFY[out]
    said = run(command)
    assert "trained under noise" not in said
    results = store.load(Path(out))
    settings = results.settings
    is_cifar = "cifar10:cifar10" in command
    checkpoint = Path(option(command, "--checkpoint"))
    assert results.complete
    assert settings.arch == ("cifar_resnet110" if is_cifar else "resnet50")
    assert settings.checkpoint == "checkpoint.pth.tar"
    assert settings.checkpoint_sha256 == hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert (settings.data, settings.split) == ("cifar10" if is_cifar else "imagenet", "test")
    assert (settings.sigma, settings.alpha) == (float(option(command, "--sigma")), 0.001)
    assert settings.measure == option(command, "--measure")
    assert settings.radii == RADII
    assert [method.name for method in settings.methods] == METHODS
    assert [method.n_bins for method in settings.methods] == [None, 10_000, 10_000, None]
    assert results.array("index").tolist() == ([0, 20] if is_cifar else [0])
    assert set(results.array("n_draws")) == {DRAWS}
    assert set(results.array("predicted")) == set(results.array("label")) == {FAVOURITE}
    assert results.failed == 0
    assert (results.array("class_radius") > 0).all()
    a, b = settings.score_range
    for method in METHODS:
        lower = results.array(f"lower_{method}")
        assert lower.shape == (len(results.table), len(RADII))
        assert np.isfinite(lower).all()
        assert ((lower >= a) & (lower < b)).all()
        assert (np.diff(lower) <= 0).all()
        assert (lower[:, 0] > (a + b) / 2).all()
        assert (results.array(f"radius_{method}") > 0).all()


@pytest.mark.usefixtures("plainly_drawn")
@pytest.mark.parametrize("out", REPORT)
def test_a_report_of_the_page_is_written(here: Path, out: str) -> None:
    command = REPORT[out]
    for results in set(CERTIFY) & set(shlex.split(command)):
        run(CERTIFY[results])
    written = [Path(line) for line in run(command).splitlines()]
    assert {path.parent for path in written} == {Path(out)}
    assert all(path.stat().st_size > 100 for path in written)
    names = {path.name for path in written}
    assert {"report.html", "report.md", "certified_accuracy.csv"} <= names
    assert any(name.endswith(".png") for name in names)
    for threshold in ("0.5", "0.7", "0.9"):
        assert threshold in (Path(out) / "report.md").read_text()
