"""Convolutions, whatever backend runs them. Bias is free, and so are stride, padding and dilation:
they show in the output's size alone.

One fact carries all of them: each element of the output (of the input, where transposed) meets
weight[1:], that is its group's channels times the kernel. It holds for any number of dimensions,
batched or not, grouped or not.
"""

from __future__ import annotations

from math import prod
from typing import Any

from .registry import Shape, aten, macs_of


@macs_of(aten.convolution, aten._convolution, aten.convolution_overrideable)
def convolution(
    x: Shape, weight: Shape, bias: Any, stride: Any, padding: Any, dilation: Any, transposed: bool, *, out: Shape
) -> int:
    """x (N, Cin, *S) * weight (Cout, Cin/groups, *K) -> out (N, Cout, *S').

    Transposed: weight (Cin, Cout/groups, *K), and every element of x spreads over its weight[1:].
    """
    return prod(x if transposed else out) * prod(weight[1:])


@macs_of(
    aten.conv1d, aten.conv2d, aten.conv3d, aten._convolution_mode,
    aten.cudnn_convolution, aten.cudnn_convolution_relu, aten.cudnn_convolution_add_relu,
    aten.miopen_convolution, aten.miopen_depthwise_convolution,
    aten.miopen_convolution_relu, aten.miopen_convolution_add_relu,
    aten.mkldnn_convolution, aten._mps_convolution, aten._nnpack_spatial_convolution,
    aten._slow_conv2d_forward, aten.slow_conv3d_forward, aten.thnn_conv2d, aten.slow_conv3d,
    aten.slow_conv_dilated2d, aten.slow_conv_dilated3d, aten._conv_depthwise2d, aten.conv_depthwise3d,
)  # fmt: skip
def forward_convolution(x: Shape, weight: Shape, *, out: Shape) -> int:
    """Never transposed; x may lack the batch."""
    return prod(out) * prod(weight[1:])


@macs_of(
    aten.conv_transpose1d, aten.conv_transpose2d, aten.conv_transpose3d,
    aten.cudnn_convolution_transpose, aten.miopen_convolution_transpose, aten._mps_convolution_transpose,
    aten.slow_conv_transpose2d, aten.slow_conv_transpose3d,
)  # fmt: skip
def transposed_convolution(x: Shape, weight: Shape) -> int:
    """x (N, Cin, *S), weight (Cin, Cout/groups, *K); x may lack the batch."""
    return prod(x) * prod(weight[1:])


@macs_of(aten.conv_tbc)
def time_batch_channel(x: Shape, weight: Shape, *, out: Shape) -> int:
    """x (T, N, Cin), weight (K, Cin, Cout) -> out (T', N, Cout)."""
    kernel, in_channels, _ = weight
    return prod(out) * kernel * in_channels


@macs_of("torchvision::deform_conv2d")
def deformable(x: Shape, weight: Shape, *, out: Shape) -> int:
    """As a plain convolution: sampling x at the offsets is interpolation, and free."""
    return prod(out) * prod(weight[1:])


@macs_of("torchvision::_deform_conv2d_backward")
def deformable_backward(grad: Shape, x: Shape, weight: Shape) -> int:
    """The sampled columns' gradient, and the weight's."""
    return 2 * prod(grad) * prod(weight[1:])


@macs_of(aten.convolution_backward)
def convolution_backward(
    grad: Shape,
    x: Shape,
    weight: Shape,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: int,
    output_mask: Any,
) -> int:
    """Every product w * x of the forward pass returns once in x's gradient (w * grad) and once in the
    weight's (x * grad), grouped or not: each gradient asked for costs a forward pass."""
    gradients = sum(map(bool, output_mask[:2]))
    return gradients * prod(x if transposed else grad) * prod(weight[1:])


@macs_of(aten.convolution_backward_overrideable)
def convolution_backward_overrideable(
    grad: Shape,
    x: Shape,
    weight: Shape,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: int,
    output_mask: Any,
) -> int:
    """convolution_backward without the bias's sizes."""
    return convolution_backward(
        grad, x, weight, None, stride, padding, dilation, transposed, output_padding, groups, output_mask
    )


@macs_of(aten.mps_convolution_backward)
def mps_backward(
    x: Shape, grad: Shape, weight: Shape, padding: Any, stride: Any, dilation: Any, groups: int, output_mask: Any
) -> int:
    """Both gradients, or one."""
    return sum(map(bool, output_mask[:2])) * prod(grad) * prod(weight[1:])


@macs_of(aten.mps_convolution_transpose_backward)
def mps_transpose_backward(
    x: Shape,
    grad: Shape,
    weight: Shape,
    padding: Any,
    output_padding: Any,
    stride: Any,
    dilation: Any,
    groups: int,
    output_mask: Any,
) -> int:
    """Both gradients, or one."""
    return sum(map(bool, output_mask[:2])) * prod(x) * prod(weight[1:])


@macs_of(aten._slow_conv2d_backward)
def slow_backward(grad: Shape, x: Shape, weight: Shape, *args: Any) -> int:
    """The last argument of the overload 'output_mask' says which gradients; the other computes both."""
    mask = args[-1] if len(args) == 4 else (True, True)
    return sum(map(bool, mask[:2])) * prod(grad) * prod(weight[1:])


# Weights prepared for oneDNN may have a dimension for the groups, (G, Cout/G, Cin/G, *K), or swap their
# first two; their number of elements is what it was, and each position meets all of them once.


@macs_of(
    "mkldnn::_convolution_pointwise",
    "onednn::qconv1d_pointwise",
    "onednn::qconv2d_pointwise",
    "onednn::qconv3d_pointwise",
    "onednn::qconv_pointwise",
)
def prepared(x: Shape, *args: Any, out: Shape) -> int:
    """x (N, Cin, *S) -> out (N, Cout, *S'); the weight is the first of the other arguments with as many
    dimensions as x or one more, `other` of a fused addition being told by its shape."""
    others = [arg for arg in args if isinstance(arg, Shape) and len(arg) in (len(x), len(x) + 1)]
    weight = others[1] if len(others) > 1 and others[0] == out else others[0]
    return prod(out) // out[1] * prod(weight)


@macs_of("mkldnn::_convolution_pointwise_.binary")
def prepared_onto(other: Shape, x: Shape, weight: Shape) -> int:
    """Added onto `other`, which is also the result."""
    return prod(other) // other[1] * prod(weight)


@macs_of("mkldnn::_convolution_transpose_pointwise")
def prepared_transposed(x: Shape, weight: Shape) -> int:
    """x (N, Cin, *S)."""
    return prod(x) // x[1] * prod(weight)


@macs_of(*(f"quantized::{name}" for name in (
    "conv1d", "conv1d_relu", "conv1d_dynamic", "conv2d", "conv2d_relu", "conv2d_dynamic", "conv2d_add",
    "conv2d_add_relu", "conv3d", "conv3d_relu", "conv3d_dynamic",
    "conv_transpose1d", "conv_transpose1d_dynamic", "conv_transpose2d", "conv_transpose2d_dynamic",
    "conv_transpose3d", "conv_transpose3d_dynamic")))  # fmt: skip
def quantised(x: Shape, *args: Any, out: Shape) -> int | None:
    """The weight is packed; uncounted where the package does not tell its shape."""
    packed = next((arg for arg in args if hasattr(arg, "unpack")), None)
    if packed is None:
        return None
    weight = packed.unpack()[0].shape
    return int(prod(x if packed.transpose() else out) * prod(weight[1:]))
