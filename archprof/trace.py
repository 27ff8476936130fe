"""One forward pass under a dispatch mode, recorded operator by operator.

The pass runs on the meta device with stand-ins for the weights: nothing is allocated, no arithmetic is done, and a
model handed in is as it was afterwards. Where a network looks at values (`.item()`, boolean indexing), the pass is
repeated with real tensors, and the trace says so.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .meta import WithoutValues, collect_tensors
from .modules import Parts, put_stand_ins, set_training, tensors_of, untouched, walk
from .shapes import Op, ShapeMemory


class OpCall(NamedTuple):
    """One operator call. `inputs` and `outputs` are numbers of storages (None: has none); `module` is the innermost one running."""

    op: Op
    module: str
    inputs: tuple[int | None, ...]
    outputs: tuple[int | None, ...]
    backward: bool


class ModuleCall(NamedTuple):
    """One finished call of a module: the first tensor that it returned, by shape and bytes (() and 0 where none)."""

    module: str
    output_shape: tuple[int, ...]
    nbytes: int


class Storage:
    """A piece of memory made during the pass, or handed to it: its bytes, and the calls between which it lived.

    It is alive during call i when born <= i < died; `died` is None for what outlives the pass. `owner` is 'input',
    'constant' (a tensor that the network keeps outside its parameters and buffers) or 'activation'.
    """

    __slots__ = ("born", "died", "nbytes", "owner")

    def __init__(self, nbytes: int, born: int, owner: str) -> None:
        self.nbytes, self.born, self.owner = nbytes, born, owner
        self.died: int | None = None


class _Watcher(weakref.ref):
    """A weak reference that knows which storage it watches."""

    __slots__ = ("identity", "number")


@dataclass(frozen=True)
class Trace:
    """What one pass did.

    Storages are numbered by their place in `storages`; those of parameters and buffers have negative numbers, and
    `parameters` maps a parameter's number to its qualified name. `parts` are the modules by path.
    """

    calls: list[OpCall]
    storages: list[Storage]
    parameters: dict[int, str]
    parts: Parts
    forward_calls: int
    output: Any
    module_calls: list[ModuleCall]


class _Recorder(WithoutValues):
    """Answers every operator, on meta where `memory` is given, and writes down what was asked."""

    def __init__(self, memory: ShapeMemory | None, parts: Parts, follow_gradients: bool) -> None:
        super().__init__(memory)
        self.calls: list[OpCall] = []
        self.storages: list[Storage] = []
        self.numbers: dict[int, int] = {}  # identity of a living storage -> its number
        self.watchers: list[Any] = []
        self.paths = {id(part): path for path, part in parts}
        owned = [*tensors_of(parts, "_parameters").items(), *(("", b) for b in tensors_of(parts, "_buffers").values())]
        self.owned = {id(tensor): -1 - place for place, (_, tensor) in enumerate(owned)}
        self.parameters = {-1 - place: name for place, (name, _) in enumerate(owned) if name}
        self.module_calls: list[ModuleCall] = []
        self.module = ""
        self.depth = 0
        self.nodes: dict[int, str] | None = {} if follow_gradients else None

    # --- storages ---------------------------------------------------------------------------------------------

    def number(self, tensor: Tensor, owner: str) -> int | None:
        """The number of the tensor's storage, a new one where it was not seen before; None where it has none."""
        try:
            storage = tensor.untyped_storage()
        except (NotImplementedError, RuntimeError):  # sparse tensors and some subclasses
            return None
        identity = storage._cdata
        number = self.numbers.get(identity)
        if number is not None:
            return number
        owned = self.owned.get(id(tensor))
        if owned is not None:  # a parameter or buffer reaches its first operator as itself, before any view of it
            self.numbers[identity] = owned
            return owned
        return self.new(storage, storage.nbytes(), owner)

    def new(self, storage: Any, nbytes: int, owner: str) -> int:
        """Number a storage that was not seen before, and watch for its end."""
        identity = storage._cdata
        number = self.numbers[identity] = len(self.storages)
        self.storages.append(Storage(nbytes, len(self.calls), owner))
        watcher = _Watcher(storage, self.died)
        watcher.number, watcher.identity = number, identity
        self.watchers.append(watcher)
        return number

    def died(self, watcher: _Watcher) -> None:
        self.storages[watcher.number].died = len(self.calls)
        if self.numbers.get(watcher.identity) == watcher.number:
            del self.numbers[watcher.identity]

    # --- operators --------------------------------------------------------------------------------------------

    def noted(self, tensors: list[Tensor], value: Any, op: Op) -> Any:
        owned = self.owned if op.fate != "torch" else {}  # a view's storage must be known as its parameter's
        inputs = [owned.get(id(tensor)) or self.number(tensor, "constant") for tensor in tensors]
        outputs: list[int | None] = []
        if op.fate == "fresh":
            for tensor, nbytes in zip((value,) if type(value) is Tensor else value, op.sizes, strict=True):
                if nbytes:
                    outputs.append(self.new(tensor.untyped_storage(), nbytes, "activation"))
        elif op.fate == "self":
            outputs = inputs[:1]
        elif value is not None:
            made: list[Tensor] = []
            collect_tensors(value if isinstance(value, list | tuple) else (value,), made)
            outputs = [self.number(tensor, "activation") for tensor in made]
        module, backward = self.module, False
        if self.nodes is not None:
            module, backward = self._gradient_place()
        self.calls.append(OpCall(op, module, tuple(inputs), tuple(outputs), backward))
        return value

    def _gradient_place(self) -> tuple[str, bool]:
        """The module of a call while gradients are followed: a backward call belongs where its forward call ran."""
        assert self.nodes is not None
        if torch._C._current_graph_task_id() == -1:
            # the autograd node of this call, if it has one, has just taken the last sequence number
            self.nodes[torch.autograd._get_sequence_nr() - 1] = self.module
            return self.module, False
        node = torch._C._current_autograd_node()
        # inside a module during backward: a checkpoint recomputes its forward pass
        return (self.nodes.get(node._sequence_nr(), self.module) if node is not None else self.module), not self.depth


def _first_tensor(value: Any) -> Tensor | None:
    """The tensor by which others know a module's output: the first of a list or tuple, the last of a dict."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, dict) and value:
        return _first_tensor(list(value.values())[-1])
    if isinstance(value, list | tuple) and value:
        return _first_tensor(value[0])
    return None


@contextmanager
def _module_calls(recorder: _Recorder) -> Iterator[None]:
    """The recorder knows which module is running, and an error which one it left first.

    torch's global forward hooks would do, but they send every module call down a path that takes longer than the
    calls' operators do here.
    """
    call = nn.Module.__call__
    paths = recorder.paths

    def noting_call(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        outer = recorder.module
        recorder.module = paths.get(id(module), outer)
        recorder.depth += 1
        try:
            value = call(module, *args, **kwargs)
            returned = value if type(value) is Tensor else _first_tensor(value)
            recorder.module_calls.append(
                ModuleCall(recorder.module, (), 0) if returned is None else
                ModuleCall(recorder.module, tuple(returned.shape), returned.numel() * returned.itemsize))
            return value
        except Exception as error:
            if not hasattr(error, "archprof_module"):
                error.archprof_module = recorder.module  # type: ignore[attr-defined]
            raise
        finally:
            recorder.module = outer
            recorder.depth -= 1

    nn.Module.__call__ = noting_call  # type: ignore[method-assign]
    try:
        yield
    finally:
        nn.Module.__call__ = call  # type: ignore[method-assign]


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

    `memory` answers on meta; None runs the pass for real, on the tensors as they are. The module comes back
    untouched. Raises whatever forward raises, with the path of the module as `error.archprof_module`.
    """
    kwargs = kwargs or {}
    parts = walk(module)
    with ExitStack() as stack:
        stack.enter_context(untouched(parts))
        set_training(parts, training)
        if memory is not None:
            put_stand_ins(parts)
        recorder = _Recorder(memory, parts, follow_gradients=training)
        inputs: list[Tensor] = []
        collect_tensors([*args, *kwargs.values()], inputs)
        for tensor in inputs:
            recorder.number(tensor, "input")
        stack.enter_context(_uncompiled())
        stack.enter_context(_module_calls(recorder))
        stack.enter_context(torch.set_grad_enabled(training))
        stack.enter_context(recorder)
        output = module(*args, **kwargs)
        forward_calls = len(recorder.calls)
        if backward is not None:
            loss, output = backward(output), None  # as in training, the output lives only as long as it is needed
            loss.backward()
    recorder.watchers.clear()  # what lives on from here outlives the pass
    return Trace(recorder.calls, recorder.storages, recorder.parameters, parts, forward_calls, output,
                 recorder.module_calls)
