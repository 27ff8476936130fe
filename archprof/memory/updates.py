"""What an optimizer with options keeps and takes: one update of stand-ins, recorded as any pass is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from ..counting import lifetimes
from ..counting.recording import Owned, Recorder
from ..counting.shapes import ShapeMemory
from ..counting.trace import ONE_AT_A_TIME
from ..results.memory import OptimizerMemory
from ..results.optimizers import Chosen, chosen

#: So small that weights stay what they are over thousands of steps, whatever the optimizer: the work of an
#: update does not depend on it.
LEARNING_RATE = 1e-7


def optimizer_of(parameters: Iterable[Tensor], optimizer: str | Chosen) -> torch.optim.Optimizer:
    """torch's optimizer of that name for these parameters, with torch's defaults but for what the table says."""
    asked = chosen(optimizer) if isinstance(optimizer, str) else optimizer
    made = getattr(torch.optim, asked.known.torch_class)(parameters, lr=LEARNING_RATE, **asked.arguments)
    assert isinstance(made, torch.optim.Optimizer)
    return made


def update_memory(parameters: Sequence[Tensor], optimizer: str, on_cuda: bool = False) -> OptimizerMemory:
    """What the optimizer keeps between steps, and takes for an update of these trainable parameters, in bytes.

    A fused update computes in place, and has no kernel for stand-ins: it keeps what the plain one does, and takes
    nothing. On CUDA torch updates all parameters at once unless it is told otherwise.
    """
    asked = chosen(optimizer)
    if not parameters:  # torch refuses to make one
        return OptimizerMemory(optimizer, 0, 0)
    arguments = dict(asked.arguments)
    fused = bool(arguments.pop("fused", False))
    if on_cuda and not fused:
        arguments.setdefault("foreach", True)
    with ONE_AT_A_TIME, torch.no_grad():
        weights = [nn.Parameter(torch.empty_like(p, device="meta")) for p in parameters]
        made = optimizer_of(weights, Chosen(asked.name, arguments))
        for weight in weights:
            weight.grad = torch.empty_like(weight)
        made.step()  # makes the state
        state = [value for each in made.state.values() for value in each.values() if isinstance(value, Tensor)]
        # step counts stay on the host, but for those of a fused update
        kept = sum(value.nbytes for value in state if value.is_meta or fused or not on_cuda)
        if fused:
            return OptimizerMemory(optimizer, kept, 0)
        recorder = Recorder(ShapeMemory(), Owned([]), follow_gradients=False)
        with recorder:
            made.step()
        return OptimizerMemory(optimizer, kept, lifetimes.peak(recorder).nbytes)
