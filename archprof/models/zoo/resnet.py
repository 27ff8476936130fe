"""ResNet, and what grew on it: ResNeXt (grouped 3x3) and SE-ResNet (channel gates).

He, Zhang, Ren, Sun 2015 (https://arxiv.org/abs/1512.03385), table 1. Two stride placements are here:

* `resnet50`, `101`, `152`: stride on the 3x3 convolution, as fb.resnet.torch and torchvision have it
  (torchvision's weights load); 0.2 G mult-adds above the paper.
* `resnet50_v1`, `101_v1`, `152_v1`: stride on the first 1x1 convolution, the paper's own: 3.8, 7.6, 11.3 G.

ResNet-18 and -34 have no 1x1 convolution, hence one form. Shortcuts are option B (projection where the
shape changes) at every depth. The paper prints 3.6 G for 34 layers, which fits option A (3.64 G, a shortcut
without parameters); option B counts 3.66 G.
"""

from __future__ import annotations

from torch import Tensor, nn

from .blocks import activation_layer, check_counts, he_init
from .registry import architecture
from .residual import BasicBlock, SqueezeExcitation, projection

PAPER = "https://arxiv.org/abs/1512.03385"
RESNEXT = "https://arxiv.org/abs/1611.05431"
SENET = "https://arxiv.org/abs/1709.01507"

# depth: blocks in conv2_x, conv3_x, conv4_x, conv5_x: He et al. 2015, table 1
ROWS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
CHANNELS = (64, 128, 256, 512)  # of the 3x3 convolutions in conv2_x to conv5_x
STRIDES = (1, 2, 2, 2)


class Bottleneck(nn.Module):
    """1x1 reduce, 3x3, 1x1 restore, then the sum with the skip: He et al. 2015, figure 5, right.

    With `cardinality` above 1 the 3x3 is grouped (Xie et al. 2016, figure 3c), each group `group_width`
    channels wide where the stage has 64. x (N, Cin, H, W) -> (N, 4 * channels, H / stride, W / stride).
    """

    expansion = 4

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int,
        activation: str,
        se_reduction: int,
        cardinality: int,
        group_width: int,
        stride_on_1x1: bool,
    ) -> None:
        super().__init__()
        width = channels * group_width // 64 * cardinality
        out_channels = channels * self.expansion
        first, second = (stride, 1) if stride_on_1x1 else (1, stride)
        self.conv1 = nn.Conv2d(in_channels, width, 1, first, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, second, 1, groups=cardinality, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.activation = activation_layer(activation)
        self.se = SqueezeExcitation(out_channels, se_reduction, activation) if se_reduction else None
        changes = stride != 1 or in_channels != out_channels
        self.downsample = projection(in_channels, out_channels, stride) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.activation(self.bn1(self.conv1(x)))
        y = self.activation(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        if self.se is not None:
            y = self.se(y)
        y += x if self.downsample is None else self.downsample(x)
        return self.activation(y)


class ResNet(nn.Module):
    """x (N, Cin, H, W) -> logits (N, num_classes).

    Smaller and larger members of the family: `blocks` in each stage (None: the paper's for that depth),
    `width` as a factor on every channel count, `separable` 3x3 convolutions (of basic blocks),
    `small_input` for a 3x3 stem at stride 1 without a pool, as for 3x32x32.
    """

    def __init__(
        self,
        depth: int,
        num_classes: int,
        in_channels: int,
        activation: str,
        se_reduction: int = 0,
        cardinality: int = 1,
        group_width: int = 64,
        stride_on_1x1: bool = False,
        blocks: tuple[int, ...] | None = None,
        width: float = 1.0,
        separable: bool = False,
        small_input: bool = False,
    ) -> None:
        super().__init__()
        check_counts(num_classes=num_classes, in_channels=in_channels, cardinality=cardinality, group_width=group_width)
        repeats_of = ROWS[depth] if blocks is None else _checked_blocks(blocks)
        widths = [scaled(channels, width) for channels in CHANNELS]

        def block(channels: int, width: int, stride: int) -> nn.Module:
            if depth < 50:
                return BasicBlock(channels, width, stride, activation, se_reduction=se_reduction, separable=separable)
            return Bottleneck(
                channels, width, stride, activation, se_reduction, cardinality, group_width, stride_on_1x1
            )

        expansion = BasicBlock.expansion if depth < 50 else Bottleneck.expansion
        channels = widths[0]
        kernel, stem_stride = (3, 1) if small_input else (7, 2)
        self.conv1 = nn.Conv2d(in_channels, channels, kernel, stem_stride, kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.activation = activation_layer(activation)
        self.maxpool = nn.Identity() if small_input else nn.MaxPool2d(3, 2, 1)
        for stage, (repeats, wide, stride) in enumerate(zip(repeats_of, widths, STRIDES, strict=True), 1):
            layers = []
            for index in range(repeats):
                layers.append(block(channels, wide, stride if index == 0 else 1))
                channels = wide * expansion
            self.add_module(f"layer{stage}", nn.Sequential(*layers))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)
        he_init(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.activation(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


def scaled(channels: int, width: float) -> int:
    """`channels` times `width`, to the nearest multiple of 8, at least 8."""
    if isinstance(width, bool) or not isinstance(width, int | float):
        raise TypeError(f"width must be a factor such as 0.5, not {width!r}")
    if not 0 < width < float("inf"):
        raise ValueError(f"width must be above 0, such as 0.5, not {width}")
    return channels if width == 1 else max(8, 8 * round(channels * width / 8))


def _checked_blocks(blocks: tuple[int, ...]) -> tuple[int, ...]:
    if not isinstance(blocks, tuple | list):
        raise TypeError(f"blocks must be {len(CHANNELS)} whole numbers such as (2, 2, 2, 2), not {blocks!r}")
    if len(blocks) != len(CHANNELS):
        raise ValueError(f"blocks must be {len(CHANNELS)} whole numbers, one a stage, not {len(blocks)}")
    for repeats in blocks:
        check_counts(blocks=repeats)
    return tuple(blocks)


@architecture(paper=PAPER, year=2015)
def resnet18(
    num_classes: int = 1000,
    in_channels: int = 3,
    activation: str = "relu",
    se_reduction: int = 0,
    blocks: tuple[int, ...] = ROWS[18],
    width: float = 1.0,
    separable: bool = False,
    small_input: bool = False,
) -> nn.Module:
    """ResNet-18; se_reduction=16 adds squeeze and excitation to every block.

    `blocks` in each stage, `width` on every channel count, `separable` 3x3 convolutions and the
    `small_input` stem (3x3, stride 1, no pool) make other members of the family.
    """
    return ResNet(
        18,
        num_classes,
        in_channels,
        activation,
        se_reduction,
        blocks=blocks,
        width=width,
        separable=separable,
        small_input=small_input,
    )


@architecture(paper=PAPER, year=2015)
def resnet34(
    num_classes: int = 1000,
    in_channels: int = 3,
    activation: str = "relu",
    se_reduction: int = 0,
    blocks: tuple[int, ...] = ROWS[34],
    width: float = 1.0,
    separable: bool = False,
    small_input: bool = False,
) -> nn.Module:
    """ResNet-34; se_reduction=16 adds squeeze and excitation to every block. Options as for `resnet18`."""
    return ResNet(
        34,
        num_classes,
        in_channels,
        activation,
        se_reduction,
        blocks=blocks,
        width=width,
        separable=separable,
        small_input=small_input,
    )


@architecture(paper=PAPER, year=2015, aliases=("resnet50_v1_5",))
def resnet50(
    num_classes: int = 1000,
    in_channels: int = 3,
    activation: str = "relu",
    se_reduction: int = 0,
    cardinality: int = 1,
    group_width: int = 64,
    blocks: tuple[int, ...] = ROWS[50],
    width: float = 1.0,
    small_input: bool = False,
) -> nn.Module:
    """ResNet-50, stride on the 3x3 convolution; options for gates, groups and size."""
    return ResNet(
        50,
        num_classes,
        in_channels,
        activation,
        se_reduction,
        cardinality,
        group_width,
        blocks=blocks,
        width=width,
        small_input=small_input,
    )


@architecture(paper=PAPER, year=2015, aliases=("resnet101_v1_5",))
def resnet101(
    num_classes: int = 1000,
    in_channels: int = 3,
    activation: str = "relu",
    se_reduction: int = 0,
    cardinality: int = 1,
    group_width: int = 64,
    blocks: tuple[int, ...] = ROWS[101],
    width: float = 1.0,
    small_input: bool = False,
) -> nn.Module:
    """ResNet-101, stride on the 3x3 convolution; options for gates, groups and size."""
    return ResNet(
        101,
        num_classes,
        in_channels,
        activation,
        se_reduction,
        cardinality,
        group_width,
        blocks=blocks,
        width=width,
        small_input=small_input,
    )


@architecture(paper=PAPER, year=2015, aliases=("resnet152_v1_5",))
def resnet152(
    num_classes: int = 1000,
    in_channels: int = 3,
    activation: str = "relu",
    se_reduction: int = 0,
    cardinality: int = 1,
    group_width: int = 64,
    blocks: tuple[int, ...] = ROWS[152],
    width: float = 1.0,
    small_input: bool = False,
) -> nn.Module:
    """ResNet-152, stride on the 3x3 convolution; options for gates, groups and size."""
    return ResNet(
        152,
        num_classes,
        in_channels,
        activation,
        se_reduction,
        cardinality,
        group_width,
        blocks=blocks,
        width=width,
        small_input=small_input,
    )


@architecture(paper=PAPER, year=2015)
def resnet50_v1(
    num_classes: int = 1000, in_channels: int = 3, activation: str = "relu", se_reduction: int = 0
) -> nn.Module:
    """ResNet-50 as the paper has it: stride on the first 1x1 convolution (3.8 G mult-adds)."""
    return ResNet(50, num_classes, in_channels, activation, se_reduction, stride_on_1x1=True)


@architecture(paper=PAPER, year=2015)
def resnet101_v1(
    num_classes: int = 1000, in_channels: int = 3, activation: str = "relu", se_reduction: int = 0
) -> nn.Module:
    """ResNet-101 as the paper has it: stride on the first 1x1 convolution (7.6 G mult-adds)."""
    return ResNet(101, num_classes, in_channels, activation, se_reduction, stride_on_1x1=True)


@architecture(paper=PAPER, year=2015)
def resnet152_v1(
    num_classes: int = 1000, in_channels: int = 3, activation: str = "relu", se_reduction: int = 0
) -> nn.Module:
    """ResNet-152 as the paper has it: stride on the first 1x1 convolution (11.3 G mult-adds)."""
    return ResNet(152, num_classes, in_channels, activation, se_reduction, stride_on_1x1=True)


@architecture(paper=SENET, year=2017, aliases=("seresnet50",))
def se_resnet50(
    num_classes: int = 1000, in_channels: int = 3, activation: str = "relu", se_reduction: int = 16
) -> nn.Module:
    """SE-ResNet-50: `resnet50` with a channel gate in every block, reduction 16 (28.1 M params).

    Stride on the 3x3 convolution, so that it differs from `resnet50` by the gates alone. The paper gates
    the other placement, resnet50_v1(se_reduction=16), and counts 3.87 G with the pools and products (3.86 G
    without).
    """
    check_counts(se_reduction=se_reduction)
    return ResNet(50, num_classes, in_channels, activation, se_reduction)


@architecture(paper=RESNEXT, year=2016)
def resnext50_32x4d(
    num_classes: int = 1000, in_channels: int = 3, activation: str = "relu", se_reduction: int = 0
) -> nn.Module:
    """ResNeXt-50: 32 groups, each 4 channels wide in conv2_x."""
    return ResNet(50, num_classes, in_channels, activation, se_reduction, cardinality=32, group_width=4)


@architecture(paper=RESNEXT, year=2016)
def resnext101_32x8d(
    num_classes: int = 1000, in_channels: int = 3, activation: str = "relu", se_reduction: int = 0
) -> nn.Module:
    """ResNeXt-101: 32 groups, each 8 channels wide in conv2_x (torchvision's size, not in the paper)."""
    return ResNet(101, num_classes, in_channels, activation, se_reduction, cardinality=32, group_width=8)
