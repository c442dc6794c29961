"""Sessions of ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from smoothbound._utils import checks
from smoothbound.adapters._base import BaseClassifier, as_tensor, in_batches_of

__all__ = ["Session", "onnx"]

_FLOATS = {
    "tensor(float16)": torch.float16,
    "tensor(float)": torch.float32,
    "tensor(double)": torch.float64,
}


@runtime_checkable
class Session(Protocol):
    """A session that `onnx` takes: an ``onnxruntime.InferenceSession``, or one with its methods."""

    def get_inputs(self) -> Sequence[Any]:
        """Return the inputs, each with its name, shape and type."""

    def get_outputs(self) -> Sequence[Any]:
        """Return the outputs, each with its name."""

    def run(self, output_names: Any, input_feed: dict[str, Any], /) -> Sequence[Any]:
        """Return the named outputs."""


def onnx(session: Session, *, output: str | None = None) -> BaseClassifier:
    """Adapt an ONNX Runtime session.

    Batches are made on the CPU, and the provider of the session reads them from there. A model with
    a fixed batch size gets pieces of that size. The last piece is padded.

    Parameters
    ----------
    session : onnxruntime.InferenceSession
        A session with one floating-point input. If that is float16, noisy inputs are rounded to it.
    output : str, optional
        Name of the output to certify. It is needed if there are several.

    Returns
    -------
    BaseClassifier
        Its outputs are of no declared kind.

    Raises
    ------
    TypeError, ValueError
        If `session` is not a session, if its input is not one floating-point tensor, or if `output`
        is missing or not one of its outputs.

    Examples
    --------
    A session is recognised: ``SmoothedClassifier(session, sigma, outputs="logits")`` is
    ``SmoothedClassifier(adapters.onnx(session), sigma, outputs="logits")``.
    """
    if not isinstance(session, Session):
        raise TypeError(
            f"session must be an onnxruntime.InferenceSession, got {type(session).__name__}; make "
            "one of a file: onnxruntime.InferenceSession('model.onnx')"
        )
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type not in _FLOATS:
        got = ", ".join(f"{one.name}: {one.type}" for one in inputs)
        raise ValueError(
            f"the ONNX model must have one input, of float16, float32 or float64, got ({got}); "
            "feed the others in a function, and wrap that with smoothbound.adapters.numpy"
        )
    (source,) = inputs
    outputs = [one.name for one in session.get_outputs()]
    if output is None and len(outputs) > 1:
        raise ValueError(
            f"the ONNX model has the outputs {', '.join(map(repr, outputs))}: name the one to "
            f"certify, as in smoothbound.adapters.onnx(session, output={outputs[0]!r})"
        )
    wanted = outputs[0] if output is None else checks.choice("output", output, outputs)

    def call(batch: Tensor) -> Tensor:
        return as_tensor(session.run([wanted], {source.name: batch.numpy()})[0])

    size = source.shape[0] if source.shape else None  # a name or None where any size is fine
    least, most = (size, size) if isinstance(size, int) else (1, None)
    dtype = _FLOATS[source.type]
    return BaseClassifier(
        "ONNX session", in_batches_of(call, least, most), torch.device("cpu"), dtype
    )
