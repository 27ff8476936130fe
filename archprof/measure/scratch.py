"""Scratch space of an operator for which there is no rule: it is run by itself, once, and its allocations are read.

What libraries take depends on their version, on the processor and on the number of threads, in steps that no formula
follows. A call that is too long to be run at its batch size is run at two smaller ones, and lies on their line. What
was read is kept for another time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from typing import Any

import torch

from .. import costs
from ..base.kept import Store, store
from ..costs import Shape
from ..counting.counts import without_collection
from ..counting.shapes import Op, shapes_in
from ..results.conditions import Conditions, machine
from . import device
from .memory import bytes_of, out_of_memory, peak_bytes

aten = torch.ops.aten

#: Multiply-accumulates and bytes of a call that is run as it is (a tenth of a second), and of one that is run at all.
SHORT, LONGEST = 10**9, 10**10
LARGEST = 2**30

#: Seconds that the calls of one network are run for. A processor without instructions for half floats takes seconds for
#: one; what is not known after that is said, and may be the next time.
PATIENCE_S = 4.0

#: The smaller batch sizes at which a longer call is run.
SMALLER = ((16, 32), (4, 8), (2, 4))

#: Operators whose tensors but for their weights have the batch in front.
_BATCHED = {
    aten.convolution.default: (0,),
    aten.convolution_backward.default: (0, 1),
    aten._native_multi_head_attention.default: (0, 1, 2),
    aten._transformer_encoder_layer_fwd.default: (0,),
}

_LAYERS = (aten.mkldnn_rnn_layer.default, aten.mkldnn_rnn_layer_backward.default)

_CPU = torch.device("cpu")


def kept_scratch(conditions: Conditions) -> Store:
    """Where this machine's scratch space is kept."""
    return store("scratch", machine(device.environment(conditions)))


class MeasuredScratch:
    """The scratch bytes of calls under these conditions, as long as measuring takes no more than `patience_s`."""

    def __init__(
        self,
        conditions: Conditions,
        patience_s: float = PATIENCE_S,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.conditions, self.left_s, self.clock = conditions, patience_s, clock

    @cached_property
    def _of_this_machine(self) -> Store:
        return kept_scratch(self.conditions)

    def __call__(self, op: Op) -> int | None:
        """Bytes of scratch of a call; None where it cannot be run, or would take too long."""
        whole = _work(op, 1)
        if whole <= SHORT:
            return self._kept(op, None)
        for smaller in SMALLER:
            scaled = self._on_a_line(op, smaller)
            if scaled is not None:
                return scaled
        return self._kept(op, None) if whole <= LONGEST else None

    def _on_a_line(self, op: Op, smaller: tuple[int, int]) -> int | None:
        places = _BATCHED.get(op.func)
        if places is None:
            return None
        batch = op.args[places[0]][0]
        low, high = smaller
        if high >= batch or _work(op, high / batch) > SHORT:
            return None
        at_low, at_high = self._kept(op, low), self._kept(op, high)
        if at_low is None or at_high is None:
            return None
        return max(at_low + (at_high - at_low) * int(batch - low) // (high - low), 0)

    def _kept(self, op: Op, batch: int | None) -> int | None:
        conditions = self.conditions
        types = [str(shape.dtype) for shape in shapes_in([op.args])]
        how = (conditions.channels_last, conditions.autocast, conditions.threads or torch.get_num_threads())
        key = f"{op.func} {(batch, op.args, sorted(op.kwargs.items()), types)} {how}"
        if key in _KEPT:
            return _KEPT[key]
        found = self._of_this_machine.get(key)
        taken: int | None = found if type(found) is int and found >= 0 else None
        if taken is None:
            if self.left_s <= 0:
                return None
            start = self.clock()
            with _ONE_AT_A_TIME, device.applied(conditions), without_collection():
                taken = self._run(op, batch)
            self.left_s -= self.clock() - start
            if taken is not None:
                self._of_this_machine.put(key, taken)
        _KEPT[key] = taken
        return taken

    def _run(self, op: Op, batch: int | None) -> int | None:
        args: Sequence[Any] = op.args
        if batch is not None:
            places = _BATCHED[op.func]
            args = [
                Shape((batch, *value[1:]), value.dtype) if place in places else value
                for place, value in enumerate(op.args)
            ]
        if not runs_alone(op) or (self.conditions.channels_last and _kills(op)):
            return None
        try:
            # a recurrent layer keeps what its backward pass needs where gradients are on
            with torch.set_grad_enabled(op.func is _LAYERS[0] and op.args[-1]), self._casts(op):
                given = [self._real(value) for value in _as_devices_take(op.func, args)]
                if "attention_for_cpu" in op.name:  # (N, H, L, D), of which the heads are the fastest but one in memory
                    given = [_heads_inside(value) for value in given]
                named = {name: self._real(value) for name, value in op.kwargs.items()}
                if op.func is _LAYERS[1]:  # it reads what the forward pass laid out
                    made = _layer(given)
                    given = [*given[:7], *made[:3], *given[10:-1], made[3]]
                before = bytes_of([given, named])
                out = op.func(*given, **named)
                made = bytes_of([given, named, out]) - before
                del out
                extra = peak_bytes(lambda: op.func(*given, **named), _CPU, collect=False)
        except Exception as error:
            if not isinstance(error, RuntimeError | TypeError | ValueError | IndexError) and not out_of_memory(error):
                raise
            return None
        return None if extra is None else max(extra - made, 0)

    def _casts(self, op: Op) -> AbstractContextManager[Any]:
        """An encoder's layer is cast in its middle, every other call before it."""
        lower = self.conditions.autocast
        if lower is None or op.func is not aten._transformer_encoder_layer_fwd.default:
            return nullcontext()
        casts: AbstractContextManager[Any] = torch.autocast("cpu", getattr(torch, lower))
        return casts

    def workspace(self, x: torch.Tensor, *args: Any) -> int | None:
        """Bytes of what mkldnn_rnn_layer keeps for its backward pass; None where it is too long to be run."""
        steps = x.size(0)
        short = [min(steps, size) for size in (8, 16)]
        at = [self._workspace((size, *x.shape[1:]), x.dtype, args) for size in short]
        return at[0] + (at[1] - at[0]) * (steps - short[0]) // (short[1] - short[0]) if steps > 16 else at[1]

    def _workspace(self, shape: tuple[int, ...], dtype: torch.dtype, args: tuple[Any, ...]) -> int:
        own = [Shape(value.shape, value.dtype) if isinstance(value, torch.Tensor) else value for value in args]
        key = (shape, dtype, repr(own))
        if key not in _WORKSPACES:
            given = [self._real(value) for value in (Shape(shape, dtype), *own)]
            with _ONE_AT_A_TIME, device.applied(self.conditions), torch.enable_grad():
                _WORKSPACES[key] = _LAYERS[0](*given)[3].nbytes
        return _WORKSPACES[key]

    def _real(self, value: Any) -> Any:
        """A tensor of that shape: ones for numbers, so that none is slow to compute with, 0 for indices."""
        if isinstance(value, Shape):
            if value.dtype is None or value.nnz is not None or value.parts is not None:
                raise TypeError("a tensor that is not strided")
            fill = 1 if value.dtype.is_floating_point else 0
            return device.laid_out(torch.full(tuple(value), fill, dtype=value.dtype), self.conditions)
        if type(value) in (list, tuple):
            return type(value)([self._real(item) for item in value])
        if isinstance(value, torch.device):
            return _CPU
        return value


def runs_alone(op: Op) -> bool:
    """Whether the operator may be called outside of its network: not what others wrote, nor what reads memory that it
    laid out itself."""
    return getattr(op.func, "namespace", "") == "aten" and (op.func in _LAYERS or "mkldnn" not in op.name)


_WORKSPACES: dict[Any, int] = {}
_KEPT: dict[str, int | None] = {}
_ONE_AT_A_TIME = threading.Lock()


def _heads_inside(value: Any) -> Any:
    four = isinstance(value, torch.Tensor) and value.dim() == 4
    return value.transpose(1, 2).contiguous().transpose(1, 2) if four else value


def _as_devices_take(func: Any, args: Sequence[Any]) -> Sequence[Any]:
    """Arguments with a norm's mean and scale in the weight's type, as the CPU makes them; stand-ins have float32."""
    if func is not aten.native_layer_norm_backward.default or args[5] is None or args[5].dtype != args[1].dtype:
        return args
    return [*args[:3], *(Shape(value, args[1].dtype) for value in args[3:5]), *args[5:]]


def _kills(op: Op) -> bool:
    """Whether torch (2.13) may write where nothing of its own is: the gradient of a strided 1x1 convolution over a few
    channels in channels-last layout."""
    if op.func is not aten.convolution_backward.default:
        return False
    weight, stride = op.args[2], op.args[4]
    return all(side == 1 for side in weight[2:]) and any(step != 1 for step in stride)


def _layer(given: Sequence[Any]) -> Any:
    """A layer's forward pass in training, of what its backward pass is called with."""
    reverse, mode, hidden, layers, has_biases, _, bidirectional, sizes, batch_first = given[13:22]
    order = (reverse, sizes, mode, hidden, layers, has_biases, bidirectional, batch_first, True)
    with torch.enable_grad():
        return _LAYERS[0](*given[:7], *order)


def _work(op: Op, share: float) -> float:
    """Multiply-accumulates of a call on that share of its batch, or more than any limit where it is too large."""
    total = sum(_nbytes(shape) for shape in shapes_in([op.args, op.out]))
    macs = costs.macs(op.func, op.args, op.kwargs, op.out)
    if total * share > LARGEST:
        return float(LONGEST + 1)
    return share * (macs or total)


def _nbytes(shape: Shape) -> int:
    size = shape.dtype.itemsize if shape.dtype is not None else 0
    for side in shape:
        size *= side
    return size
