"""VGG: nothing but 3x3 convolutions, 2x2 max pools and three fully connected layers.

Simonyan, Zisserman 2014 (https://arxiv.org/abs/1409.1556), configurations A, B, D and E of table 1 as
torchvision ships them: its weights load. Departures: an adaptive pool to 7x7 lets other resolutions run;
the batch-normalised forms are later than the paper.
"""

from __future__ import annotations

from torch import Tensor, nn

from .blocks import activation_layer, check_counts, check_probabilities, he_init
from .registry import architecture

PAPER = "https://arxiv.org/abs/1409.1556"

# weight layers: channels of the 3x3 convolutions in each of five stages, a 2x2 max pool behind each: table 1
ROWS = {
    11: ((64,), (128,), (256, 256), (512, 512), (512, 512)),  # A
    13: ((64, 64), (128, 128), (256, 256), (512, 512), (512, 512)),  # B
    16: ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512)),  # D
    19: ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,) * 4),  # E
}


class VGG(nn.Module):
    """x (N, Cin, H, W) -> logits (N, num_classes); H and W at least 32."""

    def __init__(
        self, depth: int, num_classes: int, in_channels: int, activation: str, dropout: float, batch_norm: bool = False
    ) -> None:
        super().__init__()
        check_counts(num_classes=num_classes, in_channels=in_channels)
        check_probabilities(dropout=dropout)
        features: list[nn.Module] = []
        channels = in_channels
        for stage in ROWS[depth]:
            for out_channels in stage:
                features.append(nn.Conv2d(channels, out_channels, 3, padding=1))
                if batch_norm:
                    features.append(nn.BatchNorm2d(out_channels))
                features.append(activation_layer(activation))
                channels = out_channels
            features.append(nn.MaxPool2d(2, 2))
        self.features = nn.Sequential(*features)
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(channels * 7 * 7, 4096),
            activation_layer(activation),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            activation_layer(activation),
            nn.Dropout(dropout),
            nn.Linear(4096, num_classes),
        )
        he_init(self, linear_std=0.01)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


@architecture(paper=PAPER, year=2014)
def vgg11(num_classes: int = 1000, in_channels: int = 3, activation: str = "relu", dropout: float = 0.5) -> nn.Module:
    """VGG-11, configuration A."""
    return VGG(11, num_classes, in_channels, activation, dropout)


@architecture(paper=PAPER, year=2014)
def vgg13(num_classes: int = 1000, in_channels: int = 3, activation: str = "relu", dropout: float = 0.5) -> nn.Module:
    """VGG-13, configuration B."""
    return VGG(13, num_classes, in_channels, activation, dropout)


@architecture(paper=PAPER, year=2014)
def vgg16(num_classes: int = 1000, in_channels: int = 3, activation: str = "relu", dropout: float = 0.5) -> nn.Module:
    """VGG-16, configuration D."""
    return VGG(16, num_classes, in_channels, activation, dropout)


@architecture(paper=PAPER, year=2014)
def vgg19(num_classes: int = 1000, in_channels: int = 3, activation: str = "relu", dropout: float = 0.5) -> nn.Module:
    """VGG-19, configuration E."""
    return VGG(19, num_classes, in_channels, activation, dropout)


@architecture(paper=PAPER, year=2014, aliases=("bn_vgg11",))
def vgg11_bn(
    num_classes: int = 1000, in_channels: int = 3, activation: str = "relu", dropout: float = 0.5
) -> nn.Module:
    """VGG-11 with batch norm after every convolution."""
    return VGG(11, num_classes, in_channels, activation, dropout, batch_norm=True)


@architecture(paper=PAPER, year=2014, aliases=("bn_vgg13",))
def vgg13_bn(
    num_classes: int = 1000, in_channels: int = 3, activation: str = "relu", dropout: float = 0.5
) -> nn.Module:
    """VGG-13 with batch norm after every convolution."""
    return VGG(13, num_classes, in_channels, activation, dropout, batch_norm=True)


@architecture(paper=PAPER, year=2014, aliases=("bn_vgg16",))
def vgg16_bn(
    num_classes: int = 1000, in_channels: int = 3, activation: str = "relu", dropout: float = 0.5
) -> nn.Module:
    """VGG-16 with batch norm after every convolution."""
    return VGG(16, num_classes, in_channels, activation, dropout, batch_norm=True)


@architecture(paper=PAPER, year=2014, aliases=("bn_vgg19",))
def vgg19_bn(
    num_classes: int = 1000, in_channels: int = 3, activation: str = "relu", dropout: float = 0.5
) -> nn.Module:
    """VGG-19 with batch norm after every convolution."""
    return VGG(19, num_classes, in_channels, activation, dropout, batch_norm=True)
