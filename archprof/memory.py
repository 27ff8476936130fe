"""Activation memory of a pass, from the lifetimes of its storages. Nothing is run or measured here.

A storage counts once, however many views look at it; what an operator writes in place is no new storage; parameters
and buffers are not activations. During a call its inputs and its outputs are alive together.
"""

from __future__ import annotations

from itertools import accumulate
from typing import NamedTuple

from .trace import Trace

_ACTIVATIONS = frozenset({"input", "activation"})


class Peak(NamedTuple):
    """The most bytes alive at once, and the call at which that is."""

    nbytes: int
    call: int


def peak(trace: Trace) -> Peak:
    """The peak of activation bytes over the whole pass, inputs and outputs included."""
    changes = [0] * (len(trace.calls) + 2)
    end = len(trace.calls) + 1
    for storage in trace.storages:
        if storage.owner in _ACTIVATIONS and storage.nbytes:
            changes[storage.born] += storage.nbytes
            changes[storage.died if storage.died is not None else end] -= storage.nbytes
    alive = list(accumulate(changes))
    most = max(alive)
    return Peak(most, min(alive.index(most), max(len(trace.calls) - 1, 0)))


def saved_for_backward(trace: Trace) -> int:
    """Bytes alive when the forward pass of a training step has returned: input, output and what backward needs."""
    return sum(
        storage.nbytes for storage in trace.storages
        if storage.owner in _ACTIVATIONS and storage.born < max(trace.forward_calls, 1)
        and (storage.died is None or storage.died > trace.forward_calls)
    )
