"""Blocks that differ by a setting or by chance, and modules that are kept where nobody registers them."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from hostile.rows import C1, C3, L, Net, Table, Three, c1, c3, linear, vector
from torch import Tensor, nn

ROWS = Table()
row = ROWS.row
one = ROWS.one


# --- settings that only one has -------------------------------------------------------------------------------------


class Indexed(nn.Module):
    def __init__(self, index: int) -> None:
        super().__init__()
        self.conv, self.index = c3(), index

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(self.index):
            x = self.conv(x)
        return x


@row("blocks know their index", 6 * C3)
def indexed() -> nn.Module:
    indices = iter((1, 2, 3))
    return Three(lambda: Indexed(next(indices)))


@row("a block looks for its index among its parent's", 3 * C3)
class LooksUp(Three):
    def __init__(self) -> None:
        super().__init__(lambda: Net(LooksUp.own, conv=c3()))
        for block in self.blocks:
            block.family = [self]

    @staticmethod
    def own(block: Any, x: Tensor) -> Tensor:
        for _ in range([*block.family[0].blocks].index(block)):
            x = block.conv(x)
        return x


@row("one block stays in training mode", 2 * C3 + 2 * C3)
class TrainsOne(Three):
    def __init__(self) -> None:
        super().__init__(lambda: Net(lambda self, x: self.conv(self.conv(x) if self.training else x), conv=c3()))

    def forward(self, x: Tensor) -> Tensor:
        self.blocks[1].train()
        x = super().forward(x)
        self.blocks[1].eval()
        return x


class Depth(nn.Module):
    """Stochastic depth as many write it: a draw in evaluation too, where nothing is ever dropped."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.rate = c3(), 0.5

    def forward(self, x: Tensor) -> Tensor:
        dropped = torch.rand(1).item() < self.rate
        return x if dropped and self.training else x + self.conv(x)


one("stochastic depth in evaluation", 3 * C3, lambda: Three(Depth))


def _drawn(draws: int, draw: Callable[[], float]) -> int:
    return sum(draw() < 0.5 for _ in range(draws))


def _torch_draws() -> int:
    state = torch.get_rng_state()
    torch.manual_seed(0)
    count = _drawn(3, lambda: torch.rand(1).item())
    torch.set_rng_state(state)
    return count


one(
    "a branch on torch's random numbers",
    _torch_draws() * C3,
    lambda: Three(lambda: Net(lambda self, x: self.conv(x) if torch.rand(1) < 0.5 else x, conv=c3())),
    random=True,
)
one(
    "a branch on Python's random numbers",
    _drawn(3, random.Random(0).random) * C3,
    lambda: Three(lambda: Net(lambda self, x: self.conv(x) if random.random() < 0.5 else x, conv=c3())),
    random=True,
)
one(
    "a random.Random of its own",
    _drawn(1, random.Random(3).random) * C3 + C3,
    lambda: Net(
        lambda self, x: self.conv(self.conv(x) if self.dice.random() < 0.5 else x), conv=c3(), dice=random.Random(3)
    ),
)


# --- where modules are kept -----------------------------------------------------------------------------------------


@row("one module under three names", 3 * C3)
class Tied(Three):
    def __init__(self) -> None:
        block = c3()
        super().__init__(lambda: block)


@row("tied weights, one of them transposed", 2 * L, vector)
class TiedWeights(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encode, self.decode = linear(), linear()
        self.decode.weight = self.encode.weight

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(self.encode(x), self.decode.weight.t())


one("modules in a plain list", 2 * C3, lambda: Net(lambda s, x: s.kept[1](s.kept[0](x)), kept=[c3(), c3()]))
one("modules in a tuple", 2 * C3, lambda: Net(lambda s, x: s.kept[1](s.kept[0](x)), kept=(c3(), c3())))
one(
    "modules in a dict of dicts",
    C3 + C1,
    lambda: Net(lambda s, x: s.kept["a"]["c"](s.kept["b"](x)), kept={"a": {"c": c3()}, "b": c1()}),
)
one("modules in a set", C3, lambda: Net(lambda s, x: next(iter(s.kept))(x), kept={c3()}))
one("a module in a partial", C3, lambda: Net(lambda s, x: s.call(x), call=functools.partial(c3())))
one(
    "bound forwards in a list",
    2 * C3,
    lambda: Net(lambda s, x: s.calls[1](s.calls[0](x)), calls=[c3().forward, c3().__call__]),
)
one("bound methods of itself in a list", C3 + C1, lambda: Bound())
one(
    "parameters in a plain list",
    L,
    lambda: Net(lambda s, x: x @ s.kept[0], kept=[nn.Parameter(torch.ones(8, 8))]),
    inputs=vector,
)


class Bound(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.large, self.small = c3(), c1()
        self.steps = [self.first, self.second]

    def first(self, x: Tensor) -> Tensor:
        return self.large(x)

    def second(self, x: Tensor) -> Tensor:
        return self.small(x)

    def forward(self, x: Tensor) -> Tensor:
        for step in self.steps:
            x = step(x)
        return x


@row("modules in a closure", C3 + C1)
def closure() -> nn.Module:
    large, small = c3(), c1()
    return Net(lambda self, x: small(large(x)))


@row("a batch norm in a closure", C3)
def closure_norm() -> nn.Module:
    conv, norm = c3(), nn.BatchNorm2d(8)
    return Net(lambda self, x: norm(conv(x)))


@row("modules made in forward", C3 + C1)
class Makes(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        self.made = c1()
        return self.made(c3()(x))


@row("modules added in forward once", 2 * C3)
class Grows(Three):
    def forward(self, x: Tensor) -> Tensor:
        if len(self.blocks) == 3:
            del self.blocks[0]
            self.blocks.append(c1())
            self.blocks.pop(-1)
        return super().forward(x)


class Hidden(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.large, self.small = c3(), c1()

    def __getattr__(self, name: str) -> Any:
        return super().__getattr__({"first": "large", "second": "small"}.get(name, name))

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x))


one("__getattr__ with other names", C3 + C1, Hidden)


@row("a property that returns the children in turn", C3 + C1)
class Turns(Hidden):
    turn = 0

    @property
    def layer(self) -> nn.Module:
        self.turn += 1
        return self.large if self.turn % 2 else self.small

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(self.layer(x))


@functools.lru_cache(maxsize=4)
def _steps(channels: int) -> tuple[int, ...]:
    return tuple(range(channels // 4))


@functools.lru_cache(maxsize=4)
def _grid(size: int) -> Tensor:
    return torch.arange(float(size)).reshape(1, 1, 1, size)


one(
    "a cached helper says how often",
    2 * C3,
    lambda: Net(lambda self, x: functools.reduce(lambda y, _: self.conv(y), _steps(x.shape[1]), x), conv=c3()),
)


@row("a cached helper holds a tensor", C3, warms=True)
def cached_grid() -> nn.Module:
    _grid.cache_clear()
    return Net(lambda self, x: self.conv(x + _grid(x.shape[-1])), conv=c3())
