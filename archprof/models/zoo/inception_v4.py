"""Inception v4 beside Inception-ResNet v2: the same idea without and with residual connections.

Szegedy et al. 2016, "Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning":
figures 3 to 9 (v4). Inception-ResNet v2 follows the network that the authors released, not the paper's
figures: it begins with Inception v3's stem and a mixed block of 320 channels, has 10, 20 and 10 residual
blocks (the paper: 5, 10 and 5) of 320, 1088 and 2080 channels, and a last 1x1 convolution to 1536.

Departures, both: average pools leave the padding out of the mean, as the released networks do; no auxiliary
classifier (the paper's figures have none).
"""

from __future__ import annotations

from functools import partial

from torch import nn

from .blocks import he_init
from .branches import BranchedNetwork, Conv, Layer, Residual, Table
from .registry import architecture

PAPER = "https://arxiv.org/abs/1602.07261"

AVERAGE = partial(nn.AvgPool2d, 3, stride=1, padding=1, count_include_pad=False)
HALVE = partial(nn.MaxPool2d, 3, stride=2)

STEM: dict[str, Layer] = {
    "conv1": Conv(32, 3, 2),
    "conv2": Conv(32, 3, padding=0),
    "conv3": Conv(64, 3),
}

# ---- v4 ----

INCEPTION_A: Table = {  # figure 4, 35x35x384
    "branch1x1": [Conv(96)],
    "branch3x3": [Conv(64), Conv(96, 3)],
    "branch3x3dbl": [Conv(64), Conv(96, 3), Conv(96, 3)],
    "branch_pool": [AVERAGE, Conv(96)],
}
REDUCTION_A: Table = {  # figure 7 with k, l, m, n = 192, 224, 256, 384: to 17x17x1024
    "branch3x3": [Conv(384, 3, 2)],
    "branch3x3dbl": [Conv(192), Conv(224, 3), Conv(256, 3, 2)],
    "branch_pool": [HALVE],
}
INCEPTION_B: Table = {  # figure 5, 17x17x1024
    "branch1x1": [Conv(384)],
    "branch7x7": [Conv(192), Conv(224, (1, 7)), Conv(256, (7, 1))],
    "branch7x7dbl": [Conv(192), Conv(192, (7, 1)), Conv(224, (1, 7)), Conv(224, (7, 1)), Conv(256, (1, 7))],
    "branch_pool": [AVERAGE, Conv(128)],
}
REDUCTION_B: Table = {  # figure 8: to 8x8x1536
    "branch3x3": [Conv(192), Conv(192, 3, 2)],
    "branch7x7x3": [Conv(256), Conv(256, (1, 7)), Conv(320, (7, 1)), Conv(320, 3, 2)],
    "branch_pool": [HALVE],
}
FORK = (Conv(256, (1, 3)), Conv(256, (3, 1)))
INCEPTION_C: Table = {  # figure 6, 8x8x1536
    "branch1x1": [Conv(256)],
    "branch3x3": [Conv(384), FORK],
    "branch3x3dbl": [Conv(384), Conv(448, (3, 1)), Conv(512, (1, 3)), FORK],
    "branch_pool": [AVERAGE, Conv(256)],
}

TABLE_V4: dict[str, Layer] = {
    **STEM,
    "stem_73": {"branch_pool": [HALVE], "branch3x3": [Conv(96, 3, 2)]},
    "stem_71": {
        "branch3x3": [Conv(64), Conv(96, 3, padding=0)],
        "branch7x7": [Conv(64), Conv(64, (1, 7)), Conv(64, (7, 1)), Conv(96, 3, padding=0)],
    },
    "stem_35": {"branch3x3": [Conv(192, 3, 2)], "branch_pool": [HALVE]},
    **{f"inception_a{i}": INCEPTION_A for i in range(1, 5)},
    "reduction_a": REDUCTION_A,
    **{f"inception_b{i}": INCEPTION_B for i in range(1, 8)},
    "reduction_b": REDUCTION_B,
    **{f"inception_c{i}": INCEPTION_C for i in range(1, 4)},
}

# ---- Inception-ResNet v2 ----

RESIDUAL_A = Residual(
    0.17,
    {  # 35x35x320
        "branch1x1": [Conv(32)],
        "branch3x3": [Conv(32), Conv(32, 3)],
        "branch3x3dbl": [Conv(32), Conv(48, 3), Conv(64, 3)],
    },
)
RESIDUAL_B = Residual(
    0.10,
    {  # 17x17x1088
        "branch1x1": [Conv(192)],
        "branch7x7": [Conv(128), Conv(160, (1, 7)), Conv(192, (7, 1))],
    },
)
RESIDUAL_C = Residual(
    0.20,
    {  # 8x8x2080
        "branch1x1": [Conv(192)],
        "branch3x3": [Conv(192), Conv(224, (1, 3)), Conv(256, (3, 1))],
    },
)

TABLE_RESNET_V2: dict[str, Layer] = {
    **STEM,
    "maxpool1": HALVE,
    "conv4": Conv(80),
    "conv5": Conv(192, 3, padding=0),
    "maxpool2": HALVE,
    "mixed_5b": {
        "branch1x1": [Conv(96)],
        "branch5x5": [Conv(48), Conv(64, 5)],
        "branch3x3dbl": [Conv(64), Conv(96, 3), Conv(96, 3)],
        "branch_pool": [AVERAGE, Conv(64)],
    },
    **{f"residual_a{i}": RESIDUAL_A for i in range(1, 11)},
    "reduction_a": {
        "branch3x3": [Conv(384, 3, 2)],
        "branch3x3dbl": [Conv(256), Conv(256, 3), Conv(384, 3, 2)],
        "branch_pool": [HALVE],
    },
    **{f"residual_b{i}": RESIDUAL_B for i in range(1, 21)},
    "reduction_b": {
        "branch3x3": [Conv(256), Conv(384, 3, 2)],
        "branch3x3_narrow": [Conv(256), Conv(288, 3, 2)],
        "branch3x3dbl": [Conv(256), Conv(288, 3), Conv(320, 3, 2)],
        "branch_pool": [HALVE],
    },
    **{f"residual_c{i}": RESIDUAL_C for i in range(1, 10)},
    "residual_c10": RESIDUAL_C._replace(scale=1.0, activated=False),
    "conv_last": Conv(1536),
}


@architecture(paper=PAPER, year=2016, input_shape=(3, 299, 299))
def inception_v4(
    num_classes: int = 1000, in_channels: int = 3, activation: str = "relu", dropout: float = 0.2
) -> nn.Module:
    """Inception v4: 4, 7 and 3 inception modules without residual connections, at 3x299x299."""
    network = BranchedNetwork(TABLE_V4, num_classes, in_channels, activation, dropout)
    he_init(network)
    return network


@architecture(paper=PAPER, year=2016, input_shape=(3, 299, 299))
def inception_resnet_v2(
    num_classes: int = 1000, in_channels: int = 3, activation: str = "relu", dropout: float = 0.2
) -> nn.Module:
    """Inception-ResNet v2 as released: inception modules, scaled down, added to their input; at 3x299x299."""
    network = BranchedNetwork(TABLE_RESNET_V2, num_classes, in_channels, activation, dropout)
    he_init(network)
    return network
