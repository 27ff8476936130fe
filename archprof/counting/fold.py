"""Folding one recorded pass into a StaticProfile: totals, by layer, by type, by module."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import prod
from typing import Any, NamedTuple

from .. import costs
from ..costs.kinds import FULLY_CONNECTED, MATRIX_PRODUCT, UNUSED, is_layer, layer_type
from ..results.profile import LayerCost, Shape, StaticProfile, TypeCost, Uncounted
from . import memory
from .calls import OpCall, Repeat
from .inventory import inventory
from .modules import FIRST_BUFFER
from .shapes import Op
from .trace import Trace


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


class Folded(NamedTuple):
    """What a passage adds: its layers, with the number of a part for a path, what they add to the types, and the
    parameters that it claims."""

    generation: int
    layers: list[tuple[int, tuple[Any, ...]]]
    types: list[TypeCost]
    claims: bytearray
    macs: int
    activations: int


class _Totals:
    """Layers and totals, call by call; a passage that was copied adds what it added the first time.

    `loose` are the places of layers that no passage added, `types` what the passages added to the types.
    """

    def __init__(self, found: Trace) -> None:
        self.layers: list[LayerCost] = []
        self.loose: list[int] = []
        self.types: list[TypeCost] = []
        self.uncounted: Counter[str] = Counter()
        self.macs = self.activations = 0
        self.readers = _Readers(found)
        self.generation = costs.generation
        for entry in found.entries:
            if type(entry) is Repeat:
                self.repeat(entry)
            else:
                self.add(entry)  # type: ignore[arg-type]

    def add(self, call: OpCall) -> None:
        """Add one call."""
        op = call.op
        facts = op.facts
        if facts is None or facts.generation != self.generation:
            facts = op.facts = facts_of(op)
        if facts.macs:
            self.macs += facts.macs
            if not call.backward:
                self.activations += facts.activations
        elif facts.macs is None:
            self.uncounted[op.name] += 1
        parameters, weights, learned = self.readers.claimed(call, facts, len(self.layers))
        if facts.listed:
            kind = FULLY_CONNECTED if learned and facts.type is MATRIX_PRODUCT else facts.type
            self.loose.append(len(self.layers))
            self.layers.append(
                LayerCost(
                    call.module,
                    facts.op,
                    kind,
                    facts.input_shape,
                    facts.output_shape,
                    facts.macs,
                    facts.activations,
                    parameters,
                    weights,
                    facts.bytes_moved,
                    facts.kernel,
                    facts.stride,
                )
            )

    def repeat(self, repeat: Repeat) -> None:
        """Add a copied passage: what it added the first time, or call by call."""
        folded, own = repeat.passage.folded, places(repeat.parameters)
        if not self.readers.nothing_known(own, repeat.given):
            for call in repeat.calls():
                self.add(call)
        elif folded is None or folded.generation != self.generation:
            repeat.passage.folded = self.first(repeat)
        else:
            self.readers.read[own] = folded.claims
            paths, new, layer = repeat.paths, tuple.__new__, LayerCost  # quicker than calling a named tuple
            self.layers += [new(layer, (paths[part], *rest)) for part, rest in folded.layers]
            self.types += folded.types
            self.macs += folded.macs
            self.activations += folded.activations

    def first(self, repeat: Repeat) -> Folded | None:
        """Add a passage call by call and keep what it added; None where that depends on more than the passage."""
        readers = self.readers
        before, macs, activations = len(self.layers), self.macs, self.activations
        known = len(readers.handed_on), len(readers.derived), self.uncounted.total()
        for call in repeat.calls():
            self.add(call)
        if (len(readers.handed_on), len(readers.derived), self.uncounted.total()) != known:
            return None
        part = {path: place for place, path in enumerate(repeat.paths)}
        layers = self.layers[before:]
        return Folded(
            self.generation,
            [(part[layer.module], tuple(layer[1:])) for layer in layers],
            list(_by_type(layers)),
            readers.read[places(repeat.parameters)],
            self.macs - macs,
            self.activations - activations,
        )


def fold(found: Trace, train: bool = False) -> StaticProfile:
    """The profile of a recorded pass; name and inputs are left for the caller to fill in."""
    totals = _Totals(found)
    layers = totals.layers
    never = totals.readers.settle(layers)
    most = memory.peak(found)
    modules, sizes = inventory(found.parts, found.alike, found.module_entries)
    return StaticProfile(
        name="",
        source="",
        input_shape=(),
        batch_size=1,
        parameters=sizes.parameters,
        trainable_parameters=sizes.trainable_parameters,
        buffers=sizes.buffers,
        macs=totals.macs,
        activations=totals.activations,
        parameter_bytes=sizes.parameter_bytes,
        buffer_bytes=sizes.buffer_bytes,
        saved_bytes=sizes.parameter_bytes + sizes.buffer_bytes - sizes.unsaved_bytes,
        gradient_bytes=sizes.gradient_bytes,
        peak_activation_bytes=most.nbytes,
        training_activation_bytes=memory.saved_for_backward(found) if train else None,
        peak_at=found.module_at(most.call),
        uncounted=tuple(Uncounted(op, calls) for op, calls in sorted(totals.uncounted.items())),
        by_type=_summed(
            [
                *_by_type([layers[place] for place in totals.loose]),
                *totals.types,
                *([TypeCost(UNUSED, never, 0, 0)] if never else []),
            ]
        ),
        layers=tuple(layers),
        modules=modules,
    )


def places(numbers: range) -> slice:
    """Where the parameters with these numbers stand among a network's."""
    return slice(-1 - numbers.start, -1 - numbers.stop)


class _Readers:
    """Which call reads which parameter for the first time.

    What is made of parameters alone (a cast, a masked, normalised or low-rank weight) stands for them: they belong to
    the call that puts it to use, one that multiplies or that reads something else too.
    """

    def __init__(self, found: Trace) -> None:
        self.parameters = found.owned.parameters
        self.read = bytearray(len(self.parameters))  # 1 at the place of each that was read
        # storages that no input had a part in -> the parameters that they stand for
        self.derived: dict[int, tuple[int, ...]] = {
            number: () for number, storage in found.own.items() if storage.owner == "constant"
        }
        self.handed_on: dict[int, int] = {}  # parameter -> row of the call that only handed it on

    def nothing_known(self, own: slice, inputs: Iterable[int | None]) -> bool:
        """Whether none of the parameters at these places was read, and none of these inputs stands for one."""
        return not any(self.read[own]) and not (self.derived and any(map(self.derived.__contains__, inputs)))

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
            elif number > FIRST_BUFFER:  # a parameter
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
            place = -1 - number
            if not self.read[place]:
                self.read[place] = 1
                parameter = self.parameters[place]
                size = parameter.numel()
                parameters += size
                if facts.macs and parameter.dim() > 1:
                    weights += size
        return parameters, weights, True

    def settle(self, layers: list[LayerCost]) -> int:
        """Give what was only handed on to the rows that did so; the number of parameters that nobody read."""
        never = 0
        for place, (parameter, read) in enumerate(zip(self.parameters, self.read, strict=True)):
            if read:
                continue
            row = self.handed_on.get(-1 - place)
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
    return Facts(
        op.name,
        listed,
        kind,
        kernel,
        stride,
        macs,
        activations,
        sum(prod(shape) * shape.dtype.itemsize for shape in given + made if shape.dtype is not None),
        tuple(_main_input(op, given)),
        tuple(out),
        costs.generation,
    )


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


def _by_type(layers: Iterable[LayerCost]) -> tuple[TypeCost, ...]:
    """Layers folded by type."""
    return _summed(
        [
            TypeCost(layer.type, layer.parameters, layer.macs or 0, 1, layer.weights, layer.activations)
            for layer in layers
        ]
    )


def _summed(parts: Iterable[TypeCost]) -> tuple[TypeCost, ...]:
    """One cost for each type, the costliest first."""
    rows: dict[str, list[int]] = {}
    for cost in parts:
        row = rows.get(cost.type)
        if row is None:
            row = rows[cost.type] = [0, 0, 0, 0, 0]
        row[0] += cost.parameters
        row[1] += cost.macs
        row[2] += cost.calls
        row[3] += cost.weights
        row[4] += cost.activations
    folded = [TypeCost(kind, *row) for kind, row in rows.items()]
    return tuple(sorted(folded, key=lambda row: (-row.macs, -row.parameters, row.type)))
