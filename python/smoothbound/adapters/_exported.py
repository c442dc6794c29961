"""Programs of torch.export."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.export import ExportedProgram

from smoothbound.adapters._base import BaseClassifier, in_batches_of

__all__ = ["exported"]


def exported(program: ExportedProgram) -> BaseClassifier:
    """Adapt a program of ``torch.export``, on the device that it was exported for.

    A program with a fixed or a largest batch size gets pieces that fit. The last piece is padded.

    Parameters
    ----------
    program : torch.export.ExportedProgram
        A program with one floating-point input, exported in evaluation mode.

    Returns
    -------
    BaseClassifier
        Its outputs are of no declared kind.

    Raises
    ------
    TypeError, ValueError
        If the program has several inputs or an input of another type, or if it was exported in
        training mode, in which the outputs of a draw can depend on other draws of its batch.

    Examples
    --------
    >>> from torch import nn
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
        "exported program", in_batches_of(call, least, most), batch.device, batch.dtype
    )


def _sizes(program: ExportedProgram, size: int | torch.SymInt) -> tuple[int, int | None]:
    """Return the fewest and the most rows that a program takes; None stands for no limit."""
    if isinstance(size, int):
        return size, size
    limits = program.range_constraints.get(size.node.expr)
    if limits is None:
        return 1, None
    return int(limits.lower), int(limits.upper) if limits.upper < 2**31 else None


def _in_training(node: torch.fx.Node) -> bool:
    """Return whether a step is batch normalisation or dropout in training mode."""
    schema = getattr(node.target, "_schema", None)
    if schema is None or schema.overload_name == "no_stats":  # instance normalisation, decomposed
        return False
    names = [argument.name for argument in schema.arguments]
    given = dict(zip(names, node.args, strict=False)) | node.kwargs
    return given.get("training") is True or given.get("train") is True
