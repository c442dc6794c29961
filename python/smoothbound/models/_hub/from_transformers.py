"""Image classifiers of Transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from smoothbound._files.digests import digest
from smoothbound._files.plain import read_plain
from smoothbound._utils import checks
from smoothbound._utils.extras import name_the_extra
from smoothbound.errors import CheckpointError, said
from smoothbound.models._hub.pixels import PixelClassifier, check_parameters, checked_shape
from smoothbound.models._hub.processors import Preprocessing

__all__ = ["check_single_label", "class_names_of", "folder_digest", "from_transformers"]

_FILES = ("config.json", "preprocessor_config.json")


def from_transformers(
    model: nn.Module | Path | str,
    processor: Any = None,
    *,
    shape: tuple[int, int, int] | None = None,
) -> PixelClassifier:
    """Return an image classifier of Transformers as a network from pixels in [0, 1] to logits.

    The mean and the standard deviation of the processor become a part of the network, so that sigma
    and radii are in the units of the pixels. 8-bit images lie on ``grid=255``. Images must already
    have the size of the model: resizing and cropping come before the noise.

    Nothing is downloaded, no code of a model's author is run, and weights are read from safetensors
    if there are any, else by torch's reader of weights alone.

    Parameters
    ----------
    model : PreTrainedModel or path
        The classifier, or the folder in which ``save_pretrained`` wrote it and its processor.
    processor : image processor, optional
        What ``AutoImageProcessor`` gives for the model; to be left out with a folder.
    shape : tuple of int, optional
        (channels, height, width) of the images that the model gets. The default is the shape to
        which the processor brings them.

    Returns
    -------
    PixelClassifier
        Shares the parameters of `model`. ``class_names`` are those of ``config.id2label``.

    Raises
    ------
    TypeError, ValueError
        If an argument is of another kind; if the processor does more than resize, crop, rescale and
        normalise; if the model is for several labels an input or for regression, or its parameters
        are not in float32.
    CheckpointError
        If the folder is incomplete, or its weights do not fit its configuration.
    ModelError
        If the model does not classify an image of this shape, or the processor fails.
    ModuleNotFoundError
        If Transformers is not installed: ``pip install "smoothbound[transformers]"``.

    Examples
    --------
    >>> net = from_transformers("path/to/folder")  # doctest: +SKIP
    >>> smoothed = SmoothedClassifier(net, sigma=0.25)  # doctest: +SKIP
    >>> smoothed.certify(images, grid=255)  # doctest: +SKIP
    """
    with name_the_extra():
        from transformers import PreTrainedModel
    if isinstance(model, str | Path):
        if processor is not None:
            raise TypeError("processor must be left out with a folder, which has its own")
        model, processor = _loaded(Path(model))
    if not isinstance(model, PreTrainedModel):
        raise TypeError(
            "model must be a model of Transformers or a folder that save_pretrained wrote, got "
            f"{checks.shown(model)}"
        )
    if processor is None:
        raise TypeError(
            "processor must be given, because the model does not know how its images were "
            "normalised: AutoImageProcessor.from_pretrained(...) of the same model"
        )
    check_single_label(model)
    check_parameters(model)
    channels = getattr(model.config, "num_channels", 3)
    if shape is not None:
        shape = checked_shape(shape, channels)
    steps = Preprocessing.of(processor, channels, shape)
    names = class_names_of(model)
    return PixelClassifier(model, steps.shape, steps.mean, steps.std, len(names), names)


def folder_digest(folder: Path, made: PixelClassifier) -> str:
    """Return the SHA-256 of the network that a folder holds: parameters and configurations."""
    texts = {name: json.loads(read_plain(folder / name, CheckpointError)) for name in _FILES}
    return digest({**texts, "state_dict": made.state_dict()})


def check_single_label(model: Any) -> None:
    """Refuse a model whose outputs are no logits of one class out of several.

    Raises
    ------
    ValueError
        If it is for several labels an input, or has a single output.
    """
    kind = getattr(model.config, "problem_type", None)
    if model.config.num_labels < 2:
        raise ValueError(
            f"config.num_labels must be at least 2, got {model.config.num_labels}, because the "
            "softmax of one output is always 1: to certify a measure of one output, write a "
            "network of your own that returns it, and state outputs='raw'"
        )
    if kind not in (None, "single_label_classification"):
        raise ValueError(
            f"config.problem_type must be 'single_label_classification', got {kind!r}, whose "
            "outputs are no logits of a softmax: set it to None to certify a custom measure of the "
            "raw outputs, SmoothedClassifier(..., measure=sb.custom(...), outputs='raw')"
        )


def class_names_of(model: Any) -> tuple[str, ...]:
    """Return the names in ``config.id2label``, in the order of the logits.

    Raises
    ------
    ValueError
        If they do not belong to 0, 1, 2, ...
    """
    names = model.config.id2label
    if sorted(names) != list(range(len(names))):
        raise ValueError(f"config.id2label must name the classes 0, 1, 2, ..., got {names!r:.80}")
    return tuple(str(names[k]) for k in range(len(names)))


def _loaded(folder: Path) -> tuple[Any, Any]:
    """Read a classifier and its processor from a folder, and refuse parts that do not fit."""
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    for name in _FILES:
        if not (folder / name).is_file():
            raise CheckpointError(
                f"{folder} must be a folder with {' and '.join(_FILES)}, and has no {name}: write "
                "it by save_pretrained of the model and of its AutoImageProcessor"
            )
    local = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = json.loads(read_plain(folder / "config.json", CheckpointError))
        if isinstance(config, dict) and config.get("use_pretrained_backbone"):
            raise CheckpointError("use_pretrained_backbone in config.json would download weights")
        model, told = AutoModelForImageClassification.from_pretrained(
            folder, dtype=torch.float32, output_loading_info=True, **local
        )
        processor = AutoImageProcessor.from_pretrained(folder, **local)
    except Exception as error:  # files of others can raise anything
        raise CheckpointError(f"{folder} cannot be loaded: {said(error)}") from error
    misfits = {
        kind.removesuffix("_keys"): sorted(map(str, names))
        for kind, names in told.items()
        if kind.endswith("_keys") and names
    }
    if misfits:
        shown = "; ".join(f"{kind}: {', '.join(names[:4])}" for kind, names in misfits.items())
        raise CheckpointError(
            f"the weights in {folder} do not fit its classifier ({shown}), so that parts would be "
            "random or left out"
        )
    bad = [name for name, v in model.named_parameters() if not bool(torch.isfinite(v).all())]
    if bad:
        raise CheckpointError(f"{folder}: {bad[0]} holds NaN or infinity")
    return model, processor
