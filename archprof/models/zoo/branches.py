"""Multi-branch networks written as tables: convolutions, pools, branches side by side, residual branches.

A table maps the name of each layer to what stands there:

    Conv(channels, kernel, stride)             convolution, batch norm, activation
    partial(nn.MaxPool2d, 3, stride=2)         anything without parameters
    {"branch1x1": [Conv(64)], ...}             branches of the same input, concatenated in that order
    Residual(scale, {...})                     the same, projected by a 1x1 convolution and added to the input

In a branch, a tuple of convolutions is a fork: each reads the same input, and their outputs are concatenated.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from functools import partial
from string import ascii_lowercase
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .blocks import activation_layer, check_counts, check_probabilities

EPS = 1e-3  # of every batch norm: the Inception networks' own


class Conv(NamedTuple):
    """`padding` None keeps H and W at stride 1 (odd kernels), and is none at stride 2."""

    channels: int
    kernel: int | tuple[int, int] = 1
    stride: int = 1
    padding: int | None = None


Step = Conv | tuple[Conv, ...] | partial[nn.Module]
Table = dict[str, list[Step]]
Path = list[list[str]]  # of one branch: for each step, the names of the modules that read its input


class Residual(NamedTuple):
    """`activated` False leaves the sum without activation."""

    scale: float
    branches: Table
    activated: bool = True


class ConvBN(nn.Module):
    """x (N, Cin, H, W) -> (N, Cout, H', W'): convolution without bias, batch norm, activation."""

    def __init__(self, inputs: int, step: Conv, activation: str = "relu") -> None:
        super().__init__()
        self.channels, kernel, stride, padding = step
        sides = (kernel, kernel) if isinstance(kernel, int) else kernel
        if padding is not None:
            margins = (padding, padding)
        else:
            margins = (sides[0] // 2, sides[1] // 2) if stride == 1 else (0, 0)
        self.conv = nn.Conv2d(inputs, self.channels, sides, stride, margins, bias=False)
        self.bn = nn.BatchNorm2d(self.channels, eps=EPS)
        self.activation = activation_layer(activation)

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.bn(self.conv(x)))


def separable_stem(inputs: int, step: Conv, activation: str = "relu", multiplier: int = 8) -> nn.Sequential:
    """`step` in two parts: `multiplier` filters for each input channel, then a 1x1 convolution to mix them.

    Nothing stands between the parts. The early Inception networks began so (Ioffe & Szegedy 2015, figure 5).
    """
    hidden = inputs * multiplier
    return nn.Sequential(
        OrderedDict(
            depthwise=nn.Conv2d(inputs, hidden, step.kernel, step.stride, step.padding or 0, groups=inputs, bias=False),
            pointwise=ConvBN(hidden, Conv(step.channels), activation),
        )
    )


class Branches(nn.Module):
    """x (N, Cin, H, W) -> (N, sum of the branches' channels, H', W').

    A branch's only convolution bears the branch's name; several are numbered, `branch5x5_1`, `branch5x5_2`;
    the sides of a fork are told apart by a letter, `branch3x3_2a`, `branch3x3_2b`. The one pool is `pool`.
    """

    def __init__(self, inputs: int, branches: Table, activation: str) -> None:
        super().__init__()
        self.channels = 0
        self.paths: list[Path] = []
        for branch, steps in branches.items():
            self.paths.append([])
            width = inputs
            for names, step in _named(branch, steps):
                self.paths[-1].append(names)
                if isinstance(step, partial):
                    self.add_module(names[0], step())
                    continue
                for name, conv in zip(names, step, strict=True):
                    self.add_module(name, ConvBN(width, conv, activation))
                width = sum(conv.channels for conv in step)
            self.channels += width

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self._follow(path, x) for path in self.paths], 1)

    def _follow(self, path: Path, x: Tensor) -> Tensor:
        for names in path:
            sides = [getattr(self, name)(x) for name in names]
            x = sides[0] if len(sides) == 1 else torch.cat(sides, 1)
        return x


def _named(branch: str, steps: list[Step]) -> Iterator[tuple[list[str], tuple[Conv, ...] | partial[nn.Module]]]:
    """Each step with the names of its modules; a lone convolution is a fork of one."""
    number, several = 0, sum(not isinstance(step, partial) for step in steps) > 1
    for step in steps:
        if isinstance(step, partial):
            yield ["pool"], step
            continue
        number += 1
        name = f"{branch}_{number}" if several else branch
        if isinstance(step, Conv):
            yield [name], (step,)
        else:
            yield [name + letter for letter in ascii_lowercase[: len(step)]], step


class ScaledResidual(nn.Module):
    """x -> activation(x + scale * project(branches(x))), shape kept.

    Scaling down the residual steadies the training of very wide networks (Szegedy et al. 2016, section 3.3).
    """

    def __init__(self, inputs: int, residual: Residual, activation: str) -> None:
        super().__init__()
        self.channels, self.scale = inputs, residual.scale
        self.branches = Branches(inputs, residual.branches, activation)
        self.project = nn.Conv2d(self.branches.channels, inputs, 1)
        self.activation = activation_layer(activation) if residual.activated else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(x + self.scale * self.project(self.branches(x)))


Layer = Conv | partial[nn.Module] | Table | Residual


class BranchedNetwork(nn.Module):
    """(N, in_channels, H, W) -> (N, num_classes): a table's layers in order, global pool, dropout, linear."""

    def __init__(
        self, table: dict[str, Layer], num_classes: int, in_channels: int, activation: str, dropout: float
    ) -> None:
        super().__init__()
        check_counts(num_classes=num_classes, in_channels=in_channels)
        check_probabilities(dropout=dropout)
        self.layers = list(table)
        channels = in_channels
        for name, layer in table.items():
            module = _built(layer, channels, activation)
            self.add_module(name, module)
            channels = getattr(module, "channels", channels)  # a pool has none and keeps them
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(self.through(self.layers, x))

    def through(self, layers: list[str], x: Tensor) -> Tensor:
        """`x` after the layers of those names."""
        for name in layers:
            x = getattr(self, name)(x)
        return x

    def classify(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, num_classes)."""
        return self.fc(self.dropout(torch.flatten(self.avgpool(x), 1)))


def _built(layer: Layer, inputs: int, activation: str) -> nn.Module:
    if isinstance(layer, Conv):
        return ConvBN(inputs, layer, activation)
    if isinstance(layer, Residual):
        return ScaledResidual(inputs, layer, activation)
    return Branches(inputs, layer, activation) if isinstance(layer, dict) else layer()
