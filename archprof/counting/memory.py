"""Memory of a pass or a training step, from the lifetimes of its storages. Nothing is run or measured here.

A storage counts once, however many views look at it; what an operator writes in place is no new storage; parameters
and buffers are not activations. During a call its inputs and its outputs are alive together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from ..base.errors import BadOption
from ..results.memory import OptimizerMemory
from .trace import Trace

if TYPE_CHECKING:
    from .recording import Owned
    from .scratch import Scratch

_ACTIVATIONS = frozenset({"input", "activation"})


def gradient_sizes(owned: Owned) -> list[int]:
    """Bytes of each trainable parameter's gradient: its own."""
    return [p.numel() * p.itemsize for p in owned.parameters if p.requires_grad]


class Peak(NamedTuple):
    """The most bytes alive at once, and the call at which that is."""

    nbytes: int
    call: int


def peak(trace: Trace, scratch: Scratch | None = None) -> Peak:
    """The peak of activation bytes over the whole pass, inputs, outputs and, of a backward pass, gradients included.

    `scratch` adds what each call takes for itself while it runs.
    """
    end = len(trace.calls) + 1
    changes = [0] * (end + 1)
    for storage in trace.storages:
        if storage.owner in _ACTIVATIONS and storage.nbytes:
            changes[storage.born] += storage.nbytes
            changes[storage.died if storage.died is not None else end] -= storage.nbytes
    alive = list(accumulate(changes))
    if scratch is not None:
        for place, called in enumerate(trace.calls):
            alive[place] += scratch(called.op)
    most = max(alive)
    return Peak(most, min(alive.index(most), max(len(trace.calls) - 1, 0)))


def saved_for_backward(trace: Trace) -> int:
    """Bytes alive when the forward pass of a training step has returned: input, output and what backward needs."""
    return sum(
        storage.nbytes
        for storage in trace.storages
        if storage.owner in _ACTIVATIONS
        and storage.born < max(trace.forward_calls, 1)
        and (storage.died is None or storage.died > trace.forward_calls)
    )


def input_bytes(trace: Trace) -> int:
    """Bytes that were handed to the pass."""
    return sum(storage.nbytes for storage in trace.storages if storage.owner == "input")


class _Rule(NamedTuple):
    """What an optimizer keeps for every parameter, and takes while it updates.

    `copies` are multiples of the parameters' bytes, `scalars` bytes for each parameter (step counts, rates).
    `temporary` is what updating one parameter takes, from its bytes and those of the one before, whose temporaries
    are let go only when they are replaced: so torch updates on the CPU. `together` is what updating all at once
    takes, as on CUDA, in multiples of their bytes.
    """

    copies: int
    scalars: int
    temporary: Callable[[int, int], int]
    together: int


#: torch's optimizers with their defaults, SGD with momentum (torch 2.13; tests hold these to the real ones).
_RULES = {
    "sgd": _Rule(1, 0, lambda before, size: 0, 0),
    "adam": _Rule(2, 4, lambda before, size: before + 2 * size, 1),
    "adamw": _Rule(2, 4, lambda before, size: before + 2 * size, 1),
    "adadelta": _Rule(2, 4, lambda before, size: before + size + max(before, size), 2),
    "adamax": _Rule(2, 4, lambda before, size: size, 1),
    "asgd": _Rule(1, 12, lambda before, size: 0, 1),
}


def optimizers(sizes: Sequence[int], on_cuda: bool = False) -> tuple[OptimizerMemory, ...]:
    """What each optimizer needs for trainable parameters of so many bytes each.

    On CUDA the step counts stay in the host's memory.
    """
    total = sum(sizes)
    found = []
    for name, rule in _RULES.items():
        scalars = 0 if on_cuda else rule.scalars * len(sizes)
        one_by_one = max(map(rule.temporary, [0, *sizes], sizes), default=0)
        update = rule.together * total if on_cuda else one_by_one
        found.append(OptimizerMemory(name, rule.copies * total + scalars, update))
    return tuple(found)


def largest_batch(needs: Callable[[int], int], limit: int, least: int = 1) -> int:
    """The largest batch size from `least` on for which `needs(batch_size)` bytes are within `limit`; 0: none is.

    Needs grow with the batch, from 2 on along straight lines, so that few questions find the place where they
    cross the limit: the chord between a batch that fits and one that does not says where to ask next, in turn with
    the middle between them, because chords alone creep along where the lines meet at a sharp angle.
    Raises BadOption where they do not grow.
    """
    if needs(least) > limit:
        return 0
    low, high = least, least + 1
    while needs(high) <= limit:
        growth = needs(high) - needs(low)
        if growth <= 0:
            raise BadOption("memory does not grow with the batch size,", "so no batch is the largest that fits.")
        further = (limit - needs(high)) * (high - low) // growth
        low, high = high, high + max(further, 1)
        if needs(high) <= limit:  # on a straight line the next batch is the first that does not fit
            low, high = high, high + 1
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
