"""The commands, as a user types them: what they write, print and refuse."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

import smoothbound as sb
from smoothbound import store
from smoothbound.cli._app import app
from smoothbound.cli._options import default_radii
from smoothbound.scores import _files as score_files
from smoothbound.scores import _score_file

SCORES = np.random.default_rng(0).beta(8, 1, (20, 500)).astype(np.float32)


def smoothbound(*args: object) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args])


def fails(*args: object) -> str:
    """Run a command that must end with one line of explanation; return what it printed."""
    result = smoothbound(*args)
    assert result.exit_code == 2, result.output
    assert result.output.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in result.output
    return result.output


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    np.save(tmp_path / "scores.npy", SCORES)
    return tmp_path / "scores.npy"


@pytest.fixture(scope="module")
def model(digits_network: Path) -> Path:
    return digits_network


# --- help -------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["demo", "train", "certify", "bounds", "report"])
def test_every_command_explains_itself(command: str) -> None:
    result = smoothbound(command, "--help")
    assert result.exit_code == 0
    assert "Usage" in result.output
    assert "--out" in result.output


def test_the_version() -> None:
    assert smoothbound("--version").output == f"smoothbound {sb.__version__}\n"


def test_a_mistyped_command_is_told() -> None:
    result = smoothbound("certfy")
    assert result.exit_code == 2
    assert "certfy" in result.output


def test_a_command_without_its_options_names_the_first_that_is_missing() -> None:
    result = smoothbound("certify")
    assert result.exit_code == 2
    assert "--data" in result.output


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("smoothbound cert", ["certify"]),
        ("smoothbound certify --ra", ["--radii", "--radius-precision", "--ray"]),
        ("smoothbound certify --continue nowhere --ray --worker-", ["--worker-gpus"]),
        ("smoothbound report --out= --comp", ["--compare"]),
    ],
)
def test_a_shell_completes_commands_and_options(typed: str, expected: list[str]) -> None:
    words = {
        "_SMOOTHBOUND_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(typed.split()) - 1),
    }
    done = CliRunner().invoke(app, [], prog_name="smoothbound", env=words)
    assert done.output.split() == expected


def test_help_does_not_wait_for_torch() -> None:
    script = "import sys, smoothbound.cli; assert not {'torch', 'matplotlib'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


# --- bounds -----------------------------------------------------------------------------------


@pytest.mark.parametrize("rows_at_a_time", [3, 1000])
@pytest.mark.parametrize("sides", ["lower", "upper", "both"])
def test_bounds_writes_what_python_computes(
    scores: Path, sides: str, rows_at_a_time: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_score_file, "CHUNK_BYTES", rows_at_a_time * SCORES[0].nbytes)
    out = scores.with_name("bounds.parquet")
    options = ("--radii", "0,0.25 0.5", "--thresholds", "0.7", "--n-bins", 50, "--sides", sides)
    result = smoothbound("bounds", scores, "--sigma", 0.25, "--out", out, *options)
    assert result.exit_code == 0, result.output
    assert "20 inputs, 500 draws each" in result.output
    expected = sb.certify_scores(
        SCORES, sigma=0.25, radii=[0, 0.25, 0.5], thresholds=[0.7], n_bins=50, sides=sides
    )
    table = pq.ParquetFile(out).read()
    assert len(table) == 20
    assert (
        set(table.column_names)
        == {
            "lower": {"lower", "radius"},
            "upper": {"upper"},
            "both": {"lower", "upper", "radius"},
        }[sides]
    )
    for name in table.column_names:
        read = np.array(table.column(name).to_pylist())
        np.testing.assert_array_equal(read, getattr(expected, name))
    assert json.loads(table.schema.metadata[b"smoothbound"]) == json.loads(
        expected.settings.to_json()
    )


def test_bounds_has_defaults_that_tell_something(scores: Path) -> None:
    out = scores.with_name("bounds.parquet")
    range_of_margin = ("--score-range", -1, 1)
    assert (
        smoothbound("bounds", scores, "--sigma", 0.5, "--out", out, *range_of_margin).exit_code == 0
    )
    settings = json.loads(pq.read_schema(out).metadata[b"smoothbound"])
    assert settings["radii"] == default_radii(0.5)
    assert settings["thresholds"] == [0.0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--sigma", 0], "sigma must be positive"),
        (["--sigma", "nan"], "sigma must be positive"),
        (["--alpha", 1], "alpha must lie strictly between 0 and 1"),
        (["--radii", "0,-1"], "radii must be finite and >= 0"),
        (["--radii", "0,nan"], "radii must be finite"),
        (["--radii", "0;1"], "--radii must be numbers separated by commas"),
        (["--radii", ""], "--radii must not be empty"),
        (["--thresholds", "1.5"], "thresholds must lie strictly inside"),
        (["--thresholds", "0.99"], "at least n = 1113 are needed"),
        (["--bound", "cfd"], "bound must be one of"),
        (["--band", "elll"], "band must be one of"),
        (["--n-bins", 0], "--n-bins must be at least 1"),
        (["--sides", "left"], "sides must be one of"),
        (["--backend", "fortran"], "backend must be one of"),
        (["--score-range", 1, 0], "--score-range must be finite with a < b"),
        (["--score-range", 0, 0.5], "within --score-range [0.0, 0.5], got scores[0, 0]"),
        (["--key", "a"], "leave out the key 'a'"),
    ],
)
def test_bounds_refuses_and_writes_nothing(scores: Path, options: list[Any], said: str) -> None:
    out = scores.with_name("bounds.parquet")
    assert said in fails("bounds", scores, "--sigma", 0.25, "--out", out, *options)
    assert list(scores.parent.iterdir()) == [scores]


def test_bounds_names_the_row_of_a_bad_score(scores: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_score_file, "CHUNK_BYTES", 3 * SCORES[0].nbytes)
    bad = SCORES.copy()
    bad[13, 7] = np.nan
    np.save(scores, bad)
    said = fails("bounds", scores, "--sigma", 0.25, "--out", scores.with_name("b.parquet"))
    assert "counted from 12" in said
    assert "scores[1, 7] = nan" in said
    assert list(scores.parent.iterdir()) == [scores]


def test_bounds_overwrites_nothing(scores: Path) -> None:
    out = scores.with_name("precious")
    out.write_text("precious")
    assert "exists" in fails("bounds", scores, "--sigma", 0.25, "--out", out)
    assert out.read_text() == "precious"
    assert "no file" in fails("bounds", "typo.npy", "--sigma", 0.25, "--out", "b.parquet")
    below = out / "bounds.parquet"
    assert "cannot write" in fails("bounds", scores, "--sigma", 0.25, "--out", below)


def test_a_missing_option_is_named(scores: Path) -> None:
    result = smoothbound("bounds", scores, "--out", "b.parquet")
    assert result.exit_code == 2
    assert "--sigma" in result.output


# --- certify and report -----------------------------------------------------------------------


@pytest.mark.usefixtures("plainly_drawn")
def test_certify_and_report_from_end_to_end(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "results"
    result = smoothbound(
        "certify", "--checkpoint", model, "--data", "digits", "--sigma", 0.25, "--out", out,
        "--skip", 50, "--max-inputs", 5, "--n", 300, "--n0", 20, "--seed", 4,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "Certified accuracy, % of 5 inputs" in result.output
    assert "Theorem 1" in result.output
    assert "Theorem 2 (dkw)" in result.output

    results = store.load(out)
    settings = results.settings
    assert results.complete
    assert [method.name for method in settings.methods] == ["mean", "cdf_dkw", "cdf_ell"]
    assert results.array("index").tolist() == [0, 50, 100, 150, 200]
    assert settings.radii == tuple(default_radii(0.25))
    assert settings.thresholds == (0.5,)
    assert (settings.n, settings.n0, settings.seed, settings.cutoff) == (300, 20, 4, 0.5)
    assert settings.checkpoint == "model.pt"
    assert len(settings.checkpoint_sha256) == 64
    assert {"smoothbound", "torch", "numpy", "backend"} <= set(settings.versions)

    written = smoothbound("report", out, "--out", tmp_path / "report")
    assert written.exit_code == 0, written.output
    assert (tmp_path / "report" / "report.md").exists()
    assert all(Path(line).exists() for line in written.output.split())


def test_certify_agrees_with_the_python_interface(model: Path, tmp_path: Path) -> None:
    import torch

    from smoothbound.data import _loading as data
    from smoothbound.models import checkpoint

    out = tmp_path / "results"
    result = smoothbound(
        "certify", "--checkpoint", model, "--data", "digits", "--sigma", 0.25, "--out", out,
        "--measure", "margin", "--max-inputs", 4, "--n", 300, "--radii", "0.1,0.2",
        "--thresholds", "-0.2,0,0.3", "--batch-size", 100, "--channels-last",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    results = store.load(out)
    network, _ = checkpoint.load(model)
    digits = data.load("digits")
    smoothed = sb.SmoothedClassifier(
        network, 0.25, measure="margin", batch_size=100, channels_last=True
    )
    for bound, band in (("mean", None), ("cdf", "dkw"), ("cdf", "ell")):
        expected = smoothed.certify(
            torch.stack([digits[i][0] for i in range(4)]),
            n=300,
            grid=16,
            radii=[0.1, 0.2],
            thresholds=[-0.2, 0, 0.3],
            bound=bound,
            band=band,
        )
        name = expected.settings.method.name
        np.testing.assert_array_equal(results.array(f"lower_{name}"), expected.lower)
        np.testing.assert_array_equal(results.array(f"radius_{name}"), expected.radius)
    for name in ("predicted", "class_radius", "n_draws", "mean_score", "reason"):
        np.testing.assert_array_equal(results.array(name), getattr(expected, name))


@pytest.mark.usefixtures("plainly_drawn")
def test_the_radius_of_the_vote_is_that_of_the_class(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "results"
    result = smoothbound(
        "certify", "--checkpoint", model, "--data", "digits", "--sigma", 0.25, "--out", out,
        "--measure", "vote", "--max-inputs", 4, "--n", 2000, "--thresholds", 0.5, "--bound", "cdf",
        "--band", "ell",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "vote above 0.5" in result.output
    results = store.load(out)
    assert (results.settings.measure, results.settings.select) == ("vote", "votes")
    radius = results.array("radius_cdf_ell")[:, 0]
    np.testing.assert_allclose(radius, results.array("class_radius"), atol=0.05)
    assert not (radius > results.array("class_radius")).any()
    written = smoothbound("report", out, "--out", tmp_path / "report")
    assert written.exit_code == 0, written.output
    assert "vote to stay above" in (tmp_path / "report" / "report.md").read_text()


def test_abstentions_say_why(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "results"
    result = smoothbound(
        "certify", "--checkpoint", model, "--data", "digits", "--sigma", 0.25, "--out", out,
        "--max-inputs", 2, "--n", 200, "--cutoff", 0.86, "--bound", "mean",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "100.0 % abstained" in result.output
    results = store.load(out)
    assert results.array("predicted").tolist() == [-1, -1]
    assert all("not above the cut-off 0.86" in reason for reason in results.array("reason"))
    assert [method.name for method in results.settings.methods] == ["mean"]


def test_another_sigma_than_in_training_is_noted(model: Path, tmp_path: Path) -> None:
    result = smoothbound(
        "certify", "--checkpoint", model, "--data", "digits", "--sigma", 0.5, "--out",
        tmp_path / "results", "--max-inputs", 1, "--n", 100,
    )  # fmt: skip
    assert result.exit_code == 0
    assert "trained under noise of sigma 0.25, and is smoothed with 0.5" in result.output


def test_what_a_checkpoint_and_its_folder_tell_is_noted(model: Path, tmp_path: Path) -> None:
    import torch

    from smoothbound.models import architectures as models

    small = tmp_path / "noise_0.50" / "checkpoint.pth.tar"
    small.parent.mkdir()
    state = models.build("digits_cnn", 12).state_dict()
    torch.save({"arch": "digits_cnn", "epoch": 1, "state_dict": state}, small)
    common = ("--data", "digits", "--max-inputs", 1, "--n", 100, "--checkpoint", small)
    said = smoothbound("certify", *common, "--sigma", 0.25, "--out", tmp_path / "a").output
    assert "lies in noise_0.50, as if trained under noise of sigma 0.50, and is smoothed" in said
    assert "checkpoint.pth.tar knows 12 classes, and the data have 10" in said
    said = smoothbound("certify", *common, "--sigma", 0.5, "--out", tmp_path / "b").output
    assert "as if trained" not in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--data", "digit"], "data must be digits, cifar10:DIR"),
        (["--data", "cifar10:/nowhere"], "no file /nowhere/test.parquet"),
        (["--data", "npz:scores.npz"], "no file scores.npz"),
        (["--split", "valid"], "split must be one of"),
        (["--sigma", -1], "sigma must be positive"),
        (["--measure", "margn"], "measure must be one of 'score', 'margin'"),
        (["--n", -5], "n must be at least 1"),
        (["--n", 5], "at least n = 14 are needed"),
        (["--n", 300, "--cutoff", 0.95], "every input would be abstained from; at least n = 1382"),
        (["--n0", 0], "n0 must be at least 1"),
        (["--alpha", 0], "alpha must lie strictly between 0 and 1"),
        (["--radii", "-1"], "radii must be finite and >= 0"),
        (["--thresholds", "1"], "thresholds must lie strictly inside"),
        (["--bound", "mean", "--bound", "tangens"], "bound must be one of"),
        (["--skip", 0], "skip must be at least 1"),
        (["--max-inputs", 0], "--max-inputs must be at least 1"),
        (["--batch-size", 0], "--batch-size must be at least 1"),
        (["--batch-size", "big"], "--batch-size must be a number or auto, got 'big'"),
        (["--precision", "half"], "precision must be one of"),
        (["--compile", "quickly"], "compile must be one of"),
        (["--noise", "white"], "noise must be one of"),
        (["--device", "abacus"], "device must be one that torch can use here"),
        (["--seed", -1], "seed must be at least 0"),
        (["--cutoff", 1], "cutoff must be below the top of the range"),
    ],
)
def test_certify_refuses_before_any_draw(
    model: Path, tmp_path: Path, options: list[Any], said: str
) -> None:
    out = tmp_path / "results"
    required = ("--checkpoint", model, "--data", "digits", "--sigma", 0.25, "--out", out)
    assert said in fails("certify", *required, *options)
    assert not out.exists()


def test_certify_takes_a_list_of_inputs(model: Path, tmp_path: Path) -> None:
    listed = tmp_path / "indices.txt"
    listed.write_text("3 50\n7")
    common = ["--checkpoint", model, "--data", "digits", "--sigma", 0.25, "--n", 200, "--n0", 10]
    assert "must be increasing" in fails(
        "certify", *common, "--out", tmp_path / "a", "--indices", listed
    )
    listed.write_text("3, 7\n50\n")
    for name, text in (("file", listed), ("text", "3,7,50")):
        smoothbound("certify", *common, "--out", tmp_path / name, "--indices", text)
        results = store.load(tmp_path / name)
        assert results.table["index"].to_pylist() == [3, 7, 50]
        assert results.settings.indices == (3, 7, 50)
    said = fails("certify", *common, "--out", tmp_path / "b", "--indices", tmp_path / "nowhere")
    assert "--indices must be whole numbers" in said


def test_certify_takes_a_network_from_a_factory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_network.py").write_text(
        "from smoothbound.models import build\ndef make():\n    return build('digits_cnn')\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    common = ["--data", "digits", "--sigma", 0.25, "--n", 200, "--n0", 10, "--max-inputs", 2]
    smoothbound("certify", *common, "--out", "a", "--model", "my_network:make")
    settings = store.load(Path("a")).settings
    assert (settings.arch, settings.checkpoint) == ("my_network:make", "my_network:make")
    assert "a checkpoint is needed" in fails("certify", *common, "--out", "b")


def test_certify_refuses_a_checkpoint_that_does_not_fit(model: Path, tmp_path: Path) -> None:
    rest = ("--sigma", 0.25, "--out", tmp_path / "results")
    typo = tmp_path / "typo.pt"
    assert "typo.pt: No such file or directory" in fails(
        "certify", "--checkpoint", typo, "--data", "digits", *rest
    )
    typo.write_text("not a checkpoint")
    assert "not a checkpoint" in fails("certify", "--checkpoint", typo, "--data", "digits", *rest)
    data = tmp_path / "data.npz"
    np.savez(data, images=np.zeros((2, 3, 4, 4), np.uint8), labels=np.zeros(2, int))
    said = fails("certify", "--checkpoint", model, "--data", f"npz:{data}", *rest)
    assert "takes images of shape (1, 8, 8)" in said
    assert "(3, 4, 4)" in said


def test_certify_says_what_the_network_returns_before_it_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ending_in_softmax.py").write_text(
        "from torch import nn\n"
        "def net():\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.Softmax(1))\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    common = ["--model", "ending_in_softmax:net", "--sigma", 0.25, "--n", 100, "--n0", 10]
    images = np.random.default_rng(0).random((4, 1, 8, 8), np.float32)
    np.savez("a.npz", images=images, labels=[10, 10, 1, 2])
    said = fails("certify", *common, "--data", "npz:a.npz", "--out", "a")
    assert "the network has 10 outputs, and the data have 11 classes" in said
    np.savez("b.npz", images=images, labels=[9, 0, 1, 2])
    said = smoothbound("certify", *common, "--data", "npz:b.npz", "--out", "c").stderr
    assert said.count("look like probabilities") == 1
    assert "UserWarning" not in said
    said = smoothbound(
        "certify", *common, "--data", "npz:b.npz", "--outputs", "logits", "--out", "d"
    ).stderr
    assert "look like probabilities" not in said
    said = smoothbound(
        "certify", *common, "--data", "npz:b.npz", "--outputs", "probabilities", "--out", "b"
    ).stderr
    assert "with rows that sum to 1, taken as probabilities" in said
    assert "the images are on no stated grid: they are placed on a fine lattice" in said
    settings = store.load(Path("b")).settings
    assert settings.outputs == "probabilities"
    assert settings.noise.displacement == settings.displacement > 0
    assert store.load(Path("b")).sketch().displacement == settings.displacement


def test_certify_looks_at_the_images_before_a_run(model: Path, tmp_path: Path) -> None:
    for name, side in (("a/0.png", 8), ("b/0.png", 8), ("b/1.png", 9)):
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((side, side), np.uint8)).save(tmp_path / "data" / name)
    required = ("--checkpoint", model, "--data", f"images:{tmp_path / 'data'}", "--sigma", 0.25)
    said = fails("certify", *required, "--out", tmp_path / "results")
    assert "b/1.png: needs a JPEG or PNG of 8 x 8 L, got 9 x 9 L" in said
    assert not (tmp_path / "results").exists()


def test_report_refuses_what_is_no_result(tmp_path: Path) -> None:
    out = tmp_path / "report"
    assert "no results folder" in fails("report", tmp_path / "typo", "--out", out)
    assert "holds no results" in fails("report", tmp_path, "--out", out)
    (tmp_path / "results.parquet").write_text("PAR1")
    assert "cut short" in fails("report", tmp_path, "--out", out)
    assert not out.exists()


# --- how runs end -------------------------------------------------------------------------------


def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> tuple[object, ...]:
    """Write a factory of networks for digits into the current folder; return what names it."""
    name = f"nets_{abs(hash(body))}"
    (tmp_path / f"{name}.py").write_text(f"import torch\nfrom torch import nn\n{body}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return ("certify", "--data", "digits", "--sigma", 0.25, "--model", f"{name}:net", "--n", 200,
            "--n0", 10, "--skip", 12, "--out", "out")  # fmt: skip


ONE_CLASS = """
class Flat(nn.Module):
    def forward(self, x):
        return torch.tensor([9.0] + [0.0] * 9).expand(len(x), 10)
def net(): return Flat()
"""
GUESSES = """
class Guess(nn.Module):
    def forward(self, x):
        picked = (x.abs().sum((1, 2, 3)) * 1000).long() % 10
        return 9.0 * nn.functional.one_hot(picked, 10).float()
def net(): return Guess()
"""


def test_a_run_that_abstains_everywhere_says_so_and_why_it_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    linear = "nn.Flatten(), nn.Linear(64, 10)"
    result = smoothbound(*net(tmp_path, monkeypatch, f"def net(): return nn.Sequential({linear})"))
    assert result.exit_code == 0, result.output
    assert "every input was abstained from. Likely causes: " in result.output
    assert "sigma 0.25" in result.output
    assert "the cut-off 0.5 is too high" in result.output
    assert "taken as logits" in result.output  # in [-0.8, 0.98]: these are no probabilities
    assert "probabilities" not in result.output


def test_probabilities_are_a_cause_where_the_outputs_look_like_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layers = "nn.Flatten(), nn.Linear(64, 10), nn.Softmax(1)"
    result = smoothbound(*net(tmp_path, monkeypatch, f"def net(): return nn.Sequential({layers})"))
    assert result.exit_code == 0, result.output
    assert "probabilities, which were taken for logits" in result.output


def test_a_network_that_gives_one_class_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = smoothbound(*net(tmp_path, monkeypatch, ONE_CLASS))
    assert result.exit_code == 0, result.output
    assert "the network gives class 0 for every input" in result.output


def test_classes_that_are_right_by_chance_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = smoothbound(*net(tmp_path, monkeypatch, GUESSES))
    assert result.exit_code == 0, result.output
    assert "as by chance among 10 classes" in result.output


def test_a_good_run_ends_without_concerns(model: Path, tmp_path: Path) -> None:
    words = ("--data", "digits", "--sigma", 0.25, "--n", 200, "--n0", 10, "--skip", 12)
    result = smoothbound("certify", "--checkpoint", model, *words, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "Likely causes" not in result.output
    assert "every input" not in result.output


def test_a_failed_input_is_named_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = (
        "class Bad(nn.Module):\n    def forward(self, x):\n        raise ValueError('out \\x1b[2J')"
    )
    result = smoothbound(*net(tmp_path, monkeypatch, f"{body}\ndef net(): return Bad()"))
    assert result.exit_code in (2, 3), result.output
    assert "out \\x1b[2J" in result.output
    assert "\x1b" not in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("command", ["report", "recommend", "bounds"])
def test_what_the_system_refuses_is_one_line(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(tmp_path / "secret\x1b[2J"))

    for name in ("analysis.reading.open_folder", "store._stored.load", "scores._files.open_scores"):
        monkeypatch.setattr(f"smoothbound.{name}", refuse)
    (tmp_path / "in").mkdir()
    rest = {
        "report": ["--out", tmp_path / "out"],
        "recommend": ["--threshold", 0.5, "--radius", 0],
        "bounds": ["--sigma", 1, "--out", tmp_path / "out.parquet"],
    }
    said = fails(command, tmp_path / "in", *rest[command])
    assert "secret\\x1b[2J: Permission denied" in said.replace("\n", "")


def test_ctrl_c_ends_every_command_with_130_and_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("smoothbound.analysis.reading.open_folder", interrupt)
    (tmp_path / "in").mkdir()
    result = smoothbound("report", tmp_path / "in", "--out", tmp_path / "out")
    assert result.exit_code == 130
    assert result.output == "note: stopped\n"


def test_a_reader_that_has_seen_enough_ends_a_command_quietly(tmp_path: Path) -> None:
    script = (
        "from smoothbound._display import console\nfrom smoothbound.cli import app, main\n"
        "@app.command()\ndef chatter():\n"
        "    for k in range(100_000): console.say(f'line {k}')\n"
        "import sys; sys.argv = ['smoothbound', 'chatter']; main()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"line 0\n"
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()
        assert process.wait() == 1


@pytest.mark.parametrize(
    ("typed", "meant"), [("--sigm", "--sigma"), ("--treshold", "--threshold"), ("--ot", "--out")]
)
def test_a_mistyped_option_is_answered_with_the_right_one(typed: str, meant: str) -> None:
    result = smoothbound("certify", typed, 1)
    assert result.exit_code == 2
    assert meant in result.output


def test_threads_are_recorded_and_kept_by_a_run_that_goes_on(model: Path, tmp_path: Path) -> None:
    import torch

    words = ("certify", "--checkpoint", model, "--data", "digits", "--sigma", 0.25, "--n", 200,
             "--n0", 10, "--skip", 60)  # fmt: skip
    before = torch.get_num_threads()
    assert smoothbound(*words, "--out", tmp_path / "a").exit_code == 0
    assert store.load(tmp_path / "a").settings.threads == 1  # a small network
    assert smoothbound(*words, "--out", tmp_path / "b", "--threads", 2).exit_code == 0
    assert store.load(tmp_path / "b").settings.threads == 2
    assert torch.get_num_threads() == before
    assert smoothbound(*words, "--out", tmp_path / "b", "--resume").exit_code == 0
    other = smoothbound(*words, "--out", tmp_path / "b", "--resume", "--threads", 1)
    assert other.exit_code == 2
    assert "threads: was 2, now 1" in other.output
    assert "--threads must be" in fails(*words, "--out", tmp_path / "c", "--threads", 0)


@pytest.mark.parametrize(
    ("command", "groups"),
    [("train", ("The recipe", "How it runs")), ("bounds", ("The scores", "How it runs"))],
)
def test_options_stand_in_groups_where_they_are_many(command: str, groups: tuple[str, ...]) -> None:
    text = smoothbound(command, "--help").output
    assert [group for group in groups if f"─ {group} ─" in text] == list(groups)


def test_the_many_options_of_certify_stand_in_groups() -> None:
    text = smoothbound("certify", "--help").output
    groups = (
        "The network, and how it runs",
        "Which inputs",
        "Adaptive draws",
        "Runs that were stopped",
    )
    members = ("--threads", "--indices", "--budget-draws", "--resume ")
    places = [text.index(f"{start} {words}") for pair in zip(groups, members, strict=True)
              for start, words in zip("─│", pair, strict=True)]  # fmt: skip
    assert places == sorted(places)


# --- what errors and notes say ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--model", "nets"], "--model must be one of digits_cnn, .*file.*module:factory.*'nets'"),
        (["--arch", "nets"], "--arch must be one of digits_cnn, .*got 'nets'"),
        (["--model", "digits_cnn"], "--checkpoint FILE.*--model package.module:factory"),
        ([], "--checkpoint FILE.*--model package.module:factory"),
        (["--model", __file__], "is a file: give it as --checkpoint"),
        (["--model", "nets:"], "--model must be package.module:factory, got 'nets:'"),
        (
            ["--adaptive", "--budget-draws=0", "--radii=0"],
            "--budget-draws must be at least 1, got 0",
        ),
        (["--adaptive", "--budget-seconds=0", "--radii=0"], "--budget-seconds must be positive"),
    ],
)
def test_errors_name_options_as_they_were_typed(
    tmp_path: Path, options: list[str], said: str
) -> None:
    common = ("--data", "digits", "--sigma", 0.25, "--out", tmp_path / "out")
    last = fails("certify", *common, *options).splitlines()[-1]
    assert re.search(f"error: .*{said}", last), last


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--radii", "-1"], "--radii must be finite and >= 0"),
        (["--adaptive", "--radius-precision=-1"], "--radius-precision must be positive"),
        (["--outputs", "probabilities"], "State --outputs logits if they are logits"),
        (["--max-inputs=0"], "--max-inputs must be at least 1, got 0"),
        (["--n-bins", "0", "--bound", "cdf"], "--n-bins must be at least 1"),
        (["--sigma", "1e-6"], "--sigma must be from .* to .* for inputs on the grid 1/16"),
    ],
)
def test_errors_about_a_model_name_options_too(
    model: Path, tmp_path: Path, options: list[str], said: str
) -> None:
    common = ("--checkpoint", model, "--data", "digits", "--sigma", 0.25, "--n", 200)
    last = fails("certify", *common, "--out", tmp_path / "out", *options).splitlines()[-1]
    assert re.search(f"error: .*{said}", last), last
    assert "leave grid out" not in last


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--index", "70"], "error: --index must be that of an input: b has no input 70"),
        (["--index=-1"], "error: --index must be at least 0, got -1"),
        (["--index=0", "--example=0"], "--example is now called --index: give one of the two"),
        (["--thresholds", "0.5,2"], "b: --thresholds must .*, got --thresholds[1] = 2"),
        (["--radii", "0.3"], "error: --radii: b has no bound at 0.3"),
        (["--radii", "0,nan"], "error: --radii"),
    ],
)
def test_errors_of_a_report_name_options_as_they_were_typed(
    scores: Path, options: list[str], said: str
) -> None:
    results, out = scores.with_name("b.parquet"), scores.with_name("report")
    made = smoothbound("bounds", scores, "--sigma", 0.25, "--radii", "0,1", "--out", results)
    assert made.exit_code == 0, made.output
    last = fails("report", results, "--out", out, *options).splitlines()[-1]
    words = map(re.escape, said.split(".*"))
    assert re.search(".*".join(words), last), last
    assert not out.exists()


@pytest.mark.usefixtures("undrawn")
def test_the_old_name_of_an_option_works_and_is_noted(scores: Path) -> None:
    results, out = scores.with_name("b.parquet"), scores.with_name("report")
    smoothbound("bounds", scores, "--sigma", 0.25, "--radii", "0,1", "--out", results)
    done = smoothbound("report", results, "--out", out, "--example", 7)
    assert done.exit_code == 0, done.output
    assert done.stderr.count("note: --example is now called --index") == 1
    assert "input 7 (as asked for)" in (out / "report.md").read_text()
    assert "--example" not in smoothbound("report", "--help").output


@pytest.mark.parametrize(
    ("command", "old", "new"),
    [
        ("certify", "--max-draws", "--budget-draws"),
        ("certify", "--max-seconds", "--budget-seconds"),
        ("recommend", "--max-n", "--max-draws"),
    ],
)
def test_old_names_of_limits_reach_the_new_ones(command: str, old: str, new: str) -> None:
    needed = {
        "certify": ("--data", "digits", "--sigma", 0.25, "--out", "out", "--adaptive", "--radii=0"),
        "recommend": ("none", "--threshold", 0.5, "--radius", 0),
    }
    for words in ((old, "many"), (f"{old}=many",)):
        refused = smoothbound(command, *needed[command], *words)
        assert refused.stderr.count(f"note: {old} is now called {new}") == 1
        assert f"Invalid value for '{new}'" in refused.stderr
    both = smoothbound(command, *needed[command], f"{new}=1", f"{old}=1")
    assert f"{old} is now called {new}: give one of the two" in both.stderr


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--sigma=-1", "--sigma must be positive"),
        ("--lr=0", "--lr must be positive"),
        ("--batch-size=0", "--batch-size must be at least 1"),
        ("--epochs=0", "--epochs must be at least 1"),
        ("--seed=-1", "--seed must be"),
        ("--arch=net", "--arch must be one of 'digits_cnn'"),
        ("--recipe=slow", "--recipe must be one of"),
        ("--precision=float8", "--precision must be one of"),
        ("--threads=0", "--threads must be"),
        ("--max-images=0", "--max-images must be at least 1"),
    ],
)
def test_train_checks_its_options_before_it_reads_data(
    tmp_path: Path, option: str, said: str
) -> None:
    common = ("--data", "npz:missing", "--arch=digits_cnn", "--sigma=1")
    out = tmp_path / "model.pt"
    assert f"error: {said}" in fails("train", *common, "--out", out, option)
    assert not list(tmp_path.iterdir())


def test_errors_of_bounds_name_one_of_several_numbers_as_typed(scores: Path) -> None:
    out = scores.with_name("b.parquet")
    last = fails("bounds", scores, "--sigma", 0.25, "--out", out, "--thresholds", "0.5,7")
    assert last.endswith("got --thresholds[1] = 7.0\n")


@pytest.mark.parametrize(
    ("words", "joined"),
    [
        (["bounds", "s.npy", "--thresholds", "0.5", "0.7", "--sigma=1"], "--thresholds 0.5,0.7"),
        (["certify", "--data", "digits", "--indices=0", "40", "80"], "--indices 0,40,80"),
        (["recertify", "in", "--radii", "0", "0.1", "--out", "again"], "--radii 0,0.1"),
        (["export", "in", "--format", "csv", "--thresholds", "-.5", ".9"], "--thresholds -.5,.9"),
    ],
)
def test_numbers_of_an_option_are_joined_by_commas(words: list[str], joined: str) -> None:
    assert f"separated by commas, without blanks: {joined}; got" in fails(*words)


def test_a_folder_named_by_a_number_is_an_argument(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("0.25").mkdir()
    words = ["recertify", "--radii", "0.1", "0.25", "--out", "again"]
    assert "0.25 holds no results" in fails(*words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["certify", "--data", "digits", "--sigma=1", "--out", ""], "--out must not be empty"),
        (["train", "--data", "digits", "--sigma=1", "--arch=x", "--out="], "--out must not be"),
        (["certify", "--checkpoint=", "--data", "digits"], "--checkpoint must not be empty"),
        (["bounds", "", "--sigma=1", "--out", "b.csv"], "an argument must not be empty"),
        (["bounds", "s.npy", "--sigma=1", "--out", ""], "--out must not be empty"),
        (["report", "in", "--compare", "", "--out", "b"], "an argument must not be empty"),
        (["report", "in", "--class-radius", "", "--out", "b"], "--class-radius must not be empty"),
        (["recommend", "in", "--checkpoint", ""], "--checkpoint must not be empty"),
        (["demo", "--out", ""], "--out must not be empty"),
    ],
)
def test_an_empty_path_is_not_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert said in fails(*words)
    assert not list(tmp_path.iterdir())


def test_an_empty_path_is_refused_in_python_too(tmp_path: Path) -> None:
    for function in (store.load, score_files.open_scores, sb.Certificate.load):
        with pytest.raises(ValueError, match="must not be empty"):
            function("")


@pytest.mark.parametrize(("resume", "said"), [([], " with --resume"), (["--resume"], "")])
def test_ctrl_c_before_the_first_input_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resume: list[str], said: str
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("smoothbound.data._loading.load", interrupt)
    words = ("--model", "a:b", "--data", "digits", "--sigma", 1, "--out", tmp_path / "out")
    result = smoothbound("certify", *words, *resume)
    assert result.exit_code == 130
    assert f"stopped: the same command{said} goes on with what is finished" in result.output
    assert "the same command goes on" in smoothbound("demo", "--out", tmp_path / "demo").output


@pytest.mark.parametrize("package", ["typer", "torch"])
def test_ctrl_c_during_the_imports_shows_no_traceback(tmp_path: Path, package: str) -> None:
    (tmp_path / f"{package}.py").write_text(
        "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(60)\n"
    )
    script = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); sys.argv = ['smoothbound', 'demo']\n"
        "from smoothbound.__main__ import main; main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert ended.returncode == 130
    assert "note: stopped" in ended.stderr
    assert "Traceback" not in ended.stderr
