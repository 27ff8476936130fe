"""Aggregating one recorded pass into a StaticProfile: totals, by layer, by type, by module."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Iterable
from math import prod
from typing import NamedTuple

from .. import costs
from ..costs import registry
from ..costs.kinds import FULLY_CONNECTED, MATRIX_PRODUCT, UNUSED, is_layer, layer_type
from ..results.profile import LayerCost, ModuleCost, Shape, StaticProfile, TypeCost, Uncounted
from . import lifetimes
from .recording import FIRST_BUFFER, OpCall, Sizes
from .shapes import Op, shapes_in
from .trace import Trace


class Facts(NamedTuple):
    """What follows from the shapes of an operator call alone."""

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


def aggregate(found: Trace, train: bool = False) -> StaticProfile:
    """The profile of a recorded pass; name, inputs and notes are left for the caller to fill in."""
    layers: list[LayerCost] = []
    uncounted: Counter[str] = Counter()
    macs = activations = 0
    readers = _Readers(found)
    known: dict[Op, Facts] = {}  # the distinct calls of this pass
    for call in found.calls:
        facts = known.get(call.op) or known.setdefault(call.op, facts_of(call.op))
        if facts.macs:
            macs += facts.macs
            if not call.backward:
                activations += facts.activations
        elif facts.macs is None:
            uncounted[facts.op] += 1
        parameters, weights, learned = readers.claimed(call, facts, len(layers))
        if facts.listed:
            kind = FULLY_CONNECTED if learned and facts.type is MATRIX_PRODUCT else facts.type
            layers.append(
                LayerCost(
                    call.module, facts.op, kind, facts.input_shape, facts.output_shape, facts.macs, facts.activations,
                    parameters, weights, facts.bytes_moved, facts.kernel, facts.stride,
                )
            )  # fmt: skip
    never = readers.settle(layers)
    most = lifetimes.peak(found)
    modules, sizes = _inventory(found)
    return StaticProfile(
        name="",
        source="",
        input_shape=(),
        batch_size=1,
        parameters=sizes.parameters,
        trainable_parameters=sizes.trainable_parameters,
        buffers=sizes.buffers,
        macs=macs,
        activations=activations,
        parameter_bytes=sizes.parameter_bytes,
        buffer_bytes=sizes.buffer_bytes,
        saved_bytes=sizes.parameter_bytes + sizes.buffer_bytes - sizes.unsaved_bytes,
        gradient_bytes=sizes.gradient_bytes,
        peak_activation_bytes=most.nbytes,
        training_activation_bytes=lifetimes.saved_for_backward(found) if train else None,
        peak_at=found.calls[most.call].module if found.calls else "",
        uncounted=tuple(Uncounted(op, calls) for op, calls in sorted(uncounted.items())),
        by_type=_by_type(layers, never),
        layers=tuple(layers),
        modules=modules,
    )


#: Operator calls recur within a network and in others: by call, with the state of the registry of formulas.
_FACTS: weakref.WeakKeyDictionary[Op, tuple[int, Facts]] = weakref.WeakKeyDictionary()


def facts_of(op: Op) -> Facts:
    """Cost, type and shapes of an operator call, from its shapes alone."""
    known = _FACTS.get(op)
    if known is not None and known[0] == registry.generation:
        return known[1]
    macs = costs.macs(op.func, op.args, op.kwargs, op.out)
    given, made = list(shapes_in(op.args)), list(shapes_in((op.out,)))
    listed = is_layer(op)
    kind, kernel, stride = layer_type(op) if listed else ("", (), ())
    out = made[0] if made else costs.Shape(())
    facts = Facts(
        op.name,
        listed,
        kind,
        kernel,
        stride,
        macs,
        # the weight gradient of a backward call is no activation, nor is anything an operator without MACs makes
        sum(prod(shape) for shape in made[:1]) if macs else 0,
        sum(prod(shape) * shape.dtype.itemsize for shape in given + made if shape.dtype is not None),
        tuple(_main_input(op, given)),
        tuple(out),
    )
    _FACTS[op] = registry.generation, facts
    return facts


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
            number: () for number, storage in enumerate(found.storages) if storage.owner == "constant"
        }
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


def _main_input(op: Op, given: list[costs.Shape]) -> costs.Shape:
    """The shape that a reader calls the input: addmm's first argument is its bias."""
    if op.name in ("aten.addmm", "aten.addmv", "aten.baddbmm", "aten.addbmm") and len(given) > 1:
        return given[1]
    return given[0] if given else costs.Shape(())


def _by_type(layers: Iterable[LayerCost], never_read: int) -> tuple[TypeCost, ...]:
    """One cost for each layer type, the costliest first, and one for the parameters that nobody read."""
    rows: dict[str, list[int]] = {}
    for layer in layers:
        row = rows.setdefault(layer.type, [0, 0, 0, 0, 0])
        row[0] += layer.parameters
        row[1] += layer.macs or 0
        row[2] += 1
        row[3] += layer.weights
        row[4] += layer.activations
    if never_read:
        rows[UNUSED] = [never_read, 0, 0, 0, 0]
    costs = [TypeCost(kind, *row) for kind, row in rows.items()]
    return tuple(sorted(costs, key=lambda row: (-row.macs, -row.parameters, row.type)))


def _inventory(found: Trace) -> tuple[tuple[ModuleCost, ...], Sizes]:
    """A row for each module, and what all of them own together; what is shared counts where it is met first."""
    returned: dict[str, tuple[int, int, int]] = {}
    for path, _, elements, nbytes in found.module_calls:
        calls, all_elements, all_bytes = returned.get(path, _NEVER)
        returned[path] = calls + 1, all_elements + elements, all_bytes + nbytes
    rows = [
        ModuleCost(path, type(part).__name__, *own[:3], *returned.get(path, _NEVER))
        for (path, part), own in zip(found.parts, found.sizes, strict=True)
    ]
    return tuple(rows), Sizes(*map(sum, zip(*found.sizes, strict=True)))


_NEVER = 0, 0, 0
