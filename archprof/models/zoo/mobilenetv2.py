"""MobileNetV2: inverted residuals with linear bottlenecks.

Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", table 2. A block widens its
input by t (1x1), filters each channel (3x3 depthwise, where the stride is), and projects to c channels (1x1)
without activation; where the input has the output's shape it is added.

Parameter names are torchvision's. Departures, all torchvision's: channel counts under a width multiplier are
rounded to multiples of 8; the last 1280 channels never shrink; dropout 0.2 before the linear layer, which
stands where the paper has a 1x1 convolution of the pooled features.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .blocks import check_counts, check_probabilities, conv_bn, he_init
from .registry import architecture

PAPER = "https://arxiv.org/abs/1801.04381"

Row = tuple[int, int, int, int]

# t expansion, c channels, n repeats, s stride of the first repeat
STEM = (32, 2)  # c, s
ROWS: list[Row] = [
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
]
LAST = 1280

# c channels, n repeats, s stride: the stages that are left at 28x28
ROWS_28 = [(64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1)]


class InvertedResidual(nn.Module):
    """x (N, Cin, H, W) -> (N, Cout, H/stride, W/stride), widened by `expansion` in between."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int, activation: str, bias: bool) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.adds_input = stride == 1 and inputs == outputs
        layers: list[nn.Module] = []
        if expansion != 1:
            layers.append(conv_bn(inputs, hidden, 1, activation=activation, bias=bias))
        layers += [
            conv_bn(hidden, hidden, 3, stride, groups=hidden, activation=activation, bias=bias),
            *conv_bn(hidden, outputs, 1, activation=None, bias=bias),
        ]
        self.conv = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.adds_input else self.conv(x)


class MobileNetV2(nn.Module):
    """(N, in_channels, H, W) -> (N, num_classes): stem, blocks of `rows`, `last` 1x1 if any, pool, linear.

    `channels` are the stem's; `bias` gives the blocks' convolutions one.
    """

    def __init__(
        self,
        stem: nn.Module,
        channels: int,
        rows: list[Row],
        last: int | None,
        num_classes: int,
        activation: str,
        dropout: float = 0.0,
        bias: bool = False,
    ) -> None:
        super().__init__()
        layers = [stem]
        for expansion, outputs, repeats, first_stride in rows:
            for repeat in range(repeats):
                stride = first_stride if repeat == 0 else 1
                layers.append(InvertedResidual(channels, outputs, stride, expansion, activation, bias))
                channels = outputs
        if last is not None:
            layers.append(conv_bn(channels, last, 1, activation=activation))
            channels = last
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(channels, num_classes))
        he_init(self, linear_std=0.01)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(torch.flatten(self.pool(self.features(x)), 1))


def _divisible_by_8(channels: float) -> int:
    """The nearest multiple of 8, or the next one where the nearest would lose more than a tenth."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * channels else nearest + 8


@architecture(paper=PAPER, year=2018, aliases=("mobilenetv2_100",))
def mobilenetv2(
    num_classes: int = 1000, in_channels: int = 3, width: float = 1.0, activation: str = "relu6", dropout: float = 0.2
) -> nn.Module:
    """MobileNetV2: 17 inverted residual blocks; `width` multiplies the channel counts.

    3,504,872 parameters and 300,774,272 mult-adds at 3x224x224 (paper: 3.4 M, 300 M).
    """
    check_counts(num_classes=num_classes, in_channels=in_channels)
    check_probabilities(dropout=dropout)
    if not width > 0:
        raise ValueError(f"width must be above 0, such as 0.75, not {width}")
    channels = _divisible_by_8(STEM[0] * width)
    stem = conv_bn(in_channels, channels, 3, STEM[1], activation=activation)
    rows = [(t, _divisible_by_8(c * width), n, s) for t, c, n, s in ROWS]
    last = _divisible_by_8(LAST * max(1.0, width))
    return MobileNetV2(stem, channels, rows, last, num_classes, activation, dropout)


@architecture(paper=PAPER, year=2018, input_shape=(3, 28, 28))
def mobilenetv2_28(num_classes: int = 10, in_channels: int = 3, activation: str = "relu6") -> nn.Module:
    """MobileNetV2 cut to 28x28 images of 10 classes, expansion 6: 1,760,362 parameters.

    Stem 3x3 of 32 channels at stride 1 with batch norm, the paper's last four stages (the first of them at
    stride 2), pool, linear; no 1280-channel convolution, no bias in any convolution. A parameter count of
    1,184,746 is also in circulation for this net: that is `mobilenetv2_28_t4`.
    """
    check_counts(num_classes=num_classes, in_channels=in_channels)
    stem = conv_bn(in_channels, 32, 3, activation=activation)
    return MobileNetV2(stem, 32, [(6, *row) for row in ROWS_28], None, num_classes, activation)


@architecture(paper=PAPER, year=2018, input_shape=(1, 28, 28))
def mobilenetv2_28_t4(num_classes: int = 10, in_channels: int = 1, activation: str = "relu6") -> nn.Module:
    """MobileNetV2 cut to grey 28x28 images of 10 classes, expansion 4: 1,184,746 parameters.

    The stages of `mobilenetv2_28`, which has expansion 6 and 1,760,362 parameters, behind a bare 1x1
    convolution (no bias, no batch norm, no activation); the blocks' convolutions have biases as well as batch
    norm. This is the form that accounts for the printed 1,184,746 exactly.
    """
    check_counts(num_classes=num_classes, in_channels=in_channels)
    stem = nn.Conv2d(in_channels, 32, 1, bias=False)
    return MobileNetV2(stem, 32, [(4, *row) for row in ROWS_28], None, num_classes, activation, bias=True)
