"""A model with the settings of its run, such as device, precision and batch size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from copy import copy
from threading import RLock
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from smoothbound._utils import checks
from smoothbound._utils.devices import resolved, tensor_float
from smoothbound._utils.threads import checked as checked_threads
from smoothbound._utils.threads import multiplications, running_in, suited
from smoothbound.adapters._base import BaseClassifier, TensorModel
from smoothbound.adapters._evaluating import evaluating, modules_behind
from smoothbound.adapters._names import COMPILE_MODES, PRECISIONS, Compile, Outputs, Precision
from smoothbound.adapters._recognise import Model, adapt
from smoothbound.errors import said
from smoothbound.sampling._model.batch_size import (
    fastest,
    in_format,
    prefers_channels_last,
    rows_per_second,
    seconds_of,
)
from smoothbound.sampling._model.inputs import check_inputs, name_of, tensor_of

__all__ = ["RunningModel"]

_HALF = {"bfloat16": torch.bfloat16, "float16": torch.float16}
_MAX_BATCH_SIZE = 2**24

_T = TypeVar("_T")
_choosing = RLock()  # so that threads that share a model share its choices


class RunningModel:
    """A base classifier with all settings on which its outputs can depend.

    The parameters are those of `smoothbound.SmoothedClassifier`.

    Attributes
    ----------
    base : nn.Module or callable
        The model, tensor to tensor, on its device.
    outputs : {"logits", "probabilities", "raw"}
        Kind of its outputs.
    outputs_stated : bool
        Whether the user or an adapter stated this kind. Otherwise it is the default.
    device : torch.device
    batch_size : int or "auto"
    precision : {"float32", "tf32", "bfloat16", "float16"}
    channels_last : bool or "auto"
    compile : {"default", "reduce-overhead", "max-autotune"} or None
    threads : int or None

    Examples
    --------
    >>> model = RunningModel(lambda x: torch.cat([x, -x], dim=1), batch_size=8)
    >>> with model.running():
    ...     model(torch.ones(1, 1)).tolist()
    [[1.0, -1.0]]
    """

    def __init__(
        self,
        model: Model,
        *,
        outputs: Outputs | None = None,
        device: torch.device | str | None = None,
        batch_size: int | Literal["auto"] = "auto",
        precision: Precision = "float32",
        channels_last: bool | Literal["auto"] = "auto",
        compile: Compile | None = None,
        threads: int | None = None,
    ) -> None:
        base, self.outputs = adapt(model, outputs, device)
        self.outputs_stated = outputs is not None or isinstance(base, BaseClassifier)
        if not _is_auto("batch_size", batch_size, "a whole number"):
            checks.count("batch_size", batch_size, maximum=_MAX_BATCH_SIZE)
        self.batch_size = batch_size
        checks.choice("precision", precision, PRECISIONS)
        self.precision = precision
        if not _is_auto("channels_last", channels_last, "True, False"):
            channels_last = checks.flag("channels_last", channels_last)
        self.channels_last = channels_last
        if compile is not None:
            checks.choice("compile", compile, COMPILE_MODES)
        self.compile = compile
        self.threads = None if threads is None else checked_threads("threads", threads)
        usual = precision == "float32" and channels_last is not True and compile is None
        if isinstance(base, BaseClassifier) and not usual:
            raise ValueError(
                "precision, channels_last and compile are for torch modules; this model is of the "
                f"kind {base.kind}: leave them out, and configure its library instead"
            )
        if isinstance(base, nn.Module):
            _check_parameters(base)
        self.device = resolved(_device_of(base) if device is None else device)
        if self.device.type == "meta":
            raise ValueError("device must hold numbers, got 'meta', which holds only shapes")
        if isinstance(base, nn.Module):
            base = _moved(base, self.device)
        self.base = base
        self._forward: TensorModel = base
        if compile is not None:
            self._forward = torch.compile(base, mode=compile, dynamic=False)
        self._chosen: dict[tuple[str, ...], Any] = {}

    def __call__(self, batch: Tensor) -> Any:
        """Return the outputs of the model for a batch; call it within `running`."""
        return self._forward(batch)

    @property
    def name(self) -> str:
        """Short name of the model."""
        if isinstance(self.base, BaseClassifier):
            return self.base.kind
        name: str = getattr(self.base, "__name__", type(self.base).__name__)
        return name

    def with_choices(
        self, *, batch_size: int, channels_last: bool, threads: int | None
    ) -> RunningModel:
        """Return the same model with the given values instead of automatic ones."""
        made = copy(self)
        made._chosen = {}
        if self.batch_size == "auto":
            made.batch_size = batch_size
        if self.channels_last == "auto":
            made.channels_last = channels_last
        if self.threads is None:
            made.threads = threads
        return made

    def check_inputs(self, x: object) -> None:
        """Refuse inputs that noise cannot be added to, or that this model would round."""
        check_inputs(x, _dtype_of(self.base) if self.precision == "float32" else self.precision)

    def batch_size_for(self, x: NDArray[np.floating] | Tensor) -> int:
        """Return the number of rows of a batch of inputs like `x`.

        With ``batch_size="auto"`` on a GPU, the size is doubled while the model becomes faster and
        the batch fits in memory. This is measured once for each shape. A compiled module is
        measured before it is compiled, because it would be compiled for each size. On other devices
        the size is the number of inputs in a megabyte of float32, but at least 16 and at most 1000.
        """
        if self.batch_size != "auto":
            return self.batch_size
        if self.device.type != "cuda":
            return max(16, min(1000, 2**18 // int(np.prod(x.shape))))
        return self._once("rows", x, lambda: fastest(lambda size: self._speed(x, size)))

    def channels_last_for(self, x: NDArray[np.floating] | Tensor) -> bool:
        """Return whether batches of inputs like `x` go to the model in channels-last order.

        With ``channels_last="auto"`` they do if the model is a module with two-dimensional
        convolutions, is faster in that order by 10 % or more, and returns the same outputs up to
        rounding. This is measured once for each shape, on batches like those of the run. For a
        compiled module the result is False, because it chooses by itself.
        """
        if isinstance(self.channels_last, bool):
            return self.channels_last
        if x.ndim != 3 or self.compile is not None or not _convolves(self.base):
            return False
        return self._once("channels_last", x, lambda: self._prefers_channels_last(x))

    def threads_for(self, x: NDArray[np.floating] | Tensor) -> int | None:
        """Return the number of CPU threads for inputs like `x`; None on another device.

        With ``threads=None`` it is one if a batch is little work for the modules behind the model.
        A call with one row counts the work once for each shape. If the work is large or not known,
        the result is torch's number of threads.
        """
        if self.device.type != "cpu" or self.threads is not None:
            return self.threads if self.device.type == "cpu" else None
        return self._once("threads", x, lambda: self._suited_threads(x))

    @contextmanager
    def running(self, threads: int | None = None) -> Iterator[None]:
        """Set the device and the precision, and turn gradients off.

        A model may turn gradients on for its own use.

        Parameters
        ----------
        threads : int, optional
            Number of CPU threads; torch's setting is restored afterwards. None does not change it.
        """
        half = _HALF.get(self.precision)
        with ExitStack() as stack:
            stack.enter_context(running_in(threads))
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.no_grad())
            stack.enter_context(
                torch.autocast(self.device.type, dtype=half, enabled=half is not None)
            )
            if self.device.type == "cuda":
                stack.enter_context(torch.cuda.device(self.device))
                stack.enter_context(tensor_float(self.precision == "tf32"))
            yield

    def evaluating(self) -> AbstractContextManager[None]:
        """Keep the modules behind the model in evaluation mode."""
        return evaluating(self.base)

    def without_autocast(self) -> AbstractContextManager[object]:
        """Turn autocast off, within `running`, for the computations after the model."""
        half = self.precision in _HALF
        return torch.autocast(self.device.type, enabled=False) if half else nullcontext()

    def _once(self, name: str, x: NDArray[np.floating] | Tensor, choose: Callable[[], _T]) -> _T:
        """Choose once for all inputs of one shape and type, even if several threads ask."""
        key = (name, str(tuple(x.shape)), name_of(x.dtype))
        with _choosing:
            if key not in self._chosen:
                self._chosen[key] = choose()
            chosen: _T = self._chosen[key]
            return chosen

    def _copies(self, x: NDArray[np.floating] | Tensor, size: int) -> Tensor:
        """Return copies of an input, which a model may change in place."""
        point = tensor_of(x).to(self.device)
        return point.expand(size, *point.shape).clone(memory_format=torch.contiguous_format)

    def _suited_threads(self, x: NDArray[np.floating] | Tensor) -> int:
        """Return the number of threads for a batch; torch's if its work cannot be counted."""
        work = 0
        if modules_behind(self.base) and not isinstance(self.base, BaseClassifier):
            with suppress(Exception), self.running(), self.evaluating():
                row = in_format(self._copies(x, 1), self.channels_last is True)
                work = multiplications(lambda: self.base(row))
        return suited(self.batch_size_for(x) * work) if work else torch.get_num_threads()

    def _speed(self, x: NDArray[np.floating] | Tensor, size: int) -> float | None:
        """Measure rows per second in batches of `size`; None if they do not fit in memory."""

        def make_batch() -> Tensor:
            return in_format(self._copies(x, size), self.channels_last is True)

        with self.running(), self.evaluating():
            return rows_per_second(self.base, make_batch, self.device)

    def _prefers_channels_last(self, x: NDArray[np.floating] | Tensor) -> bool:
        """Measure whether batches like those of the run are faster in channels-last order."""
        size, threads = self.batch_size_for(x), self.threads_for(x)

        def timed(channels_last: bool) -> tuple[float, Tensor]:
            batch = self._copies(x, size)
            outputs: list[Tensor] = []
            seconds = seconds_of(
                lambda: outputs.append(self(in_format(batch, channels_last))), self.device
            )
            return seconds, outputs[0]

        with self.running(threads), self.evaluating():
            return prefers_channels_last(timed)


def _is_auto(name: str, value: object, otherwise: str) -> bool:
    """Return whether an argument is "auto"; refuse any other text."""
    if isinstance(value, str) and value != "auto":
        raise TypeError(f"{name} must be {otherwise} or 'auto', got {checks.shown(value)}")
    return isinstance(value, str)


def _convolves(model: TensorModel) -> bool:
    """Return whether a module has weights of convolutions in two dimensions."""
    return isinstance(model, nn.Module) and any(p.ndim == 4 for p in model.parameters())


def _check_parameters(module: nn.Module) -> None:
    """Refuse a module whose parameters have no numbers yet."""
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if is_lazy(tensor):
            raise ValueError(
                f"model must have its parameters, but {name!r} is lazy: call the model once on an "
                "example batch before"
            )
        if tensor.is_meta:
            raise ValueError(
                f"model must have its parameters, but {name!r} is on the device 'meta': load them "
                "with load_state_dict(..., assign=True)"
            )


def _moved(module: nn.Module, device: torch.device) -> nn.Module:
    """Return a module on a device; one already there is not moved, because some refuse to()."""
    if all(tensor.device == device for tensor in (*module.parameters(), *module.buffers())):
        return module
    try:
        return module.to(device)
    except Exception as error:
        raise ValueError(
            f"device must be one that the model can be moved to, got '{device}': {said(error)}"
        ) from error


def _device_of(model: TensorModel) -> torch.device:
    """Return the device of a module's parameters; the CPU if it has none."""
    if isinstance(model, nn.Module):
        for tensor in (*model.parameters(), *model.buffers()):
            return tensor.device
    return model.device if isinstance(model, BaseClassifier) else torch.device("cpu")


def _dtype_of(model: TensorModel) -> torch.dtype | None:
    """Return the type of a module's first floating-point parameter; None if it has none."""
    if isinstance(model, nn.Module):
        for parameter in model.parameters():
            if parameter.is_floating_point():
                return parameter.dtype
    return model.dtype if isinstance(model, BaseClassifier) else None
