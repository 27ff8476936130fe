"""A network of two residual blocks for 3x64x64, and its plain twin: small enough to follow by hand.

The residual idea is that of He et al. 2015 (https://arxiv.org/abs/1512.03385); the network is a teaching
example: every block is 3x3 of stride 2, batch norm, activation, 1x1, batch norm, then the sum with a 1x1
shortcut of stride 2 and the activation. Convolutions have no bias, because batch norm has one. Activations
are never in place, so that two activations can be compared by what they compute.
"""

from __future__ import annotations

from torch import Tensor, nn

from .blocks import activation_layer, check_counts, conv_bn
from .registry import architecture

PAPER = "https://arxiv.org/abs/1512.03385"

# channels after the 3x3, channels after the 1x1; the map is halved: 64 -> 32 -> 16
ROWS = [
    (6, 9),
    (18, 36),
]
SIZE = 16  # height and width before the classifier


class TinyBlock(nn.Module):
    """x (N, Cin, H, W) -> (N, out_channels, H / 2, W / 2)."""

    def __init__(self, in_channels: int, channels: int, out_channels: int, activation: str, skips: bool) -> None:
        super().__init__()
        self.conv1 = conv_bn(in_channels, channels, 3, stride=2, activation=activation, inplace=False)
        self.conv2 = conv_bn(channels, out_channels, 1, activation=None)
        self.shortcut = conv_bn(in_channels, out_channels, 1, stride=2, activation=None) if skips else None
        self.activation = activation_layer(activation, inplace=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(self.conv1(x))
        if self.shortcut is not None:
            y = y + self.shortcut(x)
        return self.activation(y)


class TinyNet(nn.Module):
    """x (N, Cin, 64, 64) -> logits (N, num_classes)."""

    def __init__(self, num_classes: int, in_channels: int, activation: str, skips: bool) -> None:
        super().__init__()
        check_counts(num_classes=num_classes, in_channels=in_channels)
        blocks: list[nn.Module] = []
        for channels, out_channels in ROWS:
            blocks.append(TinyBlock(in_channels, channels, out_channels, activation, skips))
            in_channels = out_channels
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(in_channels * SIZE * SIZE, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.blocks(x).flatten(1))


@architecture(paper=PAPER, year=2015, input_shape=(3, 64, 64))
def resnet_tiny(num_classes: int = 10, in_channels: int = 3, activation: str = "relu") -> nn.Module:
    """Two residual blocks and a classifier for 3x64x64: 3 to 9 to 36 channels."""
    return TinyNet(num_classes, in_channels, activation, skips=True)


@architecture(paper=PAPER, year=2015, input_shape=(3, 64, 64))
def plain_tiny(num_classes: int = 10, in_channels: int = 3, activation: str = "relu") -> nn.Module:
    """The plain twin of `resnet_tiny`: the same blocks without their shortcuts."""
    return TinyNet(num_classes, in_channels, activation, skips=False)
