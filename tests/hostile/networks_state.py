"""Networks that keep something from one pass to the next: a count starts from there, and leaves it be."""

from __future__ import annotations

import contextvars
import functools
import queue
import threading
import weakref
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, ClassVar

import torch
from hostile.rows import C3, Net, Table, c3, tokens
from torch import Tensor, nn

ROWS = Table()
row = ROWS.row
one = ROWS.one


# --- a cache of keys, kept in all sorts of places -------------------------------------------------------------------

#: Two sentences of five tokens meet the five that are kept and their own five: 2 x 5 x 10 pairs, 8 products each;
#: twice, for scores and for values.
ATTENDED = 2 * (2 * 5 * 10 * 8)


def kept() -> Tensor:
    return torch.full((2, 5, 8), 0.5)


def attend(x: Tensor, keys: Tensor) -> Tensor:
    return torch.softmax(x @ keys.transpose(1, 2), -1) @ keys


class Slotted:
    __slots__ = ("keys", "length")

    def __init__(self, keys: Tensor) -> None:
        self.keys, self.length = keys, keys.shape[1]


@dataclass
class Record:
    keys: Tensor
    past: list[Tensor] = field(default_factory=list)


class Table2(dict[str, Any]):
    """A dict of one's own."""


class Caching(nn.Module):
    """Attention over what `get` finds and the new tokens; `put` keeps them all for the next pass."""

    def __init__(self, get: Callable[[Any], Tensor], put: Callable[[Any, Tensor], None], **places: Any) -> None:
        super().__init__()
        self.get, self.put = get, put
        for name, place in places.items():
            setattr(self, name, place)

    def forward(self, x: Tensor) -> Tensor:
        keys = torch.cat((self.get(self), x), 1)
        self.put(self, keys)
        return attend(x, keys)


def cache(
    name: str, get: Callable[[Any], Tensor], put: Callable[[Any, Tensor], None], **make: Callable[[], Any]
) -> None:
    one(
        f"keys in {name}",
        ATTENDED,
        lambda: Caching(get, put, **{place: value() for place, value in make.items()}),
        inputs=tokens,
    )


cache("a plain attribute", lambda s: s.at, lambda s, k: setattr(s, "at", k), at=kept)
cache("a list in a list", lambda s: s.at[0][0], lambda s, k: s.at[0].__setitem__(0, k), at=lambda: [[kept()]])
cache("a deque", lambda s: s.at[-1], lambda s, k: s.at.append(k), at=lambda: deque([kept()]))
cache("a deque that forgets", lambda s: s.at[-1], lambda s, k: s.at.append(k), at=lambda: deque([kept()], maxlen=2))
cache("an OrderedDict", lambda s: s.at["k"], lambda s, k: s.at.update(k=k), at=lambda: OrderedDict(k=kept()))
cache("a dict of a class of its own", lambda s: s.at["k"], lambda s, k: s.at.update(k=k), at=lambda: Table2(k=kept()))
cache("an object with slots", lambda s: s.at.keys, lambda s, k: setattr(s.at, "keys", k), at=lambda: Slotted(kept()))
cache("a dataclass", lambda s: s.at.keys, lambda s, k: setattr(s.at, "keys", k), at=lambda: Record(kept()))
cache(
    "a list of a dataclass",
    lambda s: s.at.past[-1],
    lambda s, k: s.at.past.append(k),
    at=lambda: Record(kept(), [kept()]),
)
cache(
    "a namespace", lambda s: s.at.keys, lambda s, k: setattr(s.at, "keys", k), at=lambda: SimpleNamespace(keys=kept())
)
cache(
    "a namespace in a tuple",
    lambda s: s.at[0].keys,
    lambda s, k: setattr(s.at[0], "keys", k),
    at=lambda: (SimpleNamespace(keys=kept()),),
)
cache("a module's own __dict__", lambda s: s.__dict__["_k"], lambda s, k: s.__dict__.__setitem__("_k", k), _k=kept)
cache(
    "an attribute of a parameter",
    lambda s: s.weight.keys,
    lambda s, k: setattr(s.weight, "keys", k),
    weight=lambda: _with_keys(nn.Parameter(torch.ones(1))),
)
cache(
    "a buffer that is replaced",
    lambda s: s.norm.extra,
    lambda s, k: setattr(s.norm, "extra", k),
    norm=lambda: _with_buffer(nn.Identity()),
)
cache(
    "a weak dictionary",
    lambda s: next(iter(s.at.values()), s.first),
    lambda s, k: s.at.update(k=s.first),
    at=weakref.WeakValueDictionary,
    first=kept,
)


def _with_keys(parameter: nn.Parameter) -> nn.Parameter:
    parameter.keys = kept()  # type: ignore[attr-defined]
    return parameter


def _with_buffer(module: nn.Module) -> nn.Module:
    module.register_buffer("extra", kept())
    return module


@row("keys in a defaultdict, none at first", ATTENDED // 2, tokens)
class Defaults(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.past: defaultdict[int, list[Tensor]] = defaultdict(list)

    def forward(self, x: Tensor) -> Tensor:
        self.past[0].append(x)
        return attend(x, torch.cat(self.past[0], 1))


@row("keys in a queue", ATTENDED, tokens)
def queued() -> nn.Module:
    waiting: queue.Queue[Tensor] = queue.Queue()
    waiting.put(kept())
    return Caching(lambda s: s.at.get_nowait(), lambda s, k: s.at.put(k), at=waiting)


_GLOBAL: dict[str, Tensor] = {}
_VARIABLE: contextvars.ContextVar[Tensor | None] = contextvars.ContextVar("keys", default=None)


def _first(found: Tensor | None, x: Tensor) -> Tensor:
    """Attention over what was found and the tokens: over the tokens alone in the first pass."""
    return x if found is None else torch.cat((found, x), 1)


class Elsewhere(nn.Module):
    """Keeps its keys outside of itself, where a first pass finds none."""

    past: ClassVar[dict[str, Tensor]] = {}

    def __init__(self, place: dict[str, Tensor]) -> None:
        super().__init__()
        self.place = lambda: place  # in a closure, so that it is not the module's own

    def forward(self, x: Tensor) -> Tensor:
        keys = self.place()["keys"] = _first(self.place().get("keys"), x)
        return attend(x, keys)


@row("keys in a global", ATTENDED // 2, tokens)
class Globally(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        _GLOBAL.clear()

    def forward(self, x: Tensor) -> Tensor:
        keys = _GLOBAL["keys"] = _first(_GLOBAL.get("keys"), x)
        return attend(x, keys)


@row("keys in a class attribute", ATTENDED // 2, tokens)
class Classwide(nn.Module):
    past: ClassVar[dict[str, Tensor]] = {}

    def __init__(self) -> None:
        super().__init__()
        self.past.clear()

    def forward(self, x: Tensor) -> Tensor:
        keys = self.past["keys"] = _first(self.past.get("keys"), x)
        return attend(x, keys)


@row("keys assigned to the class", ATTENDED // 2, tokens)
class Assigned(nn.Module):
    keys: ClassVar[Tensor | None] = None

    def __init__(self) -> None:
        super().__init__()
        type(self).keys = None

    def forward(self, x: Tensor) -> Tensor:
        type(self).keys = _first(self.keys, x)
        assert self.keys is not None
        return attend(x, self.keys)


one("keys in a closure", ATTENDED // 2, lambda: Elsewhere({}), inputs=tokens)


@row("keys in a default argument", ATTENDED // 2, tokens)
def defaults() -> nn.Module:
    def forward(self: nn.Module, x: Tensor, past: list[Tensor | None] = [None]) -> Tensor:  # noqa: B006
        past[0] = _first(past[0], x)
        return attend(x, past[0])

    return Net(forward)


@row("keys in a context variable", ATTENDED // 2, tokens)
class InContext(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        _VARIABLE.set(None)

    def forward(self, x: Tensor) -> Tensor:
        keys = _first(_VARIABLE.get(), x)
        _VARIABLE.set(keys)
        return attend(x, keys)


@row("keys in a threading.local of its own", ATTENDED // 2, tokens)
class ThreadLocal(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.local = threading.local()

    def forward(self, x: Tensor) -> Tensor:
        keys = self.local.keys = _first(getattr(self.local, "keys", None), x)
        return attend(x, keys)


@row("keys in a function's attribute", ATTENDED // 2, tokens)
def of_function() -> nn.Module:
    def forward(self: nn.Module, x: Tensor) -> Tensor:
        keys = forward.keys = _first(forward.keys, x)  # type: ignore[attr-defined]
        return attend(x, keys)

    forward.keys = None  # type: ignore[attr-defined]
    return Net(forward)


@row("a cached method holds tensors", 2 * C3, warms=True)
class CachedMethod(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = c3()
        self.table = functools.lru_cache(maxsize=None)(lambda size: torch.arange(float(size)))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.conv(x) + self.table(x.shape[-1]))


@row("a cached property is a tensor", C3)
class CachedProperty(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = c3()

    @functools.cached_property
    def scale(self) -> Tensor:
        return self.conv.weight.mean()

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) * self.scale


class Cache:
    """What transformers hands in: an object that is filled on the way, a list for each layer."""

    def __init__(self) -> None:
        self.layers: list[list[Tensor]] = [[kept()], [kept()]]
        self.length = 5

    def update(self, x: Tensor, layer: int) -> Tensor:
        self.layers[layer].append(x)
        self.length += x.shape[1]
        return torch.cat(self.layers[layer], 1)


@row("a cache that is handed in", 2 * ATTENDED, lambda: (*tokens(), Cache()))
class HandedIn(nn.Module):
    def forward(self, x: Tensor, cache: Cache) -> Tensor:
        for layer in range(2):
            x = attend(x, cache.update(x, layer))
        return x


@row("a list of tensors that is handed in", ATTENDED, lambda: (*tokens(), [kept()]))
class ListIn(nn.Module):
    def forward(self, x: Tensor, past: list[Tensor]) -> Tensor:
        past.append(x)
        return attend(x, torch.cat(past, 1))
