"""Image classifiers of Transformers, with random weights, as networks over pixels."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import smoothbound as sb
from smoothbound.errors import CheckpointError, ModelError
from smoothbound.models import PixelClassifier, checkpoint, from_transformers

pytestmark = pytest.mark.usefixtures("torchvision")
transformers = pytest.importorskip("transformers", exc_type=ImportError)

SIZE = 32
NAMES = {0: "cat", 1: "dog", 2: "owl"}
BITS = np.random.default_rng(0).integers(0, 256, (2, 3, SIZE, SIZE), np.uint8)
PIXELS = torch.from_numpy(BITS).float() / 255


def vit(**options: Any) -> Any:
    torch.manual_seed(0)
    config = transformers.ViTConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=SIZE,
        patch_size=8,
        hidden_dropout_prob=0.5,
        **{"id2label": NAMES, **options},
    )
    return transformers.ViTForImageClassification(config)


def resnet() -> Any:
    torch.manual_seed(0)
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", id2label=NAMES
    )
    return transformers.ResNetForImageClassification(config)


def convnext() -> Any:
    torch.manual_seed(0)
    config = transformers.ConvNextConfig(
        hidden_sizes=[8, 16], depths=[1, 1], num_stages=2, id2label=NAMES
    )
    return transformers.ConvNextForImageClassification(config)


def vit_processor(**options: Any) -> Any:
    return transformers.ViTImageProcessor(**{"size": {"height": SIZE, "width": SIZE}, **options})


def cropping() -> Any:
    """Resize the shorter side and crop, as for ResNet, with a mean and std of each channel."""
    return transformers.CLIPImageProcessor(
        size={"shortest_edge": 40},
        crop_size={"height": SIZE, "width": SIZE},
        image_mean=[0.48, 0.45, 0.41],
        image_std=[0.22, 0.23, 0.24],
    )


MODELS = {
    "vit": (vit, vit_processor),
    "resnet": (resnet, cropping),
    "convnext": (
        convnext,
        lambda: transformers.ConvNextImageProcessor(size={"shortest_edge": SIZE}),
    ),
    "another factor": (vit, lambda: vit_processor(rescale_factor=1 / 127.5, image_mean=[1.0] * 3)),
    "not normalised": (vit, lambda: vit_processor(do_normalize=False)),
    "rgb": (vit, lambda: vit_processor(do_convert_rgb=True)),
}


@pytest.mark.parametrize("name", MODELS)
def test_pixels_give_what_the_processor_and_the_model_give(name: str) -> None:
    make_model, make_processor = MODELS[name]
    model, processor = make_model().eval(), make_processor()
    net = from_transformers(model, processor)
    assert net.shape == (3, SIZE, SIZE)
    assert net.class_names == ("cat", "dog", "owl")
    steps = {"do_resize": False} | ({"do_center_crop": False} if name == "resnet" else {})
    seen = processor(images=list(BITS), return_tensors="pt", **steps)["pixel_values"]
    with torch.no_grad():
        torch.testing.assert_close(net(PIXELS), model(seen).logits, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["vit", "resnet", "convnext"])
def test_it_is_certified(name: str) -> None:
    model = MODELS[name][0]().train()  # dropout and the training mode of batch normalisation
    net = from_transformers(model, MODELS[name][1]())
    assert model.training
    smoothed = sb.SmoothedClassifier(net, sigma=0.25, cutoff=0.0)
    cert = smoothed.certify(PIXELS, n=200, n0=20, grid=255, radii=[0.0, 0.1])
    again = smoothed.certify(PIXELS, n=200, n0=20, grid=255, radii=[0.0, 0.1])
    assert cert.settings.displacement == 0.0
    assert (cert.lower == again.lower).all()
    assert (cert.lower[:, 0] > 0.1).all()
    assert model.training


def test_sigma_is_in_the_units_of_pixels() -> None:
    """A std of 0.5 doubles the noise that the model sees; sigma is that of the pixels."""
    seen: list[torch.Tensor] = []
    model = resnet()
    model.register_forward_pre_hook(
        lambda _, args, kwargs: seen.append(args[0] if args else kwargs["pixel_values"]),
        with_kwargs=True,
    )
    net = from_transformers(model, vit_processor())
    seen.clear()
    gray = torch.full((1, 3, SIZE, SIZE), 51 / 255)
    options = {"batch_size": 10, "channels_last": False, "check_rows": False}
    sb.SmoothedClassifier(net, sigma=0.25, **options).draw(gray[0], n=100, n0=10, grid=255)
    drawn = torch.cat(seen)
    assert float(drawn.std()) == pytest.approx(0.5, rel=0.02)
    assert float(drawn.mean()) == pytest.approx((0.2 - 0.5) / 0.5, abs=0.02)


def test_images_of_another_size_are_refused() -> None:
    net = from_transformers(resnet(), cropping())
    with pytest.raises(ModelError, match=r"images must have the shape \(3, 32, 32\).*resize"):
        sb.SmoothedClassifier(net, 0.25).draw(torch.zeros(3, 16, 16), n=10, n0=10, grid=255)


def test_another_shape_may_be_stated_and_is_tried() -> None:
    assert from_transformers(resnet(), cropping(), shape=(3, 16, 24)).shape == (3, 16, 24)
    with pytest.raises(ModelError, match="does not classify an image of shape"):
        from_transformers(vit(), vit_processor(), shape=(3, 16, 16))
    for shape in [(1, 32, 32), (3, 32), (3, 0, 32)]:
        with pytest.raises(ValueError, match=r"shape must be \(3, height, width\)"):
            from_transformers(vit(), vit_processor(), shape=shape)  # type: ignore[arg-type]


# --- what is refused ------------------------------------------------------------------------------


def test_preprocessing_that_does_something_else_is_named() -> None:
    flipped = transformers.MobileViTImageProcessor(
        size={"shortest_edge": 40}, crop_size={"height": SIZE, "width": SIZE}
    )
    with pytest.raises(ValueError, match="do_flip_channel_order"):
        from_transformers(vit(), flipped)
    offset = transformers.EfficientNetImageProcessor(
        size={"height": SIZE, "width": SIZE}, rescale_offset=True, rescale_factor=1 / 127.5
    )
    with pytest.raises(ValueError, match="rescale_offset"):
        from_transformers(vit(), offset)
    twice = transformers.EfficientNetImageProcessor(
        size={"height": SIZE, "width": SIZE}, include_top=True
    )
    with pytest.raises(ValueError, match="include_top"):
        from_transformers(vit(), twice)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"do_rescale": False}, "do_rescale must be True"),
        ({"do_resize": False}, "shape must be stated"),
        ({"size": {"height": 10**6, "width": 32}}, "from 1 to 4096 pixels"),
        ({"image_mean": [0.5]}, "3 channels"),
        ({"image_std": [0.5, 0.0, 0.5]}, "image_std"),
    ],
)
def test_a_processor_that_says_too_little(options: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        from_transformers(vit(), vit_processor(**options))


def test_the_processor_of_a_network_of_timm_is_sent_to_from_timm() -> None:
    pytest.importorskip("timm", exc_type=ImportError)
    processor = transformers.TimmWrapperImageProcessor({"input_size": (3, 32, 32)})
    with pytest.raises(ValueError, match=r"TimmWrapperImageProcessor has no .*from_timm"):
        from_transformers(vit(), processor)


def test_models_that_are_no_classifiers_of_one_label() -> None:
    with pytest.raises(ValueError, match="problem_type"):
        from_transformers(vit(problem_type="multi_label_classification"), vit_processor())
    with pytest.raises(ValueError, match="num_labels must be at least 2"):
        from_transformers(vit(id2label={0: "height"}), vit_processor())
    with pytest.raises(ModelError, match="returned a BaseModelOutputWithPooling without them"):
        from_transformers(vit().vit, vit_processor())
    with pytest.raises(ValueError, match=r"float32.*float16"):
        from_transformers(vit().half(), vit_processor())
    with pytest.raises(TypeError, match="model must be a model of Transformers"):
        from_transformers(torch.nn.Linear(2, 2), vit_processor())


def test_a_processor_is_needed_for_an_object_and_only_for_it(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="processor must be given"):
        from_transformers(vit())
    with pytest.raises(TypeError, match="left out"):
        from_transformers(tmp_path, vit_processor())


def test_the_bare_model_is_refused_with_the_way_to_give_it() -> None:
    with pytest.raises(TypeError, match=r"from_transformers\(model, processor\)"):
        sb.SmoothedClassifier(vit(), sigma=0.25)


# --- folders ------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "vit"
    vit().save_pretrained(place)
    vit_processor().save_pretrained(place)
    return place


def edited(folder: Path, name: str, **changes: Any) -> None:
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_folder_gives_the_same_network(folder: Path) -> None:
    net = from_transformers(folder)
    assert isinstance(net, PixelClassifier)
    with torch.no_grad():
        expected = from_transformers(vit().eval(), vit_processor())(PIXELS)
        assert torch.equal(net.eval()(PIXELS), expected)


def test_weights_of_torch_are_read_without_running_code(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save(vit().state_dict(), folder / "pytorch_model.bin")
    with torch.no_grad():
        expected = from_transformers(vit().eval(), vit_processor())(PIXELS)
        assert torch.equal(from_transformers(folder).eval()(PIXELS), expected)

    class Code:
        def __reduce__(self) -> Any:
            return Path.touch, (folder / "was_run",)

    torch.save({"classifier.bias": Code()}, folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        from_transformers(folder)
    assert not (folder / "was_run").exists()


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json"])
def test_a_folder_that_lacks_a_part(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=f"has no {name}"):
        from_transformers(folder)


def test_what_is_no_folder_is_never_downloaded() -> None:
    with pytest.raises(CheckpointError, match="must be a folder"):
        from_transformers("google/vit-base-patch16-224")


def test_weights_that_do_not_fit_are_refused(folder: Path) -> None:
    """Transformers would give random values to what is missing, and say so in a log."""
    vit().vit.save_pretrained(folder)
    edited(folder, "config.json", architectures=["ViTForImageClassification"])
    with pytest.raises(CheckpointError, match=r"missing: classifier\.bias"):
        from_transformers(folder)
    edited(folder, "config.json", num_hidden_layers=1)
    with pytest.raises(CheckpointError, match="unexpected"):
        from_transformers(folder)


def test_weights_that_are_not_finite_are_refused(folder: Path) -> None:
    model = vit()
    with torch.no_grad():
        model.classifier.bias[0] = torch.nan
    model.save_pretrained(folder)
    with pytest.raises(CheckpointError, match=r"classifier\.bias holds NaN"):
        from_transformers(folder)


def test_code_of_the_author_of_a_folder_is_not_run(folder: Path) -> None:
    (folder / "evil.py").write_text(f"open({str(folder / 'was_run')!r}, 'w')\n")
    edited(
        folder,
        "config.json",
        model_type="evil",
        auto_map={
            "AutoConfig": "evil.Config",
            "AutoModelForImageClassification": "evil.Model",
        },
    )
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        from_transformers(folder)
    assert not (folder / "was_run").exists()


def test_a_folder_that_would_download_is_refused(folder: Path) -> None:
    edited(folder, "config.json", use_pretrained_backbone=True)
    with pytest.raises(CheckpointError, match="use_pretrained_backbone"):
        from_transformers(folder)


def test_the_hash_of_a_folder_changes_with_every_part(folder: Path, tmp_path: Path) -> None:
    def loaded(place: Path) -> checkpoint.Info:
        return checkpoint.load(None, arch=f"hf:{place}")[1]

    first = loaded(folder)
    assert (first.arch, first.shape, first.num_classes) == ("hf:vit", (3, SIZE, SIZE), 3)
    moved = Path(shutil.copytree(folder, tmp_path / "elsewhere" / "vit"))
    assert loaded(moved) == first
    edited(moved, "preprocessor_config.json", image_mean=[0.4] * 3)
    assert loaded(moved).sha256 != first.sha256
    with pytest.raises(ValueError, match="checkpoint must be left out"):
        checkpoint.load(folder / "model.safetensors", arch=f"hf:{folder}")
