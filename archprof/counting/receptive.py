"""Receptive fields: how many input positions, in each dimension, an element of a layer's output can see.

Followed from storage to storage through a recorded pass, so that skips, branches and functional calls need no
names. A kernel of k positions with dilation d widens the field by (k - 1) * d times the distance between its
neighbours, measured in input positions (the jump); a stride multiplies the jump. Where branches meet, the
widest field counts. The arithmetic is that of Araujo, Norris and Sim, "Computing Receptive Fields of
Convolutional Neural Networks", https://distill.pub/2019/computing-receptive-fields; borders are left out, so
that a field may exceed the input.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from math import ceil, prod
from typing import Any, NamedTuple

from ..costs import Shape as OpShape
from ..costs.kinds import FULLY_CONNECTED, MATRIX_PRODUCT, layer_type
from ..results.profile import Shape, StaticProfile
from .aggregate import facts_of
from .shapes import Op
from .trace import Trace


class Seen(NamedTuple):
    """What the elements of a storage see, per spatial dimension: field and jump in input positions, and its
    size.
    """

    field: tuple[Fraction, ...]
    jump: tuple[Fraction, ...]
    size: Shape


class Window(NamedTuple):
    """What one operator looks at, per spatial dimension: `reach` is its effective kernel, `step` its
    stride.
    """

    reach: tuple[Fraction, ...]
    step: tuple[Fraction, ...]


def with_fields(profile: StaticProfile, found: Trace) -> StaticProfile:
    """The same profile with `receptive_field` in every layer row that has one; `found` is the pass it was
    folded from.

    () stays where an element belongs to no position: after a classifier's flattening, attention, or other
    mixing.
    """
    listed = [field for call, field in zip(found.calls, fields(found), strict=True) if facts_of(call.op).listed]
    return replace(
        profile,
        layers=tuple(
            layer._replace(receptive_field=field) for layer, field in zip(profile.layers, listed, strict=True)
        ),
    )


def fields(found: Trace) -> Iterator[Shape]:
    """The receptive field of each call's output, rounded up to whole positions; () where it has none."""
    seen: dict[int, Seen] = {}
    for call in found.calls:
        shapes = list(_shapes((call.op.args, tuple(call.op.kwargs.values()))))
        inputs = []
        for number, shape in zip(call.inputs, shapes, strict=False):
            if number is None or number < 0:
                continue
            if number not in seen and found.storages[number].owner == "input" and len(shape) > 2:
                one = (Fraction(1),) * (len(shape) - 2)
                seen[number] = Seen(one, one, tuple(shape[2:]))
            if number in seen:
                inputs.append((seen[number], shape))
        outputs = list(_shapes((call.op.out,)))
        made = _after(call.op, inputs, outputs[0]) if inputs and outputs else None
        for number in call.outputs:
            if number is not None and number >= 0 and (made is not None or number not in call.inputs):
                seen.pop(number, None)
                if made is not None:
                    seen[number] = made
        yield tuple(ceil(value) for value in made.field) if made is not None else ()


def _after(op: Op, inputs: list[tuple[Seen, OpShape]], out: OpShape) -> Seen | None:
    """What the output sees, given what its inputs see; None where positions are lost."""
    first, shape = inputs[0]
    if len({len(seen.size) for seen, _ in inputs}) > 1:
        return None
    rank = len(first.size)
    if op.fate == "torch" and len(out) and prod(out) == prod(shape):
        return first  # a view: what it holds sees what it saw
    kind, _, _ = layer_type(op)
    if kind in (MATRIX_PRODUCT, FULLY_CONNECTED):
        return _linear(first, shape)
    if len(shape) != rank + 2 or len(out) != rank + 2:
        return None
    size = tuple(out[2:])
    if "conv" in kind or kind in ("pooling", "interpolation"):
        window = _window(op, kind, shape[2:], size)
        if window is None or tuple(shape[2:]) != first.size:
            return None
        return Seen(
            tuple(f + (r - 1) * j for f, r, j in zip(first.field, window.reach, first.jump, strict=True)),
            tuple(s * j for s, j in zip(window.step, first.jump, strict=True)),
            size,
        )
    if any(tuple(given[2:]) not in (seen.size, size) for seen, given in inputs):
        return None
    widest = tuple(max(values) for values in zip(*(seen.field for seen, _ in inputs), strict=True))
    # a gate of one position for each channel is broadcast: the others say how far apart positions are
    full = [seen for seen, _ in inputs if seen.size == size]
    return Seen(widest, full[0].jump, size) if full else None


def _linear(seen: Seen, shape: OpShape) -> Seen | None:
    """A linear layer on the last dimension is a 1x1 convolution where each row is a position."""
    rows = prod(shape[:-1])
    positions = prod(seen.size)
    return seen if positions > 1 and rows % positions == 0 and rows > 1 else None


def _window(op: Op, kind: str, before: Sequence[int], after: Sequence[int]) -> Window | None:
    rank = len(after)
    name = op.name.rpartition(".")[2]
    if kind == "interpolation":
        step = tuple(Fraction(b, a) for b, a in zip(before, after, strict=True))
        taps = 1 if "nearest" in name else 4 if "bicubic" in name else 2
        return Window((Fraction(taps),) * rank, step)
    if kind == "pooling":
        return _pooling(op, name, before, after)
    lists = [arg for arg in op.args if isinstance(arg, list)]
    flags = [arg for arg in op.args if isinstance(arg, bool)]
    if len(lists) < 3:
        return None
    kernel = [arg for arg in op.args if isinstance(arg, OpShape)][1][2:]
    stride, dilation = _per(lists[0], rank), _per(lists[2], rank)
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    if flags and flags[0]:  # transposed: an output position meets every stride-th weight
        return Window(
            tuple(Fraction(ceil(r / s)) for r, s in zip(reach, stride, strict=True)),
            tuple(Fraction(1, s) for s in stride),
        )
    return Window(tuple(map(Fraction, reach)), tuple(map(Fraction, stride)))


def _pooling(op: Op, name: str, before: Sequence[int], after: Sequence[int]) -> Window | None:
    rank = len(after)
    if "adaptive" in name or name == "mean":
        # window i of m over n positions runs from floor(i n / m) to ceil((i + 1) n / m)
        sizes = list(zip(before, after, strict=True))
        widest = [max(-(-(i + 1) * n // m) - i * n // m for i in range(m)) for n, m in sizes]
        return Window(tuple(map(Fraction, widest)), tuple(Fraction(n, m) for n, m in sizes))
    kernel = _per(op.args[1], rank)
    stride = _per(op.args[2], rank) if len(op.args) > 2 and op.args[2] else kernel
    dilation = _per(op.args[4], rank) if "max" in name and len(op.args) > 4 else (1,) * rank
    return Window(
        tuple(Fraction(d * (k - 1) + 1) for k, d in zip(kernel, dilation, strict=True)),
        tuple(map(Fraction, stride)),
    )


def _per(value: Any, rank: int) -> tuple[int, ...]:
    """One number for each spatial dimension."""
    values = tuple(value) if isinstance(value, list | tuple) else (value,)
    return values * rank if len(values) == 1 else values


def _shapes(values: Any) -> Iterator[OpShape]:
    for value in values:
        if isinstance(value, OpShape):
            yield value
        elif isinstance(value, list | tuple):
            yield from _shapes(value)
