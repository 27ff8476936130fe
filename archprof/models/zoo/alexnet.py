"""AlexNet: five convolutions, three fully connected layers.

Krizhevsky, Sutskever, Hinton 2012 split the network over two GPUs; this is the one-column form of
Krizhevsky 2014 ("One weird trick", https://arxiv.org/abs/1404.5997), as torchvision ships it: 64 and 192
channels in the first two layers, no groups, no local response normalisation, and an adaptive pool to 6x6
before the classifier, so that other resolutions run too.
"""

from __future__ import annotations

from torch import Tensor, nn

from .blocks import activation_layer, check_counts, check_probabilities
from .registry import architecture

# kernel, channels, stride, padding, 3x3 max pool of stride 2 behind it: Krizhevsky 2014, section 5
ROWS = [
    (11, 64, 4, 2, True),
    (5, 192, 1, 2, True),
    (3, 384, 1, 1, False),
    (3, 256, 1, 1, False),
    (3, 256, 1, 1, True),
]
HIDDEN = (4096, 4096)  # widths of the hidden fully connected layers


class AlexNet(nn.Module):
    """x (N, Cin, H, W) -> logits (N, num_classes); H and W at least 63."""

    def __init__(self, num_classes: int, in_channels: int, activation: str, dropout: float, batch_norm: bool) -> None:
        super().__init__()
        check_counts(num_classes=num_classes, in_channels=in_channels)
        check_probabilities(dropout=dropout)
        features: list[nn.Module] = []
        channels = in_channels
        for kernel, out_channels, stride, padding, pool in ROWS:
            features.append(nn.Conv2d(channels, out_channels, kernel, stride, padding))
            if batch_norm:
                features.append(nn.BatchNorm2d(out_channels, eps=1e-3))
            features.append(activation_layer(activation))
            if pool:
                features.append(nn.MaxPool2d(3, 2))
            channels = out_channels
        self.features = nn.Sequential(*features)
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        classifier: list[nn.Module] = []
        width = channels * 6 * 6
        for hidden in HIDDEN:
            classifier += [nn.Dropout(dropout), nn.Linear(width, hidden)]
            if batch_norm:
                classifier.append(nn.BatchNorm1d(hidden, eps=1e-3))
            classifier.append(activation_layer(activation))
            width = hidden
        self.classifier = nn.Sequential(*classifier, nn.Linear(width, num_classes))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


@architecture(paper="https://arxiv.org/abs/1404.5997", year=2014, aliases=("alexnet_owt",))
def alexnet(num_classes: int = 1000, in_channels: int = 3, activation: str = "relu", dropout: float = 0.5) -> nn.Module:
    """AlexNet in one column (torchvision's weights load)."""
    return AlexNet(num_classes, in_channels, activation, dropout, batch_norm=False)


@architecture(paper="https://arxiv.org/abs/1605.07678", year=2016, aliases=("alexnet_bn", "alexnet_owt_bn"))
def bn_alexnet(
    num_classes: int = 1000, in_channels: int = 3, activation: str = "relu", dropout: float = 0.5
) -> nn.Module:
    """AlexNet with batch norm after every layer but the last: the same mult-adds.

    BN-AlexNet of the accuracy-vs-operations study. Its trained form is Zagoruyko's, from
    https://github.com/soumith/imagenet-multiGPU.torch: norms (eps 1e-3) stand between layer and
    activation, behind the two hidden fully connected layers too, and the layers keep their biases.
    Those two norms cannot train on a batch of one image.
    """
    return AlexNet(num_classes, in_channels, activation, dropout, batch_norm=True)
