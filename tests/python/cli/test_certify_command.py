"""`smoothbound certify`: what it writes and notes, and what it refuses before any draw."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import fails, smoothbound
from PIL import Image

import smoothbound as sb
from smoothbound import store
from smoothbound.cli._options import default_radii


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
    assert "checkpoint.pth.tar has 12 classes, but the data have 10" in said
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
        (["--n", 300, "--cutoff", 0.95], "the classifier would always abstain; at least n = 1382"),
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
    assert "the images have no stated grid: they are moved to a fine lattice" in said
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
