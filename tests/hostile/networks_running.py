"""Networks that count their passes, keep running values, or write into what they are given."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy
import torch
from hostile.rows import C1, C3, L, Net, Table, c1, c3, image, linear, vector
from torch import Tensor, nn

ROWS = Table()
row = ROWS.row
one = ROWS.one


# --- counters and running values ------------------------------------------------------------------------------------


def counter(name: str, start: Callable[[], Any], step: Callable[[Any], Any]) -> None:
    """A counter at 1 doubles the work of the first pass alone; it is 2 afterwards, were it not for the rule."""

    class Counts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.calls = c3(), start()

        def forward(self, x: Tensor) -> Tensor:
            x = self.conv(x)
            if int(self.calls[0] if isinstance(self.calls, list) else self.calls) == 1:
                x = self.conv(x)
            self.calls = step(self.calls)
            return x

    one(f"calls counted by {name}", 2 * C3, Counts)


def _add_first(calls: list[int]) -> list[int]:
    calls[0] += 1
    return calls


counter("an int", lambda: 1, lambda n: n + 1)
counter("a tensor, in place", lambda: torch.tensor(1), lambda n: n.add_(1))
counter("a tensor, anew", lambda: torch.tensor(1), lambda n: n + 1)
counter("a float tensor, in place", lambda: torch.tensor(1.0), lambda n: n.add_(1))
counter("a numpy array, in place", lambda: numpy.array(1), lambda n: numpy.add(n, 1, out=n))
counter("a list", lambda: [1], _add_first)
counter("a parameter without gradient", lambda: nn.Parameter(torch.tensor(1.0), requires_grad=False), lambda n: n)


@row("a running mean in a plain tensor", C3)
class RunningMean(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.mean, self.share = c3(), torch.zeros(8), numpy.zeros(8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        self.mean.mul_(0.9).add_(x.mean((0, 2, 3)), alpha=0.1)
        self.share += 1
        return x - self.mean[:, None, None]


@row("batch norm that never leaves training", C3)
class Trains(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = c3(), nn.BatchNorm2d(8)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm.train()(self.conv(x))


@row("a buffer of steps that decides", 2 * C3)
class Steps(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = c3()
        self.register_buffer("step", torch.tensor(0))

    def forward(self, x: Tensor) -> Tensor:
        self.step += 1
        return self.conv(self.conv(x)) if self.step == 1 else self.conv(x)


one(
    "a numpy view of a parameter is written",
    L,
    lambda: Net(
        lambda self, x: (self.view.__iadd__(0.0), self.fc(x))[1], fc=(fc := linear()), view=fc.bias.detach().numpy()
    ),
    inputs=vector,
)
one(
    "weights are normalised in place",
    L,
    lambda: Net(lambda self, x: (self.fc.weight.data.div_(self.fc.weight.data.norm()), self.fc(x))[1], fc=linear()),
    inputs=vector,
)
one(
    "an integer input is changed in place",
    L,
    lambda: Net(lambda self, x: self.fc(self.table(x.clamp_(max=3)).sum(1)), fc=linear(), table=nn.Embedding(4, 8)),
    inputs=lambda: (torch.tensor([[1, 9, 2], [5, 0, 3]]),),
)
one("an image is changed in place", C3, lambda: Net(lambda self, x: self.conv(x.mul_(2)), conv=c3()))
one(
    "a view of the image is changed in place",
    C3,
    lambda: Net(lambda self, x: (x[:, :1].zero_(), self.conv(x))[1], conv=c3()),
)
one(
    "a mask that is handed in is changed in place",
    C3,
    lambda: Net(lambda self, x, mask: self.conv(x * mask.logical_not_()), conv=c3()),
    inputs=lambda: (*image(), torch.zeros(2, 1, 6, 6, dtype=torch.bool)),
)
one(
    "keyword arguments of a past pass are kept",
    C3 + C1,
    lambda: Net(lambda self, x: (self.log.append({"x": x}), self.last(self.conv(x)))[1], conv=c3(), last=c1(), log=[]),
)
one(
    "names of passes from an itertools.count",
    C3,
    lambda: Net(
        lambda self, x: (self.log.add(next(self.names)), self.conv(x))[1], conv=c3(), log=set(), names=itertools.count()
    ),
)
