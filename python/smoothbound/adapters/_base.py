"""Base classifiers that are not torch modules: what they run on, and what they return.

A base classifier is called with a batch of noisy inputs and returns their outputs, tensor to
tensor, on a declared device and in a declared type. Each function here makes such a
`BaseClassifier` out of a model of another library, without a copy where the library shares memory.
`smoothbound.SmoothedClassifier` calls them itself for what it can tell by its type; a function over
NumPy or JAX arrays looks like one over tensors, and needs its adapter.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias, get_args, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.utils.dlpack import from_dlpack

from smoothbound._utils import checks
from smoothbound._utils.devices import resolved

__all__ = [
    "BaseClassifier",
    "Estimator",
    "Model",
    "Outputs",
    "Session",
    "TensorModel",
    "adapt",
    "exported",
    "jax",
    "numpy",
    "onnx",
    "sklearn",
]

Outputs = Literal["logits", "probabilities", "raw"]

_FLOATS = {"float32": torch.float32, "float64": torch.float64}
_ONNX_FLOATS = {
    "tensor(float16)": torch.float16,
    "tensor(float)": torch.float32,
    "tensor(double)": torch.float64,
}


@dataclass(frozen=True)
class BaseClassifier:
    """A model as the sampler calls it: a batch of inputs in, their outputs out.

    Row i of the outputs must depend on row i of the batch alone, or the draws are not independent.

    Attributes
    ----------
    kind : str
        What errors call it.
    function : callable
        Turns a contiguous batch, shape (batch, ...), into a floating-point tensor of shape
        (batch, classes) on the same device. It may keep neither.
    device : torch.device
        Where batches are made and outputs are left.
    dtype : torch.dtype or None
        What batches are cast to: the certified classifier includes the rounding, and inputs in
        float64 are refused unless this is float64. None: they come as the inputs are.
    outputs : {"logits", "probabilities", "raw"} or None
        What it returns; None: the smoothed classifier is to be told.

    Examples
    --------
    A model of a library that has no adapter here:

    >>> cpu = torch.device("cpu")
    >>> model = BaseClassifier("toy", lambda x: torch.cat([x, -x], 1), cpu, torch.float32, "logits")
    >>> model(torch.tensor([[2.0]])).tolist()
    [[2.0, -2.0]]
    """

    kind: str
    function: Callable[[Tensor], Tensor]
    device: torch.device
    dtype: torch.dtype | None
    outputs: Outputs | None = None

    def __call__(self, batch: Tensor) -> Tensor:
        """Return the outputs of a batch, shape (batch, classes)."""
        return self.function(batch.to(self.dtype or batch.dtype).contiguous())


class Estimator(Protocol):
    """What `sklearn` takes: a fitted classifier in the manner of scikit-learn."""

    def predict_proba(self, X: Any, /) -> Any:
        """Return the probabilities of the classes, shape (batch, classes)."""


@runtime_checkable
class Session(Protocol):
    """What `onnx` takes: ``onnxruntime.InferenceSession``, and what is called like it."""

    def get_inputs(self) -> Sequence[Any]:
        """Return the inputs, each with its name, shape and type."""

    def get_outputs(self) -> Sequence[Any]:
        """Return the outputs, each with its name."""

    def run(self, output_names: Any, input_feed: dict[str, Any], /) -> Sequence[Any]:
        """Return the named outputs."""


TensorModel: TypeAlias = nn.Module | Callable[[Tensor], Tensor]
Model: TypeAlias = TensorModel | ExportedProgram | Estimator | Session


def numpy(
    function: Callable[[NDArray[Any]], Any], *, dtype: Literal["float32", "float64"] = "float32"
) -> BaseClassifier:
    """Adapt a function over NumPy arrays, which runs on the CPU.

    Parameters
    ----------
    function : callable
        Turns an array of shape (batch, ...) into one of shape (batch, classes).
    dtype : {"float32", "float64"}, default "float32"
        Type of the arrays that it is given.

    Raises
    ------
    TypeError, ValueError
        If the function is not callable or the type is another.

    Examples
    --------
    >>> model = numpy(lambda x: np.stack([x[:, 0], -x[:, 0]], axis=1))
    >>> model(torch.tensor([[2.0, 7.0]])).tolist()
    [[2.0, -2.0]]
    """
    _check_callable("numpy", function)
    declared = _FLOATS[checks.choice("dtype", dtype, tuple(_FLOATS))]

    def call(batch: Tensor) -> Tensor:
        return _tensor(function(batch.numpy()))

    return BaseClassifier("NumPy function", call, torch.device("cpu"), declared)


def sklearn(estimator: Estimator) -> BaseClassifier:
    """Adapt a fitted scikit-learn classifier, or another library's with ``predict_proba``.

    Inputs of any shape are flattened to the rows that it takes, the last axis fastest. What it
    returns are probabilities by its contract; column i is class ``estimator.classes_[i]``.

    Parameters
    ----------
    estimator : object with predict_proba
        Called on float32 or float64 rows, as the inputs are; on a DataFrame with its own column
        names if it was fitted on one.

    Raises
    ------
    TypeError
        If the estimator has no ``predict_proba``.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> fitted = LogisticRegression().fit([[-1.0], [1.0]], [0, 1])
    >>> sklearn(fitted)(torch.zeros(1, 1)).tolist()
    [[0.5, 0.5]]
    """
    if not hasattr(estimator, "predict_proba"):
        raise TypeError(
            f"{type(estimator).__name__} has no predict_proba: calibrate it "
            "(sklearn.calibration.CalibratedClassifierCV), or certify what it does return with "
            "smoothbound.adapters.numpy(estimator.decision_function) and outputs='logits', or "
            "outputs='raw' and a custom measure"
        )
    names = getattr(estimator, "feature_names_in_", None)

    def call(batch: Tensor) -> Tensor:
        rows: Any = batch.reshape(len(batch), -1).numpy()
        if names is not None:
            import pandas as pd

            rows = pd.DataFrame(rows, columns=names)
        scores = estimator.predict_proba(rows)
        if isinstance(scores, list):
            raise TypeError(
                f"predict_proba returns {len(scores)} arrays, one for each label: certify one "
                "label with smoothbound.adapters.numpy(lambda x: estimator.predict_proba(x)[0])"
            )
        return _tensor(scores)

    return BaseClassifier(
        type(estimator).__name__, call, torch.device("cpu"), None, outputs="probabilities"
    )


def onnx(session: Session, *, output: str | None = None) -> BaseClassifier:
    """Adapt an ONNX Runtime session.

    Batches are made on the CPU, and read from there by whatever provider the session has. A model
    with a fixed batch size is given pieces of that size, the last one padded.

    Parameters
    ----------
    session : onnxruntime.InferenceSession
        A model with one floating-point input. If that is float16, noisy inputs are rounded to it.
    output : str, optional
        Name of the output to certify; needed if there are several.

    Raises
    ------
    TypeError, ValueError
        If it is no session, its input is not one floating-point tensor, or the output is not
        named or not there.

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
    if len(inputs) != 1 or inputs[0].type not in _ONNX_FLOATS:
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
        return _tensor(session.run([wanted], {source.name: batch.numpy()})[0])

    size = source.shape[0] if source.shape else None  # a name or None where it is free
    least, most = (size, size) if isinstance(size, int) else (1, None)
    dtype = _ONNX_FLOATS[source.type]
    return BaseClassifier("ONNX session", _in_pieces(call, least, most), torch.device("cpu"), dtype)


def jax(
    function: Callable[[Any], Any],
    *,
    device: torch.device | str = "cpu",
    dtype: Literal["float32", "float64"] = "float32",
) -> BaseClassifier:
    """Adapt a function over JAX arrays; memory is shared in both directions where JAX can.

    Parameters
    ----------
    function : callable
        Turns an array of shape (batch, ...) into one of shape (batch, classes). Compile it
        (``jax.jit``), parameters bound, for speed.
    device : torch.device or str, default "cpu"
        Where batches are made, and handed to JAX.
    dtype : {"float32", "float64"}, default "float32"
        Type of the arrays that it is given; float64 only with ``jax_enable_x64``.

    Raises
    ------
    TypeError, ValueError
        If the function is not callable, or JAX has not the type.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> model = jax(lambda x: jnp.stack([x[:, 0], -x[:, 0]], axis=1))
    >>> model(torch.tensor([[2.0, 7.0]])).tolist()
    [[2.0, -2.0]]
    """
    from jax import block_until_ready, config, dlpack

    _check_callable("jax", function)
    declared = _FLOATS[checks.choice("dtype", dtype, tuple(_FLOATS))]
    if dtype == "float64" and not config.jax_enable_x64:
        raise ValueError(
            "dtype is 'float64', and JAX computes in float32 unless told otherwise: "
            "jax.config.update('jax_enable_x64', True)"
        )

    def call(batch: Tensor) -> Tensor:
        scores = function(dlpack.from_dlpack(batch))
        block_until_ready(scores)  # before the memory of the batch is written again
        return from_dlpack(scores)

    return BaseClassifier("JAX function", call, resolved(device), declared)


def exported(program: ExportedProgram) -> BaseClassifier:
    """Adapt a program of ``torch.export``, on the device that it was exported for.

    A program with a fixed batch size, or a largest one, is given pieces that fit, the last one
    padded.

    Parameters
    ----------
    program : torch.export.ExportedProgram
        A program with one floating-point input, exported in evaluation mode.

    Raises
    ------
    TypeError, ValueError
        If it is no such program: several inputs, another type, or exported in training mode,
        in which the outputs of a draw may depend on the other draws of its batch.

    Examples
    --------
    >>> example, batch = torch.zeros(2, 3), torch.export.Dim("batch")
    >>> program = torch.export.export(
    ...     nn.Linear(3, 4).eval(), (example,), dynamic_shapes=({0: batch},)
    ... )
    >>> exported(program)(torch.zeros(10, 3)).shape
    torch.Size([10, 4])
    """
    if not isinstance(program, ExportedProgram):
        raise TypeError(
            f"program must be a torch.export.ExportedProgram, got {type(program).__name__}; "
            "torch.export.load reads one from a file"
        )
    nodes = {node.name: node for node in program.graph.nodes}
    names = program.graph_signature.user_inputs
    inputs = [nodes[name].meta["val"] if name in nodes else name for name in names]
    batch = inputs[0] if len(inputs) == 1 else None
    if not isinstance(batch, Tensor) or not batch.is_floating_point() or batch.ndim == 0:
        got = ", ".join(str(getattr(one, "dtype", type(one).__name__)) for one in inputs)
        raise ValueError(
            f"the exported program must have one input, a floating-point batch, got ({got}); bind "
            "the others in a module, and export that"
        )
    if any(_in_training(node) for node in nodes.values()):
        raise ValueError(
            "the program was exported in training mode, in which draws depend on one another: "
            "export model.eval()"
        )
    module = program.module()

    def call(batch: Tensor) -> Tensor:
        outputs = module(batch)
        if not isinstance(outputs, Tensor):
            raise TypeError(
                f"the program returns {type(outputs).__name__}: export one that returns a tensor"
            )
        return outputs

    least, most = _sizes(program, batch.shape[0])
    return BaseClassifier(
        "exported program", _in_pieces(call, least, most), batch.device, batch.dtype
    )


def adapt(
    model: Model, outputs: Outputs | None, device: torch.device | str | None
) -> tuple[TensorModel, Outputs]:
    """Turn a model of any kind into one that takes tensors, and settle what it returns.

    Parameters
    ----------
    model, outputs, device
        As for `smoothbound.SmoothedClassifier`.

    Returns
    -------
    model : nn.Module or callable
        A module or a function over tensors, unchanged, or else a `BaseClassifier`.
    outputs : {"logits", "probabilities", "raw"}
        As stated or as the model declares; logits where neither is, of a torch model.

    Raises
    ------
    TypeError
        If the model is of no kind that is known.
    ValueError
        If `outputs` is needed and not stated, or contradicts what the model declares, or `device`
        does.
    """
    if outputs is not None:
        checks.choice("outputs", outputs, get_args(Outputs))
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
            f"outputs must be stated for a model of the kind {known.kind}, which does not say what "
            "it returns: 'logits', 'probabilities', or 'raw' for a custom measure"
        )
    if known.outputs is not None and outputs not in (None, "raw", known.outputs):
        raise ValueError(
            f"outputs is {outputs!r}, and this {known.kind} returns {known.outputs}: leave it out"
        )
    return known, outputs or known.outputs or "logits"


def _recognised(model: Model) -> TensorModel:
    """Find the adapter of a model by its type, loading no library that is not in use."""
    if isinstance(model, torch.fx.GraphModule) and "eval" in vars(model):  # overridden to refuse
        raise TypeError("model must be the torch.export program itself, not its module()")
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


def _check_callable(adapter: str, function: object) -> None:
    if not callable(function):
        raise TypeError(
            f"adapters.{adapter} takes a function that turns an array of shape (batch, ...) into "
            f"one of shape (batch, classes), got {type(function).__name__}"
        )


def _tensor(array: object) -> Tensor:
    """View what a library returned as a tensor; a copy only of what torch cannot share."""
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))


def _in_pieces(
    function: Callable[[Tensor], Tensor], least: int, most: int | None
) -> Callable[[Tensor], Tensor]:
    """Call a function that takes from `least` to `most` rows on any number of them."""

    def call(batch: Tensor) -> Tensor:
        pieces = torch.split(batch, most or len(batch))
        return torch.cat([function(_padded(piece, least))[: len(piece)] for piece in pieces])

    return function if least <= 1 and most is None else call


def _padded(batch: Tensor, rows: int) -> Tensor:
    """Repeat the last row until there are at least so many."""
    missing = max(0, rows - len(batch))
    return torch.cat([batch, batch[-1:].expand(missing, *batch.shape[1:])]) if missing else batch


def _sizes(program: ExportedProgram, size: int | torch.SymInt) -> tuple[int, int | None]:
    """Return the fewest and the most rows that a program takes; None where there is no limit."""
    if isinstance(size, int):
        return size, size
    limits = program.range_constraints.get(size.node.expr)
    if limits is None:
        return 1, None
    return int(limits.lower), int(limits.upper) if limits.upper < 2**31 else None


def _in_training(node: torch.fx.Node) -> bool:
    """Tell whether a step is batch normalisation or dropout as in training."""
    schema = getattr(node.target, "_schema", None)
    if schema is None or schema.overload_name == "no_stats":  # instance normalisation, decomposed
        return False
    names = [argument.name for argument in schema.arguments]
    given = dict(zip(names, node.args, strict=False)) | node.kwargs
    return given.get("training") is True or given.get("train") is True
