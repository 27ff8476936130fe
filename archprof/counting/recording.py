"""A pass being written down: its calls so far, and its storages, watched until they go."""

from __future__ import annotations

import weakref
from typing import Any

from torch import Tensor

from .calls import ModuleCall, OpCall, Repeat, Storage
from .modules import Owned


class _Watch(weakref.ref):
    """Tells when a storage goes."""

    __slots__ = ("identity", "number")

    identity: int
    number: int


class Recording:
    """Lists of calls that grow, and the storages that they read and made, by number.

    `moment` is the number of operator calls so far, `made` that of storages. Those of parameters and buffers have
    negative numbers; `storages` holds those of calls that ran, not of copied passages.
    """

    def __init__(self, owned: Owned) -> None:
        self.calls: list[OpCall | Repeat] = []
        self.module_calls: list[ModuleCall | Repeat] = []
        self.storages: dict[int, Storage] = {}
        self.moment = self.made = self.deaths = 0
        self.open = True
        self.owned = owned.numbers
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
        number = self.made
        self.made += 1
        self.watch(storage, number, Storage(self.moment, None, nbytes, owner))
        return number

    def watch(self, storage: Any, number: int, record: Storage) -> None:
        """From now on this storage is known by that number."""
        self.storages[number] = record
        watch = _Watch(storage, self.died)
        watch.identity, watch.number = storage._cdata, number
        self.numbers[watch.identity] = number
        self.watches.append(watch)

    def died(self, watch: _Watch) -> None:
        if self.open:  # what lives on from then outlives the pass
            self.storages[watch.number].died = self.moment
            self.numbers.pop(watch.identity, None)
            self.deaths += 1
