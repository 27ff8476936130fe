"""Memory of a pass or a training step, from the lifetimes of its storages. Nothing is run or measured here.

A storage counts once, however many views look at it; what an operator writes in place is no new storage; parameters
and buffers are not activations. During a call its inputs and its outputs are alive together.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from .trace import Trace

if TYPE_CHECKING:
    import torch

    from .recording import Owned, Recorder

    Recorded = Trace | Recorder

#: Owners of storages that are neither weights nor constants.
ACTIVATIONS = frozenset({"input", "activation"})


def gradient_sizes(owned: Owned, dtype: torch.dtype | None = None) -> list[int]:
    """Bytes of each trainable parameter's gradient: its own, in `dtype` where one is given."""
    return [
        p.numel() * (dtype.itemsize if dtype is not None and p.is_floating_point() else p.itemsize)
        for p in owned.parameters
        if p.requires_grad
    ]


class Peak(NamedTuple):
    """The most bytes alive at once, and the call at which that is.

    `known` is False where what a call takes for itself is not known and may be more.
    """

    nbytes: int
    call: int
    known: bool = True


def peak(trace: Recorded) -> Peak:
    """The peak of activation bytes over the whole pass, inputs, outputs and, of a backward pass, gradients included."""
    return peak_of(alive(trace))


def peak_of(alive: list[int], known: bool = True) -> Peak:
    """The peak where so many bytes are alive at each call, and after the last one."""
    most = max(alive)
    return Peak(most, min(alive.index(most), max(len(alive) - 2, 0)), known)


def alive(trace: Recorded) -> list[int]:
    """Bytes of activations that are alive during each call, and after the last one.

    Two gradients are joined in the place of the first where nothing else needs that (InputBuffer in torch's autograd);
    under a dispatch mode torch makes a third.
    """
    end = len(trace.calls) + 1
    changes = [0] * (end + 1)
    for storage in trace.storages:
        if storage.owner in ACTIVATIONS and storage.nbytes:
            changes[storage.born] += storage.nbytes
            changes[storage.died if storage.died is not None else end] -= storage.nbytes
    found = list(accumulate(changes))[:end]
    for made, _ in joined(trace):
        found[trace.storages[made].born] -= trace.storages[made].nbytes
    return found


def joined(trace: Recorded) -> Iterator[tuple[int, int]]:
    """Gradients that are joined in the place of another: the number of the storage made, and of that one."""
    for place, call in enumerate(trace.calls):
        if call.joins and call.outputs and call.inputs:
            first, made = call.inputs[0], call.outputs[0]
            if first is not None and made is not None and min(first, made) >= 0:
                before, after = trace.storages[first], trace.storages[made]
                if before.died == place + 1 and before.nbytes == after.nbytes:
                    yield made, first


def saved_for_backward(trace: Trace) -> int:
    """Bytes alive when the forward pass of a training step has returned: input, output and what backward needs."""
    return sum(
        storage.nbytes
        for storage in trace.storages
        if storage.owner in ACTIVATIONS
        and storage.born < max(trace.forward_calls, 1)
        and (storage.died is None or storage.died > trace.forward_calls)
    )


def input_bytes(trace: Trace) -> int:
    """Bytes that were handed to the pass."""
    return sum(storage.nbytes for storage in trace.storages if storage.owner == "input")
