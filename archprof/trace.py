"""One forward pass under a dispatch mode, recorded operator by operator.

The pass runs on the meta device with stand-ins for the weights: nothing is allocated, no arithmetic is done, and a
model handed in is as it was afterwards. Where a network looks at values (`.item()`, boolean indexing), the pass is
repeated with real tensors, and the trace says so.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module

from .meta import WithoutValues, collect_tensors, put_stand_ins
from .shapes import Op, ShapeMemory


class OpCall(NamedTuple):
    """One operator call. `inputs` and `outputs` are numbers of storages; `module` is the innermost one running."""

    op: Op
    module: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    backward: bool


class Storage:
    """A piece of memory: its bytes, and the calls between which it lived.

    It is alive during call i when born <= i < died; `died` is None for what outlives the pass. `owner` is
    'parameter', 'buffer', 'input', 'constant' (made outside the pass) or 'activation'.
    """

    __slots__ = ("born", "died", "nbytes", "owner")

    def __init__(self, nbytes: int, born: int, owner: str) -> None:
        self.nbytes, self.born, self.owner = nbytes, born, owner
        self.died: int | None = None


@dataclass(frozen=True)
class Trace:
    """What one pass did. `parameters` maps storage numbers to the qualified names that live there."""

    calls: list[OpCall]
    storages: list[Storage]
    parameters: dict[int, list[str]]
    forward_calls: int
    output: Any
    real: str | None = None  # why real tensors were needed, None for a pass on meta


class _Recorder(WithoutValues):
    """Answers every operator, on meta where `memory` is given, and writes down what was asked."""

    def __init__(self, memory: ShapeMemory | None, paths: dict[int, str], follow_gradients: bool) -> None:
        super().__init__(memory)
        self.paths = paths
        self.calls: list[OpCall] = []
        self.storages: list[Storage] = []
        self.numbers: dict[int, int] = {}  # identity of a living storage -> its number
        self.watchers: list[Any] = []
        self.stack: list[tuple[int, str]] = []
        self.module = ""
        self.nodes: dict[int, str] | None = {} if follow_gradients else None

    # --- where we are -----------------------------------------------------------------------------------------

    def enter(self, module: nn.Module, _: Any) -> None:
        self.module = self.paths.get(id(module), self.module)
        self.stack.append((id(module), self.module))

    def leave(self, module: nn.Module, _: Any, __: Any) -> None:
        # a module that raised was never left: a caller that caught the error leaves it with its own
        while self.stack and self.stack.pop()[0] != id(module):
            pass
        self.module = self.stack[-1][1] if self.stack else ""

    # --- storages ---------------------------------------------------------------------------------------------

    def number(self, tensor: Tensor, owner: str) -> int | None:
        """The number of the tensor's storage, a new one where it was not seen before; None where it has none."""
        try:
            storage = tensor.untyped_storage()
        except (NotImplementedError, RuntimeError):  # sparse tensors and some subclasses
            return None
        identity = storage._cdata
        number = self.numbers.get(identity)
        if number is None:
            number = self.numbers[identity] = len(self.storages)
            self.storages.append(Storage(storage.nbytes(), len(self.calls), owner))

            def died(_: Any, number: int = number, identity: int = identity) -> None:
                self.storages[number].died = len(self.calls)
                if self.numbers.get(identity) == number:
                    del self.numbers[identity]

            self.watchers.append(weakref.ref(storage, died))
        return number

    # --- operators --------------------------------------------------------------------------------------------

    def noted(self, tensors: list[Tensor], value: Any, op: Op) -> Any:
        known = self.numbers
        inputs = []
        for tensor in tensors:
            try:
                number = known.get(tensor.untyped_storage()._cdata)
            except (NotImplementedError, RuntimeError):
                continue
            inputs.append(self.number(tensor, "constant") if number is None else number)
        outputs: list[Any] = []
        if type(value) is Tensor:
            outputs.append(self.number(value, "activation"))
        elif value is not None:
            made: list[Tensor] = []
            collect_tensors(value if isinstance(value, list | tuple) else (value,), made)
            outputs = [self.number(tensor, "activation") for tensor in made]
        module, backward = self.module, False
        if self.nodes is not None:
            module, backward = self._gradient_place()
        self.calls.append(OpCall(op, module, tuple(inputs), tuple([n for n in outputs if n is not None]), backward))
        return value

    def _gradient_place(self) -> tuple[str, bool]:
        """The module of a call while gradients are followed: a backward call belongs where its forward call ran."""
        assert self.nodes is not None
        if torch._C._current_graph_task_id() == -1:
            # the autograd node of this call, if it has one, has just taken the last sequence number
            self.nodes[torch.autograd._get_sequence_nr() - 1] = self.module
            return self.module, False
        node = torch._C._current_autograd_node()
        return (self.nodes.get(node._sequence_nr(), self.module) if node is not None else self.module), not self.stack


@contextmanager
def untouched(module: nn.Module) -> Iterator[None]:
    """Whatever happens inside, the module's modes, attributes and tables and torch's random state come back."""
    kept = [(part, part.__dict__.copy(), {name: table.copy() for name, table in part.__dict__.items()
                                          if name in ("_parameters", "_buffers", "_modules")})
            for part in module.modules() if not isinstance(part, torch.jit.ScriptModule)]
    scripted = [(part, part.training) for part in module.modules() if isinstance(part, torch.jit.ScriptModule)]
    random_state = torch.get_rng_state()
    try:
        yield
    finally:
        torch.set_rng_state(random_state)
        for part, attributes, tables in kept:
            part.__dict__.clear()
            part.__dict__.update(attributes)
            for name, table in tables.items():
                part.__dict__[name].clear()
                part.__dict__[name].update(table)
        for part, training in scripted:
            part.train(training)


@contextmanager
def _hooks(recorder: _Recorder) -> Iterator[None]:
    before = torch_module.register_module_forward_pre_hook(recorder.enter)
    after = torch_module.register_module_forward_hook(recorder.leave)
    try:
        yield
    finally:
        before.remove()
        after.remove()


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

    `memory` answers on meta; None runs the pass for real, on the tensors as they are. The module comes back
    untouched. Raises whatever forward raises, with the path of the module as `error.archprof_module`.
    """
    paths: dict[int, str] = {}
    for name, part in module.named_modules():
        paths.setdefault(id(part), name)
    recorder = _Recorder(memory, paths, follow_gradients=training)
    with ExitStack() as stack:
        stack.enter_context(untouched(module))
        for part in module.modules():
            if part.training is not training:
                part.train(training) if isinstance(part, torch.jit.ScriptModule) else setattr(part, "training", training)
        if memory is not None:
            put_stand_ins(module)
        parameters: dict[int, list[str]] = {}
        for name, parameter in module.named_parameters():
            number = recorder.number(parameter, "parameter")
            if number is not None:
                parameters.setdefault(number, []).append(name)
        for buffer in module.buffers():
            recorder.number(buffer, "buffer")
        inputs: list[Tensor] = []
        collect_tensors([*args, *(kwargs or {}).values()], inputs)
        for tensor in inputs:
            recorder.number(tensor, "input")
        stack.enter_context(_hooks(recorder))
        stack.enter_context(torch.set_grad_enabled(training))
        stack.enter_context(recorder)
        try:
            output = module(*args, **(kwargs or {}))
            forward_calls = len(recorder.calls)
            if backward is not None:
                backward(output).backward()
        except Exception as error:
            error.archprof_module = recorder.stack[-1][1] if recorder.stack else ""  # type: ignore[attr-defined]
            raise
    recorder.watchers.clear()  # what lives on from here outlives the pass
    return Trace(recorder.calls, recorder.storages, parameters, forward_calls, output)
