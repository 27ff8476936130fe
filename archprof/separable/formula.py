"""What a standard and a depthwise separable convolution cost, as arithmetic. Standard library only.

For a kernel of K positions (Dk^2 where it is square), M input channels, N output channels, P output
positions (Df^2) and batch B, Howard et al. 2017 (arXiv 1704.04861, section 3.1) give

    standard     K*M*N weights             B*P * K*M*N mult-adds
    depthwise    K*M                       B*P * K*M
    pointwise    M*N                       B*P * M*N
    ratio        1/N + 1/K

A channel multiplier m (depthwise makes m*M channels) multiplies both halves, and so the ratio. A bias adds N
parameters to the standard layer and to the pointwise one, which is where a rewritten layer keeps it; it costs
no mult-adds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import prod

from ..base.errors import BadOption

Shape = tuple[int, ...]

#: Bytes of one float32 element: formulas of memory moved hold for this type.
ELEMENT_BYTES = 4


@dataclass(frozen=True)
class Cost:
    """What one layer costs for a whole batch.

    `activations` are the output elements of convolutions, `bytes_moved` those of input, parameters and
    output, each read or written once.
    """

    parameters: int = 0
    macs: int = 0
    activations: int = 0
    bytes_moved: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))

    @property
    def flops(self) -> int:
        """Floating-point operations: two for each multiply-accumulate."""
        return 2 * self.macs

    @property
    def arithmetic_intensity(self) -> float | None:
        """FLOPs per byte moved; None where nothing moves."""
        return self.flops / self.bytes_moved if self.bytes_moved else None


@dataclass(frozen=True)
class Convolution:
    """The geometry of one dense convolution, and what it and its separable form cost by the formula.

    `input_size`, `output_size` and `kernel` hold one extent per spatial dimension; `padding` is that of each
    side. `padding` None: as the layer pads by itself (its output size was observed).
    """

    in_channels: int
    out_channels: int
    kernel: Shape
    input_size: Shape
    output_size: Shape
    stride: Shape = ()
    padding: Shape | None = None
    dilation: Shape = ()
    bias: bool = False
    multiplier: int = 1
    batch_size: int = 1

    @property
    def standard(self) -> Cost:
        """The dense convolution."""
        return self._cost(
            self.in_channels, self.out_channels, prod(self.kernel) * self.in_channels, self.input_size, self.bias
        )

    @property
    def depthwise(self) -> Cost:
        """Each input channel by its own `multiplier` kernels; takes stride and dilation, has no bias."""
        return self._cost(
            self.in_channels, self.multiplier * self.in_channels, prod(self.kernel), self.input_size, False
        )

    @property
    def pointwise(self) -> Cost:
        """The 1x1 convolution that mixes the depthwise channels; keeps the bias."""
        middle = self.multiplier * self.in_channels
        return self._cost(middle, self.out_channels, middle, self.output_size, self.bias)

    @property
    def separable(self) -> Cost:
        """Depthwise and pointwise together; what lies between is written and read again."""
        return self.depthwise + self.pointwise

    @property
    def ratio(self) -> Fraction:
        """Mult-adds (and weights) of the separable form over the standard: m * (1/N + 1/K)."""
        return self.multiplier * (Fraction(1, self.out_channels) + self.asymptote)

    @property
    def asymptote(self) -> Fraction:
        """What the ratio tends to as N grows, for multiplier 1: 1/K."""
        return Fraction(1, prod(self.kernel))

    def _cost(self, channels: int, filters: int, weights_each: int, size: Shape, bias: bool) -> Cost:
        """`filters` filters of `weights_each` weights, over an input of `channels` x `size`."""
        weights = filters * weights_each
        parameters = weights + (filters if bias else 0)
        outputs = self.batch_size * filters * prod(self.output_size)
        inputs = self.batch_size * channels * prod(size)
        return Cost(parameters, outputs * weights_each, outputs, ELEMENT_BYTES * (inputs + parameters + outputs))


def output_extent(size: int, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> int:
    """floor((n + 2p - d*(k - 1) - 1)/s) + 1, which is floor((n + 2p - k)/s) + 1 without dilation."""
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def convolution(
    in_channels: int,
    out_channels: int,
    kernel: int | Sequence[int],
    size: int | Sequence[int],
    *,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] | str = "same",
    dilation: int | Sequence[int] = 1,
    bias: bool = False,
    multiplier: int = 1,
    batch_size: int = 1,
) -> Convolution:
    """A checked two-dimensional Convolution; a single number holds for both dimensions.

    `size` is the input's; padding 'same' is d*(k - 1)/2 on each side, which keeps the size at stride 1.
    Raises BadOption for what no convolution accepts, and for a 1x1 kernel, which has nothing to separate.
    """
    for name, value in (
        ("in_channels", in_channels),
        ("out_channels", out_channels),
        ("multiplier", multiplier),
        ("batch_size", batch_size),
    ):
        if value < 1:
            raise BadOption(f"{name} is {value};", "wanted: a whole number of at least 1.")
    extents = {
        name: _pair(name, value, least=1)
        for name, value in (("kernel", kernel), ("size", size), ("stride", stride), ("dilation", dilation))
    }
    if prod(extents["kernel"]) == 1:
        raise BadOption(
            "kernel 1: there is nothing to separate, a 1x1 convolution is a pointwise half;",
            "wanted: a kernel of at least 2.",
        )
    pads = _same(extents) if padding == "same" else _pair("padding", padding, least=0)
    outputs = tuple(
        map(output_extent, extents["size"], extents["kernel"], extents["stride"], pads, extents["dilation"])
    )
    if min(outputs) < 1:
        reach = tuple(d * (k - 1) + 1 for d, k in zip(extents["dilation"], extents["kernel"], strict=True))
        raise BadOption(
            f"size {by(extents['size'])} with padding {by(pads)} is smaller than the kernel, "
            f"which reaches over {by(reach)};",
            "give a larger size, a smaller kernel or more padding.",
        )
    return Convolution(
        in_channels,
        out_channels,
        extents["kernel"],
        extents["size"],
        outputs,
        extents["stride"],
        pads,
        extents["dilation"],
        bias,
        multiplier,
        batch_size,
    )


def by(extents: Sequence[int]) -> str:
    """(3, 3) -> '3x3'."""
    return "x".join(map(str, extents))


def _same(extents: dict[str, Shape]) -> Shape:
    whole = tuple(d * (k - 1) for d, k in zip(extents["dilation"], extents["kernel"], strict=True))
    if any(pad % 2 for pad in whole):
        raise BadOption(
            f"kernel {by(extents['kernel'])} is even: no equal padding on both sides keeps the size;",
            "give the padding, such as --padding 0, or an odd kernel.",
        )
    return tuple(pad // 2 for pad in whole)


def _pair(name: str, value: int | Sequence[int] | str, least: int) -> Shape:
    if isinstance(value, str):
        raise BadOption(f"{name} '{value}' is not a number;", "wanted: one or two numbers, or 'same' for padding.")
    pair = (value, value) if isinstance(value, int) else tuple(value)
    if len(pair) != 2 or min(pair) < least:
        raise BadOption(f"{name} is {by(pair)};", f"wanted: one or two whole numbers of at least {least}.")
    return pair
