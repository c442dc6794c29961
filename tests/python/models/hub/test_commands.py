"""`certify --model hf:DIR` and `--model timm:NAME`, as a user types them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import smoothbound as sb
from smoothbound.cli._app import app
from smoothbound.store._commands import certify_command

pytestmark = pytest.mark.usefixtures("torchvision")

BITS = np.random.default_rng(0).integers(0, 256, (4, 3, 32, 32), np.uint8)
LABELS = np.arange(4)
QUICK = ["--sigma", "0.25", "--n", "100", "--n0", "10", "--radii", "0,0.1", "--thresholds", "0.1"]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    np.savez(tmp_path / "images.npz", images=BITS, labels=LABELS)
    return tmp_path / "images.npz"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    transformers = pytest.importorskip("transformers", exc_type=ImportError)
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8], depths=[1], layer_type="basic", num_labels=4
    )
    transformers.ResNetForImageClassification(config).save_pretrained(tmp_path / "net")
    size = {"height": 32, "width": 32}
    transformers.ViTImageProcessor(size=size).save_pretrained(tmp_path / "net")
    return tmp_path / "net"


def certify(images: Path, out: Path, *args: object) -> Any:
    words = ["certify", "--data", f"npz:{images}", "--out", out, *QUICK, *args]
    return CliRunner().invoke(app, list(map(str, words)))


def test_a_folder_of_transformers(
    folder: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = certify(images, tmp_path / "out", "--model", f"hf:{folder}", "--cutoff", "0")
    assert result.exit_code == 0, result.output
    assert str(tmp_path) not in sys.path  # nothing is imported from where the user is
    settings = sb.store.load(tmp_path / "out").settings
    assert (settings.arch, settings.checkpoint) == ("hf:net", "hf:net")
    assert "certify --model hf:DIR/net --data" in certify_command(settings, "results")
    again = certify(
        images, tmp_path / "out", "--model", f"hf:{folder}", "--cutoff", "0", "--resume"
    )
    assert again.exit_code == 0, again.output


def test_a_finished_run_goes_on_where_the_folder_is(
    folder: Path, images: Path, tmp_path: Path
) -> None:
    options = ["--model", f"hf:{folder}", "--cutoff", "0", "--adaptive"]
    first = certify(images, tmp_path / "out", *options)
    assert first.exit_code == 0, first.output
    words = ["certify", "--continue", tmp_path / "out", "--data", f"npz:{images}", "--n", "200"]
    words += ["--model", f"hf:{folder}"]
    more = CliRunner().invoke(app, list(map(str, words)))
    assert more.exit_code == 0, more.output
    assert sb.store.load(tmp_path / "out").settings.n == 200


def test_a_network_of_timm(images: Path, tmp_path: Path) -> None:
    timm = pytest.importorskip("timm", exc_type=ImportError)
    weights = tmp_path / "weights.pt"
    torch.save(timm.create_model("test_resnet", num_classes=4).state_dict(), weights)
    options = ["--model", "timm:test_resnet", "--checkpoint", weights, "--cutoff", "0"]
    result = certify(images, tmp_path / "out", *options)
    assert result.exit_code == 0, result.output
    assert "described for images of shape" in " ".join(result.output.split())
    assert sb.store.load(tmp_path / "out").settings.arch == "timm:test_resnet"


def test_what_is_refused(folder: Path, images: Path, tmp_path: Path) -> None:
    def refused(*args: object) -> str:
        result = certify(images, tmp_path / "refused", *args)
        assert result.exit_code == 2, result.output
        assert "Traceback" not in result.output
        return " ".join(result.output.split())

    assert "a checkpoint is needed" in refused("--model", "timm:test_resnet")
    weights = folder / "model.safetensors"
    assert "checkpoint must be left out" in refused(
        "--model", f"hf:{folder}", "--checkpoint", weights
    )
    assert "must be a folder" in refused("--model", "hf:google/vit-base-patch16-224")
    np.savez(images, images=BITS[:, :, :16, :16], labels=LABELS)
    assert "takes images of shape (3, 32, 32)" in refused("--model", f"hf:{folder}")


def test_classes_in_another_order_are_refused(folder: Path, tmp_path: Path) -> None:
    image_module = pytest.importorskip("PIL.Image")
    for name, bits in zip(["LABEL_1", "LABEL_2"], BITS, strict=False):
        (tmp_path / "images" / name).mkdir(parents=True)
        image = image_module.fromarray(bits.transpose(1, 2, 0))
        image.save(tmp_path / "images" / name / "one.png")
    words = ["certify", "--data", f"images:{tmp_path / 'images'}", "--model", f"hf:{folder}"]
    result = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "out"), *QUICK])
    assert result.exit_code == 2, result.output
    assert "'LABEL_1' is the label 0 of the data, and the output 1" in " ".join(
        result.output.split()
    )
