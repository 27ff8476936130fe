"""Networks that nobody can copy, or that hang together in unusual ways."""

from __future__ import annotations

import copy
import socket
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from hostile.rows import C1, C3, Net, Table, Three, c1, c3
from torch import Tensor, nn

ROWS = Table()
row, one = ROWS.row, ROWS.one


class Holding(nn.Module):
    """A network that holds something and counts: its first pass costs double."""

    def __init__(self, held: Any) -> None:
        super().__init__()
        self.conv, self.held, self.calls, self.last = c3(), held, 0, [torch.zeros(1)]

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        x = self.last[0] = self.conv(x)
        return self.conv(x) if self.calls == 1 else x


def holds(name: str, make: Callable[[], Any]) -> None:
    one(f"holds {name}", 2 * C3, lambda: Holding(make()))


class RefusesCopies:
    def __deepcopy__(self, memo: Any) -> Any:
        raise TypeError("there is only one of me")

    __copy__ = __deepcopy__  # type: ignore[assignment]


class RefusesPickles:
    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError("not to be pickled")


class Single:
    """A singleton: whoever asks for a second one gets the first."""

    only: Any = None

    def __new__(cls) -> Any:
        cls.only = cls.only or super().__new__(cls)
        return cls.only


class Slots:
    __slots__ = ("__weakref__", "lock", "size")

    def __init__(self) -> None:
        self.lock, self.size = threading.Lock(), 3


class AsksForMore:
    """__getattr__ without an end, for whoever looks for __deepcopy__ on an object that has no attributes yet."""

    def __init__(self) -> None:
        self.inner = {"a": 1}

    def __getattr__(self, name: str) -> Any:
        return self.inner[name] if name in self.inner else getattr(self.inner, name)


class Vast:
    def __init__(self) -> None:
        self.words = [f"word {index}" for index in range(100_000)]


class Circular:
    def __init__(self) -> None:
        self.me, self.all = self, [self]


def _numbers() -> Any:
    yield from range(10)


holds("a lock", threading.Lock)
holds("a reentrant lock", threading.RLock)
holds("a condition in a dict", lambda: {"ready": threading.Condition()})
holds("a generator", _numbers)
holds("an open file", tempfile.TemporaryFile)
holds("a socket", socket.socket)
holds("a pool of threads", lambda: ThreadPoolExecutor(1))
holds("a lambda", lambda: lambda x: x)
holds("an object that refuses copies", RefusesCopies)
holds("an object that refuses pickles", RefusesPickles)
holds("a singleton", Single)
holds("an object with slots and a lock", Slots)
holds("an object that asks for more", AsksForMore)
holds("a list of 100 000 strings", Vast)
holds("an object that holds itself", Circular)
holds("a module of Python", lambda: torch)
holds("a class", lambda: Holding)
holds("a CUDA stream's absence", lambda: torch.cuda)
holds("a device, a dtype and a size", lambda: (torch.device("cpu"), torch.float32, torch.Size((1,))))
holds("a tensor with a history", lambda: torch.ones(3, requires_grad=True) * 2)
holds("an optimizer", lambda: torch.optim.Adam([nn.Parameter(torch.ones(3))]))
holds("an exception with its traceback", lambda: _caught())
holds("a memoryview", lambda: memoryview(b"abc"))
holds("an iterator of a list", lambda: iter([1, 2, 3]))


def _caught() -> Exception:
    try:
        raise ValueError("kept")
    except ValueError as error:
        return error


@row("a module that refuses copies", 2 * C3)
class Refuses(Holding):
    def __init__(self) -> None:
        super().__init__(None)

    def __deepcopy__(self, memo: Any) -> Any:
        raise RuntimeError("do not copy me")

    def __copy__(self) -> Any:
        raise RuntimeError("do not copy me")


@row("a module that returns itself for a copy", 2 * C3)
class ItsOwnCopy(Holding):
    def __init__(self) -> None:
        super().__init__(None)

    def __deepcopy__(self, memo: Any) -> Any:
        return self


@row("a module whose copy is another network", 2 * C3)
class Changed(Holding):
    """A copy starts with a count of one, as if it had run already."""

    def __init__(self) -> None:
        super().__init__(None)

    def __deepcopy__(self, memo: Any) -> Any:
        new = type(self)()
        new.calls = 1
        return new


@row("a module that refuses pickles", 2 * C3)
class Unpickled(Holding):
    def __init__(self) -> None:
        super().__init__(None)

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError("not to be pickled")

    def __getstate__(self) -> Any:
        raise TypeError("no state")


@row("a module that forbids new attributes", C3)
class Forbids(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = c3()
        self.__dict__["closed"] = True

    def __setattr__(self, name: str, value: Any) -> None:
        if self.__dict__.get("closed") and name != "training":
            raise AttributeError(f"{name} is not to be set")
        super().__setattr__(name, value)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


@row("a module that logs what is set", C3)
class Logs(nn.Module):
    log: list[str]

    def __init__(self) -> None:
        self.__dict__["log"] = []
        super().__init__()
        self.conv = c3()

    def __setattr__(self, name: str, value: Any) -> None:
        self.log.append(name)
        super().__setattr__(name, value)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


@row("a module with slots", 2 * C3)
class Slotted(nn.Module):
    __slots__ = ("often",)

    def __init__(self) -> None:
        super().__init__()
        self.conv = c3()
        object.__setattr__(self, "often", [2])

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(self.often[0]):
            x = self.conv(x)
        self.often[0] = 1
        return x


@row("a module that answers every name", C3)
class Answers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = c3()

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self._modules["conv"], name)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


@row("a metaclass and a constructor with arguments", C3 + C1)
class Needs(nn.Module):
    def __new__(cls, *convs: nn.Module) -> Any:
        return super().__new__(cls)

    def __init__(self, *convs: nn.Module) -> None:
        super().__init__()
        self.convs = nn.ModuleList(convs or (c3(), c1()))

    def forward(self, x: Tensor) -> Tensor:
        return self.convs[1](self.convs[0](x))


class Child(nn.Module):
    """Knows its parent without owning it, and takes the parent's other layer."""

    def __init__(self, parent: nn.Module) -> None:
        super().__init__()
        object.__setattr__(self, "parent", parent)
        self.__dict__["family"] = {"parent": [parent]}

    def forward(self, x: Tensor) -> Tensor:
        assert self.family["parent"][0] is self.parent
        self.parent.calls += 1
        return self.parent.conv(x) if self.parent.calls == 1 else x


@row("children that know their parent", C3)
class Parent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.calls = c3(), 0
        self.children_ = nn.ModuleList((Child(self), Child(self)))

    def forward(self, x: Tensor) -> Tensor:
        for child in self.children_:
            x = child(x)
        return x


@row("200 deep", C3)
def deep() -> nn.Module:
    network: nn.Module = c3()
    for _ in range(66):
        network = nn.Sequential(nn.Sequential(nn.Sequential(network)))
    return network


@row("a list 3000 deep", 2 * C3)
def deep_list() -> nn.Module:
    held: list[Any] = []
    for _ in range(3000):
        held = [held]
    return Holding(held)


one("300 blocks", 300 * C1, lambda: nn.Sequential(*[c1() for _ in range(300)]))
one("one module owned by two", 2 * C3, lambda: nn.Sequential(conv := c3(), nn.Sequential(conv)))
one(
    "a copy of itself is made in forward",
    C3 + C3,
    lambda: Net(lambda s, x: copy.deepcopy(s.conv)(s.conv(x)), conv=c3()),
)
one("a module is compared with one in a list", 2 * C3, lambda: Compared())
one("modules are the keys of a dict", 3 * C3, lambda: Keyed())
one("ids of modules are the keys of a dict", 3 * C3, lambda: Identified())


class Compared(Three):
    def __init__(self) -> None:
        super().__init__()
        self.active = [self.blocks[0], self.blocks[2]]

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            if any(block is each for each in self.active):
                x = block(x)
        return x


class Keyed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.other = c3(), c3()
        self.often = {self.conv: 1, self.other: 2}

    def forward(self, x: Tensor) -> Tensor:
        for conv in (self.conv, self.other):
            for _ in range(self.often[conv]):
                x = conv(x)
        return x


class Identified(Keyed):
    """As many a library keeps settings by id: a copy's ids are others."""

    def __init__(self) -> None:
        super().__init__()
        self.by_id = {id(self.other): 2}

    def forward(self, x: Tensor) -> Tensor:
        for conv in (self.conv, self.other):
            for _ in range(self.by_id.get(id(conv), 1)):
                x = conv(x)
        return x
