"""What a pass has done so far: operator calls, module calls, and storages with their lives."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .modules import Owned
from .shapes import Op


class OpCall(NamedTuple):
    """One operator call, inside the innermost `module` running; `inputs` and `outputs` are numbers of storages."""

    op: Op
    module: str
    inputs: Sequence[int | None]
    outputs: Sequence[int | None]
    backward: bool


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

    def __init__(self, born: int, died: int | None, nbytes: int, owner: str) -> None:
        self.born, self.died, self.nbytes, self.owner = born, died, nbytes, owner


class _Watch(weakref.ref):
    """Tells when a storage goes."""

    __slots__ = ("identity", "number")

    identity: int
    number: int


class Recording:
    """A list of calls that grows, and the storages that they read and made, by number.

    Storages are numbered by their place in `storages`; those of parameters and buffers have negative numbers.
    """

    def __init__(self, owned: Owned) -> None:
        self.calls: list[OpCall] = []
        self.module_calls: list[ModuleCall] = []
        self.storages: list[Storage] = []
        self.deaths = 0
        self.open = True
        self.owned = dict(zip(map(id, owned.tensors), range(-1, -1 - len(owned.tensors), -1), strict=True))
        self.numbers: dict[int, int] = {}  # identity of a living storage -> its number
        self.watches: list[_Watch] = []

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
        number = len(self.storages)
        self.storages.append(Storage(len(self.calls), None, nbytes, owner))
        self.watch(storage, number)
        return number

    def watch(self, storage: Any, number: int) -> None:
        """From now on this storage is known by that number."""
        watch = _Watch(storage, self.died)
        watch.identity, watch.number = storage._cdata, number
        self.numbers[watch.identity] = number
        self.watches.append(watch)

    def died(self, watch: _Watch) -> None:
        if self.open:  # what lives on from then outlives the pass
            self.storages[watch.number].died = len(self.calls)
            self.numbers.pop(watch.identity, None)
            self.deaths += 1
