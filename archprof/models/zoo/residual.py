"""Pieces that the residual families share: the two-layer block, its shortcuts, squeeze and excitation."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F

from .blocks import activation_layer, check_counts, conv_bn

Shortcut = Callable[[int, int, int], nn.Module]  # (in_channels, out_channels, stride) -> module


def projection(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """Option B of He et al. 2015: a 1x1 convolution and batch norm where the shape changes."""
    return conv_bn(in_channels, out_channels, 1, stride, activation=None)


class ZeroPadding(nn.Module):
    """Option A of He et al. 2015, without parameters: every `stride`-th pixel, new channels are zero.

    x (N, Cin, H, W) -> (N, Cout, ceil(H / stride), ceil(W / stride)).
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.added = out_channels - in_channels

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.added))


class SqueezeExcitation(nn.Module):
    """Hu et al. 2017 (https://arxiv.org/abs/1709.01507): a gate on every channel.

    Squeeze: global average pool. Excite: two fully connected layers (as 1x1 convolutions) with C / reduction
    channels between them, then a sigmoid. x (N, C, H, W) -> the same shape.
    """

    def __init__(self, channels: int, reduction: int, activation: str = "relu") -> None:
        super().__init__()
        check_counts(se_reduction=reduction)
        squeezed = max(1, channels // reduction)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.activation = activation_layer(activation)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)
        self.gate = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(self.fc2(self.activation(self.fc1(self.avgpool(x)))))


def standard_conv3x3(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """The 3x3 convolution of the paper, without bias."""
    return nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)


def separable_conv3x3(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """A depthwise 3x3, batch norm, then a 1x1 that mixes the channels (Howard et al. 2017), without bias."""
    return nn.Sequential(
        nn.Conv2d(in_channels, in_channels, 3, stride, 1, groups=in_channels, bias=False),
        nn.BatchNorm2d(in_channels),
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
    )


class BasicBlock(nn.Module):
    """3x3, 3x3, then the sum with the skip: He et al. 2015, figure 5, left.

    `shortcut` builds the skip where the shape changes (elsewhere it is the identity); None leaves every
    skip out, which makes the plain network. `se_reduction` 0: no squeeze and excitation. `separable` makes
    each 3x3 a depthwise one and a 1x1. x (N, Cin, H, W) -> (N, channels, H / stride, W / stride).
    """

    expansion = 1

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int,
        activation: str,
        shortcut: Shortcut | None = projection,
        se_reduction: int = 0,
        separable: bool = False,
    ) -> None:
        super().__init__()
        conv3x3 = separable_conv3x3 if separable else standard_conv3x3
        self.conv1 = conv3x3(in_channels, channels, stride)
        self.bn1 = nn.BatchNorm2d(channels)
        self.activation = activation_layer(activation)
        self.conv2 = conv3x3(channels, channels, 1)
        self.bn2 = nn.BatchNorm2d(channels)
        self.se = SqueezeExcitation(channels, se_reduction, activation) if se_reduction else None
        self.skips = shortcut is not None
        changes = stride != 1 or in_channels != channels
        self.downsample = shortcut(in_channels, channels, stride) if shortcut and changes else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.activation(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.se is not None:
            y = self.se(y)
        if self.skips:
            y += x if self.downsample is None else self.downsample(x)
        return self.activation(y)
