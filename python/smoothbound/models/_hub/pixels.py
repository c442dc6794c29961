"""A classifier of another library as a network from pixels in [0, 1] to logits."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from smoothbound._utils import checks
from smoothbound.adapters._evaluating import evaluating
from smoothbound.errors import ModelError, said
from smoothbound.models._networks import Normalize

__all__ = ["PixelClassifier", "check_parameters", "checked_shape", "logits_of"]


class PixelClassifier(nn.Module):
    """A classifier of another library behind its normalisation.

    It takes pixels in [0, 1]. Noise is therefore added before the normalisation, and sigma is in
    the units of the pixels. `smoothbound.models.from_transformers` and
    `smoothbound.models.from_timm` make it.

    Parameters
    ----------
    model : nn.Module
        Takes normalised images and returns logits, or an object with the attribute ``logits``.
    shape : tuple of int
        (channels, height, width) of an image; others are refused.
    mean, std : sequence of float
        Normalisation of each channel, in the units of the pixels.
    num_classes : int
        Number of logits.
    class_names : sequence of str, optional
        Name of each class, in the order of the logits.

    Attributes
    ----------
    model, shape, num_classes, class_names
        As given.

    Raises
    ------
    ModelError
        If the model does not classify an image of this shape, or returns another number of logits.

    Examples
    --------
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    >>> PixelClassifier(net, (1, 2, 2), [0.5], [0.25], 2)(torch.ones(3, 1, 2, 2)).shape
    torch.Size([3, 2])
    """

    def __init__(
        self,
        model: nn.Module,
        shape: tuple[int, int, int],
        mean: Sequence[float],
        std: Sequence[float],
        num_classes: int,
        class_names: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        self.normalize = Normalize(mean, std)
        self.model = model
        self.shape, self.num_classes = shape, num_classes
        self.class_names = None if class_names is None else tuple(class_names)
        self._try()

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of images, shape (batch, channels, height, width)."""
        if images.shape[1:] != self.shape:
            raise ValueError(
                f"images must have the shape {self.shape} that this network takes, got "
                f"{tuple(images.shape[1:])}: {self._remedy(images)}"
            )
        return logits_of(self.model(self.normalize(images)))

    def _remedy(self, images: Tensor) -> str:
        """Say how images get the shape that the network takes."""
        wanted, given = self.shape[0], images.shape[1] if images.ndim == 4 else None
        if given is None or given == wanted:
            return "resize and crop them first"
        if wanted == 1:
            return "average their channels before you certify, images.mean(dim=1, keepdim=True)"
        if given == 1:
            return f"repeat their channel before you certify, images.repeat(1, {wanted}, 1, 1)"
        return f"give them {wanted} channels before you certify"

    def _try(self) -> None:
        """Classify one image, in evaluation mode."""
        where = next((value.device for value in self.model.parameters()), torch.device("cpu"))
        self.normalize.to(where)
        try:
            with evaluating(self), torch.no_grad():
                logits = self(torch.zeros(1, *self.shape, device=where))
        except Exception as error:  # a network of others can raise anything
            raise ModelError(
                f"the model does not classify an image of shape {self.shape}: {said(error)}; state "
                "the shape that it takes, if it is another"
            ) from error
        if logits.shape != (1, self.num_classes):
            raise ModelError(
                f"the model must return logits of shape (1, {self.num_classes}) for one image, got "
                f"{tuple(logits.shape)}"
            )


def logits_of(output: object) -> Tensor:
    """Return the logits of what a classifier returned.

    Raises
    ------
    TypeError
        If it returned neither a tensor nor an object with a tensor ``logits``.
    """
    logits = getattr(output, "logits", output)
    if isinstance(logits, Tensor):
        return logits
    raise TypeError(
        f"the model must return logits, and returned a {type(output).__name__} without them: take "
        "the model with a classifier on top, and leave config.return_dict at True"
    )


def check_parameters(model: nn.Module) -> None:
    """Refuse parameters that are not in float32, or have no values.

    Raises
    ------
    ValueError
        If there are such parameters; names one.
    """
    for name, value in model.named_parameters():
        if value.is_meta:
            raise ValueError(f"model must have values, and {name} lies on the device 'meta'")
        if value.is_floating_point() and value.dtype != torch.float32:
            raise ValueError(
                f"model must have parameters in float32, and {name} is in "
                f"{str(value.dtype).removeprefix('torch.')}: call model.float(), and state the "
                "precision of a run to SmoothedClassifier"
            )


def checked_shape(shape: object, channels: int) -> tuple[int, int, int]:
    """Return the shape of an image, if it is (channels, height, width)."""
    sides = checks.items("shape", shape, int)
    if len(sides) != 3 or sides[0] != channels or min(sides) < 1:
        raise ValueError(f"shape must be ({channels}, height, width), got {checks.shown(shape)}")
    return sides[0], sides[1], sides[2]
