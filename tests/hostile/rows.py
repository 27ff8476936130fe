"""What a row of the tables is, and the small vocabulary that its network and its truth are written in.

A row is a network, what its forward is called with, and the mult-adds of one pass in evaluation. Images are
(2, 8, 6, 6) and vectors (2, 8), every layer keeps 8 channels, so that a truth is a sum of C3, C1 and L.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

C3 = 2 * 36 * 8 * 8 * 9  # a 3x3 convolution, 8 to 8 channels, on two images of 36 positions
C1 = 2 * 36 * 8 * 8  # a 1x1 convolution
L = 2 * 8 * 8  # a linear layer, 8 to 8 features, on two vectors

Inputs = Callable[[], tuple[Any, ...]]


def image() -> tuple[Any, ...]:
    return (torch.linspace(-1, 1, 2 * 8 * 36).reshape(2, 8, 6, 6),)


def vector() -> tuple[Any, ...]:
    return (torch.linspace(-1, 1, 16).reshape(2, 8),)


def tokens() -> tuple[Any, ...]:
    """Two sentences of five tokens."""
    return (torch.linspace(-1, 1, 2 * 5 * 8).reshape(2, 5, 8),)


def c3() -> nn.Conv2d:
    return nn.Conv2d(8, 8, 3, padding=1)


def c1() -> nn.Conv2d:
    return nn.Conv2d(8, 8, 1)


def linear() -> nn.Linear:
    return nn.Linear(8, 8)


@dataclass(frozen=True)
class Row:
    """`said` is what a profile has to say where the truth cannot be decided: a regular expression.

    `by_hand` tells that a dispatch mode around a real pass cannot see the work (other threads, fused kernels),
    `warms` that a first pass fills a cache of the process, so that a second has less to do, or
    that threads decide the order of the calls; the mult-adds are the same.
    `random` that the truth follows from the seed of this process, which two threads would share.
    """

    name: str
    make: Callable[[], nn.Module]
    truth: int
    inputs: Inputs = image
    mode: str = "eval"
    said: str = ""
    by_hand: bool = False
    random: bool = False
    warms: bool = False

    def network(self) -> nn.Module:
        torch.manual_seed(0)
        return self.make()


Made = TypeVar("Made", bound=Callable[[], nn.Module])


class Table(list[Row]):
    """`@table.row("name", truth)` above a class of networks, or above a function that makes one."""

    def row(self, name: str, truth: int, inputs: Inputs = image, **others: Any) -> Callable[[Made], Made]:
        def add(make: Made) -> Made:
            self.append(Row(name, make, truth, inputs, **others))
            return make

        return add

    def one(self, name: str, truth: int, make: Callable[[], nn.Module], inputs: Inputs = image, **others: Any) -> None:
        """The same for a network that one expression makes."""
        self.append(Row(name, make, truth, inputs, **others))


class Net(nn.Module):
    """A network whose forward is a function of itself and its inputs: an idea in one line."""

    def __init__(self, function: Callable[..., Any] | None = None, **attributes: Any) -> None:
        super().__init__()
        if function is not None:
            self.function = function
        for name, value in attributes.items():
            setattr(self, name, value)

    def forward(self, *args: Any) -> Any:
        return self.function(self, *args)


class Three(nn.Module):
    """Three blocks that look alike, one after the other."""

    def __init__(self, block: Callable[[], nn.Module] = c3) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(block() for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return x
