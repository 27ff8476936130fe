"""Predicted memory at a batch size. Nothing is run or measured here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch

from ..counting import counts, lifetimes
from ..counting.recording import Owned, walk
from ..counting.shapes import ShapeMemory
from ..counting.trace import Trace, trace
from ..measure.steps import loss_of
from ..memory import cuda
from ..memory.operators import own_operators
from ..memory.recurrent import Workspace
from ..memory.scratch import Scratch
from ..memory.updates import update_memory
from ..results.comparison import ArchitectureResult
from ..results.conditions import Conditions
from ..results.memory import BatchMemory, OptimizerMemory
from ..results.optimizers import OPTIMIZERS, optimizer_memory
from ..results.profile import StaticProfile


@dataclass(frozen=True)
class Predictor:
    """Predicts the memory of one network under `conditions`.

    `scratch` knows what operators take for themselves on the device, `workspace` what a recurrent layer keeps.
    """

    subject: counts.Subject
    conditions: Conditions = Conditions()
    scratch: Scratch | None = None
    workspace: Workspace | None = None

    def __post_init__(self) -> None:
        """Under autocast some operators answer with another type: what others remember does not hold."""
        if self.conditions.autocast and self.subject.shape_memory is counts.SHARED:
            object.__setattr__(self, "subject", replace(self.subject, shape_memory=ShapeMemory()))

    @property
    def on_cuda(self) -> bool:
        """Whether the device is a GPU of NVIDIA's, where torch takes other operators."""
        return self.conditions.kind == "cuda"

    def at(self, batch_size: int) -> BatchMemory:
        """Inference and training at that batch size. Raises ForwardFailed where inference cannot be counted."""
        found, step = self.inference_at(batch_size), self.training_at(batch_size)
        return found if step is None else replace(step, **_of_inference(found))

    def training_at(self, batch_size: int) -> BatchMemory | None:
        """Training alone, at no peak of inference; None where it cannot be traced."""
        step = self.training(batch_size)
        return None if step is None else BatchMemory(batch_size, 0, **self._of_training(step))

    def inference_at(self, batch_size: int) -> BatchMemory:
        """Inference alone."""
        found = self.inference(batch_size)
        pure = lifetimes.peak(found).nbytes
        entry = BatchMemory(
            batch_size,
            pure,
            scratch_bytes=self._scratch_of(found, pure),
            input_bytes=lifetimes.input_bytes(found),
        )
        if not self.on_cuda:
            return entry
        weights = _weights(found)
        held = cuda.replayed(found, weights, self._workspace())
        return replace(entry, allocator_bytes=held.allocated - sum(weights) - pure, reserved_bytes=held.reserved)

    def optimizers(self) -> tuple[OptimizerMemory, ...]:
        """What each optimizer keeps and takes, and the one that was asked for where it has options."""
        return self._optimizers(Owned(walk(self.subject.module)))

    def _optimizers(self, owned: Owned) -> tuple[OptimizerMemory, ...]:
        known = optimizer_memory(lifetimes.gradient_sizes(owned, self.subject.dtype), self.on_cuda)
        asked = self.conditions.optimizer
        if asked in OPTIMIZERS:
            return known
        return (
            *known,
            update_memory([self._cast(p) for p in owned.parameters if p.requires_grad], asked, self.on_cuda),
        )

    def _workspace(self) -> int:
        here = torch.cuda.get_device_capability(self.conditions.device) if torch.cuda.is_available() else (8, 0)
        return cuda.blas_workspace(here)

    def _update(self, owned: Owned) -> cuda.Update:
        """What the optimizer keeps and takes, in blocks of the parameters' sizes where these are whole copies."""
        memory = next(each for each in self._optimizers(owned) if each.optimizer == self.conditions.optimizer)
        sizes = lifetimes.gradient_sizes(owned)

        def blocks(nbytes: int) -> list[int]:
            copies, rest = divmod(nbytes, sum(sizes) or 1)
            return [*sizes * copies, *([rest] if rest else [])]

        return cuda.Update(blocks(memory.state_bytes), blocks(memory.update_bytes))

    def _cast(self, parameter: torch.Tensor) -> torch.Tensor:
        """A stand-in of the type that it is run in."""
        dtype = self.subject.dtype if parameter.is_floating_point() else None
        return torch.empty_like(parameter, device="meta", dtype=dtype)

    def _own_operators(self) -> Any:
        lower = getattr(torch, self.conditions.autocast) if self.conditions.autocast else None
        return own_operators(self.on_cuda, self.workspace, lower)

    def inference(self, batch_size: int) -> Trace:
        """A forward pass with the device's operators."""
        with self._own_operators():
            return counts.run(self.subject, *self.subject.given(batch_size))

    def training(self, batch_size: int) -> Trace | None:
        """Forward and backward of a training step; None where it cannot be traced, or the batch has no equal parts."""
        if batch_size % self.conditions.accumulate:
            return None
        try:
            args, kwargs = self.subject.given(self.conditions.part_of(batch_size))
            with self._own_operators() as forward:

                def loss(output: Any) -> torch.Tensor:
                    forward.close()
                    return loss_of(output)

                return trace(
                    self.subject.module,
                    args,
                    kwargs,
                    memory=self.subject.shape_memory,
                    backward=loss,
                    dtype=self.subject.dtype,
                    gradients=self.conditions.accumulate > 1 or self.conditions.zero_grad == "zero",
                )
        except Exception:
            return None

    def peak(self, found: Trace) -> lifetimes.Peak:
        """The highest point of a pass, with what operators take for themselves where that is known."""
        return lifetimes.peak(found) if self.scratch is None else self.scratch.peak(found)

    def _of_training(self, step: Trace) -> dict[str, Any]:
        pure = lifetimes.peak(step).nbytes
        found = {
            "input_bytes": lifetimes.input_bytes(step),
            "training_activation_bytes": lifetimes.saved_for_backward(step),
            "training_peak_bytes": pure,
            "training_scratch_bytes": self._scratch_of(step, pure),
        }
        if self.on_cuda:
            weights, update = _weights(step), self._update(step.owned)
            held = cuda.replayed(step, weights, self._workspace(), update)
            gradients = sum(lifetimes.gradient_sizes(step.owned))
            at_update = lifetimes.input_bytes(step) + gradients + sum(update.taken)
            known = sum(weights) + sum(update.state) + max(pure, at_update)
            found |= {"training_allocator_bytes": held.allocated - known, "training_reserved_bytes": held.reserved}
        return found

    def _scratch_of(self, found: Trace, pure: int) -> int | None:
        """By how much scratch raises the peak; None where that is not known."""
        if self.scratch is None:
            return None
        whole = self.scratch.peak(found)
        return whole.nbytes - pure if whole.known else None


def with_training(profile: StaticProfile, entry: BatchMemory, optimizers: tuple[OptimizerMemory, ...]) -> StaticProfile:
    """The profile with what a training step of its batch size takes, what operators take for themselves left out."""
    pure = replace(entry, training_scratch_bytes=0)
    row = ArchitectureResult(profile.name, profile.source, profile=profile, optimizers=optimizers)
    return replace(
        profile,
        training_activation_bytes=entry.training_activation_bytes,
        training_bytes=row.training_bytes(pure, Conditions.optimizer),
    )


def _weights(found: Trace) -> list[int]:
    """Bytes of each parameter and buffer of the copy that ran."""
    return [tensor.nbytes for tensor in (*found.owned.parameters, *found.owned.buffers)]


def _of_inference(found: BatchMemory) -> dict[str, Any]:
    names = ("peak_activation_bytes", "scratch_bytes", "allocator_bytes", "reserved_bytes")
    return {name: getattr(found, name) for name in names}
