"""Network in Network: every convolution is followed by two 1x1 convolutions (a small MLP at each pixel).

Lin, Chen, Yan 2013 (https://arxiv.org/abs/1312.4400) give the idea and no ImageNet table. The ImageNet
network is the authors' Caffe model (https://gist.github.com/mavenlin/d802a5849de39225bcc6): 1000 maps in
the last 1x1, averaged, no fully connected layer. The batch-normalised one is Zagoruyko's, of
https://github.com/soumith/imagenet-multiGPU.torch, the one that the accuracy-vs-operations study measured.
"""

from __future__ import annotations

from torch import Tensor, nn

from .blocks import activation_layer, check_counts, check_probabilities
from .registry import architecture

# kernel, stride, padding, channels of the convolution and of the two 1x1; 3x3 max pools of stride 2 between
ROWS = [
    (11, 4, 0, (96, 96, 96)),
    (5, 1, 2, (256, 256, 256)),
    (3, 1, 1, (384, 384, 384)),
    (3, 1, 1, (1024, 1024, None)),  # None: num_classes
]
BN_ROWS = [
    (11, 4, 5, (96, 96, 96)),
    (5, 1, 2, (256, 256, 256)),
    (3, 1, 1, (384, 384, 384)),
    (3, 1, 1, (1024, 1024, 1024)),
]


def mlp_conv(
    in_channels: int,
    kernel: int,
    stride: int,
    padding: int,
    channels: tuple[int, ...],
    activation: str,
    batch_norm: bool,
) -> nn.Sequential:
    """A convolution and two 1x1 convolutions, an activation after each."""
    layers: list[nn.Module] = []
    for index, out_channels in enumerate(channels):
        if index == 0:
            layers.append(nn.Conv2d(in_channels, out_channels, kernel, stride, padding))
        else:
            layers.append(nn.Conv2d(in_channels, out_channels, 1))
        if batch_norm:
            layers.append(nn.BatchNorm2d(out_channels, eps=1e-3))
        layers.append(activation_layer(activation))
        in_channels = out_channels
    return nn.Sequential(*layers)


class NIN(nn.Module):
    """x (N, Cin, H, W) -> logits (N, num_classes)."""

    def __init__(self, num_classes: int, in_channels: int, activation: str, dropout: float, batch_norm: bool) -> None:
        super().__init__()
        check_counts(num_classes=num_classes, in_channels=in_channels)
        check_probabilities(dropout=dropout)
        rows = BN_ROWS if batch_norm else ROWS
        stages: list[nn.Module] = []
        for index, (kernel, stride, padding, row) in enumerate(rows):
            if index > 0:
                stages.append(nn.MaxPool2d(3, 2, padding=int(batch_norm), ceil_mode=not batch_norm))
            if index == len(rows) - 1 and dropout:
                stages.append(nn.Dropout(dropout))
            channels = tuple(num_classes if width is None else width for width in row)
            stages.append(mlp_conv(in_channels, kernel, stride, padding, channels, activation, batch_norm))
            in_channels = channels[-1]
        self.features = nn.Sequential(*stages)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(in_channels, num_classes) if batch_norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


@architecture(paper="https://arxiv.org/abs/1312.4400", year=2013, aliases=("network_in_network",))
def nin(num_classes: int = 1000, in_channels: int = 3, activation: str = "relu", dropout: float = 0.5) -> nn.Module:
    """Network in Network for ImageNet: global average pooling in place of fully connected layers.

    Pools round up, as Caffe's do; the last map is activated before it is averaged.
    """
    return NIN(num_classes, in_channels, activation, dropout, batch_norm=False)


@architecture(paper="https://arxiv.org/abs/1605.07678", year=2016, aliases=("nin_bn",))
def bn_nin(num_classes: int = 1000, in_channels: int = 3, activation: str = "relu", dropout: float = 0.0) -> nn.Module:
    """Network in Network with batch norm after each convolution, and a linear classifier over 1024 maps.

    Padded stem and pools (56, 28, 14 and 7 pixels at 224); no dropout in the published form.
    """
    return NIN(num_classes, in_channels, activation, dropout, batch_norm=True)
