"""MobileNetV1: a stem, 13 depthwise separable blocks, a global pool and one linear layer.

Howard et al. 2017, "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications",
table 1. Every convolution has no bias and is followed by batch normalisation and the activation.

Departures: the table prints stride 2 for the last block, whose output nevertheless stays 7x7: its stride is 1
here. The average pool covers whatever is left (7x7 at 224), so that any resolution works. The softmax is left
to the loss.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial

import torch
from torch import Tensor, nn

from .blocks import check_counts, conv_bn, he_init
from .registry import architecture

PAPER = "https://arxiv.org/abs/1704.04861"

# c output channels, s stride
STEM = (32, 2)
BLOCKS = [
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (1024, 2),
    (1024, 1),
]


class MobileNetV1(nn.Module):
    """(N, in_channels, H, W) -> (N, num_classes).

    `separable` False puts a standard 3x3 convolution in the place of each depthwise separable block.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        width: float,
        activation: str,
        inplace: bool = True,
        separable: bool = True,
    ) -> None:
        super().__init__()
        check_counts(num_classes=num_classes, in_channels=in_channels)
        if not width > 0:
            raise ValueError(f"width must be above 0, such as 0.5, not {width}")
        conv = partial(conv_bn, activation=activation, inplace=inplace)

        def block(inputs: int, outputs: int, stride: int) -> nn.Sequential:
            if not separable:
                return conv(inputs, outputs, 3, stride)
            return nn.Sequential(
                OrderedDict(
                    depthwise=conv(inputs, inputs, 3, stride, groups=inputs),  # filters each channel on its own
                    pointwise=conv(inputs, outputs, 1),  # mixes the channels
                )
            )

        channels = _thinner(STEM[0], width)
        layers = [conv(in_channels, channels, 3, STEM[1])]
        for c, stride in BLOCKS:
            layers.append(block(channels, _thinner(c, width), stride))
            channels = _thinner(c, width)
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(channels, num_classes)
        he_init(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(torch.flatten(self.pool(self.features(x)), 1))


def _thinner(channels: int, width: float) -> int:
    return max(1, round(width * channels))


@architecture(paper=PAPER, year=2017, aliases=("mobilenet", "mobilenetv1_100"))
def mobilenetv1(
    num_classes: int = 1000, in_channels: int = 3, width: float = 1.0, activation: str = "relu", inplace: bool = True
) -> nn.Module:
    """MobileNetV1: 13 depthwise separable blocks; `width` multiplies every channel count.

    4,231,976 parameters and 568,740,352 mult-adds at 3x224x224 (paper: 4.2 M, 569 M). Any resolution works.
    """
    return MobileNetV1(num_classes, in_channels, width, activation, inplace)


@architecture(paper=PAPER, year=2017, aliases=("mobilenetv1_75",))
def mobilenetv1_075(num_classes: int = 1000, in_channels: int = 3, activation: str = "relu") -> nn.Module:
    """MobileNetV1 with three quarters of the channels (paper: 2.6 M parameters, 325 M mult-adds at 224)."""
    return MobileNetV1(num_classes, in_channels, 0.75, activation)


@architecture(paper=PAPER, year=2017, aliases=("mobilenetv1_50",))
def mobilenetv1_050(num_classes: int = 1000, in_channels: int = 3, activation: str = "relu") -> nn.Module:
    """MobileNetV1 with half the channels (paper: 1.3 M parameters, 149 M mult-adds at 224)."""
    return MobileNetV1(num_classes, in_channels, 0.5, activation)


@architecture(paper=PAPER, year=2017, aliases=("mobilenetv1_25",))
def mobilenetv1_025(num_classes: int = 1000, in_channels: int = 3, activation: str = "relu") -> nn.Module:
    """MobileNetV1 with a quarter of the channels (paper: 0.5 M parameters, 41 M mult-adds at 224)."""
    return MobileNetV1(num_classes, in_channels, 0.25, activation)


@architecture(paper=PAPER, year=2017, aliases=("conv_mobilenet",))
def mobilenetv1_conv(
    num_classes: int = 1000, in_channels: int = 3, width: float = 1.0, activation: str = "relu", inplace: bool = True
) -> nn.Module:
    """MobileNetV1 with standard 3x3 convolutions in place of its separable blocks (table 4).

    The paper prints 29.3 M parameters and 4,866 M mult-adds; the count is 29,294,088 and 4,867,293,184.
    """
    return MobileNetV1(num_classes, in_channels, width, activation, inplace, separable=False)
