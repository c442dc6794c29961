"""The names of the ways to run a model and of the kinds of its outputs."""

from __future__ import annotations

from typing import Literal, get_args

__all__ = [
    "COMPILE_MODES",
    "OUTPUTS",
    "PRECISIONS",
    "SELECTS",
    "Compile",
    "Outputs",
    "Precision",
    "Select",
]

Outputs = Literal["logits", "probabilities", "raw"]
Precision = Literal["float32", "tf32", "bfloat16", "float16"]
Compile = Literal["default", "reduce-overhead", "max-autotune"]
Select = Literal["score", "votes"]

OUTPUTS: tuple[Outputs, ...] = get_args(Outputs)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
COMPILE_MODES: tuple[Compile, ...] = get_args(Compile)
SELECTS: tuple[Select, ...] = get_args(Select)
