"""Folding one recorded pass into a StaticProfile: totals, by layer, by type, by module."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import prod
from typing import Any, NamedTuple

from . import costs, memory
from .layer_types import FULLY_CONNECTED, MATRIX_PRODUCT, UNUSED, is_layer, layer_type
from .modules import Parts
from .records import LayerCost, ModuleCost, Shape, StaticProfile, TypeCost, Uncounted
from .shapes import Op
from .trace import ModuleCall, OpCall, Trace


class Facts(NamedTuple):
    """What follows from an Op's shapes alone."""

    op: str
    listed: bool
    type: str
    kernel: Shape
    stride: Shape
    macs: int | None
    activations: int
    bytes_moved: int
    input_shape: Shape
    output_shape: Shape
    generation: int


def fold(found: Trace, train: bool = False) -> StaticProfile:
    """The profile of a recorded pass; name and inputs are left for the caller to fill in."""
    layers: list[LayerCost] = []
    uncounted: Counter[str] = Counter()
    macs = activations = 0
    generation = costs.generation
    readers = _Readers(found)
    for call in found.calls:
        op = call.op
        facts = op.facts
        if facts is None or facts.generation != generation:
            facts = op.facts = facts_of(op)
        if facts.macs:
            macs += facts.macs
            if not call.backward:
                activations += facts.activations
        elif facts.macs is None:
            uncounted[op.name] += 1
        parameters, weights, learned = readers.claimed(call, facts, len(layers))
        if not facts.listed:
            continue
        kind = FULLY_CONNECTED if learned and facts.type is MATRIX_PRODUCT else facts.type
        layers.append(LayerCost(
            call.module, facts.op, kind, facts.input_shape, facts.output_shape, facts.macs, facts.activations,
            parameters, weights, facts.bytes_moved, facts.kernel, facts.stride))
    never = readers.settle(layers)
    most = memory.peak(found)
    modules = modules_of(found.parts, found.module_calls)
    owned = found.owned
    parameter_bytes = sum([p.numel() * p.itemsize for p in owned.parameters.values()])
    buffer_bytes = {name: b.numel() * b.itemsize for name, b in owned.buffers.items()}
    return StaticProfile(
        name="", source="", input_shape=(), batch_size=1,
        parameters=sum([row.parameters for row in modules]),
        trainable_parameters=sum([row.trainable_parameters for row in modules]),
        buffers=sum([row.buffers for row in modules]),
        macs=macs,
        activations=activations,
        parameter_bytes=parameter_bytes,
        buffer_bytes=sum(buffer_bytes.values()),
        saved_bytes=parameter_bytes + sum([n for name, n in buffer_bytes.items() if name not in owned.unsaved]),
        gradient_bytes=sum(memory.gradient_sizes(owned)),
        peak_activation_bytes=most.nbytes,
        training_activation_bytes=memory.saved_for_backward(found) if train else None,
        peak_at=found.calls[most.call].module if found.calls else "",
        uncounted=tuple(Uncounted(op, calls) for op, calls in sorted(uncounted.items())),
        by_type=by_type(layers, never),
        layers=tuple(layers),
        modules=modules,
    )


class _Readers:
    """Which call reads which parameter for the first time.

    What is made of parameters alone (a cast, a masked, normalised or low-rank weight) stands for them: they belong to
    the call that puts it to use, one that multiplies or that reads something else too.
    """

    def __init__(self, found: Trace) -> None:
        owned = found.owned.parameters
        self.unread = {number: owned[name] for number, name in found.parameters.items()}
        self.names = frozenset(self.unread)
        # storages that no input had a part in -> the parameters that they stand for
        self.derived: dict[int, tuple[int, ...]] = {
            number: () for number, storage in enumerate(found.storages) if storage.owner == "constant"}
        self.handed_on: dict[int, int] = {}  # parameter -> row of the call that only handed it on

    def claimed(self, call: OpCall, facts: Facts, row: int) -> tuple[int, int, bool]:
        """Parameters that this call is the first to use, those of them that multiply, and whether it reads any."""
        read: list[int] = []
        derived = self.derived
        only_derived = True
        for number in call.inputs:
            if number is None:
                only_derived = False
            elif number >= 0:
                stands_for = derived.get(number)
                if stands_for is None:
                    only_derived = False
                else:
                    read += stands_for
            elif number in self.names:
                read.append(number)
        if only_derived and not call.backward:
            for number in call.outputs:
                if number is not None and number >= 0:
                    derived[number] = () if facts.macs else tuple(read)
        if only_derived and not call.backward and not facts.macs:
            if facts.listed:
                for number in read:
                    self.handed_on.setdefault(number, row)
            return 0, 0, False
        if derived and call.op.fate == "self":  # written into: no longer made of parameters alone
            derived.pop(call.outputs[0], None)  # type: ignore[arg-type]
        if not read or not facts.listed:
            return 0, 0, False
        parameters = weights = 0
        for number in read:
            parameter = self.unread.pop(number, None)
            if parameter is not None:
                size = parameter.numel()
                parameters += size
                if facts.macs and parameter.dim() > 1:
                    weights += size
        return parameters, weights, True

    def settle(self, layers: list[LayerCost]) -> int:
        """Give what was only handed on to the rows that did so; the number of parameters that nobody read."""
        never = 0
        for number, parameter in self.unread.items():
            row = self.handed_on.get(number)
            if row is None:
                never += parameter.numel()
            else:
                layers[row] = layers[row]._replace(parameters=layers[row].parameters + parameter.numel())
        return never


def facts_of(op: Op) -> Facts:
    """Cost, type and shapes of an operator call, from its shapes alone."""
    macs = costs.macs(op.func, op.args, op.kwargs, op.out)
    given, made = list(_shapes(op.args)), list(_shapes((op.out,)))
    listed = is_layer(op)
    kind, kernel, stride = layer_type(op) if listed else ("", (), ())
    out = made[0] if made else costs.Shape(())
    # the weight gradient of a backward call is no activation, nor is anything an operator without MACs makes
    activations = sum(prod(shape) for shape in made[:1]) if macs else 0
    return Facts(op.name, listed, kind, kernel, stride, macs, activations,
                 sum(prod(shape) * shape.dtype.itemsize for shape in given + made if shape.dtype is not None),
                 tuple(_main_input(op, given)), tuple(out), costs.generation)


def _main_input(op: Op, given: list[costs.Shape]) -> costs.Shape:
    """The shape that a reader calls the input: addmm's first argument is its bias."""
    if op.name in ("aten.addmm", "aten.addmv", "aten.baddbmm", "aten.addbmm") and len(given) > 1:
        return given[1]
    return given[0] if given else costs.Shape(())


def _shapes(values: Iterable[Any]) -> Iterable[costs.Shape]:
    for value in values:
        if isinstance(value, costs.Shape):
            yield value
        elif isinstance(value, list | tuple):
            yield from _shapes(value)


def by_type(layers: Iterable[LayerCost], never_read: int = 0) -> tuple[TypeCost, ...]:
    """Layers folded by type, the costliest first; parameters that no call read have a row of their own."""
    rows: dict[str, list[int]] = {}
    for layer in layers:
        row = rows.setdefault(layer.type, [0, 0, 0, 0, 0])
        for place, value in enumerate((layer.parameters, layer.macs or 0, 1, layer.weights, layer.activations)):
            row[place] += value
    if never_read:
        rows[UNUSED] = [never_read, 0, 0, 0, 0]
    folded = [TypeCost(kind, *row) for kind, row in rows.items()]
    return tuple(sorted(folded, key=lambda row: (-row.macs, -row.parameters, row.type)))


def modules_of(parts: Parts, calls: Iterable[ModuleCall] = ()) -> tuple[ModuleCost, ...]:
    """Every module with its own parameters, buffers and outputs; what is shared counts where it is met first."""
    seen: set[int] = set()
    returned: dict[str, tuple[int, int, int]] = {}
    for path, shape, dtype in calls:
        times, elements, nbytes = returned.get(path, (0, 0, 0))
        size = 0 if shape is None or dtype is None else shape.numel()
        returned[path] = (times + 1, elements + size, nbytes + (size * dtype.itemsize if dtype is not None else 0))
    rows = []
    for path, part in parts:
        parameters = trainable = buffers = 0
        for parameter in part._parameters.values():
            if parameter is not None and id(parameter) not in seen:
                seen.add(id(parameter))
                size = parameter.numel()
                parameters += size
                if parameter.requires_grad:
                    trainable += size
        for buffer in part._buffers.values():
            if buffer is not None and id(buffer) not in seen:
                seen.add(id(buffer))
                buffers += buffer.numel()
        rows.append(ModuleCost(path, type(part).__name__, parameters, trainable, buffers, *returned.get(path, ())))
    return tuple(rows)
