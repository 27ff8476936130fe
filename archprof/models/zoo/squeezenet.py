"""SqueezeNet: Fire modules, AlexNet's accuracy with 50 times fewer parameters.

Iandola et al. 2016, "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and < 0.5MB model size",
table 1 and figure 2. A Fire module squeezes its input to s1x1 channels (1x1), then expands them to e1x1
channels (1x1) beside e3x3 channels (3x3). No batch norm; convolutions have biases.

Parameter names are torchvision's. Departures: the first convolution has no padding, so that 224 gives 109x109
where the table prints 111x111 (torchvision and the authors' release do the same); pooling rounds sizes up.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .blocks import activation_layer, check_counts, check_probabilities
from .registry import architecture

PAPER = "https://arxiv.org/abs/1602.07360"

# s1x1, e1x1, e3x3 of fire2..fire9
FIRES = [
    (16, 64, 64),
    (16, 64, 64),
    (32, 128, 128),
    (32, 128, 128),
    (48, 192, 192),
    (48, 192, 192),
    (64, 256, 256),
    (64, 256, 256),
]
# channels and kernel of conv1 (stride 2), and the layers after which a pool stands (1: conv1, 2: fire2, ...)
V1_0 = (96, 7, (1, 4, 8))
V1_1 = (64, 3, (1, 3, 5))


class Fire(nn.Module):
    """x (N, Cin, H, W) -> (N, e1x1 + e3x3, H, W), plus `bypass(x)` where there is one."""

    def __init__(
        self, inputs: int, s1x1: int, e1x1: int, e3x3: int, activation: str, bypass: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, s1x1, 1)
        self.squeeze_activation = activation_layer(activation)
        self.expand1x1 = nn.Conv2d(s1x1, e1x1, 1)
        self.expand1x1_activation = activation_layer(activation)
        self.expand3x3 = nn.Conv2d(s1x1, e3x3, 3, padding=1)
        self.expand3x3_activation = activation_layer(activation)
        self.bypass = bypass

    def forward(self, x: Tensor) -> Tensor:
        squeezed = self.squeeze_activation(self.squeeze(x))
        expanded = torch.cat(
            [
                self.expand1x1_activation(self.expand1x1(squeezed)),
                self.expand3x3_activation(self.expand3x3(squeezed)),
            ],
            1,
        )
        return expanded if self.bypass is None else expanded + self.bypass(x)


class SqueezeNet(nn.Module):
    """(N, in_channels, H, W) -> (N, num_classes).

    `bypass` is '', 'simple' (around every Fire whose input has its output's channels) or 'complex' (the same,
    and a 1x1 convolution around every other Fire).
    """

    def __init__(
        self,
        version: tuple[int, int, tuple[int, ...]],
        num_classes: int,
        in_channels: int,
        activation: str,
        dropout: float,
        bypass: str = "",
    ) -> None:
        super().__init__()
        check_counts(num_classes=num_classes, in_channels=in_channels)
        check_probabilities(dropout=dropout)
        channels, kernel, pools_after = version
        stem = nn.Conv2d(in_channels, channels, kernel, stride=2)
        layers: list[nn.Module] = [stem, activation_layer(activation)]
        if 1 in pools_after:
            layers.append(nn.MaxPool2d(3, 2, ceil_mode=True))
        for number, (s1x1, e1x1, e3x3) in enumerate(FIRES, start=2):
            around = _bypass(bypass, channels, e1x1 + e3x3)
            layers.append(Fire(channels, s1x1, e1x1, e3x3, activation, around))
            channels = e1x1 + e3x3
            if number in pools_after:
                layers.append(nn.MaxPool2d(3, 2, ceil_mode=True))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Dropout(dropout),
            nn.Conv2d(channels, num_classes, 1),
            activation_layer(activation),
            nn.AdaptiveAvgPool2d(1),
        )
        self._initialise()

    def forward(self, x: Tensor) -> Tensor:
        return torch.flatten(self.classifier(self.features(x)), 1)

    def _initialise(self) -> None:
        """He et al. 2015 over fan-in, as no batch norm saves a fading signal; the classifier begins small."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.normal_(self.classifier[1].weight, 0.0, 0.01)


def _bypass(kind: str, inputs: int, outputs: int) -> nn.Module | None:
    if kind and inputs == outputs:
        return nn.Identity()
    return nn.Conv2d(inputs, outputs, 1) if kind == "complex" else None


@architecture(paper=PAPER, year=2016, aliases=("squeezenet", "squeezenet_v1_0"))
def squeezenet1_0(
    num_classes: int = 1000, in_channels: int = 3, activation: str = "relu", dropout: float = 0.5
) -> nn.Module:
    """SqueezeNet as published: 8 Fire modules, 1,248,424 parameters, 50 times fewer than AlexNet's 61 M."""
    return SqueezeNet(V1_0, num_classes, in_channels, activation, dropout)


@architecture(paper=PAPER, year=2016, aliases=("squeezenet_v1_1",))
def squeezenet1_1(
    num_classes: int = 1000, in_channels: int = 3, activation: str = "relu", dropout: float = 0.5
) -> nn.Module:
    """SqueezeNet with a smaller first convolution and earlier pools: 2.4 times fewer mult-adds than 1.0.

    The authors' later release, not in the paper.
    """
    return SqueezeNet(V1_1, num_classes, in_channels, activation, dropout)


@architecture(paper=PAPER, year=2016)
def squeezenet1_0_simple_bypass(
    num_classes: int = 1000, in_channels: int = 3, activation: str = "relu", dropout: float = 0.5
) -> nn.Module:
    """SqueezeNet whose fire3, 5, 7 and 9 add their input to their output: no parameters more."""
    return SqueezeNet(V1_0, num_classes, in_channels, activation, dropout, bypass="simple")


@architecture(paper=PAPER, year=2016)
def squeezenet1_0_complex_bypass(
    num_classes: int = 1000, in_channels: int = 3, activation: str = "relu", dropout: float = 0.5
) -> nn.Module:
    """SqueezeNet with simple bypass, and a 1x1 convolution around fire2, 4, 6 and 8: 1,589,672 parameters.

    The bypass convolutions have biases, like all others.
    """
    return SqueezeNet(V1_0, num_classes, in_channels, activation, dropout, bypass="complex")
