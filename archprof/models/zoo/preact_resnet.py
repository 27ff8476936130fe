"""ResNet V2: batch norm and activation come before each convolution, nothing stands on the skip path.

He, Zhang, Ren, Sun 2016 (https://arxiv.org/abs/1603.05027), full pre-activation, in the ImageNet form of
https://github.com/facebookarchive/fb.resnet.torch: the stem's activation stands before the first unit splits
(which therefore has none of its own), one more follows the last unit; the stride is on the 3x3; where the
shape changes the skip is a projection (1x1 convolution and batch norm) of the raw input. Other publications
project the activated input and leave that batch norm out: 7,680 parameters fewer.
"""

from __future__ import annotations

from torch import Tensor, nn

from .blocks import activation_layer, check_counts, he_init
from .registry import architecture
from .residual import projection

PAPER = "https://arxiv.org/abs/1603.05027"

# depth: units in each of four stages: He et al. 2015, table 1
ROWS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
CHANNELS = (64, 128, 256, 512)
STRIDES = (1, 2, 2, 2)
EXPANSION = 4


class PreActUnit(nn.Module):
    """x + F(x), F three times (batch norm, activation, convolution): figure 4e with a bottleneck.

    `activated`: x comes activated already, so F begins with its convolution.
    x (N, Cin, H, W) -> (N, 4 * channels, H / stride, W / stride).
    """

    def __init__(self, in_channels: int, channels: int, stride: int, activation: str, activated: bool) -> None:
        super().__init__()
        out_channels = channels * EXPANSION
        first: list[nn.Module] = []
        if not activated:
            first = [nn.BatchNorm2d(in_channels), activation_layer(activation)]
        self.residual = nn.Sequential(
            *first,
            nn.Conv2d(in_channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
            activation_layer(activation),
            nn.Conv2d(channels, channels, 3, stride, 1, bias=False),
            nn.BatchNorm2d(channels),
            activation_layer(activation),
            nn.Conv2d(channels, out_channels, 1, bias=False),
        )
        changes = stride != 1 or in_channels != out_channels
        self.skip = projection(in_channels, out_channels, stride) if changes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.skip(x) + self.residual(x)


class PreActResNet(nn.Module):
    """x (N, Cin, H, W) -> logits (N, num_classes)."""

    def __init__(self, depth: int, num_classes: int, in_channels: int, activation: str) -> None:
        super().__init__()
        check_counts(num_classes=num_classes, in_channels=in_channels)
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, 64, 7, 2, 3, bias=False),
            nn.BatchNorm2d(64),
            activation_layer(activation),
            nn.MaxPool2d(3, 2, 1),
        )
        stages: list[nn.Module] = []
        channels = 64
        for repeats, width, stride in zip(ROWS[depth], CHANNELS, STRIDES, strict=True):
            units: list[nn.Module] = []
            for index in range(repeats):
                activated = not stages and index == 0
                units.append(PreActUnit(channels, width, stride if index == 0 else 1, activation, activated))
                channels = width * EXPANSION
            stages.append(nn.Sequential(*units))
        self.stages = nn.Sequential(*stages)
        self.head = nn.Sequential(
            nn.BatchNorm2d(channels),
            activation_layer(activation),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(channels, num_classes),
        )
        he_init(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.stages(self.stem(x)))


@architecture(paper=PAPER, year=2016, aliases=("resnet50v2",))
def preact_resnet50(num_classes: int = 1000, in_channels: int = 3, activation: str = "relu") -> nn.Module:
    """ResNet-50 V2: the nonlinearities moved off the skip path."""
    return PreActResNet(50, num_classes, in_channels, activation)


@architecture(paper=PAPER, year=2016, aliases=("resnet101v2",))
def preact_resnet101(num_classes: int = 1000, in_channels: int = 3, activation: str = "relu") -> nn.Module:
    """ResNet-101 V2: the nonlinearities moved off the skip path."""
    return PreActResNet(101, num_classes, in_channels, activation)


@architecture(paper=PAPER, year=2016, aliases=("resnet152v2",))
def preact_resnet152(num_classes: int = 1000, in_channels: int = 3, activation: str = "relu") -> nn.Module:
    """ResNet-152 V2: the nonlinearities moved off the skip path."""
    return PreActResNet(152, num_classes, in_channels, activation)
