"""GoogLeNet (Inception v1): branches of several kernel sizes side by side, concatenated.

Szegedy et al. 2014, "Going Deeper with Convolutions", table 1. Two auxiliary classifiers, after inception 4a
and 4d, help training and run in training only; the counts shown are without them (`aux_logits=False`).

Parameter names are torchvision's, and so are the departures: 3x3 kernels where the paper has 5x5 (which
`five_by_five=True` restores), batch norm and no bias in every convolution, no local response normalisation,
dropout 0.2 (the paper: 0.4), an auxiliary pool that adapts to 4x4.

The table's first row prints 2.7 K parameters and 34 M operations. A plain 7x7 convolution has 9.4 K, 118 M; a
separable one of channel multiplier 8 (7x7 depthwise from 3 to 24 channels, 1x1 to 64) has 2,712 and 34 M.
`separable_stem=True` builds the latter.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from .blocks import activation_layer, check_counts, check_probabilities, he_init
from .branches import Conv, ConvBN
from .branches import separable_stem as separable
from .registry import architecture

PAPER = "https://arxiv.org/abs/1409.4842"

MAX_3 = partial(nn.MaxPool2d, 3, stride=2, ceil_mode=True)
MAX_2 = partial(nn.MaxPool2d, 2, stride=2, ceil_mode=True)

# 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection; or the pool that stands there
ROWS: dict[str, tuple[int, ...] | partial[nn.Module]] = {
    "inception3a": (64, 96, 128, 16, 32, 32),
    "inception3b": (128, 128, 192, 32, 96, 64),
    "maxpool3": MAX_3,
    "inception4a": (192, 96, 208, 16, 48, 64),
    "inception4b": (160, 112, 224, 24, 64, 64),
    "inception4c": (128, 128, 256, 24, 64, 64),
    "inception4d": (112, 144, 288, 32, 64, 64),
    "inception4e": (256, 160, 320, 32, 128, 128),
    "maxpool4": MAX_2,
    "inception5a": (256, 160, 320, 32, 128, 128),
    "inception5b": (384, 192, 384, 48, 128, 128),
}
AUXILIARY = {"inception4a": "aux1", "inception4d": "aux2"}


class Inception(nn.ModuleDict):
    """x (N, Cin, H, W) -> (N, sum of the branches' channels, H, W); `row` as in ROWS, `five` is 5 or 3."""

    def __init__(self, inputs: int, row: tuple[int, ...], five: int, activation: str) -> None:
        c1, c3_reduce, c3, c5_reduce, c5, projection = row
        conv = partial(ConvBN, activation=activation)
        super().__init__(
            {
                "branch1": conv(inputs, Conv(c1)),
                "branch2": nn.Sequential(conv(inputs, Conv(c3_reduce)), conv(c3_reduce, Conv(c3, 3))),
                "branch3": nn.Sequential(conv(inputs, Conv(c5_reduce)), conv(c5_reduce, Conv(c5, five))),
                "branch4": nn.Sequential(nn.MaxPool2d(3, 1, padding=1, ceil_mode=True), conv(inputs, Conv(projection))),
            }
        )
        self.channels = c1 + c3 + c5 + projection

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.values()], 1)


class Auxiliary(nn.Module):
    """x (N, Cin, H, W) -> (N, num_classes): pool to 4x4, 1x1 convolution, two linear layers."""

    def __init__(self, inputs: int, num_classes: int, activation: str, dropout: float) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(4)
        self.conv = ConvBN(inputs, Conv(128), activation)
        self.fc1 = nn.Linear(128 * 4 * 4, 1024)
        self.activation = activation_layer(activation)
        self.dropout = nn.Dropout(dropout)
        self.fc2 = nn.Linear(1024, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.flatten(self.conv(self.pool(x)), 1)
        return self.fc2(self.dropout(self.activation(self.fc1(x))))


class GoogLeNet(nn.Module):
    """(N, in_channels, H, W) -> (N, num_classes).

    In training, with auxiliary classifiers: (logits, second auxiliary logits, first auxiliary logits).
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        activation: str,
        dropout: float,
        aux_logits: bool,
        five_by_five: bool,
        separable_stem: bool,
    ) -> None:
        super().__init__()
        check_counts(num_classes=num_classes, in_channels=in_channels)
        check_probabilities(dropout=dropout)
        conv = partial(ConvBN, activation=activation)
        stem = Conv(64, 7, 2, padding=3)
        self.conv1 = separable(in_channels, stem, activation) if separable_stem else conv(in_channels, stem)
        self.maxpool1 = MAX_3()
        self.conv2 = conv(64, Conv(64))
        self.conv3 = conv(64, Conv(192, 3))
        self.maxpool2 = MAX_3()
        channels = 192
        for name, row in ROWS.items():
            if isinstance(row, partial):
                self.add_module(name, row())
                continue
            block = Inception(channels, row, 5 if five_by_five else 3, activation)
            channels = block.channels
            self.add_module(name, block)
            if aux_logits and name in AUXILIARY:
                self.add_module(AUXILIARY[name], Auxiliary(channels, num_classes, activation, dropout=0.7))
        self.aux_logits = aux_logits
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels, num_classes)
        he_init(self)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor, Tensor]:
        x = self.maxpool2(self.conv3(self.conv2(self.maxpool1(self.conv1(x)))))
        auxiliary = []
        for name in ROWS:
            x = getattr(self, name)(x)
            if self.aux_logits and self.training and name in AUXILIARY:
                auxiliary.append(getattr(self, AUXILIARY[name])(x))
        logits = self.fc(self.dropout(torch.flatten(self.avgpool(x), 1)))
        return (logits, auxiliary[1], auxiliary[0]) if auxiliary else logits


@architecture(paper=PAPER, year=2014, aliases=("inception_v1",))
def googlenet(
    num_classes: int = 1000,
    in_channels: int = 3,
    activation: str = "relu",
    dropout: float = 0.2,
    aux_logits: bool = False,
    five_by_five: bool = False,
    separable_stem: bool = False,
) -> nn.Module:
    """GoogLeNet, or Inception v1: nine inception modules; counted without its auxiliary classifiers.

    6,624,904 parameters without them, 13,004,888 with (`aux_logits=True`); they run in training only.
    `five_by_five` takes the paper's 5x5 kernels in place of torchvision's 3x3, `separable_stem` the first
    convolution that the paper's table counts.
    """
    return GoogLeNet(num_classes, in_channels, activation, dropout, aux_logits, five_by_five, separable_stem)
