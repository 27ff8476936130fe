"""Predicted memory at a batch size, and the batch that fits into a memory. Nothing is run or measured here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..base.errors import BadOption
from ..counting import counts, lifetimes
from ..counting.recording import Owned, walk
from ..counting.trace import Trace, trace
from ..measure.steps import loss_of
from ..memory.operators import own_operators
from ..memory.recurrent import Workspace
from ..memory.scratch import CHANGES, Scratch
from ..results.comparison import ArchitectureResult
from ..results.memory import BatchMemory, LargestBatch, OptimizerMemory
from ..results.optimizers import optimizer_memory

#: A batch size beyond which nobody asks whether memory grows.
FARTHEST = 2**30


@dataclass(frozen=True)
class Predictor:
    """Predicts the memory of one network; `scratch` knows what operators take for themselves on the device."""

    subject: counts.Subject
    scratch: Scratch | None = None
    on_cuda: bool = False
    workspace: Workspace | None = None

    def at(self, batch_size: int) -> BatchMemory:
        """Inference and training at that batch size. Raises ForwardFailed where inference cannot be counted."""
        found = self._inference(batch_size)
        step = self._training(batch_size)
        pure = lifetimes.peak(found).nbytes
        return BatchMemory(
            batch_size,
            pure,
            scratch_bytes=self._scratch_of(found, pure),
            input_bytes=lifetimes.input_bytes(found),
            **({} if step is None else self._of_training(step)),
        )

    def optimizers(self) -> tuple[OptimizerMemory, ...]:
        """What each optimizer keeps and takes."""
        sizes = lifetimes.gradient_sizes(Owned(walk(self.subject.module)), self.subject.dtype)
        return optimizer_memory(sizes, self.on_cuda)

    def largest_batch(self, row: ArchitectureResult, limit: int, optimizer: str) -> LargestBatch:
        """The largest batches that fit into `limit` bytes, in inference and in training with that optimizer.

        `row` is the network's result with its profile and optimizers.
        """
        known: dict[int, BatchMemory] = {entry.batch_size: entry for entry in row.memory}

        def at(batch_size: int) -> BatchMemory:
            if batch_size not in known:
                known[batch_size] = self.at(batch_size)
            return known[batch_size]

        def inference(batch_size: int) -> int:
            return row.inference_bytes(at(batch_size)) or 0

        def training(batch_size: int) -> int:
            return row.training_bytes(at(batch_size), optimizer) or 0

        if only := self.subject.fixed_batch:
            trained = row.training_bytes(at(only), optimizer)
            return LargestBatch(
                limit,
                optimizer,
                only * (inference(only) <= limit),
                None if trained is None else only * (trained <= limit),
                inference(only),
                trained,
            )
        # a single sample may be too few to train on (batch norm): then the count starts at two
        least = next((size for size in (1, 2) if row.training_bytes(at(size), optimizer) is not None), None)
        return LargestBatch(
            limit,
            optimizer,
            largest_batch(inference, limit),
            None if least is None else largest_batch(training, limit, least),
            min(inference(1), inference(2)),
            None if least is None else min(training(least), training(2)),
        )

    def _inference(self, batch_size: int) -> Trace:
        with own_operators(self.on_cuda, self.workspace):
            return counts.run(self.subject, *self.subject.given(batch_size))

    def _training(self, batch_size: int) -> Trace | None:
        """Forward and backward of a training step; None where it cannot be traced."""
        try:
            args, kwargs = self.subject.given(batch_size)
            with own_operators(self.on_cuda, self.workspace):
                return trace(
                    self.subject.module,
                    args,
                    kwargs,
                    memory=self.subject.shape_memory,
                    backward=loss_of,
                    dtype=self.subject.dtype,
                )
        except Exception:
            return None

    def _of_training(self, step: Trace) -> dict[str, int | None]:
        pure = lifetimes.peak(step).nbytes
        return {
            "training_activation_bytes": lifetimes.saved_for_backward(step),
            "training_peak_bytes": pure,
            "training_scratch_bytes": self._scratch_of(step, pure),
        }

    def _scratch_of(self, found: Trace, pure: int) -> int | None:
        """By how much scratch raises the peak; None where that is not known."""
        if self.scratch is None:
            return None
        whole = self.scratch.peak(found)
        return whole.nbytes - pure if whole.known else None


def largest_batch(needs: Callable[[int], int], limit: int, least: int = 1) -> int:
    """The largest batch size from `least` on for which `needs(batch_size)` bytes are within `limit`; 0: none is.

    Needs grow between the sizes at which the device changes its kernels, and may fall there. So the last stretch in
    which a batch fits is looked for, and the place within it.
    Raises BadOption where they do not grow.
    """
    starts = sorted({least, *(size for size in CHANGES if size > least)})
    for start, end in reversed([*zip(starts, [*starts[1:], None], strict=True)]):
        if needs(start) <= limit:
            return _largest_between(needs, limit, start, end)
    return 0


def _largest_between(needs: Callable[[int], int], limit: int, fits: int, end: int | None) -> int:
    """The largest batch size from `fits`, which does, to below `end` (None: no end).

    Needs grow along straight lines, so that few questions find the place where they cross the limit: the chord
    between a batch that fits and one that does not says where to ask next, in turn with the middle between them,
    because chords alone creep along where the lines meet at a sharp angle.
    """
    low, high = fits, fits + 1
    while end is None or high < end:
        if needs(high) > limit:
            break
        growth = needs(high) - needs(low)
        if growth > 0:
            further = (limit - needs(high)) * (high - low) // growth
        elif high < FARTHEST:  # what does not grow yet may be a constant that outweighs the rest
            further = high
        else:
            raise BadOption("memory does not grow with the batch size,", "so no batch is the largest that fits.")
        low, high = high, high + max(further, 1)
        if (end is None or high < end) and needs(high) <= limit:  # on a straight line the next is the first too many
            low, high = high, high + 1
    if end is not None and high >= end:
        if needs(end - 1) <= limit:
            return end - 1
        high = end - 1
    by_chord = False
    while high - low > 1:
        by_chord = not by_chord
        chord = low + (limit - needs(low)) * (high - low) // (needs(high) - needs(low))
        middle = min(max(chord if by_chord else (low + high) // 2, low + 1), high - 1)
        if needs(middle) > limit:
            high = middle
        elif needs(middle + 1) > limit:
            return middle
        else:
            low = middle + 1
    return low
