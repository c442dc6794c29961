"""The choice of the adapter of a model, by the type of the model."""

from __future__ import annotations

import sys
from typing import TypeAlias

import torch
from torch import nn
from torch.export import ExportedProgram

from smoothbound._utils import checks
from smoothbound._utils.devices import resolved
from smoothbound.adapters._base import BaseClassifier, TensorModel
from smoothbound.adapters._exported import exported
from smoothbound.adapters._functions import jax
from smoothbound.adapters._names import OUTPUTS, Outputs
from smoothbound.adapters._onnx import Session, onnx
from smoothbound.adapters._sklearn import Estimator, sklearn

__all__ = ["Model", "adapt"]

Model: TypeAlias = TensorModel | ExportedProgram | Estimator | Session


def adapt(
    model: Model, outputs: Outputs | None, device: torch.device | str | None
) -> tuple[TensorModel, Outputs]:
    """Turn a model of any kind into one that takes tensors, and decide the kind of its outputs.

    Parameters
    ----------
    model, outputs, device
        As for `smoothbound.SmoothedClassifier`.

    Returns
    -------
    model : nn.Module or callable
        The same module or function over tensors, or else a `BaseClassifier`.
    outputs : {"logits", "probabilities", "raw"}
        The stated kind, the kind that the model declares, or logits for a torch model.

    Raises
    ------
    TypeError
        If no adapter knows the type of the model.
    ValueError
        If `outputs` is needed and not stated, or if `outputs` or `device` contradicts what the
        model declares.
    """
    if outputs is not None:
        checks.choice("outputs", outputs, OUTPUTS)
    known = _recognised(model)
    if not isinstance(known, BaseClassifier):
        return known, outputs or "logits"
    if device is not None and resolved(device) != resolved(known.device):
        raise ValueError(
            f"device must be left out, or {str(known.device)!r} where this {known.kind} takes its "
            f"batches, got {str(device)!r}"
        )
    if outputs is None and known.outputs is None:
        raise ValueError(
            f"outputs must be stated for a model of the kind {known.kind}, which states none: "
            "'logits', 'probabilities', or 'raw' for a custom measure"
        )
    if known.outputs is not None and outputs not in (None, "raw", known.outputs):
        raise ValueError(
            f"outputs is {outputs!r}, and this {known.kind} returns {known.outputs}: leave it out"
        )
    return known, outputs or known.outputs or "logits"


def _recognised(model: Model) -> TensorModel:
    """Adapt a model by its type, without loading a library that is not in use."""
    if isinstance(model, torch.fx.GraphModule) and "eval" in vars(model):  # overridden to refuse
        raise TypeError("model must be the torch.export program itself, not its module()")
    transformers = sys.modules.get("transformers.modeling_utils")
    if transformers is not None and isinstance(model, transformers.PreTrainedModel):
        raise TypeError(
            f"model is a {type(model).__name__} of Transformers, which takes normalised images or "
            "tokens: give smoothbound.models.from_transformers(model, processor), or for text "
            "smoothbound.models.TextClassifier(model, **tokens)"
        )
    if isinstance(model, nn.Module | BaseClassifier):
        return model
    if isinstance(model, ExportedProgram):
        return exported(model)
    framework = sys.modules.get("jax")
    if framework is not None and isinstance(model, framework.stages.Wrapped):  # made by jax.jit
        return jax(model)
    if callable(model):
        return model
    if isinstance(model, Session):
        return onnx(model)
    if hasattr(model, "predict_proba") or hasattr(model, "predict"):
        return sklearn(model)
    raise TypeError(
        "model must be a torch.nn.Module or a callable that turns a batch of inputs into a tensor "
        "of shape (batch, classes), or else a torch.export program, an ONNX Runtime session, a "
        "fitted scikit-learn classifier, a function compiled by jax.jit, or what "
        "smoothbound.adapters makes of a function over NumPy or JAX arrays; got "
        f"{type(model).__name__}"
    )
