"""ENet as an ImageNet classifier: the encoder of a segmentation network, downsampled twice more.

Paszke, Chaurasia, Kim, Culurciello 2016 (https://arxiv.org/abs/1606.02147), table 1 up to section 3, for
semantic segmentation. The accuracy-vs-operations study (https://arxiv.org/abs/1605.07678) measured an
ImageNet form that no paper tabulates. Its authors describe their classifiers in
https://culurciello.github.io/tech/2016/06/20/training-enet.html: after each of the two passes over the
regular, dilated and asymmetric bottlenecks another downsampling one, then a global average pool. Here the
linear classifier behind it has a bias. Which of their forms the study measured is not written down, so
`form` offers three: "v2" keeps the paper's encoder and widths, "v3" widens each pass's end, "v7" has regular
bottlenecks only.

Activations are PReLU with one slope a channel, as in the paper; there is no other choice here.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .blocks import check_counts
from .registry import architecture

INITIAL = 13  # channels of the initial 3x3 of stride 2; the pooled image is concatenated to them
REDUCTION = 4  # of the channels within a bottleneck
EPS = 1e-3  # of every batch norm

# a bottleneck is (kind, out_channels); kinds: down (halves the map), regular, asymmetric (5x1 then 1x5),
# or a whole number, its dilation
DOWN, REGULAR, ASYMMETRIC = "down", "regular", "asymmetric"
Row = tuple[str | int, int]


def one_pass(channels: int, wide: int) -> list[Row]:
    """Bottlenecks 2.1 to 2.8 of the paper's table 1, the last giving `wide` channels; then a downsampling."""
    return [
        (REGULAR, channels),
        (2, channels),
        (ASYMMETRIC, channels),
        (4, channels),
        (REGULAR, channels),
        (8, channels),
        (ASYMMETRIC, channels),
        (16, wide),
        (DOWN, wide),
    ]


HEAD: list[Row] = [(DOWN, 64), *[(REGULAR, 64)] * 4, (DOWN, 128)]
FORMS: dict[str, list[Row]] = {
    "v2": [*HEAD, *one_pass(128, 128), *one_pass(128, 128)],
    "v3": [*HEAD, *one_pass(128, 256), *one_pass(256, 512)],
    "v7": [
        (DOWN, 64),
        *[(REGULAR, 64)] * 5,
        (DOWN, 128),
        *[(REGULAR, 128)] * 5,
        (DOWN, 256),
        *[(REGULAR, 256)] * 5,
        (DOWN, 512),
    ],
}


class Bottleneck(nn.Module):
    """1x1 reduce (2x2 of stride 2 where it downsamples), a convolution, 1x1 expand; summed with the input.

    The skip is max pooled where the map shrinks and padded with zero channels where it widens: figure 2b.
    x (N, Cin, H, W) -> (N, Cout, H, W), or half of H and W.
    """

    def __init__(self, in_channels: int, out_channels: int, kind: str | int, dropout: float) -> None:
        super().__init__()
        inner = out_channels // REDUCTION
        step = 2 if kind == DOWN else 1
        self.added = out_channels - in_channels
        self.pool = nn.MaxPool2d(2, 2) if kind == DOWN else nn.Identity()
        # projections have no bias (section 4); the convolution between them has one, as in the authors' code
        if kind == ASYMMETRIC:
            middle: list[nn.Module] = [
                nn.Conv2d(inner, inner, (5, 1), padding=(2, 0), bias=False),
                nn.Conv2d(inner, inner, (1, 5), padding=(0, 2)),
            ]
        else:
            dilation = kind if isinstance(kind, int) else 1
            middle = [nn.Conv2d(inner, inner, 3, padding=dilation, dilation=dilation)]
        self.residual = nn.Sequential(
            nn.Conv2d(in_channels, inner, step, step, bias=False),
            nn.BatchNorm2d(inner, eps=EPS),
            nn.PReLU(inner),
            *middle,
            nn.BatchNorm2d(inner, eps=EPS),
            nn.PReLU(inner),
            nn.Conv2d(inner, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels, eps=EPS),
            nn.Dropout2d(dropout),
        )
        self.activation = nn.PReLU(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        skip = self.pool(x)
        if self.added:
            skip = F.pad(skip, (0, 0, 0, 0, 0, self.added))
        return self.activation(skip + self.residual(x))


class ENet(nn.Module):
    """x (N, Cin, H, W) -> logits (N, num_classes); H and W even and at least 32."""

    def __init__(self, rows: list[Row], num_classes: int, in_channels: int) -> None:
        super().__init__()
        check_counts(num_classes=num_classes, in_channels=in_channels)
        most = rows[0][1] - INITIAL  # the first bottleneck's skip can pad channels, not drop them
        if in_channels > most:
            raise ValueError(f"in_channels must be at most {most} for enet, not {in_channels}")
        self.initial = nn.Conv2d(in_channels, INITIAL, 3, 2, 1)
        self.pool = nn.MaxPool2d(2, 2)
        channels = INITIAL + in_channels
        self.bn = nn.BatchNorm2d(channels, eps=EPS)
        self.activation = nn.PReLU(channels)
        bottlenecks: list[nn.Module] = []
        for index, (kind, out_channels) in enumerate(rows):
            # section 4: 0.01 before bottleneck 2.0 (the sixth row), 0.1 from there on
            bottlenecks.append(Bottleneck(channels, out_channels, kind, 0.01 if index < 5 else 0.1))
            channels = out_channels
        self.bottlenecks = nn.Sequential(*bottlenecks)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.activation(self.bn(torch.cat([self.initial(x), self.pool(x)], dim=1)))
        return self.fc(self.avgpool(self.bottlenecks(x)).flatten(1))


@architecture(paper="https://arxiv.org/abs/1606.02147", year=2016)
def enet(num_classes: int = 1000, in_channels: int = 3, form: str = "v2") -> nn.Module:
    """ENet as an ImageNet classifier: its encoder, two more downsamplings, a global average pool.

    `form` is v2 (the paper's encoder), v3 (wider) or v7 (regular bottlenecks only).
    """
    if form not in FORMS:
        raise ValueError(f"unknown form '{form}' of enet, expected one of {', '.join(FORMS)}")
    return ENet(FORMS[form], num_classes, in_channels)
