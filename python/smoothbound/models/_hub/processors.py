"""The preprocessing of an image processor of Transformers, as a mean and a standard deviation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from smoothbound._utils import checks
from smoothbound.errors import ModelError, said
from smoothbound.models._networks import Normalize

__all__ = ["Preprocessing"]

_KNOWN = {"do_resize", "do_center_crop", "do_rescale", "do_normalize", "do_convert_rgb"}
_MORE = {"rescale_offset", "include_top"}  # steps of EfficientNet
_MOST = 4096  # pixels of a side of an image
_ODD = (64, 48)  # height and width of an image that every processor has to resize
_TOLERANCE = 1e-4  # far more than rounding, far less than one step of 8 bits


@dataclass(frozen=True)
class Preprocessing:
    """The images of a processor, and the mean and standard deviation in units of pixels in [0, 1].

    Resizing and cropping come before the noise. They decide the shape and are not part of the
    certified classifier.
    """

    shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, processor: Any, channels: int, shape: tuple[int, int, int] | None) -> Preprocessing:
        """Read a processor, and try it on images to see that it does what it says.

        Raises
        ------
        ValueError
            If it does more than resize, crop, rescale and normalise; if it does not rescale; or if
            it brings images to no fixed size and `shape` is not stated.
        ModelError
            If it fails.
        """
        _check_sizes(processor)
        mean, std = _normalisation(processor, channels)
        shape = _shape(processor, channels) if shape is None else shape
        made = cls(shape, mean, std)
        made._check(processor)
        return made

    def _check(self, processor: Any) -> None:
        """Compare with the processor on an image that it need not resize."""
        bits = np.random.default_rng(0).integers(0, 256, self.shape, np.uint8)
        steps = {
            name: False for name in ("do_resize", "do_center_crop") if hasattr(processor, name)
        }
        found = _processed(processor, bits, **steps)
        expected = Normalize(self.mean, self.std)(torch.from_numpy(bits).float() / 255)[None]
        limit = _TOLERANCE * float(expected.abs().max())
        if found.shape == expected.shape and bool(((found - expected).abs() <= limit).all()):
            return
        raise ValueError(
            f"processor must only resize, crop, rescale and normalise, and {_described(processor)} "
            "does something else to the pixels, after which sigma would be in other units: make "
            "that a part of the model, in a network of your own"
        )


def _check_sizes(processor: Any) -> None:
    """Refuse sizes that no image classifier has, because a file stated them."""
    for name in ("size", "crop_size", "pad_size"):
        sides = _facts(processor).get(name)
        for side in sides.values() if isinstance(sides, Mapping) else [sides]:
            if isinstance(side, int) and not 1 <= side <= _MOST:
                raise ValueError(f"processor.{name} must be from 1 to {_MOST} pixels, got {sides}")


def _normalisation(processor: Any, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation in units of pixels in [0, 1]."""
    if not hasattr(processor, "do_rescale"):
        raise ValueError(
            "processor must be an image processor of Transformers that says how it rescales, and "
            f"{type(processor).__name__} has no do_rescale: a network of timm within Transformers, "
            "model.timm_model, is for smoothbound.models.from_timm"
        )
    if not processor.do_rescale:
        raise ValueError(
            "processor.do_rescale must be True, because otherwise nothing says whether the model "
            "takes pixels in [0, 1] or in [0, 255]: set it, and rescale_factor, to those of the "
            "training"
        )
    factor = 255 * checks.positive("processor.rescale_factor", processor.rescale_factor)
    normalised = getattr(processor, "do_normalize", False)
    means = _per_channel(processor.image_mean if normalised else 0.0, channels)
    stds = _per_channel(processor.image_std if normalised else 1.0, channels)
    if not len(means) == len(stds) == channels:
        raise ValueError(
            f"processor must have image_mean and image_std for the {channels} channels of the "
            f"model, got {len(means)} and {len(stds)}"
        )
    for one in stds:
        checks.positive("processor.image_std", one)
    return tuple(one / factor for one in means), tuple(one / factor for one in stds)


def _per_channel(value: Any, channels: int) -> list[float]:
    """Return one number for each channel; a single one is that of all."""
    return [float(one) for one in value] if np.ndim(value) else [float(value)] * channels


def _shape(processor: Any, channels: int) -> tuple[int, int, int]:
    """Return the shape to which the processor brings images of any size."""
    found = {
        tuple(_processed(processor, np.zeros((channels, *size), np.uint8)).shape[1:])
        for size in (_ODD, _ODD[::-1])
    }
    shape = found.pop()
    if found or len(shape) != 3 or shape[1:] in (_ODD, _ODD[::-1]):
        raise ValueError(
            f"shape must be stated, because {_described(processor)} brings images to no fixed "
            "size: (channels, height, width) of the images that the model gets"
        )
    return shape


def _processed(processor: Any, image: NDArray[np.uint8], **options: Any) -> Tensor:
    try:
        found = processor(
            images=image, return_tensors="pt", input_data_format="channels_first", **options
        )["pixel_values"]
    except Exception as error:  # a processor of others can raise anything
        raise ModelError(
            f"processor {_described(processor)} fails on an image of shape {image.shape}: "
            f"{said(error)}"
        ) from error
    return checks.instance("pixel_values of the processor", found, Tensor)


def _described(processor: Any) -> str:
    """Name a processor, and its steps beside the known ones."""
    more = [
        f"{name}={value!r}"
        for name, value in sorted(_facts(processor).items())
        if value and (name in _MORE or (name.startswith("do_") and name not in _KNOWN))
    ]
    return " with ".join([type(processor).__name__, *([", ".join(more)] if more else [])])


def _facts(processor: Any) -> dict[str, Any]:
    facts: dict[str, Any] = getattr(processor, "to_dict", dict)()
    return facts
