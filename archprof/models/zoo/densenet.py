"""DenseNet-BC: every layer of a block reads the concatenation of all that came before it.

Huang et al. 2016, "Densely Connected Convolutional Networks", table 1. A dense layer is BN, activation, 1x1
convolution to 4k channels, BN, activation, 3x3 convolution to k channels (k: growth rate); a transition
between blocks is BN, activation, 1x1 convolution to half the channels, 2x2 average pool.

Parameter names are torchvision's. No departure. (DenseNet-161, growth rate 48, is in the authors' release.)
Each layer concatenates its inputs anew, as the paper's formula has it: those copies, kept for the backward
pass, are what makes a DenseNet hungry for memory. Checkpointing or shared buffers would trade them for time;
neither is done here.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from .blocks import activation_layer, check_counts, he_init
from .registry import architecture

PAPER = "https://arxiv.org/abs/1608.06993"

# layers in each of the four dense blocks
BLOCKS_121 = (6, 12, 24, 16)
BLOCKS_169 = (6, 12, 32, 32)
BLOCKS_201 = (6, 12, 48, 32)
BLOCKS_161 = (6, 12, 36, 24)

BOTTLENECK = 4  # channels of the 1x1 convolution, in growth rates


class DenseLayer(nn.Module):
    """A list of (N, Ci, H, W) -> (N, growth_rate, H, W), read from their concatenation."""

    def __init__(self, inputs: int, growth_rate: int, activation: str) -> None:
        super().__init__()
        hidden = BOTTLENECK * growth_rate
        self.norm1 = nn.BatchNorm2d(inputs)
        self.relu1 = activation_layer(activation)
        self.conv1 = nn.Conv2d(inputs, hidden, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(hidden)
        self.relu2 = activation_layer(activation)
        self.conv2 = nn.Conv2d(hidden, growth_rate, 3, padding=1, bias=False)

    def forward(self, features: list[Tensor]) -> Tensor:
        hidden = self.conv1(self.relu1(self.norm1(torch.cat(features, 1))))
        return self.conv2(self.relu2(self.norm2(hidden)))


class DenseBlock(nn.ModuleDict):
    """x (N, C, H, W) -> (N, C + layers * growth_rate, H, W)."""

    def __init__(self, layers: int, inputs: int, growth_rate: int, activation: str) -> None:
        super().__init__(
            {f"denselayer{i + 1}": DenseLayer(inputs + i * growth_rate, growth_rate, activation) for i in range(layers)}
        )

    def forward(self, x: Tensor) -> Tensor:
        features = [x]
        for layer in self.values():
            features.append(layer(features))
        return torch.cat(features, 1)


def _transition(inputs: int, outputs: int, activation: str) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            norm=nn.BatchNorm2d(inputs),
            relu=activation_layer(activation),
            conv=nn.Conv2d(inputs, outputs, 1, bias=False),
            pool=nn.AvgPool2d(2),
        )
    )


class DenseNet(nn.Module):
    """(N, in_channels, H, W) -> (N, num_classes); `layers` in each dense block, 2k channels from the stem."""

    def __init__(
        self, layers: tuple[int, ...], num_classes: int, in_channels: int, growth_rate: int, activation: str
    ) -> None:
        super().__init__()
        check_counts(num_classes=num_classes, in_channels=in_channels, growth_rate=growth_rate)
        channels = 2 * growth_rate
        self.features = nn.Sequential(
            OrderedDict(
                conv0=nn.Conv2d(in_channels, channels, 7, stride=2, padding=3, bias=False),
                norm0=nn.BatchNorm2d(channels),
                relu0=activation_layer(activation),
                pool0=nn.MaxPool2d(3, stride=2, padding=1),
            )
        )
        for block, count in enumerate(layers, start=1):
            if block > 1:
                self.features.add_module(f"transition{block - 1}", _transition(channels, channels // 2, activation))
                channels //= 2
            self.features.add_module(f"denseblock{block}", DenseBlock(count, channels, growth_rate, activation))
            channels += count * growth_rate
        self.features.add_module("norm5", nn.BatchNorm2d(channels))
        self.features.add_module("relu5", activation_layer(activation))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(channels, num_classes)
        he_init(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(torch.flatten(self.pool(self.features(x)), 1))


@architecture(paper=PAPER, year=2016)
def densenet121(
    num_classes: int = 1000, in_channels: int = 3, growth_rate: int = 32, activation: str = "relu"
) -> nn.Module:
    """DenseNet-121: dense blocks of 6, 12, 24 and 16 layers, growth rate 32; 7,978,856 parameters."""
    return DenseNet(BLOCKS_121, num_classes, in_channels, growth_rate, activation)


@architecture(paper=PAPER, year=2016)
def densenet161(
    num_classes: int = 1000, in_channels: int = 3, growth_rate: int = 48, activation: str = "relu"
) -> nn.Module:
    """DenseNet-161: dense blocks of 6, 12, 36 and 24 layers, growth rate 48; 28,681,000 parameters."""
    return DenseNet(BLOCKS_161, num_classes, in_channels, growth_rate, activation)


@architecture(paper=PAPER, year=2016)
def densenet169(
    num_classes: int = 1000, in_channels: int = 3, growth_rate: int = 32, activation: str = "relu"
) -> nn.Module:
    """DenseNet-169: dense blocks of 6, 12, 32 and 32 layers, growth rate 32; 14,149,480 parameters."""
    return DenseNet(BLOCKS_169, num_classes, in_channels, growth_rate, activation)


@architecture(paper=PAPER, year=2016)
def densenet201(
    num_classes: int = 1000, in_channels: int = 3, growth_rate: int = 32, activation: str = "relu"
) -> nn.Module:
    """DenseNet-201: dense blocks of 6, 12, 48 and 32 layers, growth rate 32; 20,013,928 parameters."""
    return DenseNet(BLOCKS_201, num_classes, in_channels, growth_rate, activation)
