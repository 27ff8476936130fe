"""A pass being written down: operator calls, module calls, and the storages that they read and made, until they go."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from .meta import WithoutValues
from .shapes import Op, ShapeMemory, collect_tensors

#: The number of a pass's first buffer; the numbers of parameters are nearer to zero.
FIRST_BUFFER = -(10**9)

Parts = list[tuple[str, nn.Module]]


class OpCall(NamedTuple):
    """One operator call, inside the innermost `module` running; `inputs` and `outputs` are numbers of storages.

    `joins` two gradients: it is autograd's own addition, of what several paths lead to, and not part of the node that
    runs: the first, which is no view, was made by another.
    """

    op: Op
    module: str
    inputs: Sequence[int | None]
    outputs: Sequence[int | None]
    backward: bool
    joins: bool = False


class ModuleCall(NamedTuple):
    """One finished call of a module: of the first tensor that it returned (None where it has none) the shape, the
    number of elements and the bytes."""

    module: str
    output_shape: torch.Size | None = None
    outputs: int = 0
    output_bytes: int = 0


class Storage:
    """A piece of memory made during the pass, or handed to it: its bytes, and the calls between which it lived.

    It is alive during call i when born <= i < died; `died` is None for what outlives the pass. `owner` is 'input',
    'constant' (a tensor that the network keeps outside its parameters and buffers) or 'activation'.
    """

    __slots__ = ("born", "died", "nbytes", "owner")

    def __init__(self, born: int, nbytes: int, owner: str) -> None:
        self.born, self.nbytes, self.owner = born, nbytes, owner
        self.died: int | None = None


def walk(module: nn.Module) -> Parts:
    """Every module once, with the first path that leads to it, parents before children.

    The order and paths of `named_modules()`, which is too slow to be called for every question.
    """
    parts: Parts = []
    seen: set[int] = set()
    stack: list[tuple[str, nn.Module]] = [("", module)]
    while stack:
        path, part = stack.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        parts.append((path, part))
        children = part._modules
        if children:
            prefix = f"{path}." if path else ""
            stack += [(prefix + name, child) for name, child in reversed(children.items()) if child is not None]
    return parts


class Sizes(NamedTuple):
    """Scalars and bytes of parameters and buffers. Of `buffer_bytes`, `unsaved_bytes` are left out of a state_dict."""

    parameters: int = 0
    trainable_parameters: int = 0
    buffers: int = 0
    parameter_bytes: int = 0
    gradient_bytes: int = 0
    buffer_bytes: int = 0
    unsaved_bytes: int = 0


_NOTHING = Sizes()


def sizes_of(parts: Parts) -> list[Sizes]:
    """What each module owns itself; what several share counts where it is met first."""
    seen: set[int] = set()
    return [_sizes_of(part, seen) if part._parameters or part._buffers else _NOTHING for _, part in parts]


def _sizes_of(part: nn.Module, seen: set[int]) -> Sizes:
    """What this module owns itself and no module before it."""
    parameters = trainable = buffers = parameter_bytes = gradient_bytes = buffer_bytes = unsaved_bytes = 0
    for parameter in part._parameters.values():
        if parameter is not None and id(parameter) not in seen:
            seen.add(id(parameter))
            count = parameter.numel()
            nbytes = count * parameter.itemsize
            parameters += count
            parameter_bytes += nbytes
            if parameter.requires_grad:
                trainable += count
                gradient_bytes += nbytes
    unsaved = part._non_persistent_buffers_set
    for name, buffer in part._buffers.items():
        if buffer is not None and id(buffer) not in seen:
            seen.add(id(buffer))
            count = buffer.numel()
            nbytes = count * buffer.itemsize
            buffers += count
            buffer_bytes += nbytes
            if name in unsaved:
                unsaved_bytes += nbytes
    return Sizes(parameters, trainable, buffers, parameter_bytes, gradient_bytes, buffer_bytes, unsaved_bytes)


class Owned:
    """A module's parameters and buffers, each once, in the order of its parts.

    `numbers` are theirs by identity: those of parameters from -1 downwards, those of buffers from FIRST_BUFFER.
    """

    def __init__(self, parts: Parts) -> None:
        self.parameters: list[Any] = []
        self.buffers: list[Any] = []
        self.numbers: dict[int, int] = {}
        for _, part in parts:
            for table, found, zero in (
                (part._parameters, self.parameters, -1),
                (part._buffers, self.buffers, FIRST_BUFFER),
            ):
                for tensor in table.values():
                    if tensor is not None and id(tensor) not in self.numbers:
                        self.numbers[id(tensor)] = zero - len(found)
                        found.append(tensor)

    @property
    def lazy(self) -> bool:
        """Whether one waits for the network's first input to know its own shape."""
        kinds = (UninitializedParameter, UninitializedBuffer)
        return any([isinstance(tensor, kinds) for tensor in self.parameters + self.buffers])


_ADD = torch.ops.aten.add.Tensor

#: What reads tensors that torch makes of Python's numbers and lists, below the dispatcher.
_READ_OF_LISTS = frozenset({"aten.lift_fresh", "aten.index", "aten.index_put", "aten.index_put_"})


class _Watch(weakref.ref[Any]):
    """Tells when a storage goes."""

    __slots__ = ("identity", "number")

    identity: int
    number: int


class _Place(threading.local):
    """Where a thread is: in which module, how many calls of modules deep."""

    module = ""
    depth = 0


class Recorder(WithoutValues):
    """Answers every operator, on meta where `memory` is given, and writes down what was asked.

    `moment` is the number of operator calls so far. `strange` is the first operator that read a tensor without values
    which no recorded call had made: what made it was not seen.
    """

    def __init__(self, memory: ShapeMemory | None, owned: Owned, follow_gradients: bool) -> None:
        super().__init__(memory)
        self.calls: list[OpCall] = []
        self.module_calls: list[ModuleCall] = []
        self.storages: list[Storage] = []
        self.moment = 0
        self.open = True
        self.thread = threading.get_ident()
        self.place = _Place()
        self.strange: str | None = None
        self._owned = owned.numbers
        self._numbers: dict[int, int] = {}  # identity of a living storage -> its number
        self._watches: list[_Watch] = []
        self._nodes: dict[int, str] | None = {} if follow_gradients else None
        self._viewed: set[int | None] = set()
        self._made_by: dict[int | None, int] = {}  # the number of a storage made in backward -> the node that made it

    def noted(self, tensors: list[Tensor], value: Any, op: Op) -> Any:
        outputs: list[int | None] = []
        fate = op.fate
        if fate == "torch":  # a view's storage must be known as its parameter's
            inputs: list[int | None] = [self.number(tensor, "constant", op) for tensor in tensors]
            if value is not None:
                made: list[Tensor] = []
                collect_tensors(value if isinstance(value, list | tuple) else (value,), made)
                outputs = [self.number(tensor, "activation") for tensor in made]
        else:
            inputs = []
            owned, numbers = self._owned, self._numbers
            for tensor in tensors:
                number = owned.get(id(tensor))
                if number is None:
                    number = numbers.get(tensor.untyped_storage()._cdata)
                elif fate == "view":
                    numbers[tensor.untyped_storage()._cdata] = number
                inputs.append(self.number(tensor, "constant", op) if number is None else number)
            if fate == "self" or fate == "view":
                outputs = inputs[:1]
            elif type(value) is Tensor:
                if op.sizes[0]:
                    outputs.append(self._new(value.untyped_storage(), op.sizes[0], "activation"))
            else:
                for tensor, nbytes in zip(value, op.sizes, strict=True):
                    if nbytes:
                        outputs.append(self._new(tensor.untyped_storage(), nbytes, "activation"))
        module, backward, joins = self.place.module, False, False
        if self._nodes is not None:
            module, node = self._gradient_place()
            backward = node is not None
            if node is not None:
                joins = op.func is _ADD and self._made_by.get(inputs[0], node) != node
                self._made_by.update(dict.fromkeys(outputs, node))
                if fate == "view":  # torch joins in the place of no view
                    self._viewed.add(inputs[0])
                joins = joins and inputs[0] not in self._viewed
        self.calls.append(OpCall(op, module, inputs, outputs, backward, joins))
        self.moment += 1
        return value

    def number(self, tensor: Tensor, owner: str, reader: Op | None = None) -> int | None:
        """The number of the tensor's storage, a new one where it was not seen before; None where it has none."""
        try:
            storage = tensor.untyped_storage()
        except (NotImplementedError, RuntimeError):  # sparse tensors and some subclasses
            return None
        identity = storage._cdata
        number = self._numbers.get(identity)
        if number is not None:
            return number
        owned = self._owned.get(id(tensor))
        if owned is not None:  # a parameter or buffer reaches its first operator as itself, before any view of it
            self._numbers[identity] = owned
            return owned
        nbytes = storage.nbytes()
        if reader is not None and tensor.is_meta and nbytes and reader.name not in _READ_OF_LISTS:
            self.strange = self.strange or reader.name
        return self._new(storage, nbytes, owner)

    def look_for_strangers(self, output: Any) -> None:
        """See to it that the tensors of an output were made by recorded calls, or handed over."""
        tensors: list[Tensor] = []
        collect_tensors([*output.values()] if isinstance(output, dict) else [output], tensors)
        for tensor in tensors:
            if not self._seen(tensor) and tensor.numel() and (tensor.is_meta or self.memory is None):
                self.strange = self.strange or "the output"

    def _seen(self, tensor: Tensor) -> bool:
        try:
            return id(tensor) in self._owned or tensor.untyped_storage()._cdata in self._numbers
        except (NotImplementedError, RuntimeError):  # no storage to know it by
            return tensor.layout is not torch._mkldnn

    def _new(self, storage: Any, nbytes: int, owner: str) -> int:
        """Number a storage that was not seen before, and watch for its end."""
        number = len(self.storages)
        self.storages.append(Storage(self.moment, nbytes, owner))
        watch = _Watch(storage, self._died)
        watch.identity, watch.number = storage._cdata, number
        self._numbers[watch.identity] = number
        self._watches.append(watch)
        return number

    def _died(self, watch: _Watch) -> None:
        if self.open:  # what lives on from then outlives the pass
            self.storages[watch.number].died = self.moment
            self._numbers.pop(watch.identity, None)

    def _gradient_place(self) -> tuple[str, int | None]:
        """The module of a call while gradients are followed, and the node that runs; None: not in the backward pass.

        A backward call belongs where its forward call ran.
        """
        assert self._nodes is not None
        # inside a module during backward: a checkpoint computes its forward pass again
        if self.place.depth or torch._C._current_graph_task_id() == -1:
            # the autograd node of this call has just taken the last sequence number; a call without one finds there
            # that of a call before it
            self._nodes.setdefault(torch.autograd._get_sequence_nr() - 1, self.place.module)
            return self.place.module, None
        node = torch._C._current_autograd_node()
        if node is None:
            return self.place.module, -1
        number = node._sequence_nr()
        return self._nodes.get(number, self.place.module), number
