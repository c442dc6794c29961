"""Batches on the device: noisy copies, calls of the model, and transfer of scores to the host."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from smoothbound._utils.devices import sent
from smoothbound.errors import ModelError, said
from smoothbound.measures import BUILT_IN
from smoothbound.noise._noise import Noise
from smoothbound.noise._streams import Stream, check_index
from smoothbound.sampling._in_flight import Selection
from smoothbound.sampling._jobs import Counter, Failure, Input
from smoothbound.sampling._model.batch_size import ROUNDING, in_format, is_out_of_memory
from smoothbound.sampling._model.inputs import tensor_of
from smoothbound.sampling._model.outputs import BatchError, OutputSummary, Scorer
from smoothbound.sampling._model.running_model import RunningModel
from smoothbound.sampling._schedule import Segment

__all__ = ["Attempt", "Batches"]

Parts = list[tuple[Noise, slice]]  # of a batch: rows that have the same noise

_COMPARED_ROW = 1  # the row of a batch that is given to the model alone


@dataclass(frozen=True, eq=False)
class Attempt:
    """Segments that were run, with their record, which may not have arrived on the host yet.

    Attributes
    ----------
    segments : list of Segment
    record : Tensor or Failure
        The record of `Scorer.record` on the host, or the failure of the batch.
    outputs : tuple of Tensor or None
        The outputs of each segment on the host, if its job needs the scores of these selection
        draws.
    class_counts : tuple of Tensor or None
        The counts of all classes of each segment on the host, if it ends an input whose classes are
        counted.
    arrived : torch.cuda.Event or None
        Occurs when everything has arrived; None if it has arrived already.
    """

    segments: list[Segment[Input]]
    record: Tensor | Failure
    outputs: tuple[Tensor | None, ...] = ()
    class_counts: tuple[Tensor | None, ...] = ()
    arrived: torch.cuda.Event | None = None


class Batches:
    """Makes the noisy copies of batches and runs the model on them, all on its device.

    Parameters
    ----------
    model : RunningModel
    noise : Noise
        On the device of the model.
    scorer : Scorer
        Turns outputs into scores.
    like : Tensor
        The first input. All inputs must have its shape and type.
    n_slots : int
        Largest number of inputs in flight.
    check_rows : bool
        Whether to check in the first batch that the outputs of a row depend only on that row.
    counter : Counter, optional
        Counts the scores of all classes in the estimation draws.
    """

    def __init__(
        self,
        model: RunningModel,
        noise: Noise,
        scorer: Scorer,
        like: Tensor,
        n_slots: int,
        check_rows: bool,
        counter: Counter | None = None,
    ) -> None:
        self.model, self.scorer, self._counter = model, scorer, counter
        self.threads = model.threads_for(like)
        self._noise = noise
        self._like, self._n_slots = like, n_slots
        self._points: Tensor | None = None
        self._noises = [noise] * n_slots  # of the inputs in the slots
        size = model.batch_size_for(like)
        self._noisy = _allocated(size, like, model.device)
        self._channels_last = model.channels_last_for(like)
        self._rows_checked = not check_rows
        self._rows_at_once = size  # rows in one call of the model; fewer after it ran out of memory

    def launch(self, segments: list[Segment[Input]]) -> list[Attempt]:
        """Run a batch; if it fails, run each of its inputs separately in the same rows.

        Draws that are made ahead of their job run separately, because the job may never request
        them.
        """
        self._place_new(segments)
        try:
            return [self._attempt(segments)]
        except BatchError as error:
            failure = error.failure
        by_input = [list(own) for _, own in groupby(segments, lambda s: (id(s.input), s.ahead))]
        if len(by_input) == 1:
            return [Attempt(segments, failure)]
        return [attempt for own in by_input for attempt in self.launch(own)]

    def selection_scores(self, selection: Selection) -> NDArray[np.float32] | Failure:
        """Measure the selected class in the selection draws of an input that kept their outputs."""
        outputs = torch.cat(selection.outputs)
        if (
            self.scorer.measure not in BUILT_IN
        ):  # the built-in measures have the same bits on the host
            outputs = outputs.to(self.model.device)
        with self.model.without_autocast():
            return self.scorer.selection_scores(outputs, selection.selected)

    def preview(self, x: Tensor) -> OutputSummary:
        """Run the model on copies of one input and summarise its outputs."""
        self._points = self._noise.point(x)[None]
        key = torch.zeros((5, len(self._noisy)), dtype=torch.int64)
        key[2] = torch.arange(len(self._noisy))
        parts = [(self._noise, slice(0, len(self._noisy)))]
        try:
            outputs = self._outputs(key.to(self.model.device), parts)
        except BatchError as error:
            raise ModelError(error.failure.reason) from error.failure.error
        return OutputSummary.from_batch(outputs, self.model.outputs)

    def _place_new(self, segments: list[Segment[Input]]) -> None:
        """Copy new inputs to their slots on the device."""
        for segment in segments:
            if segment.stream is Stream.ESTIMATION or segment.first > 0:
                continue
            item, slot = segment.input.item, segment.input.slot
            x = tensor_of(item.x)
            if x.shape != self._like.shape or x.dtype != self._like.dtype:
                raise ValueError(
                    "inputs must all be of one shape and type, got "
                    f"{tuple(x.shape)} of {x.dtype} after {tuple(self._like.shape)} of "
                    f"{self._like.dtype}"
                )
            check_index(item.index)
            noise = self._noises[slot] = item.noise or self._noise
            point = noise.point(x)
            if self._points is None:
                self._points = point.new_empty((self._n_slots, *point.shape))
            self._points[slot] = point
            self.scorer.reset(slot)
            if self._counter is not None:
                self._counter.reset(slot)

    def _attempt(self, segments: list[Segment[Input]]) -> Attempt:
        key, parts = self._key(segments), self._parts(segments)
        outputs = self._outputs(key, parts)
        row = None if self._rows_checked else outputs[_COMPARED_ROW % len(outputs)].clone()
        if row is not None:
            self._warn_of_probabilities(outputs)
        selects = any(segment.stream is Stream.SELECTION for segment in segments)
        with self.model.without_autocast():
            record, outputs = self.scorer.record(outputs, key[0], key[4] if selects else None)
            attempt = self._sent(segments, record, outputs)
            if (
                row is not None
            ):  # last, because another call of the model may overwrite these outputs
                self._check_rows(key, parts, row)
        return attempt

    def _sent(self, segments: list[Segment[Input]], record: Tensor, outputs: Tensor) -> Attempt:
        """Send the record of a batch and the outputs that its inputs keep to the host."""
        counts = self._counted(segments, record, outputs)
        keeping = [s for s in segments if s.keeps_outputs]
        if not keeping:
            host, arrived = _to_host(record)
            return Attempt(segments, host, (), counts, arrived)
        rows = np.concatenate([np.r_[s.rows] for s in keeping])
        kept, _ = _to_host(outputs[sent(torch.from_numpy(rows), outputs.device)])
        host, arrived = _to_host(record)
        parts = iter(torch.split(kept, [len(s) for s in keeping]))
        held = tuple(next(parts) if s.keeps_outputs else None for s in segments)
        return Attempt(segments, host, held, counts, arrived)

    def _counted(
        self, segments: list[Segment[Input]], record: Tensor, outputs: Tensor
    ) -> tuple[Tensor | None, ...]:
        """Count the scores of all classes; send the counts of inputs that end to the host."""
        counter = self._counter
        if counter is None:
            return ()
        sent_back: list[Tensor | None] = []
        for segment in segments:
            if segment.stream is Stream.ESTIMATION:
                rows, slot = segment.rows, segment.input.slot
                counter.add(slot, outputs[rows].float(), record[1, rows].long())
            sent_back.append(_to_host(counter.take(slot))[0] if segment.is_last else None)
        return tuple(sent_back)

    def _key(self, segments: list[Segment[Input]]) -> Tensor:
        """Return slot, index, draw, stream and vote of each row; unused rows repeat one draw."""
        firsts = np.array([_first_key(segment) for segment in segments], np.int64)
        start, stop = segments[0].rows.start, segments[-1].rows.stop
        key = np.empty((5, len(self._noisy)), np.int64)
        key[:] = firsts[0, :, None]
        key[2] += start
        key[4] = 0
        key[:, start:stop] = np.repeat(firsts, [len(segment) for segment in segments], axis=0).T
        key[2, start:stop] += np.arange(start, stop)
        return sent(torch.from_numpy(key), self.model.device)

    def _parts(self, segments: list[Segment[Input]]) -> Parts:
        """Return the rows of each noise in order; unused rows have that of row 0."""
        noises = [(self._noises[segment.input.slot], segment.rows.stop) for segment in segments]
        parts, start = [], 0
        for noise, own in groupby([*noises, (noises[0][0], len(self._noisy))], lambda one: one[0]):
            stop = max(end for _, end in own)
            parts.append((noise, slice(start, stop)))
            start = stop
        return parts

    def _copies(self, key: Tensor, parts: Parts) -> Tensor:
        """Make the noisy copies of a key. The model may change them in place."""
        assert self._points is not None
        for noise, rows in parts:
            slots, indices, draws, streams = key[:4, rows]
            noise.add(self._points, slots, indices, draws, streams, self._noisy[rows])
        return self._noisy.detach()

    def _warn_of_probabilities(self, outputs: Tensor) -> None:
        """Warn if outputs that are treated as logits by default look like probabilities."""
        if self.model.outputs_stated or self.model.outputs != "logits":
            return
        seen = OutputSummary.from_batch(outputs, "logits")
        if seen.normalised:
            warnings.warn(
                f"the model returned {seen}: these are probabilities, and a second softmax makes "
                "every score small. State outputs='probabilities', or outputs='logits' if they "
                "are logits nevertheless",
                stacklevel=2,
            )

    def _check_rows(self, key: Tensor, parts: Parts, row: Tensor) -> None:
        """Compare a row among others with the same row in a batch of copies of it.

        The outputs of a row must depend only on that row, because otherwise draws are not
        independent. If the outputs of the row are not finite, the next batch is checked.
        """
        place = _COMPARED_ROW % key.shape[1]
        alone = key[:, place].unsqueeze(1).expand_as(key).contiguous()
        noise = next(noise for noise, rows in parts if place < rows.stop)
        try:
            outputs = self._outputs(alone, [(noise, slice(0, key.shape[1]))])
            outputs = torch.cat([row.unsqueeze(0), outputs])
            seen = self.scorer.comparable(outputs, alone[0, 0])
        except BatchError:  # sampling will report the failure if it happens again
            return
        if not bool(torch.isfinite(seen).all()):
            return
        self._rows_checked = True
        among_others, repeated = seen[0], seen[1:]
        if float((repeated - repeated[0]).abs().max()) > ROUNDING:
            raise ModelError(
                "the model returned different outputs for equal rows of one batch: it is random "
                "(dropout in training mode?) or treats rows by their place. Put it into evaluation "
                "mode; or, from Python, pass check_rows=False for a model that is random on "
                "purpose, with randomness of its own for each row"
            )
        if float((repeated[0] - among_others).abs().max()) > ROUNDING:
            raise ModelError(
                "the outputs of a row depend on the other rows of its batch (batch normalisation "
                "in training mode?), so the draws are not independent and certify nothing. "
                "Put the model into evaluation mode: pass the module itself, or call its eval()"
            )

    def _outputs(self, key: Tensor, parts: Parts) -> Tensor:
        """Run the model, in smaller pieces if it runs out of memory.

        Each attempt gets new copies, because a model may change its batch in place.
        """
        rows = self._rows_at_once
        while True:
            batch = self._copies(key, parts)
            try:
                outputs = self._in_pieces(batch, rows)
            except BatchError as error:
                if rows == 1 or error.failure.kind != "out of memory":
                    raise
            else:
                break
            rows = (rows + 1) // 2  # outside the handler, because its error keeps memory in use
            if batch.device.type == "cuda":
                torch.cuda.empty_cache()
        if rows != self._rows_at_once:
            self._rows_at_once = rows
            warnings.warn(
                f"out of memory with batches of {len(batch)}: from now on they go through the "
                f"model {rows} rows at a time",
                RuntimeWarning,
                stacklevel=2,
            )
        return outputs

    def _in_pieces(self, batch: Tensor, rows: int) -> Tensor:
        if rows >= len(batch):
            return self._call(batch)
        # Copied, because a CUDA graph puts every result into the same memory.
        return torch.cat([self._call(part).clone() for part in torch.split(batch, rows)])

    def _call(self, batch: Tensor) -> Tensor:
        try:
            outputs: object = self.model(in_format(batch, self._channels_last))
        except (Exception, SystemExit) as error:
            kind = "out of memory" if is_out_of_memory(error) else type(error).__name__
            raise BatchError(
                kind,
                f"the model raised {type(error).__name__} on a batch of shape "
                f"{tuple(batch.shape)}, {batch.dtype} on {batch.device} (noisy copies, "
                f"batch_size={len(self._noisy)}): {said(error)}",
                error,
            ) from error
        return self.scorer.check(outputs, len(batch), self.model.device)


def _to_host(numbers: Tensor) -> tuple[Tensor, torch.cuda.Event | None]:
    """Send numbers of a GPU to the host; also return the event of their arrival."""
    if numbers.device.type != "cuda":
        return numbers, None
    host = torch.empty(numbers.shape, dtype=numbers.dtype, pin_memory=True)
    host.copy_(numbers, non_blocking=True)
    arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
    arrived.record(torch.cuda.current_stream(numbers.device))  # another GPU may be the current one
    return host, arrived


def _first_key(segment: Segment[Input]) -> tuple[int, int, int, int, int]:
    """Return slot, index, draw, stream and vote that row 0 would have in the segment."""
    item, votes = segment.input.item, 1
    draw = segment.first - segment.rows.start
    if segment.stream is Stream.ESTIMATION:
        draw, votes = draw + item.first_draw, 0
    return segment.input.slot, item.index, draw, int(segment.stream), votes


def _allocated(size: int, like: Tensor, device: torch.device) -> Tensor:
    """Allocate a batch of inputs."""
    try:
        return torch.empty((size, *like.shape), dtype=like.dtype, device=device)
    except (RuntimeError, MemoryError, OverflowError, TypeError) as error:
        gigabytes = size * like.numel() * like.element_size() / 1e9
        raise ValueError(
            f"batch_size must be so small that memory holds a batch, got {size}: {size} inputs of "
            f"shape {tuple(like.shape)} take {gigabytes:.3g} GB"
        ) from error
