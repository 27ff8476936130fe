"""Residual and plain networks for 3x32x32: the degradation experiment, and a ten-layer budget exercise.

He et al. 2015 (https://arxiv.org/abs/1512.03385), section 4.2: 6n + 2 layers, shortcuts of option A, which
have no parameters, so that a plain network and its residual twin differ by the skips alone.
"""

from __future__ import annotations

from torch import Tensor, nn

from .blocks import activation_layer, check_counts, he_init
from .registry import architecture
from .residual import BasicBlock, Shortcut, ZeroPadding, projection

PAPER = "https://arxiv.org/abs/1512.03385"

# (channels, n) of each stage for 6n + 2 layers; stages after the first halve the map: section 4.2
ROWS = {
    20: ((16, 3), (32, 3), (64, 3)),
    32: ((16, 5), (32, 5), (64, 5)),
    56: ((16, 9), (32, 9), (64, 9)),
    110: ((16, 18), (32, 18), (64, 18)),
}
# ResNet-18's widths with one block a stage
ROWS_10 = ((64, 1), (128, 1), (256, 1), (512, 1))


class CifarResNet(nn.Module):
    """x (N, Cin, H, W) -> logits (N, num_classes); `shortcut` None makes it plain."""

    def __init__(
        self,
        rows: tuple[tuple[int, int], ...],
        num_classes: int,
        in_channels: int,
        activation: str,
        shortcut: Shortcut | None,
    ) -> None:
        super().__init__()
        check_counts(num_classes=num_classes, in_channels=in_channels)
        channels = rows[0][0]
        self.conv1 = nn.Conv2d(in_channels, channels, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.activation = activation_layer(activation)
        stages: list[nn.Module] = []
        for width, repeats in rows:
            blocks: list[nn.Module] = []
            for index in range(repeats):
                stride = 2 if stages and index == 0 else 1
                blocks.append(BasicBlock(channels, width, stride, activation, shortcut))
                channels = width
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)
        he_init(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stages(self.activation(self.bn1(self.conv1(x))))
        return self.fc(self.avgpool(x).flatten(1))


@architecture(paper=PAPER, year=2015, input_shape=(3, 32, 32), aliases=("resnet20",))
def resnet20_cifar(num_classes: int = 10, in_channels: int = 3, activation: str = "relu") -> nn.Module:
    """ResNet-20 for CIFAR (paper: 0.27 M params)."""
    return CifarResNet(ROWS[20], num_classes, in_channels, activation, ZeroPadding)


@architecture(paper=PAPER, year=2015, input_shape=(3, 32, 32), aliases=("resnet32",))
def resnet32_cifar(num_classes: int = 10, in_channels: int = 3, activation: str = "relu") -> nn.Module:
    """ResNet-32 for CIFAR (paper: 0.46 M params)."""
    return CifarResNet(ROWS[32], num_classes, in_channels, activation, ZeroPadding)


@architecture(paper=PAPER, year=2015, input_shape=(3, 32, 32), aliases=("resnet56",))
def resnet56_cifar(num_classes: int = 10, in_channels: int = 3, activation: str = "relu") -> nn.Module:
    """ResNet-56 for CIFAR (paper: 0.85 M params)."""
    return CifarResNet(ROWS[56], num_classes, in_channels, activation, ZeroPadding)


@architecture(paper=PAPER, year=2015, input_shape=(3, 32, 32), aliases=("resnet110",))
def resnet110_cifar(num_classes: int = 10, in_channels: int = 3, activation: str = "relu") -> nn.Module:
    """ResNet-110 for CIFAR (paper: 1.7 M params)."""
    return CifarResNet(ROWS[110], num_classes, in_channels, activation, ZeroPadding)


@architecture(paper=PAPER, year=2015, input_shape=(3, 32, 32), aliases=("plain20",))
def plain20_cifar(num_classes: int = 10, in_channels: int = 3, activation: str = "relu") -> nn.Module:
    """The plain twin of `resnet20_cifar`: the same layers without the skips."""
    return CifarResNet(ROWS[20], num_classes, in_channels, activation, None)


@architecture(paper=PAPER, year=2015, input_shape=(3, 32, 32), aliases=("plain32",))
def plain32_cifar(num_classes: int = 10, in_channels: int = 3, activation: str = "relu") -> nn.Module:
    """The plain twin of `resnet32_cifar`: the same layers without the skips."""
    return CifarResNet(ROWS[32], num_classes, in_channels, activation, None)


@architecture(paper=PAPER, year=2015, input_shape=(3, 32, 32), aliases=("plain56",))
def plain56_cifar(num_classes: int = 10, in_channels: int = 3, activation: str = "relu") -> nn.Module:
    """The plain twin of `resnet56_cifar`: the same layers without the skips."""
    return CifarResNet(ROWS[56], num_classes, in_channels, activation, None)


@architecture(paper=PAPER, year=2015, input_shape=(3, 32, 32))
def resnet10_cifar(num_classes: int = 10, in_channels: int = 3, activation: str = "relu") -> nn.Module:
    """ResNet-18 cut to one block a stage for 3x32x32: 4.9 M params, under a budget of 5 M.

    Not of the paper: a 3x3 stem without a pool, four stages, the last map (4x4) averaged, shortcuts of
    option B. A 3x3 projection in place of the 1x1 would make it 6.28 M.
    """
    return CifarResNet(ROWS_10, num_classes, in_channels, activation, projection)
