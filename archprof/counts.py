"""Folding one recorded pass into a StaticProfile: totals, by layer, by type, by module."""

from __future__ import annotations

import gc
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from . import costs, memory, sources
from .building import build_on_meta, is_lazy, settled
from .errors import ArchprofError, BadOption, BuildFailed, ForwardFailed
from .inputs import default_inputs, first_shape, without_values
from .layer_types import FULLY_CONNECTED, MATRIX_PRODUCT, UNUSED, is_layer, layer_type
from .modules import Parts
from .records import LayerCost, ModuleCost, Shape, StaticProfile, TypeCost, Uncounted
from .shapes import Op, ShapeMemory
from .trace import ModuleCall, OpCall, Trace, trace

if TYPE_CHECKING:
    from .spec import ModelSpec

#: Shapes seen by any profile of this process: the second ResNet of a run is answered mostly from memory.
SHARED = ShapeMemory()


#: Characters of a network's own error that are repeated: some run to pages.
SAID = 300


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


@dataclass(frozen=True)
class Subject:
    """A network about to be profiled: where it came from, and how it was built."""

    module: nn.Module
    name: str
    source: str
    input_shape: Shape
    notes: tuple[str, ...] = ()
    found: sources.Found | None = None
    inputs: Callable[[int], sources.Arguments] | None = None

    def given(self, batch_size: int) -> sources.Arguments:
        """What forward is called with at that batch size: as described, as the source knows, or one image."""
        if self.inputs is not None:
            return self.inputs(batch_size)
        return default_inputs(self.module, batch_size, self.input_shape), {}


def profile(
    model: str | ModelSpec | nn.Module,
    inputs: tuple | None = None,
    kwargs: dict[str, Any] | None = None,
    *,
    batch_size: int = 1,
    input_shape: Shape | None = None,
    mode: str = "eval",
    shape_memory: ShapeMemory = SHARED,
) -> StaticProfile:
    """Count what one pass of a network costs, without running it.

    `model` is a name or a module; a module comes back untouched. `inputs` are forward's positional arguments and
    `kwargs` its keyword arguments; without them one float tensor of (batch_size, *input_shape) is assumed, where
    `input_shape` defaults to the network's own. `mode` is 'eval' (one forward pass) or 'train' (forward and
    backward, `training_activation_bytes` filled in).

    Raises UnknownModel, BadOption, BuildFailed, or ForwardFailed with the module that raised.
    """
    if mode not in ("eval", "train"):
        raise BadOption(f"mode {mode!r} is unknown;", "wanted: 'eval' or 'train'.")
    if type(batch_size) is not int or batch_size < 1:
        raise BadOption(f"batch size {batch_size!r} is not a positive whole number;", "wanted: such as 8.")
    subject = subject_of(model, input_shape, shape_memory=shape_memory)
    if inputs is None and not kwargs:
        return profile_of(subject, batch_size, mode, shape_memory)
    args = inputs if isinstance(inputs, tuple) else () if inputs is None else (inputs,)
    return _recorded(subject, args, kwargs or {}, mode, shape_memory)[0]


def profile_of(subject: Subject, batch_size: int = 1, mode: str = "eval",
               shape_memory: ShapeMemory = SHARED) -> StaticProfile:
    """The profile of a subject at its default input; for several of them, where building once is enough."""
    return recorded(subject, batch_size, mode, shape_memory)[0]


def recorded(subject: Subject, batch_size: int = 1, mode: str = "eval",
             shape_memory: ShapeMemory = SHARED) -> tuple[StaticProfile, Trace]:
    """The profile of a subject at its default input, and the pass that it was folded from."""
    profile, found = _recorded(subject, *subject.given(batch_size), mode, shape_memory)
    return replace(profile, batch_size=batch_size), found


def peak_activation_bytes(subject: Subject, batch_size: int, shape_memory: ShapeMemory = SHARED) -> int:
    """Predicted peak of one forward pass at that batch size, as in StaticProfile."""
    return memory.peak(run(subject, *subject.given(batch_size), False, shape_memory)[0]).nbytes


def training_activation_bytes(subject: Subject, batch_size: int, shape_memory: ShapeMemory = SHARED) -> int | None:
    """Predicted bytes held between forward and backward, as in StaticProfile; None where training cannot run.

    (A batch norm over a single value per channel refuses to train, for one.)
    """
    try:
        args, kwargs = without_values(subject.given(batch_size))
        found = trace(subject.module, args, kwargs, memory=shape_memory, training=True)
    except Exception:
        return None
    return memory.saved_for_backward(found)


def _recorded(subject: Subject, args: tuple, kwargs: dict[str, Any], mode: str,
              shape_memory: ShapeMemory) -> tuple[StaticProfile, Trace]:
    training = mode == "train"
    with _collector_paused():
        found, notes = run(subject, args, kwargs, training, shape_memory)
        folded = fold(found, train=training)
    shape = first_shape(args, kwargs)
    return replace(
        folded, name=subject.name, source=subject.source, batch_size=shape[0] if shape else 1, mode=mode,
        input_shape=shape[1:], notes=subject.notes + notes,
    ), found


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Nothing of what a pass without values makes is garbage, and looking for some costs a third of its time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def subject_of(model: str | ModelSpec | nn.Module, input_shape: Shape | None = None,
               inputs: Callable[[int], sources.Arguments] | None = None,
               shape_memory: ShapeMemory = SHARED) -> Subject:
    """The module to profile, on the meta device where it was built from a name.

    `inputs` makes forward's arguments for a batch size; without it one tensor of `input_shape`, by default the
    network's own, is assumed.
    """
    if isinstance(model, nn.Module):
        unwrapped = _uncompiled(model)
        return Subject(unwrapped, type(unwrapped).__name__, "instance", tuple(input_shape or (3, 224, 224)),
                       inputs=inputs)
    found = sources.find(model)
    shape = tuple(input_shape or found.input_shape)
    if inputs is None and input_shape is None:
        inputs = found.inputs
    if found.instance is not None:
        return Subject(_uncompiled(found.instance), found.name, found.source, shape, (), found, inputs)
    try:
        module, way = build_on_meta(found.make, shape_memory)
    except ArchprofError:
        raise
    except Exception:
        found.build()  # says what is wrong, without our mode in between
        raise BuildFailed(f"{found.name}: it cannot be built.") from None
    notes = () if way == "meta" else ("built with real weights: its constructor looks at their values",)
    return Subject(module, found.name, found.source, shape, notes, found, inputs)


def _uncompiled(module: nn.Module) -> nn.Module:
    """A compiled module counts as what it compiles."""
    return getattr(module, "_orig_mod", module)


def run(subject: Subject, args: tuple, kwargs: dict[str, Any], training: bool,
        shape_memory: ShapeMemory) -> tuple[Trace, tuple[str, ...]]:
    """One recorded pass: on meta, or with real tensors where the network looks at values.

    What the network prints meanwhile goes to stderr: stdout is for results.
    """
    try:
        with redirect_stdout(sys.stderr):
            return _run(subject, args, kwargs, training, shape_memory)
    except SystemExit as error:
        raise ForwardFailed(f"{subject.name}: its own forward calls sys.exit({error.code!r}).") from None


def _run(subject: Subject, args: tuple, kwargs: dict[str, Any], training: bool,
         shape_memory: ShapeMemory) -> tuple[Trace, tuple[str, ...]]:
    backward = _scalar_of if training else None
    try:
        blank_args, blank_kwargs = without_values((args, kwargs))
        if is_lazy(subject.module):
            subject = replace(subject, module=settled(subject.module, blank_args, blank_kwargs))
        return trace(subject.module, blank_args, blank_kwargs, memory=shape_memory, training=training,
                     backward=backward), ()
    except Exception as on_meta:
        try:
            return _run_really(subject, args, kwargs, training, on_meta)
        except Exception as error:
            raise _explain(subject, args, kwargs, error) from error


def _run_really(subject: Subject, args: tuple, kwargs: dict[str, Any], training: bool,
                on_meta: Exception) -> tuple[Trace, tuple[str, ...]]:
    """The pass with real tensors; `on_meta` is raised again where that cannot help or cannot be afforded."""
    from .inputs import real_inputs

    if isinstance(on_meta, TypeError):  # forward's signature: real tensors raise the same
        raise on_meta
    module = subject.module
    if any(tensor.is_meta for tensor in [*module.parameters(), *module.buffers()]):
        if subject.found is None or subject.found.instance is not None:
            raise on_meta
        module = subject.found.build()
    device = next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
    args, kwargs = real_inputs((args, kwargs), device)
    found = trace(module, args, kwargs, memory=None, training=training, backward=_scalar_of if training else None)
    reason = " ".join(str(on_meta).split())
    return found, (f"counted in a real pass, because the network looks at values ({reason[:120]})",)


def _scalar_of(output: Any) -> Tensor:
    """A scalar to call backward on: the sum of every floating-point tensor that the network returns."""
    from torch.utils._pytree import tree_leaves

    tensors = [leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor) and leaf.requires_grad]
    if not tensors:
        raise ForwardFailed("nothing that the network returns depends on a trainable parameter.",
                            "Training cannot be counted.")
    total = tensors[0].sum()
    for tensor in tensors[1:]:
        total = total + tensor.sum()
    return total


def _explain(subject: Subject, args: tuple, kwargs: dict[str, Any], error: Exception) -> ArchprofError:
    """One line: which module raised, what it said, and what it was given."""
    if isinstance(error, ArchprofError):
        return error
    said = textwrap.shorten(str(error), SAID, placeholder=" ...")
    path = getattr(error, "archprof_module", "")
    if isinstance(error, TypeError) and not path:
        from .inputs import signature_of

        return ForwardFailed(f"{subject.name}: {said}.".replace("..", "."),
                             f"forward wants {signature_of(subject.module)}.")
    where = "its own forward"
    if path:
        kind = type(subject.module.get_submodule(path)).__name__
        where = f"layer '{path}' ({kind})"
    given = " and ".join("x".join(map(str, tensor.shape)) for tensor in [*args, *kwargs.values()]
                         if isinstance(tensor, Tensor))
    return ForwardFailed(f"{subject.name} cannot take an input of {given}: {where} says: {said}")


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
    return StaticProfile(
        name="", source="", input_shape=(), batch_size=1,
        parameters=sum([row.parameters for row in modules]),
        trainable_parameters=sum([row.trainable_parameters for row in modules]),
        buffers=sum([row.buffers for row in modules]),
        macs=macs,
        activations=activations,
        parameter_bytes=sum([p.numel() * p.itemsize for p in owned.parameters.values()]),
        buffer_bytes=sum([b.numel() * b.itemsize for b in owned.buffers.values()]),
        saved_bytes=saved_bytes(found.parts, [*owned.parameters.values(), *owned.buffers.values()]),
        peak_activation_bytes=most.nbytes,
        training_activation_bytes=memory.saved_for_backward(found) if train else None,
        peak_at=found.calls[most.call].module if found.calls else "",
        uncounted=tuple(Uncounted(op, calls) for op, calls in sorted(uncounted.items())),
        by_type=by_type(layers, never),
        layers=tuple(layers),
        modules=modules,
    )


def saved_bytes(parts: Parts, tensors: Iterable[Tensor]) -> int:
    """Bytes of what a state_dict holds of these: all but buffers that are registered as not persistent."""
    scratch = {id(part._buffers[name]) for _, part in parts for name in part._non_persistent_buffers_set}
    return sum(t.numel() * t.element_size() for t in tensors if id(t) not in scratch)


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
    returned: dict[str, list[int]] = {}
    for call in calls:
        sums = returned.setdefault(call.module, [0, 0, 0])
        sums[0] += 1
        sums[1] += prod(call.output_shape) if call.nbytes else 0
        sums[2] += call.nbytes
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
