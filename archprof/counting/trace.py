"""One forward pass under a dispatch mode, recorded operator by operator.

The pass runs on the meta device with stand-ins for the weights: nothing is allocated, no arithmetic is done, and a
model handed in is as it was afterwards. Where a network looks at values (`.item()`, boolean indexing), the pass is
repeated with real tensors, and the trace says so.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor, nn

from .calls import ModuleCall, OpCall, Repeat, Storage, module_calls, op_calls, storages
from .complex_convolutions import FourProducts
from .meta import WithoutValues, stand_in
from .modules import Owned, Parts, duplicate, in_mode, no_gradients_yet, replace_tensors, untouched, walk
from .recording import Recording
from .repeats import Repeats
from .shapes import Op, ShapeMemory, collect_tensors, fresh, key_of
from .shortcuts import Door, call_of, doors
from .shut import prepare


@dataclass(frozen=True)
class Trace:
    """What one pass did.

    `entries` are the operator calls and `module_entries` the modules' calls in their order, with copied passages among
    them; `calls`, `module_calls` and `storages` have them all written out. Storages are numbered by their place in
    `storages`, those of parameters and buffers as in `owned` (stand-ins, where the pass ran on meta); `own` are those
    by number that no passage made and let go. `parts` are the modules by path; `alike` are numbers for them, the same
    for those that are known to be alike, else 0.
    """

    entries: list[OpCall | Repeat]
    module_entries: list[ModuleCall | Repeat]
    own: dict[int, Storage]
    parts: Parts
    owned: Owned
    moments: int
    forward_calls: int
    output: Any
    alike: list[int]

    @cached_property
    def calls(self) -> list[OpCall]:
        """Every operator call."""
        return op_calls(self.entries)

    @cached_property
    def module_calls(self) -> list[ModuleCall]:
        """Every finished call of a module."""
        return module_calls(self.module_entries)

    @cached_property
    def storages(self) -> list[Storage]:
        """Every storage but those of parameters and buffers."""
        return storages(self.own, self.entries)

    @property
    def repeats(self) -> list[Repeat]:
        """The passages that were copied."""
        return [entry for entry in self.entries if isinstance(entry, Repeat)]

    def module_at(self, call: int) -> str:
        """The path of the module that the call with this number ran in."""
        for entry in self.entries:
            if not isinstance(entry, Repeat):
                if not call:
                    return entry.module
                call -= 1
            elif call < len(entry.passage.calls):
                return entry.paths[entry.passage.calls[call][1]]
            else:
                call -= len(entry.passage.calls)
        return ""


_dtype = attrgetter("dtype")


class _Recorder(WithoutValues, Recording):
    """Answers every operator, on meta where `memory` is given, and writes down what was asked."""

    def __init__(self, memory: ShapeMemory | None, owned: Owned, follow_gradients: bool) -> None:
        WithoutValues.__init__(self, memory)
        Recording.__init__(self, owned)
        self.module = ""
        self.depth = 0
        self.nodes: dict[int, str] | None = {} if follow_gradients else None

    def noted(self, tensors: list[Tensor], value: Any, op: Op) -> Any:
        inputs: list[int | None] = []
        outputs: list[int | None] = []
        fate = op.fate
        if fate == "torch":  # a view's storage must be known as its parameter's
            inputs = [self.number(tensor, "constant") for tensor in tensors]
            if value is not None:
                made: list[Tensor] = []
                collect_tensors(value if isinstance(value, list | tuple) else (value,), made)
                outputs = [self.number(tensor, "activation") for tensor in made]
        else:
            owned, numbers = self.owned, self.numbers
            for tensor in tensors:
                number = owned.get(id(tensor))
                if number is None:
                    number = numbers.get(tensor.untyped_storage()._cdata)
                inputs.append(self.number(tensor, "constant") if number is None else number)
            if fate == "self":
                outputs = inputs[:1]
            else:
                for tensor, nbytes in zip((value,) if type(value) is Tensor else value, op.sizes, strict=True):
                    if nbytes:
                        outputs.append(self.new(tensor.untyped_storage(), nbytes, "activation"))
        module, backward = self.module, False
        if self.nodes is not None:
            module, backward = self._gradient_place()
        self.calls.append(OpCall(op, module, inputs, outputs, backward))
        self.moment += 1
        return value

    def shortcut(self, func: Any, args: tuple) -> Any:
        """The first output of an operator call, as if it had been dispatched; None where torch has to be asked."""
        assert self.memory is not None
        tensors: list[Tensor] = []
        key = key_of(func, args, {}, tensors)
        op = self.memory.known(key)
        with torch._C._DisableTorchDispatch():
            if op is None:
                answer = self.memory.foretell(func, args, {}, key) if key is not None else None
                if answer is None:
                    return None
                value, op = answer
            elif op.fate == "torch":
                return None
            else:
                value = args[0] if op.fate == "self" else fresh(op.layouts)
        value = self.noted(tensors, value, op)
        return value if type(value) is Tensor else value[0]

    def _gradient_place(self) -> tuple[str, bool]:
        """The module of a call while gradients are followed: a backward call belongs where its forward call ran."""
        assert self.nodes is not None
        # inside a module during backward: a checkpoint computes its forward pass again
        if self.depth or torch._C._current_graph_task_id() == -1:
            # the autograd node of this call, if it has one, has just taken the last sequence number
            self.nodes[torch.autograd._get_sequence_nr() - 1] = self.module
            return self.module, False
        node = torch._C._current_autograd_node()
        return (self.nodes.get(node._sequence_nr(), self.module) if node is not None else self.module), True


def _first_tensor(value: Any) -> Tensor | None:
    """The tensor by which others know a module's output: the first of a list or tuple, the last of a dict."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, dict) and value:
        return _first_tensor(list(value.values())[-1])
    if isinstance(value, list | tuple) and value:
        return _first_tensor(value[0])
    return None


def _watched(recorder: _Recorder, open_doors: dict[type, Door], repeats: Repeats) -> Callable[[Parts], None]:
    """What makes modules tell the recorder when they run, and an error which of them it left first.

    Each is given the attribute that torch looks for before it runs a module, a compiled form of it. Global forward
    hooks would send every call down a path that takes longer than its operators do here, and a class's method replaced
    makes Python forget what it knows of all subclasses. Compiled modules run as they are written.
    """
    call, done = nn.Module._call_impl, recorder.module_calls
    door_of, blocks = open_doors.get, repeats.blocks

    def noting_call(module: nn.Module, path: str, *args: Any, **kwargs: Any) -> Any:
        outer, recorder.module = recorder.module, path
        recorder.depth += 1
        try:
            met = repeats.meet(recorder, module, args) if id(module) in blocks and not kwargs else None
            if met is not None:
                passage = met.block.known.get(met.key)
                if passage is not None:
                    return repeats.copy(recorder, met, passage)
            door = door_of(type(module))
            asked = call_of(door, module, args) if door is not None and not kwargs else None
            value = recorder.shortcut(*asked) if asked is not None else None
            if value is None:
                value = call(module, *args, **kwargs)
            returned = value if type(value) is Tensor else _first_tensor(value)
            if returned is None or returned.is_nested:
                done.append(ModuleCall(path))
            else:
                elements = returned.numel()
                done.append(ModuleCall(path, returned.shape, elements, elements * returned.itemsize))
            if met is not None and met.key not in met.block.known:
                repeats.learn(recorder, met, value)
            return value
        except Exception as error:
            if not hasattr(error, "archprof_module"):
                error.archprof_module = path  # type: ignore[attr-defined]
            raise
        finally:
            recorder.module = outer
            recorder.depth -= 1

    def watch(parts: Parts) -> None:
        for path, part in parts:
            part.__dict__["_compiled_call_impl"] = partial(noting_call, part, path)

    return watch


@contextmanager
def _uncompiled() -> Iterator[None]:
    """Compiled functions run as they are written: a compiler would trace our mode instead of the network.

    Flexible attention compiles itself and refuses meta tensors; neither matters to its shapes.
    """
    flexible = sys.modules.get("torch.nn.attention.flex_attention")
    if flexible is None and "torch._dynamo" not in sys.modules:  # nothing compiled can be there
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        check = getattr(flexible, "_validate_device", None)
        if check is not None:
            flexible._validate_device = lambda *_: None  # type: ignore[union-attr]
        try:
            yield
        finally:
            if check is not None:
                flexible._validate_device = check  # type: ignore[union-attr]


def trace(
    module: nn.Module,
    args: tuple = (),
    kwargs: dict[str, Any] | None = None,
    *,
    memory: ShapeMemory | None,
    training: bool = False,
    backward: Callable[[Any], Tensor] | None = None,
) -> Trace:
    """Record one forward pass of `module`, and its backward pass where `backward` makes a scalar of the output.

    `memory` answers on meta; None runs the pass for real, on copies of the weights. The module comes back
    untouched. Raises whatever forward raises, with the path of the module as `error.archprof_module`.
    """
    kwargs = kwargs or {}
    parts = walk(module)
    with ExitStack() as stack:
        stack.enter_context(in_mode(parts, training))
        keep = stack.enter_context(untouched())
        owned = Owned(parts)
        if kept := owned.any_real:
            keep(parts)
            replace_tensors(parts, duplicate if memory is None else stand_in)
            owned = Owned(parts)
        recorder = _Recorder(memory, owned, follow_gradients=training)
        inputs: list[Tensor] = []
        collect_tensors([*args, *kwargs.values()], inputs)
        for tensor in inputs:
            recorder.number(tensor, "input")
        stack.enter_context(_uncompiled())
        open_doors = doors() if memory is not None and memory.remember and not training else {}
        repeats = Repeats(parts, owned, memory if open_doors else None)
        watch = _watched(recorder, open_doors, repeats)

        def ready(parts: Parts) -> None:
            if not kept:
                keep(parts)
            watch(parts)

        prepare(parts, repeats.shut, ready)
        stack.enter_context(torch.set_grad_enabled(training))
        if any([dtype.is_complex for dtype in set(map(_dtype, [*owned.parameters, *inputs]))]):
            stack.enter_context(FourProducts())
        stack.enter_context(recorder)
        output = module(*args, **kwargs)
        forward_calls = recorder.moment
        if backward is not None:
            stack.enter_context(no_gradients_yet(owned))
            loss, output = backward(output), None  # as in training, the output lives only as long as it is needed
            loss.backward()
    recorder.open = False
    return Trace(
        recorder.calls,
        recorder.module_calls,
        recorder.storages,
        parts,
        owned,
        recorder.moment,
        forward_calls,
        output,
        repeats.alike,
    )
