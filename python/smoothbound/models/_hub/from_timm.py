"""Image classifiers of timm."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

from smoothbound._utils import checks
from smoothbound._utils.extras import name_the_extra
from smoothbound.adapters._evaluating import evaluating
from smoothbound.errors import CheckpointError, ModelError, said
from smoothbound.models._hub.pixels import PixelClassifier, check_parameters, checked_shape

__all__ = ["from_timm", "timm_network", "with_normalisation"]


def from_timm(model: nn.Module, *, shape: tuple[int, int, int] | None = None) -> PixelClassifier:
    """Return an image classifier of timm as a network from pixels in [0, 1] to logits.

    The mean and the standard deviation of its data configuration become a part of the network, so
    that sigma and radii are in the units of the pixels. 8-bit images lie on ``grid=255``. Images
    must already have the size of the model: resizing and cropping come before the noise.

    Parameters
    ----------
    model : nn.Module
        What ``timm.create_model`` returned. Nothing is downloaded here.
    shape : tuple of int, optional
        (channels, height, width) of an image. The default is ``input_size`` of the data
        configuration. State it if the model was trained for images of another size.

    Returns
    -------
    PixelClassifier
        Shares the parameters of `model`. ``class_names`` are those of its configuration, if any.

    Raises
    ------
    TypeError, ValueError
        If `model` has no configuration of timm with mean and standard deviation of each channel,
        has no classifier on top, has parameters that are not in float32, or takes another number of
        channels than its configuration describes.
    ModelError
        If the model does not classify an image of this shape.
    ModuleNotFoundError
        If timm is not installed: ``pip install "smoothbound[timm]"``.

    Examples
    --------
    >>> net = from_timm(timm.create_model("resnet18", pretrained=True))  # doctest: +SKIP
    >>> smoothed = SmoothedClassifier(net, sigma=0.25)  # doctest: +SKIP
    >>> smoothed.certify(images, grid=255)  # doctest: +SKIP
    """
    with name_the_extra():
        from timm.data import resolve_model_data_config
    given = getattr(checks.instance("model", model, nn.Module), "pretrained_cfg", None)
    if not isinstance(given, Mapping) or not (given.get("mean") and given.get("std")):
        raise TypeError(
            "model must be what timm.create_model returned, with mean and std in its "
            f"pretrained_cfg, got {type(model).__name__}"
        )
    classes = getattr(model, "num_classes", 0)
    if classes < 2:
        raise ValueError(
            f"model must have a classifier of at least 2 classes, got num_classes={classes}: "
            "timm.create_model(..., num_classes=10)"
        )
    check_parameters(model)
    config = resolve_model_data_config(model)
    usual = tuple(config["input_size"])
    mean, std = config["mean"], config["std"]
    if not len(mean) == len(std) == usual[0] or not all(0 < one < math.inf for one in std):
        raise ValueError(
            f"model.pretrained_cfg must have a mean and a positive std for each of its {usual[0]} "
            f"channels, got mean={mean} and std={std}"
        )
    names = given.get("label_names")
    names = names if names and len(names) == classes else None
    try:
        shape = usual if shape is None else checked_shape(shape, usual[0])
        return PixelClassifier(model, shape, mean, std, classes, names)
    except (ModelError, ValueError) as error:
        if (n := _channels_taken(model, usual)) is None:
            raise
        raise _undescribed(n, usual) from error


def _channels_taken(model: nn.Module, usual: tuple[int, ...]) -> int | None:
    """Return how many channels a model takes, if it is another number than it is described for."""
    first = next((layer for layer in model.modules() if isinstance(layer, nn.Conv2d)), None)
    if first is None or first.in_channels == usual[0]:
        return None
    images = torch.zeros(1, first.in_channels, *usual[1:], device=first.weight.device)
    with evaluating(model), torch.no_grad(), suppress(Exception):  # it can raise anything
        model(images)
        return first.in_channels
    return None


def _undescribed(n: int, usual: tuple[int, ...]) -> ValueError:
    """Return the error about a model that was made with other ``in_chans``."""
    size = ", ".join(map(str, (n, *usual[1:])))
    return ValueError(
        f"model takes images with {n} channel{'s' * (n > 1)}, and its pretrained_cfg is about "
        f"{usual[0]}: describe them, timm.create_model(..., in_chans={n}, pretrained_cfg_overlay="
        f"dict(input_size=({size}), mean=[...], std=[...])), with {n} "
        f"number{'s' * (n > 1)} in each list"
    )


def with_normalisation(
    model: nn.Module, shape: tuple[int, int, int] | None
) -> tuple[PixelClassifier, int, list[str]]:
    """Return what `from_timm` makes for the images of a data set, its classes, and a remark.

    The shape is that of the images if the network takes any size, and else its own.
    """
    given: Any = model.pretrained_cfg
    usual = tuple(given["input_size"])
    free = shape is not None and shape[0] == usual[0] and not given.get("fixed_input_size")
    made = from_timm(model, shape=shape if free else None)
    remark = f"the network is described for images of shape {usual}, and gets {made.shape}"
    return made, made.num_classes, [] if made.shape == usual else [remark]


def timm_network(path: object, name: str, state: Mapping[str, Any]) -> nn.Module:
    """Return a network of timm by name, without weights, for as many classes as a state_dict has.

    Raises
    ------
    ValueError
        If timm has no such network in itself.
    CheckpointError
        If the state_dict does not tell the number of classes.
    """
    with name_the_extra():
        import timm
    if not timm.is_model(name):
        raise ValueError(
            f"timm:NAME must be a network of timm {timm.__version__}, see timm.list_models(); got "
            f"{name!r}"
        )
    try:
        head = timm.get_pretrained_cfg(name, allow_unregistered=False).classifier
        classes = _rows(path, name, head, state)
        made: nn.Module = timm.create_model(name, pretrained=False, num_classes=classes)
    except (RuntimeError, ValueError, AttributeError) as error:
        raise ValueError(f"timm:{name} cannot be made: {said(error)}") from error
    return made


def _rows(path: object, name: str, head: Any, state: Mapping[str, Any]) -> int:
    """Return the number of rows of the layer that classifies."""
    layers = (head,) if isinstance(head, str) else tuple(head or ())
    for found, value in state.items():
        is_head = any(f".{found}".endswith(f".{layer}.weight") for layer in layers)
        if is_head and isinstance(value, Tensor) and value.ndim:
            return len(value)
    raise CheckpointError(
        f"{path} has no weights of the classifier of {name}, {' or '.join(layers) or 'none'}"
    )
