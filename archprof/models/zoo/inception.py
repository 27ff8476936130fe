"""Inception v2 (BN-Inception) and Inception v3.

v2: Ioffe & Szegedy 2015, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal
Covariate Shift", figure 5. v3: Szegedy et al. 2015, "Rethinking the Inception Architecture for Computer
Vision", table 1 and figures 5 to 8 and 10; its parameter names are torchvision's.

Departures. v2: the figure's output column (576 channels after 4c and 4d, 1024 after 4e) contradicts its
branch columns; the branches are built as printed, which makes 608, 608 and 1056. v3: torchvision's sequence
of layers; table 1 has other convolutions before the first mixed block. Average pools count padding as zeros.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from .blocks import he_init
from .branches import BranchedNetwork, Conv, ConvBN, Layer, Table
from .branches import separable_stem as separable
from .registry import architecture

PAPER_V2 = "https://arxiv.org/abs/1502.03167"
PAPER_V3 = "https://arxiv.org/abs/1512.00567"

AVERAGE = partial(nn.AvgPool2d, 3, stride=1, padding=1)
MAXIMUM = partial(nn.MaxPool2d, 3, stride=1, padding=1)
HALVE = partial(nn.MaxPool2d, 3, stride=2)
HALVE_PADDED = partial(nn.MaxPool2d, 3, stride=2, padding=1)

# ---- v2 ----

# 1x1, 3x3 reduce, 3x3, double 3x3 reduce, double 3x3, pool, projection (0: none; a 1x1 of 0: stride 2)
ROWS_V2 = {
    "inception_3a": (64, 64, 64, 64, 96, AVERAGE, 32),
    "inception_3b": (64, 64, 96, 64, 96, AVERAGE, 64),
    "inception_3c": (0, 128, 160, 64, 96, HALVE_PADDED, 0),
    "inception_4a": (224, 64, 96, 96, 128, AVERAGE, 128),
    "inception_4b": (192, 96, 128, 96, 128, AVERAGE, 128),
    "inception_4c": (160, 128, 160, 128, 160, AVERAGE, 128),
    "inception_4d": (96, 128, 192, 160, 192, AVERAGE, 128),
    "inception_4e": (0, 128, 192, 192, 256, HALVE_PADDED, 0),
    "inception_5a": (352, 192, 320, 160, 224, AVERAGE, 128),
    "inception_5b": (352, 192, 320, 192, 224, MAXIMUM, 128),
}


def _row_v2(
    c1: int, c3_reduce: int, c3: int, double_reduce: int, double: int, pool: partial[nn.Module], projection: int
) -> Table:
    stride = 1 if c1 else 2
    return {
        **({"branch1x1": [Conv(c1)]} if c1 else {}),
        "branch3x3": [Conv(c3_reduce), Conv(c3, 3, stride, padding=1)],
        "branch3x3dbl": [Conv(double_reduce), Conv(double, 3), Conv(double, 3, stride, padding=1)],
        "branch_pool": [pool, Conv(projection)] if projection else [pool],
    }


TABLE_V2: dict[str, Layer] = {
    "conv1": Conv(64, 7, 2, padding=3),
    "maxpool1": HALVE_PADDED,
    "conv2_reduce": Conv(64),
    "conv2": Conv(192, 3),
    "maxpool2": HALVE_PADDED,
    **{name: _row_v2(*row) for name, row in ROWS_V2.items()},
}


@architecture(paper=PAPER_V2, year=2015, aliases=("bn_inception",))
def inception_v2(
    num_classes: int = 1000, in_channels: int = 3, activation: str = "relu", separable_stem: bool = False
) -> nn.Module:
    """Inception v2, or BN-Inception: two 3x3 convolutions for each 5x5, batch norm everywhere, no dropout.

    The first convolution is a plain 7x7, with which the mult-adds are the 2.03 G that others quote; the
    paper's own was separable with channel multiplier 8: `separable_stem=True`. (The Inception v3 paper calls
    a later network, on the way to v3, "Inception-v2".)
    """
    network = BranchedNetwork(TABLE_V2, num_classes, in_channels, activation, dropout=0.0)
    if separable_stem:
        network.conv1 = separable(in_channels, Conv(64, 7, 2, padding=3), activation)
    he_init(network)
    return network


# ---- v3 ----


def _mixed_35(projection: int) -> Table:
    """Figure 5: at 35x35, the 5x5 of v1 beside two 3x3."""
    return {
        "branch1x1": [Conv(64)],
        "branch5x5": [Conv(48), Conv(64, 5)],
        "branch3x3dbl": [Conv(64), Conv(96, 3), Conv(96, 3)],
        "branch_pool": [AVERAGE, Conv(projection)],
    }


def _mixed_17(c7: int) -> Table:
    """Figure 6: at 17x17, 7x7 convolutions as rows and columns of 7."""
    return {
        "branch1x1": [Conv(192)],
        "branch7x7": [Conv(c7), Conv(c7, (1, 7)), Conv(192, (7, 1))],
        "branch7x7dbl": [Conv(c7), Conv(c7, (7, 1)), Conv(c7, (1, 7)), Conv(c7, (7, 1)), Conv(192, (1, 7))],
        "branch_pool": [AVERAGE, Conv(192)],
    }


def _mixed_8() -> Table:
    """Figure 7: at 8x8, 3x3 convolutions as a fork of a row and a column of 3."""
    fork = (Conv(384, (1, 3)), Conv(384, (3, 1)))
    return {
        "branch1x1": [Conv(320)],
        "branch3x3": [Conv(384), fork],
        "branch3x3dbl": [Conv(448), Conv(384, 3), fork],
        "branch_pool": [AVERAGE, Conv(192)],
    }


TABLE_V3: dict[str, Layer] = {
    "Conv2d_1a_3x3": Conv(32, 3, 2),
    "Conv2d_2a_3x3": Conv(32, 3, padding=0),
    "Conv2d_2b_3x3": Conv(64, 3),
    "maxpool1": HALVE,
    "Conv2d_3b_1x1": Conv(80),
    "Conv2d_4a_3x3": Conv(192, 3, padding=0),
    "maxpool2": HALVE,
    "Mixed_5b": _mixed_35(32),
    "Mixed_5c": _mixed_35(64),
    "Mixed_5d": _mixed_35(64),
    "Mixed_6a": {  # figure 10: 35x35 to 17x17
        "branch3x3": [Conv(384, 3, 2)],
        "branch3x3dbl": [Conv(64), Conv(96, 3), Conv(96, 3, 2)],
        "branch_pool": [HALVE],
    },
    "Mixed_6b": _mixed_17(128),
    "Mixed_6c": _mixed_17(160),
    "Mixed_6d": _mixed_17(160),
    "Mixed_6e": _mixed_17(192),
    "Mixed_7a": {  # 17x17 to 8x8
        "branch3x3": [Conv(192), Conv(320, 3, 2)],
        "branch7x7x3": [Conv(192), Conv(192, (1, 7)), Conv(192, (7, 1)), Conv(192, 3, 2)],
        "branch_pool": [HALVE],
    },
    "Mixed_7b": _mixed_8(),
    "Mixed_7c": _mixed_8(),
}
AUXILIARY_AFTER = "Mixed_6e"


class Auxiliary(nn.Module):
    """x (N, 768, 17, 17) -> (N, num_classes): the classifier on the side of the 17x17 grid (figure 8)."""

    def __init__(self, inputs: int, num_classes: int, activation: str) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(5, stride=3)
        self.conv0 = ConvBN(inputs, Conv(128), activation)
        self.conv1 = ConvBN(128, Conv(768, 5, padding=0), activation)
        self.global_pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(768, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(torch.flatten(self.global_pool(self.conv1(self.conv0(self.pool(x)))), 1))


class InceptionV3(BranchedNetwork):
    """(N, in_channels, H, W) -> (N, num_classes); in training with its head: (logits, auxiliary logits)."""

    def __init__(self, num_classes: int, in_channels: int, activation: str, dropout: float, aux_logits: bool) -> None:
        super().__init__(TABLE_V3, num_classes, in_channels, activation, dropout)
        self.AuxLogits = Auxiliary(768, num_classes, activation) if aux_logits else None
        he_init(self)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        if self.AuxLogits is None or not self.training:
            return super().forward(x)
        middle = self.layers.index(AUXILIARY_AFTER) + 1
        x = self.through(self.layers[:middle], x)
        auxiliary = self.AuxLogits(x)
        return self.classify(self.through(self.layers[middle:], x)), auxiliary


@architecture(paper=PAPER_V3, year=2015, input_shape=(3, 299, 299))
def inception_v3(
    num_classes: int = 1000,
    in_channels: int = 3,
    activation: str = "relu",
    dropout: float = 0.5,
    aux_logits: bool = False,
) -> nn.Module:
    """Inception v3: factorised convolutions, at 3x299x299; counted without its auxiliary classifier.

    23,834,568 parameters without it, 27,161,264 with (`aux_logits=True`); it runs in training only.
    """
    return InceptionV3(num_classes, in_channels, activation, dropout, aux_logits)
