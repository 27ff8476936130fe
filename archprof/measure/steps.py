"""What is timed: one forward pass, or one training step, as a callable without arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from ..memory.updates import optimizer_of
from ..results.conditions import Conditions
from . import memory


class Step:
    """One pass, called without arguments; knows the memory that it keeps and takes."""

    def __init__(
        self,
        run: Callable[[], object],
        device: torch.device,
        held: Callable[[], object],
        optimizer: torch.optim.Optimizer | None = None,
        captured: bool = False,  # a CUDA graph's memory is its own pool's, which the allocator does not show
        keeps_gradients: bool = False,
    ) -> None:
        self._run, self._device, self._held, self._keeps_gradients = run, device, held, keeps_gradients
        self.optimizer, self._captured = optimizer, captured

    def __call__(self) -> object:
        return self._run()

    def peak_bytes(self) -> int | None:
        """Bytes on the device at the step's highest point: weights, inputs, gradients, optimizer state and
        everything that the step allocates. None where that cannot be told.

        Runs one step; two in training and on a GPU, where the first makes what stays (optimizer state, workspaces).
        """
        if self._device.type != "cpu" or (self.optimizer is not None and not self.optimizer.state):
            self._run()
        if self.optimizer is not None and not self._keeps_gradients:
            self.optimizer.zero_grad(set_to_none=True)  # what was there before would not be seen to go
        before = memory.bytes_of(self._held())
        extra = memory.peak_bytes(self._run, self._device)
        return None if extra is None or self._captured else before + extra

    @property
    def optimizer_state_bytes(self) -> int | None:
        """Bytes of the optimizer's state, 0 before the first step; None outside training."""
        if self.optimizer is None:
            return None
        return memory.bytes_of([list(state.values()) for state in self.optimizer.state.values()])


def forward_step(
    module: nn.Module,
    inputs: tuple[Any, ...],
    conditions: Conditions,
    kwargs: Mapping[str, Any] | None = None,
) -> Step:
    """A step that runs `module(*inputs, **kwargs)`; in mode 'train' a whole training step, of which these inputs are
    one part where gradients of several are added up.

    Module and inputs are taken as they are: already on the device, in the dtype and layout (`materialise`,
    `moved`). With `compile` the first call compiles; with `cuda_graph` the pass is captured here, so that
    the step is one replay.
    """
    kwargs = kwargs or {}
    device = torch.device(conditions.device)
    optimizer = optimizer_of(module.parameters(), conditions.optimizer) if conditions.mode == "train" else None
    called: Callable[..., Any] = module
    if conditions.compile is not None:
        called = torch.compile(module, mode=None if conditions.compile == "default" else conditions.compile)

    def output() -> object:
        if conditions.autocast is None:
            return called(*inputs, **kwargs)
        with torch.autocast(device.type, getattr(torch, conditions.autocast)):
            return called(*inputs, **kwargs)

    def forward() -> object:
        with torch.inference_mode():
            return output()

    zeroed = conditions.zero_grad == "zero"

    def train() -> object:
        assert optimizer is not None
        optimizer.zero_grad(set_to_none=not zeroed)
        for _ in range(conditions.accumulate):
            loss_of(output()).backward()
        optimizer.step()
        return None

    def held() -> object:
        states = list(optimizer.state.values()) if optimizer else []
        return [
            list(module.parameters()),
            [parameter.grad for parameter in module.parameters()] if optimizer and zeroed else [],
            list(module.buffers()),
            inputs,
            dict(kwargs),
            [list(state.values()) for state in states],
        ]

    run = train if optimizer else _captured(forward, device) if conditions.cuda_graph else forward
    return Step(run, device, held, optimizer, conditions.cuda_graph, zeroed)


def loss_of(output: object) -> torch.Tensor:
    """A scalar to differentiate: cross-entropy with the first class for (batch, classes), else mean square.

    Several outputs (auxiliary heads) are summed, and what is no tensor (a cache) is left out. Computed in float32, as
    mixed-precision training does.
    """
    losses = _losses(output)
    if not losses:
        raise TypeError(f"no loss can be taken of an output of type {type(output).__name__}")
    return losses[0] if isinstance(output, torch.Tensor) else torch.stack(losses).sum()


def _losses(output: object) -> list[torch.Tensor]:
    """The loss of each tensor in an output, however deep."""
    if isinstance(output, torch.Tensor):
        values = output.float()
        if values.dim() == 2:
            first = torch.zeros(len(values), dtype=torch.long, device=values.device)
            return [nn.functional.cross_entropy(values, first)]
        return [values.square().mean()]
    parts = output.values() if isinstance(output, dict) else output if isinstance(output, list | tuple) else ()
    return [loss for part in parts for loss in _losses(part)]


def _captured(forward: Callable[[], object], device: torch.device) -> Callable[[], object]:
    """The pass as one CUDA graph: warmed up on a side stream, as torch's documentation of graphs asks."""
    side = torch.cuda.Stream(device)
    side.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(side):
        for _ in range(3):
            forward()
    torch.cuda.current_stream(device).wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        kept = forward()  # the graph writes into its output: it must stay alive

    def replay() -> object:
        graph.replay()
        return kept

    return replay
